#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/image.h"
#include "cmd/node_output.h"
#include "cmd/output.h"
#include "engine/base/map.h"

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

/* ---- Where to search ---- */

#define NONE SIZE_MAX

/* A snapshot to search. Those with the same tree make a chain; the first of it is walked. */
struct place {
    struct ov_snapshot_record record;
    struct ov_buf title; /* its tags, or the name it was made as */
    json_t *tags;        /* with --json */
    size_t next, last;   /* of the chain, or NONE; last: of the first one only */
    bool is_first;
    /* Of the first one, when there are others: what was found, as it is printed for each. */
    char *text;
    size_t text_len;
};

struct places {
    struct place *items;
    size_t count;
    struct ov_map snapshots, trees; /* places by id; the first one of each tree */
};

static void places_release(struct places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        struct place *place = &places->items[i];
        ov_snapshot_record_release(&place->record);
        ov_buf_release(&place->title);
        json_decref(place->tags);
        free(place->text);
    }
    free(places->items);
    ov_map_release(&places->snapshots);
    ov_map_release(&places->trees);
}

static struct ov_map_key id_key(const struct ov_id *id)
{
    return (struct ov_map_key){ov_load64(id->bytes), ov_load64(id->bytes + 8)};
}

static enum ov_status add_to_chain(struct places *places, size_t position, struct ov_error *err)
{
    struct place *place = &places->items[position];
    struct ov_map_key key = id_key(&place->record.tree);
    uint64_t first;
    place->next = NONE;
    place->last = position;
    place->is_first = !ov_map_get(&places->trees, key, &first);
    if (place->is_first)
        return ov_map_put(&places->trees, key, position, err);
    struct place *head = &places->items[first];
    places->items[head->last].next = position;
    head->last = position;
    return OV_OK;
}

/* Copies, for the state may change while objects are read. A snapshot is listed once. */
static enum ov_status add_place(struct places *places, const struct ov_state *state,
                                const struct ov_snapshot_record *record, struct ov_error *err)
{
    struct ov_map_key key = id_key(&record->id);
    size_t position = places->count;
    uint64_t ignored;
    if (ov_map_get(&places->snapshots, key, &ignored))
        return OV_OK;
    struct place *place = &places->items[position];
    OV_TRY(ov_snapshot_record_copy(record, &place->record, err));
    places->count++;
    OV_TRY(ov_map_put(&places->snapshots, key, position, err));
    OV_TRY(add_to_chain(places, position, err));
    if (ov_globals.is_json && !(place->tags = ov_json_tags(state, &record->id)))
        return ov_fail_no_memory(err);
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

/* ---- Printing ---- */

struct search {
    struct ov_session *session;
    const char *pattern;
    struct ov_objects *objects;
    struct places places;
    FILE *kept; /* takes what is found for the other places with this tree, or NULL */
    uint64_t found;
};

static void search_release(struct search *search)
{
    ov_objects_close(search->objects);
    places_release(&search->places);
}

static void print_heading(const struct place *place, bool is_first)
{
    printf("%s%s", is_first ? "" : "\n", ov_style(stdout, OV_STYLE_BOLD));
    ov_print_text(place->title.len ? (const char *)place->title.data : NULL);
    printf(" (%s)%s\n", ov_id_short(&place->record.id).text, ov_style(stdout, OV_STYLE_RESET));
}

static enum ov_status print_json(const struct place *place, const struct ov_walk_event *event,
                                 struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "match");
    ov_json_id(&json, "snapshot_id", &place->record.id);
    ov_json_value(&json, "tags", json_incref(place->tags));
    ov_json_node(&json, event->path, &event->node, event->leader);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status print_match(const struct search *search, const struct place *place,
                                  const struct ov_walk_event *event, struct ov_error *err)
{
    const struct place *places = search->places.items;
    if (!ov_globals.is_json) {
        ov_print_node(stdout, event->path, &event->node, event->leader, args.is_long);
        if (search->kept)
            ov_print_node(search->kept, event->path, &event->node, event->leader, args.is_long);
        return ov_output_check(err);
    }
    OV_TRY(print_json(place, event, err));
    for (size_t i = place->next; i != NONE; i = places[i].next)
        OV_TRY(print_json(&places[i], event, err));
    return OV_OK;
}

/* ---- Searching ---- */

static enum ov_status walk(struct search *search, const struct place *place, struct ov_error *err)
{
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    struct ov_walk_event event;
    uint64_t before = search->found;
    enum ov_status status;
    OV_TRY(ov_tree_load(search->objects, &place->record.tree, &tree, err));
    OV_TRY(ov_walker_open(&tree, (struct ov_bytes){0}, &walker, err));
    while ((status = ov_walker_next(walker, &event, err)) == OV_OK) {
        OV_TRY(ov_report_poll(&search->session->report, err));
        if (event.kind == OV_WALK_LEAVE || event.path.len == 0 ||
            !matches(search->pattern, event.path))
            continue;
        ov_session_end_progress(search->session);
        if (!ov_globals.is_json && search->found == before)
            print_heading(place, before == 0);
        search->found++;
        OV_TRY(print_match(search, place, &event, err));
    }
    return status == OV_END ? OV_OK : status;
}

/* What was found in the same tree before. */
static enum ov_status print_again(struct search *search, const struct place *place,
                                  struct ov_error *err)
{
    uint64_t first = 0;
    (void)ov_map_get(&search->places.trees, id_key(&place->record.tree), &first);
    const struct place *head = &search->places.items[first];
    if (!head->text_len)
        return OV_OK;
    print_heading(place, false);
    fwrite(head->text, 1, head->text_len, stdout);
    return ov_output_check(err);
}

static enum ov_status search_place(struct search *search, struct place *place, struct ov_error *err)
{
    bool is_shared = place->next != NONE && !ov_globals.is_json;
    if (!place->is_first)
        return print_again(search, place, err);
    search->kept = is_shared ? open_memstream(&place->text, &place->text_len) : NULL;
    if (is_shared && !search->kept)
        return ov_fail_no_memory(err);
    enum ov_status status = walk(search, place, err);
    bool is_lost = search->kept && ferror(search->kept);
    if (search->kept && fclose(search->kept))
        is_lost = true;
    OV_TRY(status);
    return is_lost ? ov_fail_no_memory(err) : OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(search_release) struct search search = {.session = session, .pattern = argv[0]};
    OV_AUTO(ov_patterns_release) struct ov_patterns syntax = {0};
    uint64_t images = (uint64_t)argc - 1;
    if (!argv[0][strspn(argv[0], "/")])
        return ov_session_usage(session, err, "an empty pattern finds nothing");
    OV_TRY(ov_session_argument(session, ov_patterns_add(&syntax, argv[0], err)));
    OV_TRY(ov_session_open(session, err));
    OV_TRY(find_places(session, argc - 1, argv + 1, &search.places, err));
    OV_TRY(ov_objects_open(session->repo, OV_TREE_CACHE, &search.objects, err));
    for (size_t i = 0; i < search.places.count; i++)
        OV_TRY(search_place(&search, &search.places.items[i], err));
    if (!search.found && images)
        ov_session_say(session, "nothing matches in %s %s", ov_text_of_count(images).text,
                       ov_plural(images, "image", "images"));
    else if (!search.found)
        ov_session_say(session, "nothing matches in %s %s",
                       ov_text_of_count(search.places.count).text,
                       ov_plural(search.places.count, "snapshot", "snapshots"));
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
        "is matched from the root, any other from any directory.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
