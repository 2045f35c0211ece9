/*
 * A library to preload, which stands between a program and the part of the file system below one
 * directory. It counts the calls that change something there and can let one of them go wrong, keep
 * a journal of all of them, or hold a process at a certain link. Environment:
 *
 *   CRASH_ROOT     directory that is watched (a real path); without it the library does nothing
 *   CRASH_TRACE    file: gets a line "name path path" for each call
 *   CRASH_AT       number of the call, from 1, at which to act
 *   CRASH_HOW      what to do there:
 *       kill         die before the call
 *       torn-kill    do half of a write, then die
 *       enospc, eio  fail without doing it
 *       full, dead   the same for this call and every later one (full: those that take space)
 *       torn-enospc, torn-eio   do half of a write, then fail
 *       done-eio     do it, but report EIO
 *       short        do half of a write and report so, as write(2) may
 *       lie          do half of a write and report all of it (must be noticed by the tests)
 *       torn-name    instead of a link or rename copy half of the file there and die (must be
 *                    noticed too)
 *   CRASH_FIRED    file: gets a line when that happens
 *   CRASH_JOURNAL  file: gets every change with its data; journal.py describes and reads it
 *   CRASH_NO_SYNC  "all", "file" or "directory": such fsyncs are not put into the journal
 *   CRASH_HOLD     "before", "after" or "both": at a link to a name that contains CRASH_HOLD_PATH,
 *                  the first CRASH_HOLD_TIMES times, make CRASH_HOLD_FILE.N.reached and wait for
 *                  CRASH_HOLD_FILE.N.go
 *   CRASH_BREAK    "overwrite": links to such names replace what is there (must be noticed)
 *
 * Where the order of threads brings another call than a write to a place that was one before,
 * "torn" kills it or lets it fail.
 *
 * All real work is done by system calls, so that nothing depends on the order of loading. The file
 * is long because a library to preload has to be one piece, with a function for each call's name.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum how {
    HOW_NONE,
    HOW_KILL,
    HOW_TORN_KILL,
    HOW_ENOSPC,
    HOW_EIO,
    HOW_FULL,
    HOW_DEAD,
    HOW_TORN_ENOSPC,
    HOW_TORN_EIO,
    HOW_DONE_EIO,
    HOW_SHORT,
    HOW_LIE,
    HOW_TORN_NAME,
};

static const char *const how_names[] = {
    "none",        "kill",     "torn-kill", "enospc", "eio", "full",      "dead",
    "torn-enospc", "torn-eio", "done-eio",  "short",  "lie", "torn-name",
};

static struct {
    char root[PATH_MAX];
    size_t root_len; /* 0: switched off */
    unsigned long at;
    enum how how;
    unsigned long count;
    int trace, fired, journal;
    bool skip_file_sync, skip_directory_sync;
    bool hold_before, hold_after, overwrite;
    unsigned hold_times, holds;
    const char *hold_path, *hold_file;
} shim;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct call {
    const char *name;
    char path[PATH_MAX];  /* absolute */
    char path2[PATH_MAX]; /* of a second name, or empty */
    bool takes_space;
    bool is_write; /* and so can be done by half */
    int error;     /* to report after it was done, or 0 */
};

/* What is to become of a call. */
enum verdict {
    RUN,
    FAIL, /* errno is set */
    HALF_THEN_FAIL,
    HALF_THEN_DIE,
    HALF, /* and say so */
    HALF_THEN_LIE,
    TEAR_NAME,
};

/* ---- Setting up ---- */

