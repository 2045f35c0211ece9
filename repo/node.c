#include "repo/node.h"

#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"

/* Members of a node. */
enum {
    NAME,
    KIND,
    MODE,
    UID,
    GID,
    MTIME,
    MTIME_NS,
    MAJOR,
    MINOR,
    TARGET = 9,
    SIZE,
    CONTENTS,
    EXTENTS,
    ENTRIES,
    XATTRS,
    MEMBERS
};

const char *ov_node_kind_name(enum ov_node_kind kind)
{
    static const char *const names[] = {
        "?", "file", "directory", "symlink", "character device", "block device", "fifo", "socket"};
    return kind <= OV_NODE_SOCKET ? names[kind] : names[0];
}

/* ---- Encoding ---- */

static void write_number(struct ov_writer *w, unsigned key, uint64_t value)
{
    if (value) {
        ov_write_uint(w, key);
        ov_write_uint(w, value);
    }
}

static void write_bytes(struct ov_writer *w, unsigned key, struct ov_bytes value)
{
    if (value.len) {
        ov_write_uint(w, key);
        ov_write_bin(w, value.data, value.len);
    }
}

static void write_sequence(struct ov_writer *w, unsigned key, const struct ov_sequence *sequence)
{
    if (ov_sequence_is_empty(sequence))
        return;
    ov_write_uint(w, key);
    ov_sequence_write(w, sequence);
}

void ov_node_write(struct ov_writer *w, const struct ov_node *n)
{
    size_t members =
        1u + (n->name.len != 0) + (n->mode != 0) + (n->uid != 0) + (n->gid != 0) + (n->mtime != 0) +
        (n->mtime_ns != 0) + (n->major != 0) + (n->minor != 0) + (n->target.len != 0) +
        (n->size != 0) + (n->contents.len != 0) + (size_t)!ov_sequence_is_empty(&n->extents) +
        (size_t)!ov_sequence_is_empty(&n->entries) + (size_t)!ov_sequence_is_empty(&n->xattrs);
    ov_write_map(w, members);
    write_bytes(w, NAME, n->name);
    write_number(w, KIND, n->kind);
    write_number(w, MODE, n->mode);
    write_number(w, UID, n->uid);
    write_number(w, GID, n->gid);
    if (n->mtime) {
        ov_write_uint(w, MTIME);
        ov_write_int(w, n->mtime);
    }
    write_number(w, MTIME_NS, n->mtime_ns);
    write_number(w, MAJOR, n->major);
    write_number(w, MINOR, n->minor);
    write_bytes(w, TARGET, n->target);
    write_number(w, SIZE, n->size);
    write_bytes(w, CONTENTS, n->contents);
    write_sequence(w, EXTENTS, &n->extents);
    write_sequence(w, ENTRIES, &n->entries);
    write_sequence(w, XATTRS, &n->xattrs);
}

/* ---- Decoding ---- */

bool ov_name_is_valid(struct ov_bytes name)
{
    if (name.len == 0 || name.len > OV_NAME_BYTES_MAX || memchr(name.data, 0, name.len) ||
        memchr(name.data, '/', name.len))
        return false;
    bool is_dots = name.data[0] == '.' && (name.len == 1 || (name.len == 2 && name.data[1] == '.'));
    return !is_dots;
}

bool ov_path_is_valid(struct ov_bytes path)
{
    if (path.len == 0 || path.len > OV_PATH_BYTES_MAX)
        return false;
    size_t start = 0;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/')
            continue;
        if (!ov_name_is_valid(ov_bytes_of(path.data + start, i - start)))
            return false;
        start = i + 1;
    }
    return true;
}

static enum ov_status read_number(struct ov_cursor *c, uint64_t max, uint64_t *out,
                                  struct ov_error *err)
{
    OV_TRY(ov_read_uint(c, max, out, err));
    return *out ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
}

