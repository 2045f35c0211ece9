#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/output.h"
#include "repo/image/platform_tag.h"
#include "repo/reference.h"

#include <stdlib.h>

struct removal {
    char name[OV_REFERENCE_SIZE];
    struct ov_id snapshot;
    bool is_last; /* no other tag points there */
    bool is_repeated;
};

struct plan {
    struct ov_session *session;
    int count;
    char **texts;
    struct removal *removals;
};

static void removals_free(struct removal **removals)
{
    free(*removals);
}

static bool is_removed(const struct plan *plan, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(plan->removals[i].name, name) == 0)
            return true;
    }
    return false;
}

static enum ov_status plan_untag(void *context, const struct ov_state *state,
                                 struct ov_log_entry *entry, struct ov_error *err)
{
    struct plan *plan = context;
    for (int i = 0; i < plan->count; i++) {
        struct removal *removal = &plan->removals[i];
        const struct ov_tag_setting *tag;
        enum ov_status status = ov_tag_resolve(state, plan->texts[i], &tag, err);
        if (status == OV_ERR_NOT_FOUND)
            ov_session_hint(plan->session, "nothing was changed; 'ociv2 images' lists the tags");
        OV_TRY(ov_session_argument(plan->session, status));
        removal->is_repeated = is_removed(plan, i, tag->name);
        snprintf(removal->name, sizeof(removal->name), "%s", tag->name);
        removal->snapshot = tag->snapshot;
        removal->is_last = true;
        if (removal->is_repeated)
            continue;
        OV_TRY(ov_log_entry_remove_tag(entry, tag->name, err));
        OV_TRY(ov_platform_tags_remove(state, tag->name, entry, err));
    }
    for (int i = 0; i < plan->count; i++) {
        for (size_t k = 0; k < state->tag_count; k++) {
            if (ov_id_equal(&state->tags[k].snapshot, &plan->removals[i].snapshot) &&
                !is_removed(plan, plan->count, state->tags[k].name))
                plan->removals[i].is_last = false;
        }
    }
    return OV_OK;
}

static enum ov_status print(const struct plan *plan, const struct removal *removal,
                            struct ov_error *err)
{
    if (ov_globals.is_json) {
        struct ov_json json;
        ov_json_init(&json, "untagged");
        ov_json_text(&json, "name", removal->name);
        ov_json_id(&json, "snapshot_id", &removal->snapshot);
        ov_json_bool(&json, "has_other_tags", !removal->is_last);
        return ov_json_print(&json, stdout, err);
    }
    ov_session_say(plan->session, "removed tag %s; snapshot %s stays%s", removal->name,
                   ov_id_short(&removal->snapshot).text,
                   removal->is_last ? ", now without a tag" : "");
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(removals_free) struct removal *removals = calloc((size_t)argc, sizeof(*removals));
    struct plan plan = {session, argc, argv, removals};
    if (!removals)
        return ov_fail_no_memory(err);
    OV_TRY(ov_session_open(session, err));
    uint64_t base = ov_repo_state(session->repo)->number;
    OV_TRY(ov_txlog_commit(session->repo->log, base, "untag", plan_untag, &plan, err));
    for (int i = 0; i < argc; i++) {
        if (!removals[i].is_repeated)
            OV_TRY(print(&plan, &removals[i], err));
    }
    return OV_OK;
}

static const char *const examples[] = {
    "take a name away",
    "ociv2 untag app:rc1",
    NULL,
};

const struct ov_command ov_command_untag = {
    .name = "untag",
    .group = "Images",
    .summary = "Remove tags; the snapshots stay",
    .arguments = "TAG...",
    .min_arguments = 1,
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Removes tags and leaves the snapshots they pointed to in the repository, where their ids "
        "still find them. 'ociv2 forget' removes snapshots. Either all tags are removed or none.",
    .examples = examples,
    .run = run,
};
