#include "repo/closure.h"
#include "repo/image/platform_tag.h"
#include "repo/layout.h"
#include "repo/repair_index.h"
#include "repo/repair_log_internal.h"
#include "repo/snapshot_load.h"

#include <stdlib.h>

/* A snapshot that only packs know. */
struct found {
    struct ov_snapshot_record record;
    char platform_tag[OV_PLATFORM_TAG_SIZE]; /* empty: of no platform */
    bool has_index;
    struct ov_id index; /* of the bytes of the image index that it was one of */
};

/* What is put together. */
struct recovery {
    struct repair_log *r;
    struct ov_object_list packs;    /* in storage, ascending by name */
    struct ov_object_list segments; /* in storage */
    struct ov_map is_there;         /* packs: first half of the name */
    struct ov_map forgotten;        /* snapshots: first half of the id → whether it is */
    struct ov_id *ids;              /* of snapshots in packs, each once */
    size_t id_count, id_capacity;
    struct ov_map seen;
    struct found *found;
    size_t found_count, found_capacity;
    struct ov_map needed; /* packs that they need */
};

static void release_recovery(struct recovery *v)
{
    ov_object_list_release(&v->packs);
    ov_object_list_release(&v->segments);
    ov_map_release(&v->is_there);
    ov_map_release(&v->forgotten);
    free(v->ids);
    ov_map_release(&v->seen);
    for (size_t i = 0; i < v->found_count; i++)
        ov_snapshot_record_release(&v->found[i].record);
    free(v->found);
    ov_map_release(&v->needed);
}

static struct ov_map_key key_of(const struct ov_id *id)
{
    return (struct ov_map_key){ov_load64(id->bytes), ov_load64(id->bytes + 8)};
}

/* ---- What readable entries say ---- */

static enum ov_status note_forgotten(struct recovery *v, const struct ov_log_entry *entry,
                                     struct ov_error *err)
{
    for (size_t i = 0; i < entry->removed_count; i++)
        OV_TRY(ov_map_put(&v->forgotten, key_of(&entry->removed[i]), 1, err));
    for (size_t i = 0; i < entry->snapshot_count; i++)
        OV_TRY(ov_map_put(&v->forgotten, key_of(&entry->snapshots[i].id), 0, err));
    return OV_OK;
}

/* Applies an entry although some before it are unknown: what is there already is not added again.
 */
static enum ov_status apply_leniently(struct ov_state *state, struct ov_log_entry *entry,
                                      struct ov_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        if (ov_state_snapshot(state, &entry->snapshots[i].id))
            ov_snapshot_record_release(&entry->snapshots[i]);
        else
            entry->snapshots[kept++] = entry->snapshots[i];
    }
    entry->snapshot_count = kept;
    return ov_state_apply(state, entry, &state->hash, err);
}

static enum ov_status apply_entries(struct recovery *v, struct ov_error *err)
{
    struct repair_log *r = v->r;
    for (uint64_t n = 0; n < r->slot_count; n++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        struct ov_id hash;
        bool is_marker;
        if (!r->slots[n].is_good || r->slots[n].is_marker)
            continue;
        OV_TRY(ov_log_file_read(r->repo->backend, r->repo->keyring, n, &entry, &hash, &is_marker,
                                err));
        OV_TRY(note_forgotten(v, &entry, err));
        if (!r->result->has_base || n > r->result->base)
            OV_TRY(apply_leniently(&r->state, &entry, err));
    }
    return OV_OK;
}

/* ---- What is in storage ---- */

struct listing {
    struct ov_object_list *list;
    enum ov_object_type type;
};

static enum ov_status note_file(void *context, const char *name, uint64_t size,
                                struct ov_error *err)
{
    struct listing *listing = context;
    struct ov_object object = {.type = listing->type, .size = size};
    if (strlen(name) != OV_ID_HEX_SIZE - 1 || !ov_hex_decode(name, object.name.bytes, OV_ID_SIZE))
        return OV_OK;
    return ov_object_list_add(listing->list, &object, err);
}

