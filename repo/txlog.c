#include "repo/txlog_internal.h"

#include "repo/identity.h"
#include "repo/layout.h"
#include "repo/log_file.h"
#include "repo/log_memory.h"
#include "repo/texts.h"

#include <stdlib.h>
#include <time.h>

#define CHECKPOINT_EVERY 64
#define CHECKPOINTS_KEPT 2
#define CREATE_TRIES 3

const struct ov_state *ov_txlog_state(const struct ov_txlog *log)
{
    return &log->state;
}

void ov_txlog_close(struct ov_txlog *log)
{
    if (!log)
        return;
    ov_state_release(&log->state);
    free(log->memory_directory);
    free(log->gone);
    free(log);
}

/* ---- Replaying ---- */

static enum ov_status note_gone(struct ov_txlog *log, const struct ov_log_entry *entry,
                                struct ov_error *err)
{
    const struct ov_object_list *lists[] = {&entry->condemned, &entry->dropped};
    for (size_t l = 0; l < OV_ARRAY_LEN(lists); l++) {
        for (size_t i = 0; i < lists[l]->count; i++) {
            OV_TRY(ov_array_grow(&log->gone, log->gone_count, &log->gone_capacity,
                                 sizeof(*log->gone), err));
            log->gone[log->gone_count++] = (struct gone){entry->number, lists[l]->items[i].name};
        }
    }
    return OV_OK;
}

enum ov_status txlog_apply_entry(const struct ov_config *config, struct ov_state *state,
                                 bool is_empty, const struct ov_log_entry *entry,
                                 const struct ov_id *hash, struct ov_error *err)
{
    struct ov_path path = ov_path_of_number(OV_DIR_LOG, entry->number);
    if (is_empty && !ov_id_equal(&entry->config, &config->trailer))
        return ov_fail(err, OV_ERR_CORRUPT,
                       "the file config is not the one that this repository began with");
    if (!is_empty && !ov_id_equal(&entry->previous, &state->hash))
        return ov_fail(err, OV_ERR_CORRUPT, "%s does not follow the entry before it", path.text);
    enum ov_status status = ov_state_check(state, entry, err);
    if (status == OV_ERR_CONFLICT) {
        struct ov_error why = *err;
        return ov_fail(err, OV_ERR_CORRUPT, "%s contradicts the entries before it: %.400s",
                       path.text, why.message);
    }
    OV_TRY(status);
    return ov_state_apply(state, entry, hash, err);
}

static enum ov_status load_checkpoint(struct ov_txlog *log, struct ov_error *err);

/* Applies the next entry, if there is one; otherwise OV_END. */
static enum ov_status replay_next(struct ov_txlog *log, struct ov_error *err)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    struct ov_id hash;
    bool is_marker;
    uint64_t number = log->is_empty ? 0 : log->state.number + 1;
    enum ov_status status =
        ov_log_file_read(log->backend, log->keyring, number, &entry, &hash, &is_marker, err);
    if (status == OV_ERR_NOT_FOUND && !log->is_empty)
        return OV_END;
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, OV_ERR_CORRUPT, "the log has no entries: log/%016d is missing", 0);
    OV_TRY(status);
    if (is_marker) {
        /* Others compacted the log while this client slept: go on from their checkpoint. */
        uint64_t before = log->state.number;
        OV_TRY(load_checkpoint(log, err));
        if (log->is_empty || log->state.number < number || log->state.number <= before)
            return ov_fail(err, OV_ERR_CORRUPT,
                           "log/%016llx was replaced by a marker, but no checkpoint covers it",
                           (unsigned long long)number);
        return OV_OK;
    }
    OV_TRY(txlog_apply_entry(&log->config, &log->state, log->is_empty, &entry, &hash, err));
    log->is_empty = false;
    return note_gone(log, &entry, err);
}

/*
 * Sees to it that the last entry is durable. Its writer may be about to sync it, or may have died
 * before: a loss of power could keep an entry that is made after it and lose this one.
 */
