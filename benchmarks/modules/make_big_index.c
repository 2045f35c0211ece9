/*
 * Adds an index of many chunks to a repository, as if it held them: to see what the size of a
 * repository costs. Such a repository is for measuring only: unless they are asked for, its packs
 * do not exist.
 */
#include "benchmarks/modules/synthetic.h"
#include "benchmarks/modules/synthetic_packs.h"
#include "engine/base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "Usage: make_big_index [--packs] REPOSITORY KEY-FILE ENTRIES [SEGMENTS]\n"
    "\n"
    "Adds segments that describe ENTRIES chunks, and the packs that would hold them,\n"
    "to the log of REPOSITORY. The packs are only made with --packs, of tiny chunks.\n";

static void warn(void *context, const char *path, const struct ov_error *problem)
{
    (void)context;
    fprintf(stderr, "make_big_index: %s%s%s\n", path ? path : "", path ? ": " : "",
            problem->message);
}

static enum ov_status add(char **argv, uint64_t segments, bool has_packs, struct ov_error *err)
{
    const struct ov_report report = {.warn = warn};
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    const struct bench_synthetic index = {
        .entries = strtoull(argv[3], NULL, 10),
        .segments = segments,
    };
    if (index.entries == 0 || segments == 0)
        return ov_fail(err, OV_ERR_INVALID, "ENTRIES and SEGMENTS are numbers above 0");
    OV_TRY(ov_file_read_at(AT_FDCWD, argv[2], 4096, &text, err));
    OV_TRY(ov_credential_parse(ov_buf_view(&text), &credential, err));
    const struct ov_repo_options options = {
        .location = argv[1],
        .credential = &credential,
        .report = &report,
    };
    OV_TRY(ov_repo_open(&options, &repo, err));
    return has_packs ? bench_synthetic_add_packs(repo, index.entries, segments, err)
                     : bench_synthetic_add(repo, &index, err);
}

int main(int argc, char **argv)
{
    struct ov_error err = {0};
    bool has_packs = argc > 1 && strcmp(argv[1], "--packs") == 0;
    argc -= has_packs;
    argv += has_packs;
    if (argc != 4 && argc != 5) {
        fputs(usage, stderr);
        return 2;
    }
    uint64_t segments = argc == 5 ? strtoull(argv[4], NULL, 10) : 20;
    if (ov_crypto_init(&err) < 0 || add(argv, segments, has_packs, &err) < 0) {
        fprintf(stderr, "make_big_index: %s\n", err.message);
        return 1;
    }
    return 0;
}
