/* Entries, markers, checkpoints and the head as files. */
#include "repo/layout.h"
#include "repo/log_file.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

struct fixture {
    struct ov_backend *backend;
    struct ov_keyring *keyring;
};

static struct fixture make_fixture(void)
{
    return (struct fixture){test_memory_backend(), test_keyring()};
}

static void free_fixture(struct fixture *f)
{
    ov_backend_close(f->backend);
    ov_keyring_free(f->keyring);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static enum ov_status read_entry(struct fixture *f, uint64_t number, struct ov_log_entry *entry,
                                 struct ov_id *hash, bool *is_marker)
{
    ov_error_clear(&test_error);
    return ov_log_file_read(f->backend, f->keyring, number, entry, hash, is_marker, &test_error);
}

START_TEST(an_entry_comes_back_with_its_hash)
{
    FIXTURE;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = test_entry(7), back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id hash, found;
    bool is_marker;
    TEST_OK(ov_log_file_encode(&entry, f.keyring, &file, &hash, &test_error));
    test_backend_put(f.backend, "log/0000000000000007", ov_buf_view(&file));
    TEST_OK(read_entry(&f, 7, &back, &found, &is_marker));
    ck_assert(!is_marker);
    ck_assert(ov_id_equal(&hash, &found));
    ck_assert_mem_eq(hash.bytes, file.data + file.len - 32, 32);
    ck_assert_uint_eq(back.added.count, 3);
    ck_assert_str_eq(back.user, "me");
    TEST_FAILS(OV_ERR_NOT_FOUND, read_entry(&f, 8, &back, &found, &is_marker));
    test_backend_put(f.backend, "log/0000000000000008", ov_buf_view(&file));
    TEST_FAILS(OV_ERR_CORRUPT, read_entry(&f, 8, &back, &found, &is_marker));
}
END_TEST

START_TEST(every_flipped_byte_of_an_entry_is_refused)
{
    FIXTURE;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = test_entry(7);
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id hash;
    bool is_marker;
    TEST_OK(ov_log_file_encode(&entry, f.keyring, &file, &hash, &test_error));
    for (size_t i = 0; i < file.len; i++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry back = {0};
        file.data[i] ^= 1;
        test_backend_put(f.backend, "log/0000000000000007", ov_buf_view(&file));
        TEST_FAILS(OV_ERR_CORRUPT, read_entry(&f, 7, &back, &hash, &is_marker));
        file.data[i] ^= 1;
    }
}
END_TEST

START_TEST(the_number_inside_must_be_that_of_the_header)
{
    FIXTURE;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = test_entry(7), back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0}, inner = {0}, file = {0};
    struct ov_id hash;
    bool is_marker;
    TEST_OK(ov_log_outer_encode(&entry, &outer, &test_error));
    TEST_OK(ov_log_inner_encode(&entry, &inner, &test_error));
    TEST_OK(ov_log_file_seal(OV_FILE_LOG, 9, ov_buf_view(&outer), ov_buf_view(&inner), f.keyring,
                             &file, &test_error));
    test_backend_put(f.backend, "log/0000000000000009", ov_buf_view(&file));
    TEST_FAILS(OV_ERR_CORRUPT, read_entry(&f, 9, &back, &hash, &is_marker));
}
END_TEST

START_TEST(a_marker_stands_for_the_entry_it_replaced)
{
    FIXTURE;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_log_point point = {5, test_id(3)};
    struct ov_id hash;
    bool is_marker;
    TEST_OK(ov_log_point_encode(OV_FILE_MARKER, &point, f.keyring, &file, &test_error));
    test_backend_put(f.backend, "log/0000000000000005", ov_buf_view(&file));
    test_backend_put(f.backend, "log/0000000000000006", ov_buf_view(&file));
    TEST_OK(read_entry(&f, 5, &back, &hash, &is_marker));
    ck_assert(is_marker);
    ck_assert(ov_id_equal(&hash, &point.hash));
    ck_assert_uint_eq(back.snapshot_count, 0);
    TEST_FAILS(OV_ERR_CORRUPT, read_entry(&f, 6, &back, &hash, &is_marker));
}
END_TEST

START_TEST(the_head_comes_back)
{
    FIXTURE;
    struct ov_log_point point = {0, test_id(3)}, back;
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_head_read(f.backend, f.keyring, &back, &test_error));
    for (point.number = 0; point.number < 300; point.number += 100) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        TEST_OK(ov_log_point_encode(OV_FILE_HEAD, &point, f.keyring, &file, &test_error));
        test_backend_put(f.backend, OV_PATH_HEAD, ov_buf_view(&file));
        TEST_OK(ov_head_read(f.backend, f.keyring, &back, &test_error));
        ck_assert_uint_eq(back.number, point.number);
        ck_assert(ov_id_equal(&back.hash, &point.hash));
        file.data[70] ^= 1;
        test_backend_put(f.backend, OV_PATH_HEAD, ov_buf_view(&file));
        TEST_FAILS(OV_ERR_CORRUPT, ov_head_read(f.backend, f.keyring, &back, &test_error));
    }
}
END_TEST

