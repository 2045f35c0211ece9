/*
 * Tar archives. Input: a byte that says how the archive is read, then pieces of which it is made,
 * each with a byte in front that says how:
 *   0: the bytes as they are;
 *   1: followed by zeros up to a whole block;
 *   2: a header block: its type; then offset (le16), length and bytes that are laid over it. Its
 *      size is that of the next piece unless laid over, its checksum is right.
 *
 * Properties: what comes out is what was put in, up to where reading fails; it does not depend on
 * the sizes of reads or on whether contents are read; entries keep the promises of tar_reader.h;
 * and what the writer writes of an entry is read as the same entry.
 */
#include "fuzz.h"

#include "repo/image/tar_writer.h"

#define BLOCK 512
#define ARCHIVE_MAX ((size_t)1 << 20)
#define WRITTEN_MAX 2 /* entries of an archive; it is slow */

/* ---- Making ---- */

static void put_number(uint8_t *field, size_t size, size_t number)
{
    for (size_t i = size - 1; i-- > 0; number >>= 3)
        field[i] = (uint8_t)('0' + (number & 7));
    field[size - 1] = '\0';
}

static void put_header(struct ov_buf *archive, struct ov_bytes piece, size_t size)
{
    uint8_t block[BLOCK + UINT8_MAX] = {'a'};
    unsigned sum = 0;
    put_number(block + 100, 8, 0644);
    put_number(block + 124, 12, size);
    memset(block + 148, ' ', 8);
    block[156] = fuzz_take_byte(&piece);
    memcpy(block + 257, "ustar\00000", 8);
    while (piece.len) {
        size_t offset = fuzz_take_u16(&piece) % BLOCK;
        struct ov_bytes bytes = fuzz_take(&piece, fuzz_take_byte(&piece));
        if (bytes.len)
            memcpy(block + offset, bytes.data, bytes.len);
    }
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += block[i];
    put_number(block + 148, 7, sum);
    FUZZ_OK(ov_buf_append(archive, block, BLOCK, NULL));
}

static void make_archive(struct ov_bytes input, struct ov_buf *archive)
{
    while (input.len && archive->len < ARCHIVE_MAX) {
        uint8_t form = fuzz_take_byte(&input);
        struct ov_bytes piece = fuzz_take_piece(&input);
        struct ov_bytes ahead = input;
        (void)fuzz_take_byte(&ahead);
        if (form == 2) {
            put_header(archive, piece, fuzz_take_piece(&ahead).len);
            continue;
        }
        FUZZ_OK(ov_buf_append(archive, piece.data, piece.len, NULL));
        if (form == 1)
            FUZZ_OK(ov_buf_append_zeros(archive, ov_tar_padding(piece.len), NULL));
    }
}

/* ---- Reading ---- */

struct input {
    struct ov_bytes left;
    size_t step;
};

static enum ov_status read_input(void *context, void *out, size_t size, size_t *got,
                                 struct ov_error *err)
{
    struct input *input = context;
    (void)err;
    struct ov_bytes piece = fuzz_take(&input->left, size < input->step ? size : input->step);
    if (piece.len)
        memcpy(out, piece.data, piece.len);
    *got = piece.len;
    return OV_OK;
}

static void check_entry(const struct ov_tar_entry *entry)
{
    bool is_regular = entry->kind == OV_NODE_REGULAR;
    FUZZ_CHECK(entry->is_link ? entry->kind == 0
                              : entry->kind >= OV_NODE_REGULAR && entry->kind <= OV_NODE_FIFO);
    FUZZ_CHECK(entry->path.len && strlen((const char *)entry->path.data) == entry->path.len);
    FUZZ_CHECK((entry->target.len != 0) == (entry->is_link || entry->kind == OV_NODE_SYMLINK));
    FUZZ_CHECK(entry->mode <= 07777 && entry->mtime_ns < 1000000000);
    FUZZ_CHECK(entry->mtime >= -OV_TIME_LIMIT && entry->mtime <= OV_TIME_LIMIT);
    FUZZ_CHECK(entry->uid != UINT32_MAX && entry->gid != UINT32_MAX);
    FUZZ_CHECK(entry->size <= INT64_MAX && entry->stored_size <= entry->size);
    FUZZ_CHECK(is_regular || entry->size == 0);
    FUZZ_CHECK(entry->before.len >= BLOCK && entry->before.len <= OV_TAR_BEFORE_MAX);
    for (size_t i = 0; i < entry->xattr_count && i < 50; i++) {
        FUZZ_CHECK(entry->xattrs[i].name.len);
        for (size_t k = i + 1; k < entry->xattr_count && k < 50; k++)
            FUZZ_CHECK(!ov_bytes_equal(entry->xattrs[i].name, entry->xattrs[k].name));
    }
}

