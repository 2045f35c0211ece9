#include "cmd/commands.h"
#include "cmd/image.h"
#include "cmd/node_output.h"
#include "cmd/output.h"
#include "repo/diff.h"

static struct {
    struct ov_strings ignored;
} args;

#define CONTENT_BITS (OV_DIFFERS_CONTENT | OV_DIFFERS_SIZE | OV_DIFFERS_TARGET | OV_DIFFERS_DEVICE)

struct comparison {
    struct ov_session *session;
    unsigned ignored;
    struct ov_diff_totals totals; /* without what is ignored */
};

/* As in restic: + - T(ype) M(odified) U(pdated metadata). */
static char letter_of(const struct ov_difference *difference, unsigned bits)
{
    if (!difference->a)
        return '+';
    if (!difference->b)
        return '-';
    return bits & OV_DIFFERS_KIND ? 'T' : bits & CONTENT_BITS ? 'M' : 'U';
}

static void count(struct comparison *comparison, const struct ov_difference *difference,
                  unsigned bits)
{
    struct ov_diff_totals *totals = &comparison->totals;
    if (!difference->a) {
        totals->added++;
        totals->added_bytes += difference->b->size;
    } else if (!difference->b) {
        totals->removed++;
        totals->removed_bytes += difference->a->size;
    } else {
        totals->changed++;
        if (bits & (OV_DIFFERS_CONTENT | OV_DIFFERS_KIND))
            totals->changed_bytes += difference->b->size;
    }
}

static void print_line(const struct ov_difference *difference, char letter, unsigned bits)
{
    enum ov_style style = letter == '+'   ? OV_STYLE_GREEN
                          : letter == '-' ? OV_STYLE_RED
                                          : OV_STYLE_YELLOW;
    const struct ov_node *node = difference->b ? difference->b : difference->a;
    const char *separator = "  ";
    printf("%s%c%s    /", ov_style(stdout, style), letter, ov_style(stdout, OV_STYLE_RESET));
    ov_print_name(stdout, difference->path);
    if (node->kind == OV_NODE_DIRECTORY && difference->path.len)
        putchar('/');
    for (unsigned i = 0; i < OV_DIFFERENCE_BITS; i++) {
        unsigned bit = 1U << i;
        if (!(bits & bit))
            continue;
        printf("%s%s", separator, ov_difference_name(bit));
        separator = ", ";
        if (bit == OV_DIFFERS_MODE)
            printf(" %04o -> %04o", difference->a->mode, difference->b->mode);
        if (bit == OV_DIFFERS_OWNER)
            printf(" %u:%u -> %u:%u", difference->a->uid, difference->a->gid, difference->b->uid,
                   difference->b->gid);
    }
    putchar('\n');
}

static void add_side(struct ov_json *json, const char *key, const struct ov_node *node,
                     struct ov_bytes path)
{
    struct ov_json side;
    if (!node)
        return;
    ov_json_init(&side, NULL);
    ov_json_node(&side, path, node, (struct ov_bytes){0});
    if (!side.has_failed)
        json_object_del(side.object, "path");
    ov_json_value(json, key, side.has_failed ? NULL : json_incref(side.object));
    ov_json_release(&side);
}

