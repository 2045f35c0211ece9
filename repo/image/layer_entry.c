#include "repo/image/layer_thread_internal.h"

#include <stdlib.h>

#define WHITEOUT ".wh."
#define WHITEOUT_LEN 4
#define AUFS_MARK ".wh..wh."
#define OPAQUE ".wh..wh..opq"

/*
 * Cleans a path as if the root were the top of everything: no "." and "..", no doubled or outer
 * slashes. The result lies in `arena`, with a NUL.
 */
static enum ov_status clean_path(struct ov_bytes path, const char *what, struct ov_arena *arena,
                                 struct ov_bytes *out, struct ov_error *err)
{
    uint8_t *clean = ov_arena_alloc(arena, path.len + 1);
    size_t len = 0;
    if (!clean)
        return ov_fail_no_memory(err);
    for (size_t start = 0, end; start < path.len; start = end + 1) {
        const uint8_t *slash = memchr(path.data + start, '/', path.len - start);
        end = slash ? (size_t)(slash - path.data) : path.len;
        const uint8_t *name = path.data + start;
        size_t name_len = end - start;
        if (name_len == 0 || (name_len == 1 && name[0] == '.'))
            continue;
        if (name_len == 2 && name[0] == '.' && name[1] == '.') {
            while (len > 0 && clean[--len] != '/')
                continue;
            continue;
        }
        if (name_len > OV_NAME_BYTES_MAX)
            return ov_fail(err, OV_ERR_LIMIT, "%s: a name of %zu bytes", what, name_len);
        if (len)
            clean[len++] = '/';
        memcpy(clean + len, name, name_len);
        len += name_len;
    }
    if (len > OV_PATH_BYTES_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%s: a path of %zu bytes", what, len);
    clean[len] = '\0';
    *out = ov_bytes_of(clean, len);
    return OV_OK;
}

/* Turns the marks of whiteouts into what they mean. */
static enum ov_status read_whiteout(const char *what, struct ov_arena *arena,
                                    struct ov_layer_part *part, struct ov_error *err)
{
    struct ov_bytes path = part->path;
    const uint8_t *slash = path.len ? memrchr(path.data, '/', path.len) : NULL;
    size_t start = slash ? (size_t)(slash - path.data) + 1 : 0;
    const char *name = (const char *)path.data + start;
    if (strncmp(name, WHITEOUT, WHITEOUT_LEN) != 0)
        return OV_OK;
    if (strcmp(name, OPAQUE) == 0) {
        part->entry.kind = OV_LAYER_OPAQUE;
        return ov_arena_copy(arena, ov_bytes_of(path.data, start ? start - 1 : 0), &part->path,
                             err);
    }
    if (strncmp(name, AUFS_MARK, strlen(AUFS_MARK)) == 0) {
        part->entry.kind = OV_LAYER_NOTHING;
        return OV_OK;
    }
    if (!name[WHITEOUT_LEN] || strcmp(name + WHITEOUT_LEN, ".") == 0 ||
        strcmp(name + WHITEOUT_LEN, "..") == 0)
        return ov_fail(err, OV_ERR_INVALID, "%s: %.300s is a whiteout of nothing", what,
                       (const char *)path.data);
    part->entry.kind = OV_LAYER_WHITEOUT;
    uint8_t *removed = ov_arena_alloc(arena, path.len - WHITEOUT_LEN + 1);
    if (!removed)
        return ov_fail_no_memory(err);
    memcpy(removed, path.data, start);
    memcpy(removed + start, name + WHITEOUT_LEN, path.len - start - WHITEOUT_LEN + 1);
    part->path = ov_bytes_of(removed, path.len - WHITEOUT_LEN);
    return OV_OK;
}

static int compare_xattrs(const void *a, const void *b)
{
    const struct ov_tar_xattr *const *x = a, *const *y = b;
    return ov_bytes_compare((*x)->name, (*y)->name);
}

/* Sorts out what belongs to the tree. */
static enum ov_status choose_xattrs(const struct ov_tar_entry *tar, const char *what,
                                    const struct ov_tar_xattr **chosen, size_t *count,
                                    size_t *bytes, uint64_t *left_out, struct ov_error *err)
{
    *count = *bytes = 0;
    for (size_t i = 0; i < tar->xattr_count; i++) {
        const struct ov_tar_xattr *xattr = &tar->xattrs[i];
        if (ov_xattr_is_of_host(xattr->name) || ov_xattr_is_echo(xattr->name)) {
            (*left_out)++;
            continue;
        }
        if (xattr->name.len == 0 || xattr->name.len > 255 || xattr->value.len > OV_XATTR_VALUE_MAX)
            return ov_fail(err, OV_ERR_LIMIT, "%s: an xattr of %.300s with %zu bytes", what,
                           (const char *)tar->path.data, xattr->value.len);
        chosen[(*count)++] = xattr;
        *bytes += 8 + xattr->name.len + xattr->value.len;
    }
    if (*count)
        qsort(chosen, *count, sizeof(const struct ov_tar_xattr *), compare_xattrs);
    return OV_OK;
}

static enum ov_status take_xattrs(const struct ov_tar_entry *tar, const char *what,
                                  struct ov_arena *arena, struct ov_layer_part *part,
                                  uint64_t *left_out, struct ov_error *err)
{
    size_t count, bytes;
    if (!tar->xattr_count)
        return OV_OK;
    if (tar->xattr_count > OV_XATTRS_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%s: %.300s has %zu xattrs", what,
                       (const char *)tar->path.data, tar->xattr_count);
    const struct ov_tar_xattr **chosen =
        ov_arena_alloc(arena, tar->xattr_count * sizeof(const struct ov_tar_xattr *));
    if (!chosen)
        return ov_fail_no_memory(err);
    OV_TRY(choose_xattrs(tar, what, chosen, &count, &bytes, left_out, err));
    uint8_t *at = ov_arena_alloc(arena, bytes + 1);
    if (!at)
        return ov_fail_no_memory(err);
    part->xattrs = ov_bytes_of(at, bytes);
    part->entry.xattr_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        ov_store32(at, (uint32_t)chosen[i]->name.len);
        ov_store32(at + 4, (uint32_t)chosen[i]->value.len);
        memcpy(at + 8, chosen[i]->name.data, chosen[i]->name.len);
        at += 8 + chosen[i]->name.len;
        if (chosen[i]->value.len)
            memcpy(at, chosen[i]->value.data, chosen[i]->value.len);
        at += chosen[i]->value.len;
    }
    return OV_OK;
}