enum ov_status ov_txlog_settle(struct ov_txlog *log, struct ov_error *err)
{
    struct ov_path path = ov_path_of_number(OV_DIR_LOG, log->state.number);
    if (log->state.number > log->durable) {
        OV_TRY(log->backend->ops->sync(log->backend, path.text, err));
        log->durable = log->state.number;
    }
    return OV_OK;
}

/* Whoever only reads can do without, but then does not remember what may be lost yet. */
static void settle_and_remember(struct ov_txlog *log)
{
    struct ov_error ignored;
    if (ov_txlog_settle(log, &ignored) >= 0)
        ov_log_memory_save(log->memory_directory, &log->config.repository, &log->state,
                           log->options.report);
}

enum ov_status ov_txlog_refresh(struct ov_txlog *log, struct ov_error *err)
{
    enum ov_status status;
    uint64_t before = log->state.number;
    while ((status = replay_next(log, err)) == OV_OK)
        continue;
    OV_TRY(status);
    if (log->state.number != before)
        settle_and_remember(log);
    return OV_OK;
}

/* ---- Checkpoints ---- */

void txlog_numbers_release(struct txlog_numbers *numbers)
{
    free(numbers->items);
}

enum ov_status txlog_collect_number(void *context, const char *name, uint64_t size,
                                    struct ov_error *err)
{
    struct txlog_numbers *numbers = context;
    uint8_t raw[8];
    (void)size;
    if (strlen(name) != 16 || !ov_hex_decode(name, raw, sizeof(raw)))
        return OV_OK;
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(raw); i++)
        number = number << 8 | raw[i];
    OV_TRY(ov_array_grow(&numbers->items, numbers->count, &numbers->capacity,
                         sizeof(*numbers->items), err));
    numbers->items[numbers->count++] = number;
    return OV_OK;
}

static int compare_descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

enum ov_status txlog_list_checkpoints(struct ov_backend *backend, struct txlog_numbers *numbers,
                                      struct ov_error *err)
{
    OV_TRY(backend->ops->list(backend, OV_DIR_CHECKPOINTS, txlog_collect_number, numbers, err));
    if (numbers->count)
        qsort(numbers->items, numbers->count, sizeof(*numbers->items), compare_descending);
    return OV_OK;
}

enum ov_status txlog_read_checkpoint(const struct ov_txlog *log, uint64_t number,
                                     struct ov_state *out, struct ov_error *err)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    struct ov_id hash;
    bool is_marker;
    OV_TRY(ov_checkpoint_read(log->backend, log->keyring, number, &state, err));
    OV_TRY(ov_log_file_read(log->backend, log->keyring, number, &entry, &hash, &is_marker, err));
    if (!ov_id_equal(&hash, &state.hash) || !ov_id_equal(&state.config, &log->config.trailer))
        return ov_fail(err, OV_ERR_CORRUPT, "checkpoints/%016llx is not of this log",
                       (unsigned long long)number);
    *out = state;
    state = (struct ov_state){0};
    return OV_OK;
}

/* Starts over from the newest usable checkpoint, if there is any. */
static enum ov_status load_checkpoint(struct ov_txlog *log, struct ov_error *err)
{
    OV_AUTO(txlog_numbers_release) struct txlog_numbers numbers = {0};
    OV_TRY(txlog_list_checkpoints(log->backend, &numbers, err));
    for (size_t i = 0; i < numbers.count; i++) {
        struct ov_state state;
        struct ov_error problem;
        enum ov_status status = txlog_read_checkpoint(log, numbers.items[i], &state, &problem);
        if (status == OV_ERR_NO_MEMORY)
            return ov_fail_no_memory(err);
        if (status < 0 && status != OV_ERR_NOT_FOUND) /* removed by a writer, or beyond the end */
            ov_report_warn(log->options.report, NULL, &problem);
        if (status < 0)
            continue;
        ov_state_release(&log->state);
        log->state = state;
        log->is_empty = false;
        log->complete_since = state.number;
        log->checkpoint = state.number;
        return OV_OK;
    }
    return OV_OK;
}

