/*
 * The parts of a source of images: access to its files (source_dir.c, source_archive.c), what it
 * holds (source.c), its documents (source_load.c), its blobs (source_blob.c).
 */
#ifndef OV_REPO_IMAGE_SOURCE_INTERNAL_H
#define OV_REPO_IMAGE_SOURCE_INTERNAL_H

#include "repo/image/source.h"

/* ---- Files of a source ---- */

#define OV_MEMBER_NAME_MAX 511 /* longer names in archives are passed over */
#define OV_ARCHIVE_MAX 100000  /* members of an archive */

/* One regular file: `size` bytes of `fd` from `offset`, to be read with pread(). */
struct ov_member {
    int fd;
    bool owns_fd;
    uint64_t offset;
    uint64_t size;
};

/* Closes what is its own. Zero-initialised is not closed: fd -1 or owns_fd false. */
void ov_member_close(struct ov_member *member);

/* Errors: NOT_FOUND (also where `path` is no directory), ACCESS, IO. */
OV_MUST_CHECK enum ov_status ov_source_directory_open(const char *path, int *out_fd,
                                                      struct ov_error *err);

/*
 * name: never leads out of the directory, nor through a link.
 * Errors: NOT_FOUND, CORRUPT (no regular file, or a link on the way), ACCESS, IO.
 */
OV_MUST_CHECK enum ov_status ov_source_directory_find(int directory_fd, const char *name,
                                                      struct ov_member *out, struct ov_error *err);

struct ov_archive;

/*
 * Opens and indexes a tar archive; a packed one, and one that cannot be read from any place, is
 * spooled first. path: NULL is standard input.
 * Errors: NOT_FOUND, ACCESS, INVALID, CORRUPT, LIMIT, UNSUPPORTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_archive_open(const char *path, const char *spool,
                                             struct ov_archive **out, struct ov_error *err);
/* The same of an open file, which is taken over also if that fails. what: for messages. */
OV_MUST_CHECK enum ov_status ov_archive_open_fd(int fd, const char *what, const char *spool,
                                                struct ov_archive **out, struct ov_error *err);
/* Accepts NULL. */
void ov_archive_close(struct ov_archive *archive);
OV_DEFINE_AUTO(ov_archive_close_auto, struct ov_archive, ov_archive_close)

/* Of members with the same name the last counts, as when the archive is unpacked; until this is
 * called, the first. */
void ov_archive_let_last_win(struct ov_archive *archive);

bool ov_archive_has(const struct ov_archive *archive, const char *name);

/*
 * Follows one link. The member borrows the archive's descriptor. Thread-safe.
 * Errors: NOT_FOUND, CORRUPT (no regular file, a link to a link or to nowhere).
 */
OV_MUST_CHECK enum ov_status ov_archive_find(const struct ov_archive *archive, const char *name,
                                             struct ov_member *out, struct ov_error *err);

/* ---- The source ---- */

enum ov_source_form {
    OV_SOURCE_LAYOUT = 1, /* index.json, blobs/ALGORITHM/DIGITS */
    OV_SOURCE_DOCKER = 2, /* manifest.json in the sense of docker-archives */
    OV_SOURCE_DIR = 3,    /* manifest.json in the sense of OCI, DIGITS */
};

struct ov_image_source {
    enum ov_source_form form;
    char *path;                     /* for messages */
    int directory;                  /* or -1 */
    struct ov_archive *archive;     /* or NULL */
    struct ov_manifest layout;      /* LAYOUT: index.json */
    struct ov_docker_images docker; /* DOCKER */
    size_t *chosen;                 /* places in layout.items or docker.items */
    size_t count;
};

/* A source over an open archive, which it takes over also if that fails. reference: or NULL. */
OV_MUST_CHECK enum ov_status ov_image_source_over(struct ov_archive *archive, const char *path,
                                                  const char *reference,
                                                  struct ov_image_source **out,
                                                  struct ov_error *err);

/* Errors: NOT_FOUND, CORRUPT, ACCESS, IO. */
OV_MUST_CHECK enum ov_status ov_image_source_find(const struct ov_image_source *source,
                                                  const char *name, struct ov_member *out,
                                                  struct ov_error *err);

/*
 * The blob with this digest; is_manifest: `dir:` names them differently.
 * Errors: CORRUPT (it is missing, too), ACCESS, IO.
 */
OV_MUST_CHECK enum ov_status ov_image_source_find_blob(const struct ov_image_source *source,
                                                       const struct ov_digest *digest,
                                                       bool is_manifest, struct ov_member *out,
                                                       struct ov_error *err);

/* Appends a document. Errors: CORRUPT (it ends early), LIMIT (OV_IMAGE_DOCUMENT_MAX), IO. */
OV_MUST_CHECK enum ov_status ov_member_read_all(const struct ov_member *member, const char *what,
                                                struct ov_buf *out, struct ov_error *err);

/* Whether a descriptor in an index is of an attestation (platform unknown/unknown). */
bool ov_is_attestation(const struct ov_descriptor *descriptor);

#endif
