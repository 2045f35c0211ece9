#include "repo/identity.h"

#include "engine/msgpack_reader.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void keep_valid(char *text)
{
    if (!ov_text_is_valid((const uint8_t *)text, strlen(text)))
        text[0] = '\0';
}

void ov_identity_get(struct ov_identity *out)
{
    struct passwd entry, *found = NULL;
    char buffer[4096];
    memset(out, 0, sizeof(*out));
    if (getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found)
        snprintf(out->user, sizeof(out->user), "%s", entry.pw_name);
    else
        snprintf(out->user, sizeof(out->user), "%lu", (unsigned long)geteuid());
    if (gethostname(out->host, sizeof(out->host) - 1))
        out->host[0] = '\0';
    keep_valid(out->user);
    keep_valid(out->host);
}
