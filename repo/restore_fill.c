#include "engine/limits.h"
#include "repo/restore_internal.h"

#include <stdlib.h>

/* A run of a window's pieces that lie in one frame, or of zeros. */
struct fill_job {
    struct ov_job job;
    struct restore_outcome outcome;
    const struct ov_location *frame; /* NULL: zeros */
    struct restore_piece *pieces;
    size_t count;
    bool is_lost; /* not to be had here: the pieces go the slow way */
};

/* Objects that need nothing from packs. */
struct small_job {
    struct ov_job job;
    struct restore_outcome outcome;
    struct restore_object **objects;
    size_t count, done;
};

/* ---- Outcomes ---- */

void restore_tell_rest(struct restore *restore)
{
    struct ov_error rest;
    if (restore->untold == 0)
        return;
    ov_error_set(&rest, restore->told.status, "%llu more paths for the same reason",
                 (unsigned long long)restore->untold);
    ov_report_warn(restore->options->report, NULL, &rest);
    restore->untold = 0;
}

/* A missing pack concerns thousands of files: once is enough. */
static void tell_failure(struct restore *restore, const struct restore_problem *problem)
{
    if (strcmp(restore->told.message, problem->error.message) == 0) {
        restore->untold++;
        return;
    }
    restore_tell_rest(restore);
    restore->told = problem->error;
    ov_report_warn(restore->options->report, problem->path, &problem->error);
}

void restore_merge(struct restore *restore, struct restore_outcome *outcome)
{
    struct ov_restore_result *result = restore->result;
    uint64_t *unset = (uint64_t *)&result->unset;
    const uint64_t *more = (const uint64_t *)&outcome->unset;
    while (outcome->problems) {
        struct restore_problem *problem = outcome->problems;
        outcome->problems = problem->next;
        if (problem->unset < 0)
            tell_failure(restore, problem);
        else if (unset[problem->unset] == 0)
            ov_report_warn(restore->options->report, problem->path, &problem->error);
        free(problem);
    }
    _Static_assert(sizeof(result->unset) == OV_RESTORE_UNSETS * sizeof(*unset), "counters only");
    for (size_t i = 0; i < OV_RESTORE_UNSETS; i++)
        unset[i] += more[i];
    result->files += outcome->files;
    result->others += outcome->others;
    result->bytes += outcome->bytes;
    result->errors += outcome->errors;
    result->damaged += outcome->damaged;
    *outcome = (struct restore_outcome){.restore = outcome->restore};
}

static void drop_problems(struct restore_outcome *outcome)
{
    while (outcome->problems) {
        struct restore_problem *problem = outcome->problems;
        outcome->problems = problem->next;
        free(problem);
    }
}

/* ---- Small objects ---- */

static enum ov_status run_small(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct small_job *small = (struct small_job *)job;
    (void)worker;
    while (small->done < small->count)
        OV_TRY(restore_object_make(small->outcome.restore, small->objects[small->done++],
                                   &small->outcome, err));
    return OV_OK;
}

static void free_small(struct small_job *small)
{
    while (small->done < small->count)
        restore_object_free(small->objects[small->done++]);
    drop_problems(&small->outcome);
    free(small->objects);
    free(small);
}

enum ov_status restore_submit_objects(struct restore *restore, struct restore_object **objects,
                                      size_t count, struct ov_error *err)
{
    struct small_job *small = calloc(1, sizeof(*small));
    if (!small) {
        for (size_t i = 0; i < count; i++)
            restore_object_free(objects[i]);
        free(objects);
        return ov_fail_no_memory(err);
    }
    small->job.run = run_small;
    small->outcome.restore = restore;
    small->objects = objects;
    small->count = count;
    OV_TRY(ov_lane_submit(restore->lane, &small->job, err));
    restore->window->jobs++;
    return OV_OK;
}

/* ---- Contents ---- */

