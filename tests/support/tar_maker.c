#include "tests/support/tar_maker.h"

#include <stdio.h>

/* ---- Archives by hand ---- */

struct ov_buf tar_archive;
size_t tar_last;

void tar_put(const void *bytes, size_t len)
{
    TEST_OK(ov_buf_append(&tar_archive, bytes, len, &test_error));
}

void tar_put_zeros(size_t len)
{
    TEST_OK(ov_buf_append_zeros(&tar_archive, len, &test_error));
}

void tar_seal(bool is_signed)
{
    uint8_t *block = tar_archive.data + tar_last;
    char text[16];
    int sum = 0;
    memset(block + TAR_CHECKSUM, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += is_signed ? (int8_t)block[i] : block[i];
    snprintf(text, sizeof(text), "%06o", (unsigned)sum);
    memcpy(block + TAR_CHECKSUM, text, 7);
}

void tar_set(size_t offset, const void *bytes, size_t len)
{
    memcpy(tar_archive.data + tar_last + offset, bytes, len);
    tar_seal(false);
}

void tar_set_text(size_t offset, const char *text)
{
    tar_set(offset, text, strlen(text));
}

void tar_set_number(size_t offset, size_t size, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)number);
    tar_set(offset, text, size);
}

void tar_put_header(char type, const char *name, uint64_t size)
{
    tar_last = tar_archive.len;
    tar_put_zeros(TAR_BLOCK);
    tar_set_text(0, name);
    tar_set_number(TAR_MODE, 8, 0644);
    tar_set_number(TAR_UID, 8, 1);
    tar_set_number(TAR_GID, 8, 2);
    tar_set_number(TAR_SIZE, 12, size);
    tar_set_number(TAR_MTIME, 12, 1000);
    tar_set(TAR_TYPE, &type, 1);
    tar_set(TAR_MAGIC, "ustar\00000", 8);
}

void tar_put_contents(const void *contents, size_t len)
{
    tar_put(contents, len);
    tar_put_zeros(-len & 511);
}

void tar_put_entry(char type, const char *name, const void *contents, size_t len)
{
    tar_put_header(type, name, len);
    tar_put_contents(contents, len);
}

void tar_put_file(const char *name, const char *contents)
{
    tar_put_entry('0', name, contents, strlen(contents));
}

void tar_put_end(void)
{
    tar_put_zeros(2 * TAR_BLOCK);
}

void tar_add_record(struct ov_buf *records, const char *key, const void *value, size_t len)
{
    char digits[32];
    size_t rest = strlen(key) + len + 3;
    size_t total = rest + 1;
    while (total != rest + (size_t)snprintf(digits, sizeof(digits), "%zu", total))
        total++;
    TEST_OK(ov_buf_append(records, digits, strlen(digits), &test_error));
    TEST_OK(ov_buf_append(records, " ", 1, &test_error));
    TEST_OK(ov_buf_append(records, key, strlen(key), &test_error));
    TEST_OK(ov_buf_append(records, "=", 1, &test_error));
    TEST_OK(ov_buf_append(records, value, len, &test_error));
    TEST_OK(ov_buf_append(records, "\n", 1, &test_error));
}

void tar_put_pax_list(char type, const char *const *list)
{
    OV_AUTO(ov_buf_release) struct ov_buf records = {0};
    for (; list[0]; list += 2)
        tar_add_record(&records, list[0], list[1], strlen(list[1]));
    tar_put_entry(type, "PaxHeaders", records.data, records.len);
}

/* ---- Reading ---- */

struct input {
    size_t at;
    size_t step; /* bytes of one read at most */
};

static enum ov_status read_input(void *context, void *out, size_t size, size_t *got,
                                 struct ov_error *err)
{
    struct input *input = context;
    size_t len = tar_archive.len - input->at;
    (void)err;
    if (len > size)
        len = size;
    if (len > input->step)
        len = input->step;
    if (len)
        memcpy(out, tar_archive.data + input->at, len);
    input->at += len;
    *got = len;
    return OV_OK;
}

struct tar_seen tar_seen[TAR_SEEN_MAX];
size_t tar_seen_count;
static struct ov_buf again; /* the archive, put together */

static void keep(struct tar_seen *entry, const struct ov_tar_entry *found)
{
    entry->entry = *found;
    ck_assert_uint_lt(found->path.len, sizeof(entry->path));
    ck_assert_uint_lt(found->target.len, sizeof(entry->target));
    ck_assert_uint_gt(found->path.len, 0);
    ck_assert_uint_eq(found->path.data[found->path.len], 0);
    memcpy(entry->path, found->path.data, found->path.len + 1);
    memset(entry->target, 0, sizeof(entry->target));
    if (found->target.len)
        memcpy(entry->target, found->target.data, found->target.len);
    ov_buf_clear(&entry->contents);
    ov_buf_clear(&entry->xattrs);
    for (size_t i = 0; i < found->xattr_count; i++) {
        const struct ov_tar_xattr *xattr = &found->xattrs[i];
        TEST_OK(ov_buf_append(&entry->xattrs, xattr->name.data, xattr->name.len, &test_error));
        TEST_OK(ov_buf_append(&entry->xattrs, "=", 1, &test_error));
        TEST_OK(ov_buf_append(&entry->xattrs, xattr->value.data, xattr->value.len, &test_error));
        TEST_OK(ov_buf_append(&entry->xattrs, ";", 1, &test_error));
    }
}

