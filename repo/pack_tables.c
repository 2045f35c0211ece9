#include "repo/pack_tables.h"

#include "engine/pack_reader.h"
#include "repo/layout.h"

#include <stdlib.h>

/* Tables in memory for each worker; the largest have 50 MB. */
#define JOBS_EACH 2

struct table_job {
    struct ov_job job;
    struct ov_repo *repo;
    bool reads_all;
    struct ov_object pack;
    struct ov_pack_table table;
    struct ov_error problem;
    bool is_damaged;
};

struct reading {
    struct ov_repo *repo;
    const struct ov_pack_tables_options *options;
    ov_pack_table_fn *each;
    void *context;
    struct ov_lane *lane;
};

static void free_job(struct ov_job *job)
{
    struct table_job *t = (struct table_job *)job;
    ov_pack_table_release(&t->table);
    free(t);
}

static enum ov_status read_table(struct table_job *t, struct ov_error *err)
{
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    struct ov_backend *backend = t->repo->backend;
    struct ov_path path = ov_object_path(&t->pack);
    struct ov_backend_source source;
    uint64_t size;
    enum ov_pack_kind kind = t->pack.type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    enum ov_status status = backend->ops->size(backend, path.text, &size, err);
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, status, "%s is missing", path.text);
    OV_TRY(status);
    if (size != t->pack.size)
        return ov_fail(err, OV_ERR_CORRUPT, "%s has %llu bytes instead of %llu", path.text,
                       (unsigned long long)size, (unsigned long long)t->pack.size);
    ov_backend_source_init(&source, backend, path.text, size);
    if (t->reads_all)
        OV_TRY(ov_stored_file_verify(&source.source, err));
    OV_TRY(
        ov_pack_reader_open(&source.source, &t->pack.name, kind, t->repo->keyring, &reader, err));
    return ov_pack_reader_table(reader, &t->table, err);
}

static enum ov_status run_job(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct table_job *t = (struct table_job *)job;
    (void)worker;
    enum ov_status status = read_table(t, &t->problem);
    if (status == OV_ERR_IO || status == OV_ERR_ACCESS || status == OV_ERR_NO_MEMORY) {
        *err = t->problem;
        return status;
    }
    t->is_damaged = status < 0;
    return OV_OK;
}

static enum ov_status take_job(struct reading *r, struct ov_error *err)
{
    struct ov_job *job;
    OV_TRY(ov_lane_next(r->lane, &job, err));
    struct table_job *t = (struct table_job *)job;
    struct ov_progress *progress = r->options->progress;
    if (progress) {
        progress->bytes += r->options->reads_all ? t->pack.size : 0;
        progress->files++;
        ov_report_progress(r->options->report, progress);
    }
    enum ov_status status = r->each(r->context, &t->pack, t->is_damaged ? NULL : &t->table,
                                    t->is_damaged ? &t->problem : NULL, err);
    free_job(job);
    OV_TRY(status);
    return ov_report_poll(r->options->report, err);
}

static enum ov_status submit(struct reading *r, const struct ov_object *pack, struct ov_error *err)
{
    while (ov_lane_is_full(r->lane, 1) && !ov_lane_is_empty(r->lane))
        OV_TRY(take_job(r, err));
    struct table_job *t = calloc(1, sizeof(*t));
    if (!t)
        return ov_fail_no_memory(err);
    t->job = (struct ov_job){.run = run_job, .cost_bytes = 1};
    t->repo = r->repo;
    t->reads_all = r->options->reads_all;
    t->pack = *pack;
    return ov_lane_submit(r->lane, &t->job, err);
}

static void close_reading(struct reading *r)
{
    ov_lane_close(r->lane);
}

enum ov_status ov_pack_tables_read(struct ov_repo *repo, struct ov_workers *workers,
                                   const struct ov_object_list *packs,
                                   const struct ov_pack_tables_options *options,
                                   ov_pack_table_fn *each, void *context, struct ov_error *err)
{
    OV_AUTO(close_reading)
    struct reading r = {.repo = repo, .options = options, .each = each, .context = context};
    size_t jobs = (size_t)JOBS_EACH * ov_workers_count(workers);
    OV_TRY(ov_lane_open(workers, jobs, false, free_job, &r.lane, err));
    for (size_t i = 0; i < packs->count; i++)
        OV_TRY(submit(&r, &packs->items[i], err));
    while (!ov_lane_is_empty(r.lane))
        OV_TRY(take_job(&r, err));
    return OV_OK;
}
