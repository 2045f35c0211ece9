/*
 * A small program over the library, for the crash tests: one step on a repository per run.
 *
 *   driver key-file FILE            makes a key file
 *   driver init
 *   driver snapshot DIR NAME:TAG    with CRASH_ADOPT=N: commits after N new chunks now and then;
 *                                   with CRASH_THREADS=N: with so many workers
 *   driver tag NAME:TAG NAME:TAG    the second becomes another name of the first
 *   driver tags NAME:TAG COUNT      sets a tag COUNT times, to what it is, in COUNT entries
 *   driver forget NAME:TAG          removes the snapshot and its tags
 *   driver key-add FILE
 *   driver key-remove FILE          removes the slot that FILE opens
 *   driver prune                    all that nothing needs, each pack in an entry of its own
 *   driver undo                     what the last entry did to snapshots and tags
 *   driver rewrite NAME:TAG PATTERN without what matches; the old snapshot is forgotten
 *   driver recover                  snapshots that packs have and the log does not
 *   driver copy REPOSITORY NAME:TAG from another repository with the same key file
 *   driver condemn                  condemns the packs that no snapshot lists
 *   driver condemn-blindly MS       the same, decided MS milliseconds before it commits, without
 *                                   another look: that breaks the rules and must be noticed
 *   driver drop                     drops what is condemned and deletes it
 *   driver repair-index, repair-log, repair-packs
 *   driver repair-from DIR          gives up damaged packs, and heals what is missing from a tree
 *   driver verify                   reads everything and prints what there is
 *   driver objects                  prints packs and segments: state, type, name
 *
 * Environment, as for ociv2: OCIV2_REPOSITORY, OCIV2_KEY_FILE, XDG_CACHE_HOME, XDG_STATE_HOME.
 * Exit codes: 0 done, 1 failed, 4 it is not known whether it was done, 10 no repository, 12 wrong
 * key.
 */
#include "engine/base/file.h"
#include "repo/copy.h"
#include "repo/layout.h"
#include "repo/prune.h"
#include "repo/recover.h"
#include "repo/repair_from.h"
#include "repo/repair_index.h"
#include "repo/repair_log.h"
#include "repo/repair_packs.h"
#include "repo/rewrite.h"
#include "repo/take.h"
#include "repo/tree.h"
#include "repo/undo.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CACHE_BYTES ((size_t)8 << 20)

struct driver {
    char cache[4096];
    char memory[4096];
    struct ov_report report;
    struct ov_credential credential;
    struct ov_repo_options options;
    char **arguments;
};

static void print_warning(void *context, const char *path, const struct ov_error *error)
{
    (void)context;
    fprintf(stderr, "warning: %s%s%s\n", path ? path : "", path ? ": " : "", error->message);
}

static enum ov_status read_credential(const char *path, struct ov_credential *out,
                                      struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    if (!path)
        return ov_fail(err, OV_ERR_INVALID, "no key file is named");
    OV_TRY(ov_file_read_at(AT_FDCWD, path, 4096, &text, err));
    return ov_credential_parse(ov_buf_view(&text), out, err);
}

static enum ov_status open_repository(struct driver *driver, struct ov_repo **out,
                                      struct ov_error *err)
{
    OV_TRY(read_credential(getenv("OCIV2_KEY_FILE"), &driver->credential, err));
    return ov_repo_open(&driver->options, out, err);
}

/* ---- Steps ---- */

static enum ov_status make_key_file(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    OV_TRY(ov_key_file_generate(&text, err));
    return ov_file_replace_at(AT_FDCWD, driver->arguments[0], text.data, text.len, err);
}

static enum ov_status init(struct driver *driver, struct ov_error *err)
{
    struct ov_id repository;
    OV_TRY(read_credential(getenv("OCIV2_KEY_FILE"), &driver->credential, err));
    return ov_repo_init(&driver->options, &repository, err);
}

static unsigned long number_of(const char *variable)
{
    const char *text = getenv(variable);
    return text ? strtoul(text, NULL, 10) : 0;
}

