/*
 * Tar archives by hand, byte by byte, and what the reader finds in them. There is one archive,
 * since each test is a process of its own.
 */
#ifndef OV_TESTS_SUPPORT_TAR_MAKER_H
#define OV_TESTS_SUPPORT_TAR_MAKER_H

#include "repo/image/tar_reader.h"
#include "tests/support/support.h"

/* Offsets in a header. */
enum {
    TAR_MODE = 100,
    TAR_UID = 108,
    TAR_GID = 116,
    TAR_SIZE = 124,
    TAR_MTIME = 136,
    TAR_CHECKSUM = 148,
    TAR_TYPE = 156,
    TAR_TARGET = 157,
    TAR_MAGIC = 257,
    TAR_DEVICE_MAJOR = 329,
    TAR_DEVICE_MINOR = 337,
    TAR_PREFIX = 345,
    TAR_SPARSE = 386,
    TAR_IS_EXTENDED = 482,
    TAR_REAL_SIZE = 483,
    TAR_BLOCK = 512
};

#define TAR_GNU_MAGIC "ustar  \0"

extern struct ov_buf tar_archive;
extern size_t tar_last; /* offset of the last header */

void tar_put(const void *bytes, size_t len);
void tar_put_zeros(size_t len);

/* A ustar header: mode 0644, owners 1 and 2, time 1000. */
void tar_put_header(char type, const char *name, uint64_t size);
/* The same with contents and padding. */
void tar_put_entry(char type, const char *name, const void *contents, size_t len);
void tar_put_file(const char *name, const char *contents);
void tar_put_contents(const void *contents, size_t len);
void tar_put_end(void);

/* Overlay bytes on the last header and make its checksum right. */
void tar_set(size_t offset, const void *bytes, size_t len);
void tar_set_text(size_t offset, const char *text);
void tar_set_number(size_t offset, size_t size, uint64_t number);
void tar_seal(bool is_signed);

/* Appends a pax record. */
void tar_add_record(struct ov_buf *records, const char *key, const void *value, size_t len);
/* A header of records: key, value, key, value, …, NULL. */
void tar_put_pax_list(char type, const char *const *list);
#define tar_put_pax(...) tar_put_pax_list('x', (const char *const[]){__VA_ARGS__, NULL})
#define tar_put_global(...) tar_put_pax_list('g', (const char *const[]){__VA_ARGS__, NULL})

/* ---- Reading ---- */

#define TAR_SEEN_MAX 32

/* What the reader found. */
struct tar_seen {
    struct ov_tar_entry entry;
    char path[600], target[600];
    struct ov_buf contents; /* with holes, up to 1 MiB */
    struct ov_buf xattrs;   /* "name=value;" each */
};
extern struct tar_seen tar_seen[TAR_SEEN_MAX];
extern size_t tar_seen_count;

/* step: the stream gives at most so many bytes at once. */
enum ov_status tar_read_archive(size_t step, bool reads);
/*
 * Reads the archive in several ways; what comes out of it is what was put in. After a failure the
 * error is in test_error.
 */
void tar_expect(enum ov_status expected);
/* These two end the archive, read it, and forget it. */
void tar_refuse(enum ov_status expected, const char *message);
void tar_accept(size_t count);

void tar_check_contents(const struct tar_seen *entry, const void *contents, size_t len);
/* text: "name=value;" for each */
void tar_check_xattrs(const struct tar_seen *entry, const void *text, size_t len);

#endif