static int compare_by_slot(const void *a, const void *b)
{
    const struct restore_piece *x = a, *y = b;
    if (x->frame != y->frame)
        return x->frame < y->frame ? -1 : 1;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

/* Neighbours in a file come together; the planning order of files is kept. */
static int compare_by_place(const void *a, const void *b)
{
    const struct restore_piece *x = a, *y = b;
    if (x->object != y->object)
        return (uintptr_t)x->object < (uintptr_t)y->object ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/*
 * Verifies the chunks that the pieces (ascending by slot) name. Nothing but verified bytes is ever
 * written.
 */
static enum ov_status verify_chunks(const struct fill_job *fill, const struct ov_frame *frame,
                                    struct ov_error *err)
{
    struct ov_hash_item *items = calloc(fill->count, sizeof(*items));
    if (!items)
        return ov_fail_no_memory(err);
    enum ov_status status = OV_OK;
    size_t count = 0;
    for (size_t i = 0; i < fill->count && status >= 0; i++) {
        const struct restore_piece *p = &fill->pieces[i];
        if (p->slot >= frame->row_count || frame->rows[p->slot].kind != OV_KIND_DATA ||
            frame->rows[p->slot].encoding != OV_ENCODING_WHOLE ||
            frame->rows[p->slot].length != p->chunk_length)
            status =
                ov_fail(err, OV_ERR_CORRUPT, "packs/%s: frame %u is not what the index says it is",
                        ov_id_hex(&fill->frame->pack).text, fill->frame->frame);
        else if (i == 0 || p->slot != fill->pieces[i - 1].slot)
            items[count++] =
                (struct ov_hash_item){ov_frame_stored(frame, p->slot).data, p->chunk_length, {{0}}};
    }
    if (status >= 0)
        ov_id_compute_many(OV_KIND_DATA, items, count);
    for (size_t i = 0, item = 0; i < fill->count && status >= 0; i++) {
        item += i && fill->pieces[i].slot != fill->pieces[i - 1].slot;
        if (!ov_id_equal(&items[item].id, &fill->pieces[i].id))
            status = ov_fail(err, OV_ERR_CORRUPT,
                             "packs/%s: frame %u, slot %u does not hold chunk %s as the index says",
                             ov_id_hex(&fill->frame->pack).text, fill->frame->frame,
                             (unsigned)fill->pieces[i].slot, ov_id_hex(&fill->pieces[i].id).text);
    }
    free(items);
    return status;
}

/* What is accounted for is not looked at when the window is released. */
static void forget_pieces(struct restore_piece *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pieces[i].object = NULL;
}

/* Writes all pieces, file by file. frame: NULL for zeros. */
static enum ov_status write_all(struct fill_job *fill, const struct ov_frame *frame,
                                struct ov_error *err)
{
    const uint8_t **data = calloc(fill->count, sizeof(*data));
    if (!data)
        return ov_fail_no_memory(err);
    qsort(fill->pieces, fill->count, sizeof(*fill->pieces), compare_by_place);
    for (size_t i = 0; frame && i < fill->count; i++)
        data[i] = ov_frame_stored(frame, fill->pieces[i].slot).data + fill->pieces[i].start;
    enum ov_status status = OV_OK;
    for (size_t i = 0, next; i < fill->count && status >= 0; i = next) {
        next = i + 1;
        while (next < fill->count && fill->pieces[next].object == fill->pieces[i].object)
            next++;
        status = restore_object_write(fill->outcome.restore, &fill->pieces[i], &data[i], next - i,
                                      &fill->outcome, err);
        forget_pieces(&fill->pieces[i], next - i);
    }
    free(data);
    return status;
}

static enum ov_status abandon_all(struct fill_job *fill, const struct ov_error *problem,
                                  struct ov_error *err)
{
    for (size_t i = 0; i < fill->count; i++) {
        OV_TRY(restore_object_abandon(fill->outcome.restore, &fill->pieces[i], problem,
                                      &fill->outcome, err));
        forget_pieces(&fill->pieces[i], 1);
    }
    return OV_OK;
}

static enum ov_status run_fill(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct fill_job *fill = (struct fill_job *)job;
    struct restore *restore = fill->outcome.restore;
    struct ov_error problem;
    struct ov_frame frame = {0};
    if (!fill->frame)
        return write_all(fill, NULL, err);
    enum ov_status status = ov_pack_cache_frame(restore->repo->packs, fill->frame,
                                                restore->decompressors[worker], &frame, &problem);
    if (status >= 0)
        status = verify_chunks(fill, &frame, &problem);
    /* The log may have moved on; or there is another copy. */
    fill->is_lost = status == OV_ERR_NOT_FOUND || status == OV_ERR_CORRUPT || status == OV_ERR_IO;
    if (fill->is_lost)
        status = OV_OK;
    else if (status < 0)
        status = abandon_all(fill, &problem, err);
    else
        status = write_all(fill, &frame, err);
    ov_frame_release(&frame);
    return status;
}

static void free_fill(struct fill_job *fill)
{
    drop_problems(&fill->outcome);
    free(fill);
}

static void discard(struct ov_job *job)
{
    if (job->run == run_small)
        free_small((struct small_job *)job);
    else
        free_fill((struct fill_job *)job);
}

enum ov_status restore_lane_open(struct restore *restore, struct ov_error *err)
{
    return ov_lane_open(restore->workers, SIZE_MAX, true, discard, &restore->lane, err);
}

static enum ov_status submit_run(struct restore *restore, struct restore_window *window,
                                 size_t first, size_t count, struct ov_error *err)
{
    struct fill_job *fill = calloc(1, sizeof(*fill));
    if (!fill)
        return ov_fail_no_memory(err);
    uint32_t frame = window->pieces[first].frame;
    fill->job.run = run_fill;
    fill->outcome.restore = restore;
    fill->frame = frame == RESTORE_ZEROS ? NULL : &window->frames[frame];
    fill->pieces = &window->pieces[first];
    fill->count = count;
    OV_TRY(ov_lane_submit(restore->lane, &fill->job, err));
    window->jobs++;
    return OV_OK;
}

enum ov_status restore_submit_window(struct restore *restore, struct restore_window *window,
                                     struct ov_error *err)
{
    if (window->piece_count)
        qsort(window->pieces, window->piece_count, sizeof(*window->pieces), compare_by_slot);
    for (size_t i = 0, next; i < window->piece_count; i = next) {
        next = i + 1;
        while (next < window->piece_count && window->pieces[next].frame == window->pieces[i].frame)
            next++;
        OV_TRY(submit_run(restore, window, i, next - i, err));
    }
    return OV_OK;
}

/* ---- The slow way ---- */

enum ov_status restore_locate(struct restore *restore, struct restore_piece *piece,
                              struct ov_error *err)
{
    struct restore_window *w = restore->window;
    struct ov_tag tag = ov_repo_tag(restore->repo, &piece->id);
    struct ov_location location;
    bool found;
    uint64_t index;
    if (w->index_number != restore->repo->index_number)
        ov_map_clear(&w->frame_index);
    w->index_number = restore->repo->index_number;
    OV_TRY(ov_lookup_find(restore->repo->lookup, &tag, OV_MAX_DELTA_DEPTH + 1, &location, &found,
                          err));
    if (!found || location.depth > 0 || location.length != piece->chunk_length) {
        piece->frame = RESTORE_SLOW;
        return OV_OK;
    }
    const struct ov_map_key key = {location.frame_key, 0};
    if (!ov_map_get(&w->frame_index, key, &index)) {
        OV_TRY(
            ov_array_grow(&w->frames, w->frame_count, &w->frame_capacity, sizeof(*w->frames), err));
        index = w->frame_count;
        OV_TRY(ov_map_put(&w->frame_index, key, index, err));
        w->frames[w->frame_count++] = location;
    }
    piece->frame = (uint32_t)index;
    piece->slot = location.slot;
    return OV_OK;
}

enum ov_status restore_add_slow(struct restore_window *window, const struct restore_piece *piece,
                                struct ov_error *err)
{
    OV_TRY(ov_array_grow(&window->slow, window->slow_count, &window->slow_capacity,
                         sizeof(*window->slow), err));
    window->slow[window->slow_count++] = *piece;
    return OV_OK;
}

/* One chunk at a time, following the log when packs have moved, from whatever copy is whole. */
static enum ov_status write_slow(struct restore *restore, struct restore_window *window,
                                 struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf chunk = {0};
    struct restore_outcome outcome = {.restore = restore};
    for (size_t i = 0; i < window->slow_count; i++) {
        struct restore_piece *p = &window->slow[i];
        struct ov_error problem;
        enum ov_status status = OV_OK;
        if (i == 0 || !ov_id_equal(&p->id, &window->slow[i - 1].id) || chunk.len == 0)
            status = ov_objects_load(restore->objects, OV_KIND_DATA, &p->id, &chunk, &problem);
        if (status >= 0 && chunk.len != p->chunk_length)
            status = ov_fail(&problem, OV_ERR_CORRUPT, "chunk %s has not the length it should have",
                             ov_id_hex(&p->id).text);
        if (status < 0) {
            ov_buf_clear(&chunk);
            status = restore_object_abandon(restore, p, &problem, &outcome, err);
        } else {
            const uint8_t *data = chunk.data + p->start;
            status = restore_object_write(restore, p, &data, 1, &outcome, err);
        }
        restore_merge(restore, &outcome);
        OV_TRY(status);
        forget_pieces(p, 1);
    }
    window->slow_count = 0;
    return OV_OK;
}

/* ---- Finishing ---- */

static void show_progress(struct restore *restore)
{
    const struct ov_progress progress = {
        .files = restore->result->files + restore->result->kept,
        .bytes = restore->result->bytes,
        .total_files = restore->total_files,
        .total_bytes = restore->total_bytes,
    };
    ov_report_progress(restore->options->report, &progress);
}

static enum ov_status take_job(struct restore *restore, struct restore_window *window,
                               struct ov_error *err)
{
    struct ov_job *job;
    enum ov_status status = OV_OK;
    OV_TRY(ov_lane_next(restore->lane, &job, err));
    if (job->run == run_small) {
        restore_merge(restore, &((struct small_job *)job)->outcome);
    } else {
        struct fill_job *fill = (struct fill_job *)job;
        restore_merge(restore, &fill->outcome);
        for (size_t i = 0; fill->is_lost && i < fill->count && status >= 0; i++)
            status = restore_add_slow(window, &fill->pieces[i], err);
        if (fill->is_lost && status >= 0)
            forget_pieces(fill->pieces, fill->count);
    }
    discard(job);
    OV_TRY(status);
    show_progress(restore);
    return ov_report_poll(restore->options->report, err);
}

/* Sets the attributes of a directory that nothing more goes into. */
static enum ov_status finish_directory(struct restore *restore, struct ov_target_dir *dir,
                                       struct ov_error *err)
{
    struct restore_outcome outcome = {.restore = restore, .dir = dir->parent, .name = dir->name};
    const struct ov_attributes_report report = restore_attributes_report(&outcome);
    struct ov_error problem;
    int fd;
    if (dir->has_existed && restore->options->overwrite == OV_OVERWRITE_NEVER)
        return OV_OK;
    enum ov_status status = ov_target_pin(&restore->target, dir, &fd, &problem);
    if (status < 0) {
        status = restore_fail_path(&outcome, dir->parent, dir->name, &problem, err);
    } else {
        ov_attributes_apply(&dir->attributes, fd, -1, dir->name, restore->set_owner, &report);
        ov_target_unpin(&restore->target, dir);
    }
    restore_merge(restore, &outcome);
    return status;
}

enum ov_status restore_finish_window(struct restore *restore, struct restore_window *window,
                                     struct ov_error *err)
{
    struct restore_outcome outcome = {.restore = restore};
    enum ov_status status = OV_OK;
    for (; window->jobs; window->jobs--)
        OV_TRY(take_job(restore, window, err));
    OV_TRY(write_slow(restore, window, err));
    for (size_t i = 0; i < window->link_count && status >= 0; i++) {
        uint64_t errors = outcome.errors;
        status = restore_link_make(restore, &window->links[i], &outcome, err);
        restore->result->links += outcome.errors == errors;
    }
    restore_merge(restore, &outcome);
    OV_TRY(status);
    while (window->left) {
        struct ov_target_dir *dir = window->left;
        window->left = dir->next;
        status = finish_directory(restore, dir, err);
        ov_target_dir_free(&restore->target, dir);
        OV_TRY(status);
    }
    for (size_t i = 0; i < window->link_count; i++)
        free(window->links[i].leader);
    window->left_end = &window->left;
    window->piece_count = window->frame_count = window->link_count = 0;
    window->objects = 0;
    ov_map_clear(&window->frame_index);
    return OV_OK;
}

static void release_pieces(struct restore_piece *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].object && atomic_fetch_sub(&pieces[i].object->left, 1) == 1)
            restore_object_free(pieces[i].object);
    }
}

void restore_window_release(struct restore *restore, struct restore_window *window)
{
    release_pieces(window->pieces, window->piece_count);
    release_pieces(window->slow, window->slow_count);
    while (window->left) {
        struct ov_target_dir *dir = window->left;
        window->left = dir->next;
        ov_target_dir_free(&restore->target, dir);
    }
    for (size_t i = 0; i < window->link_count; i++)
        free(window->links[i].leader);
    free(window->links);
    free(window->pieces);
    free(window->slow);
    free(window->frames);
    ov_map_release(&window->frame_index);
}
