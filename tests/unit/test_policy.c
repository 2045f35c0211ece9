#include "repo/policy.h"
#include "tests/support/support.h"

#include <stdlib.h>
#include <time.h>

#define NOW 1780000000 /* 2026-05-28 20:26:40 UTC */

static int64_t utc(int year, int month, int day, int hour, int minute)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute};
    return (int64_t)timegm(&tm);
}

static struct ov_id add(struct ov_state *state, const char *name, int64_t time)
{
    char text[64];
    snprintf(text, sizeof(text), "%s", name ? name : "");
    struct ov_snapshot_record record = {
        .id = test_id(state->snapshot_count), .name = name ? text : NULL, .time = time};
    TEST_OK(ov_state_add_snapshot(state, &record, &test_error));
    return record.id;
}

static void set_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

/* Marks each verdict: K for kept, . for forgotten; and checks that kept ones say why. */
static void expect(const struct ov_policy *policy, const struct ov_state *state,
                   const char *expected)
{
    OV_AUTO(ov_verdicts_release) struct ov_verdicts verdicts = {0};
    char marks[200] = "";
    size_t kept = 0;
    TEST_OK(ov_policy_apply(policy, state, NOW, NULL, NULL, &verdicts, &test_error));
    for (size_t i = 0; i < verdicts.count; i++) {
        const struct ov_verdict *verdict = &verdicts.items[i];
        marks[i] = verdict->is_kept ? 'K' : '.';
        kept += verdict->is_kept;
        ck_assert((verdict->reason_count > 0) == verdict->is_kept);
    }
    ck_assert_str_eq(marks, expected);
    ck_assert_uint_eq(kept, verdicts.kept);
}

START_TEST(test_durations)
{
    char text[OV_DURATION_SIZE];
    struct ov_duration duration = {1, 5, 7, 2};
    ov_duration_format(&duration, text);
    ck_assert_str_eq(text, "1y5m7d2h");
    duration = (struct ov_duration){.days = 14};
    ov_duration_format(&duration, text);
    ck_assert_str_eq(text, "14d");
    duration =
        (struct ov_duration){OV_DURATION_MAX, OV_DURATION_MAX, OV_DURATION_MAX, OV_DURATION_MAX};
    ov_duration_format(&duration, text);
    ck_assert_uint_lt(strlen(text), sizeof(text));
}
END_TEST

START_TEST(test_empty)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    struct ov_verdicts verdicts = {0};
    struct ov_policy policy = {0};
    ck_assert(ov_policy_is_empty(&policy));
    TEST_FAILS(OV_ERR_INVALID,
               ov_policy_apply(&policy, &state, NOW, NULL, NULL, &verdicts, &test_error));
    policy.count[OV_KEEP_LAST] = 1;
    ck_assert(!ov_policy_is_empty(&policy));
    expect(&policy, &state, "");
}
END_TEST

START_TEST(test_counts)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    set_zone("UTC");
    for (int day = 1; day <= 10; day++) {
        add(&state, "a:1", utc(2026, 3, day, 8, 0));
        add(&state, "a:1", utc(2026, 3, day, 20, 0));
    }
    struct ov_policy policy = {.count = {[OV_KEEP_LAST] = 3}};
    expect(&policy, &state, "KKK.................");
    policy = (struct ov_policy){.count = {[OV_KEEP_DAY] = 3}};
    expect(&policy, &state, "K.K.K...............");
    policy = (struct ov_policy){.count = {[OV_KEEP_DAY] = OV_KEEP_UNLIMITED}};
    expect(&policy, &state, "K.K.K.K.K.K.K.K.K.KK");
    /* The 1st is a Sunday, the 9th a Monday. Counts left over keep the oldest. */
    policy = (struct ov_policy){.count = {[OV_KEEP_WEEK] = 9}};
    expect(&policy, &state, "K...K.............KK");
    policy = (struct ov_policy){.count = {[OV_KEEP_MONTH] = 1}};
    expect(&policy, &state, "K...................");
    policy = (struct ov_policy){.count = {[OV_KEEP_YEAR] = 2}};
    expect(&policy, &state, "K..................K");
}
END_TEST