static enum ov_status snapshot(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    struct ov_take_result result;
    const struct ov_take_options options = {
        .path = driver->arguments[0],
        .name = driver->arguments[1],
        .threads = (unsigned)number_of("CRASH_THREADS"),
        .adopt_chunks = number_of("CRASH_ADOPT"),
        .report = &driver->report,
    };
    OV_TRY(open_repository(driver, &repo, err));
    OV_TRY(ov_take(repo, &options, &result, err));
    if (result.counts.errors)
        return ov_fail(err, OV_ERR_IO, "some paths could not be read");
    return OV_OK;
}

static enum ov_status find_tag(const struct ov_state *state, const char *name,
                               const struct ov_tag_setting **out, struct ov_error *err)
{
    *out = ov_state_tag(state, name);
    return *out ? OV_OK : ov_fail(err, OV_ERR_NOT_FOUND, "there is no tag %s", name);
}

static enum ov_status plan_tag(void *context, const struct ov_state *state,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    const struct driver *driver = context;
    const struct ov_tag_setting *tag;
    OV_TRY(find_tag(state, driver->arguments[0], &tag, err));
    return ov_log_entry_set_tag(entry, driver->arguments[1], &tag->snapshot, err);
}

static enum ov_status plan_same_tag(void *context, const struct ov_state *state,
                                    struct ov_log_entry *entry, struct ov_error *err)
{
    const struct driver *driver = context;
    const struct ov_tag_setting *tag;
    OV_TRY(find_tag(state, driver->arguments[0], &tag, err));
    return ov_log_entry_set_tag(entry, tag->name, &tag->snapshot, err);
}

static enum ov_status plan_forget(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    const struct driver *driver = context;
    const struct ov_tag_setting *tag;
    OV_TRY(find_tag(state, driver->arguments[0], &tag, err));
    for (size_t i = 0; i < state->tag_count; i++) {
        if (ov_id_equal(&state->tags[i].snapshot, &tag->snapshot))
            OV_TRY(ov_log_entry_remove_tag(entry, state->tags[i].name, err));
    }
    return ov_log_entry_remove_snapshot(entry, &tag->snapshot, err);
}

static enum ov_status commit(struct driver *driver, const char *command, ov_plan_fn *plan,
                             unsigned long times, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_TRY(open_repository(driver, &repo, err));
    for (unsigned long i = 0; i < times; i++)
        OV_TRY(ov_txlog_commit(repo->log, ov_repo_state(repo)->number, command, plan, driver, err));
    return OV_OK;
}

static enum ov_status tag(struct driver *driver, struct ov_error *err)
{
    return commit(driver, "tag", plan_tag, 1, err);
}

static enum ov_status tags(struct driver *driver, struct ov_error *err)
{
    return commit(driver, "tag", plan_same_tag, strtoul(driver->arguments[1], NULL, 10), err);
}

static enum ov_status forget(struct driver *driver, struct ov_error *err)
{
    return commit(driver, "forget", plan_forget, 1, err);
}

/* ---- Keys ---- */

static enum ov_status key_add(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_credential_release) struct ov_credential added = {0};
    char slot[OV_SLOT_NAME_SIZE];
    OV_TRY(read_credential(driver->arguments[0], &added, err));
    OV_TRY(open_repository(driver, &repo, err));
    return ov_keys_add(repo->backend, repo->keyring, &added, NULL, slot, err);
}

static enum ov_status key_remove(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_credential_release) struct ov_credential removed = {0};
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    char slot[OV_SLOT_NAME_SIZE];
    OV_TRY(read_credential(driver->arguments[0], &removed, err));
    OV_TRY(open_repository(driver, &repo, err));
    OV_TRY(ov_keys_unlock(repo->backend, &repo->config, &removed, &driver->report, &keyring, slot,
                          err));
    return ov_keys_remove(repo->backend, slot, err);
}

/* ---- The two halves of a prune ---- */

static bool is_needed(const struct ov_state *state, const struct ov_id *pack)
{
    for (size_t s = 0; s < state->snapshot_count; s++) {
        for (size_t p = 0; p < state->snapshots[s].pack_count; p++) {
            if (ov_id_equal(&state->snapshots[s].packs[p], pack))
                return true;
        }
    }
    return false;
}

static enum ov_status plan_condemn(void *context, const struct ov_state *state,
                                   struct ov_log_entry *entry, struct ov_error *err)
{
    (void)context;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *object = &state->objects[i];
        if (object->state == OV_OBJECT_LIVE && object->object.type != OV_OBJECT_SEGMENT &&
            !is_needed(state, &object->object.name))
            OV_TRY(ov_object_list_add(&entry->condemned, &object->object, err));
    }
    return OV_OK;
}

