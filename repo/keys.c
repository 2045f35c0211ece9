#include "repo/keys.h"

#include "engine/limits.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "engine/sealed.h"
#include "repo/identity.h"
#include "repo/layout.h"

#include <stdlib.h>
#include <time.h>

#define PASSES 3
#define MEMORY_KIB 65536
#define MAX_SLOTS 1000

static const char keyring_context[] = "ociv2 keyring";
static const char slot_context[] = "ociv2 slot";

/* context ‖ salt, the associated data of what a slot seals. */
struct context {
    uint8_t bytes[32];
    size_t len;
};

static struct context make_context(const char *text, const uint8_t salt[16])
{
    struct context context = {.len = strlen(text) + 16};
    memcpy(context.bytes, text, strlen(text));
    memcpy(context.bytes + strlen(text), salt, 16);
    return context;
}

/* nonce ‖ ciphertext */
static enum ov_status seal(const struct ov_secret *key, const char *what, const uint8_t salt[16],
                           struct ov_bytes plain, struct ov_buf *out, struct ov_error *err)
{
    struct context context = make_context(what, salt);
    OV_TRY(ov_buf_append_zeros(out, OV_NONCE_SIZE + plain.len + OV_SEAL_OVERHEAD, err));
    ov_random(out->data, OV_NONCE_SIZE);
    ov_seal(key, out->data, ov_bytes_of(context.bytes, context.len), plain.data, plain.len,
            out->data + OV_NONCE_SIZE);
    return OV_OK;
}

/* OV_END when it was not sealed with this key. Errors: NO_MEMORY. */
static enum ov_status unseal(const struct ov_secret *key, const char *what, const uint8_t salt[16],
                             struct ov_bytes sealed, struct ov_buf *out, struct ov_error *err)
{
    struct context context = make_context(what, salt);
    size_t len = sealed.len - OV_NONCE_SIZE;
    OV_TRY(ov_buf_reserve(out, len, err));
    out->len = len - OV_SEAL_OVERHEAD;
    bool opened = ov_unseal(key, sealed.data, ov_bytes_of(context.bytes, context.len),
                            sealed.data + OV_NONCE_SIZE, len, out->data);
    return opened ? OV_OK : OV_END;
}

static void wipe_buf(struct ov_buf *buf)
{
    if (buf->data)
        ov_wipe(buf->data, buf->capacity);
    ov_buf_release(buf);
}

static enum ov_status wrapping_key(const struct ov_credential *credential,
                                   const struct ov_slot *slot, struct ov_secret *out,
                                   struct ov_error *err)
{
    if (credential->kind == OV_CREDENTIAL_PASSWORD)
        return ov_password_key(ov_buf_view(&credential->bytes), slot->salt, slot->passes,
                               slot->memory_kib, out, err);
    ov_mac(&credential->key, "ociv2 slot", slot->salt, sizeof(slot->salt), out->bytes);
    return OV_OK;
}

static void key_hint(const struct ov_secret *key, uint8_t hint[8])
{
    uint8_t full[32];
    ov_mac(key, "ociv2 key hint", "", 0, full);
    memcpy(hint, full, 8);
}

static bool may_fit(const struct ov_slot *slot, const struct ov_credential *credential)
{
    if (credential->kind == OV_CREDENTIAL_PASSWORD)
        return slot->type == 1;
    uint8_t hint[8];
    key_hint(&credential->key, hint);
    return slot->type == 2 && memcmp(hint, slot->hint, sizeof(hint)) == 0;
}

/* ---- Listing ---- */

struct names {
    char (*items)[OV_SLOT_NAME_SIZE];
    size_t count;
    size_t capacity;
};

static void names_release(struct names *names)
{
    free(names->items);
}

