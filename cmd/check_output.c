#include "cmd/check_output.h"

#include "cmd/json.h"
#include "cmd/output.h"

#include <string.h>

#define SHOWN_MAX 20 /* paths of one image */

/* ---- Damage ---- */

/* The name that people know it by: its tag, or what it was made as. */
static const char *name_of(const struct ov_session *session,
                           const struct ov_snapshot_record *record)
{
    const struct ov_state *state = ov_repo_state(session->repo);
    const char *found = NULL;
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        if (!ov_id_equal(&tag->snapshot, &record->id))
            continue;
        if (!found || (record->name && strcmp(record->name, tag->name) == 0))
            found = tag->name;
    }
    return found ? found : record->name;
}

static json_t *tags_of(const struct ov_session *session, const struct ov_snapshot_record *record)
{
    const struct ov_state *state = ov_repo_state(session->repo);
    json_t *tags = json_array();
    for (size_t i = 0; tags && i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        if (ov_id_equal(&tag->snapshot, &record->id) &&
            json_array_append_new(tags, ov_json_string(ov_bytes_of_string(tag->name)))) {
            json_decref(tags);
            tags = NULL;
        }
    }
    return tags;
}

static enum ov_status print_json_damage(const struct ov_session *session,
                                        const struct ov_check_damage *damage, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "damaged");
    ov_json_id(&json, "snapshot_id", &damage->record->id);
    ov_json_text(&json, "image", name_of(session, damage->record));
    ov_json_value(&json, "tags", tags_of(session, damage->record));
    if (damage->path)
        ov_json_name(&json, "path", ov_bytes_of_string(damage->path));
    if (damage->pack)
        ov_json_id(&json, "pack", damage->pack);
    ov_json_text(&json, "message", damage->problem->message);
    return ov_json_print(&json, stdout, err);
}

static void print_rest(const struct ov_check_listing *listing)
{
    if (!ov_globals.is_json && listing->count > SHOWN_MAX)
        fprintf(stderr, "  and %s more\n", ov_text_of_count(listing->count - SHOWN_MAX).text);
}

static void print_damage(const struct ov_check_listing *listing,
                         const struct ov_check_damage *damage)
{
    const char *name = name_of(listing->session, damage->record);
    if (listing->count == 1) {
        fprintf(stderr, "%sdamaged:%s ", ov_style(stderr, OV_STYLE_RED),
                ov_style(stderr, OV_STYLE_RESET));
        if (name) {
            ov_print_name(stderr, ov_bytes_of_string(name));
            fputs(", ", stderr);
        }
        fprintf(stderr, "snapshot %s\n", ov_id_short(&damage->record->id).text);
    }
    if (listing->count > SHOWN_MAX)
        return;
    fputs("  ", stderr);
    if (damage->path) {
        ov_print_name(stderr, ov_bytes_of_string(*damage->path ? damage->path : "."));
        fputs(": ", stderr);
    }
    ov_print_name(stderr, ov_bytes_of_string(damage->problem->message));
    fputc('\n', stderr);
}

void ov_check_list_damage(void *context, const struct ov_check_damage *damage)
{
    struct ov_check_listing *listing = context;
    ov_session_end_progress(listing->session);
    if (listing->count && !ov_id_equal(&listing->snapshot, &damage->record->id)) {
        print_rest(listing);
        listing->count = 0;
    }
    listing->snapshot = damage->record->id;
    listing->count++;
    if (!ov_globals.is_json)
        print_damage(listing, damage);
    else if (listing->status >= 0)
        listing->status = print_json_damage(listing->session, damage, &listing->problem);
}

enum ov_status ov_check_end_listing(struct ov_check_listing *listing, struct ov_error *err)
{
    print_rest(listing);
    if (listing->status < 0)
        *err = listing->problem;
    return listing->status;
}

/* ---- What to do next ---- */

/* Commands, and what they are good for. */
static const struct {
    const char *command, *purpose;
} cures[] = {
    {"repair log", "makes the log again from the packs"},
    {"repair index", "makes the index again from the packs"},
    {"repair packs", "saves what is whole in damaged packs"},
    {"repair --from SOURCE", "heals what is lost from any place that has it"},
    {"repair snapshots", "gives up what is lost and keeps the rest"},
};