static enum ov_status read_contents(struct ov_tar_reader *reader, struct tar_seen *entry)
{
    struct ov_tar_piece piece;
    uint64_t size = 0, stored = 0;
    enum ov_status status;
    while ((status = ov_tar_reader_read(reader, &piece, &test_error)) == OV_OK) {
        ck_assert_uint_gt(piece.len, 0);
        size += piece.len;
        if (piece.data) {
            ck_assert_uint_le(piece.len, 1 << 20);
            TEST_OK(ov_buf_append(&again, piece.data, piece.len, &test_error));
            TEST_OK(ov_buf_append(&entry->contents, piece.data, piece.len, &test_error));
            stored += piece.len;
        } else if (piece.len <= 1 << 20) {
            TEST_OK(ov_buf_append_zeros(&entry->contents, piece.len, &test_error));
        }
    }
    if (status != OV_END)
        return status;
    ck_assert_uint_eq(size, entry->entry.size);
    ck_assert_uint_eq(stored, entry->entry.stored_size);
    return OV_OK;
}

static enum ov_status read_entries(struct ov_tar_reader *reader, bool reads)
{
    struct ov_tar_entry entry;
    struct ov_bytes rest;
    enum ov_status status;
    while ((status = ov_tar_reader_next(reader, &entry, &test_error)) == OV_OK) {
        ck_assert_uint_lt(tar_seen_count, TAR_SEEN_MAX);
        keep(&tar_seen[tar_seen_count++], &entry);
        TEST_OK(ov_buf_append(&again, entry.before.data, entry.before.len, &test_error));
        if (reads)
            status = read_contents(reader, &tar_seen[tar_seen_count - 1]);
        if (status != OV_OK)
            return status;
    }
    if (status != OV_END)
        return status;
    ck_assert_int_eq(ov_tar_reader_next(reader, &entry, &test_error), OV_END);
    while ((status = ov_tar_reader_rest(reader, &rest, &test_error)) == OV_OK)
        TEST_OK(ov_buf_append(&again, rest.data, rest.len, &test_error));
    if (status != OV_END)
        return status;
    ck_assert_uint_eq(ov_tar_reader_offset(reader), tar_archive.len);
    return OV_OK;
}

enum ov_status tar_read_archive(size_t step, bool reads)
{
    OV_AUTO(ov_tar_reader_close_auto) struct ov_tar_reader *reader = NULL;
    struct input input = {0, step};
    const struct ov_stream stream = {&input, read_input};
    tar_seen_count = 0;
    ov_buf_clear(&again);
    TEST_OK(ov_tar_reader_open(&stream, "layer 2", &reader, &test_error));
    ov_error_clear(&test_error);
    enum ov_status status = read_entries(reader, reads);
    if (status != OV_OK)
        ck_assert_int_eq(test_error.status, status);
    return status;
}

void tar_expect(enum ov_status expected)
{
    static const size_t steps[] = {SIZE_MAX, 1000, 512, 1};
    enum ov_status status = tar_read_archive(SIZE_MAX, false);
    ck_assert_msg(status == expected, "passed over: %d %s", (int)status, test_error.message);
    size_t count = tar_seen_count;
    for (size_t i = 0; i < OV_ARRAY_LEN(steps); i++) {
        if (steps[i] == 1 && tar_archive.len > 100000)
            continue;
        status = tar_read_archive(steps[i], true);
        ck_assert_msg(status == expected, "steps of %zu: %d %s", steps[i], (int)status,
                      test_error.message);
        ck_assert_uint_eq(tar_seen_count, count);
        ck_assert_uint_le(again.len, tar_archive.len);
        ck_assert_msg(again.len == 0 || memcmp(again.data, tar_archive.data, again.len) == 0,
                      "steps of %zu: other bytes", steps[i]);
        if (status == OV_OK)
            ck_assert_uint_eq(again.len, tar_archive.len);
    }
}

void tar_refuse(enum ov_status expected, const char *message)
{
    tar_put_end();
    tar_expect(expected);
    ck_assert_msg(strstr(test_error.message, message) != NULL, "not '%s': %s", message,
                  test_error.message);
    ck_assert_msg(strncmp(test_error.message, "layer 2: at byte ", 17) == 0, "%s",
                  test_error.message);
    ov_buf_clear(&tar_archive);
}

void tar_accept(size_t count)
{
    tar_put_end();
    tar_expect(OV_OK);
    ck_assert_uint_eq(tar_seen_count, count);
    ov_buf_clear(&tar_archive);
}

void tar_check_contents(const struct tar_seen *entry, const void *contents, size_t len)
{
    ck_assert(ov_bytes_equal(ov_buf_view(&entry->contents), ov_bytes_of(contents, len)));
}

void tar_check_xattrs(const struct tar_seen *entry, const void *text, size_t len)
{
    ck_assert_msg(ov_bytes_equal(ov_buf_view(&entry->xattrs), ov_bytes_of(text, len)), "%.*s",
                  (int)entry->xattrs.len, (const char *)entry->xattrs.data);
}