static enum ov_status plan_drop(void *context, const struct ov_state *state,
                                struct ov_log_entry *entry, struct ov_error *err)
{
    (void)context;
    return ov_state_objects(state, OV_OBJECT_CONDEMNED, &entry->dropped, err);
}

static enum ov_status condemn(struct driver *driver, struct ov_error *err)
{
    return commit(driver, "prune", plan_condemn, 1, err);
}

/* Those of the list that are still live: what else there is now does not count. */
static enum ov_status plan_list(void *context, const struct ov_state *state,
                                struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_object_list *list = context;
    for (size_t i = 0; i < list->count; i++) {
        if (ov_state_object(state, &list->items[i].name) == OV_OBJECT_LIVE)
            OV_TRY(ov_object_list_add(&entry->condemned, &list->items[i], err));
    }
    return OV_OK;
}

static enum ov_status condemn_blindly(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry decided = {0};
    unsigned long wait = strtoul(driver->arguments[0], NULL, 10);
    const struct timespec pause = {.tv_sec = (time_t)(wait / 1000),
                                   .tv_nsec = (long)(wait % 1000) * 1000000};
    OV_TRY(open_repository(driver, &repo, err));
    const struct ov_state *state = ov_repo_state(repo);
    OV_TRY(plan_condemn(NULL, state, &decided, err));
    nanosleep(&pause, NULL);
    return ov_txlog_commit(repo->log, state->number, "prune", plan_list, &decided.condemned, err);
}

static enum ov_status drop(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry dropped = {0};
    OV_TRY(open_repository(driver, &repo, err));
    uint64_t base = ov_repo_state(repo)->number;
    OV_TRY(ov_txlog_commit(repo->log, base, "prune", plan_drop, driver, err));
    OV_TRY(ov_txlog_read(repo->log, ov_repo_state(repo)->number, &dropped, err));
    for (size_t i = 0; i < dropped.dropped.count; i++) {
        struct ov_path path = ov_object_path(&dropped.dropped.items[i]);
        OV_TRY(repo->backend->ops->remove(repo->backend, path.text, err));
    }
    return OV_OK;
}

static enum ov_status prune(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    struct ov_prune_result result;
    struct ov_prune_options options = ov_prune_defaults;
    options.max_unused = 0;
    options.has_grace = true;
    options.batch = 1;
    options.threads = (unsigned)number_of("CRASH_THREADS");
    options.report = &driver->report;
    OV_TRY(open_repository(driver, &repo, err));
    enum ov_status status = ov_prune(repo, &options, &result, err);
    ov_prune_result_release(&result);
    return status;
}

static enum ov_status undo(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    struct ov_undo_result result;
    const struct ov_undo_options options = {.report = &driver->report};
    OV_TRY(open_repository(driver, &repo, err));
    enum ov_status status = ov_undo(repo, &options, &result, err);
    ov_undo_result_release(&result);
    return status;
}

/* NAME without PATTERN; the old snapshot is forgotten. */
static enum ov_status rewrite(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_patterns_release) struct ov_patterns excludes = {0};
    OV_AUTO(ov_rewrite_result_release) struct ov_rewrite_result result = {0};
    const struct ov_rewrite_options options = {
        .images = driver->arguments,
        .image_count = 1,
        .excludes = &excludes,
        .forgets = true,
        .threads = (unsigned)number_of("CRASH_THREADS"),
        .report = &driver->report,
    };
    OV_TRY(ov_patterns_add(&excludes, driver->arguments[1], err));
    OV_TRY(open_repository(driver, &repo, err));
    return ov_rewrite(repo, &options, &result, err);
}

static enum ov_status recover(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_recover_result_release) struct ov_recover_result result = {0};
    const struct ov_recover_options options = {
        .threads = (unsigned)number_of("CRASH_THREADS"),
        .report = &driver->report,
    };
    OV_TRY(open_repository(driver, &repo, err));
    return ov_recover(repo, &options, &result, err);
}