START_TEST(points_are_strict)
{
    struct ov_log_point point;
    char bytes[64] = "\x81\x02\xc4\x20";
    struct ov_bytes view = ov_bytes_of(bytes, 36);
    TEST_OK(ov_log_point_decode(view, &point, "p", &test_error));
    view.len = 37;
    TEST_FAILS(OV_ERR_CORRUPT, ov_log_point_decode(view, &point, "p", &test_error));
    view = ov_bytes_of("\x80", 1);
    TEST_FAILS(OV_ERR_CORRUPT, ov_log_point_decode(view, &point, "p", &test_error));
    view = ov_bytes_of("\x81\x01\x05", 3);
    TEST_FAILS(OV_ERR_CORRUPT, ov_log_point_decode(view, &point, "p", &test_error));
    view = ov_bytes_of("\x81\x01\x00", 3);
    TEST_FAILS(OV_ERR_CORRUPT, ov_log_point_decode(view, &point, "p", &test_error));
    view = ov_bytes_of("\x81\x40\x01", 3);
    TEST_FAILS(OV_ERR_UNSUPPORTED, ov_log_point_decode(view, &point, "p", &test_error));
}
END_TEST

/* ---- Checkpoints ---- */

static void make_state(struct ov_state *state, uint64_t number)
{
    *state = (struct ov_state){.number = number, .hash = test_id(5), .config = test_id(6)};
    for (uint64_t i = 0; i < 9; i++) {
        struct ov_object object = test_object(OV_OBJECT_DATA_PACK, i);
        TEST_OK(
            ov_state_add_object(state, &object, (enum ov_object_state)(1 + i % 4), &test_error));
    }
    for (uint64_t i = 0; i < 4; i++) {
        struct ov_snapshot_record record = test_record(i);
        TEST_OK(ov_state_add_snapshot(state, &record, &test_error));
        TEST_OK(ov_state_set_tag(state, i % 2 ? "odd" : "even", &record.id, &test_error));
        ov_snapshot_record_release(&record);
    }
}

START_TEST(a_checkpoint_comes_back)
{
    FIXTURE;
    for (uint64_t number = 0; number < 200; number += 64) {
        OV_AUTO(ov_state_release) struct ov_state state, back = {0};
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        struct ov_path path = ov_path_of_number(OV_DIR_CHECKPOINTS, number);
        bool is_same = false;
        make_state(&state, number);
        TEST_OK(ov_checkpoint_encode(&state, f.keyring, &file, &test_error));
        test_backend_put(f.backend, path.text, ov_buf_view(&file));
        TEST_OK(ov_checkpoint_read(f.backend, f.keyring, number, &back, &test_error));
        TEST_OK(ov_state_is_same(&state, &back, &is_same, &test_error));
        ck_assert(is_same);
        ck_assert_uint_eq(back.snapshot_count, 4);
        ck_assert_uint_eq(back.tag_count, 2);
        struct ov_id dropped = test_id(3), condemned = test_id(1), orphan = test_id(2);
        ck_assert_int_eq(ov_state_object(&back, &dropped), OV_OBJECT_UNKNOWN);
        ck_assert_int_eq(ov_state_object(&back, &condemned), OV_OBJECT_CONDEMNED);
        ck_assert_int_eq(ov_state_object(&back, &orphan), OV_OBJECT_CONDEMNED_ORPHAN);
        test_backend_put(f.backend, "checkpoints/0000000000000001", ov_buf_view(&file));
        ov_state_release(&back);
        TEST_FAILS(OV_ERR_CORRUPT, ov_checkpoint_read(f.backend, f.keyring, 1, &back, &test_error));
    }
}
END_TEST

START_TEST(states_that_differ_are_told_apart)
{
    OV_AUTO(ov_state_release) struct ov_state a, b;
    bool is_same = true;
    make_state(&a, 5);
    make_state(&b, 5);
    struct ov_id id = test_id(3);
    TEST_OK(ov_state_set_tag(&b, "even", &id, &test_error));
    TEST_OK(ov_state_is_same(&a, &b, &is_same, &test_error));
    ck_assert(!is_same);
    TEST_OK(ov_state_set_tag(&a, "even", &id, &test_error));
    TEST_OK(ov_state_is_same(&a, &b, &is_same, &test_error));
    ck_assert(is_same);
    struct ov_object object = test_object(OV_OBJECT_DATA_PACK, 0);
    TEST_OK(ov_state_add_object(&b, &object, OV_OBJECT_CONDEMNED, &test_error));
    TEST_OK(ov_state_is_same(&a, &b, &is_same, &test_error));
    ck_assert(!is_same);
}
END_TEST

