/* Key slots, credentials and the config file. docs/format/keys.md */
#include "engine/hash.h"
#include "engine/msgpack_writer.h"
#include "engine/sealed.h"
#include "repo/keys.h"
#include "repo/layout.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct ov_backend *memory, *backend;
    struct ov_config config;
    struct ov_keyring *keyring;
    char slots[2][OV_SLOT_NAME_SIZE]; /* of the password, of the key file */
    struct ov_credential password, key_file;
};

static struct ov_credential password_of(const char *text)
{
    struct ov_credential credential;
    TEST_OK(ov_credential_of_password(ov_bytes_of_string(text), &credential, &test_error));
    return credential;
}

static struct ov_credential new_key_file(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    struct ov_credential credential;
    TEST_OK(ov_key_file_generate(&text, &test_error));
    TEST_OK(ov_credential_parse(ov_buf_view(&text), &credential, &test_error));
    return credential;
}

static struct fixture make_fixture(void)
{
    struct fixture f = {.memory = test_memory_backend()};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_crypto_init(&test_error));
    f.backend = test_faulty_backend(f.memory);
    TEST_OK(ov_config_generate(&f.config, &file, &test_error));
    test_backend_put(f.backend, OV_PATH_CONFIG, ov_buf_view(&file));
    TEST_OK(ov_keyring_generate(&f.config.repository, &f.keyring, &test_error));
    f.password = password_of("secret");
    f.key_file = new_key_file();
    TEST_OK(ov_keys_add(f.backend, f.keyring, &f.password, "mine", f.slots[0], &test_error));
    TEST_OK(ov_keys_add(f.backend, f.keyring, &f.key_file, NULL, f.slots[1], &test_error));
    return f;
}

static void free_fixture(struct fixture *f)
{
    ov_credential_release(&f->password);
    ov_credential_release(&f->key_file);
    ov_keyring_free(f->keyring);
    ov_backend_close(f->backend);
    ov_backend_close(f->memory);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static enum ov_status unlock(struct fixture *f, const struct ov_credential *credential,
                             char slot[OV_SLOT_NAME_SIZE])
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    ov_error_clear(&test_error);
    OV_TRY(ov_keys_unlock(f->backend, &f->config, credential, NULL, &keyring, slot, &test_error));
    OV_AUTO(ov_buf_release) struct ov_buf a = {0}, b = {0};
    TEST_OK(ov_keyring_encode(f->keyring, &a, &test_error));
    TEST_OK(ov_keyring_encode(keyring, &b, &test_error));
    return ov_bytes_equal(ov_buf_view(&a), ov_buf_view(&b)) ? OV_OK : OV_ERR_INVALID;
}

START_TEST(both_kinds_of_keys_open)
{
    FIXTURE;
    char slot[OV_SLOT_NAME_SIZE];
    TEST_OK(unlock(&f, &f.password, slot));
    ck_assert_str_eq(slot, f.slots[0]);
    TEST_OK(unlock(&f, &f.key_file, slot));
    ck_assert_str_eq(slot, f.slots[1]);
    TEST_OK(unlock(&f, &f.key_file, NULL));
}
END_TEST

START_TEST(wrong_keys_are_told_from_damage)
{
    FIXTURE;
    OV_AUTO(ov_credential_release) struct ov_credential wrong = password_of("Secret");
    OV_AUTO(ov_credential_release) struct ov_credential empty = password_of("");
    OV_AUTO(ov_credential_release) struct ov_credential other = new_key_file();
    TEST_FAILS(OV_ERR_WRONG_KEY, unlock(&f, &wrong, NULL));
    TEST_FAILS(OV_ERR_WRONG_KEY, unlock(&f, &empty, NULL));
    TEST_FAILS(OV_ERR_WRONG_KEY, unlock(&f, &other, NULL));
}
END_TEST

static struct ov_path slot_path(const char *slot)
{
    struct ov_path path;
    snprintf(path.text, sizeof(path.text), "%s/%s", OV_DIR_KEYS, slot);
    return path;
}

static void damage(struct fixture *f, const char *slot)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_backend_read_all(f->memory, slot_path(slot).text, 1 << 16, &file, &test_error));
    file.data[80] ^= 1;
    test_backend_put(f->memory, slot_path(slot).text, ov_buf_view(&file));
}

START_TEST(a_damaged_slot_does_not_hide_the_others)
{
    FIXTURE;
    damage(&f, f.slots[0]);
    TEST_OK(unlock(&f, &f.key_file, NULL));
    TEST_FAILS(OV_ERR_CORRUPT, unlock(&f, &f.password, NULL));
    damage(&f, f.slots[1]);
    TEST_FAILS(OV_ERR_CORRUPT, unlock(&f, &f.key_file, NULL));
}
END_TEST

