#include "engine/base/workers.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A job that hashes its number a while, so that threads finish out of order. */
struct sum_job {
    struct ov_job job;
    uint64_t number;
    uint64_t result;
    unsigned worker;
    bool must_fail;
};

static atomic_int live_jobs;

static enum ov_status run_sum(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct sum_job *sum = (struct sum_job *)job;
    struct test_random random = test_random_of(sum->number);
    uint64_t rounds = test_random_below(&random, 5000);
    for (uint64_t i = 0; i < rounds; i++)
        sum->result += test_random_next(&random);
    sum->worker = worker;
    if (sum->must_fail)
        return ov_fail(err, OV_ERR_CORRUPT, "job %llu", (unsigned long long)sum->number);
    return OV_OK;
}

static void discard_sum(struct ov_job *job)
{
    atomic_fetch_sub(&live_jobs, 1);
    free(job);
}

static struct sum_job *make_job(uint64_t number, size_t cost)
{
    struct sum_job *sum = calloc(1, sizeof(*sum));
    ck_assert_ptr_nonnull(sum);
    sum->job.run = run_sum;
    sum->job.cost_bytes = cost;
    sum->number = number;
    atomic_fetch_add(&live_jobs, 1);
    return sum;
}

struct pool {
    struct ov_workers *workers;
    struct ov_lane *lane;
};

static struct pool open_pool(unsigned threads, size_t max_bytes)
{
    struct pool pool;
    TEST_OK(ov_workers_open(threads, &pool.workers, &test_error));
    TEST_OK(ov_lane_open(pool.workers, max_bytes, false, discard_sum, &pool.lane, &test_error));
    return pool;
}

static void close_pool(struct pool *pool)
{
    ov_lane_close(pool->lane);
    ov_workers_close(pool->workers);
    ck_assert_int_eq(atomic_load(&live_jobs), 0);
}

struct submitter {
    struct ov_lane *lane;
    uint64_t count;
    size_t cost;
    enum ov_status status;
};

static void *submit_all(void *argument)
{
    struct submitter *submitter = argument;
    for (uint64_t i = 0; i < submitter->count && submitter->status == OV_OK; i++)
        submitter->status =
            ov_lane_submit(submitter->lane, &make_job(i, submitter->cost)->job, NULL);
    ov_lane_finish(submitter->lane);
    return NULL;
}

/* Runs `count` jobs and appends their results in the order in which the lane gives them back. */
static void collect(unsigned threads, uint64_t count, struct ov_buf *results)
{
    struct pool pool = open_pool(threads, threads ? 1000 : SIZE_MAX);
    struct submitter submitter = {.lane = pool.lane, .count = count, .cost = 100};
    pthread_t thread;
    if (threads)
        ck_assert_int_eq(pthread_create(&thread, NULL, submit_all, &submitter), 0);
    else
        submit_all(&submitter);
    struct ov_job *job;
    enum ov_status status;
    uint64_t next = 0;
    while ((status = ov_lane_next(pool.lane, &job, &test_error)) == OV_OK) {
        struct sum_job *sum = (struct sum_job *)job;
        ck_assert_uint_eq(sum->number, next++);
        ck_assert_uint_lt(sum->worker, ov_workers_count(pool.workers));
        TEST_OK(ov_buf_append(results, &sum->result, sizeof(sum->result), &test_error));
        discard_sum(job);
    }
    ck_assert_int_eq(status, OV_END);
    ck_assert_ptr_null(job);
    ck_assert_uint_eq(next, count);
    if (threads)
        pthread_join(thread, NULL);
    ck_assert_int_eq(submitter.status, OV_OK);
    close_pool(&pool);
}

START_TEST(jobs_come_back_in_order_whatever_the_number_of_threads)
{
    OV_AUTO(ov_buf_release) struct ov_buf serial = {0};
    collect(0, 500, &serial);
    for (unsigned threads = 1; threads <= 8; threads *= 2) {
        OV_AUTO(ov_buf_release) struct ov_buf parallel = {0};
        collect(threads, 500, &parallel);
        ck_assert(ov_bytes_equal(ov_buf_view(&serial), ov_buf_view(&parallel)));
    }
}
END_TEST

