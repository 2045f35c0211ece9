#include "cmd/image.h"

#include "repo/difference.h"
#include "repo/reference.h"

#include <string.h>

enum ov_status ov_image_argument(struct ov_session *session, const char *text,
                                 const struct ov_snapshot_record **out, const char **tag,
                                 struct ov_error *err)
{
    enum ov_status status = ov_image_resolve(ov_repo_state(session->repo), text, out, tag, err);
    if (status == OV_ERR_NOT_FOUND)
        ov_session_hint(session, "'ociv2 images' lists tags, 'ociv2 snapshots' all snapshots");
    return ov_session_argument(session, status);
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