/* The kind that the header says. Where it is damaged any will do: `repair packs` tries both. */
static enum ov_status find_type(struct recovery *v, struct ov_object *pack, struct ov_error *err)
{
    struct ov_backend *backend = v->r->repo->backend;
    uint8_t raw[OV_HEADER_SIZE];
    struct ov_header header;
    struct ov_error problem;
    enum ov_status status =
        pack->size < sizeof(raw)
            ? OV_ERR_CORRUPT
            : backend->ops->read(backend, ov_object_path(pack).text, 0, raw, sizeof(raw), &problem);
    if (status < 0 && !repair_log_is_damage(status)) {
        *err = problem;
        return status;
    }
    if (status >= 0)
        status = ov_header_decode(raw, "pack", &header, &problem);
    pack->type = status >= 0 && header.type == OV_FILE_PACK && header.kind == OV_PACK_META
                     ? OV_OBJECT_META_PACK
                     : OV_OBJECT_DATA_PACK;
    return OV_OK;
}

static int compare_objects(const void *a, const void *b)
{
    return ov_id_compare(&((const struct ov_object *)a)->name,
                         &((const struct ov_object *)b)->name);
}

/* Packs that are there and that the log does not know to be dropped. */
static enum ov_status list_packs(struct recovery *v, struct ov_error *err)
{
    struct repair_log *r = v->r;
    struct ov_backend *backend = r->repo->backend;
    OV_AUTO(ov_object_list_release) struct ov_object_list files = {0};
    struct listing packs = {&files, OV_OBJECT_DATA_PACK};
    struct listing segments = {&v->segments, OV_OBJECT_SEGMENT};
    OV_TRY(backend->ops->list(backend, OV_DIR_PACKS, note_file, &packs, err));
    OV_TRY(backend->ops->list(backend, OV_DIR_SEGMENTS, note_file, &segments, err));
    for (size_t i = 0; i < files.count; i++) {
        struct ov_object *pack = &files.items[i];
        const struct ov_state_object *known = ov_state_find(&r->state, &pack->name);
        OV_TRY(ov_map_put(&v->is_there, key_of(&pack->name), 0, err));
        if (known &&
            (known->state == OV_OBJECT_DROPPED || known->state == OV_OBJECT_CONDEMNED_ORPHAN))
            continue;
        if (known)
            *pack = known->object; /* of the size that it had */
        else
            OV_TRY(find_type(v, pack, err));
        r->result->adopted += !known;
        OV_TRY(ov_object_list_add(&v->packs, pack, err));
    }
    if (v->packs.count)
        qsort(v->packs.items, v->packs.count, sizeof(*v->packs.items), compare_objects);
    r->result->packs = v->packs.count;
    return OV_OK;
}

static enum ov_status count_missing(struct recovery *v, struct ov_error *err)
{
    struct repair_log *r = v->r;
    for (size_t i = 0; i < r->state.object_count; i++) {
        const struct ov_state_object *o = &r->state.objects[i];
        struct ov_error problem;
        uint64_t ignored;
        if (o->object.type == OV_OBJECT_SEGMENT || o->state != OV_OBJECT_LIVE ||
            ov_map_get(&v->is_there, key_of(&o->object.name), &ignored))
            continue;
        (void)ov_fail(&problem, OV_ERR_NOT_FOUND, "%s is missing", ov_object_path(&o->object).text);
        repair_log_tell(r, &problem);
        r->result->missing++;
    }
    return ov_report_poll(r->options->report, err);
}

/* ---- The state that packs are looked into with ---- */

/* Objects of the recovered state: needed packs are live, whatever they were. */
static enum ov_status add_objects(const struct recovery *v, struct ov_state *out,
                                  struct ov_error *err)
{
    for (size_t i = 0; i < v->packs.count; i++) {
        const struct ov_object *pack = &v->packs.items[i];
        uint64_t ignored;
        bool is_condemned = ov_state_object(&v->r->state, &pack->name) == OV_OBJECT_CONDEMNED &&
                            !ov_map_get(&v->needed, key_of(&pack->name), &ignored);
        OV_TRY(ov_state_add_object(out, pack, is_condemned ? OV_OBJECT_CONDEMNED : OV_OBJECT_LIVE,
                                   err));
    }
    return OV_OK;
}