enum ov_status txlog_store_checkpoint(struct ov_backend *backend, const struct ov_keyring *keyring,
                                      const struct ov_state *state, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_path path = ov_path_of_number(OV_DIR_CHECKPOINTS, state->number);
    OV_TRY(ov_checkpoint_encode(state, keyring, &file, err));
    return backend->ops->replace(backend, path.text, ov_buf_view(&file), err);
}

/* A checkpoint is only a convenience: failing to write one is no failure. */
static void maybe_write_checkpoint(struct ov_txlog *log)
{
    OV_AUTO(txlog_numbers_release) struct txlog_numbers numbers = {0};
    struct ov_error problem;
    if (log->state.number - log->checkpoint < CHECKPOINT_EVERY)
        return;
    if (txlog_store_checkpoint(log->backend, log->keyring, &log->state, &problem) < 0 ||
        txlog_list_checkpoints(log->backend, &numbers, &problem) < 0) {
        ov_report_warn(log->options.report, NULL, &problem);
        return;
    }
    log->checkpoint = log->state.number;
    for (size_t i = CHECKPOINTS_KEPT; i < numbers.count; i++) {
        struct ov_path old = ov_path_of_number(OV_DIR_CHECKPOINTS, numbers.items[i]);
        if (log->backend->ops->remove(log->backend, old.text, &problem) < 0 &&
            problem.status != OV_ERR_NOT_FOUND)
            ov_report_warn(log->options.report, NULL, &problem);
    }
}

/* ---- Opening ---- */

/* Head and memory are read before the log's end is looked for, so neither is ahead by a race. */
static enum ov_status read_head(struct ov_txlog *log, struct ov_log_point *head)
{
    struct ov_error problem;
    enum ov_status status = ov_head_read(log->backend, log->keyring, head, &problem);
    if (status < 0) {
        *head = (struct ov_log_point){0};
        if (status == OV_ERR_NOT_FOUND)
            (void)ov_fail(&problem, OV_ERR_NOT_FOUND,
                          "the file head is missing; the next change writes it again");
        ov_report_warn(log->options.report, NULL, &problem);
    }
    return status;
}

static enum ov_status check_head(const struct ov_txlog *log, const struct ov_log_point *head,
                                 struct ov_error *err)
{
    if (head->number > log->state.number)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "log/%016llx is missing: the file head says that the log goes on to entry "
                       "%llu, but it ends at %llu",
                       (unsigned long long)log->state.number + 1, (unsigned long long)head->number,
                       (unsigned long long)log->state.number);
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    struct ov_id hash = log->state.hash;
    struct ov_error unreadable; /* for a check to find: the state did not need this entry */
    bool is_marker;
    if (head->number < log->state.number &&
        ov_log_file_read(log->backend, log->keyring, head->number, &entry, &hash, &is_marker,
                         &unreadable) < 0)
        return OV_OK;
    if (!ov_id_equal(&head->hash, &hash))
        return ov_fail(err, OV_ERR_CORRUPT,
                       "the file head belongs to another history of this repository");
    return OV_OK;
}

/* Holds the log to what this client remembers of it. */
static enum ov_status check_memory(struct ov_txlog *log, const struct ov_log_point *seen,
                                   struct ov_error *err)
{
    if (seen->number > log->state.number)
        return ov_fail(err, OV_ERR_ROLLBACK,
                       "the repository is older than this machine has seen it: it ends at entry "
                       "%llu, but entry %llu existed. If it was restored from a backup on purpose, "
                       "say --accept-rollback once",
                       (unsigned long long)log->state.number, (unsigned long long)seen->number);
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    struct ov_id hash = log->state.hash;
    bool is_marker;
    if (seen->number < log->state.number)
        OV_TRY(ov_log_file_read(log->backend, log->keyring, seen->number, &entry, &hash, &is_marker,
                                err));
    if (!ov_id_equal(&hash, &seen->hash))
        return ov_fail(err, OV_ERR_ROLLBACK,
                       "the repository has another history than this machine has seen: its entry "
                       "%llu was exchanged. If it was restored from a backup on purpose, say "
                       "--accept-rollback once",
                       (unsigned long long)seen->number);
    log->durable = seen->number;
    return OV_OK;
}