START_TEST(a_repository_without_slots_says_so)
{
    FIXTURE;
    for (size_t i = 0; i < 2; i++)
        TEST_OK(f.memory->ops->remove(f.memory, slot_path(f.slots[i]).text, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, unlock(&f, &f.password, NULL));
    test_backend_put(f.memory, "keys/README", ov_bytes_of_string("not a slot"));
    TEST_FAILS(OV_ERR_CORRUPT, unlock(&f, &f.password, NULL));
}
END_TEST

/* Storage that cannot be read says nothing about the key or the slots. */
START_TEST(failing_storage_is_neither_damage_nor_a_wrong_key)
{
    FIXTURE;
    test_faulty_backend_fail(f.backend, TEST_CALL_READ, "keys/", 1, 10, TEST_FAULT_ERROR);
    TEST_FAILS(OV_ERR_IO, unlock(&f, &f.password, NULL));
    test_faulty_backend_fail(f.backend, TEST_CALL_LIST, "keys", 1, 10, TEST_FAULT_ERROR);
    TEST_FAILS(OV_ERR_IO, unlock(&f, &f.password, NULL));
}
END_TEST

START_TEST(slots_are_listed_and_removed_but_never_the_last)
{
    FIXTURE;
    struct ov_slot_info *infos;
    size_t count;
    TEST_OK(ov_keys_list(f.backend, f.keyring, &infos, &count, &test_error));
    ck_assert_uint_eq(count, 2);
    for (size_t i = 0; i < 2; i++) {
        bool is_password = strcmp(infos[i].name, f.slots[0]) == 0;
        ck_assert(!infos[i].is_damaged && infos[i].is_password == is_password);
        ck_assert_str_eq(infos[i].label, is_password ? "mine" : "");
        ck_assert_int_gt(infos[i].created, 0);
    }
    ck_assert_int_lt(strcmp(infos[0].name, infos[1].name), 0);
    free(infos);
    damage(&f, f.slots[1]);
    TEST_OK(ov_keys_list(f.backend, f.keyring, &infos, &count, &test_error));
    ck_assert(infos[0].is_damaged != infos[1].is_damaged);
    free(infos);
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_keys_remove(f.backend, "nonsense", &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_keys_remove(f.backend, "../config", &test_error));
    TEST_OK(ov_keys_remove(f.backend, f.slots[1], &test_error));
    TEST_FAILS(OV_ERR_INVALID, ov_keys_remove(f.backend, f.slots[0], &test_error));
    TEST_OK(unlock(&f, &f.password, NULL));
}
END_TEST

START_TEST(the_keyring_of_another_repository_is_refused)
{
    FIXTURE;
    f.config.repository.bytes[0] ^= 1;
    ck_assert_int_lt(unlock(&f, &f.key_file, NULL), 0);
}
END_TEST

START_TEST(a_recovery_file_opens_without_slots)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    OV_AUTO(ov_credential_release) struct ov_credential recovery = {0};
    char slot[OV_SLOT_NAME_SIZE] = "x";
    TEST_OK(ov_recovery_text(f.keyring, &text, &test_error));
    TEST_OK(ov_credential_parse(ov_buf_view(&text), &recovery, &test_error));
    ck_assert_int_eq(recovery.kind, OV_CREDENTIAL_RECOVERY);
    TEST_OK(unlock(&f, &recovery, slot));
    ck_assert_str_eq(slot, "");
    TEST_FAILS(OV_ERR_INVALID,
               ov_keys_add(f.backend, f.keyring, &recovery, NULL, slot, &test_error));
    f.config.repository.bytes[0] ^= 1;
    TEST_FAILS(OV_ERR_WRONG_KEY, unlock(&f, &recovery, NULL));
}
END_TEST

/* ---- Key files ---- */

static enum ov_status parse(const char *text, struct ov_credential *out)
{
    ov_error_clear(&test_error);
    return ov_credential_parse(ov_bytes_of_string(text), out, &test_error);
}