static enum ov_status read_u32(struct ov_cursor *c, uint64_t max, uint32_t *out,
                               struct ov_error *err)
{
    uint64_t number;
    OV_TRY(read_number(c, max, &number, err));
    *out = (uint32_t)number;
    return OV_OK;
}

static enum ov_status read_member(struct ov_cursor *c, uint64_t key, struct ov_node *n,
                                  struct ov_error *err)
{
    uint64_t number;
    switch (key) {
    case NAME:
        OV_TRY(ov_read_bin(c, 1, OV_NAME_BYTES_MAX, &n->name, err));
        return ov_name_is_valid(n->name) ? OV_OK
                                         : ov_cursor_fail(c, "a name that cannot be one", err);
    case KIND:
        OV_TRY(read_number(c, OV_NODE_SOCKET, &number, err));
        n->kind = (enum ov_node_kind)number;
        return OV_OK;
    case MODE:
        return read_u32(c, 07777, &n->mode, err);
    case UID:
        return read_u32(c, UINT32_MAX - 1, &n->uid, err);
    case GID:
        return read_u32(c, UINT32_MAX - 1, &n->gid, err);
    case MTIME:
        OV_TRY(ov_read_int(c, -OV_TIME_LIMIT, OV_TIME_LIMIT, &n->mtime, err));
        return n->mtime ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
    case MTIME_NS:
        return read_u32(c, 999999999, &n->mtime_ns, err);
    case MAJOR:
        return read_u32(c, UINT32_MAX, &n->major, err);
    case MINOR:
        return read_u32(c, UINT32_MAX, &n->minor, err);
    case TARGET:
        OV_TRY(ov_read_bin(c, 1, OV_TARGET_MAX, &n->target, err));
        return memchr(n->target.data, 0, n->target.len)
                   ? ov_cursor_fail(c, "a link target with a zero byte", err)
                   : OV_OK;
    case SIZE:
        return read_number(c, INT64_MAX, &n->size, err);
    case CONTENTS:
        return ov_read_bin(c, 1, OV_INLINE_FILE_MAX, &n->contents, err);
    case EXTENTS:
        return ov_sequence_read(c, OV_SEQUENCE_EXTENTS, &n->extents, err);
    case ENTRIES:
        return ov_sequence_read(c, OV_SEQUENCE_ENTRIES, &n->entries, err);
    case XATTRS:
        return ov_sequence_read(c, OV_SEQUENCE_XATTRS, &n->xattrs, err);
    default:
        return ov_map_unknown(c, key, false, err);
    }
}

/* Which members go with which kind. */
static enum ov_status check_members(const struct ov_cursor *c, const struct ov_node *n,
                                    unsigned seen, bool is_root, struct ov_error *err)
{
    const unsigned common = 1u << KIND | 1u << UID | 1u << GID | 1u << MTIME | 1u << MTIME_NS |
                            1u << XATTRS | (is_root ? 0 : 1u << NAME);
    unsigned allowed = common | 1u << MODE;
    unsigned required = 1u << KIND | (is_root ? 0 : 1u << NAME);
    switch (n->kind) {
    case OV_NODE_REGULAR:
        allowed |= 1u << SIZE | 1u << CONTENTS | 1u << EXTENTS;
        break;
    case OV_NODE_DIRECTORY:
        allowed |= 1u << ENTRIES;
        break;
    case OV_NODE_SYMLINK:
        allowed = common | 1u << TARGET;
        required |= 1u << TARGET;
        break;
    case OV_NODE_CHARACTER_DEVICE:
    case OV_NODE_BLOCK_DEVICE:
        allowed |= 1u << MAJOR | 1u << MINOR;
        break;
    default:
        break;
    }
    if ((seen & ~allowed) || (seen & required) != required)
        return ov_cursor_fail(c, "members that do not belong together", err);
    if (is_root && n->kind != OV_NODE_DIRECTORY)
        return ov_cursor_fail(c, "a root that is no directory", err);
    if (n->kind != OV_NODE_REGULAR)
        return OV_OK;
    bool is_small = n->size <= OV_INLINE_FILE_MAX;
    if (is_small ? n->contents.len != n->size || !ov_sequence_is_empty(&n->extents)
                 : n->contents.len != 0 || ov_sequence_is_empty(&n->extents))
        return ov_cursor_fail(c, "contents that do not fit the size", err);
    return OV_OK;
}