enum ov_status ov_txlog_open(struct ov_backend *backend, const struct ov_config *config,
                             const struct ov_keyring *keyring,
                             const struct ov_txlog_options *options, struct ov_txlog **out,
                             struct ov_error *err)
{
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = calloc(1, sizeof(*log));
    if (!log)
        return ov_fail_no_memory(err);
    log->backend = backend;
    log->keyring = keyring;
    log->config = *config;
    log->options = *options;
    log->is_empty = true;
    OV_TRY(ov_text_copy(options->memory_directory, &log->memory_directory, err));

    if (options->accept_rollback)
        ov_log_memory_forget(log->memory_directory, &config->repository);
    struct ov_log_point head, seen;
    bool has_memory = ov_log_memory_load(log->memory_directory, &config->repository, &seen);
    bool has_head = read_head(log, &head) >= 0;
    OV_TRY(load_checkpoint(log, err));
    enum ov_status status;
    while ((status = replay_next(log, err)) == OV_OK)
        continue;
    OV_TRY(status);
    if (has_head)
        OV_TRY(check_head(log, &head, err));
    if (has_memory)
        OV_TRY(check_memory(log, &seen, err));
    settle_and_remember(log);
    *out = ov_steal(log);
    return OV_OK;
}

enum ov_status txlog_of_state(struct ov_backend *backend, const struct ov_config *config,
                              const struct ov_keyring *keyring, struct ov_state *state,
                              struct ov_txlog **out, struct ov_error *err)
{
    struct ov_txlog *log = calloc(1, sizeof(*log));
    if (!log)
        return ov_fail_no_memory(err);
    log->backend = backend;
    log->keyring = keyring;
    log->config = *config;
    log->state = *state;
    log->durable = state->number;
    *state = (struct ov_state){0};
    *out = log;
    return OV_OK;
}

/* ---- Committing ---- */

enum ov_status txlog_store_head(struct ov_backend *backend, const struct ov_keyring *keyring,
                                const struct ov_log_point *point, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_TRY(ov_log_point_encode(OV_FILE_HEAD, point, keyring, &file, err));
    return backend->ops->replace(backend, OV_PATH_HEAD, ov_buf_view(&file), err);
}

static void raise_head(struct ov_txlog *log)
{
    struct ov_log_point point = {log->state.number, log->state.hash};
    struct ov_error problem;
    if (txlog_store_head(log->backend, log->keyring, &point, &problem) < 0)
        ov_report_warn(log->options.report, NULL, &problem);
}

static enum ov_status fill_in(struct ov_log_entry *entry, const char *command, struct ov_error *err)
{
    struct ov_identity who;
    ov_identity_get(&who);
    entry->time = (int64_t)time(NULL);
    OV_TRY(ov_text_copy(who.user, &entry->user, err));
    OV_TRY(ov_text_copy(who.host, &entry->host, err));
    OV_TRY(ov_text_copy(OV_PROGRAM, &entry->program, err));
    return ov_text_copy(command, &entry->command, err);
}

/* Rule 4a of docs/format/log.md: uploads that were condemned as orphans are lost. */
static enum ov_status check_uploads(const struct ov_txlog *log, uint64_t base,
                                    const struct ov_log_entry *entry, struct ov_error *err)
{
    if (entry->added.count && base < log->complete_since)
        return ov_fail(err, OV_ERR_CONFLICT,
                       "the log was compacted meanwhile; the uploads must be made again");
    for (size_t g = 0; g < log->gone_count; g++) {
        if (log->gone[g].entry <= base)
            continue;
        for (size_t i = 0; i < entry->added.count; i++) {
            if (ov_id_equal(&log->gone[g].name, &entry->added.items[i].name))
                return ov_fail(err, OV_ERR_CONFLICT,
                               "a prune took an upload for garbage; it must be made again");
        }
    }
    return OV_OK;
}

