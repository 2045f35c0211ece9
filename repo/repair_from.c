#include "repo/repair_from.h"

#include "repo/image/import.h"
#include "repo/image/spill.h"
#include "repo/objects.h"
#include "repo/reach.h"
#include "repo/scan.h"
#include "repo/texts.h"
#include "repo/tree_store.h"

#include <stdlib.h>

#define FRAME_CACHE ((size_t)64 << 20)
#define SCAN_MEMORY ((size_t)16 << 20)
#define MAX_ATTEMPTS 8

/* What becomes of a chunk that is not there. */
enum fate {
    FATE_WANTED,
    FATE_HEALED,
    FATE_LOST,       /* the source does not have it either */
    FATE_UNREADABLE, /* it is there, but damaged */
};

struct reference {
    enum ov_role role;
    struct ov_id id;
};

struct references {
    struct reference *items;
    size_t count, capacity;
};

struct heal {
    struct ov_repo *repo;
    const struct ov_repair_from_options *options;
    struct ov_repair_from_result *result;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct ov_objects *objects; /* of the source, when it is a repository */
    struct ov_map fates;        /* first half of the id → enum fate */
    uint64_t wanted_data, wanted_metadata;
    struct references data;  /* wanted, of a repository; of other sources the fates will do */
    struct references found; /* what metadata that was found refers to: to be walked over */
    /* Sources that have to be gone over: their metadata, while some is wanted. */
    struct ov_spill spill;
    struct ov_map spilled; /* first half of the id → where it lies there */
    bool spills, is_scanning;
    struct ov_progress progress;
};

static struct ov_map_key key_of(const struct ov_id *id)
{
    return (struct ov_map_key){ov_load64(id->bytes), ov_load64(id->bytes + 8)};
}

static void forget_spilled(struct heal *h)
{
    ov_spill_release(&h->spill);
    ov_map_clear(&h->spilled);
    h->spills = false;
}

static void release_heal(struct heal *h)
{
    forget_spilled(h);
    ov_map_release(&h->spilled);
    ov_map_release(&h->fates);
    free(h->data.items);
    free(h->found.items);
    ov_objects_close(h->objects);
    ov_object_writer_close(h->writer);
    ov_workers_close(h->workers);
}

void ov_repair_from_result_release(struct ov_repair_from_result *result)
{
    for (size_t i = 0; i < result->image_count; i++)
        free(result->images[i].name);
    free(result->images);
    *result = (struct ov_repair_from_result){0};
}

static enum ov_status add_reference(struct references *list, enum ov_role role,
                                    const struct ov_id *id, struct ov_error *err)
{
    OV_TRY(ov_array_grow(&list->items, list->count, &list->capacity, sizeof(*list->items), err));
    list->items[list->count++] = (struct reference){role, *id};
    return OV_OK;
}

/* ---- Metadata, from where any of it can be had ---- */

static bool find_spilled(const struct heal *h, const struct ov_id *id, struct ov_bytes *out)
{
    uint64_t at;
    if (!h->spill.map || !ov_map_get(&h->spilled, key_of(id), &at))
        return false;
    *out = ov_bytes_of(h->spill.map + at + sizeof(uint64_t), ov_load64(h->spill.map + at));
    return true;
}

/* A source that cannot be read does not have it. */
static enum ov_status load_from(struct heal *h, const struct reference *wanted, struct ov_buf *out,
                                bool *is_found, struct ov_error *err)
{
    struct ov_error problem;
    enum ov_status status =
        ov_objects_load(h->objects, ov_role_kind(wanted->role), &wanted->id, out, &problem);
    *is_found = status >= 0;
    return status == OV_ERR_NO_MEMORY ? ov_fail_no_memory(err) : OV_OK;
}

static enum ov_status note_found(void *context, enum ov_role role, const struct ov_id *id,
                                 uint64_t length, struct ov_error *err)
{
    struct heal *h = context;
    (void)length;
    return add_reference(&h->found, role, id, err);
}