static bool helps(size_t cure, const uint64_t faults_in[OV_CHECK_PLACES], uint64_t damages)
{
    static const enum ov_check_place places[] = {OV_CHECK_LOG, OV_CHECK_INDEX, OV_CHECK_PACK};
    return cure < OV_ARRAY_LEN(places) ? faults_in[places[cure]] > 0 : damages > 0;
}

static json_t *advice_of(const uint64_t faults_in[OV_CHECK_PLACES], uint64_t damages)
{
    json_t *advice = json_array();
    for (size_t i = 0; advice && i < OV_ARRAY_LEN(cures); i++) {
        if (helps(i, faults_in, damages) &&
            json_array_append_new(advice, json_string(cures[i].command))) {
            json_decref(advice);
            advice = NULL;
        }
    }
    return advice;
}

static void print_advice(const struct ov_session *session,
                         const uint64_t faults_in[OV_CHECK_PLACES], uint64_t damages)
{
    bool is_first = true;
    for (size_t i = 0; i < OV_ARRAY_LEN(cures); i++) {
        if (!helps(i, faults_in, damages))
            continue;
        if (is_first)
            ov_session_say(session, "what to do next:");
        ov_session_say(session, "  ociv2 %-20s  %s", cures[i].command, cures[i].purpose);
        is_first = false;
    }
}

/* ---- Summaries ---- */