/* An archive with this one header. */
static void write_and_read(const struct ov_tar_entry *entry)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_tar_reader_close_auto) struct ov_tar_reader *reader = NULL;
    const struct ov_tar_item item = {
        .kind = entry->kind,
        .is_link = entry->is_link,
        .path = entry->path,
        .target = entry->target,
        .mode = entry->mode,
        .uid = entry->uid,
        .gid = entry->gid,
        .mtime = entry->mtime,
        .mtime_ns = entry->mtime_ns,
        .major = entry->major,
        .minor = entry->minor,
        .size = entry->size <= INT64_MAX / 2 ? entry->size : 0,
        .xattrs = entry->xattrs,
        .xattr_count = entry->xattr_count,
    };
    if (ov_tar_write_header(&item, &out, NULL) == OV_ERR_LIMIT)
        return;
    struct input input = {ov_buf_view(&out), SIZE_MAX};
    const struct ov_stream stream = {&input, read_input};
    struct ov_tar_entry again;
    FUZZ_OK(ov_tar_reader_open(&stream, "again", &reader, NULL));
    FUZZ_OK(ov_tar_reader_next(reader, &again, NULL));
    FUZZ_CHECK(again.kind == entry->kind && again.is_link == entry->is_link);
    FUZZ_CHECK(memcmp(again.path.data, entry->path.data, entry->path.len) == 0);
    FUZZ_CHECK(again.path.len - entry->path.len <= (entry->kind == OV_NODE_DIRECTORY));
    FUZZ_CHECK(ov_bytes_equal(again.target, entry->target));
    FUZZ_CHECK(again.mode == (entry->kind == OV_NODE_SYMLINK ? 0777 : entry->mode));
    FUZZ_CHECK(again.uid == entry->uid && again.gid == entry->gid && again.size == item.size);
    FUZZ_CHECK(again.mtime == entry->mtime && again.mtime_ns == entry->mtime_ns);
    FUZZ_CHECK(again.major == entry->major && again.minor == entry->minor);
    FUZZ_CHECK(again.xattr_count == entry->xattr_count);
    for (size_t i = 0; i < again.xattr_count; i++) {
        FUZZ_CHECK(ov_bytes_equal(again.xattrs[i].name, entry->xattrs[i].name));
        FUZZ_CHECK(ov_bytes_equal(again.xattrs[i].value, entry->xattrs[i].value));
    }
}

/* What one way of reading gives. */
struct result {
    enum ov_status status;
    size_t entries;
};

/* The next bytes that came out are these of the archive. */
static void check_next(const struct ov_buf *archive, size_t *at, struct ov_bytes bytes)
{
    FUZZ_CHECK(bytes.len <= archive->len - *at);
    FUZZ_CHECK(bytes.len == 0 || memcmp(archive->data + *at, bytes.data, bytes.len) == 0);
    *at += bytes.len;
}

static enum ov_status read_contents(struct ov_tar_reader *reader, const struct ov_tar_entry *entry,
                                    const struct ov_buf *archive, size_t *at)
{
    struct ov_tar_piece piece;
    uint64_t size = 0, stored = 0;
    enum ov_status status;
    while ((status = ov_tar_reader_read(reader, &piece, NULL)) == OV_OK) {
        FUZZ_CHECK(piece.len);
        size += piece.len;
        if (!piece.data)
            continue;
        FUZZ_CHECK(piece.len <= (1 << 20));
        check_next(archive, at, ov_bytes_of(piece.data, (size_t)piece.len));
        stored += piece.len;
    }
    FUZZ_CHECK(status < 0 || (size == entry->size && stored == entry->stored_size));
    return status;
}

static struct result read_archive(const struct ov_buf *archive, size_t step, bool reads)
{
    OV_AUTO(ov_tar_reader_close_auto) struct ov_tar_reader *reader = NULL;
    struct input input = {ov_buf_view(archive), step};
    const struct ov_stream stream = {&input, read_input};
    struct result result = {0};
    struct ov_tar_entry entry;
    struct ov_bytes rest;
    size_t at = 0;
    FUZZ_OK(ov_tar_reader_open(&stream, "input", &reader, NULL));
    while ((result.status = ov_tar_reader_next(reader, &entry, NULL)) == OV_OK) {
        result.entries++;
        check_entry(&entry);
        check_next(archive, &at, entry.before);
        FUZZ_CHECK(ov_tar_reader_offset(reader) == at);
        if (!reads) {
            if (result.entries <= WRITTEN_MAX)
                write_and_read(&entry);
            at += entry.stored_size <= archive->len - at ? (size_t)entry.stored_size : 0;
            continue;
        }
        result.status = read_contents(reader, &entry, archive, &at);
        if (result.status < 0)
            break;
    }
    if (result.status < 0)
        return result;
    while ((result.status = ov_tar_reader_rest(reader, &rest, NULL)) == OV_OK)
        check_next(archive, &at, rest);
    FUZZ_CHECK(result.status == OV_END && at == archive->len);
    FUZZ_CHECK(ov_tar_reader_offset(reader) == at);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf archive = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    size_t step = (size_t)fuzz_take_byte(&input) * 7 + 1;
    make_archive(input, &archive);
    struct result whole = read_archive(&archive, SIZE_MAX, true);
    struct result steps = read_archive(&archive, step, true);
    struct result passed = read_archive(&archive, SIZE_MAX, false);
    FUZZ_CHECK(whole.status == steps.status && whole.status == passed.status);
    FUZZ_CHECK(whole.entries == steps.entries && whole.entries == passed.entries);
    return 0;
}
