#include "repo/dump.h"

#include "engine/base/arena.h"
#include "engine/base/map.h"
#include "repo/image/tar_writer.h"

#include <stdlib.h>

#define ZERO_RUN 65536
#define RUN_CHUNKS 32 /* of a file, verified together */
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

/* Chunks of a file that were not written yet, to be loaded together. */
struct run {
    struct ov_tree *tree;
    const struct ov_sink *sink;
    struct ov_wanted wanted[RUN_CHUNKS];
    size_t count;
    struct ov_buf bytes;
};

static void release_run(struct run *run)
{
    ov_buf_release(&run->bytes);
}

static enum ov_status write_run(struct run *run, struct ov_error *err)
{
    size_t count = run->count;
    run->count = 0;
    ov_buf_clear(&run->bytes);
    if (!count)
        return OV_OK;
    enum ov_status status = ov_objects_load_many(run->tree->objects, OV_KIND_DATA, run->wanted,
                                                 count, &run->bytes, err);
    if (status < 0)
        return ov_error_context(err, status, "contents");
    return ov_sink_write(run->sink, run->bytes.data, run->bytes.len, err);
}

static enum ov_status write_extents(struct ov_tree *tree, const struct ov_node *node,
                                    const struct ov_sink *sink, const struct ov_report *report,
                                    struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(release_run) struct run run = {.tree = tree, .sink = sink};
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
        if (extent.is_zero || run.count == RUN_CHUNKS)
            OV_TRY(write_run(&run, err));
        if (extent.is_zero)
            OV_TRY(write_zeros(sink, extent.length, report, err));
        else
            run.wanted[run.count++] = (struct ov_wanted){extent.id, (size_t)extent.length};
        before = extent;
        is_first = false;
    }
    OV_TRY(status);
    OV_TRY(write_run(&run, err));
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

struct tar {
    struct ov_tree *tree;
    const struct ov_sink *sink;
    const struct ov_report *report;
    struct ov_dump_result *result;
    struct ov_bytes start;
    struct ov_buf pending;   /* on its way to the sink */
    struct ov_map outside;   /* leaders outside of `start` → index in firsts */
    struct ov_bytes *firsts; /* where such a group was first met */
    size_t first_count, first_capacity;
    struct ov_arena names;
    struct ov_buf target; /* of a hard link */
    /* Of the object being written: */
    struct ov_arena values;
    struct ov_tar_xattr *xattrs;
    size_t xattr_count, xattr_capacity;
};

static void tar_release(struct tar *tar)
{
    ov_buf_release(&tar->pending);
    ov_map_release(&tar->outside);
    ov_arena_release(&tar->names);
    ov_arena_release(&tar->values);
    ov_buf_release(&tar->target);
    free(tar->firsts);
    free(tar->xattrs);
}

static enum ov_status flush(struct tar *tar, struct ov_error *err)
{
    enum ov_status status = OV_OK;
    if (tar->pending.len)
        status = ov_sink_write(tar->sink, tar->pending.data, tar->pending.len, err);
    ov_buf_clear(&tar->pending);
    return status;
}

static enum ov_status on_contents(void *context, const void *data, size_t len, struct ov_error *err)
{
    struct tar *tar = context;
    tar->result->bytes += len;
    OV_TRY(ov_buf_append(&tar->pending, data, len, err));
    return tar->pending.len >= PENDING_MAX ? flush(tar, err) : OV_OK;
}

