#include "engine/chunker.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/node.h"

/* ---- Extents ---- */

void ov_extent_write(struct ov_writer *w, const struct ov_extent *extent)
{
    if (extent->is_zero) {
        ov_write_uint(w, extent->length);
        return;
    }
    ov_write_array(w, 2);
    ov_write_uint(w, extent->length);
    ov_write_bin(w, extent->id.bytes, OV_ID_SIZE);
}

enum ov_status ov_extent_decode(struct ov_bytes item, const struct ov_extent *before,
                                struct ov_extent *out, const char *what, struct ov_error *err)
{
    struct ov_cursor c;
    *out = (struct ov_extent){0};
    ov_cursor_init(&c, item, what);
    out->is_zero = ov_cursor_peek(&c) == OV_MSGPACK_UINT;
    if (out->is_zero) {
        OV_TRY(ov_read_uint(&c, INT64_MAX, &out->length, err));
        if (out->length < OV_ZERO_EXTENT_MIN || (before && before->is_zero))
            return ov_cursor_fail(&c, "a zero extent that cannot be one", err);
    } else {
        OV_TRY(ov_read_array_exact(&c, 2, err));
        OV_TRY(ov_read_uint(&c, ov_chunker_v1.max, &out->length, err));
        OV_TRY(ov_read_bin_exact(&c, out->id.bytes, OV_ID_SIZE, err));
        if (out->length == 0)
            return ov_cursor_fail(&c, "an empty chunk", err);
        if (before && !before->is_zero && before->length < ov_chunker_v1.min)
            return ov_cursor_fail(&c, "a chunk that is too short", err);
    }
    return ov_cursor_finish(&c, err);
}

/* ---- xattrs ---- */

void ov_xattr_write(struct ov_writer *w, const struct ov_xattr *xattr)
{
    ov_write_array(w, xattr->is_chunk ? 3 : 2);
    ov_write_bin(w, xattr->name.data, xattr->name.len);
    if (!xattr->is_chunk) {
        ov_write_bin(w, xattr->value.data, xattr->value.len);
        return;
    }
    ov_write_uint(w, xattr->length);
    ov_write_bin(w, xattr->id.bytes, OV_ID_SIZE);
}

enum ov_status ov_xattr_decode(struct ov_bytes item, struct ov_xattr *out, const char *what,
                               struct ov_error *err)
{
    struct ov_cursor c;
    size_t members;
    *out = (struct ov_xattr){0};
    ov_cursor_init(&c, item, what);
    OV_TRY(ov_read_array(&c, 3, &members, err));
    if (members < 2)
        return ov_cursor_fail(&c, "an xattr of a wrong form", err);
    OV_TRY(ov_read_bin(&c, 1, 255, &out->name, err));
    if (memchr(out->name.data, 0, out->name.len))
        return ov_cursor_fail(&c, "an xattr name with a zero byte", err);
    if (ov_xattr_is_of_host(out->name))
        return ov_cursor_fail(&c, "an xattr of the host", err);
    out->is_chunk = members == 3;
    if (out->is_chunk) {
        OV_TRY(ov_read_uint(&c, OV_XATTR_VALUE_MAX, &out->length, err));
        OV_TRY(ov_read_bin_exact(&c, out->id.bytes, OV_ID_SIZE, err));
        if (out->length <= OV_INLINE_XATTR_MAX)
            return ov_cursor_fail(&c, "an xattr value that should be inline", err);
    } else {
        OV_TRY(ov_read_bin(&c, 0, OV_INLINE_XATTR_MAX, &out->value, err));
        out->length = out->value.len;
    }
    return ov_cursor_finish(&c, err);
}

bool ov_xattr_is_of_host(struct ov_bytes name)
{
    static const char *const exact[] = {"security.selinux", "security.ima", "security.evm"};
    static const char prefix[] = "trusted.overlay.";
    for (size_t i = 0; i < OV_ARRAY_LEN(exact); i++) {
        if (ov_bytes_equal(name, ov_bytes_of_string(exact[i])))
            return true;
    }
    size_t len = sizeof(prefix) - 1;
    return name.len >= len && memcmp(name.data, prefix, len) == 0;
}

bool ov_xattr_is_echo(struct ov_bytes name)
{
    return ov_bytes_equal(name, ov_bytes_of_string("trusted.SGI_ACL_FILE")) ||
           ov_bytes_equal(name, ov_bytes_of_string("trusted.SGI_ACL_DEFAULT"));
}

/* ---- Hard links ---- */

void ov_link_write(struct ov_writer *w, const struct ov_link *link)
{
    ov_write_array(w, 2);
    ov_write_bin(w, link->path.data, link->path.len);
    ov_write_bin(w, link->leader.data, link->leader.len);
}

enum ov_status ov_link_decode(struct ov_bytes item, struct ov_link *out, const char *what,
                              struct ov_error *err)
{
    struct ov_cursor c;
    ov_cursor_init(&c, item, what);
    OV_TRY(ov_read_array_exact(&c, 2, err));
    OV_TRY(ov_read_bin(&c, 1, OV_PATH_BYTES_MAX, &out->path, err));
    OV_TRY(ov_read_bin(&c, 1, OV_PATH_BYTES_MAX, &out->leader, err));
    if (!ov_path_is_valid(out->path) || !ov_path_is_valid(out->leader) ||
        ov_path_compare(out->leader, out->path) >= 0)
        return ov_cursor_fail(&c, "a hard link that cannot be one", err);
    return ov_cursor_finish(&c, err);
}
