#include "repo/log_memory.h"

#include "engine/base/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* One line: number in decimal, space, hash in hexadecimal. */
#define LINE_MAX_SIZE 128

bool ov_log_memory_load(const char *directory, const struct ov_id *repository,
                        struct ov_log_point *out)
{
    if (!directory)
        return false;
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    OV_AUTO(ov_fd_close) int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char hex[OV_ID_HEX_SIZE];
    if (dir < 0 ||
        ov_file_read_at(dir, ov_id_hex(repository).text, LINE_MAX_SIZE, &text, NULL) < 0 ||
        ov_buf_append(&text, "", 1, NULL) < 0)
        return false;
    if (sscanf((const char *)text.data, "%" SCNu64 " %64s", &out->number, hex) != 2)
        return false;
    return strlen(hex) == OV_ID_HEX_SIZE - 1 && ov_hex_decode(hex, out->hash.bytes, OV_ID_SIZE);
}

void ov_log_memory_save(const char *directory, const struct ov_id *repository,
                        const struct ov_state *state, const struct ov_report *report)
{
    if (!directory)
        return;
    struct ov_log_point known;
    if (ov_log_memory_load(directory, repository, &known) &&
        (known.number > state->number ||
         (known.number == state->number && ov_id_equal(&known.hash, &state->hash))))
        return;
    char line[LINE_MAX_SIZE];
    struct ov_error problem;
    int len = snprintf(line, sizeof(line), "%" PRIu64 " %s\n", state->number,
                       ov_id_hex(&state->hash).text);
    enum ov_status status = ov_make_directories(directory, &problem);
    OV_AUTO(ov_fd_close) int dir = -1;
    if (status >= 0) {
        dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        status = dir < 0 ? ov_fail_errno(&problem, "cannot open %s", directory)
                         : ov_file_replace_at(dir, ov_id_hex(repository).text, line, (size_t)len,
                                              &problem);
    }
    if (status < 0)
        ov_report_warn(report, NULL, &problem);
}

void ov_log_memory_forget(const char *directory, const struct ov_id *repository)
{
    OV_AUTO(ov_fd_close)
    int dir = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir >= 0)
        (void)unlinkat(dir, ov_id_hex(repository).text, 0);
}