START_TEST(test_within)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    set_zone("UTC");
    add(&state, "a:1", NOW + 1000000); /* from the future: kept, and not the latest */
    add(&state, "a:1", utc(2026, 3, 31, 12, 0));
    add(&state, "a:1", utc(2026, 3, 31, 11, 0));
    add(&state, "a:1", utc(2026, 3, 30, 13, 0));
    add(&state, "a:1", utc(2026, 3, 30, 12, 0)); /* exactly a day before: not within */
    add(&state, "a:1", utc(2026, 3, 3, 12, 1));
    add(&state, "a:1", utc(2026, 3, 3, 11, 59));
    struct ov_policy policy = {.within = {[OV_KEEP_LAST] = {.days = 1}}};
    expect(&policy, &state, "KKKK...");
    policy = (struct ov_policy){.within = {[OV_KEEP_LAST] = {.hours = 24}}};
    expect(&policy, &state, "KKKK...");
    /* A month before the 31st of March is the 31st of February, which is the 3rd of March. */
    policy = (struct ov_policy){.within = {[OV_KEEP_LAST] = {.months = 1}}};
    expect(&policy, &state, "KKKKKK.");
    policy = (struct ov_policy){.within = {[OV_KEEP_DAY] = {.months = 1}}};
    expect(&policy, &state, "KK.K.K.");
    policy = (struct ov_policy){.within = {[OV_KEEP_DAY] = {.years = OV_DURATION_MAX}}};
    expect(&policy, &state, "KK.K.KK");
}
END_TEST

START_TEST(test_zone)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    add(&state, "a:1", utc(2026, 3, 1, 22, 30));
    add(&state, "a:1", utc(2026, 3, 1, 23, 30));
    add(&state, "a:1", utc(2026, 3, 2, 0, 30));
    struct ov_policy policy = {.count = {[OV_KEEP_DAY] = 2}};
    set_zone("UTC");
    expect(&policy, &state, "KK.");
    set_zone("CET-1");
    expect(&policy, &state, "K.K");
}
END_TEST

START_TEST(test_groups_tags_labels)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    set_zone("UTC");
    add(&state, "b:1", utc(2026, 3, 2, 0, 0));
    add(&state, "a:1", utc(2026, 3, 1, 0, 0));
    struct ov_id tagged = add(&state, "a:1", utc(2026, 2, 1, 0, 0));
    add(&state, "a:1", utc(2026, 2, 3, 0, 0));
    add(&state, NULL, utc(2026, 3, 1, 0, 0));
    add(&state, NULL, utc(2026, 3, 2, 0, 0));
    struct ov_policy policy = {.count = {[OV_KEEP_LAST] = 1}};
    expect(&policy, &state, "K.K..K");
    TEST_OK(ov_state_set_tag(&state, "moved:1", &tagged, &test_error));
    expect(&policy, &state, "K.K.KK");

    char key[] = "keep", value[] = "yes";
    struct ov_label label = {key, value};
    policy = (struct ov_policy){.labels = &label, .label_count = 1};
    ck_assert(!ov_policy_is_empty(&policy));
    /* Nothing has the label: whole groups would go. */
    struct ov_verdicts verdicts = {0};
    TEST_FAILS(OV_ERR_INVALID,
               ov_policy_apply(&policy, &state, NOW, NULL, NULL, &verdicts, &test_error));
    policy.count[OV_KEEP_LAST] = 1;
    struct ov_snapshot_record record = {.id = test_id(99), .labels = &label, .label_count = 1};
    TEST_OK(ov_state_add_snapshot(&state, &record, &test_error));
    expect(&policy, &state, "K.KK.KK");
}
END_TEST

START_TEST(test_extreme_times)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    const int64_t limit = (int64_t)1 << 62;
    set_zone("UTC");
    add(&state, "a:1", limit);
    add(&state, "a:1", -limit);
    add(&state, "a:1", -67768040609740800); /* the first year of an int */
    add(&state, "a:1", 0);
    struct ov_policy policy;
    for (unsigned i = 0; i < OV_KEEPS; i++) {
        struct ov_verdicts verdicts = {0};
        policy = (struct ov_policy){.count = {[OV_KEEP_LAST] = 1}};
        policy.within[i] = (struct ov_duration){OV_DURATION_MAX, OV_DURATION_MAX, OV_DURATION_MAX,
                                                OV_DURATION_MAX};
        policy.count[i] = 1;
        TEST_OK(ov_policy_apply(&policy, &state, NOW, NULL, NULL, &verdicts, &test_error));
        ov_verdicts_release(&verdicts);
        TEST_OK(ov_policy_apply(&policy, &state, -limit, NULL, NULL, &verdicts, &test_error));
        ov_verdicts_release(&verdicts);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_durations,          test_empty,         test_counts, test_within, test_zone,
        test_groups_tags_labels, test_extreme_times,
    };
    return test_main("policy", tests, OV_ARRAY_LEN(tests));
}
