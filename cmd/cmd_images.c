#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/output.h"
#include "repo/image/export.h"
#include "repo/reference.h"
#include "repo/snapshot_load.h"

#include <fnmatch.h>
#include <string.h>

static struct {
    bool is_long;
} args;

/* Whether a tag is asked for: by its whole name, by its name without the tag, or by a pattern. */
static bool is_wanted(const char *name, int argc, char **argv)
{
    const char *colon = strrchr(name, ':');
    size_t len = colon ? (size_t)(colon - name) : strlen(name);
    for (int i = 0; i < argc; i++) {
        if (fnmatch(argv[i], name, 0) == 0 ||
            (strlen(argv[i]) == len && memcmp(argv[i], name, len) == 0))
            return true;
    }
    return argc == 0;
}

/* What of an image an export can give back, in the words of `inspect`. */
static const char *reproducible_text(const struct ov_snapshot_image *image)
{
    struct ov_reproducible can = ov_reproducible_of(image);
    return can.manifest ? "rootfs, config, manifest" : can.layers ? "rootfs, config" : "rootfs";
}

static enum ov_status add_long_row(struct ov_session *session, struct ov_table *table,
                                   const char *name, const struct ov_snapshot_record *record,
                                   struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    char platform[256] = "-";
    OV_TRY(ov_snapshot_load(session->repo, &record->id, &snapshot, err));
    const struct ov_snapshot_image *image = &snapshot.image;
    if (image->os)
        snprintf(platform, sizeof(platform), "%s/%s%s%s", image->os,
                 image->architecture ? image->architecture : "", image->variant ? "/" : "",
                 image->variant ? image->variant : "");
    OV_TRY(ov_table_add(table, name, err));
    OV_TRY(ov_table_add(table, ov_id_short(&record->id).text, err));
    OV_TRY(ov_table_add(table, platform, err));
    OV_TRY(ov_table_add(table, ov_text_of_count(image->layer_count).text, err));
    OV_TRY(ov_table_add(table, ov_text_of_size(record->size).text, err));
    return ov_table_add(table, reproducible_text(image), err);
}

static enum ov_status add_row(struct ov_table *table, const char *name,
                              const struct ov_snapshot_record *record, struct ov_error *err)
{
    OV_TRY(ov_table_add(table, name, err));
    OV_TRY(ov_table_add(table, ov_id_short(&record->id).text, err));
    OV_TRY(ov_table_add(table, ov_text_of_time(record->time).text, err));
    OV_TRY(ov_table_add(table, ov_text_of_size(record->size).text, err));
    return ov_table_add(table, ov_text_of_size(record->stored).text, err);
}

static enum ov_status print_image(struct ov_session *session, const char *name,
                                  const struct ov_snapshot_record *record,
                                  const struct ov_state *state, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    struct ov_json json;
    if (args.is_long)
        OV_TRY(ov_snapshot_load(session->repo, &record->id, &snapshot, err));
    ov_json_init(&json, "image");
    ov_json_text(&json, "name", name);
    ov_json_snapshot(&json, record, state);
    if (args.is_long) {
        ov_json_text(&json, "os", snapshot.image.os);
        ov_json_text(&json, "architecture", snapshot.image.architecture);
        ov_json_text(&json, "variant", snapshot.image.variant);
        ov_json_number(&json, "layers", snapshot.image.layer_count);
        ov_json_bool(&json, "can_give_layers", ov_reproducible_of(&snapshot.image).layers);
        ov_json_bool(&json, "can_give_manifest", ov_reproducible_of(&snapshot.image).manifest);
    }
    return ov_json_print(&json, stdout, err);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    static const struct ov_column columns[] = {
        {"Image", false, true}, {"Snapshot", false, false}, {"Created", false, false},
        {"Size", true, false},  {"Stored", true, false},
    };
    static const struct ov_column long_columns[] = {
        {"Image", false, true},  {"Snapshot", false, false}, {"Platform", false, false},
        {"Layers", true, false}, {"Size", true, false},      {"Can give", false, false},
    };
    OV_AUTO(ov_table_release) struct ov_table table = {0};
    size_t shown = 0;
    if (args.is_long)
        ov_table_init(&table, long_columns, OV_ARRAY_LEN(long_columns));
    else
        ov_table_init(&table, columns, OV_ARRAY_LEN(columns));
    OV_TRY(ov_session_open(session, err));
    const struct ov_state *state = ov_repo_state(session->repo);
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        const struct ov_snapshot_record *record = ov_state_snapshot(state, &tag->snapshot);
        if (!record || !is_wanted(tag->name, argc, argv))
            continue;
        shown++;
        if (ov_globals.is_json)
            OV_TRY(print_image(session, tag->name, record, state, err));
        else if (args.is_long)
            OV_TRY(add_long_row(session, &table, tag->name, record, err));
        else
            OV_TRY(add_row(&table, tag->name, record, err));
    }
    ov_table_print(&table);
    if (!shown && argc && state->tag_count)
        ov_session_say(session, "no image has such a name");
    else if (!shown)
        ov_session_say(session,
                       "there are no images; 'ociv2 snapshot ROOTFS NAME:TAG' makes one, 'ociv2 "
                       "import SOURCE' brings some in");
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_FLAG('l', "long", &args.is_long,
            "show platforms, layers, and which digests an export can give back"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "all images",
    "ociv2 images",
    "all tags of one name, and all that begin with \"app\"",
    "ociv2 images debian 'app*'",
    NULL,
};

const struct ov_command ov_command_images = {
    .name = "images",
    .group = "Images",
    .summary = "List images: names and what they point to",
    .arguments = "[NAME...]",
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Lists tags with the snapshots they point to. Size is that of the files when restored; "
        "stored is what the snapshot added to the repository when it was made. NAME is a name "
        "with or without its tag, or a pattern with * and ?.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