START_TEST(an_empty_state_has_a_checkpoint)
{
    FIXTURE;
    OV_AUTO(ov_state_release) struct ov_state state = {.number = 3}, back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_checkpoint_encode(&state, f.keyring, &file, &test_error));
    test_backend_put(f.backend, "checkpoints/0000000000000003", ov_buf_view(&file));
    TEST_OK(ov_checkpoint_read(f.backend, f.keyring, 3, &back, &test_error));
    ck_assert_uint_eq(back.object_count, 0);
}
END_TEST

static enum ov_status decode_outer(const char *bytes, size_t len)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    ov_error_clear(&test_error);
    return ov_checkpoint_outer_decode(ov_bytes_of(bytes, len), &state, "c", &test_error);
}

static enum ov_status decode_inner(const char *bytes, size_t len)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    ov_error_clear(&test_error);
    return ov_checkpoint_inner_decode(ov_bytes_of(bytes, len), &state, "c", &test_error);
}

START_TEST(checkpoints_are_strict)
{
    char outer[80] = "\x82\x02\xc4\x20";
    memcpy(outer + 36, "\x05\xc4\x20", 3);
    ck_assert_int_eq(decode_outer(outer, 71), OV_OK);
    ck_assert_int_eq(decode_outer(outer, 72), OV_ERR_CORRUPT);
    ck_assert_int_eq(decode_outer(outer, 70), OV_ERR_CORRUPT);
    ck_assert_msg(decode_outer("\x80", 1) == OV_ERR_CORRUPT, "no hash");
    ck_assert_msg(decode_outer("\x81\x01\x00", 3) == OV_ERR_CORRUPT, "a zero number");
    ck_assert_msg(decode_outer("\x81\x03\x90", 3) == OV_ERR_CORRUPT, "an empty list");
    ck_assert_int_eq(decode_outer("\x81\x07\x01", 3), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(decode_outer("\x81\x40\x01", 3), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(decode_inner("\x80", 1), OV_OK);
    ck_assert_int_eq(decode_inner("\x81\x40\x01", 3), OV_OK);
    ck_assert_int_eq(decode_inner("\x81\x03\x01", 3), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(decode_inner("\x81\x01\x90", 3), OV_ERR_CORRUPT);
    ck_assert_int_eq(decode_inner("\x81\x02\x90", 3), OV_ERR_CORRUPT);
    char tag[64] = "\x81\x02\x91\x92\xa1\x61\xc4\x20";
    ck_assert_msg(decode_inner(tag, 40) == OV_ERR_CORRUPT, "a tag without its snapshot");
}
END_TEST

static enum ov_status write_and_read(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_state_release) struct ov_state back = {0};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    const struct fixture *f = context;
    struct ov_id hash;
    bool is_marker;
    OV_TRY(ov_log_file_read(f->backend, f->keyring, 7, &entry, &hash, &is_marker, err));
    OV_TRY(ov_checkpoint_read(f->backend, f->keyring, 3, &back, err));
    OV_TRY(ov_log_file_encode(&entry, f->keyring, &file, &hash, err));
    return ov_checkpoint_encode(&back, f->keyring, &file, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = test_entry(7);
    OV_AUTO(ov_state_release) struct ov_state state;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id hash;
    make_state(&state, 3);
    TEST_OK(ov_log_file_encode(&entry, f.keyring, &file, &hash, &test_error));
    test_backend_put(f.backend, "log/0000000000000007", ov_buf_view(&file));
    ov_buf_clear(&file);
    TEST_OK(ov_checkpoint_encode(&state, f.keyring, &file, &test_error));
    test_backend_put(f.backend, "checkpoints/0000000000000003", ov_buf_view(&file));
    test_every_allocation(write_and_read, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_entry_comes_back_with_its_hash,
        every_flipped_byte_of_an_entry_is_refused,
        the_number_inside_must_be_that_of_the_header,
        a_marker_stands_for_the_entry_it_replaced,
        the_head_comes_back,
        points_are_strict,
        a_checkpoint_comes_back,
        states_that_differ_are_told_apart,
        an_empty_state_has_a_checkpoint,
        checkpoints_are_strict,
        no_memory_is_a_status,
    };
    return test_main("log_file", tests, OV_ARRAY_LEN(tests));
}