static enum ov_status collect(void *context, const char *name, uint64_t size, struct ov_error *err)
{
    struct names *names = context;
    uint8_t raw[16];
    (void)size;
    if (strlen(name) != 32 || !ov_hex_decode(name, raw, sizeof(raw)))
        return OV_OK; /* not a slot: ignored, as every unknown file */
    if (names->count >= MAX_SLOTS)
        return ov_fail(err, OV_ERR_LIMIT, "more than %d key slots", MAX_SLOTS);
    OV_TRY(
        ov_array_grow(&names->items, names->count, &names->capacity, sizeof(*names->items), err));
    memcpy(names->items[names->count++], name, OV_SLOT_NAME_SIZE);
    return OV_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static enum ov_status list_names(struct ov_backend *backend, struct names *names,
                                 struct ov_error *err)
{
    OV_TRY(backend->ops->list(backend, OV_DIR_KEYS, collect, names, err));
    if (names->count)
        qsort(names->items, names->count, sizeof(*names->items), compare_names);
    return OV_OK;
}

/* The slot borrows from `file`. */
static enum ov_status read_slot(struct ov_backend *backend, const char *name, struct ov_buf *file,
                                struct ov_slot *slot, struct ov_error *err)
{
    struct ov_path path;
    snprintf(path.text, sizeof(path.text), "%s/%s", OV_DIR_KEYS, name);
    ov_buf_clear(file);
    OV_TRY(ov_backend_read_all(backend, path.text, OV_MAX_SMALL_FILE, file, err));
    return ov_slot_decode(ov_buf_view(file), slot, path.text, err);
}

/* ---- Unlocking ---- */

static enum ov_status check_repository(const struct ov_keyring *keyring,
                                       const struct ov_config *config, struct ov_error *err)
{
    if (ov_id_equal(ov_keyring_repository(keyring), &config->repository))
        return OV_OK;
    return ov_fail(err, OV_ERR_WRONG_KEY,
                   "this key belongs to another repository than the file config");
}

/* OV_END when the slot does not open with this credential. */
static enum ov_status try_slot(const struct ov_slot *slot, const struct ov_credential *credential,
                               const struct ov_config *config, struct ov_keyring **out,
                               struct ov_error *err)
{
    struct ov_secret key;
    OV_AUTO(wipe_buf) struct ov_buf plain = {0};
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    OV_TRY(wrapping_key(credential, slot, &key, err));
    enum ov_status status = unseal(&key, keyring_context, slot->salt, slot->wrapped, &plain, err);
    ov_secret_wipe(&key);
    if (status != OV_OK)
        return status;
    OV_TRY(ov_keyring_decode(ov_buf_view(&plain), &keyring, err));
    OV_TRY(check_repository(keyring, config, err));
    *out = ov_steal(keyring);
    return OV_OK;
}

static enum ov_status unlock_recovery(const struct ov_config *config,
                                      const struct ov_credential *credential,
                                      struct ov_keyring **out, struct ov_error *err)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    OV_TRY(ov_keyring_decode(ov_buf_view(&credential->bytes), &keyring, err));
    OV_TRY(check_repository(keyring, config, err));
    *out = ov_steal(keyring);
    return OV_OK;
}

/* What the slots came to that did not open. */
struct attempts {
    size_t refused; /* sound, of this kind, and of another key */
    size_t damaged;
    struct ov_error obstacle; /* the first that says nothing of key or slot */
};

static void note_attempt(struct attempts *attempts, enum ov_status status,
                         const struct ov_error *problem)
{
    if (status == OV_END || status == OV_ERR_WRONG_KEY)
        attempts->refused++;
    else if (status == OV_ERR_CORRUPT || status == OV_ERR_UNSUPPORTED || status == OV_ERR_LIMIT ||
             status == OV_ERR_NOT_FOUND)
        attempts->damaged++;
    else if (attempts->obstacle.status == OV_OK)
        attempts->obstacle = *problem;
}

static enum ov_status explain(const struct attempts *attempts,
                              const struct ov_credential *credential, struct ov_error *err)
{
    if (attempts->obstacle.status < 0) {
        if (err)
            *err = attempts->obstacle;
        return attempts->obstacle.status;
    }
    if (attempts->damaged && !attempts->refused)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "no key slot opens: %zu in keys/ are damaged. Another password or key file, "
                       "or a recovery file made by 'ociv2 key export', may open the repository",
                       attempts->damaged);
    return ov_fail(err, OV_ERR_WRONG_KEY, "%s",
                   credential->kind == OV_CREDENTIAL_PASSWORD
                       ? "wrong password: no key slot opens with it"
                       : "wrong key file: no key slot opens with it");
}