static enum ov_status put(struct heal *h, const struct reference *what, struct ov_bytes bytes,
                          struct ov_error *err)
{
    enum ov_bucket bucket = what->role == OV_ROLE_DATA ? OV_BUCKET_BY_CONTENT : OV_BUCKET_METADATA;
    OV_TRY(ov_object_writer_put(h->writer, ov_role_kind(what->role), bucket, &what->id, bytes, NULL,
                                err));
    return ov_map_put(&h->fates, key_of(&what->id), FATE_HEALED, err);
}

/* Puts a metadata object, if it is to be had, and lists what it refers to. */
static enum ov_status heal_metadata(struct heal *h, const struct reference *what, enum fate fate,
                                    struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf loaded = {0};
    struct ov_bytes bytes = {0};
    bool is_found = false;
    if (h->objects) {
        OV_TRY(load_from(h, what, &loaded, &is_found, err));
        bytes = ov_buf_view(&loaded);
    } else {
        is_found = find_spilled(h, &what->id, &bytes);
    }
    if (!is_found)
        return h->objects && fate == FATE_WANTED
                   ? ov_map_put(&h->fates, key_of(&what->id), FATE_LOST, err)
                   : OV_OK;
    if (fate == FATE_WANTED) {
        OV_TRY(put(h, what, bytes, err));
        h->wanted_metadata--;
    }
    return ov_references_each(what->role, bytes, note_found, h, err);
}

/* ---- What is missing ---- */

static enum ov_status pass_over(void *context, enum ov_role role, const struct ov_id *id,
                                const struct ov_location *location, struct ov_error *err)
{
    (void)context, (void)role, (void)id, (void)location, (void)err;
    return OV_OK;
}

static enum ov_status note_first(struct heal *h, const struct reference *what, enum fate *fate,
                                 struct ov_error *err)
{
    bool is_there;
    OV_TRY(ov_object_writer_has(h->writer, &what->id, &is_there, err));
    *fate = is_there ? FATE_UNREADABLE : FATE_WANTED;
    OV_TRY(ov_map_put(&h->fates, key_of(&what->id), *fate, err));
    if (is_there) {
        h->result->unreadable++;
        return OV_OK;
    }
    h->result->missing++;
    if (what->role != OV_ROLE_DATA) {
        h->wanted_metadata++;
        return OV_OK;
    }
    h->wanted_data++;
    return h->objects ? add_reference(&h->data, what->role, &what->id, err) : OV_OK;
}

/* Storage that does not answer is no damage. */
static enum ov_status note_missing(void *context, enum ov_role role, const struct ov_id *id,
                                   const struct ov_error *problem, struct ov_error *err)
{
    struct heal *h = context;
    const struct reference what = {role, *id};
    uint64_t known;
    if (problem->status == OV_ERR_IO || problem->status == OV_ERR_ACCESS) {
        *err = *problem;
        return problem->status;
    }
    bool is_known = ov_map_get(&h->fates, key_of(id), &known);
    enum fate fate = is_known ? (enum fate)known : FATE_WANTED;
    if (!is_known)
        OV_TRY(note_first(h, &what, &fate, err));
    if (fate == FATE_UNREADABLE && !is_known)
        ov_report_warn(h->options->report, NULL, problem);
    if (role == OV_ROLE_DATA || fate == FATE_HEALED || fate == FATE_LOST)
        return OV_OK;
    return heal_metadata(h, &what, fate, err);
}

/* Marks an object and all that it leads to, through what was found for it. */
static enum ov_status mark(struct heal *h, struct ov_reach *reach, enum ov_role role,
                           const struct ov_id *id, struct ov_error *err)
{
    OV_TRY(ov_reach_mark(reach, role, id, err));
    while (h->found.count) {
        struct reference next = h->found.items[--h->found.count];
        OV_TRY(ov_reach_mark(reach, next.role, &next.id, err));
    }
    return OV_OK;
}

