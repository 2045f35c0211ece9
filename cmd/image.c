#include "cmd/image.h"

#include "repo/difference.h"
#include "repo/image/platform_tag.h"
#include "repo/reference.h"
#include "repo/snapshot_load.h"

#include <string.h>

enum ov_status ov_image_argument(struct ov_session *session, const char *text,
                                 const struct ov_snapshot_record **out, const char **tag,
                                 struct ov_error *err)
{
    enum ov_status status = ov_image_resolve(ov_repo_state(session->repo), text, out, tag, err);
    if (status == OV_ERR_NOT_FOUND)
        ov_session_hint(session, "'ociv2 images' lists tags, 'ociv2 snapshots' all snapshots");
    OV_TRY(ov_session_argument(session, status));
    return ov_session_keep(session, out, tag, err);
}

/* The snapshot of one platform of the image with this tag; NULL: there is none. */
static const struct ov_snapshot_record *find_platform(const struct ov_state *state, const char *tag,
                                                      const struct ov_platform *wanted)
{
    for (size_t i = 0; i < state->tag_count; i++) {
        struct ov_platform have;
        struct ov_error ignored;
        const char *name = state->tags[i].name;
        if (ov_platform_tag_is_of(name, tag) &&
            ov_platform_parse(ov_platform_of_tag(name), &have, &ignored) >= 0 &&
            ov_platform_matches(&have, wanted))
            return ov_state_snapshot(state, &state->tags[i].snapshot);
    }
    return NULL;
}

/* The platform of a snapshot, as its image says; empty when it does not. */
static enum ov_status read_platform(struct ov_session *session,
                                    const struct ov_snapshot_record *record,
                                    struct ov_platform *out, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_TRY(ov_snapshot_load(session->repo, &record->id, &snapshot, err));
    const struct ov_snapshot_image *image = &snapshot.image;
    *out = (struct ov_platform){0};
    snprintf(out->os, sizeof(out->os), "%s", image->os ? image->os : "");
    snprintf(out->architecture, sizeof(out->architecture), "%s",
             image->architecture ? image->architecture : "");
    snprintf(out->variant, sizeof(out->variant), "%s", image->variant ? image->variant : "");
    return OV_OK;
}

enum ov_status ov_platform_argument(struct ov_session *session, const char *text,
                                    const char *platform, const struct ov_snapshot_record **out,
                                    const char **tag, struct ov_error *err)
{
    struct ov_platform wanted, have;
    OV_TRY(ov_image_argument(session, text, out, tag, err));
    if (!platform)
        return OV_OK;
    OV_TRY(ov_session_argument(session, ov_platform_parse(platform, &wanted, err)));
    OV_TRY(read_platform(session, *out, &have, err));
    if (ov_platform_matches(&have, &wanted))
        return OV_OK;
    const struct ov_snapshot_record *found =
        *tag ? find_platform(ov_repo_state(session->repo), *tag, &wanted) : NULL;
    if (!found)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%.300s is not there for %s: it is for %s", text,
                       ov_platform_text(&wanted).text,
                       *have.os ? ov_platform_text(&have).text : "no platform in particular");
    *out = found;
    return ov_session_keep(session, out, NULL, err);
}

enum ov_status ov_path_argument(struct ov_session *session, const char *text, struct ov_buf *out,
                                struct ov_error *err)
{
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "/");
        if (len == 2 && strncmp(p, "..", 2) == 0)
            return ov_session_usage(session, err, "a path inside an image cannot have '..': %s",
                                    text);
        if (len && !(len == 1 && *p == '.')) {
            if (out->len)
                OV_TRY(ov_buf_append(out, "/", 1, err));
            OV_TRY(ov_buf_append(out, p, len, err));
        }
        p += len + (p[len] == '/');
    }
    OV_TRY(ov_buf_append(out, "", 1, err));
    out->len--;
    return OV_OK;
}

enum ov_status ov_ignore_arguments(struct ov_session *session, const struct ov_strings *names,
                                   unsigned *out, struct ov_error *err)
{
    *out = 0;
    for (size_t i = 0; i < names->count; i++) {
        unsigned bit = 0;
        for (unsigned n = 0; n < OV_DIFFERENCE_BITS; n++) {
            if (strcmp(ov_difference_name(1U << n), names->items[i]) == 0)
                bit = 1U << n;
        }
        if (!bit)
            return ov_session_usage(session, err, "--ignore: '%.100s' is nothing that can differ",
                                    names->items[i]);
        *out |= bit;
    }
    return OV_OK;
}

bool ov_names_images(const char *spec)
{
    static const char *const forms[] = {"oci:", "oci-archive:", "docker-archive:", "dir:"};
    for (size_t i = 0; i < OV_ARRAY_LEN(forms); i++) {
        if (strncmp(spec, forms[i], strlen(forms[i])) == 0)
            return true;
    }
    return strcmp(spec, "-") == 0;
}

enum ov_status ov_pattern_arguments(struct ov_session *session, const struct ov_strings *patterns,
                                    const struct ov_strings *files, struct ov_patterns *out,
                                    struct ov_error *err)
{
    for (size_t i = 0; files && i < files->count; i++)
        OV_TRY(ov_session_argument(session, ov_patterns_add_file(out, files->items[i], err)));
    for (size_t i = 0; i < patterns->count; i++)
        OV_TRY(ov_session_argument(session, ov_patterns_add(out, patterns->items[i], err)));
    return OV_OK;
}
