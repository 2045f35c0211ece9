#include "repo/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

struct ov_attributes ov_attributes_of_node(const struct ov_node *node)
{
    return (struct ov_attributes){
        .kind = node->kind,
        .mode = node->mode,
        .uid = node->uid,
        .gid = node->gid,
        .mtime = node->mtime,
        .mtime_ns = node->mtime_ns,
    };
}

enum ov_status ov_attributes_add_xattr(struct ov_attributes *attributes, struct ov_bytes name,
                                       struct ov_bytes value, struct ov_error *err)
{
    struct ov_xattr *xattrs =
        realloc(attributes->xattrs, (attributes->xattr_count + 1) * sizeof(*xattrs));
    if (!xattrs)
        return ov_fail_no_memory(err);
    attributes->xattrs = xattrs;
    uint8_t *block = malloc(name.len + 1 + value.len);
    if (!block)
        return ov_fail_no_memory(err);
    memcpy(block, name.data, name.len);
    block[name.len] = '\0';
    if (value.len)
        memcpy(block + name.len + 1, value.data, value.len);
    xattrs[attributes->xattr_count++] = (struct ov_xattr){
        .name = {block, name.len},
        .value = {block + name.len + 1, value.len},
        .length = value.len,
    };
    return OV_OK;
}

void ov_attributes_release(struct ov_attributes *attributes)
{
    for (size_t i = 0; i < attributes->xattr_count; i++)
        free((void *)(uintptr_t)attributes->xattrs[i].name.data);
    free(attributes->xattrs);
    attributes->xattrs = NULL;
    attributes->xattr_count = 0;
}

/* The object being set, and where complaints go. */
struct subject {
    const struct ov_attributes *attributes;
    int fd;
    int directory_fd;
    const char *name;
    const struct ov_attributes_report *report;
};

static void complain(const struct subject *s, uint64_t *counter, const char *what)
{
    struct ov_error problem;
    ov_fail_errno(&problem, "cannot set %s", what);
    ++*counter;
    s->report->warn(s->report->context, counter, &problem);
}

static bool is_owner_right(const struct subject *s)
{
    struct stat st;
    int failed = s->fd >= 0 ? fstat(s->fd, &st)
                            : fstatat(s->directory_fd, s->name, &st, AT_SYMLINK_NOFOLLOW);
    return !failed && st.st_uid == s->attributes->uid && st.st_gid == s->attributes->gid;
}

/* True when the owner is as it should be, whoever made it so. */
static bool set_owner(const struct subject *s)
{
    const struct ov_attributes *a = s->attributes;
    int failed = s->fd >= 0
                     ? fchown(s->fd, a->uid, a->gid)
                     : fchownat(s->directory_fd, s->name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW);
    if (!failed)
        return true;
    int reason = errno;
    if (is_owner_right(s))
        return true;
    errno = reason;
    complain(s, &s->report->unset->owners, "the owner");
    return false;
}

/* A link cannot be opened, and lsetxattr() and its like do not follow the last component. */
struct xattr_path {
    char text[NAME_MAX + 40];
};

static struct xattr_path xattr_path(const struct subject *s)
{
    struct xattr_path path = {""};
    if (s->fd < 0)
        snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d/%s", s->directory_fd, s->name);
    return path;
}

static bool is_wanted(const struct ov_attributes *attributes, struct ov_bytes name)
{
    for (size_t i = 0; i < attributes->xattr_count; i++) {
        if (ov_bytes_equal(attributes->xattrs[i].name, name))
            return true;
    }
    return false;
}