/* Goes over all that snapshots need. A snapshot that is lost still has its tree, says the log. */
static enum ov_status walk(struct heal *h, struct ov_error *err)
{
    const struct ov_reach_options options = {
        .context = h,
        .reached = pass_over,
        .missing = note_missing,
        .report = h->options->report,
    };
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
    const struct ov_state *state = ov_repo_state(h->repo);
    OV_TRY(ov_reach_open(h->repo, &options, &reach, err));
    h->result->snapshots = state->snapshot_count;
    h->progress = (struct ov_progress){.total_files = state->snapshot_count};
    for (size_t i = 0; i < state->snapshot_count; i++) {
        h->progress.files = i;
        h->progress.current = state->snapshots[i].name;
        ov_report_progress(h->options->report, &h->progress);
        struct ov_id tree = state->snapshots[i].tree;
        OV_TRY(mark(h, reach, OV_ROLE_SNAPSHOT, &state->snapshots[i].id, err));
        OV_TRY(mark(h, reach, OV_ROLE_ROOT, &tree, err));
    }
    return OV_OK;
}

/* ---- From a repository ---- */

static enum ov_status fetch_data(struct heal *h, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    h->progress = (struct ov_progress){.total_files = h->data.count};
    for (size_t i = 0; i < h->data.count; i++) {
        bool is_found;
        OV_TRY(load_from(h, &h->data.items[i], &bytes, &is_found, err));
        if (is_found) {
            OV_TRY(put(h, &h->data.items[i], ov_buf_view(&bytes), err));
            h->wanted_data--;
            h->progress.bytes += bytes.len;
            OV_TRY(ov_object_writer_maybe_adopt(h->writer, err));
        }
        h->progress.files++;
        ov_report_progress(h->options->report, &h->progress);
        OV_TRY(ov_report_poll(h->options->report, err));
    }
    return OV_OK;
}

/* ---- From what has to be gone over ---- */

static enum ov_status set_aside(struct heal *h, const struct ov_id *id, struct ov_bytes bytes,
                                struct ov_error *err)
{
    uint8_t length[sizeof(uint64_t)];
    uint64_t ignored;
    if (ov_map_get(&h->spilled, key_of(id), &ignored))
        return OV_OK;
    OV_TRY(ov_map_put(&h->spilled, key_of(id), h->spill.size, err));
    ov_store64(length, bytes.len);
    OV_TRY(ov_spill_append(&h->spill, length, sizeof(length), err));
    return ov_spill_append(&h->spill, bytes.data, bytes.len, err);
}

/* Of what a snapshot or an import would store, the contents that are wanted. */
static enum ov_status wants(void *context, enum ov_kind kind, const struct ov_id *id,
                            struct ov_bytes bytes, bool *is_wanted, struct ov_error *err)
{
    struct heal *h = context;
    uint64_t fate;
    *is_wanted = !h->is_scanning;
    if (*is_wanted)
        return OV_OK;
    if (kind != OV_KIND_DATA)
        return h->spills ? set_aside(h, id, bytes, err) : OV_OK;
    if (!ov_map_get(&h->fates, key_of(id), &fate) || fate != FATE_WANTED)
        return OV_OK;
    *is_wanted = true;
    h->wanted_data--;
    return ov_map_put(&h->fates, key_of(id), FATE_HEALED, err);
}