static enum ov_status note_snapshots(void *context, const struct ov_object *pack,
                                     const struct ov_pack_table *table,
                                     const struct ov_error *problem, struct ov_error *err)
{
    struct recovery *v = context;
    (void)pack, (void)problem;
    v->r->result->unreadable += !table;
    for (size_t i = 0; table && i < table->chunk_count; i++) {
        const struct ov_id *id = &table->chunks[i].id;
        uint64_t ignored;
        if (table->chunks[i].kind != OV_KIND_SNAPSHOT || ov_map_get(&v->seen, key_of(id), &ignored))
            continue;
        OV_TRY(ov_map_put(&v->seen, key_of(id), 0, err));
        OV_TRY(ov_array_grow(&v->ids, v->id_count, &v->id_capacity, sizeof(*v->ids), err));
        v->ids[v->id_count++] = *id;
    }
    return OV_OK;
}

static void close_log(struct ov_repo *repo)
{
    ov_lookup_close(ov_steal(repo->lookup));
    ov_txlog_close(ov_steal(repo->log));
}

static enum ov_status open_provisional_log(struct recovery *v, struct ov_error *err)
{
    struct repair_log *r = v->r;
    OV_AUTO(ov_state_release) struct ov_state state = {.number = r->result->end};
    OV_TRY(add_objects(v, &state, err));
    return txlog_of_state(r->repo->backend, &r->repo->config, r->repo->keyring, &state,
                          &r->repo->log, err);
}

/* Stores segments over all packs; v->segments are those then. */
static enum ov_status make_index(struct recovery *v, struct ov_error *err)
{
    struct repair_log *r = v->r;
    OV_AUTO(ov_object_list_release) struct ov_object_list old = v->segments;
    const struct ov_repair_index_options options = {
        .threads = r->options->threads,
        .report = r->options->report,
    };
    struct ov_repair_index_result result;
    v->segments = (struct ov_object_list){0};
    OV_TRY(ov_index_build(r->repo, &options, &v->packs, &old, note_snapshots, v, &v->segments,
                          &result, err));
    for (size_t i = 0; i < v->segments.count; i++)
        OV_TRY(
            ov_state_add_object(&r->repo->log->state, &v->segments.items[i], OV_OBJECT_LIVE, err));
    return OV_OK;
}

/* ---- Snapshots that only packs know ---- */

/* Which index it was: equal bytes are stored alike. */
static void note_index(const struct ov_stored_stream *index, struct found *found)
{
    const struct ov_sequence *extents = &index->extents.sequence;
    found->has_index = index->size > 0;
    if (!found->has_index)
        return;
    if (index->contents.len)
        ov_hash(NULL, index->contents.data, index->contents.len, &found->index);
    else if (extents->is_table)
        found->index = extents->top;
    else
        ov_hash(NULL, extents->items.data, extents->items.len, &found->index);
}

/* Errors: CORRUPT (something of it is missing), and others. */
static enum ov_status make_record(struct recovery *v, struct ov_closure *closure,
                                  const struct ov_id *id, struct found *found, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    struct ov_snapshot_record *record = &found->record;
    struct ov_platform platform = {0};
    OV_TRY(ov_snapshot_load(v->r->repo, id, &snapshot, err));
    OV_TRY(ov_snapshot_record_of(&snapshot, id, record, err));
    OV_TRY(ov_closure_packs(closure, id, &record->packs, &record->pack_count, err));
    const struct ov_snapshot_image *image = &snapshot.image;
    note_index(&image->index, found);
    if (!record->name || !image->os)
        return OV_OK;
    snprintf(platform.os, sizeof(platform.os), "%s", image->os);
    snprintf(platform.architecture, sizeof(platform.architecture), "%s",
             image->architecture ? image->architecture : "");
    snprintf(platform.variant, sizeof(platform.variant), "%s",
             image->variant ? image->variant : "");
    return ov_platform_tag(record->name, &platform, found->platform_tag, err);
}

