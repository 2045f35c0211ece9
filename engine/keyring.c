#include "engine/keyring.h"

#include "engine/hash.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"

#include <sodium.h>

#define MAX_EPOCHS 1024

struct epoch {
    uint32_t number;
    struct ov_secret master;
};

struct ov_keyring {
    struct ov_id repository;
    struct ov_secret tag_key;
    size_t epoch_count;
    struct epoch epochs[];
};

static const char *const purposes[] = {
    [OV_PURPOSE_LOG] = "log",   [OV_PURPOSE_INDEX] = "index", [OV_PURPOSE_META] = "meta",
    [OV_PURPOSE_DATA] = "data", [OV_PURPOSE_SLOT] = "slot",
};

static struct ov_keyring *allocate(size_t epochs)
{
    size_t size = sizeof(struct ov_keyring) + epochs * sizeof(struct epoch);
    /* sodium_malloc wants sizes that keep alignment. */
    struct ov_keyring *keyring = sodium_malloc((size + 15) / 16 * 16);
    if (keyring)
        keyring->epoch_count = epochs;
    return keyring;
}

void ov_keyring_free(struct ov_keyring *keyring)
{
    sodium_free(keyring);
}

enum ov_status ov_keyring_generate(const struct ov_id *repository, struct ov_keyring **out,
                                   struct ov_error *err)
{
    struct ov_keyring *keyring = allocate(1);
    if (!keyring)
        return ov_fail_no_memory(err);
    keyring->repository = *repository;
    ov_secret_random(&keyring->tag_key);
    keyring->epochs[0].number = 1;
    ov_secret_random(&keyring->epochs[0].master);
    *out = keyring;
    return OV_OK;
}

static enum ov_status decode_epochs(struct ov_cursor *c, struct ov_keyring **out,
                                    struct ov_error *err)
{
    size_t count;
    OV_TRY(ov_read_array(c, MAX_EPOCHS, &count, err));
    if (count == 0)
        return ov_cursor_fail(c, "no epochs", err);
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = allocate(count);
    if (!keyring)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        OV_TRY(ov_read_array_exact(c, 2, err));
        OV_TRY(ov_read_uint(c, UINT32_MAX, &number, err));
        if (number != i + 1)
            return ov_cursor_fail(c, "epochs that do not ascend from 1", err);
        keyring->epochs[i].number = (uint32_t)number;
        OV_TRY(ov_read_bin_exact(c, keyring->epochs[i].master.bytes, OV_SECRET_SIZE, err));
    }
    *out = ov_steal(keyring);
    return OV_OK;
}

enum ov_status ov_keyring_decode(struct ov_bytes bytes, struct ov_keyring **out,
                                 struct ov_error *err)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    struct ov_id repository = {{0}};
    struct ov_secret tag_key = {{0}};
    struct ov_cursor c;
    struct ov_map_reader map;
    uint64_t key;
    unsigned seen = 0;
    enum ov_status status;

    ov_cursor_init(&c, bytes, "keyring");
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        if (key == 1)
            status = ov_read_bin_exact(&c, repository.bytes, OV_ID_SIZE, err);
        else if (key == 2)
            status = ov_read_bin_exact(&c, tag_key.bytes, OV_SECRET_SIZE, err);
        else if (key == 3)
            status = decode_epochs(&c, &keyring, err);
        else
            status = ov_map_unknown(&c, key, false, err);
        if (status < 0)
            break;
        seen |= 1u << key;
    }
    if (status >= 0)
        status = ov_cursor_finish(&c, err);
    if (status >= 0 && seen != 0xe)
        status = ov_cursor_fail(&c, "a member is missing", err);
    if (status >= 0) {
        keyring->repository = repository;
        keyring->tag_key = tag_key;
        *out = ov_steal(keyring);
        status = OV_OK;
    }
    ov_secret_wipe(&tag_key);
    return status;
}

enum ov_status ov_keyring_encode(const struct ov_keyring *keyring, struct ov_buf *out,
                                 struct ov_error *err)
{
    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, 3);
    ov_write_uint(&w, 1);
    ov_write_bin(&w, keyring->repository.bytes, OV_ID_SIZE);
    ov_write_uint(&w, 2);
    ov_write_bin(&w, keyring->tag_key.bytes, OV_SECRET_SIZE);
    ov_write_uint(&w, 3);
    ov_write_array(&w, keyring->epoch_count);
    for (size_t i = 0; i < keyring->epoch_count; i++) {
        ov_write_array(&w, 2);
        ov_write_uint(&w, keyring->epochs[i].number);
        ov_write_bin(&w, keyring->epochs[i].master.bytes, OV_SECRET_SIZE);
    }
    return ov_writer_finish(&w);
}

const struct ov_id *ov_keyring_repository(const struct ov_keyring *keyring)
{
    return &keyring->repository;
}

uint32_t ov_keyring_epoch(const struct ov_keyring *keyring)
{
    return keyring->epochs[keyring->epoch_count - 1].number;
}

enum ov_status ov_keyring_purpose(const struct ov_keyring *keyring, enum ov_purpose purpose,
                                  uint32_t epoch, struct ov_secret *out, struct ov_error *err)
{
    for (size_t i = 0; i < keyring->epoch_count; i++) {
        if (keyring->epochs[i].number == epoch) {
            ov_mac(&keyring->epochs[i].master, "ociv2 key", purposes[purpose],
                   strlen(purposes[purpose]), out->bytes);
            return OV_OK;
        }
    }
    return ov_fail(err, OV_ERR_UNSUPPORTED, "this key does not hold epoch %u", epoch);
}

struct ov_tag ov_keyring_tag(const struct ov_keyring *keyring, const struct ov_id *id)
{
    uint8_t input[OV_SECRET_SIZE + OV_ID_SIZE];
    memcpy(input, keyring->tag_key.bytes, OV_SECRET_SIZE);
    memcpy(input + OV_SECRET_SIZE, id->bytes, OV_ID_SIZE);
    struct ov_id hash;
    ov_hash("ociv2 tag", input, sizeof(input), &hash);
    struct ov_tag tag;
    memcpy(tag.bytes, hash.bytes, OV_TAG_SIZE);
    ov_wipe(input, OV_SECRET_SIZE);
    return tag;
}
