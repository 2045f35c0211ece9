#include "tests/support/batch_maker.h"

#include "tests/support/support.h"

#include <stdlib.h>

static void *keep_bytes(struct ov_scan_batch *batch, const void *data, size_t len)
{
    void *out = ov_arena_alloc(&batch->arena, len ? len : 1);
    ck_assert_ptr_nonnull(out);
    if (len)
        memcpy(out, data, len);
    return out;
}

/* A new found; valid until the next. */
struct ov_found *test_batch_add(struct ov_scan_batch *batch, enum ov_found_kind kind,
                                enum ov_node_kind node, const char *name)
{
    TEST_OK(ov_array_grow(&batch->found, batch->count, &batch->capacity, sizeof(*batch->found),
                          &test_error));
    struct ov_found *found = &batch->found[batch->count++];
    *found = (struct ov_found){.kind = kind};
    TEST_OK(ov_arena_copy(&batch->arena, ov_bytes_of_string(name), &found->name, &test_error));
    found->stat = (struct ov_scan_stat){
        .kind = node,
        .mode = node == OV_NODE_DIRECTORY ? 0755
                : node == OV_NODE_SYMLINK ? 0
                                          : 0644,
        .links = 1,
        .facts = {.device = 1, .inode = 100 + batch->count, .mtime = 1000, .ctime = 1000},
    };
    found->read_at = 5000;
    return found;
}

struct ov_found *test_batch_enter(struct ov_scan_batch *batch, const char *name)
{
    return test_batch_add(batch, OV_FOUND_ENTER, OV_NODE_DIRECTORY, name);
}

void test_batch_leave(struct ov_scan_batch *batch)
{
    test_batch_add(batch, OV_FOUND_LEAVE, OV_NODE_DIRECTORY, "");
}

/* A regular file that lies in its node. */
struct ov_found *test_batch_small(struct ov_scan_batch *batch, const char *name,
                                  const char *contents)
{
    struct ov_found *found = test_batch_add(batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, name);
    found->size = found->stat.facts.size = strlen(contents);
    found->c.contents =
        ov_bytes_of(keep_bytes(batch, contents, strlen(contents)), strlen(contents));
    return found;
}

/* Gives a found extents of these lengths, negative ones of zeros, with made-up bytes. */
void test_found_extents(struct ov_scan_batch *batch, struct ov_found *found, uint64_t seed,
                        const long *lengths, size_t count)
{
    struct ov_extent *extents = ov_arena_alloc(&batch->arena, count * sizeof(*extents));
    const uint8_t **data = ov_arena_alloc(&batch->arena, count * sizeof(*data));
    ck_assert(extents && data);
    for (size_t i = 0; i < count; i++) {
        bool is_zero = lengths[i] < 0;
        size_t len = (size_t)(is_zero ? -lengths[i] : lengths[i]);
        extents[i] = (struct ov_extent){.length = len, .is_zero = is_zero};
        data[i] = NULL;
        found->size += len;
        if (is_zero)
            continue;
        uint8_t *bytes = ov_arena_alloc(&batch->arena, len + 8);
        struct test_random random = test_random_of(seed + i);
        ck_assert_ptr_nonnull(bytes);
        test_random_fill(&random, bytes, len);
        ov_id_compute(OV_KIND_DATA, bytes, len, &extents[i].id);
        data[i] = bytes;
    }
    found->c.extents = extents;
    found->c.extent_count = count;
    found->data = data;
    found->stat.facts.size = found->size;
}

void test_found_holes(struct ov_scan_batch *batch, struct ov_found *found, uint64_t offset,
                      size_t count)
{
    found->c.holes = ov_arena_alloc(&batch->arena, count * sizeof(*found->c.holes));
    ck_assert_ptr_nonnull(found->c.holes);
    for (size_t i = 0; i < count; i++)
        found->c.holes[i] = (struct ov_hole){offset + i * 10, 5};
    found->c.hole_count = count;
}

void test_found_xattr(struct ov_scan_batch *batch, struct ov_found *found, const char *name,
                      size_t len)
{
    size_t count = found->c.xattr_count;
    struct ov_xattr *xattrs = ov_arena_alloc(&batch->arena, (count + 1) * sizeof(*found->c.xattrs));
    uint8_t *value = ov_arena_alloc(&batch->arena, len + 1);
    ck_assert(xattrs && value);
    memset(value, 'v', len);
    if (count)
        memcpy(xattrs, found->c.xattrs, count * sizeof(*xattrs));
    xattrs[count] = (struct ov_xattr){
        .name = ov_bytes_of(keep_bytes(batch, name, strlen(name)), strlen(name)),
        .value = ov_bytes_of(value, len),
        .length = len,
    };
    found->c.xattrs = xattrs;
    found->c.xattr_count = count + 1;
}

void test_found_problem(struct ov_scan_batch *batch, struct ov_found *found, int system_errno)
{
    struct ov_error error;
    (void)ov_fail(&error, OV_ERR_IO, "bad luck");
    error.system_errno = system_errno;
    found->problem = keep_bytes(batch, &error, sizeof(error));
}

struct ov_found *test_batch_missing(struct ov_scan_batch *batch, const char *name, int system_errno)
{
    struct ov_found *found = test_batch_add(batch, OV_FOUND_MISSING, OV_NODE_REGULAR, name);
    test_found_problem(batch, found, system_errno);
    return found;
}

/* A member of a hard-link group. */
void test_found_group(struct ov_found *found, uint64_t group, uint64_t links, bool is_follower)
{
    found->link_group = group;
    found->stat.links = links;
    found->is_follower = is_follower;
}
void test_batch_release(struct ov_scan_batch *batch)
{
    free(batch->found);
    ov_arena_release(&batch->arena);
    *batch = (struct ov_scan_batch){0};
}