static enum ov_status copy(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *from = NULL;
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_copy_requests_release) struct ov_copy_requests requests = {0};
    OV_AUTO(ov_copier_close_auto) struct ov_copier *copier = NULL;
    struct ov_copy_result result;
    const struct ov_tag_setting *tag;
    struct ov_repo_options source = driver->options;
    const struct ov_copy_options options = {
        .threads = (unsigned)number_of("CRASH_THREADS"),
        .images = 1,
        .adopt_chunks = number_of("CRASH_ADOPT"),
        .report = &driver->report,
    };
    OV_TRY(open_repository(driver, &repo, err));
    source.location = driver->arguments[0];
    OV_TRY(ov_repo_open(&source, &from, err));
    OV_TRY(find_tag(ov_repo_state(from), driver->arguments[1], &tag, err));
    OV_TRY(ov_copy_requests_add(&requests, ov_repo_state(from),
                                ov_state_snapshot(ov_repo_state(from), &tag->snapshot), tag->name,
                                err));
    OV_TRY(ov_copier_open(from, repo, &options, &copier, err));
    OV_TRY(ov_copier_copy(copier, &requests.items[0], &result, err));
    return result.is_damaged ? ov_fail(err, OV_ERR_CORRUPT, "%s", result.problem.message) : OV_OK;
}

static enum ov_status repair_index(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    struct ov_repair_index_result result;
    const struct ov_repair_index_options options = {
        .threads = (unsigned)number_of("CRASH_THREADS"),
        .segment_entries = 8,
        .report = &driver->report,
    };
    OV_TRY(open_repository(driver, &repo, err));
    return ov_repair_index(repo, &options, &result, err);
}

static enum ov_status repair_packs(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    struct ov_repair_packs_result result;
    const struct ov_repair_packs_options options = {
        .threads = (unsigned)number_of("CRASH_THREADS"),
        .report = &driver->report,
    };
    OV_TRY(open_repository(driver, &repo, err));
    OV_TRY(ov_repair_packs(repo, &options, &result, err));
    if (result.lost_chunks)
        return ov_fail(err, OV_ERR_CORRUPT, "chunks were lost that could be saved");
    return OV_OK;
}

static enum ov_status repair_from(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_repair_from_result_release) struct ov_repair_from_result result = {0};
    struct ov_repair_packs_result given_up;
    const struct ov_repair_packs_options packs = {
        .threads = (unsigned)number_of("CRASH_THREADS"),
        .report = &driver->report,
    };
    const struct ov_repair_from_options options = {
        .directory = driver->arguments[0],
        .threads = packs.threads,
        .report = &driver->report,
    };
    OV_TRY(open_repository(driver, &repo, err));
    OV_TRY(ov_repair_packs(repo, &packs, &given_up, err));
    OV_TRY(ov_repair_from(repo, &options, &result, err));
    if (result.image_count)
        return ov_fail(err, OV_ERR_CORRUPT, "what the source has was not healed");
    return OV_OK;
}

static enum ov_status repair_log(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_repair_log_result_release) struct ov_repair_log_result result = {0};
    const struct ov_repair_log_options options = {
        .memory_directory = driver->options.memory_directory,
        .report = &driver->report,
    };
    OV_TRY(read_credential(getenv("OCIV2_KEY_FILE"), &driver->credential, err));
    OV_TRY(ov_repo_unlock(&driver->options, &repo, err));
    return ov_repair_log(repo, &options, &result, err);
}

/* ---- Verifying ---- */

static enum ov_status read_extents(struct ov_objects *objects, const struct ov_node *node,
                                   struct ov_buf *buf, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(objects);
    struct ov_sequence_item item;
    struct ov_extent extent, before;
    uint64_t total = 0;
    enum ov_status status;
    if (ov_sequence_is_empty(&node->extents))
        return OV_OK;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &node->extents, &source, "extents", &reader,
                                   err));
    while ((status = ov_sequence_reader_next(reader, &item, err)) == OV_OK) {
        OV_TRY(ov_extent_decode(item.bytes, total ? &before : NULL, &extent, "extent", err));
        if (!extent.is_zero) {
            OV_TRY(ov_objects_load(objects, OV_KIND_DATA, &extent.id, buf, err));
            if (buf->len != extent.length)
                return ov_fail(err, OV_ERR_CORRUPT, "a chunk has the wrong length");
        }
        total += extent.length;
        before = extent;
    }
    OV_TRY(status);
    return total == node->size ? OV_OK : ov_fail(err, OV_ERR_CORRUPT, "a file is incomplete");
}

