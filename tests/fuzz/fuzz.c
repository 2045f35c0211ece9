#include "fuzz.h"

#include "engine/base/file.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void start(void)
{
    FUZZ_OK(ov_crypto_init(NULL));
}

/* ---- Properties ---- */

void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* Whether a map anywhere in this value has a member that open maps let pass. */
static bool has_foreign_member(struct ov_cursor *c)
{
    struct ov_map_reader map;
    struct ov_bytes ignored;
    uint64_t key;
    size_t items;
    bool found = false;
    if (ov_cursor_peek(c) == OV_MSGPACK_ARRAY) {
        FUZZ_OK(ov_read_array(c, SIZE_MAX, &items, NULL));
        for (size_t i = 0; i < items; i++)
            found |= has_foreign_member(c);
        return found;
    }
    if (ov_cursor_peek(c) != OV_MSGPACK_MAP) {
        FUZZ_OK(ov_read_any(c, &ignored, NULL));
        return false;
    }
    FUZZ_OK(ov_read_map(c, &map, NULL));
    while (ov_map_next(c, &map, &key, NULL) == OV_OK) {
        found |= key >= 64;
        found |= has_foreign_member(c);
    }
    return found;
}

void fuzz_check_again(struct ov_bytes input, struct ov_bytes output, bool is_open)
{
    if (ov_bytes_equal(input, output))
        return;
    struct ov_cursor c;
    ov_cursor_init(&c, input, "input");
    FUZZ_CHECK(is_open && has_foreign_member(&c));
    FUZZ_CHECK(output.len < input.len);
}

/* ---- Pieces ---- */

struct ov_bytes fuzz_take(struct ov_bytes *input, size_t len)
{
    if (len > input->len)
        len = input->len;
    struct ov_bytes out = ov_bytes_of(input->data, len);
    if (len)
        *input = ov_bytes_of(input->data + len, input->len - len);
    return out;
}

uint8_t fuzz_take_byte(struct ov_bytes *input)
{
    struct ov_bytes byte = fuzz_take(input, 1);
    return byte.len ? byte.data[0] : 0;
}

uint16_t fuzz_take_u16(struct ov_bytes *input)
{
    unsigned low = fuzz_take_byte(input);
    return (uint16_t)(low | (unsigned)fuzz_take_byte(input) << 8);
}

struct ov_bytes fuzz_take_piece(struct ov_bytes *input)
{
    size_t len = fuzz_take_u16(input);
    return fuzz_take(input, len);
}

/* ---- Keys ---- */

const struct ov_id *fuzz_repository(void)
{
    static struct ov_id id;
    memset(id.bytes, 0x11, OV_ID_SIZE);
    return &id;
}

const struct ov_keyring *fuzz_keyring(void)
{
    static struct ov_keyring *keyring;
    if (keyring)
        return keyring;
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    const uint8_t tag_key[OV_SECRET_SIZE] = {0x22};
    const uint8_t master[OV_SECRET_SIZE] = {0x33};
    struct ov_writer w;
    ov_writer_init(&w, &bytes, NULL);
    ov_write_map(&w, 3);
    ov_write_uint(&w, 1);
    ov_write_bin(&w, fuzz_repository()->bytes, OV_ID_SIZE);
    ov_write_uint(&w, 2);
    ov_write_bin(&w, tag_key, sizeof(tag_key));
    ov_write_uint(&w, 3);
    ov_write_array(&w, 1);
    ov_write_array(&w, 2);
    ov_write_uint(&w, 1);
    ov_write_bin(&w, master, sizeof(master));
    FUZZ_OK(ov_writer_finish(&w));
    FUZZ_OK(ov_keyring_decode(ov_buf_view(&bytes), &keyring, NULL));
    return keyring;
}

struct ov_header fuzz_header(enum ov_file_type type, uint8_t kind, uint64_t number)
{
    struct ov_header header;
    ov_header_init_clear(&header, type);
    bool is_clear = type == OV_FILE_CONFIG || type == OV_FILE_SLOT || type == OV_FILE_RESERVE;
    if (is_clear)
        return header;
    uint8_t raw[OV_HEADER_SIZE];
    memcpy(raw, header.raw, sizeof(raw));
    raw[10] = kind;
    raw[11] = 1;
    ov_store32(raw + 12, 1);
    bool is_numbered = type == OV_FILE_LOG || type == OV_FILE_MARKER || type == OV_FILE_CHECKPOINT;
    ov_store64(raw + 16, is_numbered ? number : 0);
    memset(raw + 32, 0x44, OV_ID_SIZE);
    FUZZ_OK(ov_header_decode(raw, "header", &header, NULL));
    return header;
}

struct ov_file_keys fuzz_file_keys(const struct ov_header *header, enum ov_purpose purpose)
{
    struct ov_file_keys keys;
    FUZZ_OK(ov_file_keys_derive(fuzz_keyring(), purpose, header, &keys, NULL));
    return keys;
}

/* ---- Stored files ---- */

void fuzz_make_clear_file(struct ov_bytes input, enum ov_file_type type, struct ov_buf *file)
{
    uint8_t how = fuzz_take_byte(&input);
    if (how > 1) {
        struct ov_header header = fuzz_header(type, 0, 0);
        FUZZ_OK(ov_buf_append(file, header.raw, OV_HEADER_SIZE, NULL));
    }
    FUZZ_OK(ov_buf_append(file, input.data, input.len, NULL));
    if (how)
        FUZZ_OK(ov_trailer_append(file, NULL));
}

static enum ov_status backend_size(struct ov_backend *backend, const char *name, uint64_t *size,
                                   struct ov_error *err)
{
    const struct fuzz_backend *b = (const struct fuzz_backend *)backend;
    if (b->file.len == 0)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%s is not there", name);
    *size = b->file.len;
    return OV_OK;
}

static enum ov_status backend_read(struct ov_backend *backend, const char *name, uint64_t offset,
                                   void *out, size_t len, struct ov_error *err)
{
    const struct fuzz_backend *b = (const struct fuzz_backend *)backend;
    if (offset > b->file.len || len > b->file.len - offset)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is too short", name);
    if (len)
        memcpy(out, b->file.data + offset, len);
    return OV_OK;
}

void fuzz_backend_init(struct fuzz_backend *backend, struct ov_bytes file)
{
    static const struct ov_backend_ops ops = {.size = backend_size, .read = backend_read};
    *backend = (struct fuzz_backend){{&ops}, file};
}

static char directory[256];

static void remove_directory(void)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    rmdir(directory);
}

const char *fuzz_directory(void)
{
    if (directory[0])
        return directory;
    const char *base = getenv("TMPDIR");
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(directory, sizeof(directory), "%.200s/ociv2-fuzz-XXXXXX", base);
    FUZZ_CHECK(mkdtemp(directory) != NULL);
    atexit(remove_directory);
    return directory;
}

void fuzz_write_file(const char *name, struct ov_bytes bytes)
{
    OV_AUTO(ov_fd_close) int dir = open(fuzz_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(dir >= 0);
    OV_AUTO(ov_fd_close) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0);
    FUZZ_OK(ov_fd_write(fd, bytes.data, bytes.len, name, NULL));
}
