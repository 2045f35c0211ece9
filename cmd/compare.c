#include "cmd/compare.h"

#include "cmd/json.h"
#include "cmd/node_output.h"
#include "cmd/output.h"

struct comparison {
    struct ov_session *session;
    bool ignores_extra;
    uint64_t differences;
};

/* What is known beyond the name of the difference: "mode 0644 -> 0600". */
static void print_detail(unsigned bit, const struct ov_node *a, const struct ov_node *b)
{
    switch (bit) {
    case OV_DIFFERS_KIND:
        printf(" %s -> %s", ov_node_kind_name(a->kind), ov_node_kind_name(b->kind));
        break;
    case OV_DIFFERS_SIZE:
        printf(" %llu -> %llu", (unsigned long long)a->size, (unsigned long long)b->size);
        break;
    case OV_DIFFERS_MODE:
        printf(" %04o -> %04o", a->mode, b->mode);
        break;
    case OV_DIFFERS_OWNER:
        printf(" %u:%u -> %u:%u", a->uid, a->gid, b->uid, b->gid);
        break;
    case OV_DIFFERS_MTIME:
        printf(" %s -> ", ov_text_of_time(a->mtime).text);
        printf("%s", ov_text_of_time(b->mtime).text);
        break;
    case OV_DIFFERS_TARGET:
        putchar(' ');
        ov_print_name(stdout, a->target);
        printf(" -> ");
        ov_print_name(stdout, b->target);
        break;
    case OV_DIFFERS_DEVICE:
        printf(" %u:%u -> %u:%u", a->major, a->minor, b->major, b->minor);
        break;
    default:
        break;
    }
}

static void print_line(const struct ov_difference *difference)
{
    ov_print_path(stdout, difference->path);
    if (!difference->b) {
        printf(": missing\n");
        return;
    }
    if (!difference->a) {
        printf(": not in the image\n");
        return;
    }
    const char *separator = ": ";
    for (unsigned i = 0; i < OV_DIFFERENCE_BITS; i++) {
        unsigned bit = 1U << i;
        if (!(difference->bits & bit))
            continue;
        printf("%s%s", separator, ov_difference_name(bit));
        print_detail(bit, difference->a, difference->b);
        separator = ", ";
    }
    putchar('\n');
}

static enum ov_status print_json_line(const struct ov_difference *difference, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "difference");
    ov_json_name(&json, "path", difference->path);
    ov_json_text(&json, "state", !difference->b ? "missing" : !difference->a ? "extra" : "changed");
    if (difference->a && difference->b) {
        json_t *list = json_array();
        for (unsigned i = 0; list && i < OV_DIFFERENCE_BITS; i++) {
            if ((difference->bits & 1U << i) &&
                json_array_append_new(list, json_string(ov_difference_name(1U << i)))) {
                json_decref(list);
                list = NULL;
            }
        }
        ov_json_value(&json, "differs", list);
    }
    return ov_json_print(&json, stdout, err);
}

static enum ov_status on_difference(void *context, const struct ov_difference *difference,
                                    struct ov_error *err)
{
    struct comparison *comparison = context;
    if (!difference->a && comparison->ignores_extra)
        return OV_OK;
    comparison->differences++;
    ov_session_end_progress(comparison->session);
    if (ov_globals.is_json)
        return print_json_line(difference, err);
    if (!ov_globals.is_quiet)
        print_line(difference);
    return ov_output_check(err);
}

static enum ov_status print_summary(const struct comparison *comparison,
                                    const struct ov_snapshot_record *snapshot,
                                    const struct ov_verify_result *result, double seconds,
                                    struct ov_error *err)
{
    if (!ov_globals.is_json) {
        if (comparison->differences)
            ov_session_say(comparison->session, "%s %s among %s paths, %s, in %s",
                           ov_text_of_count(comparison->differences).text,
                           ov_plural(comparison->differences, "difference", "differences"),
                           ov_text_of_count(result->objects).text,
                           ov_text_of_size(result->bytes).text, ov_text_of_duration(seconds).text);
        else
            ov_session_say(comparison->session, "verified: %s paths, %s, equal to snapshot %s (%s)",
                           ov_text_of_count(result->objects).text,
                           ov_text_of_size(result->bytes).text, ov_id_short(&snapshot->id).text,
                           ov_text_of_duration(seconds).text);
        return OV_OK;
    }
    struct ov_json json;
    ov_json_init(&json, "verify_summary");
    ov_json_id(&json, "snapshot_id", &snapshot->id);
    ov_json_id(&json, "tree_id", &snapshot->tree);
    ov_json_bool(&json, "same_tree", result->is_same_tree);
    ov_json_number(&json, "objects", result->objects);
    ov_json_number(&json, "bytes", result->bytes);
    ov_json_number(&json, "differences", comparison->differences);
    ov_json_number(&json, "errors", result->errors);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

enum ov_status ov_compare(struct ov_session *session, const struct ov_snapshot_record *snapshot,
                          const struct ov_verify_options *options, bool ignores_extra,
                          struct ov_error *err)
{
    struct comparison comparison = {.session = session, .ignores_extra = ignores_extra};
    struct ov_verify_options with = *options;
    struct ov_verify_result result = {0};
    const struct ov_id tree = snapshot->tree;
    double start = ov_clock();
    with.each = on_difference;
    with.each_context = &comparison;
    OV_TRY(ov_verify(session->repo, &tree, &with, &result, err));
    ov_session_end_progress(session);
    OV_TRY(print_summary(&comparison, snapshot, &result, ov_clock() - start, err));
    if (result.errors) {
        ov_session_note(session, "%s %s could not be read", ov_text_of_count(result.errors).text,
                        ov_plural(result.errors, "path", "paths"));
        session->exit_code = OV_EXIT_INCOMPLETE;
    }
    if (comparison.differences)
        session->exit_code = OV_EXIT_FAILED;
    return OV_OK;
}
