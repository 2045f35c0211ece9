#include "repo/image/platform_tag.h"

#include <stdio.h>

enum ov_status ov_platform_tag(const char *name, const struct ov_platform *platform,
                               char out[OV_PLATFORM_TAG_SIZE], struct ov_error *err)
{
    int len = platform ? snprintf(out, OV_PLATFORM_TAG_SIZE, "%s#%s", name,
                                  ov_platform_text(platform).text)
                       : snprintf(out, OV_PLATFORM_TAG_SIZE, "%s", name);
    if (len < 0 || len >= OV_PLATFORM_TAG_SIZE)
        return ov_fail(err, OV_ERR_LIMIT, "the name %.200s is too long", name);
    return OV_OK;
}

const char *ov_platform_of_tag(const char *tag)
{
    const char *mark = strchr(tag, '#');
    return mark ? mark + 1 : NULL;
}

bool ov_platform_tag_is_of(const char *tag, const char *name)
{
    size_t len = strlen(name);
    return strncmp(tag, name, len) == 0 && tag[len] == '#';
}

static bool is_set(const struct ov_log_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (strcmp(entry->tags[i].name, name) == 0)
            return true;
    }
    return false;
}

enum ov_status ov_platform_tags_remove(const struct ov_state *state, const char *name,
                                       struct ov_log_entry *entry, struct ov_error *err)
{
    for (size_t i = 0; i < state->tag_count; i++) {
        const char *tag = state->tags[i].name;
        if (ov_platform_tag_is_of(tag, name) && !is_set(entry, tag))
            OV_TRY(ov_log_entry_remove_tag(entry, tag, err));
    }
    return OV_OK;
}

enum ov_status ov_platform_tags_copy(const struct ov_state *state, const char *from, const char *to,
                                     struct ov_log_entry *entry, struct ov_error *err)
{
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        char name[OV_PLATFORM_TAG_SIZE];
        if (!ov_platform_tag_is_of(tag->name, from))
            continue;
        int len = snprintf(name, sizeof(name), "%s#%s", to, ov_platform_of_tag(tag->name));
        if (len < 0 || (size_t)len >= sizeof(name))
            return ov_fail(err, OV_ERR_LIMIT, "the name %.200s is too long", to);
        OV_TRY(ov_log_entry_set_tag(entry, name, &tag->snapshot, err));
    }
    return ov_platform_tags_remove(state, to, entry, err);
}
