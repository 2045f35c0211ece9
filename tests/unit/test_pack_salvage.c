/* What is left of packs, damaged in every way, with and without what tells where frames lie. */
#include "engine/pack_salvage.h"
#include "engine/segment.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/pack_maker.h"
#include "tests/support/support.h"

#include <stdlib.h>

#define FRAMES 4
#define CHUNKS 3 /* in each */

struct fixture {
    struct ov_keyring *keyring;
    struct test_pack pack;
    struct ov_segment_pack index;
    struct ov_buf file; /* a copy to be damaged */
};

static struct ov_bytes chunk(size_t frame, size_t slot)
{
    static uint8_t bytes[400];
    struct test_random random = test_random_of(frame * 100 + slot + 1);
    test_random_fill(&random, bytes, sizeof(bytes));
    return ov_bytes_of(bytes, sizeof(bytes));
}

static void fill(struct fixture *f, enum ov_pack_kind pack_kind)
{
    enum ov_kind kind = pack_kind == OV_PACK_DATA ? OV_KIND_DATA : OV_KIND_LIST;
    test_pack_begin(&f->pack, f->keyring, pack_kind);
    for (size_t i = 0; i < FRAMES; i++) {
        for (size_t slot = 0; slot < CHUNKS; slot++)
            test_pack_add(&f->pack, kind, chunk(i, slot));
        test_pack_end_frame(&f->pack);
    }
    test_pack_finish(&f->pack);
    TEST_OK(ov_segment_pack_of_table(ov_pack_writer_name(f->pack.writer), pack_kind, f->pack.size,
                                     ov_pack_writer_table(f->pack.writer), &f->index, &test_error));
    TEST_OK(ov_buf_append(&f->file, f->pack.file.data, f->pack.file.len, &test_error));
}

static void free_fixture(struct fixture *f)
{
    ov_segment_pack_release(&f->index);
    test_pack_release(&f->pack);
    ov_buf_release(&f->file);
    ov_keyring_free(f->keyring);
}

