#include "engine/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define BLOCK_SIZE ((size_t)32 << 10)

struct ov_arena_block {
    struct ov_arena_block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) uint8_t bytes[];
};

void ov_arena_release(struct ov_arena *arena)
{
    while (arena->blocks) {
        struct ov_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
}

void ov_arena_clear(struct ov_arena *arena)
{
    struct ov_arena_block *kept = NULL;
    while (arena->blocks) {
        struct ov_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        if (!kept && block->size == BLOCK_SIZE)
            kept = block;
        else
            free(block);
    }
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
    }
    arena->blocks = kept;
}

void *ov_arena_alloc(struct ov_arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + align - 1) / align * align;
    struct ov_arena_block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        size_t wanted = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = malloc(sizeof(*block) + wanted);
        if (!block)
            return NULL;
        block->used = 0;
        block->size = wanted;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *out = block->bytes + block->used;
    block->used += size;
    return out;
}

enum ov_status ov_arena_copy(struct ov_arena *arena, struct ov_bytes bytes, struct ov_bytes *out,
                             struct ov_error *err)
{
    uint8_t *copy = ov_arena_alloc(arena, bytes.len + 1);
    if (!copy)
        return ov_fail_no_memory(err);
    if (bytes.len)
        memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len] = '\0';
    *out = ov_bytes_of(copy, bytes.len);
    return OV_OK;
}
