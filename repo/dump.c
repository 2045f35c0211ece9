#include "repo/dump.h"

#include "engine/base/arena.h"
#include "engine/base/map.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <wchar.h>

#define ZERO_RUN 65536
#define PENDING_MAX ((size_t)256 << 10)

/* ---- Contents ---- */

static enum ov_status write_zeros(const struct ov_sink *sink, uint64_t length,
                                  const struct ov_report *report, struct ov_error *err)
{
    static const uint8_t zeros[ZERO_RUN];
    while (length) {
        size_t step = length < sizeof(zeros) ? (size_t)length : sizeof(zeros);
        OV_TRY(ov_report_poll(report, err));
        OV_TRY(ov_sink_write(sink, zeros, step, err));
        length -= step;
    }
    return OV_OK;
}

static enum ov_status write_extents(struct ov_tree *tree, const struct ov_node *node,
                                    const struct ov_sink *sink, const struct ov_report *report,
                                    struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf chunk = {0};
    const struct ov_object_source source = ov_tree_source(tree->objects);
    struct ov_sequence_item item;
    struct ov_extent before, extent;
    uint64_t left = node->size;
    bool is_first = true;
    enum ov_status status;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &node->extents, &source, "contents",
                                   &reader, err));
    while ((status = ov_sequence_reader_next(reader, &item, err)) == OV_OK) {
        OV_TRY(ov_extent_decode(item.bytes, is_first ? NULL : &before, &extent, "contents", err));
        if (extent.length > left)
            return ov_fail(err, OV_ERR_CORRUPT, "contents: more than the file's size");
        left -= extent.length;
        OV_TRY(ov_report_poll(report, err));
        if (extent.is_zero) {
            OV_TRY(write_zeros(sink, extent.length, report, err));
        } else {
            OV_TRY(ov_objects_load(tree->objects, OV_KIND_DATA, &extent.id, &chunk, err));
            if (chunk.len != extent.length)
                return ov_fail(err, OV_ERR_CORRUPT, "contents: chunk %s is not as long as said",
                               ov_id_hex(&extent.id).text);
            OV_TRY(ov_sink_write(sink, chunk.data, chunk.len, err));
        }
        before = extent;
        is_first = false;
    }
    OV_TRY(status);
    if (left)
        return ov_fail(err, OV_ERR_CORRUPT, "contents: less than the file's size");
    return OV_OK;
}

enum ov_status ov_dump_file(struct ov_tree *tree, const struct ov_node *node,
                            const struct ov_sink *sink, const struct ov_report *report,
                            struct ov_error *err)
{
    if (node->kind != OV_NODE_REGULAR)
        return ov_fail(err, OV_ERR_INVALID, "a %s has no contents to write",
                       ov_node_kind_name(node->kind));
    if (node->contents.len)
        return ov_sink_write(sink, node->contents.data, node->contents.len, err);
    return write_extents(tree, node, sink, report, err);
}

/* ---- Archives ---- */

/*
 * libarchive says in every header of an archive whether names are UTF-8 or just bytes; other tars
 * know only the first. So there are two writers into one stream, and the second serves the names
 * that are no UTF-8. Only the first one writes the end.
 */
enum writer {
    WRITER_TEXT,
    WRITER_BYTES,
    WRITERS,
};

struct tar {
    struct ov_tree *tree;
    const struct ov_sink *sink;
    const struct ov_report *report;
    struct ov_dump_result *result;
    locale_t utf8; /* 0: there is no such locale */
    struct archive *writers[WRITERS];
    struct archive *archive; /* that of the entry being written */
    struct archive_entry *entry;
    struct ov_bytes start;
    const char *path;           /* being written */
    struct ov_buf pending;      /* on its way to the sink */
    bool is_over;               /* nothing more is to be written */
    struct ov_error sink_error; /* what went wrong inside libarchive's call */
    struct ov_map outside;      /* leaders outside of `start` → index in firsts */
    struct ov_bytes *firsts;    /* where such a group was first met */
    size_t first_count, first_capacity;
    struct ov_arena names;
    struct ov_buf target; /* of a hard link, with a NUL */
};