enum ov_status ov_node_decode(struct ov_bytes bytes, bool is_root, struct ov_node *out,
                              const char *what, struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_map_reader map;
    struct ov_node node = {0};
    uint64_t key;
    unsigned seen = 0;
    enum ov_status status;
    ov_cursor_init(&c, bytes, what);
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        OV_TRY(read_member(&c, key, &node, err));
        seen |= 1u << key;
    }
    OV_TRY(status);
    OV_TRY(ov_cursor_finish(&c, err));
    OV_TRY(check_members(&c, &node, seen, is_root, err));
    *out = node;
    return OV_OK;
}

bool ov_node_is_same(const struct ov_node *a, const struct ov_node *b)
{
    return a->kind == b->kind && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
           a->mtime == b->mtime && a->mtime_ns == b->mtime_ns && a->major == b->major &&
           a->minor == b->minor && a->size == b->size && ov_bytes_equal(a->target, b->target) &&
           ov_bytes_equal(a->contents, b->contents) &&
           ov_sequence_is_same(&a->extents, &b->extents) &&
           ov_sequence_is_same(&a->entries, &b->entries) &&
           ov_sequence_is_same(&a->xattrs, &b->xattrs);
}

/* ---- The root record ---- */

static const char *const versions[] = {"ociv2-tree-1", "fastcdc-16k-1", "host-xattr-1"};

enum ov_status ov_root_encode(const struct ov_root *root, struct ov_buf *out, struct ov_error *err)
{
    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, ov_sequence_is_empty(&root->links) ? 4 : 5);
    for (unsigned i = 0; i < OV_ARRAY_LEN(versions); i++) {
        ov_write_uint(&w, i + 1);
        ov_write_text(&w, versions[i]);
    }
    ov_write_uint(&w, 4);
    ov_node_write(&w, &root->node);
    write_sequence(&w, 5, &root->links);
    return ov_writer_finish(&w);
}

static enum ov_status read_version(struct ov_cursor *c, const char *expected, struct ov_error *err)
{
    struct ov_bytes text;
    OV_TRY(ov_read_str(c, 64, &text, err));
    if (!ov_bytes_equal(text, ov_bytes_of_string(expected)))
        return ov_fail(err, OV_ERR_UNSUPPORTED,
                       "this tree was written as '%.*s', which this ociv2 does not know",
                       (int)text.len, (const char *)text.data);
    return OV_OK;
}

enum ov_status ov_root_decode(struct ov_bytes bytes, struct ov_root *out, struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_map_reader map;
    struct ov_bytes node = {0};
    uint64_t key, expected = 1;
    enum ov_status status;
    *out = (struct ov_root){0};
    ov_cursor_init(&c, bytes, "root record");
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        if (key > 5)
            return ov_map_unknown(&c, key, false, err);
        if (key != expected++)
            return ov_cursor_fail(&c, "a member is missing", err);
        if (key <= OV_ARRAY_LEN(versions))
            OV_TRY(read_version(&c, versions[key - 1], err));
        else if (key == 4)
            OV_TRY(ov_read_any(&c, &node, err));
        else
            OV_TRY(ov_sequence_read(&c, OV_SEQUENCE_LINKS, &out->links, err));
    }
    OV_TRY(status);
    if (expected < 5)
        return ov_cursor_fail(&c, "a member is missing", err);
    OV_TRY(ov_cursor_finish(&c, err));
    return ov_node_decode(node, true, &out->node, "root node", err);
}
