#include "cmd/commands.h"
#include "cmd/json.h"
#include "cmd/session.h"
#include "repo/config.h"

#include <sodium.h>
#include <stdio.h>
#include <zstd.h>

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)session;
    (void)argc;
    (void)argv;
    if (ov_globals.is_json) {
        struct ov_json json;
        ov_json_init(&json, "version");
        ov_json_text(&json, "version", OCIV2_VERSION);
        ov_json_number(&json, "format_version", OV_FORMAT_VERSION);
        ov_json_text(&json, "zstd", ZSTD_versionString());
        ov_json_text(&json, "libsodium", sodium_version_string());
        ov_json_text(&json, "jansson", JANSSON_VERSION);
        return ov_json_print(&json, stdout, err);
    }
    printf("ociv2 %s\n", OCIV2_VERSION);
    printf("repository format %d; zstd %s, libsodium %s, jansson %s\n", OV_FORMAT_VERSION,
           ZSTD_versionString(), sodium_version_string(), JANSSON_VERSION);
    return OV_OK;
}

const struct ov_command ov_command_version = {
    .name = "version",
    .group = "Other",
    .summary = "Print the versions of program and format",
    .arguments = "",
    .run = run,
};