/* Freeing an archive that was not closed would write its end. */
static void tar_release(struct tar *tar)
{
    tar->is_over = true;
    archive_entry_free(tar->entry);
    for (size_t i = 0; i < WRITERS; i++)
        archive_write_free(tar->writers[i]);
    if (tar->utf8)
        freelocale(tar->utf8);
    ov_buf_release(&tar->pending);
    ov_map_release(&tar->outside);
    ov_arena_release(&tar->names);
    ov_buf_release(&tar->target);
    free(tar->firsts);
}

static enum ov_status flush(struct tar *tar, struct ov_error *err)
{
    enum ov_status status = OV_OK;
    if (tar->pending.len)
        status = ov_sink_write(tar->sink, tar->pending.data, tar->pending.len, err);
    ov_buf_clear(&tar->pending);
    return status;
}

static enum ov_status put(struct tar *tar, const void *data, size_t len, struct ov_error *err)
{
    OV_TRY(ov_buf_append(&tar->pending, data, len, err));
    return tar->pending.len >= PENDING_MAX ? flush(tar, err) : OV_OK;
}

static la_ssize_t on_write(struct archive *archive, void *context, const void *data, size_t len)
{
    struct tar *tar = context;
    if (tar->is_over || tar->sink_error.status != OV_OK)
        return -1;
    if (put(tar, data, len, &tar->sink_error) == OV_OK)
        return (la_ssize_t)len;
    archive_set_error(archive, EIO, "%s", tar->sink_error.message);
    return -1;
}

/* What a call of libarchive comes to. A warning means that something would be missing. */
static enum ov_status check(struct tar *tar, int result, struct ov_error *err)
{
    if (result == ARCHIVE_OK)
        return OV_OK;
    if (tar->sink_error.status != OV_OK) {
        if (err)
            *err = tar->sink_error;
        return tar->sink_error.status;
    }
    const char *message = archive_error_string(tar->archive);
    return ov_fail(err, archive_errno(tar->archive) == ENOMEM ? OV_ERR_NO_MEMORY : OV_ERR_LIMIT,
                   "%.200s cannot be put into a tar archive: %.300s", tar->path,
                   message ? message : "libarchive does not say why");
}

static enum ov_status tar_open(struct tar *tar, struct ov_error *err)
{
    tar->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    tar->entry = archive_entry_new();
    if (!tar->entry)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < WRITERS; i++) {
        struct archive *archive = tar->archive = tar->writers[i] = archive_write_new();
        if (!archive)
            return ov_fail_no_memory(err);
        OV_TRY(check(tar, archive_write_set_format_pax(archive), err));
        /* By default xattrs are written twice. */
        OV_TRY(check(tar, archive_write_set_options(archive, "xattrheader=SCHILY"), err));
        if (i == WRITER_BYTES)
            OV_TRY(check(tar, archive_write_set_options(archive, "hdrcharset=BINARY"), err));
        OV_TRY(check(tar, archive_write_set_bytes_per_block(archive, 0), err));
        OV_TRY(check(tar, archive_write_open(archive, tar, NULL, on_write, NULL), err));
    }
    return OV_OK;
}

/* Whether a name is UTF-8: in that locale, which is in use. */
static bool is_text(const struct tar *tar, const char *name)
{
    mbstate_t state = {0};
    bool is_ascii = true;
    for (const char *c = name; *c; c++)
        is_ascii = is_ascii && (unsigned char)*c < 0x80;
    return is_ascii || (tar->utf8 && mbsrtowcs(NULL, &name, 0, &state) != (size_t)-1);
}

static enum ov_status on_contents(void *context, const void *data, size_t len, struct ov_error *err)
{
    struct tar *tar = context;
    tar->result->bytes += len;
    la_ssize_t wrote = archive_write_data(tar->archive, data, len);
    if (wrote == (la_ssize_t)len)
        return OV_OK;
    OV_TRY(check(tar, wrote < 0 ? (int)wrote : ARCHIVE_FATAL, err));
    return OV_OK;
}

