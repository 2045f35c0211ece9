/*
 * What metadata objects refer to, kept in a local file so that finding out what snapshots reach
 * need not read them again. An object never changes, so neither does what is known of it. The file
 * is private to this machine and version; losing it costs time and nothing else.
 */
#ifndef OV_REPO_REFERENCE_CACHE_H
#define OV_REPO_REFERENCE_CACHE_H

#include "engine/keyring.h"
#include "repo/references.h"

struct ov_reference_cache;

/* A metadata object that another one refers to. */
struct ov_cached_child {
    uint32_t role;
    struct ov_id id;
};

/* Views into the file, valid until the cache is closed. */
struct ov_cached_references {
    const struct ov_tag *chunks; /* of data */
    size_t chunk_count;
    const struct ov_cached_child *children;
    size_t child_count;
};

/* directory: of the repository's cache, or NULL: nothing is known and nothing kept. */
OV_MUST_CHECK enum ov_status ov_reference_cache_open(const char *directory,
                                                     const struct ov_id *repository,
                                                     struct ov_reference_cache **out,
                                                     struct ov_error *err);

/* Accepts NULL. What was added and not saved is gone. */
void ov_reference_cache_close(struct ov_reference_cache *cache);
OV_DEFINE_AUTO(ov_reference_cache_close_auto, struct ov_reference_cache, ov_reference_cache_close)

/* Whether it is known what the object refers to. */
bool ov_reference_cache_find(struct ov_reference_cache *cache, const struct ov_tag *object,
                             enum ov_role role, struct ov_cached_references *out);

/* Adds what was found out. Errors: NO_MEMORY, IO. */
OV_MUST_CHECK enum ov_status ov_reference_cache_add(struct ov_reference_cache *cache,
                                                    const struct ov_tag *object, enum ov_role role,
                                                    const struct ov_cached_references *references,
                                                    struct ov_error *err);

/*
 * Writes the file for next time: what was added, and what was asked for. What nobody asked for is
 * left out if that is worth it. To be called after going over everything. Errors: IO, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_reference_cache_save(struct ov_reference_cache *cache,
                                                     struct ov_error *err);

#endif
