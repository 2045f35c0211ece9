#include "repo/image/tar_internal.h"

#include <stdlib.h>

#define WINDOW_SIZE ((size_t)1 << 20)

/* What extension headers said of the entry they precede. */
enum {
    SEEN_PAX = 1,
    SEEN_LONG_NAME = 2,
    SEEN_LONG_TARGET = 4,
};

struct ov_tar_reader {
    struct ov_stream stream;
    char *what;
    uint8_t *window; /* what was read ahead: bytes at .. end */
    size_t at, end;
    uint64_t taken;       /* bytes of the archive before window[at] */
    struct ov_buf before; /* of the entry, or of the end */
    struct ov_arena arena;
    struct ov_tar_pax global;
    /* The current entry. */
    unsigned seen;
    struct ov_tar_pax pax;
    struct ov_bytes long_name, long_target;
    struct ov_tar_xattr_list xattrs;
    struct ov_tar_map map;
    struct ov_tar_place place; /* of the header block being obeyed */
    /* Its contents. */
    uint64_t stored_left;
    uint64_t size, position;
    size_t range;
    size_t padding;
    bool is_over; /* the end was found */
    bool before_is_given;
};

enum ov_status ov_tar_reader_open(const struct ov_stream *stream, const char *what,
                                  struct ov_tar_reader **out, struct ov_error *err)
{
    OV_AUTO(ov_tar_reader_close_auto) struct ov_tar_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return ov_fail_no_memory(err);
    reader->stream = *stream;
    reader->what = strdup(what);
    reader->window = malloc(WINDOW_SIZE);
    if (!reader->what || !reader->window)
        return ov_fail_no_memory(err);
    reader->place.what = reader->what;
    *out = ov_steal(reader);
    return OV_OK;
}

void ov_tar_reader_close(struct ov_tar_reader *reader)
{
    if (!reader)
        return;
    ov_buf_release(&reader->before);
    ov_arena_release(&reader->arena);
    free(reader->xattrs.items);
    free(reader->map.ranges);
    free(reader->window);
    free(reader->what);
    free(reader);
}

uint64_t ov_tar_reader_offset(const struct ov_tar_reader *reader)
{
    return reader->taken;
}

/* ---- Bytes ---- */

static enum ov_status fail(const struct ov_tar_reader *reader, enum ov_status status,
                           const char *text, struct ov_error *err)
{
    return ov_tar_fail(&reader->place, status, text, err);
}

/* The archive ends where more must come. */
static enum ov_status fail_cut(struct ov_tar_reader *reader, struct ov_error *err)
{
    reader->place.offset = reader->taken;
    return fail(reader, OV_ERR_CORRUPT, "the archive is cut off", err);
}

/* Makes sure that the window is not empty. OV_END: the stream is over. */
static enum ov_status fill(struct ov_tar_reader *reader, struct ov_error *err)
{
    size_t got;
    if (reader->at < reader->end)
        return OV_OK;
    reader->at = reader->end = 0;
    OV_TRY(ov_stream_read(&reader->stream, reader->window, WINDOW_SIZE, &got, err));
    if (got > INT64_MAX - reader->taken)
        return fail(reader, OV_ERR_CORRUPT, "an archive of more than 2^63 bytes", err);
    reader->end = got;
    return got ? OV_OK : OV_END;
}

/* Up to `most` bytes of the window, which is not empty. */
static struct ov_bytes take_some(struct ov_tar_reader *reader, uint64_t most)
{
    size_t len = reader->end - reader->at;
    if (len > most)
        len = (size_t)most;
    struct ov_bytes out = ov_bytes_of(reader->window + reader->at, len);
    reader->at += len;
    reader->taken += len;
    return out;
}

