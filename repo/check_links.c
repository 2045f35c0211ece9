#include "repo/check_internal.h"
#include "repo/tree_finder.h"

/*
 * The hard links of a tree: of each the path is there, is no directory, and is the same as a leader
 * that comes before it and is none itself. docs/format/tree.md section 4.
 */

struct links_check {
    struct check *check;
    struct ov_tree *tree;
    struct ov_tree_finder finder; /* of the links; their leaders are looked for by themselves */
    struct ov_buf path;           /* of the link at work, with a NUL behind */
    struct ov_buf leader;         /* of the link before */
    struct ov_owned_node leader_node;
    enum { UNKNOWN, RIGHT, WRONG, UNREADABLE } leader_is;
};

static void release(struct links_check *l)
{
    ov_tree_finder_release(&l->finder);
    ov_owned_node_release(&l->leader_node);
    ov_buf_release(&l->path);
    ov_buf_release(&l->leader);
}

static enum ov_status is_link(struct links_check *l, struct ov_bytes path, bool *out,
                              struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *links = NULL;
    const struct ov_object_source source = ov_tree_source(l->check->objects);
    struct ov_sequence_item item;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_LINKS, &l->tree->root.links, &source,
                                   "hard-link table", &links, err));
    OV_TRY(ov_sequence_reader_seek(links, path, err));
    enum ov_status status = ov_sequence_reader_next(links, &item, err);
    OV_TRY(status);
    *out = status == OV_OK && ov_bytes_equal(item.key, path);
    return OV_OK;
}

/* Most links have the leader of the one before. */
static enum ov_status find_leader(struct links_check *l, struct ov_bytes leader,
                                  struct ov_error *err)
{
    bool is_linked;
    if (l->leader_is != UNKNOWN && ov_bytes_equal(leader, ov_buf_view(&l->leader)))
        return OV_OK;
    l->leader_is = UNKNOWN;
    ov_buf_clear(&l->leader);
    ov_owned_node_release(&l->leader_node);
    l->leader_node = (struct ov_owned_node){0};
    OV_TRY(ov_buf_append(&l->leader, leader.data, leader.len, err));
    enum ov_status status = is_link(l, leader, &is_linked, err);
    OV_TRY(status);
    status = ov_tree_find(l->tree, leader, &l->leader_node, err);
    if (status == OV_ERR_NO_MEMORY)
        return status;
    if (is_linked || status == OV_ERR_NOT_FOUND)
        l->leader_is = WRONG;
    else
        l->leader_is = status < 0 ? UNREADABLE : RIGHT;
    return OV_OK;
}

static enum ov_status check_link(struct links_check *l, const struct ov_link *link,
                                 struct ov_node *node, struct ov_error *err)
{
    enum ov_status status = ov_tree_finder_find(&l->finder, link->path, node, err);
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, OV_ERR_CORRUPT, "hard-link table: it is not in the tree");
    if (status == OV_ERR_NO_MEMORY)
        return status;
    if (status < 0) /* who walks the tree tells of it */
        return OV_OK;
    if (node->kind == OV_NODE_DIRECTORY)
        return ov_fail(err, OV_ERR_CORRUPT, "hard-link table: a directory as a hard link");
    OV_TRY(find_leader(l, link->leader, err));
    if (l->leader_is == WRONG)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "it is a hard link to another hard link, or to what is not there");
    if (ov_path_compare(link->leader, link->path) >= 0 ||
        (l->leader_is == RIGHT && !ov_node_is_same(&l->leader_node.node, node)))
        return ov_fail(err, OV_ERR_CORRUPT, "it is a hard link to something else");
    return OV_OK;
}

enum ov_status check_links(struct check *check, struct ov_tree *tree, check_link_fn *each,
                           void *context, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *links = NULL;
    OV_AUTO(release)
    struct links_check l = {.check = check, .tree = tree, .finder = {.tree = tree}};
    const struct ov_object_source source = ov_tree_source(check->objects);
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_LINKS, &tree->root.links, &source, "hard-link table",
                                   &links, err));
    while (!check->is_gone) {
        struct ov_sequence_item item;
        struct ov_link link;
        struct ov_node node = {0};
        struct ov_error problem;
        enum ov_status status = ov_sequence_reader_next(links, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(ov_link_decode(item.bytes, &link, "hard-link table", err));
        status = check_link(&l, &link, &node, &problem);
        ov_buf_clear(&l.path);
        OV_TRY(ov_buf_append(&l.path, link.path.data, link.path.len, err));
        OV_TRY(ov_buf_append(&l.path, "", 1, err));
        OV_TRY(check_damaged(check, (const char *)l.path.data, NULL, status, &problem, err));
        each(context, &node);
        OV_TRY(check_poll(check, err));
    }
    return OV_OK;
}