static enum ov_status read_xattrs(struct tar *tar, const struct ov_node *node, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf value = {0};
    const struct ov_object_source source = ov_tree_source(tar->tree->objects);
    struct ov_sequence_item item;
    struct ov_xattr xattr;
    enum ov_status status;
    tar->xattr_count = 0;
    ov_arena_clear(&tar->values);
    if (ov_sequence_is_empty(&node->xattrs))
        return OV_OK;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_XATTRS, &node->xattrs, &source, "xattrs", &reader,
                                   err));
    while ((status = ov_sequence_reader_next(reader, &item, err)) == OV_OK) {
        OV_TRY(ov_xattr_decode(item.bytes, &xattr, "xattrs", err));
        if (xattr.is_chunk) {
            OV_TRY(ov_objects_load(tar->tree->objects, OV_KIND_DATA, &xattr.id, &value, err));
            if (value.len != xattr.length)
                return ov_fail(err, OV_ERR_CORRUPT, "xattrs: chunk %s is not as long as said",
                               ov_id_hex(&xattr.id).text);
            xattr.value = ov_buf_view(&value);
        }
        OV_TRY(ov_array_grow(&tar->xattrs, tar->xattr_count, &tar->xattr_capacity,
                             sizeof(*tar->xattrs), err));
        struct ov_tar_xattr *copy = &tar->xattrs[tar->xattr_count++];
        OV_TRY(ov_arena_copy(&tar->values, xattr.name, &copy->name, err));
        OV_TRY(ov_arena_copy(&tar->values, xattr.value, &copy->value, err));
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
    return ov_buf_append(&tar->target, target.data, target.len, err);
}

static enum ov_status write_header(struct tar *tar, const struct ov_walk_event *event,
                                   struct ov_error *err)
{
    const struct ov_node *node = &event->node;
    bool is_link = tar->target.len > 0;
    struct ov_tar_item item = {
        .kind = node->kind,
        .is_link = is_link,
        .path = event->path,
        .target = is_link ? ov_buf_view(&tar->target) : node->target,
        .mode = node->mode,
        .uid = node->uid,
        .gid = node->gid,
        .mtime = node->mtime,
        .mtime_ns = node->mtime_ns,
        .major = node->major,
        .minor = node->minor,
        .size = node->size,
    };
    if (!is_link) {
        OV_TRY(read_xattrs(tar, node, err));
        item.xattrs = tar->xattrs;
        item.xattr_count = tar->xattr_count;
    }
    enum ov_status status = ov_tar_write_header(&item, &tar->pending, err);
    if (status == OV_ERR_LIMIT)
        return ov_error_context(err, status, "%.200s cannot be put into a tar archive",
                                (const char *)event->path.data);
    return status;
}

static enum ov_status write_object(struct tar *tar, const struct ov_walk_event *event,
                                   struct ov_error *err)
{
    const struct ov_node *node = &event->node;
    const struct ov_sink contents = {tar, on_contents};
    struct ov_error problem;
    if (node->kind == OV_NODE_SOCKET) {
        tar->result->left_out++;
        (void)ov_fail(&problem, OV_ERR_UNSUPPORTED, "a tar archive cannot hold a socket");
        ov_report_warn(tar->report, (const char *)event->path.data, &problem);
        return OV_OK;
    }
    OV_TRY(find_target(tar, event, err));
    OV_TRY(write_header(tar, event, err));
    tar->result->objects++;
    if (node->kind == OV_NODE_REGULAR && node->size && !tar->target.len) {
        OV_TRY(ov_dump_file(tar->tree, node, &contents, tar->report, err));
        OV_TRY(ov_buf_append_zeros(&tar->pending, ov_tar_padding(node->size), err));
    }
    return tar->pending.len >= PENDING_MAX ? flush(tar, err) : OV_OK;
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
    };
    struct ov_walk_event event;
    enum ov_status status;
    OV_TRY(ov_walker_open(tree, path, &walker, err));
    while ((status = ov_walker_next(walker, &event, err)) == OV_OK) {
        if (event.kind == OV_WALK_LEAVE)
            continue;
        OV_TRY(ov_report_poll(report, err));
        OV_TRY(write_object(&tar, &event, err));
        const struct ov_progress progress = {
            .files = tar.result->objects,
            .bytes = tar.result->bytes,
            .current = (const char *)event.path.data,
        };
        ov_report_progress(report, &progress);
    }
    OV_TRY(status);
    OV_TRY(ov_buf_append_zeros(&tar.pending, OV_TAR_END_SIZE, err));
    return flush(&tar, err);
}