START_TEST(the_serial_twin_has_one_worker_number)
{
    struct pool pool = open_pool(0, SIZE_MAX);
    ck_assert_uint_eq(ov_workers_count(pool.workers), 1);
    TEST_OK(ov_lane_submit(pool.lane, &make_job(1, 1)->job, &test_error));
    ck_assert(ov_lane_is_ready(pool.lane));
    ck_assert(!ov_lane_is_empty(pool.lane));
    close_pool(&pool);
}
END_TEST

START_TEST(a_lane_is_full_when_the_next_job_would_pass_its_bound)
{
    struct pool pool = open_pool(0, 100);
    ck_assert(ov_lane_is_empty(pool.lane));
    ck_assert_msg(!ov_lane_is_full(pool.lane, 1000), "one job is always let in");
    TEST_OK(ov_lane_submit(pool.lane, &make_job(1, 60)->job, &test_error));
    ck_assert(!ov_lane_is_full(pool.lane, 40));
    ck_assert(ov_lane_is_full(pool.lane, 41));
    struct ov_job *job;
    TEST_OK(ov_lane_next(pool.lane, &job, &test_error));
    discard_sum(job);
    ck_assert(!ov_lane_is_full(pool.lane, 41));
    close_pool(&pool);
}
END_TEST

START_TEST(a_submit_waits_for_room)
{
    struct pool pool = open_pool(2, 100);
    struct submitter submitter = {.lane = pool.lane, .count = 50, .cost = 40};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, submit_all, &submitter), 0);
    struct ov_job *job;
    enum ov_status status;
    int taken = 0;
    while ((status = ov_lane_next(pool.lane, &job, &test_error)) == OV_OK) {
        /* The job just taken, two in the lane, and one at its door. */
        ck_assert_int_le(atomic_load(&live_jobs), 4);
        discard_sum(job);
        taken++;
    }
    ck_assert_int_eq(status, OV_END);
    ck_assert_int_eq(taken, 50);
    pthread_join(thread, NULL);
    close_pool(&pool);
}
END_TEST

START_TEST(a_failing_lane_wakes_who_waits_for_room)
{
    struct pool pool = open_pool(2, 1);
    struct submitter submitter = {.lane = pool.lane, .count = 50, .cost = 10};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, submit_all, &submitter), 0);
    const struct ov_error error = {.status = OV_ERR_ACCESS, .message = "stop"};
    ov_lane_fail(pool.lane, &error);
    pthread_join(thread, NULL);
    ck_assert_int_eq(submitter.status, OV_ERR_ACCESS);
    close_pool(&pool);
}
END_TEST

static void *fail_lane(void *argument)
{
    const struct ov_error error = {.status = OV_ERR_ACCESS, .message = "stop"};
    ov_lane_fail(argument, &error);
    return NULL;
}

START_TEST(a_failing_lane_wakes_who_waits_for_a_job)
{
    struct pool pool = open_pool(2, 1);
    pthread_t thread;
    struct ov_job *job;
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_lane, pool.lane), 0);
    TEST_FAILS(OV_ERR_ACCESS, ov_lane_next(pool.lane, &job, &test_error));
    ck_assert_str_eq(test_error.message, "stop");
    ck_assert_ptr_null(job);
    pthread_join(thread, NULL);
    close_pool(&pool);
}
END_TEST

START_TEST(the_first_error_wins)
{
    struct pool pool = open_pool(0, SIZE_MAX);
    const struct ov_error first = {.status = OV_ERR_LIMIT, .message = "first"};
    const struct ov_error second = {.status = OV_ERR_IO, .message = "second"};
    struct ov_job *job;
    ov_lane_fail(pool.lane, &first);
    ov_lane_fail(pool.lane, &second);
    TEST_FAILS(OV_ERR_LIMIT, ov_lane_next(pool.lane, &job, &test_error));
    TEST_FAILS(OV_ERR_LIMIT, ov_lane_submit(pool.lane, &make_job(1, 1)->job, &test_error));
    ck_assert_str_eq(test_error.message, "first");
    ck_assert_msg(atomic_load(&live_jobs) == 0, "a job that is refused is discarded");
    close_pool(&pool);
}
END_TEST

