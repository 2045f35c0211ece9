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