static enum ov_status scan_directory(struct heal *h, struct ov_error *err)
{
    OV_AUTO(ov_scanner_close_auto) struct ov_scanner *scanner = NULL;
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_scan_options scan = {.memory = SCAN_MEMORY};
    const struct ov_tree_builder_options build = {
        .store = ov_tree_store_of_writer(h->writer),
        .report = h->options->report,
        .keep_side = true,
    };
    struct ov_id tree;
    struct ov_sequence side;
    OV_TRY(ov_tree_builder_open(&build, &builder, err));
    OV_TRY(ov_scanner_open(h->options->directory, h->workers, &scan, &scanner, err));
    for (;;) {
        struct ov_scan_batch *batch;
        enum ov_status status = ov_scanner_next(scanner, &batch, err);
        if (status == OV_END)
            break;
        OV_TRY(status);
        status = ov_tree_builder_add(builder, batch, err);
        ov_scanner_recycle(scanner, batch);
        OV_TRY(status);
        OV_TRY(ov_object_writer_maybe_adopt(h->writer, err));
        h->progress.files = ov_tree_builder_counts(builder)->files;
        h->progress.bytes = ov_tree_builder_bytes(builder);
        h->progress.current = ov_tree_builder_path(builder);
        ov_report_progress(h->options->report, &h->progress);
        OV_TRY(ov_report_poll(h->options->report, err));
    }
    return ov_tree_builder_finish(builder, &tree, &side, err);
}

static bool is_fault_of_image(enum ov_status status)
{
    return status == OV_ERR_CORRUPT || status == OV_ERR_INVALID || status == OV_ERR_LIMIT ||
           status == OV_ERR_UNSUPPORTED || status == OV_ERR_NOT_FOUND;
}

/* Of an image that is damaged, too, the part before that is of use. */
static enum ov_status scan_images(struct heal *h, struct ov_error *err)
{
    static const char *const names[] = {"repair"};
    const struct ov_import_options options = {
        .names = names,
        .name_count = 1,
        .threads = h->options->threads,
        .report = h->options->report,
    };
    for (size_t i = 0; i < ov_image_source_count(h->options->images); i++) {
        struct ov_error problem;
        enum ov_status status = ov_import_scan(h->repo, h->options->images, i, &options, h->workers,
                                               h->writer, &problem);
        if (status < 0 && !is_fault_of_image(status)) {
            *err = problem;
            return status;
        }
        if (status < 0)
            ov_report_warn(h->options->report, ov_image_source_name(h->options->images, i, 0),
                           &problem);
    }
    return OV_OK;
}

static enum ov_status scan(struct heal *h, struct ov_error *err)
{
    h->progress = (struct ov_progress){0};
    h->is_scanning = true;
    enum ov_status status = h->options->directory ? scan_directory(h, err) : scan_images(h, err);
    h->is_scanning = false;
    return status;
}

/*
 * What lost metadata refers to is known only when it has been found; so all metadata of the source
 * is set aside the first time over, and what it leads to is looked for the second time.
 */
static enum ov_status heal_by_scanning(struct heal *h, struct ov_error *err)
{
    if (!h->wanted_data && !h->wanted_metadata)
        return OV_OK;
    if (!h->wanted_metadata)
        return scan(h, err);
    OV_TRY(ov_spill_open(&h->spill, NULL, err));
    h->spills = true;
    OV_TRY(scan(h, err));
    h->spills = false;
    OV_TRY(ov_spill_finish(&h->spill, err));
    uint64_t known = h->wanted_data;
    OV_TRY(walk(h, err));
    return h->wanted_data > known ? scan(h, err) : OV_OK;
}

/* ---- The commit ---- */

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct heal *h = context;
    OV_TRY(ov_object_writer_plan(h->writer, state, entry, err));
    return entry->added.count ? OV_OK : OV_END;
}

static enum ov_status commit(struct heal *h, struct ov_error *err)
{
    OV_TRY(ov_object_writer_flush(h->writer, err));
    enum ov_status status =
        ov_txlog_commit(h->repo->log, ov_object_writer_base(h->writer), "repair", plan, h, err);
    return status == OV_END ? OV_OK : status;
}

static enum ov_status attempt(void *context, struct ov_error *err)
{
    struct heal *h = context;
    ov_map_clear(&h->fates);
    forget_spilled(h);
    h->data.count = h->found.count = 0;
    h->wanted_data = h->wanted_metadata = 0;
    h->result->missing = h->result->unreadable = 0;
    OV_TRY(walk(h, err));
    OV_TRY(h->objects ? fetch_data(h, err) : heal_by_scanning(h, err));
    return h->options->is_dry_run ? OV_OK : commit(h, err);
}