START_TEST(key_files_have_the_form_of_the_format)
{
    char text[200], hex[65], check[9];
    uint8_t key[32];
    struct ov_id hash;
    for (size_t i = 0; i < 32; i++)
        key[i] = (uint8_t)(i * 7);
    ov_hash("ociv2 key file", key, 32, &hash);
    ov_hex_encode(key, 32, hex);
    ov_hex_encode(hash.bytes, 4, check);
    snprintf(text, sizeof(text), "OCIV2-KEY-1-%s-%s", hex, check);
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    TEST_OK(parse(text, &credential));
    ck_assert_int_eq(credential.kind, OV_CREDENTIAL_KEY_FILE);
    ck_assert_mem_eq(credential.key.bytes, key, 32);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        OV_AUTO(ov_credential_release) struct ov_credential wrong = {0};
        char saved = text[i];
        text[i] = saved == '0' ? '1' : '0';
        TEST_FAILS(OV_ERR_INVALID, parse(text, &wrong));
        text[i] = saved;
    }
    for (size_t i = 0; i < len; i++) {
        OV_AUTO(ov_credential_release) struct ov_credential wrong = {0};
        char saved = text[i];
        text[i] = '\0';
        TEST_FAILS(OV_ERR_INVALID, parse(text, &wrong));
        text[i] = saved;
    }
    ov_credential_release(&credential);
    memcpy(text + len, "\r\n", 3);
    TEST_OK(parse(text, &credential));
    ov_credential_release(&credential);
    memcpy(text + len + 2, "more", 5);
    TEST_FAILS(OV_ERR_INVALID, parse(text, &credential));
}
END_TEST

/* ---- Slots by hand ---- */

struct hand_made {
    uint64_t type;
    size_t salt_len;
    uint64_t passes, memory;
    size_t wrapped_len, description_len;
    bool has_parameters, has_hint, has_extra;
};

static const struct hand_made sound = {1, 16, 3, 65536, 100, 60, true, false, false};

static enum ov_status decode_slot(const struct hand_made *h)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    static const uint8_t filler[200];
    struct ov_header header;
    struct ov_slot slot;
    struct ov_writer w;
    ov_header_init_clear(&header, OV_FILE_SLOT);
    TEST_OK(ov_buf_append(&file, header.raw, OV_HEADER_SIZE, &test_error));
    ov_writer_init(&w, &file, &test_error);
    ov_write_map(&w, 5u + 2 * h->has_parameters + h->has_hint + h->has_extra);
    ov_write_uint(&w, 1), ov_write_uint(&w, h->type);
    ov_write_uint(&w, 2), ov_write_bin(&w, filler, h->salt_len);
    if (h->has_parameters) {
        ov_write_uint(&w, 3), ov_write_uint(&w, h->passes);
        ov_write_uint(&w, 4), ov_write_uint(&w, h->memory);
    }
    ov_write_uint(&w, 5), ov_write_bin(&w, filler, h->wrapped_len);
    ov_write_uint(&w, 6), ov_write_uint(&w, 1);
    ov_write_uint(&w, 7), ov_write_bin(&w, filler, h->description_len);
    if (h->has_hint)
        ov_write_uint(&w, 8), ov_write_bin(&w, filler, 8);
    if (h->has_extra)
        ov_write_uint(&w, 9), ov_write_uint(&w, 1);
    TEST_OK(ov_writer_finish(&w));
    TEST_OK(ov_trailer_append(&file, &test_error));
    ov_error_clear(&test_error);
    return ov_slot_decode(ov_buf_view(&file), &slot, "slot", &test_error);
}

#define SLOT(expected, ...)                                                          \
    do {                                                                             \
        struct hand_made h = sound;                                                  \
        __VA_ARGS__;                                                                 \
        enum ov_status status = decode_slot(&h);                                     \
        ck_assert_msg(status == (expected), "%s: %d, %s", #__VA_ARGS__, (int)status, \
                      test_error.message);                                           \
    } while (0)

START_TEST(slots_are_strict)
{
    SLOT(OV_OK, (void)h);
    SLOT(OV_OK, h.type = 2, h.has_parameters = false, h.has_hint = true);
    SLOT(OV_OK, h.type = 3);
    SLOT(OV_ERR_CORRUPT, h.has_parameters = false);
    SLOT(OV_ERR_CORRUPT, h.has_hint = true);
    SLOT(OV_ERR_CORRUPT, h.type = 2);
    SLOT(OV_ERR_UNSUPPORTED, h.has_extra = true);
    SLOT(OV_ERR_CORRUPT, h.salt_len = 15);
    SLOT(OV_ERR_CORRUPT, h.passes = 0);
    SLOT(OV_OK, h.passes = 32);
    SLOT(OV_ERR_CORRUPT, h.passes = 33);
    SLOT(OV_OK, h.memory = 1 << 20);
    SLOT(OV_ERR_CORRUPT, h.memory = (1 << 20) + 1);
    SLOT(OV_ERR_CORRUPT, h.memory = 7);
    SLOT(OV_ERR_CORRUPT, h.wrapped_len = 39);
    SLOT(OV_ERR_CORRUPT, h.description_len = 39);
}
END_TEST

