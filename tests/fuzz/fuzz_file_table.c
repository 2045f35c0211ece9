/*
 * The table of files read before. Input: byte 0: 0: the file follows; else: its records, whose
 * checksums the target puts right.
 *
 * Property: what is found can be written, and is found again.
 */
#include "fuzz.h"

#include "repo/file_table.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* As in repo/file_table.c. */
struct record {
    uint8_t checksum[8];
    uint32_t size;
    uint32_t path_len;
    struct ov_file_facts facts;
    uint32_t is_trusted;
    uint32_t lengths[5];
};

_Static_assert(sizeof(struct record) == 88, "record size");

#define HEADER_SIZE 112

static const char source[] = "/source";
static const char other[] = "/other";

static void write_table(const char *of, struct ov_bytes file)
{
    struct ov_id hash;
    char name[80];
    ov_hash("ociv2 source", of, strlen(of), &hash);
    snprintf(name, sizeof(name), "files-%.32s", ov_id_hex(&hash).text);
    fuzz_write_file(name, file);
}

static void put_header(struct ov_buf *file)
{
    const char magic[16] = "ociv2 files 2\n";
    struct ov_id hash;
    ov_hash("ociv2 source", source, strlen(source), &hash);
    FUZZ_OK(ov_buf_append(file, magic, sizeof(magic), NULL));
    FUZZ_OK(ov_buf_append(file, fuzz_repository()->bytes, OV_ID_SIZE, NULL));
    FUZZ_OK(ov_buf_append(file, hash.bytes, OV_ID_SIZE, NULL));
    FUZZ_OK(ov_buf_append_zeros(file, OV_ID_SIZE, NULL)); /* the tree */
}

/* The record at `at`; false when there is none. */
static bool get_record(const struct ov_buf *file, size_t at, struct record *out)
{
    if (file->len - at < sizeof(*out))
        return false;
    memcpy(out, file->data + at, sizeof(*out));
    return out->size >= sizeof(*out) && out->size <= file->len - at &&
           out->path_len <= out->size - sizeof(*out);
}

static void put_checksums(struct ov_buf *file)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES] = "ociv2 file table";
    struct record record;
    for (size_t at = HEADER_SIZE; get_record(file, at, &record); at += record.size)
        crypto_shorthash(file->data + at, file->data + at + 8, record.size - 8, key);
}

static bool is_same(const struct ov_file_contents *a, const struct ov_file_contents *b)
{
    if (!ov_bytes_equal(a->contents, b->contents) || !ov_bytes_equal(a->target, b->target) ||
        a->extent_count != b->extent_count || a->hole_count != b->hole_count ||
        a->xattr_count != b->xattr_count)
        return false;
    for (size_t i = 0; i < a->extent_count; i++) {
        const struct ov_extent *x = &a->extents[i], *y = &b->extents[i];
        if (x->length != y->length || x->is_zero != y->is_zero || !ov_id_equal(&x->id, &y->id))
            return false;
    }
    for (size_t i = 0; i < a->hole_count; i++) {
        if (a->holes[i].offset != b->holes[i].offset || a->holes[i].length != b->holes[i].length)
            return false;
    }
    for (size_t i = 0; i < a->xattr_count; i++) {
        if (!ov_bytes_equal(a->xattrs[i].name, b->xattrs[i].name) ||
            !ov_bytes_equal(a->xattrs[i].value, b->xattrs[i].value))
            return false;
    }
    return true;
}

static void check_written(struct ov_bytes path, const struct ov_file_facts *facts,
                          const struct ov_file_contents *contents)
{
    OV_AUTO(ov_file_table_writer_close_auto) struct ov_file_table_writer *writer = NULL;
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    struct ov_file_table *table = NULL;
    struct ov_file_contents again;
    struct ov_bytes of = ov_bytes_of_string(other);
    if (facts->ctime > INT64_MAX - 2)
        return; /* never to be trusted */
    FUZZ_OK(ov_file_table_create(fuzz_directory(), fuzz_repository(), of, &writer, NULL));
    FUZZ_OK(ov_file_table_add(writer, path, facts, facts->ctime + 2, contents, NULL));
    FUZZ_OK(ov_file_table_commit(writer, &(struct ov_id){{0}}, NULL));
    ov_file_table_open(fuzz_directory(), fuzz_repository(), of, &table);
    FUZZ_CHECK(ov_file_table_find(table, path, facts, &arena, &again));
    FUZZ_CHECK(is_same(contents, &again));
    ov_file_table_close(table);
}

/* Asks for every record that the file seems to have. */
static void find_all(const struct ov_buf *file)
{
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    struct ov_file_table *table;
    struct record record;
    size_t written = 0;
    ov_file_table_open(fuzz_directory(), fuzz_repository(), ov_bytes_of_string(source), &table);
    if (!table)
        return;
    for (size_t at = HEADER_SIZE; get_record(file, at, &record); at += record.size) {
        struct ov_bytes path = ov_bytes_of(file->data + at + sizeof(record), record.path_len);
        struct ov_file_contents contents;
        if (ov_file_table_find(table, path, &record.facts, &arena, &contents) && written++ < 4)
            check_written(path, &record.facts, &contents);
    }
    ov_file_table_close(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    bool is_made = fuzz_take_byte(&input) != 0;
    if (is_made)
        put_header(&file);
    FUZZ_OK(ov_buf_append(&file, input.data, input.len, NULL));
    if (is_made)
        put_checksums(&file);
    write_table(source, ov_buf_view(&file));
    find_all(&file);
    return 0;
}