static enum ov_status read_xattrs(struct ov_objects *objects, const struct ov_node *node,
                                  struct ov_buf *buf, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(objects);
    struct ov_sequence_item item;
    struct ov_xattr xattr;
    enum ov_status status;
    if (ov_sequence_is_empty(&node->xattrs))
        return OV_OK;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_XATTRS, &node->xattrs, &source, "xattrs", &reader,
                                   err));
    while ((status = ov_sequence_reader_next(reader, &item, err)) == OV_OK) {
        OV_TRY(ov_xattr_decode(item.bytes, &xattr, "xattr", err));
        if (xattr.is_chunk)
            OV_TRY(ov_objects_load(objects, OV_KIND_DATA, &xattr.id, buf, err));
    }
    return status < 0 ? status : OV_OK;
}

/* Ids are verified as objects are loaded, so a whole walk proves the contents of the tree. */
static enum ov_status read_tree(struct ov_objects *objects, const struct ov_id *id,
                                struct ov_error *err)
{
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf buf = {0};
    struct ov_walk_event event;
    enum ov_status status;
    OV_TRY(ov_tree_load(objects, id, &tree, err));
    OV_TRY(ov_walker_open(&tree, (struct ov_bytes){0}, &walker, err));
    while ((status = ov_walker_next(walker, &event, err)) == OV_OK) {
        if (event.kind == OV_WALK_LEAVE)
            continue;
        OV_TRY(read_extents(objects, &event.node, &buf, err));
        OV_TRY(read_xattrs(objects, &event.node, &buf, err));
    }
    return status < 0 ? status : OV_OK;
}

static enum ov_status read_side(struct ov_objects *objects, const struct ov_sequence *side,
                                struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(objects);
    struct ov_sequence_item item;
    enum ov_status status;
    if (ov_sequence_is_empty(side))
        return OV_OK;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_SIDE, side, &source, "side object", &reader, err));
    while ((status = ov_sequence_reader_next(reader, &item, err)) == OV_OK)
        continue;
    return status < 0 ? status : OV_OK;
}

static enum ov_status read_snapshot(struct ov_objects *objects,
                                    const struct ov_snapshot_record *record, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_TRY(ov_objects_load(objects, OV_KIND_SNAPSHOT, &record->id, &bytes, err));
    OV_TRY(ov_snapshot_decode(ov_buf_view(&bytes), &snapshot, err));
    if (!ov_id_equal(&snapshot.tree, &record->tree))
        return ov_fail(err, OV_ERR_CORRUPT, "a snapshot and its record differ");
    OV_TRY(read_side(objects, &snapshot.side, err));
    return read_tree(objects, &record->tree, err);
}

/* Objects of the log must be there, whole; this needs no key. */
static enum ov_status read_object(struct ov_repo *repo, const struct ov_object *object,
                                  struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_path path = ov_object_path(object);
    struct ov_hasher hasher;
    struct ov_id hash;
    OV_TRY(ov_backend_read_all(repo->backend, path.text, (size_t)64 << 20, &file, err));
    if (file.len != object->size || file.len < OV_ID_SIZE)
        return ov_fail(err, OV_ERR_CORRUPT, "%s has the wrong size", path.text);
    ov_hasher_init(&hasher);
    ov_hasher_update(&hasher, file.data, file.len - OV_ID_SIZE);
    ov_hasher_final(&hasher, &hash);
    if (memcmp(file.data + file.len - OV_ID_SIZE, hash.bytes, OV_ID_SIZE) != 0)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged", path.text);
    return OV_OK;
}

static enum ov_status print_state(struct ov_repo *repo, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(repo);
    struct ov_slot_info *slots;
    size_t slot_count;
    for (size_t i = 0; i < state->snapshot_count; i++)
        printf("snapshot %s %s\n", state->snapshots[i].name,
               ov_id_hex(&state->snapshots[i].tree).text);
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_snapshot_record *record =
            ov_state_snapshot(state, &state->tags[i].snapshot);
        printf("tag %s %s\n", state->tags[i].name, record ? ov_id_hex(&record->tree).text : "-");
    }
    OV_TRY(ov_keys_list(repo->backend, repo->keyring, &slots, &slot_count, err));
    bool is_damaged = false;
    for (size_t i = 0; i < slot_count; i++)
        is_damaged |= slots[i].is_damaged;
    free(slots);
    printf("keys %zu\nentries %llu\n", slot_count, (unsigned long long)state->number);
    return is_damaged ? ov_fail(err, OV_ERR_CORRUPT, "a key slot is damaged") : OV_OK;
}