enum ov_status ov_keys_unlock(struct ov_backend *backend, const struct ov_config *config,
                              const struct ov_credential *credential,
                              const struct ov_report *report, struct ov_keyring **out,
                              char slot_name[OV_SLOT_NAME_SIZE], struct ov_error *err)
{
    OV_AUTO(names_release) struct names names = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct attempts attempts = {0};
    if (slot_name)
        slot_name[0] = '\0';
    if (credential->kind == OV_CREDENTIAL_RECOVERY)
        return unlock_recovery(config, credential, out, err);
    OV_TRY(list_names(backend, &names, err));
    if (names.count == 0)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "the repository has no key slots left in keys/; it can only be opened with "
                       "a recovery file made by 'ociv2 key export'");
    for (size_t i = 0; i < names.count; i++) {
        struct ov_slot slot;
        struct ov_error problem;
        enum ov_status status = read_slot(backend, names.items[i], &file, &slot, &problem);
        if (status >= 0 && !may_fit(&slot, credential))
            continue;
        if (status >= 0) {
            status = try_slot(&slot, credential, config, out, &problem);
            if (status < 0)
                ov_error_context(&problem, status, "%s/%s", OV_DIR_KEYS, names.items[i]);
        }
        if (status == OV_OK) {
            if (slot_name)
                memcpy(slot_name, names.items[i], OV_SLOT_NAME_SIZE);
            return OV_OK;
        }
        note_attempt(&attempts, status, &problem);
        if (status < 0)
            ov_report_warn(report, NULL, &problem);
    }
    return explain(&attempts, credential, err);
}

/* ---- Adding and removing ---- */

static enum ov_status describe(const struct ov_keyring *keyring, const char *label,
                               const uint8_t salt[16], struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
    struct ov_identity who;
    struct ov_writer w;
    ov_identity_get(&who);
    bool has_label = label && *label;
    ov_writer_init(&w, &plain, err);
    ov_write_map(&w, (size_t)(1 + (who.user[0] != 0) + (who.host[0] != 0) + has_label));
    if (who.user[0]) {
        ov_write_uint(&w, 1);
        ov_write_text(&w, who.user);
    }
    if (who.host[0]) {
        ov_write_uint(&w, 2);
        ov_write_text(&w, who.host);
    }
    ov_write_uint(&w, 3);
    ov_write_int(&w, (int64_t)time(NULL));
    if (has_label) {
        ov_write_uint(&w, 4);
        ov_write_text(&w, label);
    }
    OV_TRY(ov_writer_finish(&w));
    struct ov_secret key;
    OV_TRY(ov_keyring_purpose(keyring, OV_PURPOSE_SLOT, ov_keyring_epoch(keyring), &key, err));
    enum ov_status status = seal(&key, slot_context, salt, ov_buf_view(&plain), out, err);
    ov_secret_wipe(&key);
    return status;
}

static enum ov_status wrap(const struct ov_keyring *keyring, const struct ov_credential *credential,
                           const struct ov_slot *slot, struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(wipe_buf) struct ov_buf plain = {0};
    struct ov_secret key;
    OV_TRY(ov_buf_reserve(&plain, OV_MAX_SMALL_FILE, err)); /* growing would leave copies behind */
    OV_TRY(ov_keyring_encode(keyring, &plain, err));
    OV_TRY(wrapping_key(credential, slot, &key, err));
    enum ov_status status = seal(&key, keyring_context, slot->salt, ov_buf_view(&plain), out, err);
    ov_secret_wipe(&key);
    return status;
}

static enum ov_status encode_slot(const struct ov_slot *slot, struct ov_buf *file,
                                  struct ov_error *err)
{
    struct ov_header header;
    struct ov_writer w;
    bool is_password = slot->type == 1;
    ov_header_init_clear(&header, OV_FILE_SLOT);
    OV_TRY(ov_buf_append(file, header.raw, OV_HEADER_SIZE, err));
    ov_writer_init(&w, file, err);
    ov_write_map(&w, is_password ? 7 : 6);
    ov_write_uint(&w, 1);
    ov_write_uint(&w, slot->type);
    ov_write_uint(&w, 2);
    ov_write_bin(&w, slot->salt, sizeof(slot->salt));
    if (is_password) {
        ov_write_uint(&w, 3);
        ov_write_uint(&w, slot->passes);
        ov_write_uint(&w, 4);
        ov_write_uint(&w, slot->memory_kib);
    }
    ov_write_uint(&w, 5);
    ov_write_bin(&w, slot->wrapped.data, slot->wrapped.len);
    ov_write_uint(&w, 6);
    ov_write_uint(&w, slot->epoch);
    ov_write_uint(&w, 7);
    ov_write_bin(&w, slot->description.data, slot->description.len);
    if (!is_password) {
        ov_write_uint(&w, 8);
        ov_write_bin(&w, slot->hint, sizeof(slot->hint));
    }
    OV_TRY(ov_writer_finish(&w));
    return ov_trailer_append(file, err);
}

