#include "repo/image/document.h"

#include <stdio.h>
#include <sys/utsname.h>

/* ---- Text ---- */

/* Takes the component before the next '/'; false when it is not what a platform is made of. */
static bool take_component(const char **text, char out[64])
{
    size_t len = strcspn(*text, "/");
    if (len == 0 || len > 63)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = (*text)[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_word && c != '.' && c != '_' && c != '-')
            return false;
        out[i] = c;
    }
    out[len] = '\0';
    *text += len;
    return true;
}

enum ov_status ov_platform_parse(const char *text, struct ov_platform *out, struct ov_error *err)
{
    struct ov_platform platform = {"", "", ""};
    bool is_good = take_component(&text, platform.os) && *text++ == '/' &&
                   take_component(&text, platform.architecture);
    if (is_good && *text) {
        text++;
        is_good = take_component(&text, platform.variant) && !*text;
    }
    if (!is_good)
        return ov_fail(err, OV_ERR_INVALID,
                       "a platform is OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as "
                       "linux/amd64 or linux/arm64/v8");
    *out = platform;
    return OV_OK;
}

struct ov_platform_text ov_platform_text(const struct ov_platform *platform)
{
    struct ov_platform_text out;
    bool is_said = platform->os[0] || platform->architecture[0];
    snprintf(out.text, sizeof(out.text), "%s%s%s%s%s", platform->os, is_said ? "/" : "",
             platform->architecture, platform->variant[0] ? "/" : "", platform->variant);
    return out;
}

/* ---- Which ---- */

void ov_platform_of_machine(struct ov_platform *out)
{
    /* uname -m, GOARCH, variant. */
    static const char *const machines[][3] = {
        {"x86_64", "amd64", ""},    {"aarch64", "arm64", "v8"},
        {"arm64", "arm64", "v8"},   {"armv8l", "arm", "v8"},
        {"armv7l", "arm", "v7"},    {"armv6l", "arm", "v6"},
        {"armv5tel", "arm", "v5"},  {"i386", "386", ""},
        {"i486", "386", ""},        {"i586", "386", ""},
        {"i686", "386", ""},        {"ppc64le", "ppc64le", ""},
        {"ppc64", "ppc64", ""},     {"s390x", "s390x", ""},
        {"riscv64", "riscv64", ""}, {"loongarch64", "loong64", ""},
    };
    struct utsname name;
    struct ov_platform platform = {"linux", "unknown", ""};
    bool has_name = uname(&name) == 0;
    for (size_t i = 0; has_name && i < OV_ARRAY_LEN(machines); i++) {
        if (strcmp(name.machine, machines[i][0]) != 0)
            continue;
        snprintf(platform.architecture, sizeof(platform.architecture), "%s", machines[i][1]);
        snprintf(platform.variant, sizeof(platform.variant), "%s", machines[i][2]);
    }
    *out = platform;
}

/* What a platform without a variant is. */
static const char *variant_of(const struct ov_platform *platform)
{
    if (platform->variant[0])
        return platform->variant;
    if (strcmp(platform->architecture, "arm64") == 0)
        return "v8";
    return strcmp(platform->architecture, "arm") == 0 ? "v7" : "";
}

bool ov_platform_matches(const struct ov_platform *have, const struct ov_platform *want)
{
    return strcmp(have->os, want->os) == 0 && strcmp(have->architecture, want->architecture) == 0 &&
           (!want->variant[0] || strcmp(variant_of(have), want->variant) == 0);
}
