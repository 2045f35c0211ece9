#include "repo/check_internal.h"
#include "repo/tree_finder.h"

/* The side object against its tree. docs/format/snapshot.md. */

struct side_check {
    struct check *check;
    struct ov_tree *tree;
    struct ov_buf path; /* of the item before, with a NUL behind */
    bool has_path;
    struct ov_tree_finder finder;
    struct ov_node node; /* what lies there; borrowed from the finder or the tree */
    bool is_unknown;     /* it cannot be read: who walks the tree tells of it */
    bool had_holes;
    bool had_error;
    uint64_t end;       /* of its last hole */
    struct ov_buf last; /* its last xattr's name */
    uint64_t errors;
};

static void release(struct side_check *s)
{
    ov_buf_release(&s->path);
    ov_buf_release(&s->last);
    ov_tree_finder_release(&s->finder);
}

static enum ov_status is_directory(struct ov_tree *tree, struct ov_bytes path, bool *out,
                                   struct ov_error *err)
{
    OV_AUTO(ov_owned_node_release) struct ov_owned_node found = {0};
    enum ov_status status = ov_tree_find(tree, path, &found, err);
    *out = status >= 0 && found.node.kind == OV_NODE_DIRECTORY;
    return status == OV_ERR_NOT_FOUND ? OV_OK : status;
}

/* A path that could not be read: missing from a directory that is there. */
static enum ov_status check_missing(struct side_check *s, struct ov_bytes path,
                                    struct ov_error *err)
{
    OV_AUTO(ov_owned_node_release) struct ov_owned_node found = {0};
    size_t parent = path.len;
    bool fits = false;
    while (parent && path.data[parent] != '/')
        parent--;
    s->errors++;
    enum ov_status status = ov_tree_find(s->tree, path, &found, err);
    if (status >= 0)
        return ov_fail(err, OV_ERR_CORRUPT, "side object: an error of something that was read");
    if (status == OV_ERR_NOT_FOUND)
        status = is_directory(s->tree, ov_bytes_of(path.data, parent), &fits, err);
    if (status < 0)
        return status == OV_ERR_NO_MEMORY ? status : OV_OK; /* as above */
    return fits ? OV_OK : ov_fail(err, OV_ERR_CORRUPT, "side object: an error outside of the tree");
}

static enum ov_status check_holes(struct side_check *s, const struct ov_side *side,
                                  struct ov_error *err)
{
    const struct ov_node *node = &s->node;
    const struct ov_hole *last = &side->holes[side->hole_count - 1];
    if (node->kind != OV_NODE_REGULAR)
        return ov_fail(err, OV_ERR_CORRUPT, "side object: holes of what is no regular file");
    if (last->offset + last->length > node->size)
        return ov_fail(err, OV_ERR_CORRUPT, "side object: a hole beyond the end of the file");
    if (s->had_holes && side->holes[0].offset <= s->end)
        return ov_fail(err, OV_ERR_CORRUPT, "side object: holes out of order");
    s->had_holes = true;
    s->end = last->offset + last->length;
    return s->check->has_read_all ? check_holes_are_zero(s->check->objects, node, side, err)
                                  : OV_OK;
}

static enum ov_status check_xattrs(struct side_check *s, const struct ov_side *side,
                                   struct ov_error *err)
{
    struct ov_bytes first = side->xattrs[0].name;
    struct ov_bytes last = side->xattrs[side->xattr_count - 1].name;
    if (s->had_holes)
        return ov_fail(err, OV_ERR_CORRUPT, "side object: xattrs after holes");
    if (s->last.len && ov_bytes_compare(ov_buf_view(&s->last), first) >= 0)
        return ov_fail(err, OV_ERR_CORRUPT, "side object: xattrs out of order");
    ov_buf_clear(&s->last);
    return ov_buf_append(&s->last, last.data, last.len, err);
}

/* Goes on to another path. */
static enum ov_status begin_path(struct side_check *s, struct ov_bytes path, struct ov_error *err)
{
    ov_buf_clear(&s->path);
    ov_buf_clear(&s->last);
    s->had_holes = s->had_error = s->is_unknown = false;
    s->has_path = true;
    OV_TRY(ov_buf_append(&s->path, path.data, path.len, err));
    OV_TRY(ov_buf_append(&s->path, "", 1, err));
    s->path.len--;
    return OV_OK;
}

static enum ov_status find_node(struct side_check *s, struct ov_bytes path, struct ov_error *err)
{
    s->node = s->tree->root.node;
    if (path.len == 0)
        return OV_OK;
    enum ov_status status = ov_tree_finder_find(&s->finder, path, &s->node, err);
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, OV_ERR_CORRUPT, "side object: a path that is not in the tree");
    s->is_unknown = status < 0;
    return status == OV_ERR_NO_MEMORY ? status : OV_OK;
}

static enum ov_status check_item(struct side_check *s, const struct ov_side *side,
                                 struct ov_error *err)
{
    bool continues = s->has_path && ov_bytes_equal(ov_buf_view(&s->path), side->path);
    if (continues && (s->had_error || side->has_error))
        return ov_fail(err, OV_ERR_CORRUPT, "side object: an error of something that was read");
    if (!continues)
        OV_TRY(begin_path(s, side->path, err));
    if (side->has_error) {
        s->had_error = true;
        return check_missing(s, side->path, err);
    }
    if (!continues)
        OV_TRY(find_node(s, side->path, err));
    if (s->is_unknown)
        return OV_OK;
    if (side->xattr_count)
        OV_TRY(check_xattrs(s, side, err));
    return side->hole_count ? check_holes(s, side, err) : OV_OK;
}

enum ov_status check_side(struct check *check, struct ov_tree *tree, const struct ov_sequence *side,
                          uint64_t *errors, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(release) struct side_check s = {.check = check, .tree = tree, .finder = {.tree = tree}};
    const struct ov_object_source source = ov_tree_source(check->objects);
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_SIDE, side, &source, "side object", &reader, err));
    while (!check->is_gone) {
        OV_AUTO(ov_side_release) struct ov_side facts = {0};
        struct ov_sequence_item item;
        struct ov_error problem;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(ov_side_decode(item.bytes, &facts, err));
        status = check_item(&s, &facts, &problem);
        OV_TRY(check_damaged(check, (const char *)s.path.data, NULL, status, &problem, err));
        OV_TRY(check_poll(check, err));
    }
    *errors = s.errors;
    return OV_OK;
}