static enum ov_status take_target(const struct ov_tar_entry *tar, const char *what,
                                  struct ov_arena *arena, struct ov_layer_part *part,
                                  struct ov_error *err)
{
    if (part->entry.kind == OV_LAYER_LINK)
        return clean_path(tar->target, what, arena, &part->target, err);
    if (tar->kind != OV_NODE_SYMLINK)
        return OV_OK;
    if (tar->target.len == 0 || tar->target.len > OV_TARGET_MAX ||
        memchr(tar->target.data, 0, tar->target.len))
        return ov_fail(err, OV_ERR_INVALID, "%s: the link %.300s has a target of %zu bytes", what,
                       (const char *)tar->path.data, tar->target.len);
    return ov_arena_copy(arena, tar->target, &part->target, err);
}

enum ov_status layer_entry_make(const struct ov_tar_entry *tar, const char *what,
                                struct ov_arena *arena, struct ov_layer_part *out,
                                uint64_t *left_out, struct ov_error *err)
{
    out->kind = OV_LAYER_PART_ENTRY;
    out->entry = (struct ov_layer_entry){
        .size = tar->kind == OV_NODE_REGULAR && !tar->is_link ? tar->size : 0,
        .mtime = tar->mtime,
        .mtime_ns = tar->mtime_ns,
        .mode = tar->mode & 07777,
        .uid = tar->uid,
        .gid = tar->gid,
        .major = tar->major,
        .minor = tar->minor,
        .kind = tar->is_link ? OV_LAYER_LINK : OV_LAYER_OBJECT,
        .node_kind = (uint8_t)tar->kind,
        .is_sparse = tar->size != tar->stored_size,
    };
    OV_TRY(clean_path(tar->path, what, arena, &out->path, err));
    OV_TRY(read_whiteout(what, arena, out, err));
    if (out->entry.kind != OV_LAYER_OBJECT && out->entry.kind != OV_LAYER_LINK)
        return OV_OK;
    if (out->path.len == 0 && (tar->is_link || tar->kind != OV_NODE_DIRECTORY))
        return ov_fail(err, OV_ERR_INVALID, "%s: the root is no directory", what);
    OV_TRY(take_target(tar, what, arena, out, err));
    return tar->is_link ? OV_OK : take_xattrs(tar, what, arena, out, left_out, err);
}