enum ov_status ov_keys_add(struct ov_backend *backend, const struct ov_keyring *keyring,
                           const struct ov_credential *credential, const char *label,
                           char slot_name[OV_SLOT_NAME_SIZE], struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf wrapped = {0};
    OV_AUTO(ov_buf_release) struct ov_buf description = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_slot slot = {.type = credential->kind == OV_CREDENTIAL_PASSWORD ? 1 : 2};
    if (credential->kind == OV_CREDENTIAL_RECOVERY)
        return ov_fail(err, OV_ERR_INVALID, "a recovery file cannot be added as a key");
    slot.passes = PASSES;
    slot.memory_kib = MEMORY_KIB;
    slot.epoch = ov_keyring_epoch(keyring);
    ov_random(slot.salt, sizeof(slot.salt));
    if (slot.type == 2)
        key_hint(&credential->key, slot.hint);
    OV_TRY(wrap(keyring, credential, &slot, &wrapped, err));
    OV_TRY(describe(keyring, label, slot.salt, &description, err));
    slot.wrapped = ov_buf_view(&wrapped);
    slot.description = ov_buf_view(&description);
    OV_TRY(encode_slot(&slot, &file, err));

    uint8_t random[16];
    struct ov_path path;
    ov_random(random, sizeof(random));
    ov_hex_encode(random, sizeof(random), slot_name);
    snprintf(path.text, sizeof(path.text), "%s/%s", OV_DIR_KEYS, slot_name);
    return backend->ops->create(backend, path.text, ov_buf_view(&file), err);
}

/* Reads what the slot says of itself; a slot that cannot be read is marked as damaged. */
static void inspect_slot(struct ov_backend *backend, const struct ov_keyring *keyring,
                         struct ov_slot_info *info)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
    struct ov_slot slot;
    struct ov_secret key;
    info->is_damaged = true;
    if (read_slot(backend, info->name, &file, &slot, NULL) < 0)
        return;
    if (slot.type != 1 && slot.type != 2) {
        snprintf(info->label, sizeof(info->label), "(of a later version)");
        info->is_damaged = false;
        return;
    }
    if (ov_keyring_purpose(keyring, OV_PURPOSE_SLOT, slot.epoch, &key, NULL) < 0)
        return;
    info->is_password = slot.type == 1;
    if (unseal(&key, slot_context, slot.salt, slot.description, &plain, NULL) == OV_OK &&
        ov_slot_description_decode(ov_buf_view(&plain), info, NULL) >= 0)
        info->is_damaged = false;
    ov_secret_wipe(&key);
}

enum ov_status ov_keys_list(struct ov_backend *backend, const struct ov_keyring *keyring,
                            struct ov_slot_info **out, size_t *count, struct ov_error *err)
{
    OV_AUTO(names_release) struct names names = {0};
    OV_TRY(list_names(backend, &names, err));
    struct ov_slot_info *infos = calloc(names.count ? names.count : 1, sizeof(*infos));
    if (!infos)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < names.count; i++) {
        memcpy(infos[i].name, names.items[i], OV_SLOT_NAME_SIZE);
        inspect_slot(backend, keyring, &infos[i]);
    }
    *out = infos;
    *count = names.count;
    return OV_OK;
}

enum ov_status ov_keys_remove(struct ov_backend *backend, const char *slot, struct ov_error *err)
{
    OV_AUTO(names_release) struct names names = {0};
    OV_TRY(list_names(backend, &names, err));
    bool found = false;
    for (size_t i = 0; i < names.count; i++)
        found |= strcmp(names.items[i], slot) == 0;
    if (!found)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no key slot %s", slot);
    if (names.count == 1)
        return ov_fail(err, OV_ERR_INVALID,
                       "%s is the only key slot: without it nobody could open the repository",
                       slot);
    struct ov_path path;
    snprintf(path.text, sizeof(path.text), "%s/%s", OV_DIR_KEYS, slot);
    return backend->ops->remove(backend, path.text, err);
}