static enum ov_status add_xattrs(struct tar *tar, const struct ov_node *node, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf value = {0};
    OV_AUTO(ov_buf_release) struct ov_buf name = {0};
    const struct ov_object_source source = ov_tree_source(tar->tree->objects);
    struct ov_sequence_item item;
    struct ov_xattr xattr;
    size_t total = 0;
    enum ov_status status;
    if (ov_sequence_is_empty(&node->xattrs))
        return OV_OK;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_XATTRS, &node->xattrs, &source, "xattrs", &reader,
                                   err));
    while ((status = ov_sequence_reader_next(reader, &item, err)) == OV_OK) {
        OV_TRY(ov_xattr_decode(item.bytes, &xattr, "xattrs", err));
        ov_buf_clear(&name);
        OV_TRY(ov_buf_append(&name, xattr.name.data, xattr.name.len, err));
        OV_TRY(ov_buf_append(&name, "", 1, err));
        if (xattr.is_chunk) {
            OV_TRY(ov_objects_load(tar->tree->objects, OV_KIND_DATA, &xattr.id, &value, err));
            if (value.len != xattr.length)
                return ov_fail(err, OV_ERR_CORRUPT, "xattrs: chunk %s is not as long as said",
                               ov_id_hex(&xattr.id).text);
            xattr.value = ov_buf_view(&value);
        }
        total += name.len + xattr.value.len;
        if (total > OV_DUMP_XATTRS_MAX)
            return ov_fail(err, OV_ERR_LIMIT, "%.200s has more xattrs than fit into a tar archive",
                           tar->path);
        archive_entry_xattr_add_entry(tar->entry, (const char *)name.data,
                                      xattr.value.len ? (const void *)xattr.value.data : "",
                                      xattr.value.len);
    }
    return status == OV_END ? OV_OK : status;
}

static bool is_below(struct ov_bytes path, struct ov_bytes start)
{
    return start.len == 0 ||
           (path.len >= start.len && memcmp(path.data, start.data, start.len) == 0 &&
            (path.len == start.len || path.data[start.len] == '/'));
}

/*
 * Where in this archive a hard link points to: tar->target; empty when it is no link, or the first
 * of its group here. The leader of a group may lie outside of what is written.
 */
static enum ov_status find_target(struct tar *tar, const struct ov_walk_event *event,
                                  struct ov_error *err)
{
    ov_buf_clear(&tar->target);
    if (event->leader.len == 0)
        return OV_OK;
    struct ov_bytes target = event->leader;
    if (!is_below(event->leader, tar->start)) {
        struct ov_id id;
        uint64_t index;
        ov_hash(NULL, event->leader.data, event->leader.len, &id);
        struct ov_map_key key = {ov_load64(id.bytes), ov_load64(id.bytes + 8)};
        if (!ov_map_get(&tar->outside, key, &index)) {
            OV_TRY(ov_array_grow(&tar->firsts, tar->first_count, &tar->first_capacity,
                                 sizeof(*tar->firsts), err));
            OV_TRY(ov_arena_copy(&tar->names, event->path, &tar->firsts[tar->first_count], err));
            return ov_map_put(&tar->outside, key, tar->first_count++, err);
        }
        target = tar->firsts[index];
    }
    OV_TRY(ov_buf_append(&tar->target, target.data, target.len, err));
    return ov_buf_append(&tar->target, "", 1, err);
}

static mode_t type_of(enum ov_node_kind kind)
{
    switch (kind) {
    case OV_NODE_DIRECTORY:
        return AE_IFDIR;
    case OV_NODE_SYMLINK:
        return AE_IFLNK;
    case OV_NODE_CHARACTER_DEVICE:
        return AE_IFCHR;
    case OV_NODE_BLOCK_DEVICE:
        return AE_IFBLK;
    case OV_NODE_FIFO:
        return AE_IFIFO;
    case OV_NODE_SOCKET:
        return AE_IFSOCK;
    default:
        return AE_IFREG;
    }
}

/*
 * libarchive prints the seconds, a point and the nanoseconds, which for times before 1970 is
 * another time than the decimal number that POSIX means: -1.75 s is given to it as -1 and
 * 750000000. Above -1 s there is no such pair, and the fraction is left out.
 */
static void set_time(struct archive_entry *entry, int64_t seconds, uint32_t ns)
{
    if (seconds < 0 && ns) {
        ns = seconds == -1 ? 0 : 1000000000 - ns;
        seconds += ns != 0;
    }
    archive_entry_set_mtime(entry, (time_t)seconds, (long)ns);
}

