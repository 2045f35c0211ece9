/*
 * Memory that is given back all at once. Pieces never move.
 */
#ifndef OV_ENGINE_BASE_ARENA_H
#define OV_ENGINE_BASE_ARENA_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

struct ov_arena_block;

/* Zero-initialised means empty. */
struct ov_arena {
    struct ov_arena_block *blocks; /* newest first */
};

void ov_arena_release(struct ov_arena *arena);

/* Gives everything back but one block, for the next use. */
void ov_arena_clear(struct ov_arena *arena);

/* `size` bytes, aligned for any type, not initialised; NULL without memory. */
void *ov_arena_alloc(struct ov_arena *arena, size_t size);

/* A copy of `bytes` with a NUL behind it. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_arena_copy(struct ov_arena *arena, struct ov_bytes bytes,
                                           struct ov_bytes *out, struct ov_error *err);

#endif
