/*
 * Open packs, each opened once. Thread-safe.
 */
#ifndef OV_REPO_PACK_CACHE_H
#define OV_REPO_PACK_CACHE_H

#include "engine/pack_reader.h"
#include "repo/lookup.h"

struct ov_pack_cache;

/* backend, keyring: borrowed; must outlive the cache. */
OV_MUST_CHECK enum ov_status ov_pack_cache_open(struct ov_backend *backend,
                                                const struct ov_keyring *keyring,
                                                struct ov_pack_cache **out, struct ov_error *err);

/* Accepts NULL. */
void ov_pack_cache_close(struct ov_pack_cache *cache);
OV_DEFINE_AUTO(ov_pack_cache_close_auto, struct ov_pack_cache, ov_pack_cache_close)

/*
 * Reads the frame of a location. Release *out with ov_frame_release().
 * Errors: NOT_FOUND (the pack is gone: the log may have moved on), CORRUPT, IO.
 */
OV_MUST_CHECK enum ov_status ov_pack_cache_frame(struct ov_pack_cache *cache,
                                                 const struct ov_location *location,
                                                 struct ov_decompressor *decompressor,
                                                 struct ov_frame *out, struct ov_error *err);

#endif