/* Those that people set, or that come from a directory's default ACL: the rest is the system's. */
static bool may_be_removed(struct ov_bytes name)
{
    static const char *const beginnings[] = {"user.", "trusted.", "security.capability",
                                             "system.posix_acl_"};
    if (ov_xattr_is_of_host(name) || ov_xattr_is_echo(name))
        return false;
    for (size_t i = 0; i < OV_ARRAY_LEN(beginnings); i++) {
        if (strncmp((const char *)name.data, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    }
    return false;
}

/* Removes what was inherited, or was there before. */
static void remove_other_xattrs(const struct subject *s, const char *path)
{
    ssize_t size = s->fd >= 0 ? flistxattr(s->fd, NULL, 0) : llistxattr(path, NULL, 0);
    char *names = size > 0 ? malloc((size_t)size) : NULL;
    if (!names)
        return;
    size =
        s->fd >= 0 ? flistxattr(s->fd, names, (size_t)size) : llistxattr(path, names, (size_t)size);
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        struct ov_bytes bytes = ov_bytes_of_string(name);
        if (is_wanted(s->attributes, bytes) || !may_be_removed(bytes))
            continue;
        int failed = s->fd >= 0 ? fremovexattr(s->fd, name) : lremovexattr(path, name);
        if (failed && errno != ENODATA)
            complain(s, &s->report->unset->xattrs, name);
    }
    free(names);
}

static void set_xattrs(const struct subject *s)
{
    const struct xattr_path path = xattr_path(s);
    remove_other_xattrs(s, path.text);
    for (size_t i = 0; i < s->attributes->xattr_count; i++) {
        const struct ov_xattr *x = &s->attributes->xattrs[i];
        const char *name = (const char *)x->name.data;
        int failed = s->fd >= 0 ? fsetxattr(s->fd, name, x->value.data, x->value.len, 0)
                                : lsetxattr(path.text, name, x->value.data, x->value.len, 0);
        if (failed)
            complain(s, &s->report->unset->xattrs, name);
    }
}

/* chmod of something that may not be a link and cannot be opened, such as a device. */
static int change_mode_at(const struct subject *s, mode_t mode)
{
    if (syscall(SYS_fchmodat2, s->directory_fd, s->name, mode, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM)
        return -1;
    return fchmodat(s->directory_fd, s->name, mode, AT_SYMLINK_NOFOLLOW);
}

static void set_mode(const struct subject *s, bool owner_is_right)
{
    mode_t mode = s->attributes->mode;
    if (!owner_is_right && (mode & (S_ISUID | S_ISGID)) &&
        s->attributes->kind != OV_NODE_DIRECTORY && !is_owner_right(s)) {
        mode &= ~(mode_t)(S_ISUID | S_ISGID);
        errno = EPERM;
        complain(s, &s->report->unset->modes, "the set-user-id bit of a file of another owner");
    }
    if (s->fd >= 0 ? fchmod(s->fd, mode) : change_mode_at(s, mode))
        complain(s, &s->report->unset->modes, "the mode");
}

static void set_times(const struct subject *s)
{
    const struct ov_attributes *a = s->attributes;
    const struct timespec times[2] = {
        {.tv_sec = a->mtime, .tv_nsec = a->mtime_ns},
        {.tv_sec = a->mtime, .tv_nsec = a->mtime_ns},
    };
    int failed = s->fd >= 0 ? futimens(s->fd, times)
                            : utimensat(s->directory_fd, s->name, times, AT_SYMLINK_NOFOLLOW);
    if (failed)
        complain(s, &s->report->unset->times, "the time of modification");
}

/*
 * A change of owner clears the set-user-id bits and capabilities, an ACL changes the mode, and a
 * mode without write permission may forbid xattrs.
 */
void ov_attributes_apply(const struct ov_attributes *attributes, int fd, int directory_fd,
                         const char *name, bool set_owner_too,
                         const struct ov_attributes_report *report)
{
    const struct subject s = {attributes, fd, directory_fd, name, report};
    bool owner_is_right = set_owner_too && set_owner(&s);
    set_xattrs(&s);
    if (attributes->kind != OV_NODE_SYMLINK)
        set_mode(&s, owner_is_right);
    set_times(&s);
}