/* ---- What is left ---- */

static enum ov_status note_lack(void *context, enum ov_role role, const struct ov_id *id,
                                const struct ov_error *problem, struct ov_error *err)
{
    bool *lacks = context;
    (void)role, (void)id;
    *lacks = true;
    *err = *problem;
    return problem->status;
}

static enum ov_status does_lack(struct heal *h, const struct ov_id *snapshot, bool *lacks,
                                struct ov_error *err)
{
    const struct ov_reach_options options = {
        .context = lacks,
        .reached =
            h->result->unreadable ? pass_over : NULL, /* what the cache knows may be damaged */
        .missing = note_lack,
        .report = h->options->report,
    };
    for (int i = 0;; i++) {
        OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
        *lacks = false;
        OV_TRY(ov_reach_open(h->repo, &options, &reach, err));
        enum ov_status status = ov_reach_mark(reach, OV_ROLE_SNAPSHOT, snapshot, err);
        if (*lacks)
            return OV_OK;
        if (status != OV_ERR_CONFLICT || i + 1 == MAX_ATTEMPTS)
            return status;
    }
}

/* All of them first: the state may change while they are looked into. */
static enum ov_status list_all(struct heal *h, struct ov_repair_from_image **out, size_t *count,
                               struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(h->repo);
    struct ov_repair_from_image *images = calloc(state->snapshot_count + 1, sizeof(*images));
    enum ov_status status = images ? OV_OK : ov_fail_no_memory(err);
    *out = images;
    for (*count = 0; status >= 0 && *count < state->snapshot_count; ++*count) {
        images[*count].snapshot = state->snapshots[*count].id;
        status = ov_text_copy(state->snapshots[*count].name, &images[*count].name, err);
    }
    return status;
}

static enum ov_status list_images(struct heal *h, struct ov_error *err)
{
    struct ov_repair_from_result *result = h->result;
    OV_TRY(list_all(h, &result->images, &result->image_count, err));
    size_t kept = 0;
    enum ov_status status = OV_OK;
    for (size_t i = 0; i < result->image_count; i++) {
        struct ov_repair_from_image *image = &result->images[i];
        bool lacks = true;
        if (status >= 0)
            status = does_lack(h, &image->snapshot, &lacks, err);
        if (lacks)
            result->images[kept++] = *image;
        else
            free(image->name);
    }
    result->image_count = kept;
    return status;
}

enum ov_status ov_repair_from(struct ov_repo *repo, const struct ov_repair_from_options *options,
                              struct ov_repair_from_result *result, struct ov_error *err)
{
    OV_AUTO(release_heal) struct heal h = {.repo = repo, .options = options, .result = result};
    const struct ov_object_writer_options writer = {
        .is_dry_run = options->is_dry_run,
        .wants = options->repository ? NULL : wants,
        .context = &h,
        .packer = ov_packer_defaults,
    };
    *result = (struct ov_repair_from_result){0};
    OV_TRY(ov_workers_open(options->threads, &h.workers, err));
    OV_TRY(ov_object_writer_open(repo, h.workers, &writer, &h.writer, err));
    if (options->repository)
        OV_TRY(ov_objects_open(options->repository, FRAME_CACHE, &h.objects, err));
    OV_TRY(ov_object_writer_run(h.writer, attempt, &h, "repair", options->report, err));
    const struct ov_object_writer_totals totals = ov_object_writer_totals(h.writer);
    result->healed = totals.new_chunks;
    result->healed_bytes = totals.new_bytes;
    result->stored_bytes = totals.stored_bytes;
    bool is_whole = !h.wanted_data && !h.wanted_metadata && !result->unreadable;
    if (options->is_dry_run ? !result->missing && !result->unreadable : is_whole)
        return OV_OK;
    return list_images(&h, err);
}