/* Whether the entry with this number is the one of this transaction. */
static enum ov_status is_own(struct ov_txlog *log, const struct ov_log_entry *entry, bool *own,
                             struct ov_error *err)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry found = {0};
    struct ov_id hash;
    bool is_marker;
    OV_TRY(ov_log_file_read(log->backend, log->keyring, entry->number, &found, &hash, &is_marker,
                            err));
    *own = !is_marker && memcmp(found.transaction, entry->transaction, OV_TRANSACTION_SIZE) == 0;
    return OV_OK;
}

/*
 * Creates the file of the entry. EXISTS: another writer has the number.
 * Rule 6: after an unclear answer the same bytes are offered again until it is clear.
 */
static enum ov_status create_entry(struct ov_txlog *log, const struct ov_log_entry *entry,
                                   struct ov_bytes file, struct ov_error *err)
{
    struct ov_backend *backend = log->backend;
    struct ov_path path = ov_path_of_number(OV_DIR_LOG, entry->number);
    enum ov_status status = OV_ERR_UNKNOWN;
    bool was_unclear = false;
    for (int i = 0; i < CREATE_TRIES && status == OV_ERR_UNKNOWN; i++) {
        status = backend->ops->create(backend, path.text, file, err);
        was_unclear |= status == OV_ERR_UNKNOWN;
        if (status == OV_ERR_EXISTS && was_unclear) {
            bool own = false;
            struct ov_error unreadable;
            if (is_own(log, entry, &own, &unreadable) < 0 ||
                (own && backend->ops->sync(backend, path.text, &unreadable) < 0))
                status = OV_ERR_UNKNOWN;
            else if (own)
                status = OV_OK;
        }
    }
    if (status == OV_ERR_EXISTS || status == OV_OK)
        return status;
    if (was_unclear)
        return ov_fail(
            err, OV_ERR_UNKNOWN,
            "cannot tell whether entry %llu was written to the log; look with 'ociv2 log'",
            (unsigned long long)entry->number);
    return status;
}

/* One attempt. EXISTS: lost the race for this number. */
static enum ov_status try_commit(struct ov_txlog *log, uint64_t base, const char *command,
                                 ov_plan_fn *plan, void *context,
                                 const uint8_t transaction[OV_TRANSACTION_SIZE],
                                 struct ov_error *err)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id hash;
    uint64_t before = log->state.number;
    enum ov_status status = plan(context, &log->state, &entry, err);
    if (status >= 0 && log->state.number != before) /* it had to read on: it plans again */
        return ov_fail(err, OV_ERR_EXISTS, "entries were read while planning");
    if (status != OV_OK)
        return status;
    OV_TRY(fill_in(&entry, command, err));
    memcpy(entry.transaction, transaction, OV_TRANSACTION_SIZE);
    entry.number = log->state.number + 1;
    entry.previous = log->state.hash;
    ov_log_entry_sort(&entry);
    OV_TRY(check_uploads(log, base, &entry, err));
    OV_TRY(ov_state_check(&log->state, &entry, err));
    OV_TRY(ov_log_file_encode(&entry, log->keyring, &file, &hash, err));
    OV_TRY(ov_txlog_settle(log, err));
    OV_TRY(create_entry(log, &entry, ov_buf_view(&file), err));
    log->durable = entry.number;
    if (ov_state_apply(&log->state, &entry, &hash, err) < 0) /* for want of memory: it is valid */
        return ov_fail(err, OV_ERR_UNKNOWN,
                       "entry %llu was written to the log, but there is no memory to go on",
                       (unsigned long long)entry.number);
    return OV_OK;
}

