#include "engine/base/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct ov_workers {
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a job is ready, or the pool stops */
    struct ov_job *ready_head[2];
    struct ov_job *ready_tail[2]; /* [0] urgent, [1] the rest */
    unsigned threads_wanted;
    unsigned threads_started;
    bool is_stopping;
    pthread_t *threads;
};

struct ov_lane {
    struct ov_workers *workers;
    pthread_cond_t done; /* the head job ran, the lane finished, or it failed */
    pthread_cond_t room; /* a job was taken, or the lane failed */
    struct ov_job *head;
    struct ov_job *tail;
    size_t bytes;
    size_t max_bytes;
    bool is_urgent;
    bool is_finished;
    bool is_failed;
    struct ov_error error;
    void (*discard)(struct ov_job *job);
};

struct thread_start {
    struct ov_workers *workers;
    unsigned number;
};

static void lane_fail_locked(struct ov_lane *lane, const struct ov_error *error)
{
    if (!lane->is_failed) {
        lane->is_failed = true;
        lane->error = *error;
    }
    pthread_cond_broadcast(&lane->done);
    pthread_cond_broadcast(&lane->room);
}

static struct ov_job *pop_ready(struct ov_workers *workers)
{
    for (int i = 0; i < 2; i++) {
        struct ov_job *job = workers->ready_head[i];
        if (job) {
            workers->ready_head[i] = job->next_ready;
            if (!job->next_ready)
                workers->ready_tail[i] = NULL;
            return job;
        }
    }
    return NULL;
}

static void push_ready(struct ov_workers *workers, struct ov_job *job, bool urgent)
{
    int i = urgent ? 0 : 1;
    job->next_ready = NULL;
    if (workers->ready_tail[i])
        workers->ready_tail[i]->next_ready = job;
    else
        workers->ready_head[i] = job;
    workers->ready_tail[i] = job;
}

/* Called and returns with the mutex held. */
static void run_job(struct ov_workers *workers, struct ov_job *job, unsigned number)
{
    struct ov_lane *lane = job->lane;
    if (lane->is_failed) {
        job->status = OV_ERR_INTERRUPTED;
    } else {
        pthread_mutex_unlock(&workers->mutex);
        job->status = job->run(job, number, &job->error);
        pthread_mutex_lock(&workers->mutex);
        if (job->status < 0)
            lane_fail_locked(lane, &job->error);
    }
    job->is_done = true;
    if (job == lane->head || lane->is_failed)
        pthread_cond_broadcast(&lane->done);
}

static void *thread_main(void *argument)
{
    struct thread_start start = *(struct thread_start *)argument;
    struct ov_workers *workers = start.workers;
    free(argument);

    pthread_mutex_lock(&workers->mutex);
    for (;;) {
        struct ov_job *job = pop_ready(workers);
        if (job)
            run_job(workers, job, start.number);
        else if (workers->is_stopping)
            break;
        else
            pthread_cond_wait(&workers->work, &workers->mutex);
    }
    pthread_mutex_unlock(&workers->mutex);
    return NULL;
}

static enum ov_status start_thread(struct ov_workers *workers, struct ov_error *err)
{
    struct thread_start *start = malloc(sizeof(*start));
    if (!start)
        return ov_fail_no_memory(err);
    *start = (struct thread_start){workers, workers->threads_started};
    if (pthread_create(&workers->threads[workers->threads_started], NULL, thread_main, start)) {
        free(start);
        return ov_fail(err, OV_ERR_NO_MEMORY, "cannot start a thread");
    }
    workers->threads_started++;
    return OV_OK;
}

enum ov_status ov_workers_open(unsigned threads, struct ov_workers **out, struct ov_error *err)
{
    struct ov_workers *workers = calloc(1, sizeof(*workers));
    if (!workers)
        return ov_fail_no_memory(err);
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->work, NULL);
    workers->threads_wanted = threads;
    workers->threads = calloc(threads ? threads : 1, sizeof(*workers->threads));
    enum ov_status status = workers->threads ? OV_OK : ov_fail_no_memory(err);

    /* Signals are for the thread that asked for the work. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    for (unsigned i = 0; i < threads && status == OV_OK; i++)
        status = start_thread(workers, err);
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (status < 0) {
        ov_workers_close(workers);
        return status;
    }
    *out = workers;
    return OV_OK;
}

void ov_workers_close(struct ov_workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->mutex);
    workers->is_stopping = true;
    pthread_cond_broadcast(&workers->work);
    pthread_mutex_unlock(&workers->mutex);
    for (unsigned i = 0; i < workers->threads_started; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->work);
    pthread_mutex_destroy(&workers->mutex);
    free(workers->threads);
    free(workers);
}

unsigned ov_workers_count(const struct ov_workers *workers)
{
    return workers->threads_wanted ? workers->threads_wanted : 1;
}

enum ov_status ov_lane_open(struct ov_workers *workers, size_t max_bytes, bool urgent,
                            void (*discard)(struct ov_job *job), struct ov_lane **out,
                            struct ov_error *err)
{
    struct ov_lane *lane = calloc(1, sizeof(*lane));
    if (!lane)
        return ov_fail_no_memory(err);
    lane->workers = workers;
    lane->max_bytes = max_bytes;
    lane->is_urgent = urgent;
    lane->discard = discard;
    pthread_cond_init(&lane->done, NULL);
    pthread_cond_init(&lane->room, NULL);
    *out = lane;
    return OV_OK;
}

void ov_lane_close(struct ov_lane *lane)
{
    if (!lane)
        return;
    struct ov_workers *workers = lane->workers;
    pthread_mutex_lock(&workers->mutex);
    struct ov_error closed = {.status = OV_ERR_INTERRUPTED, .message = "stopped"};
    lane_fail_locked(lane, &closed);
    /* Jobs still in the ready queue are run over quickly by the pool: the lane has failed. */
    while (lane->head) {
        struct ov_job *job = lane->head;
        while (!job->is_done)
            pthread_cond_wait(&lane->done, &workers->mutex);
        lane->head = job->next;
        pthread_mutex_unlock(&workers->mutex);
        lane->discard(job);
        pthread_mutex_lock(&workers->mutex);
    }
    pthread_mutex_unlock(&workers->mutex);
    pthread_cond_destroy(&lane->done);
    pthread_cond_destroy(&lane->room);
    free(lane);
}