static bool is_wanted(const struct recovery *v, const struct ov_id *id)
{
    uint64_t is_forgotten;
    return !ov_state_snapshot(&v->r->state, id) &&
           !(ov_map_get(&v->forgotten, key_of(id), &is_forgotten) && is_forgotten);
}

static enum ov_status find_snapshot(struct recovery *v, struct ov_closure *closure,
                                    const struct ov_id *id, struct ov_error *err)
{
    struct ov_repair_log_result *result = v->r->result;
    struct ov_error problem;
    OV_TRY(ov_array_grow(&v->found, v->found_count, &v->found_capacity, sizeof(*v->found), err));
    struct found *found = &v->found[v->found_count];
    *found = (struct found){0};
    enum ov_status status = make_record(v, closure, id, found, &problem);
    if (repair_log_is_damage(status)) {
        ov_report_warn(v->r->options->report, found->record.name, &problem);
        result->incomplete++;
    } else if (status < 0) {
        *err = problem;
    }
    if (status < 0) {
        ov_snapshot_record_release(&found->record);
        return repair_log_is_damage(status) ? OV_OK : status;
    }
    v->found_count++;
    for (size_t i = 0; i < found->record.pack_count; i++)
        OV_TRY(ov_map_put(&v->needed, key_of(&found->record.packs[i]), 0, err));
    return OV_OK;
}

static int compare_times(const void *a, const void *b)
{
    const struct ov_snapshot_record *x = &((const struct found *)a)->record;
    const struct ov_snapshot_record *y = &((const struct found *)b)->record;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return ov_id_compare(&x->id, &y->id);
}

/* By time, for people. */
static enum ov_status tell_found(struct recovery *v, struct ov_error *err)
{
    struct ov_repair_log_result *result = v->r->result;
    if (v->found_count)
        qsort(v->found, v->found_count, sizeof(*v->found), compare_times);
    for (size_t i = 0; i < v->found_count; i++) {
        OV_TRY(ov_array_grow(&result->found, result->found_count, &result->found_capacity,
                             sizeof(*result->found), err));
        OV_TRY(ov_snapshot_record_copy(&v->found[i].record, &result->found[i], err));
        result->found_count++;
    }
    return OV_OK;
}

static enum ov_status find_snapshots(struct recovery *v, struct ov_error *err)
{
    OV_AUTO(ov_closure_close_auto) struct ov_closure *closure = NULL;
    OV_TRY(ov_closure_open(v->r->repo, v->r->options->report, &closure, err));
    for (size_t i = 0; i < v->id_count; i++) {
        if (is_wanted(v, &v->ids[i]))
            OV_TRY(find_snapshot(v, closure, &v->ids[i], err));
        OV_TRY(ov_report_poll(v->r->options->report, err));
    }
    return tell_found(v, err);
}

/* ---- Tags ---- */

static bool is_newer(const struct ov_snapshot_record *a, const struct ov_snapshot_record *b)
{
    return a->time != b->time ? a->time > b->time : a->time_ns > b->time_ns;
}

static bool has_name_of(const struct found *a, const struct found *b)
{
    return a->record.name && b->record.name && strcmp(a->record.name, b->record.name) == 0;
}

/* Made of one image, for another platform each. */
static bool are_siblings(const struct found *a, const struct found *b)
{
    return has_name_of(a, b) && a->has_index && b->has_index && ov_id_equal(&a->index, &b->index) &&
           strcmp(a->platform_tag, b->platform_tag) != 0;
}

/*
 * Each name belongs to the newest snapshot that was made under it, where one was found; of the
 * platforms of an image to the one that was stored first, and the others have tags of their own.
 */