static enum ov_status print_json(const struct ov_check_result *result, uint64_t orphans_size,
                                 double seconds, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_number(&json, "faults", result->faults);
    ov_json_number(&json, "damaged_images", result->damaged_snapshots);
    ov_json_number(&json, "damaged_paths", result->damages);
    ov_json_number(&json, "snapshots", result->snapshots);
    ov_json_number(&json, "objects", result->objects);
    ov_json_number(&json, "chunks", result->chunks);
    ov_json_number(&json, "packs_read", result->packs_read);
    ov_json_number(&json, "bytes_read", result->bytes_read);
    ov_json_bool(&json, "is_cut_short", result->is_cut_short);
    ov_json_number(&json, "packs", result->packs);
    ov_json_number(&json, "packs_size", result->packs_size);
    if (result->has_memory) {
        ov_json_number(&json, "never_read", result->never_read);
        ov_json_number(&json, "never_read_size", result->never_read_size);
        if (result->oldest_read)
            ov_json_time(&json, "oldest_read", result->oldest_read, 0);
    }
    ov_json_number(&json, "orphans", result->orphans);
    ov_json_number(&json, "orphans_size", orphans_size);
    ov_json_number(&json, "unknown_files", result->unknown);
    ov_json_value(&json, "advice", advice_of(result->faults_in, result->damages));
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

/* What is remembered of when data was read. */
static void print_memory(const struct ov_session *session, const struct ov_check_result *result)
{
    if (!result->has_memory || result->packs == 0)
        return;
    if (result->never_read == 0)
        ov_session_say(session, "everything was read since %s",
                       ov_text_of_time(result->oldest_read).text);
    else if (result->oldest_read)
        ov_session_say(session, "never read yet: %s %s, %s of %s; the rest since %s",
                       ov_text_of_count(result->never_read).text,
                       ov_plural(result->never_read, "pack", "packs"),
                       ov_text_of_size(result->never_read_size).text,
                       ov_text_of_size(result->packs_size).text,
                       ov_text_of_time(result->oldest_read).text);
}

static void print_read(const struct ov_session *session, const struct ov_check_result *result,
                       bool reads_data)
{
    if (!reads_data) {
        ov_session_say(session, "the data itself was not read; --read-data does");
        return;
    }
    double share =
        result->packs_size ? 100.0 * (double)result->bytes_read / (double)result->packs_size : 100;
    ov_session_say(session, "read:    %s in %s of %s %s, %.1f%%%s",
                   ov_text_of_size(result->bytes_read).text,
                   ov_text_of_count(result->packs_read).text, ov_text_of_count(result->packs).text,
                   ov_plural(result->packs, "pack", "packs"), share,
                   result->is_cut_short ? ", until the time was over" : "");
    if (!result->has_memory)
        ov_session_say(session, "without a cache it is not remembered what was read");
}

static void print_left(const struct ov_session *session, const struct ov_check_result *result,
                       uint64_t orphans_size)
{
    if (result->orphans)
        ov_session_say(session, "%s unfinished %s, %s: harmless, left by interrupted work",
                       ov_text_of_count(result->orphans).text,
                       ov_plural(result->orphans, "file", "files"),
                       ov_text_of_size(orphans_size).text);
}

static void print_unknown(const struct ov_session *session, uint64_t unknown)
{
    if (unknown)
        ov_session_say(session, "%s %s not belong to the repository: ignored",
                       ov_text_of_count(unknown).text, ov_plural(unknown, "file does", "files do"));
}

/* The last line of what was found. */
static void print_verdict(const struct ov_session *session, uint64_t faults, uint64_t damages,
                          uint64_t images, double seconds)
{
    const char *style = ov_style(stdout, faults ? OV_STYLE_RED : OV_STYLE_GREEN);
    const char *reset = ov_style(stdout, OV_STYLE_RESET);
    char damaged[200] = "";
    if (damages)
        snprintf(damaged, sizeof(damaged), ", among them %s damaged %s in %s %s",
                 ov_text_of_count(damages).text, ov_plural(damages, "path", "paths"),
                 ov_text_of_count(images).text, ov_plural(images, "image", "images"));
    if (faults)
        ov_session_say(session, "%s%s %s found%s%s (%s)", style, ov_text_of_count(faults).text,
                       ov_plural(faults, "fault", "faults"), damaged, reset,
                       ov_text_of_duration(seconds).text);
    else
        ov_session_say(session, "%sno faults found%s (%s)", style, reset,
                       ov_text_of_duration(seconds).text);
}

enum ov_status ov_check_print(const struct ov_session *session,
                              const struct ov_check_result *result, uint64_t orphans_size,
                              bool reads_data, double seconds, struct ov_error *err)
{
    if (ov_globals.is_json)
        return print_json(result, orphans_size, seconds, err);
    ov_session_say(session, "checked: log, %s %s, %s %s, %s chunks",
                   ov_text_of_count(result->snapshots).text,
                   ov_plural(result->snapshots, "snapshot", "snapshots"),
                   ov_text_of_count(result->objects).text,
                   ov_plural(result->objects, "pack or segment", "packs and segments"),
                   ov_text_of_count(result->chunks).text);
    print_read(session, result, reads_data);
    print_memory(session, result);
    print_left(session, result, orphans_size);
    print_unknown(session, result->unknown);
    print_verdict(session, result->faults, result->damages, result->damaged_snapshots, seconds);
    print_advice(session, result->faults_in, result->damages);
    return OV_OK;
}

enum ov_status ov_check_print_scrub(const struct ov_session *session,
                                    const struct ov_scrub_result *result, double seconds,
                                    struct ov_error *err)
{
    if (ov_globals.is_json) {
        struct ov_json json;
        ov_json_init(&json, "summary");
        ov_json_number(&json, "faults", result->faults);
        ov_json_number(&json, "files", result->files);
        ov_json_number(&json, "bytes_read", result->bytes_read);
        ov_json_number(&json, "unknown_files", result->unknown);
        ov_json_value(&json, "advice", advice_of(result->faults_in, 0));
        ov_json_real(&json, "seconds", seconds);
        return ov_json_print(&json, stdout, err);
    }
    ov_session_say(session, "checked: %s %s, %s, each by itself; a key was not needed",
                   ov_text_of_count(result->files).text, ov_plural(result->files, "file", "files"),
                   ov_text_of_size(result->bytes_read).text);
    print_unknown(session, result->unknown);
    print_verdict(session, result->faults, 0, 0, seconds);
    if (result->faults)
        ov_session_say(session, "'ociv2 check', with a key, says what is lost by it");
    return OV_OK;
}