static void submit_one_bad(unsigned threads)
{
    struct pool pool = open_pool(threads, SIZE_MAX);
    for (uint64_t i = 0; i < 20; i++) {
        struct sum_job *sum = make_job(i, 1);
        sum->must_fail = i == 10;
        if (ov_lane_submit(pool.lane, &sum->job, &test_error) < 0)
            break;
    }
    ov_lane_finish(pool.lane);
    struct ov_job *job;
    enum ov_status status;
    while ((status = ov_lane_next(pool.lane, &job, &test_error)) == OV_OK) {
        ck_assert_uint_lt(((struct sum_job *)job)->number, 10);
        discard_sum(job);
    }
    ck_assert_int_eq(status, OV_ERR_CORRUPT);
    ck_assert_str_eq(test_error.message, "job 10");
    close_pool(&pool);
}

START_TEST(a_failed_job_fails_its_lane)
{
    submit_one_bad(0);
    for (int i = 0; i < 20; i++)
        submit_one_bad(4);
}
END_TEST

START_TEST(closing_a_lane_discards_the_jobs_left)
{
    for (unsigned threads = 0; threads <= 4; threads++) {
        struct pool pool = open_pool(threads, SIZE_MAX);
        for (uint64_t i = 0; i < 100; i++)
            TEST_OK(ov_lane_submit(pool.lane, &make_job(i, 1)->job, &test_error));
        close_pool(&pool);
    }
}
END_TEST

START_TEST(lanes_of_one_pool_do_not_disturb_each_other)
{
    struct ov_workers *workers;
    struct ov_lane *lanes[3];
    TEST_OK(ov_workers_open(3, &workers, &test_error));
    for (size_t i = 0; i < 3; i++)
        TEST_OK(ov_lane_open(workers, SIZE_MAX, i == 2, discard_sum, &lanes[i], &test_error));
    for (uint64_t i = 0; i < 90; i++)
        TEST_OK(ov_lane_submit(lanes[i % 3], &make_job(i, 1)->job, &test_error));
    const struct ov_error error = {.status = OV_ERR_IO, .message = "one"};
    ov_lane_fail(lanes[0], &error);
    for (size_t l = 1; l < 3; l++) {
        for (uint64_t i = 0; i < 30; i++) {
            struct ov_job *job;
            TEST_OK(ov_lane_next(lanes[l], &job, &test_error));
            ck_assert_uint_eq(((struct sum_job *)job)->number, 3 * i + l);
            discard_sum(job);
        }
        ck_assert(ov_lane_is_empty(lanes[l]));
    }
    for (size_t i = 0; i < 3; i++)
        ov_lane_close(lanes[i]);
    ov_workers_close(workers);
    ck_assert_int_eq(atomic_load(&live_jobs), 0);
}
END_TEST

START_TEST(closing_nothing_is_allowed)
{
    ov_lane_close(NULL);
    ov_workers_close(NULL);
}
END_TEST

static enum ov_status open_and_close(void *context, struct ov_error *err)
{
    struct ov_workers *workers;
    struct ov_lane *lane;
    (void)context;
    OV_TRY(ov_workers_open(2, &workers, err));
    enum ov_status status = ov_lane_open(workers, 1, false, discard_sum, &lane, err);
    if (status == OV_OK)
        ov_lane_close(lane);
    ov_workers_close(workers);
    return status;
}

START_TEST(no_memory_is_a_status)
{
    test_every_allocation(open_and_close, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        jobs_come_back_in_order_whatever_the_number_of_threads,
        the_serial_twin_has_one_worker_number,
        a_lane_is_full_when_the_next_job_would_pass_its_bound,
        a_submit_waits_for_room,
        a_failing_lane_wakes_who_waits_for_room,
        a_failing_lane_wakes_who_waits_for_a_job,
        the_first_error_wins,
        a_failed_job_fails_its_lane,
        closing_a_lane_discards_the_jobs_left,
        lanes_of_one_pool_do_not_disturb_each_other,
        closing_nothing_is_allowed,
        no_memory_is_a_status,
    };
    return test_main("workers", tests, OV_ARRAY_LEN(tests));
}