static enum ov_status print_json(const struct ov_difference *difference, char letter, unsigned bits,
                                 struct ov_error *err)
{
    const char modifier[] = {letter, 0};
    struct ov_json json;
    json_t *list = json_array();
    for (unsigned i = 0; list && i < OV_DIFFERENCE_BITS; i++) {
        if (!(bits & 1U << i))
            continue;
        if (json_array_append_new(list, json_string(ov_difference_name(1U << i)))) {
            json_decref(list);
            list = NULL;
        }
    }
    ov_json_init(&json, "difference");
    ov_json_name(&json, "path", difference->path);
    ov_json_text(&json, "modifier", modifier);
    ov_json_value(&json, "differs", list);
    add_side(&json, "a", difference->a, difference->path);
    add_side(&json, "b", difference->b, difference->path);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status on_difference(void *context, const struct ov_difference *difference,
                                    struct ov_error *err)
{
    struct comparison *comparison = context;
    bool is_in_both = difference->a && difference->b;
    unsigned bits = is_in_both ? difference->bits & ~comparison->ignored : 0;
    OV_TRY(ov_report_poll(&comparison->session->report, err));
    if (is_in_both && !bits)
        return OV_OK;
    char letter = letter_of(difference, bits);
    count(comparison, difference, bits);
    ov_session_end_progress(comparison->session);
    if (ov_globals.is_json)
        return print_json(difference, letter, bits, err);
    print_line(difference, letter, bits);
    return ov_output_check(err);
}

static enum ov_status print_totals(const struct comparison *comparison, const struct ov_id *a,
                                   const struct ov_id *b, struct ov_error *err)
{
    const struct ov_diff_totals *totals = &comparison->totals;
    const struct ov_session *session = comparison->session;
    if (ov_globals.is_json) {
        struct ov_json json;
        ov_json_init(&json, "summary");
        ov_json_id(&json, "snapshot_a", a);
        ov_json_id(&json, "snapshot_b", b);
        ov_json_number(&json, "added", totals->added);
        ov_json_number(&json, "added_bytes", totals->added_bytes);
        ov_json_number(&json, "removed", totals->removed);
        ov_json_number(&json, "removed_bytes", totals->removed_bytes);
        ov_json_number(&json, "changed", totals->changed);
        ov_json_number(&json, "changed_bytes", totals->changed_bytes);
        return ov_json_print(&json, stdout, err);
    }
    if (!totals->added && !totals->removed && !totals->changed) {
        ov_session_say(session, "no differences");
        return OV_OK;
    }
    ov_session_say(session, "\nadded   %s, %s", ov_text_of_count(totals->added).text,
                   ov_text_of_size(totals->added_bytes).text);
    ov_session_say(session, "removed %s, %s", ov_text_of_count(totals->removed).text,
                   ov_text_of_size(totals->removed_bytes).text);
    ov_session_say(session, "changed %s, new contents %s", ov_text_of_count(totals->changed).text,
                   ov_text_of_size(totals->changed_bytes).text);
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_tree_release) struct ov_tree a = {0};
    OV_AUTO(ov_tree_release) struct ov_tree b = {0};
    struct comparison comparison = {.session = session};
    struct ov_id ids[2], trees[2];
    struct ov_diff_totals all;
    (void)argc;
    OV_TRY(ov_ignore_arguments(session, &args.ignored, &comparison.ignored, err));
    OV_TRY(ov_session_open(session, err));
    for (size_t i = 0; i < OV_ARRAY_LEN(ids); i++) {
        const struct ov_snapshot_record *snapshot;
        OV_TRY(ov_image_argument(session, argv[i], &snapshot, NULL, err));
        ids[i] = snapshot->id;
        trees[i] = snapshot->tree;
    }
    OV_TRY(ov_objects_open(session->repo, OV_TREE_CACHE, &objects, err));
    OV_TRY(ov_tree_load(objects, &trees[0], &a, err));
    OV_TRY(ov_tree_load(objects, &trees[1], &b, err));
    OV_TRY(ov_diff(&a, &b, on_difference, &comparison, &all, err));
    return print_totals(&comparison, &ids[0], &ids[1], err);
}

static const struct ov_option options_table[] = {
    OV_REPEATED_OF(
        0, "ignore", "WHAT", &args.ignored, ov_difference_names,
        "let differences of this kind not count: kind, content, size, mode, owner, mtime, "
        "xattrs, target, device or links; may be repeated"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "what did the update change?",
    "ociv2 diff debian:12.0 debian:12.1",
    "the same, whatever the times say",
    "ociv2 diff --ignore mtime debian:12.0 debian:12.1",
    NULL,
};

const struct ov_command ov_command_diff = {
    .name = "diff",
    .group = "Images",
    .summary = "Compare two images",
    .arguments = "A B",
    .min_arguments = 2,
    .max_arguments = 2,
    .description =
        "Lists how image B differs from image A: + only in B, - only in A, M other contents, T "
        "another kind of file, U only other metadata. Directories that are the same are not read, "
        "and neither is any file.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