static void raw_write(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        long n = syscall(SYS_write, fd, p, len);
        if (n <= 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

_Noreturn static void stop(const char *why)
{
    raw_write(2, why, strlen(why));
    raw_write(2, "\n", 1);
    syscall(SYS_exit_group, 99);
    __builtin_unreachable();
}

_Noreturn static void die(void)
{
    for (;;)
        syscall(SYS_kill, getpid(), SIGKILL);
}

static int open_log(const char *variable)
{
    const char *path = getenv(variable);
    if (!path || !*path)
        return -1;
    int fd =
        (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        stop("shim: cannot open a log");
    /* Out of the way of programs that expect small numbers. */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    if (high >= 0)
        syscall(SYS_close, fd);
    return high >= 0 ? high : fd;
}

static bool is_set(const char *variable, const char *value)
{
    const char *text = getenv(variable);
    return text && strcmp(text, value) == 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *root = getenv("CRASH_ROOT");
    const char *how = getenv("CRASH_HOW");
    const char *at = getenv("CRASH_AT");
    const char *times = getenv("CRASH_HOLD_TIMES");
    shim.trace = open_log("CRASH_TRACE");
    shim.fired = open_log("CRASH_FIRED");
    shim.journal = open_log("CRASH_JOURNAL");
    shim.at = at ? strtoul(at, NULL, 10) : 0;
    for (size_t i = 0; how && i < sizeof(how_names) / sizeof(*how_names); i++) {
        if (strcmp(how, how_names[i]) == 0)
            shim.how = (enum how)i;
    }
    if (how && *how && shim.how == HOW_NONE)
        stop("shim: CRASH_HOW is not known");
    shim.skip_file_sync = is_set("CRASH_NO_SYNC", "all") || is_set("CRASH_NO_SYNC", "file");
    shim.skip_directory_sync =
        is_set("CRASH_NO_SYNC", "all") || is_set("CRASH_NO_SYNC", "directory");
    shim.hold_before = is_set("CRASH_HOLD", "before") || is_set("CRASH_HOLD", "both");
    shim.hold_after = is_set("CRASH_HOLD", "after") || is_set("CRASH_HOLD", "both");
    shim.overwrite = is_set("CRASH_BREAK", "overwrite");
    shim.hold_path = getenv("CRASH_HOLD_PATH");
    shim.hold_file = getenv("CRASH_HOLD_FILE");
    shim.hold_times = times ? (unsigned)strtoul(times, NULL, 10) : 1;
    if (root && *root) {
        snprintf(shim.root, sizeof(shim.root), "%s", root);
        shim.root_len = strlen(shim.root);
    }
}

/* ---- Paths ---- */

static bool path_of_fd(int fd, char out[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    if (n < 0)
        return false;
    out[n] = '\0';
    return true;
}

/* Takes out "//", "/./" and a "/" or "/." at the end. */
static void tidy(char *path)
{
    char *to = path;
    for (const char *p = path; *p;) {
        while (*p == '/')
            p++;
        size_t len = strcspn(p, "/");
        if (len && !(len == 1 && *p == '.')) {
            *to++ = '/';
            memmove(to, p, len);
            to += len;
        }
        p += len;
    }
    *to = '\0';
}

static void resolve(int dir, const char *path, char out[PATH_MAX])
{
    char base[PATH_MAX] = "";
    if (path[0] != '/') {
        if (dir == AT_FDCWD && syscall(SYS_getcwd, base, sizeof(base)) < 0)
            base[0] = '\0';
        else if (dir != AT_FDCWD && !path_of_fd(dir, base))
            base[0] = '\0';
    }
    size_t base_len = strlen(base), len = strlen(path);
    if (base_len + len + 2 > PATH_MAX) {
        out[0] = '\0';
        return;
    }
    memcpy(out, base, base_len);
    out[base_len] = '/';
    memcpy(out + base_len + 1, path, len + 1);
    tidy(out);
}

static bool is_watched(const char *path)
{
    return shim.root_len && strncmp(path, shim.root, shim.root_len) == 0 &&
           (path[shim.root_len] == '/' || path[shim.root_len] == '\0');
}

/* Below the root; the root itself is ".". */
static const char *relative(const char *path)
{
    if (!is_watched(path))
        return "-";
    return path[shim.root_len] ? path + shim.root_len + 1 : ".";
}

static bool about_fd(struct call *call, const char *name, int fd, bool takes_space)
{
    if (!shim.root_len)
        return false;
    int saved = errno;
    call->name = name;
    call->path2[0] = '\0';
    call->takes_space = takes_space;
    call->is_write = false;
    call->error = 0;
    bool watched = path_of_fd(fd, call->path) && is_watched(call->path);
    errno = saved;
    return watched;
}

static bool about_paths(struct call *call, const char *name, int dir, const char *path, int dir2,
                        const char *path2, bool takes_space)
{
    if (!shim.root_len || !path)
        return false;
    int saved = errno;
    call->name = name;
    call->path2[0] = '\0';
    call->takes_space = takes_space;
    call->is_write = false;
    call->error = 0;
    resolve(dir, path, call->path);
    if (path2)
        resolve(dir2, path2, call->path2);
    errno = saved;
    return is_watched(call->path) || is_watched(call->path2);
}

static bool about_path(struct call *call, const char *name, int dir, const char *path,
                       bool takes_space)
{
    return about_paths(call, name, dir, path, 0, NULL, takes_space);
}

/* ---- Deciding ---- */

static void note(int log, const struct call *call)
{
    char line[2 * PATH_MAX + 64];
    if (log < 0)
        return;
    int n = snprintf(line, sizeof(line), "%s %s %s\n", call->name, relative(call->path),
                     call->path2[0] ? relative(call->path2) : "");
    raw_write(log, line, (size_t)n);
}

static enum verdict fail_with(int error)
{
    errno = error;
    return FAIL;
}

static enum verdict judge(struct call *call)
{
    switch (shim.how) {
    case HOW_NONE:
        return RUN;
    case HOW_KILL:
        die();
    case HOW_TORN_KILL:
        if (!call->is_write)
            die();
        return HALF_THEN_DIE;
    case HOW_ENOSPC:
    case HOW_FULL:
        return fail_with(ENOSPC);
    case HOW_EIO:
    case HOW_DEAD:
        return fail_with(EIO);
    case HOW_TORN_ENOSPC:
        call->error = ENOSPC;
        return call->is_write ? HALF_THEN_FAIL : fail_with(ENOSPC);
    case HOW_TORN_EIO:
        call->error = EIO;
        return call->is_write ? HALF_THEN_FAIL : fail_with(EIO);
    case HOW_DONE_EIO:
        call->error = EIO;
        return RUN;
    case HOW_SHORT:
        return HALF;
    case HOW_LIE:
        return HALF_THEN_LIE;
    case HOW_TORN_NAME:
        return TEAR_NAME;
    }
    return RUN;
}

/* Counts a call. The lock stays taken until leave(), so that the journal has the true order. */
static enum verdict enter(struct call *call)
{
    pthread_mutex_lock(&mutex);
    shim.count++;
    note(shim.trace, call);
    bool is_here = shim.at && shim.count == shim.at;
    bool is_later = shim.at && shim.count > shim.at &&
                    (shim.how == HOW_DEAD || (shim.how == HOW_FULL && call->takes_space));
    if (is_here)
        note(shim.fired, call);
    return is_here || is_later ? judge(call) : RUN;
}

static long leave(const struct call *call, long result)
{
    if (result >= 0 && call->error) {
        errno = call->error;
        result = -1;
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

/* ---- The journal ---- */

static void journal(const char *what, const struct stat *st, const char *path, const char *path2,
                    long long offset, const void *data, size_t len)
{
    char head[2 * PATH_MAX + 160];
    if (shim.journal < 0)
        return;
    int n =
        snprintf(head, sizeof(head), "%s\t%llx:%llx\t%s\t%s\t%lld\t%zu\n", what,
                 st ? (unsigned long long)st->st_dev : 0, st ? (unsigned long long)st->st_ino : 0,
                 path ? relative(path) : "", path2 ? relative(path2) : "", offset, data ? len : 0);
    struct iovec parts[2] = {{head, (size_t)n}, {(void *)(uintptr_t)data, data ? len : 0}};
    if (syscall(SYS_writev, shim.journal, parts, 2) != n + (long)(data ? len : 0))
        stop("shim: cannot write the journal");
}

static void journal_fd(const char *what, int fd, long long offset, const void *data, size_t len)
{
    int saved = errno;
    struct stat st;
    if (shim.journal >= 0 && fstat(fd, &st) == 0)
        journal(what, &st, NULL, NULL, offset, data, len);
    errno = saved;
}

static void journal_path(const char *what, const char *path, const char *path2)
{
    int saved = errno;
    struct stat st;
    bool there = shim.journal >= 0 && lstat(path2 ? path2 : path, &st) == 0;
    if (shim.journal >= 0)
        journal(what, there ? &st : NULL, path, path2, 0, NULL, 0);
    errno = saved;
}

static void journal_sync(int fd)
{
    struct stat st;
    if (shim.journal < 0 || fstat(fd, &st))
        return;
    if (S_ISDIR(st.st_mode) ? shim.skip_directory_sync : shim.skip_file_sync)
        return;
    journal("sync", &st, NULL, NULL, 0, NULL, 0);
}

/* What the journal cannot express must not go unnoticed. */
static void journal_strange(const struct call *call)
{
    journal("strange", NULL, call->path, NULL, 0, call->name, strlen(call->name));
}

/* ---- Opening ---- */

static long open_call(const char *name, int dir, const char *path, int flags, unsigned mode)
{
    struct call call;
    bool changes = (flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE;
    if (!changes || !about_path(&call, name, dir, path, true))
        return syscall(SYS_openat, dir, path, flags, mode);
    if (enter(&call) == FAIL)
        return leave(&call, -1);
    struct stat before;
    bool was_there = lstat(call.path, &before) == 0;
    errno = 0;
    long fd = syscall(SYS_openat, dir, path, flags, mode);
    struct stat st;
    if (fd >= 0 && fstat((int)fd, &st) == 0) {
        if ((flags & O_TMPFILE) == O_TMPFILE)
            journal("nameless", &st, NULL, NULL, 0, NULL, 0);
        else if (!was_there)
            journal("create", &st, call.path, NULL, 0, NULL, 0);
        else if (flags & O_TRUNC)
            journal("truncate", &st, NULL, NULL, 0, NULL, 0);
        if (call.error)
            syscall(SYS_close, fd);
    }
    return leave(&call, fd);
}

#define READ_MODE(flags, mode)                                   \
    unsigned mode = 0;                                           \
    if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE) { \
        va_list ap;                                              \
        va_start(ap, flags);                                     \
        mode = va_arg(ap, unsigned);                             \
        va_end(ap);                                              \
    }

int open(const char *path, int flags, ...)
{
    READ_MODE(flags, mode)
    return (int)open_call("open", AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    READ_MODE(flags, mode)
    return (int)open_call("open", AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    READ_MODE(flags, mode)
    return (int)open_call("open", dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    READ_MODE(flags, mode)
    return (int)open_call("open", dir, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return (int)open_call("open", AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
    return (int)open_call("open", AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What a fortified program calls instead. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return (int)open_call("open", AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return (int)open_call("open", AT_FDCWD, path, flags, 0);
}

int __openat_2(int dir, const char *path, int flags)
{
    return (int)open_call("open", dir, path, flags, 0);
}

int __openat64_2(int dir, const char *path, int flags)
{
    return (int)open_call("open", dir, path, flags, 0);
}

static int make_temporary(char *template, int suffix_len, int flags)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    static unsigned long tries;
    char *x = template + strlen(template) - suffix_len - 6;
    for (int i = 0; i < 100; i++) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t r = (uint64_t)now.tv_nsec * 2654435761u + ++tries * 40503u + (uint64_t)getpid();
        for (int k = 0; k < 6; k++, r >>= 5)
            x[k] = letters[r & 31];
        long fd = open_call("open", AT_FDCWD, template, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
        if (fd >= 0 || errno != EEXIST)
            return (int)fd;
    }
    return -1;
}

#define TEMPORARY(name)                        \
    int name(char *template)                   \
    {                                          \
        return make_temporary(template, 0, 0); \
    }
#define TEMPORARY_FLAGS(name)                      \
    int name(char *template, int flags)            \
    {                                              \
        return make_temporary(template, 0, flags); \
    }
TEMPORARY(mkstemp)
TEMPORARY(mkstemp64)
TEMPORARY_FLAGS(mkostemp)
TEMPORARY_FLAGS(mkostemp64)

/* ---- Writing ---- */

/* offset: -1 for the current one. */
static long raw_put(int fd, const void *data, size_t len, long long offset)
{
    return offset < 0 ? syscall(SYS_write, fd, data, len)
                      : syscall(SYS_pwrite64, fd, data, len, offset);
}

static long put_and_journal(int fd, const void *data, size_t len, long long offset)
{
    long long at = offset;
    if (at < 0 && shim.journal >= 0) {
        struct stat st;
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && (flags & O_APPEND) && fstat(fd, &st) == 0)
            at = st.st_size;
        else
            at = lseek(fd, 0, SEEK_CUR);
    }
    long n = raw_put(fd, data, len, offset);
    if (n > 0)
        journal_fd("write", fd, at, data, (size_t)n);
    return n;
}

static long write_call(const char *name, int fd, const void *data, size_t len, long long offset)
{
    struct call call;
    if (!about_fd(&call, name, fd, true))
        return raw_put(fd, data, len, offset);
    call.is_write = true;
    enum verdict verdict = enter(&call);
    if (verdict == FAIL)
        return leave(&call, -1);
    if (verdict == RUN || verdict == TEAR_NAME)
        return leave(&call, put_and_journal(fd, data, len, offset));
    long n = len > 1 ? put_and_journal(fd, data, len / 2, offset) : 0;
    if (verdict == HALF_THEN_DIE)
        die();
    if (verdict == HALF_THEN_LIE)
        n = (long)len;
    return leave(&call, n);
}

static long writev_call(const char *name, int fd, const struct iovec *parts, int count,
                        long long offset)
{
    struct call call;
    if (!about_fd(&call, name, fd, true))
        return offset < 0 ? syscall(SYS_writev, fd, parts, count)
                          : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    size_t len = 0, at = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    char *all = malloc(len ? len : 1);
    if (!all)
        stop("shim: out of memory");
    for (int i = 0; i < count; at += parts[i].iov_len, i++)
        memcpy(all + at, parts[i].iov_base, parts[i].iov_len);
    long n = write_call(name, fd, all, len, offset);
    free(all);
    return n;
}

ssize_t write(int fd, const void *data, size_t len)
{
    return write_call("write", fd, data, len, -1);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return write_call("pwrite64", fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return write_call("pwrite64", fd, data, len, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return writev_call("writev", fd, parts, count, -1);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return writev_call("pwritev", fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return writev_call("pwritev", fd, parts, count, offset);
}

/* ---- Calls with an integer result ---- */

/*
 * Runs `work` unless the call is to fail, and `record` if it succeeded. `work` may be torn only
 * where the call gives a file its name.
 */
#define GUARDED(call, work, record)           \
    do {                                      \
        if (enter(&(call)) == FAIL)           \
            return (int)leave(&(call), -1);   \
        long guarded_ = (work);               \
        if (guarded_ >= 0) {                  \
            int saved_ = errno;               \
            record;                           \
            errno = saved_;                   \
        }                                     \
        return (int)leave(&(call), guarded_); \
    } while (0)

int fsync(int fd)
{
    struct call call;
    if (!about_fd(&call, "fsync", fd, false))
        return (int)syscall(SYS_fsync, fd);
    GUARDED(call, syscall(SYS_fsync, fd), journal_sync(fd));
}

int fdatasync(int fd)
{
    struct call call;
    if (!about_fd(&call, "fdatasync", fd, false))
        return (int)syscall(SYS_fdatasync, fd);
    GUARDED(call, syscall(SYS_fdatasync, fd), journal_sync(fd));
}

/* Promises nothing, so the journal does not know it. */
int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags)
{
    struct call call;
    if (!about_fd(&call, "sync_file_range", fd, false))
        return (int)syscall(SYS_sync_file_range, fd, offset, len, flags);
    GUARDED(call, syscall(SYS_sync_file_range, fd, offset, len, flags), (void)0);
}

int syncfs(int fd)
{
    struct call call;
    if (!about_fd(&call, "syncfs", fd, false))
        return (int)syscall(SYS_syncfs, fd);
    GUARDED(call, syscall(SYS_syncfs, fd), journal("syncall", NULL, NULL, NULL, 0, NULL, 0));
}

static int truncate_fd(int fd, off64_t len)
{
    struct call call;
    if (!about_fd(&call, "ftruncate", fd, true))
        return (int)syscall(SYS_ftruncate, fd, len);
    GUARDED(call, syscall(SYS_ftruncate, fd, len), journal_fd("truncate", fd, len, NULL, 0));
}

int ftruncate(int fd, off_t len)
{
    return truncate_fd(fd, len);
}

int ftruncate64(int fd, off64_t len)
{
    return truncate_fd(fd, len);
}

static int truncate_path(const char *path, off64_t len)
{
    struct call call;
    if (!about_path(&call, "truncate", AT_FDCWD, path, true))
        return (int)syscall(SYS_truncate, path, len);
    GUARDED(call, syscall(SYS_truncate, path, len), journal_strange(&call));
}

int truncate(const char *path, off_t len)
{
    return truncate_path(path, len);
}

int truncate64(const char *path, off64_t len)
{
    return truncate_path(path, len);
}

static int allocate(int fd, int mode, off64_t offset, off64_t len)
{
    struct call call;
    if (!about_fd(&call, "fallocate", fd, true))
        return (int)syscall(SYS_fallocate, fd, mode, offset, len);
    GUARDED(call, syscall(SYS_fallocate, fd, mode, offset, len), {
        if (mode == 0)
            journal_fd("extend", fd, offset + len, NULL, 0);
        else
            journal_strange(&call);
    });
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return allocate(fd, mode, offset, len);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    return allocate(fd, mode, offset, len);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    return allocate(fd, 0, offset, len) < 0 ? errno : 0;
}

int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
    return allocate(fd, 0, offset, len) < 0 ? errno : 0;
}

static int make_directory(int dir, const char *path, mode_t mode)
{
    struct call call;
    if (!about_path(&call, "mkdir", dir, path, true))
        return (int)syscall(SYS_mkdirat, dir, path, mode);
    GUARDED(call, syscall(SYS_mkdirat, dir, path, mode), journal_path("mkdir", call.path, NULL));
}

int mkdir(const char *path, mode_t mode)
{
    return make_directory(AT_FDCWD, path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    return make_directory(dir, path, mode);
}

static int make_symlink(const char *target, int dir, const char *path)
{
    struct call call;
    if (!about_path(&call, "symlink", dir, path, true))
        return (int)syscall(SYS_symlinkat, target, dir, path);
    GUARDED(call, syscall(SYS_symlinkat, target, dir, path), journal_strange(&call));
}

int symlink(const char *target, const char *path)
{
    return make_symlink(target, AT_FDCWD, path);
}

int symlinkat(const char *target, int dir, const char *path)
{
    return make_symlink(target, dir, path);
}

static int remove_name(int dir, const char *path, int flags)
{
    struct call call;
    if (!about_path(&call, "unlink", dir, path, false))
        return (int)syscall(SYS_unlinkat, dir, path, flags);
    GUARDED(call, syscall(SYS_unlinkat, dir, path, flags),
            journal("unlink", NULL, call.path, NULL, 0, NULL, 0));
}

int unlink(const char *path)
{
    return remove_name(AT_FDCWD, path, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
    return remove_name(dir, path, flags);
}

int rmdir(const char *path)
{
    return remove_name(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    struct stat st;
    bool is_directory = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return remove_name(AT_FDCWD, path, is_directory ? AT_REMOVEDIR : 0);
}

/* ---- Names ---- */

/* Does what a program without atomic names would do, half of it. */
_Noreturn static void tear_name(const struct call *call)
{
    char buffer[65536];
    long from = syscall(SYS_openat, AT_FDCWD, call->path, O_RDONLY | O_CLOEXEC, 0);
    long to = syscall(SYS_openat, AT_FDCWD, call->path2, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    long n = syscall(SYS_read, from, buffer, sizeof(buffer));
    if (to >= 0 && n > 0)
        raw_write((int)to, buffer, (size_t)n / 2);
    die();
}

static bool is_held(const struct call *call)
{
    return shim.hold_path && *shim.hold_path && strstr(call->path2, shim.hold_path);
}

/* Tells that it is here and waits to be let go. */
static void hold(const struct call *call)
{
    char reached[PATH_MAX], go[PATH_MAX];
    if (!is_held(call) || !shim.hold_file || shim.holds >= shim.hold_times)
        return;
    int saved = errno;
    snprintf(reached, sizeof(reached), "%s.%u.reached", shim.hold_file, shim.holds);
    snprintf(go, sizeof(go), "%s.%u.go", shim.hold_file, shim.holds);
    shim.holds++;
    long fd = syscall(SYS_openat, AT_FDCWD, reached, O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        stop("shim: cannot say that it holds");
    syscall(SYS_close, fd);
    for (int i = 0; syscall(SYS_faccessat, AT_FDCWD, go, F_OK) != 0; i++) {
        if (i > 30000)
            stop("shim: held for too long");
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    errno = saved;
}

static long real_link(const struct call *call, int dir, const char *path, int dir2,
                      const char *path2, int flags)
{
    if (shim.overwrite && is_held(call))
        return syscall(SYS_renameat2, dir, path, dir2, path2, 0);
    return syscall(SYS_linkat, dir, path, dir2, path2, flags);
}

static int link_locked(struct call *call, int dir, const char *path, int dir2, const char *path2,
                       int flags)
{
    enum verdict verdict = enter(call);
    if (verdict == FAIL)
        return (int)leave(call, -1);
    if (verdict == TEAR_NAME)
        tear_name(call);
    long result = real_link(call, dir, path, dir2, path2, flags);
    if (result == 0)
        journal_path("link", call->path, call->path2);
    return (int)leave(call, result);
}

static int make_link(int dir, const char *path, int dir2, const char *path2, int flags)
{
    struct call call;
    if (!about_paths(&call, "link", dir, path, dir2, path2, true))
        return (int)syscall(SYS_linkat, dir, path, dir2, path2, flags);
    if (shim.hold_before)
        hold(&call);
    int result = link_locked(&call, dir, path, dir2, path2, flags);
    if (shim.hold_after)
        hold(&call);
    return result;
}

int link(const char *path, const char *path2)
{
    return make_link(AT_FDCWD, path, AT_FDCWD, path2, 0);
}

int linkat(int dir, const char *path, int dir2, const char *path2, int flags)
{
    return make_link(dir, path, dir2, path2, flags);
}

static int move(int dir, const char *path, int dir2, const char *path2, unsigned flags)
{
    struct call call;
    if (!about_paths(&call, "rename", dir, path, dir2, path2, true))
        return (int)syscall(SYS_renameat2, dir, path, dir2, path2, flags);
    enum verdict verdict = enter(&call);
    if (verdict == FAIL)
        return (int)leave(&call, -1);
    if (verdict == TEAR_NAME)
        tear_name(&call);
    long result = syscall(SYS_renameat2, dir, path, dir2, path2, flags);
    if (result == 0) {
        if (flags & ~1u) /* beyond RENAME_NOREPLACE */
            journal_strange(&call);
        else
            journal_path("rename", call.path, call.path2);
    }
    return (int)leave(&call, result);
}

int rename(const char *path, const char *path2)
{
    return move(AT_FDCWD, path, AT_FDCWD, path2, 0);
}

int renameat(int dir, const char *path, int dir2, const char *path2)
{
    return move(dir, path, dir2, path2, 0);
}

int renameat2(int dir, const char *path, int dir2, const char *path2, unsigned flags)
{
    return move(dir, path, dir2, path2, flags);
}

/* ---- Modes and times: counted, but of no weight in the journal ---- */

int fchmod(int fd, mode_t mode)
{
    struct call call;
    if (!about_fd(&call, "fchmod", fd, false))
        return (int)syscall(SYS_fchmod, fd, mode);
    GUARDED(call, syscall(SYS_fchmod, fd, mode), (void)0);
}

static int change_mode(int dir, const char *path, mode_t mode)
{
    struct call call;
    if (!about_path(&call, "chmod", dir, path, false))
        return (int)syscall(SYS_fchmodat, dir, path, mode);
    GUARDED(call, syscall(SYS_fchmodat, dir, path, mode), (void)0);
}

int chmod(const char *path, mode_t mode)
{
    return change_mode(AT_FDCWD, path, mode);
}

int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
    (void)flags;
    return change_mode(dir, path, mode);
}

int futimens(int fd, const struct timespec times[2])
{
    struct call call;
    if (!about_fd(&call, "utimensat", fd, false))
        return (int)syscall(SYS_utimensat, fd, NULL, times, 0);
    GUARDED(call, syscall(SYS_utimensat, fd, NULL, times, 0), (void)0);
}

int utimensat(int dir, const char *path, const struct timespec times[2], int flags)
{
    struct call call;
    if (!about_path(&call, "utimensat", dir, path, false))
        return (int)syscall(SYS_utimensat, dir, path, times, flags);
    GUARDED(call, syscall(SYS_utimensat, dir, path, times, flags), (void)0);
}

/* ---- Ways of writing that the journal cannot follow ---- */

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t len,
                        unsigned flags)
{
    struct call call;
    if (!about_fd(&call, "copy_file_range", out, true))
        return syscall(SYS_copy_file_range, in, in_offset, out, out_offset, len, flags);
    GUARDED(call, syscall(SYS_copy_file_range, in, in_offset, out, out_offset, len, flags),
            journal_strange(&call));
}

static long map(void *address, size_t len, int protection, int flags, int fd, off64_t offset)
{
    struct call call;
    bool changes = fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE);
    if (!changes || !about_fd(&call, "mmap", fd, true))
        return syscall(SYS_mmap, address, len, protection, flags, fd, offset);
    if (enter(&call) == FAIL)
        return leave(&call, -1);
    journal_strange(&call);
    return leave(&call, syscall(SYS_mmap, address, len, protection, flags, fd, offset));
}

void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    return (void *)map(address, len, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t len, int protection, int flags, int fd, off64_t offset)
{
    return (void *)map(address, len, protection, flags, fd, offset);
}