static enum ov_status describe(const char *bytes, size_t len)
{
    struct ov_slot_info info;
    ov_error_clear(&test_error);
    return ov_slot_description_decode(ov_bytes_of(bytes, len), &info, &test_error);
}

START_TEST(descriptions_are_strict)
{
    ck_assert_int_eq(describe("\x81\x03\x05", 3), OV_OK);
    ck_assert_int_eq(describe("\x82\x01\xa1x\x03\x05", 6), OV_OK);
    ck_assert_msg(describe("\x81\x01\xa1x", 4) == OV_ERR_CORRUPT, "without a time");
    ck_assert_msg(describe("\x82\x01\xa0\x03\x05", 5) == OV_ERR_CORRUPT, "an empty text");
    ck_assert_int_eq(describe("\x82\x03\x05\x05\x01", 5), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(describe("\x82\x03\x05\x40\x01", 5), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(describe("\x81\x03\x05\x00", 4), OV_ERR_CORRUPT);
    ck_assert_int_eq(describe("\x80", 1), OV_ERR_CORRUPT);
}
END_TEST

/* ---- config ---- */

static enum ov_status decode_config(const char *body, size_t len)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header;
    struct ov_config config;
    ov_header_init_clear(&header, OV_FILE_CONFIG);
    TEST_OK(ov_buf_append(&file, header.raw, OV_HEADER_SIZE, &test_error));
    TEST_OK(ov_buf_append(&file, body, len, &test_error));
    TEST_OK(ov_trailer_append(&file, &test_error));
    ov_error_clear(&test_error);
    return ov_config_decode(ov_buf_view(&file), &config, &test_error);
}

START_TEST(the_config_is_strict)
{
    FIXTURE;
    struct ov_config back;
    TEST_OK(ov_config_read(f.backend, &back, &test_error));
    ck_assert(ov_id_equal(&back.repository, &f.config.repository));
    ck_assert(ov_id_equal(&back.trailer, &f.config.trailer));
    TEST_OK(f.memory->ops->remove(f.memory, OV_PATH_CONFIG, &test_error));
    TEST_FAILS(OV_ERR_NO_REPOSITORY, ov_config_read(f.backend, &back, &test_error));
    char body[64] = "\x84\x01\xa5ociv2\x02\xc4\x20";
    memcpy(body + 43, "\x03\x01\x05\x07", 4);
    ck_assert_int_eq(decode_config(body, 47), OV_OK);
    ck_assert_int_eq(decode_config(body, 48), OV_ERR_CORRUPT);
    ck_assert_int_eq(decode_config(body, 45), OV_ERR_CORRUPT);
    body[44] = 2;
    ck_assert_msg(decode_config(body, 47) == OV_ERR_UNSUPPORTED, "version 2");
    memcpy(body + 43, "\x03\x01\x04\x91\xa1x\x05\x07", 8);
    body[0] = '\x85';
    ck_assert_msg(decode_config(body, 51) == OV_ERR_UNSUPPORTED, "a feature");
    memcpy(body + 43, "\x03\x01\x05\x07\x40\x01", 6);
    ck_assert_msg(decode_config(body, 49) == OV_ERR_UNSUPPORTED, "a closed map");
}
END_TEST

static enum ov_status add_and_unlock(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    char slot[OV_SLOT_NAME_SIZE];
    OV_TRY(ov_keys_add(f->memory, f->keyring, &f->key_file, "x", slot, err));
    enum ov_status status =
        ov_keys_unlock(f->memory, &f->config, &f->key_file, NULL, &keyring, NULL, err);
    (void)!f->memory->ops->remove(f->memory, slot_path(slot).text, NULL);
    return status;
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    for (size_t i = 0; i < 2; i++)
        TEST_OK(f.memory->ops->remove(f.memory, slot_path(f.slots[i]).text, &test_error));
    test_every_allocation(add_and_unlock, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        both_kinds_of_keys_open,
        wrong_keys_are_told_from_damage,
        a_damaged_slot_does_not_hide_the_others,
        a_repository_without_slots_says_so,
        failing_storage_is_neither_damage_nor_a_wrong_key,
        slots_are_listed_and_removed_but_never_the_last,
        the_keyring_of_another_repository_is_refused,
        a_recovery_file_opens_without_slots,
        key_files_have_the_form_of_the_format,
        slots_are_strict,
        descriptions_are_strict,
        the_config_is_strict,
        no_memory_is_a_status,
    };
    return test_main("keys", tests, OV_ARRAY_LEN(tests));
}
