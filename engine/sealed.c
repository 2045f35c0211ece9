#include "engine/sealed.h"

#include "engine/hash.h"

static const uint8_t magic[8] = {0x89, 'O', 'C', 'I', 'V', '2', '\r', '\n'};

enum { VERSION = 1, ENVELOPE_CLEAR = 0, ENVELOPE_SEALED = 1 };

/* Offsets in the header. */
enum {
    AT_TYPE = 8,
    AT_VERSION,
    AT_KIND,
    AT_ENVELOPE,
    AT_EPOCH,
    AT_NUMBER = 16,
    AT_ZERO = 24,
    AT_SALT = 32
};

static void encode(struct ov_header *h)
{
    memset(h->raw, 0, sizeof(h->raw));
    memcpy(h->raw, magic, sizeof(magic));
    h->raw[AT_TYPE] = (uint8_t)h->type;
    h->raw[AT_VERSION] = VERSION;
    h->raw[AT_KIND] = h->kind;
    h->raw[AT_ENVELOPE] = h->is_sealed ? ENVELOPE_SEALED : ENVELOPE_CLEAR;
    ov_store32(h->raw + AT_EPOCH, h->epoch);
    ov_store64(h->raw + AT_NUMBER, h->number);
    memcpy(h->raw + AT_SALT, h->salt.bytes, OV_ID_SIZE);
}

void ov_header_init_sealed(struct ov_header *header, enum ov_file_type type, uint8_t kind,
                           uint64_t number, const struct ov_keyring *keyring)
{
    *header = (struct ov_header){
        .type = type,
        .kind = kind,
        .is_sealed = true,
        .epoch = ov_keyring_epoch(keyring),
        .number = number,
    };
    ov_random(header->salt.bytes, OV_ID_SIZE);
    encode(header);
}

void ov_header_init_named(struct ov_header *header, enum ov_file_type type, uint8_t kind,
                          uint32_t epoch, const struct ov_id *name)
{
    *header = (struct ov_header){
        .type = type,
        .kind = kind,
        .is_sealed = true,
        .epoch = epoch,
        .salt = *name,
    };
    encode(header);
}

void ov_header_init_clear(struct ov_header *header, enum ov_file_type type)
{
    *header = (struct ov_header){.type = type};
    encode(header);
}

static bool type_is_clear(uint8_t type)
{
    return type == OV_FILE_CONFIG || type == OV_FILE_SLOT || type == OV_FILE_RESERVE;
}

static bool type_is_numbered(uint8_t type)
{
    return type == OV_FILE_LOG || type == OV_FILE_MARKER || type == OV_FILE_CHECKPOINT;
}

static bool type_is_known(uint8_t type)
{
    return type && strchr("FKLMPSCHR", type);
}

/* A clear file has neither epoch nor salt, and few types have a number. */
static bool fields_are_valid(const struct ov_header *h)
{
    static const struct ov_id zero;
    bool kind_is_valid = h->type == OV_FILE_PACK ? h->kind == 1 || h->kind == 2 : h->kind == 0;
    return kind_is_valid && h->is_sealed != type_is_clear((uint8_t)h->type) &&
           (h->number == 0 || type_is_numbered((uint8_t)h->type)) &&
           (h->is_sealed || (h->epoch == 0 && ov_id_equal(&h->salt, &zero)));
}

enum ov_status ov_header_decode(const uint8_t *raw, const char *what, struct ov_header *out,
                                struct ov_error *err)
{
    if (memcmp(raw, magic, sizeof(magic)) != 0)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: not a file of an ociv2 repository", what);
    if (!type_is_known(raw[AT_TYPE]))
        return ov_fail(err, OV_ERR_UNSUPPORTED, "%s: unknown file type %u", what, raw[AT_TYPE]);
    if (raw[AT_VERSION] != VERSION)
        return ov_fail(err, OV_ERR_UNSUPPORTED,
                       "%s: version %u of this file type needs a newer ociv2", what,
                       raw[AT_VERSION]);
    if (raw[AT_ENVELOPE] > ENVELOPE_SEALED)
        return ov_fail(err, OV_ERR_UNSUPPORTED, "%s: envelope %u needs a newer ociv2", what,
                       raw[AT_ENVELOPE]);
    struct ov_header h = {
        .type = (enum ov_file_type)raw[AT_TYPE],
        .kind = raw[AT_KIND],
        .is_sealed = raw[AT_ENVELOPE] == ENVELOPE_SEALED,
        .epoch = ov_load32(raw + AT_EPOCH),
        .number = ov_load64(raw + AT_NUMBER),
    };
    memcpy(h.salt.bytes, raw + AT_SALT, OV_ID_SIZE);
    encode(&h);
    if (!fields_are_valid(&h) || memcmp(h.raw, raw, OV_HEADER_SIZE) != 0)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: its header is not valid", what);
    *out = h;
    return OV_OK;
}

enum ov_status ov_header_expect(const struct ov_header *header, enum ov_file_type type,
                                const char *what, struct ov_error *err)
{
    if (header->type == type)
        return OV_OK;
    return ov_fail(err, OV_ERR_CORRUPT,
                   "%s: a file of type '%c' lies where one of type '%c' belongs", what,
                   header->type, type);
}