static enum ov_status verify(struct driver *driver, struct ov_error *err)
{
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    uint64_t faults = 0;
    OV_TRY(open_repository(driver, &repo, err));
    OV_TRY(ov_txlog_verify(repo->log, &driver->report, &faults, err));
    if (faults)
        return ov_fail(err, OV_ERR_CORRUPT, "the log has faults");
    OV_TRY(ov_objects_open(repo, CACHE_BYTES, &objects, err));
    const struct ov_state *state = ov_repo_state(repo);
    for (size_t i = 0; i < state->object_count; i++) {
        if (state->objects[i].state == OV_OBJECT_LIVE)
            OV_TRY(read_object(repo, &state->objects[i].object, err));
    }
    for (size_t i = 0; i < state->snapshot_count; i++)
        OV_TRY(read_snapshot(objects, &state->snapshots[i], err));
    return print_state(repo, err);
}

static enum ov_status print_objects(struct driver *driver, struct ov_error *err)
{
    static const char *const states[] = {"unknown", "live", "condemned", "orphan", "dropped"};
    static const char *const types[] = {"", "data", "metadata", "segment"};
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_TRY(open_repository(driver, &repo, err));
    const struct ov_state *state = ov_repo_state(repo);
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        printf("%s %s %s\n", states[o->state], types[o->object.type],
               ov_id_hex(&o->object.name).text);
    }
    return OV_OK;
}

/* ---- Running ---- */

static const struct command {
    const char *name;
    int arguments;
    enum ov_status (*run)(struct driver *driver, struct ov_error *err);
} commands[] = {
    {"key-file", 1, make_key_file},
    {"init", 0, init},
    {"snapshot", 2, snapshot},
    {"tag", 2, tag},
    {"tags", 2, tags},
    {"forget", 1, forget},
    {"key-add", 1, key_add},
    {"condemn", 0, condemn},
    {"condemn-blindly", 1, condemn_blindly},
    {"key-remove", 1, key_remove},
    {"drop", 0, drop},
    {"prune", 0, prune},
    {"undo", 0, undo},
    {"rewrite", 2, rewrite},
    {"recover", 0, recover},
    {"copy", 2, copy},
    {"repair-index", 0, repair_index},
    {"repair-log", 0, repair_log},
    {"repair-packs", 0, repair_packs},
    {"repair-from", 1, repair_from},
    {"verify", 0, verify},
    {"objects", 0, print_objects},
};

static int exit_code(enum ov_status status)
{
    switch (status) {
    case OV_OK:
        return 0;
    case OV_ERR_UNKNOWN:
        return 4;
    case OV_ERR_NO_REPOSITORY:
        return 10;
    case OV_ERR_WRONG_KEY:
        return 12;
    default:
        return 1;
    }
}

static const char *directory(const char *variable, char *out, size_t size)
{
    const char *base = getenv(variable);
    if (!base || !*base)
        return NULL;
    snprintf(out, size, "%s/ociv2", base);
    return out;
}

static int run(const struct command *command, char **arguments)
{
    struct driver driver = {.report = {.warn = print_warning}, .arguments = arguments};
    struct ov_error err;
    driver.options = (struct ov_repo_options){
        .location = getenv("OCIV2_REPOSITORY"),
        .credential = &driver.credential,
        .cache_directory = directory("XDG_CACHE_HOME", driver.cache, sizeof(driver.cache)),
        .memory_directory = directory("XDG_STATE_HOME", driver.memory, sizeof(driver.memory)),
        .report = &driver.report,
    };
    enum ov_status status = ov_crypto_init(&err);
    if (status >= 0)
        status = command->run(&driver, &err);
    ov_credential_release(&driver.credential);
    if (status < 0)
        fprintf(stderr, "%s: %s\n", command->name, err.message);
    return exit_code(status);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < OV_ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 == commands[i].arguments)
            return run(&commands[i], argv + 2);
    }
    fprintf(stderr, "driver: wrong arguments\n");
    return 2;
}
