#include "repo/pack_cache.h"

#include "repo/layout.h"

#include <pthread.h>
#include <stdlib.h>

struct open_pack {
    struct ov_backend_source source;
    struct ov_pack_reader *reader;
};

struct ov_pack_cache {
    struct ov_backend *backend;
    const struct ov_keyring *keyring;
    pthread_mutex_t mutex;
    struct ov_map index; /* first half of the name → position */
    struct open_pack **packs;
    size_t count, capacity;
};

enum ov_status ov_pack_cache_open(struct ov_backend *backend, const struct ov_keyring *keyring,
                                  struct ov_pack_cache **out, struct ov_error *err)
{
    struct ov_pack_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return ov_fail_no_memory(err);
    cache->backend = backend;
    cache->keyring = keyring;
    pthread_mutex_init(&cache->mutex, NULL);
    *out = cache;
    return OV_OK;
}

static void free_pack(struct open_pack *pack)
{
    if (!pack)
        return;
    ov_pack_reader_close(pack->reader);
    free(pack);
}

OV_DEFINE_AUTO(free_pack_auto, struct open_pack, free_pack)

void ov_pack_cache_close(struct ov_pack_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->count; i++)
        free_pack(cache->packs[i]);
    free(cache->packs);
    ov_map_release(&cache->index);
    pthread_mutex_destroy(&cache->mutex);
    free(cache);
}

static enum ov_status open_pack(struct ov_pack_cache *cache, const struct ov_location *location,
                                struct ov_pack_reader **out, struct ov_error *err)
{
    OV_AUTO(free_pack_auto) struct open_pack *pack = calloc(1, sizeof(*pack));
    struct ov_path path = ov_path_of_id(OV_DIR_PACKS, &location->pack);
    if (!pack)
        return ov_fail_no_memory(err);
    uint64_t size;
    OV_TRY(cache->backend->ops->size(cache->backend, path.text, &size, err));
    if (size != location->pack_size)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: it has %llu bytes instead of %llu",
                       path.text, (unsigned long long)size,
                       (unsigned long long)location->pack_size);
    ov_backend_source_init(&pack->source, cache->backend, path.text, size);
    OV_TRY(ov_pack_reader_open(&pack->source.source, &location->pack, location->pack_kind,
                               cache->keyring, &pack->reader, err));
    OV_TRY(ov_array_grow(&cache->packs, cache->count, &cache->capacity, sizeof(struct open_pack *),
                         err));
    struct ov_map_key key = {ov_load64(location->pack.bytes), ov_load64(location->pack.bytes + 8)};
    OV_TRY(ov_map_put(&cache->index, key, cache->count, err));
    *out = pack->reader;
    cache->packs[cache->count++] = ov_steal(pack);
    return OV_OK;
}

static enum ov_status find_pack(struct ov_pack_cache *cache, const struct ov_location *location,
                                struct ov_pack_reader **out, struct ov_error *err)
{
    struct ov_map_key key = {ov_load64(location->pack.bytes), ov_load64(location->pack.bytes + 8)};
    uint64_t position;
    enum ov_status status = OV_OK;
    pthread_mutex_lock(&cache->mutex);
    if (ov_map_get(&cache->index, key, &position))
        *out = cache->packs[position]->reader;
    else
        status = open_pack(cache, location, out, err);
    pthread_mutex_unlock(&cache->mutex);
    return status;
}

enum ov_status ov_pack_cache_frame(struct ov_pack_cache *cache, const struct ov_location *location,
                                   struct ov_decompressor *decompressor, struct ov_frame *out,
                                   struct ov_error *err)
{
    struct ov_pack_reader *reader;
    OV_TRY(find_pack(cache, location, &reader, err));
    return ov_pack_reader_frame(reader, location->frame, location->offset, location->sealed_len,
                                decompressor, out, err);
}