enum ov_status ov_file_keys_derive(const struct ov_keyring *keyring, enum ov_purpose purpose,
                                   const struct ov_header *header, struct ov_file_keys *out,
                                   struct ov_error *err)
{
    struct ov_secret key;
    OV_TRY(ov_keyring_purpose(keyring, purpose, header->epoch, &key, err));
    uint8_t input[OV_ID_SIZE + OV_HEADER_SIZE];
    uint8_t output[2 * OV_SECRET_SIZE];
    memcpy(input, ov_keyring_repository(keyring)->bytes, OV_ID_SIZE);
    memcpy(input + OV_ID_SIZE, header->raw, OV_HEADER_SIZE);
    ov_mac64(&key, "ociv2 file keys", input, sizeof(input), output);
    memcpy(out->seal.bytes, output, OV_SECRET_SIZE);
    memcpy(out->mask.bytes, output + OV_SECRET_SIZE, OV_SECRET_SIZE);
    ov_wipe(output, sizeof(output));
    ov_secret_wipe(&key);
    return OV_OK;
}

void ov_file_keys_wipe(struct ov_file_keys *keys)
{
    ov_wipe(keys, sizeof(*keys));
}

uint32_t ov_file_keys_mask(const struct ov_file_keys *keys, uint64_t number)
{
    uint8_t input[8];
    uint8_t output[32];
    ov_store64(input, number);
    ov_mac(&keys->mask, "ociv2 mask", input, sizeof(input), output);
    return ov_load32(output);
}

static void make_nonce(uint64_t number, uint8_t nonce[OV_NONCE_SIZE])
{
    memset(nonce, 0, OV_NONCE_SIZE);
    ov_store64(nonce, number);
}

enum ov_status ov_section_append(struct ov_buf *out, const struct ov_file_keys *keys,
                                 const struct ov_header *header, uint64_t number,
                                 struct ov_bytes plain, struct ov_error *err)
{
    size_t sealed_len = plain.len + OV_SEAL_OVERHEAD;
    if (sealed_len > UINT32_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "section of more than 4 GiB");
    OV_TRY(ov_buf_reserve(out, OV_SECTION_PREFIX + sealed_len, err));
    uint8_t nonce[OV_NONCE_SIZE];
    make_nonce(number, nonce);
    ov_store32(out->data + out->len, (uint32_t)sealed_len ^ ov_file_keys_mask(keys, number));
    ov_seal(&keys->seal, nonce, ov_bytes_of(header->raw, OV_HEADER_SIZE), plain.data, plain.len,
            out->data + out->len + OV_SECTION_PREFIX);
    out->len += OV_SECTION_PREFIX + sealed_len;
    return OV_OK;
}

enum ov_status ov_section_open(const struct ov_file_keys *keys, const struct ov_header *header,
                               uint64_t number, struct ov_bytes sealed, uint8_t *out,
                               const char *what, struct ov_error *err)
{
    uint8_t nonce[OV_NONCE_SIZE];
    make_nonce(number, nonce);
    if (!ov_unseal(&keys->seal, nonce, ov_bytes_of(header->raw, OV_HEADER_SIZE), sealed.data,
                   sealed.len, out))
        return ov_fail(
            err, OV_ERR_CORRUPT,
            "%s: section %lld was altered, or was not written with this repository's keys", what,
            (long long)number);
    return OV_OK;
}

enum ov_status ov_trailer_append(struct ov_buf *file, struct ov_error *err)
{
    struct ov_id hash;
    ov_hash(NULL, file->data, file->len, &hash);
    return ov_buf_append(file, hash.bytes, OV_TRAILER_SIZE, err);
}

enum ov_status ov_file_open(struct ov_bytes file, enum ov_file_type type, const char *what,
                            struct ov_header *header, struct ov_bytes *body, struct ov_id *trailer,
                            struct ov_error *err)
{
    if (file.len < OV_HEADER_SIZE + OV_TRAILER_SIZE)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: only %zu bytes are left of it", what,
                       file.len);
    size_t covered = file.len - OV_TRAILER_SIZE;
    struct ov_id hash;
    ov_hash(NULL, file.data, covered, &hash);
    if (memcmp(hash.bytes, file.data + covered, OV_TRAILER_SIZE) != 0)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: its checksum does not match", what);
    OV_TRY(ov_header_decode(file.data, what, header, err));
    OV_TRY(ov_header_expect(header, type, what, err));
    *body = ov_bytes_of(file.data + OV_HEADER_SIZE, covered - OV_HEADER_SIZE);
    if (trailer)
        *trailer = hash;
    return OV_OK;
}

enum ov_status ov_section_split(const struct ov_file_keys *keys, uint64_t number,
                                struct ov_bytes *body, struct ov_bytes *sealed, const char *what,
                                struct ov_error *err)
{
    if (body->len < OV_SECTION_PREFIX)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: section %lld is missing", what, (long long)number);
    size_t length = ov_load32(body->data) ^ ov_file_keys_mask(keys, number);
    size_t left = body->len - OV_SECTION_PREFIX;
    if (length > left || length < OV_SEAL_OVERHEAD)
        return ov_fail(
            err, OV_ERR_CORRUPT,
            "%s: section %lld was altered, or was not written with this repository's keys", what,
            (long long)number);
    *sealed = ov_bytes_of(body->data + OV_SECTION_PREFIX, length);
    *body = ov_bytes_of(sealed->data + length, left - length);
    return OV_OK;
}