static struct fixture make_fixture(void)
{
    struct fixture f = {.keyring = test_keyring()};
    fill(&f, OV_PACK_DATA);
    return f;
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

/* Which frames were handed out, as bits. */
struct found {
    unsigned frames;
};

static enum ov_status note_frame(void *context, const struct ov_frame *frame, struct ov_error *err)
{
    struct found *found = context;
    for (size_t i = 0; i < FRAMES; i++) {
        if (!ov_bytes_equal(ov_frame_stored(frame, 0), chunk(i, 0)))
            continue;
        for (size_t slot = 0; slot < CHUNKS; slot++) {
            struct ov_bytes bytes = chunk(i, slot);
            struct ov_id id;
            ov_id_compute(frame->rows[slot].kind, bytes.data, bytes.len, &id);
            if (!ov_id_equal(&frame->rows[slot].id, &id))
                return ov_fail(err, OV_ERR_INVALID, "a wrong id");
        }
        found->frames |= 1u << i;
        return OV_OK;
    }
    return ov_fail(err, OV_ERR_INVALID, "a frame that never was");
}

static struct ov_salvage_result result;

static unsigned salvage(struct fixture *f, bool with_index)
{
    struct found found = {0};
    struct ov_bytes view;
    struct ov_source source = test_source(&view, &f->file);
    struct ov_salvage_options options = {
        .name = *ov_pack_writer_name(f->pack.writer),
        .kind = ov_pack_writer_kind(f->pack.writer),
        .frames = with_index ? f->index.frames : NULL,
        .frame_count = with_index ? f->index.frame_count : 0,
    };
    TEST_OK(
        ov_pack_salvage(&source, &options, f->keyring, note_frame, &found, &result, &test_error));
    unsigned count = 0;
    for (size_t i = 0; i < FRAMES; i++)
        count += found.frames >> i & 1;
    ck_assert_uint_eq(result.frames, count);
    return found.frames;
}

static void heal(struct fixture *f)
{
    ov_buf_clear(&f->file);
    TEST_OK(ov_buf_append(&f->file, f->pack.file.data, f->pack.file.len, &test_error));
}

START_TEST(a_whole_pack_gives_everything)
{
    FIXTURE;
    ck_assert_uint_eq(salvage(&f, true), 15);
    ck_assert_uint_eq(result.lost, 0);
    ck_assert_uint_eq(salvage(&f, false), 15);
    ck_assert_uint_eq(result.lost, 0);
}
END_TEST

/* With the index one flipped bit costs the frame that it is in, and nothing when in no frame. */
START_TEST(each_flipped_byte_costs_one_frame_at_most)
{
    FIXTURE;
    for (size_t i = 0; i < f.file.len; i++) {
        unsigned wanted = 15;
        for (size_t k = 0; k < FRAMES; k++) {
            uint64_t begin = f.index.frames[k].offset + OV_SECTION_PREFIX;
            if (i >= begin && i < begin + f.index.frames[k].sealed_len)
                wanted = 15 & ~(1u << k);
        }
        f.file.data[i] ^= 0x10;
        ck_assert_msg(salvage(&f, true) == wanted, "byte %zu", i);
        ck_assert_uint_eq(result.lost, wanted == 15 ? 0 : 1);
        /* The table at the end knows as much as the index. */
        ck_assert_msg(salvage(&f, false) == wanted, "byte %zu, without the index", i);
        f.file.data[i] ^= 0x10;
    }
}
END_TEST

/* Of what is cut off, the frames before the cut are left: by the index, or by walking. */
START_TEST(a_truncated_pack_gives_its_beginning)
{
    FIXTURE;
    for (size_t len = 0; len < f.pack.file.len; len++) {
        unsigned wanted = 0;
        for (size_t k = 0; k < FRAMES; k++) {
            if (f.index.frames[k].offset + OV_SECTION_PREFIX + f.index.frames[k].sealed_len <= len)
                wanted |= 1u << k;
        }
        heal(&f);
        f.file.len = len;
        ck_assert_msg(salvage(&f, true) == wanted, "%zu bytes", len);
        ck_assert_uint_eq(result.lost, FRAMES - result.frames);
        ck_assert_msg(salvage(&f, false) == wanted, "%zu bytes, without the index", len);
    }
}
END_TEST

/* Neither index nor table: a damaged frame is passed over by its length. */
START_TEST(frames_are_walked_by_their_lengths)
{
    FIXTURE;
    f.file.len = f.index.frames[3].offset + OV_SECTION_PREFIX + f.index.frames[3].sealed_len;
    f.file.data[f.index.frames[1].offset + 20] ^= 1;
    ck_assert_uint_eq(salvage(&f, false), 13);
    ck_assert_uint_eq(result.lost, 1);
    /* A damaged length hides what comes after it. */
    f.file.data[f.index.frames[2].offset + 3] ^= 0x80;
    ck_assert_uint_eq(salvage(&f, false), 1);
    ck_assert_uint_eq(salvage(&f, true), 13);
}
END_TEST

/* The header follows from the name, so the file may lack it. */
START_TEST(a_pack_without_its_header_gives_everything)
{
    FIXTURE;
    memset(f.file.data, 0, OV_HEADER_SIZE);
    ck_assert_uint_eq(salvage(&f, true), 15);
    ck_assert_uint_eq(salvage(&f, false), 15);
}
END_TEST

START_TEST(the_kind_need_not_be_known)
{
    OV_AUTO(free_fixture) struct fixture f = {.keyring = test_keyring()};
    struct found found = {0};
    struct ov_bytes view;
    fill(&f, OV_PACK_META);
    memset(f.file.data, 0, OV_HEADER_SIZE);
    struct ov_source source = test_source(&view, &f.file);
    struct ov_salvage_options options = {.name = *ov_pack_writer_name(f.pack.writer),
                                         .kind = OV_PACK_DATA};
    TEST_OK(
        ov_pack_salvage(&source, &options, f.keyring, note_frame, &found, &result, &test_error));
    ck_assert_uint_eq(found.frames, 15);
}
END_TEST

/* Two packs were exchanged: each gives what it holds, whatever the index says of its name. */
START_TEST(another_pack_under_this_name_gives_what_it_holds)
{
    FIXTURE;
    OV_AUTO(free_fixture) struct fixture other = {.keyring = f.keyring};
    fill(&other, OV_PACK_META);
    ov_buf_clear(&f.file);
    TEST_OK(ov_buf_append(&f.file, other.file.data, other.file.len, &test_error));
    f.index.frame_count = 1;
    ck_assert_uint_eq(salvage(&f, true), 15);
    other.keyring = NULL; /* borrowed */
}
END_TEST

START_TEST(bytes_of_no_pack_give_nothing)
{
    FIXTURE;
    struct test_random random = test_random_of(1);
    test_random_fill(&random, f.file.data, f.file.len);
    ck_assert_uint_eq(salvage(&f, true), 0);
    ck_assert_uint_eq(result.lost, FRAMES);
    ck_assert_uint_eq(salvage(&f, false), 0);
    memset(f.file.data, 0, f.file.len);
    ck_assert_uint_eq(salvage(&f, true), 0);
    f.file.len = 0;
    ck_assert_uint_eq(salvage(&f, true), 0);
}
END_TEST

static enum ov_status fail_to_read(void *context, uint64_t offset, void *out, size_t len,
                                   struct ov_error *err)
{
    (void)context, (void)offset, (void)out, (void)len;
    return ov_fail(err, OV_ERR_IO, "the disk does not answer");
}

/* Storage that does not answer says nothing of the pack. */
START_TEST(a_read_that_fails_is_no_damage)
{
    FIXTURE;
    struct found found = {0};
    struct ov_source source = {NULL, fail_to_read, f.file.len, "pack"};
    struct ov_salvage_options options = {.name = *ov_pack_writer_name(f.pack.writer),
                                         .kind = OV_PACK_DATA};
    TEST_FAILS(OV_ERR_IO, ov_pack_salvage(&source, &options, f.keyring, note_frame, &found, &result,
                                          &test_error));
}
END_TEST

static enum ov_status try_to_salvage(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    struct found found = {0};
    struct ov_bytes view;
    struct ov_source source = test_source(&view, &f->file);
    struct ov_salvage_options options = {
        .name = *ov_pack_writer_name(f->pack.writer),
        .kind = OV_PACK_DATA,
        .frames = f->index.frames,
        .frame_count = f->index.frame_count,
    };
    return ov_pack_salvage(&source, &options, f->keyring, note_frame, &found, &result, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    test_every_allocation(try_to_salvage, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_whole_pack_gives_everything,
        each_flipped_byte_costs_one_frame_at_most,
        a_truncated_pack_gives_its_beginning,
        frames_are_walked_by_their_lengths,
        a_pack_without_its_header_gives_everything,
        the_kind_need_not_be_known,
        another_pack_under_this_name_gives_what_it_holds,
        bytes_of_no_pack_give_nothing,
        a_read_that_fails_is_no_damage,
        no_memory_is_a_status,
    };
    return test_main("pack_salvage", tests, OV_ARRAY_LEN(tests));
}