/* Adds up to `len` bytes to `before`; *got is less where the stream ends. */
static enum ov_status take_before(struct ov_tar_reader *reader, size_t len, size_t *got,
                                  struct ov_error *err)
{
    *got = 0;
    if (len > OV_TAR_BEFORE_MAX - reader->before.len)
        return fail(reader, OV_ERR_LIMIT, "too many headers of one entry", err);
    while (*got < len) {
        enum ov_status status = fill(reader, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        struct ov_bytes piece = take_some(reader, len - *got);
        OV_TRY(ov_buf_append(&reader->before, piece.data, piece.len, err));
        *got += piece.len;
    }
    return OV_OK;
}

/* *block is valid until `before` grows. OV_END: the stream is over. */
static enum ov_status take_block(struct ov_tar_reader *reader, const uint8_t **block,
                                 struct ov_error *err)
{
    size_t got;
    uint64_t offset = reader->taken;
    OV_TRY(take_before(reader, OV_TAR_BLOCK, &got, err));
    if (got == 0)
        return OV_END;
    if (got < OV_TAR_BLOCK)
        return fail_cut(reader, err);
    reader->place.offset = offset;
    *block = reader->before.data + reader->before.len - OV_TAR_BLOCK;
    return OV_OK;
}

/* A block that must come. */
static enum ov_status need_block(struct ov_tar_reader *reader, const uint8_t **block,
                                 struct ov_error *err)
{
    enum ov_status status = take_block(reader, block, err);
    return status == OV_END ? fail_cut(reader, err) : status;
}

/* ---- Extension headers ---- */

/* The contents of an extension header; valid until `before` grows. */
static enum ov_status take_extension(struct ov_tar_reader *reader, uint64_t size,
                                     struct ov_bytes *out, struct ov_error *err)
{
    size_t got;
    if (size > OV_TAR_EXTENSION_MAX)
        return fail(reader, OV_ERR_LIMIT, "an extended header that is too large", err);
    size_t padded = ((size_t)size + OV_TAR_BLOCK - 1) & ~(OV_TAR_BLOCK - 1);
    OV_TRY(take_before(reader, padded, &got, err));
    if (got < padded)
        return fail_cut(reader, err);
    *out = (struct ov_bytes){0};
    if (padded)
        *out = ov_bytes_of(reader->before.data + reader->before.len - padded, (size_t)size);
    return OV_OK;
}

static enum ov_status take_long(struct ov_tar_reader *reader, uint64_t size, struct ov_bytes *out,
                                struct ov_error *err)
{
    struct ov_bytes text;
    OV_TRY(take_extension(reader, size, &text, err));
    if (text.len)
        text = ov_tar_text(text.data, text.len);
    if (text.len == 0)
        return fail(reader, OV_ERR_CORRUPT, "an empty long name", err);
    return ov_arena_copy(&reader->arena, text, out, err);
}

static enum ov_status take_pax(struct ov_tar_reader *reader, uint64_t size, struct ov_error *err)
{
    const struct ov_tar_pax_target target = {&reader->pax, &reader->xattrs, &reader->map,
                                             &reader->arena};
    struct ov_bytes records;
    OV_TRY(take_extension(reader, size, &records, err));
    return ov_tar_pax_parse(&target, records, &reader->place, err);
}

static enum ov_status take_global(struct ov_tar_reader *reader, uint64_t size, struct ov_error *err)
{
    const struct ov_tar_pax_target target = {.pax = &reader->global};
    struct ov_bytes records;
    if (reader->seen)
        return fail(reader, OV_ERR_CORRUPT, "a global header between an entry and its own", err);
    OV_TRY(take_extension(reader, size, &records, err));
    OV_TRY(ov_tar_pax_parse(&target, records, &reader->place, err));
    reader->pax = reader->global;
    return OV_OK;
}

/* OV_END: this header is no extension. */
static enum ov_status obey_extension(struct ov_tar_reader *reader,
                                     const struct ov_tar_header *header, struct ov_error *err)
{
    unsigned seen = header->type == 'x'   ? SEEN_PAX
                    : header->type == 'L' ? SEEN_LONG_NAME
                    : header->type == 'K' ? SEEN_LONG_TARGET
                                          : 0;
    if (header->type == 'g')
        return take_global(reader, header->size, err);
    if (!seen)
        return OV_END;
    if (reader->seen & seen)
        return fail(reader, OV_ERR_CORRUPT, "two extended headers of a kind for one entry", err);
    reader->seen |= seen;
    if (seen == SEEN_PAX)
        return take_pax(reader, header->size, err);
    return take_long(reader, header->size,
                     seen == SEEN_LONG_NAME ? &reader->long_name : &reader->long_target, err);
}

/* ---- Entries ---- */

static bool has(const struct ov_tar_reader *reader, enum ov_tar_key key)
{
    return reader->pax.has & OV_TAR_BIT(key);
}

/*
 * The text of an entry that extensions may have given. Readers disagree on which of two extensions
 * counts, so that there can be only one.
 */
static enum ov_status choose_text(struct ov_tar_reader *reader, enum ov_tar_key key,
                                  struct ov_bytes long_text, struct ov_bytes *out,
                                  struct ov_error *err)
{
    *out = long_text;
    if (!has(reader, key))
        return OV_OK;
    *out = reader->pax.texts[key];
    if (long_text.len && !ov_bytes_equal(long_text, *out))
        return fail(reader, OV_ERR_CORRUPT, "a GNU and a pax header that disagree", err);
    return OV_OK;
}

static enum ov_status set_path(struct ov_tar_reader *reader, const struct ov_tar_header *header,
                               struct ov_tar_entry *out, struct ov_error *err)
{
    OV_TRY(choose_text(reader, OV_TAR_PATH, reader->long_name, &out->path, err));
    if (has(reader, OV_TAR_SPARSE_NAME))
        out->path = reader->pax.texts[OV_TAR_SPARSE_NAME];
    if (out->path.len)
        return OV_OK;
    if (header->prefix.len == 0 && header->name.len == 0)
        return fail(reader, OV_ERR_CORRUPT, "an entry without a name", err);
    if (header->prefix.len == 0)
        return ov_arena_copy(&reader->arena, header->name, &out->path, err);
    size_t len = header->prefix.len + 1 + header->name.len;
    uint8_t *path = ov_arena_alloc(&reader->arena, len + 1);
    if (!path)
        return ov_fail_no_memory(err);
    memcpy(path, header->prefix.data, header->prefix.len);
    path[header->prefix.len] = '/';
    memcpy(path + header->prefix.len + 1, header->name.data, header->name.len);
    path[len] = '\0';
    out->path = ov_bytes_of(path, len);
    return OV_OK;
}

static enum ov_status set_target(struct ov_tar_reader *reader, const struct ov_tar_header *header,
                                 struct ov_tar_entry *out, struct ov_error *err)
{
    if (!out->is_link && out->kind != OV_NODE_SYMLINK)
        return OV_OK;
    OV_TRY(choose_text(reader, OV_TAR_TARGET, reader->long_target, &out->target, err));
    if (out->target.len)
        return OV_OK;
    if (header->target.len == 0)
        return fail(reader, OV_ERR_CORRUPT, "a link without a target", err);
    return ov_arena_copy(&reader->arena, header->target, &out->target, err);
}

static enum ov_status set_kind(struct ov_tar_reader *reader, const struct ov_tar_header *header,
                               struct ov_tar_entry *out, struct ov_error *err)
{
    switch (header->type) {
    case '\0': /* of old archives: that a name ends in '/' is how they tell directories */
        out->kind = out->path.data[out->path.len - 1] == '/' ? OV_NODE_DIRECTORY : OV_NODE_REGULAR;
        return OV_OK;
    case 'S':
        if (header->dialect != OV_TAR_GNU)
            return fail(reader, OV_ERR_CORRUPT, "a sparse file that is not GNU's", err);
        out->kind = OV_NODE_REGULAR;
        return OV_OK;
    case '0':
    case '7':
        out->kind = OV_NODE_REGULAR;
        return OV_OK;
    case '1':
        out->is_link = true;
        return OV_OK;
    case '2':
        out->kind = OV_NODE_SYMLINK;
        return OV_OK;
    case '3':
        out->kind = OV_NODE_CHARACTER_DEVICE;
        return OV_OK;
    case '4':
        out->kind = OV_NODE_BLOCK_DEVICE;
        return OV_OK;
    case '5':
        out->kind = OV_NODE_DIRECTORY;
        return OV_OK;
    case '6':
        out->kind = OV_NODE_FIFO;
        return OV_OK;
    default:
        return fail(reader, OV_ERR_UNSUPPORTED, "an entry of a type that is not known", err);
    }
}

static void set_numbers(const struct ov_tar_reader *reader, const struct ov_tar_header *header,
                        struct ov_tar_entry *out)
{
    const struct ov_tar_pax *pax = &reader->pax;
    const uint64_t *numbers = pax->numbers;
    out->mode = header->mode;
    out->uid = has(reader, OV_TAR_UID) ? (uint32_t)numbers[OV_TAR_UID] : header->uid;
    out->gid = has(reader, OV_TAR_GID) ? (uint32_t)numbers[OV_TAR_GID] : header->gid;
    out->mtime = has(reader, OV_TAR_MTIME) ? pax->mtime : header->mtime;
    out->mtime_ns = has(reader, OV_TAR_MTIME) ? pax->mtime_ns : 0;
    if (out->kind == OV_NODE_CHARACTER_DEVICE || out->kind == OV_NODE_BLOCK_DEVICE) {
        out->major = has(reader, OV_TAR_MAJOR) ? (uint32_t)numbers[OV_TAR_MAJOR] : header->major;
        out->minor = has(reader, OV_TAR_MINOR) ? (uint32_t)numbers[OV_TAR_MINOR] : header->minor;
    }
}

/* ---- Sparse files ---- */

/* offset: of the header block in `before`. */
static enum ov_status set_old_sparse(struct ov_tar_reader *reader, size_t offset,
                                     struct ov_tar_entry *out, struct ov_error *err)
{
    enum { ENTRIES = 386, IS_EXTENDED = 482, REAL_SIZE = 483, MORE_IS_EXTENDED = 504 };
    const uint8_t *block = reader->before.data + offset;
    bool is_extended = block[IS_EXTENDED] != 0;
    int64_t size;
    if (reader->pax.has & OV_TAR_SPARSE_BITS)
        return fail(reader, OV_ERR_CORRUPT, "two sparse maps for one file", err);
    if (!ov_tar_number_parse(block + REAL_SIZE, 12, &size) || size < 0)
        return fail(reader, OV_ERR_CORRUPT, "bad size of a sparse file", err);
    OV_TRY(ov_tar_map_add_old(&reader->map, block + ENTRIES, 4, &reader->place, err));
    while (is_extended) {
        OV_TRY(need_block(reader, &block, err));
        is_extended = block[MORE_IS_EXTENDED] != 0;
        OV_TRY(ov_tar_map_add_old(&reader->map, block, 21, &reader->place, err));
    }
    out->size = (uint64_t)size;
    return OV_OK;
}

/* The map that is the first part of the contents. */
static enum ov_status take_map(struct ov_tar_reader *reader, struct ov_tar_entry *out,
                               struct ov_error *err)
{
    struct ov_tar_map_reader map_reader = {0};
    enum ov_status status = OV_OK;
    if (reader->map.count || has(reader, OV_TAR_SPARSE_MAP))
        return fail(reader, OV_ERR_CORRUPT, "two sparse maps for one file", err);
    while (status == OV_OK) {
        const uint8_t *block;
        if (out->stored_size < OV_TAR_BLOCK)
            return fail(reader, OV_ERR_CORRUPT, "a sparse map that is cut off", err);
        OV_TRY(need_block(reader, &block, err));
        out->stored_size -= OV_TAR_BLOCK;
        status = ov_tar_map_take_block(&reader->map, &map_reader, block, &reader->place, err);
        OV_TRY(status);
    }
    return OV_OK;
}

static enum ov_status set_pax_sparse(struct ov_tar_reader *reader, struct ov_tar_entry *out,
                                     struct ov_error *err)
{
    const uint64_t *numbers = reader->pax.numbers;
    uint64_t major =
        has(reader, OV_TAR_SPARSE_VERSION_MAJOR) ? numbers[OV_TAR_SPARSE_VERSION_MAJOR] : 0;
    uint64_t minor =
        has(reader, OV_TAR_SPARSE_VERSION_MINOR) ? numbers[OV_TAR_SPARSE_VERSION_MINOR] : 0;
    enum ov_tar_key key =
        has(reader, OV_TAR_SPARSE_SIZE) ? OV_TAR_SPARSE_SIZE : OV_TAR_SPARSE_REAL_SIZE;
    if (major > 1 || (major == 0 && minor > 1) || (major == 1 && minor > 0))
        return fail(reader, OV_ERR_UNSUPPORTED, "a sparse file of an unknown version", err);
    if (!has(reader, key))
        return fail(reader, OV_ERR_CORRUPT, "a sparse file without a size", err);
    if (has(reader, OV_TAR_SPARSE_REAL_SIZE) && numbers[key] != numbers[OV_TAR_SPARSE_REAL_SIZE])
        return fail(reader, OV_ERR_CORRUPT, "a sparse file of two sizes", err);
    out->size = numbers[key];
    if (major == 1)
        OV_TRY(take_map(reader, out, err));
    else if (reader->map.count == 0 && !has(reader, OV_TAR_SPARSE_COUNT))
        return fail(reader, OV_ERR_CORRUPT, "a sparse file without a map", err);
    if (has(reader, OV_TAR_SPARSE_COUNT) && numbers[OV_TAR_SPARSE_COUNT] != reader->map.count)
        return fail(reader, OV_ERR_CORRUPT, "a sparse map of another length than said", err);
    return OV_OK;
}

/* offset: of the header block in `before`. */
static enum ov_status set_contents(struct ov_tar_reader *reader, uint64_t header_size, bool is_old,
                                   size_t offset, struct ov_tar_entry *out, struct ov_error *err)
{
    bool is_sparse = is_old || reader->pax.has & OV_TAR_SPARSE_BITS;
    if (out->kind != OV_NODE_REGULAR) {
        if (is_sparse)
            return fail(reader, OV_ERR_CORRUPT, "a sparse map of what is no regular file", err);
        return OV_OK;
    }
    out->stored_size = has(reader, OV_TAR_SIZE) ? reader->pax.numbers[OV_TAR_SIZE] : header_size;
    uint64_t stored = out->stored_size;
    if (is_old)
        OV_TRY(set_old_sparse(reader, offset, out, err));
    else if (is_sparse)
        OV_TRY(set_pax_sparse(reader, out, err));
    else
        out->size = out->stored_size;
    if (!is_sparse && out->size)
        OV_TRY(ov_tar_map_add(&reader->map, 0, out->size, &reader->place, err));
    OV_TRY(ov_tar_map_check(&reader->map, out->size, out->stored_size, &reader->place, err));
    if (out->stored_size > INT64_MAX - reader->taken)
        return fail(reader, OV_ERR_CORRUPT, "an archive of more than 2^63 bytes", err);
    reader->padding = (size_t)(-stored & (OV_TAR_BLOCK - 1));
    reader->stored_left = out->stored_size;
    reader->size = out->size;
    return OV_OK;
}

static enum ov_status make_entry(struct ov_tar_reader *reader, const struct ov_tar_header *header,
                                 size_t offset, struct ov_tar_entry *out, struct ov_error *err)
{
    struct ov_tar_entry entry = {0};
    OV_TRY(set_path(reader, header, &entry, err));
    OV_TRY(set_kind(reader, header, &entry, err));
    OV_TRY(set_target(reader, header, &entry, err));
    set_numbers(reader, header, &entry);
    OV_TRY(ov_tar_xattrs_unite(&reader->xattrs, err));
    entry.xattrs = reader->xattrs.items;
    entry.xattr_count = reader->xattrs.count;
    /* From here on the views of `header` may move. */
    OV_TRY(set_contents(reader, header->size, header->type == 'S', offset, &entry, err));
    entry.before = ov_buf_view(&reader->before);
    *out = entry;
    return OV_OK;
}

/* ---- The archive ---- */

/* Passes over contents that nobody read. */
static enum ov_status pass_over(struct ov_tar_reader *reader, struct ov_error *err)
{
    while (reader->stored_left) {
        enum ov_status status = fill(reader, err);
        OV_TRY(status);
        if (status == OV_END)
            return fail_cut(reader, err);
        reader->stored_left -= take_some(reader, reader->stored_left).len;
    }
    return OV_OK;
}

static enum ov_status begin_entry(struct ov_tar_reader *reader, struct ov_error *err)
{
    size_t got;
    OV_TRY(pass_over(reader, err));
    ov_buf_clear(&reader->before);
    ov_arena_clear(&reader->arena);
    reader->seen = 0;
    reader->pax = reader->global;
    reader->long_name = reader->long_target = (struct ov_bytes){0};
    reader->xattrs.count = 0;
    reader->map.count = 0;
    reader->size = reader->position = 0;
    reader->range = 0;
    /* Writers that were not closed leave out the last padding: the next block says whether. */
    OV_TRY(take_before(reader, reader->padding, &got, err));
    reader->padding = 0;
    return OV_OK;
}

/* After a block of zeros, or none. */
static enum ov_status end(struct ov_tar_reader *reader, bool is_marked, struct ov_error *err)
{
    const uint8_t *block;
    if (reader->seen)
        return fail(reader, OV_ERR_CORRUPT, "an extended header without an entry", err);
    if (is_marked) {
        enum ov_status status = take_block(reader, &block, err);
        OV_TRY(status);
        if (status == OV_OK && !ov_tar_block_is_zero(block))
            return fail(reader, OV_ERR_CORRUPT, "a lone block of zeros", err);
    }
    reader->is_over = true;
    return OV_END;
}

enum ov_status ov_tar_reader_next(struct ov_tar_reader *reader, struct ov_tar_entry *out,
                                  struct ov_error *err)
{
    if (reader->is_over)
        return OV_END;
    OV_TRY(begin_entry(reader, err));
    for (;;) {
        struct ov_tar_header header;
        const uint8_t *block;
        enum ov_status status = take_block(reader, &block, err);
        OV_TRY(status);
        if (status == OV_END || ov_tar_block_is_zero(block))
            return end(reader, status == OV_OK, err);
        OV_TRY(ov_tar_header_decode(block, &reader->place, &header, err));
        status = obey_extension(reader, &header, err);
        OV_TRY(status);
        if (status == OV_END)
            return make_entry(reader, &header, (size_t)(block - reader->before.data), out, err);
    }
}

enum ov_status ov_tar_reader_read(struct ov_tar_reader *reader, struct ov_tar_piece *out,
                                  struct ov_error *err)
{
    const struct ov_tar_map *map = &reader->map;
    if (reader->position == reader->size)
        return OV_END;
    while (reader->range < map->count &&
           map->ranges[reader->range].offset + map->ranges[reader->range].len <= reader->position)
        reader->range++;
    const struct ov_tar_range *range =
        reader->range < map->count ? &map->ranges[reader->range] : NULL;
    uint64_t data_at = range ? range->offset : reader->size;
    if (reader->position < data_at) {
        *out = (struct ov_tar_piece){NULL, data_at - reader->position};
    } else {
        enum ov_status status = fill(reader, err);
        OV_TRY(status);
        if (status == OV_END)
            return fail_cut(reader, err);
        struct ov_bytes piece = take_some(reader, range->offset + range->len - reader->position);
        *out = (struct ov_tar_piece){piece.data, piece.len};
        reader->stored_left -= piece.len;
    }
    reader->position += out->len;
    return OV_OK;
}

enum ov_status ov_tar_reader_rest(struct ov_tar_reader *reader, struct ov_bytes *out,
                                  struct ov_error *err)
{
    if (!reader->before_is_given) {
        reader->before_is_given = true;
        *out = ov_buf_view(&reader->before);
        if (out->len)
            return OV_OK;
    }
    enum ov_status status = fill(reader, err);
    if (status == OV_OK)
        *out = take_some(reader, UINT64_MAX);
    return status;
}