/* Fills in tar->entry, all but a hard link's target and the size, and chooses the writer. */
static enum ov_status describe(struct tar *tar, const struct ov_node *node, struct ov_error *err)
{
    struct archive_entry *entry = archive_entry_clear(tar->entry);
    bool are_texts = is_text(tar, tar->path) &&
                     (!tar->target.len || is_text(tar, (const char *)tar->target.data));
    archive_entry_copy_pathname(entry, *tar->path ? tar->path : ".");
    archive_entry_set_filetype(entry, type_of(node->kind));
    archive_entry_set_perm(entry, node->kind == OV_NODE_SYMLINK ? 0777 : (mode_t)node->mode);
    archive_entry_set_uid(entry, node->uid);
    archive_entry_set_gid(entry, node->gid);
    set_time(entry, node->mtime, node->mtime_ns);
    archive_entry_set_size(entry, 0);
    if (node->kind == OV_NODE_CHARACTER_DEVICE || node->kind == OV_NODE_BLOCK_DEVICE) {
        archive_entry_set_rdevmajor(entry, node->major);
        archive_entry_set_rdevminor(entry, node->minor);
    }
    if (node->kind == OV_NODE_SYMLINK) {
        char target[OV_TARGET_MAX + 1];
        memcpy(target, node->target.data, node->target.len);
        target[node->target.len] = '\0';
        archive_entry_copy_symlink(entry, target);
        are_texts = are_texts && is_text(tar, target);
    }
    tar->archive = tar->writers[are_texts ? WRITER_TEXT : WRITER_BYTES];
    return add_xattrs(tar, node, err);
}

static enum ov_status write_object(struct tar *tar, const struct ov_walk_event *event,
                                   struct ov_error *err)
{
    const struct ov_node *node = &event->node;
    struct ov_sink contents = {tar, on_contents};
    struct ov_error problem;
    if (node->kind == OV_NODE_SOCKET) {
        tar->result->left_out++;
        (void)ov_fail(&problem, OV_ERR_UNSUPPORTED, "a tar archive cannot hold a socket");
        ov_report_warn(tar->report, tar->path, &problem);
        return OV_OK;
    }
    OV_TRY(find_target(tar, event, err));
    OV_TRY(describe(tar, node, err));
    bool is_link = tar->target.len > 0;
    bool has_contents = node->kind == OV_NODE_REGULAR && !is_link;
    if (is_link)
        archive_entry_copy_hardlink(tar->entry, (const char *)tar->target.data);
    else if (has_contents && node->size > INT64_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%.200s is too large for a tar archive", tar->path);
    else if (has_contents)
        archive_entry_set_size(tar->entry, (int64_t)node->size);
    OV_TRY(check(tar, archive_write_header(tar->archive, tar->entry), err));
    tar->result->objects++;
    if (has_contents && node->size)
        OV_TRY(ov_dump_file(tar->tree, node, &contents, tar->report, err));
    return check(tar, archive_write_finish_entry(tar->archive), err);
}

static enum ov_status write_all(struct tar *tar, struct ov_walker *walker, struct ov_error *err)
{
    struct ov_walk_event event;
    enum ov_status status;
    while ((status = ov_walker_next(walker, &event, err)) == OV_OK) {
        if (event.kind == OV_WALK_LEAVE)
            continue;
        tar->path = (const char *)event.path.data;
        OV_TRY(ov_report_poll(tar->report, err));
        OV_TRY(write_object(tar, &event, err));
        const struct ov_progress progress = {
            .files = tar->result->objects, .bytes = tar->result->bytes, .current = tar->path};
        ov_report_progress(tar->report, &progress);
    }
    OV_TRY(status);
    tar->path = "the end";
    tar->archive = tar->writers[WRITER_TEXT];
    OV_TRY(check(tar, archive_write_close(tar->archive), err));
    return flush(tar, err);
}

enum ov_status ov_dump_tar(struct ov_tree *tree, struct ov_bytes path, const struct ov_sink *sink,
                           const struct ov_report *report, struct ov_dump_result *result,
                           struct ov_error *err)
{
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    struct ov_dump_result unused = {0};
    OV_AUTO(tar_release)
    struct tar tar = {
        .tree = tree,
        .sink = sink,
        .report = report,
        .result = result ? result : &unused,
        .start = path,
        .path = "",
    };
    OV_TRY(ov_walker_open(tree, path, &walker, err));
    OV_TRY(tar_open(&tar, err));
    locale_t before = uselocale(tar.utf8);
    enum ov_status status = write_all(&tar, walker, err);
    uselocale(before);
    return status;
}