static enum ov_status set_tag(const struct recovery *v, size_t newest, struct ov_state *out,
                              struct ov_error *err)
{
    const struct found *found = &v->found[newest];
    const struct ov_tag_setting *tag =
        found->record.name ? ov_state_tag(out, found->record.name) : NULL;
    size_t first = newest;
    if (!found->record.name ||
        (tag && !is_newer(&found->record, ov_state_snapshot(out, &tag->snapshot))))
        return OV_OK;
    for (size_t i = newest; i-- > 0;)
        first = are_siblings(&v->found[i], found) ? i : first;
    for (size_t i = first + 1; i <= newest; i++) {
        const struct found *other = &v->found[i];
        if (are_siblings(other, &v->found[first]) && *other->platform_tag)
            OV_TRY(ov_state_set_tag(out, other->platform_tag, &other->record.id, err));
    }
    return ov_state_set_tag(out, found->record.name, &v->found[first].record.id, err);
}

static enum ov_status set_tags(const struct recovery *v, struct ov_state *out, struct ov_error *err)
{
    for (size_t i = 0; i < v->r->state.tag_count; i++) {
        const struct ov_tag_setting *tag = &v->r->state.tags[i];
        if (ov_state_snapshot(out, &tag->snapshot))
            OV_TRY(ov_state_set_tag(out, tag->name, &tag->snapshot, err));
    }
    for (size_t i = 0; i < v->found_count; i++) { /* by time, ascending */
        bool is_newest = true;
        for (size_t k = i + 1; k < v->found_count && is_newest; k++)
            is_newest = !has_name_of(&v->found[i], &v->found[k]);
        if (is_newest)
            OV_TRY(set_tag(v, i, out, err));
    }
    return OV_OK;
}

/* ---- All of it ---- */

static enum ov_status make_state(const struct recovery *v, struct ov_state *out,
                                 struct ov_error *err)
{
    const struct repair_log *r = v->r;
    out->number = r->result->end;
    out->hash = r->slots[r->result->end].hash;
    out->config = r->repo->config.trailer;
    OV_TRY(add_objects(v, out, err));
    for (size_t i = 0; i < v->segments.count; i++)
        OV_TRY(ov_state_add_object(out, &v->segments.items[i], OV_OBJECT_LIVE, err));
    for (size_t i = 0; i < r->state.snapshot_count; i++)
        OV_TRY(ov_state_add_snapshot(out, &r->state.snapshots[i], err));
    for (size_t i = 0; i < v->found_count; i++)
        OV_TRY(ov_state_add_snapshot(out, &v->found[i].record, err));
    return set_tags(v, out, err);
}

/* Without an index nothing can be looked into: packs say which snapshots they hold, and no more. */
static enum ov_status count_only(struct recovery *v, struct ov_error *err)
{
    struct ov_workers *workers;
    const struct ov_pack_tables_options options = {.report = v->r->options->report};
    OV_TRY(ov_workers_open(v->r->options->threads, &workers, err));
    enum ov_status status =
        ov_pack_tables_read(v->r->repo, workers, &v->packs, &options, note_snapshots, v, err);
    ov_workers_close(workers);
    OV_TRY(status);
    for (size_t i = 0; i < v->id_count; i++)
        v->r->result->incomplete += is_wanted(v, &v->ids[i]);
    return OV_OK;
}

static enum ov_status look_into_packs(struct recovery *v, struct ov_error *err)
{
    struct repair_log *r = v->r;
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    OV_TRY(make_index(v, err));
    OV_TRY(find_snapshots(v, err));
    OV_TRY(make_state(v, &state, err));
    ov_state_release(&r->state);
    r->state = state;
    state = (struct ov_state){0};
    return OV_OK;
}

enum ov_status repair_log_recover(struct repair_log *r, struct ov_error *err)
{
    OV_AUTO(release_recovery) struct recovery v = {.r = r};
    OV_TRY(apply_entries(&v, err));
    OV_TRY(list_packs(&v, err));
    OV_TRY(count_missing(&v, err));
    r->result->snapshots = r->state.snapshot_count;
    OV_TRY(open_provisional_log(&v, err));
    enum ov_status status = r->options->is_dry_run ? count_only(&v, err) : look_into_packs(&v, err);
    close_log(r->repo);
    return status;
}