enum ov_status ov_txlog_commit(struct ov_txlog *log, uint64_t base, const char *command,
                               ov_plan_fn *plan, void *context, struct ov_error *err)
{
    uint8_t transaction[OV_TRANSACTION_SIZE];
    ov_random(transaction, sizeof(transaction));
    for (;;) {
        enum ov_status status = try_commit(log, base, command, plan, context, transaction, err);
        if (status == OV_OK)
            break;
        if (status != OV_ERR_EXISTS)
            return status;
        OV_TRY(ov_txlog_refresh(log, err));
    }
    raise_head(log);
    maybe_write_checkpoint(log);
    ov_log_memory_save(log->memory_directory, &log->config.repository, &log->state,
                       log->options.report);
    return OV_OK;
}

enum ov_status txlog_make_first(const struct ov_config *config, const struct ov_keyring *keyring,
                                const char *command, struct ov_buf *file, struct ov_id *hash,
                                struct ov_error *err)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {.config = config->trailer};
    OV_TRY(fill_in(&entry, command, err));
    ov_random(entry.transaction, sizeof(entry.transaction));
    return ov_log_file_encode(&entry, keyring, file, hash, err);
}

enum ov_status ov_txlog_create(struct ov_backend *backend, const struct ov_config *config,
                               const struct ov_keyring *keyring, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_path path = ov_path_of_number(OV_DIR_LOG, 0);
    struct ov_log_point point = {0};
    OV_TRY(txlog_make_first(config, keyring, "init", &file, &point.hash, err));
    OV_TRY(backend->ops->create(backend, path.text, ov_buf_view(&file), err));
    OV_TRY(txlog_store_head(backend, keyring, &point, err));
    /* Once config is there, the rest must be. */
    return backend->ops->sync(backend, OV_PATH_HEAD, err);
}

/* ---- Looking back ---- */

enum ov_status ov_txlog_read(const struct ov_txlog *log, uint64_t number, struct ov_log_entry *out,
                             struct ov_error *err)
{
    struct ov_id hash;
    bool is_marker;
    OV_TRY(ov_log_file_read(log->backend, log->keyring, number, out, &hash, &is_marker, err));
    if (is_marker)
        return ov_fail(err, OV_ERR_UNSUPPORTED, "entry %llu was compacted away",
                       (unsigned long long)number);
    return OV_OK;
}

/* The newest checkpoint up to `number`, if there is any. */
static enum ov_status checkpoint_before(const struct ov_txlog *log, uint64_t number,
                                        struct ov_state *state, bool *found, struct ov_error *err)
{
    OV_AUTO(txlog_numbers_release) struct txlog_numbers numbers = {0};
    struct ov_error problem;
    *found = false;
    OV_TRY(txlog_list_checkpoints(log->backend, &numbers, err));
    for (size_t i = 0; i < numbers.count && !*found; i++) {
        if (numbers.items[i] > number)
            continue;
        enum ov_status status = txlog_read_checkpoint(log, numbers.items[i], state, &problem);
        if (status == OV_ERR_NO_MEMORY)
            return ov_fail_no_memory(err);
        *found = status >= 0;
    }
    return OV_OK;
}

enum ov_status ov_txlog_state_at(const struct ov_txlog *log, uint64_t number, struct ov_state *out,
                                 struct ov_error *err)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    bool is_begun;
    if (number > log->state.number)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no entry %llu: the log ends at %llu",
                       (unsigned long long)number, (unsigned long long)log->state.number);
    OV_TRY(checkpoint_before(log, number, &state, &is_begun, err));
    for (uint64_t next = is_begun ? state.number + 1 : 0; next <= number; next++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        struct ov_id hash;
        bool is_marker;
        OV_TRY(ov_log_file_read(log->backend, log->keyring, next, &entry, &hash, &is_marker, err));
        if (is_marker)
            return ov_fail(err, OV_ERR_UNSUPPORTED,
                           "what there was at entry %llu cannot be told: entry %llu was compacted "
                           "away",
                           (unsigned long long)number, (unsigned long long)next);
        OV_TRY(txlog_apply_entry(&log->config, &state, !is_begun, &entry, &hash, err));
        is_begun = true;
    }
    *out = state;
    state = (struct ov_state){0};
    return OV_OK;
}