static enum ov_status lane_error(const struct ov_lane *lane, struct ov_error *err)
{
    if (err)
        *err = lane->error;
    return lane->error.status < 0 ? lane->error.status : OV_ERR_INTERRUPTED;
}

static bool is_full(const struct ov_lane *lane, size_t cost_bytes)
{
    return lane->head && lane->bytes + cost_bytes > lane->max_bytes;
}

enum ov_status ov_lane_submit(struct ov_lane *lane, struct ov_job *job, struct ov_error *err)
{
    struct ov_workers *workers = lane->workers;
    pthread_mutex_lock(&workers->mutex);
    while (is_full(lane, job->cost_bytes) && !lane->is_failed)
        pthread_cond_wait(&lane->room, &workers->mutex);
    if (lane->is_failed) {
        enum ov_status status = lane_error(lane, err);
        pthread_mutex_unlock(&workers->mutex);
        lane->discard(job);
        return status;
    }
    job->lane = lane;
    job->next = NULL;
    job->is_done = false;
    job->status = OV_OK;
    if (lane->head)
        lane->tail->next = job;
    else
        lane->head = job;
    lane->tail = job;
    lane->bytes += job->cost_bytes;
    if (workers->threads_wanted == 0) {
        run_job(workers, job, 0);
    } else {
        push_ready(workers, job, lane->is_urgent);
        pthread_cond_signal(&workers->work);
    }
    pthread_mutex_unlock(&workers->mutex);
    return OV_OK;
}

bool ov_lane_is_full(struct ov_lane *lane, size_t cost_bytes)
{
    pthread_mutex_lock(&lane->workers->mutex);
    bool full = is_full(lane, cost_bytes);
    pthread_mutex_unlock(&lane->workers->mutex);
    return full;
}

bool ov_lane_is_empty(struct ov_lane *lane)
{
    pthread_mutex_lock(&lane->workers->mutex);
    bool empty = !lane->head;
    pthread_mutex_unlock(&lane->workers->mutex);
    return empty;
}

bool ov_lane_is_ready(struct ov_lane *lane)
{
    pthread_mutex_lock(&lane->workers->mutex);
    bool ready = lane->is_failed || (lane->head ? lane->head->is_done : lane->is_finished);
    pthread_mutex_unlock(&lane->workers->mutex);
    return ready;
}

void ov_lane_finish(struct ov_lane *lane)
{
    pthread_mutex_lock(&lane->workers->mutex);
    lane->is_finished = true;
    pthread_cond_broadcast(&lane->done);
    pthread_mutex_unlock(&lane->workers->mutex);
}

enum ov_status ov_lane_next(struct ov_lane *lane, struct ov_job **out, struct ov_error *err)
{
    struct ov_workers *workers = lane->workers;
    *out = NULL;
    pthread_mutex_lock(&workers->mutex);
    while (!lane->is_failed && !(lane->head && lane->head->is_done) &&
           !(lane->is_finished && !lane->head))
        pthread_cond_wait(&lane->done, &workers->mutex);
    enum ov_status status = OV_OK;
    if (lane->is_failed) {
        status = lane_error(lane, err);
    } else if (!lane->head) {
        status = OV_END;
    } else {
        struct ov_job *job = lane->head;
        lane->head = job->next;
        lane->bytes -= job->cost_bytes;
        pthread_cond_signal(&lane->room);
        *out = job;
    }
    pthread_mutex_unlock(&workers->mutex);
    return status;
}

void ov_lane_fail(struct ov_lane *lane, const struct ov_error *error)
{
    pthread_mutex_lock(&lane->workers->mutex);
    lane_fail_locked(lane, error);
    pthread_mutex_unlock(&lane->workers->mutex);
}
