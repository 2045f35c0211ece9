/* Cutting, judged chunk by chunk, against cutting anew. */
#include "repo/check_cuts.h"

#include "engine/chunker.h"
#include "tests/support/support.h"

#include <stdlib.h>

#define PIECES_MAX 400

/* A file and how it is said to be cut. */
struct cutting {
    uint8_t *data;
    size_t len;
    struct ov_piece pieces[PIECES_MAX];
    size_t count;
};

static void release(struct cutting *c)
{
    free(c->data);
}

static void cut_anew(const struct cutting *c, struct cutting *out)
{
    struct ov_splitter splitter;
    ov_splitter_init(&splitter, &ov_chunker_v1);
    out->count = 0;
    for (size_t at = 0;;) {
        struct ov_piece piece;
        size_t used = ov_splitter_next(&splitter, c->data + at, c->len - at, true, &piece);
        at += used;
        if (piece.kind == OV_PIECE_NONE && used == 0)
            break;
        if (piece.kind == OV_PIECE_NONE)
            continue;
        if (piece.kind == OV_PIECE_DATA)
            piece.length = used;
        ck_assert_uint_lt(out->count, PIECES_MAX);
        out->pieces[out->count++] = piece;
    }
}

static bool is_same(const struct cutting *a, const struct cutting *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->pieces[i].kind == b->pieces[i].kind && a->pieces[i].length == b->pieces[i].length;
    return same;
}

enum verdict { RIGHT, WRONG, UNCLEAR };

/* hidden: number of a piece of which nothing was noted; none when it is beyond. */
static enum verdict judge(const struct cutting *c, size_t hidden)
{
    struct check_cuts cuts = {0};
    size_t at = 0;
    for (size_t i = 0; i < c->count; i++) {
        size_t length = (size_t)c->pieces[i].length;
        uint8_t note = i == hidden ? 0 : check_cuts_note(c->data + at, length);
        bool right = c->pieces[i].kind == OV_PIECE_ZERO ? check_cuts_zeros(&cuts)
                                                        : check_cuts_chunk(&cuts, note, length);
        if (!right)
            return WRONG;
        at += length;
    }
    return cuts.is_unclear ? UNCLEAR : RIGHT;
}

/* Data with runs of zeros, many of them about as long as a zero extent. */
static void make_file(struct test_random *random, struct cutting *c)
{
    c->len = 1 + (size_t)test_random_below(random, 400000);
    c->data = test_random_bytes(random->state, c->len);
    for (size_t at = 0; at < c->len;) {
        size_t run = 1 + (size_t)test_random_below(random, 70000);
        if (test_random_below(random, 3) == 0)
            run = 65536 - 2 + (size_t)test_random_below(random, 5);
        run = run < c->len - at ? run : c->len - at;
        if (test_random_below(random, 2))
            memset(c->data + at, 0, run);
        at += run;
    }
    cut_anew(c, c);
}

/* Only what the format's forms allow: chunks of 1 to 65,536 bytes, zero extents that are zero. */
static bool is_possible(const struct cutting *c)
{
    size_t at = 0;
    for (size_t i = 0; i < c->count; at += (size_t)c->pieces[i++].length) {
        size_t length = (size_t)c->pieces[i].length;
        bool is_zero = c->pieces[i].kind == OV_PIECE_ZERO;
        if (length == 0 || (is_zero ? length < 65536 : length > 65536))
            return false;
        if (is_zero && i && c->pieces[i - 1].kind == OV_PIECE_ZERO)
            return false;
        for (size_t k = 0; is_zero && k < length; k++) {
            if (c->data[at + k])
                return false;
        }
    }
    return true;
}

/* Moves a border, makes one piece of two or two of one, or takes zeros for data. */
static void change(struct test_random *random, struct cutting *c)
{
    size_t i = (size_t)test_random_below(random, c->count);
    struct ov_piece *piece = &c->pieces[i];
    uint64_t by = 1 + test_random_below(random, test_random_below(random, 2) ? 3 : 30000);
    switch (test_random_below(random, 4)) {
    case 0:
        if (i + 1 < c->count && piece->length > by) {
            piece->length -= by;
            piece[1].length += by;
        }
        break;
    case 1:
        if (i + 1 < c->count && piece[1].length > by) {
            piece->length += by;
            piece[1].length -= by;
        }
        break;
    case 2:
        if (i + 1 < c->count) {
            piece->length += piece[1].length;
            memmove(piece + 1, piece + 2, (c->count - i - 2) * sizeof(*piece));
            c->count--;
        }
        break;
    default:
        if (piece->length > by && c->count < PIECES_MAX) {
            memmove(piece + 1, piece, (c->count - i) * sizeof(*piece));
            piece[0].length = by;
            piece[1].length -= by;
            piece[test_random_below(random, 2)].kind = OV_PIECE_DATA;
            c->count++;
        }
    }
}

START_TEST(what_the_chunker_cuts_is_right)
{
    struct test_random random = test_random_of(1);
    unsigned unclear = 0;
    for (unsigned i = 0; i < 200; i++) {
        OV_AUTO(release) struct cutting c = {0};
        make_file(&random, &c);
        enum verdict verdict = judge(&c, SIZE_MAX);
        ck_assert_int_ne(verdict, WRONG);
        unclear += verdict == UNCLEAR;
        ck_assert_int_ne(judge(&c, (size_t)test_random_below(&random, c.count)), WRONG);
    }
    ck_assert_uint_lt(unclear, 100);
}
END_TEST

START_TEST(any_other_cut_is_wrong)
{
    struct test_random random = test_random_of(2);
    unsigned wrong = 0, unclear = 0;
    for (unsigned i = 0; i < 150; i++) {
        OV_AUTO(release) struct cutting c = {0};
        struct cutting right, other;
        make_file(&random, &c);
        right = c;
        for (unsigned n = 0; n < 30; n++) {
            other = c;
            change(&random, &other);
            if (!is_possible(&other))
                continue;
            enum verdict verdict = judge(&other, SIZE_MAX);
            bool same = is_same(&right, &other);
            ck_assert_msg(same ? verdict != WRONG : verdict != RIGHT, "file %u, change %u", i, n);
            wrong += verdict == WRONG;
            unclear += verdict == UNCLEAR && !same;
        }
    }
    ck_assert_uint_gt(wrong, 1000);
    ck_assert_uint_lt(unclear, wrong / 4);
}
END_TEST

/* The long way round may be needed, but only where zeros meet. */
START_TEST(ordinary_data_is_never_unclear)
{
    struct cutting c = {.len = 600000};
    c.data = test_random_bytes(5, c.len);
    for (size_t at = 9000; at + 20000 < c.len; at += 50000)
        memset(c.data + at, 0, 20000);
    cut_anew(&c, &c);
    ck_assert_int_eq(judge(&c, SIZE_MAX), RIGHT);
    c.pieces[1].length--;
    c.pieces[2].length++;
    ck_assert_int_eq(judge(&c, SIZE_MAX), WRONG);
    release(&c);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_the_chunker_cuts_is_right,
        any_other_cut_is_wrong,
        ordinary_data_is_never_unclear,
    };
    return test_main("check_cuts", tests, OV_ARRAY_LEN(tests));
}
