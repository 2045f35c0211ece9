#include "cmd/commands.h"
#include "cmd/image.h"
#include "cmd/json.h"
#include "repo/image/platform_tag.h"
#include "repo/reference.h"

struct plan {
    struct ov_session *session;
    const char *image;
    char name[OV_REFERENCE_SIZE];
    struct ov_id snapshot;
    bool has_moved;
    struct ov_id was; /* when it has moved */
};

/* Asked again when another writer was faster: the image may mean something else by then. */
static enum ov_status plan_tag(void *context, const struct ov_state *state,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    struct plan *plan = context;
    const struct ov_snapshot_record *record;
    const char *from;
    OV_TRY(ov_image_argument(plan->session, plan->image, &record, &from, err));
    const struct ov_tag_setting *tag = ov_state_tag(state, plan->name);
    plan->snapshot = record->id;
    plan->has_moved = false;
    if (tag) {
        plan->was = tag->snapshot;
        if (ov_id_equal(&tag->snapshot, &record->id))
            return OV_END; /* nothing to do */
        plan->has_moved = true;
    }
    OV_TRY(ov_log_entry_set_tag(entry, plan->name, &record->id, err));
    return from ? ov_platform_tags_copy(state, from, plan->name, entry, err)
                : ov_platform_tags_remove(state, plan->name, entry, err);
}

static enum ov_status print(const struct plan *plan, bool is_done, struct ov_error *err)
{
    struct ov_id_text now = ov_id_short(&plan->snapshot);
    if (ov_globals.is_json) {
        struct ov_json json;
        ov_json_init(&json, "summary");
        ov_json_text(&json, "name", plan->name);
        ov_json_id(&json, "snapshot_id", &plan->snapshot);
        ov_json_bool(&json, "changed", is_done);
        if (plan->has_moved)
            ov_json_id(&json, "moved_from", &plan->was);
        return ov_json_print(&json, stdout, err);
    }
    if (!is_done)
        ov_session_say(plan->session, "%s points to snapshot %s already", plan->name, now.text);
    else if (plan->has_moved)
        ov_session_say(plan->session, "%s moved from snapshot %s to %s; %s stays in the repository",
                       plan->name, ov_id_short(&plan->was).text, now.text,
                       ov_id_short(&plan->was).text);
    else
        ov_session_say(plan->session, "%s points to snapshot %s", plan->name, now.text);
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    struct plan plan = {.session = session, .image = argv[0]};
    (void)argc;
    OV_TRY(ov_session_argument(session, ov_reference_normalise(argv[1], plan.name, err)));
    OV_TRY(ov_session_open(session, err));
    uint64_t base = ov_repo_state(session->repo)->number;
    enum ov_status status = ov_txlog_commit(session->repo->log, base, "tag", plan_tag, &plan, err);
    OV_TRY(status);
    return print(&plan, status == OV_OK, err);
}

static const char *const examples[] = {
    "let latest point to where 1.1 points",
    "ociv2 tag app:1.1 app:latest",
    "give a name to a snapshot that has none",
    "ociv2 tag 3fa2c1d8 app:rescued",
    NULL,
};

const struct ov_command ov_command_tag = {
    .name = "tag",
    .group = "Images",
    .summary = "Give a snapshot another name",
    .arguments = "IMAGE NEW",
    .min_arguments = 2,
    .max_arguments = 2,
    .description =
        "Lets the tag NEW point to the snapshot that IMAGE means. If NEW exists, it moves, and the "
        "snapshot it leaves stays in the repository.",
    .examples = examples,
    .run = run,
};
