#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/image.h"
#include "cmd/node_output.h"
#include "cmd/output.h"

#include <stdlib.h>
#include <string.h>

static struct {
    bool is_long;
} args;

/* ---- Matching ---- */

/* The first component of *rest, which moves behind it. */
static struct ov_bytes take_component(struct ov_bytes *rest)
{
    const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
    struct ov_bytes component = {rest->data, slash ? (size_t)(slash - rest->data) : rest->len};
    size_t step = component.len + (slash != NULL);
    rest->data += step;
    rest->len -= step;
    return component;
}

/*
 * Whether the pattern's components match all of the path's. A "**" that fails takes in one
 * component more; going back to the last one is enough, as with '*' in a name.
 */
static bool matches_from(struct ov_bytes pattern, struct ov_bytes path)
{
    static const struct ov_bytes any = {(const uint8_t *)"**", 2};
    struct ov_bytes retry_pattern = {0}, retry_path = {0};
    bool can_retry = false;
    while (pattern.len || path.len) {
        struct ov_bytes rest = pattern;
        struct ov_bytes component = take_component(&rest);
        if (pattern.len && ov_bytes_equal(component, any)) {
            pattern = retry_pattern = rest;
            retry_path = path;
            can_retry = true;
            continue;
        }
        struct ov_bytes path_rest = path;
        struct ov_bytes name = take_component(&path_rest);
        if (pattern.len && path.len && ov_glob_match(component, name)) {
            pattern = rest;
            path = path_rest;
            continue;
        }
        if (!can_retry || !retry_path.len)
            return false;
        (void)take_component(&retry_path);
        pattern = retry_pattern;
        path = retry_path;
    }
    return true;
}

/* A pattern that begins with '/' is anchored at the root; any other may begin at any component. */
static bool matches(const char *text, struct ov_bytes path)
{
    bool is_anchored = *text == '/';
    struct ov_bytes pattern = ov_bytes_of_string(text + strspn(text, "/"));
    while (pattern.len && pattern.data[pattern.len - 1] == '/')
        pattern.len--;
    if (is_anchored)
        return matches_from(pattern, path);
    while (path.len) {
        if (matches_from(pattern, path))
            return true;
        (void)take_component(&path);
    }
    return false;
}

/* ---- Searching ---- */

/* A tree to search, and one of the snapshots that have it. */
struct place {
    struct ov_snapshot_record record;
    struct ov_buf title; /* how the image was named, or its tags */
};

struct places {
    struct place *items;
    size_t count;
};

static void places_release(struct places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        ov_snapshot_record_release(&places->items[i].record);
        ov_buf_release(&places->items[i].title);
    }
    free(places->items);
}

/* Copies, for the state may change while objects are read. A tree is searched once. */
static enum ov_status add_place(struct places *places, const struct ov_state *state,
                                const struct ov_snapshot_record *record, struct ov_error *err)
{
    for (size_t i = 0; i < places->count; i++) {
        if (ov_id_equal(&places->items[i].record.tree, &record->tree))
            return OV_OK;
    }
    struct place *place = &places->items[places->count];
    OV_TRY(ov_snapshot_record_copy(record, &place->record, err));
    places->count++;
    OV_TRY(ov_tags_text(state, &record->id, &place->title, err));
    if (place->title.len || !record->name)
        return OV_OK;
    return ov_buf_append(&place->title, record->name, strlen(record->name) + 1, err);
}

static void list_free(const struct ov_snapshot_record ***list)
{
    free(*list);
}

static enum ov_status find_places(struct ov_session *session, int argc, char **argv,
                                  struct places *places, struct ov_error *err)
{
    static const struct ov_filter_arguments all;
    OV_AUTO(list_free) const struct ov_snapshot_record **list = NULL;
    const struct ov_state *state = ov_repo_state(session->repo);
    size_t count = 0;
    if (argc == 0)
        OV_TRY(ov_filter_list(&all, state, &list, &count, err));
    places->items = calloc(count + (size_t)argc + 1, sizeof(*places->items));
    if (!places->items)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < count; i++)
        OV_TRY(add_place(places, state, list[i], err));
    for (int i = 0; i < argc; i++) {
        const struct ov_snapshot_record *record;
        OV_TRY(ov_image_argument(session, argv[i], &record, NULL, err));
        OV_TRY(add_place(places, state, record, err));
    }
    return OV_OK;
}

static void print_heading(const struct place *place, bool is_first)
{
    printf("%s%s", is_first ? "" : "\n", ov_style(stdout, OV_STYLE_BOLD));
    ov_print_text(place->title.len ? (const char *)place->title.data : NULL);
    printf(" (%s)%s\n", ov_id_short(&place->record.id).text, ov_style(stdout, OV_STYLE_RESET));
}

static enum ov_status search(struct ov_session *session, struct ov_objects *objects,
                             const char *pattern, const struct place *place, uint64_t *found,
                             struct ov_error *err)
{
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    struct ov_walk_event event;
    uint64_t before = *found;
    enum ov_status status;
    OV_TRY(ov_tree_load(objects, &place->record.tree, &tree, err));
    OV_TRY(ov_walker_open(&tree, (struct ov_bytes){0}, &walker, err));
    while ((status = ov_walker_next(walker, &event, err)) == OV_OK) {
        OV_TRY(ov_report_poll(&session->report, err));
        if (event.kind == OV_WALK_LEAVE || event.path.len == 0 || !matches(pattern, event.path))
            continue;
        ov_session_end_progress(session);
        if (!ov_globals.is_json && *found == before)
            print_heading(place, before == 0);
        (*found)++;
        OV_TRY(ov_show_node("match", &place->record, &event, args.is_long, err));
    }
    return status == OV_END ? OV_OK : status;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(places_release) struct places places = {0};
    OV_AUTO(ov_patterns_release) struct ov_patterns syntax = {0};
    uint64_t found = 0;
    if (!argv[0][strspn(argv[0], "/")])
        return ov_session_usage(session, err, "an empty pattern finds nothing");
    OV_TRY(ov_session_argument(session, ov_patterns_add(&syntax, argv[0], err)));
    OV_TRY(ov_session_open(session, err));
    OV_TRY(find_places(session, argc - 1, argv + 1, &places, err));
    OV_TRY(ov_objects_open(session->repo, OV_TREE_CACHE, &objects, err));
    for (size_t i = 0; i < places.count; i++)
        OV_TRY(search(session, objects, argv[0], &places.items[i], &found, err));
    if (!found)
        ov_session_say(session, "nothing matches in %s %s", ov_text_of_count(places.count).text,
                       ov_plural(places.count, "tree", "trees"));
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_FLAG('l', "long", &args.is_long, "show mode, owner, size and time, too"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "which snapshots have an OpenSSL library, and where?",
    "ociv2 find 'libssl.so*'",
    "all Python modules of two images",
    "ociv2 find '/usr/lib/python3*/**/*.py' app:1.0 app:1.1",
    NULL,
};

const struct ov_command ov_command_find_files = {
    .name = "find",
    .group = "Images",
    .summary = "Find files in images by their names",
    .arguments = "PATTERN [IMAGE...]",
    .min_arguments = 1,
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Lists what matches PATTERN in the images, or in all snapshots. *, ? and [] stand for "
        "characters within a name, ** for any number of directories. A pattern that begins with / "
        "is matched from the root, any other from any directory. A tree that several snapshots "
        "share is searched once.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
