#include "benchmarks/modules/corpus.h"

#include "engine/base/file.h"

#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>

#define FILE_MAX ((size_t)1 << 30)

struct corpus {
    uint64_t max_bytes;
    uint64_t total; /* 0 in the first pass, which finds it */
    bench_file_fn *each;
    void *context;
    struct ov_buf bytes;
};

static void corpus_release(struct corpus *corpus)
{
    ov_buf_release(&corpus->bytes);
}

static void fts_close_auto(FTS **fts)
{
    if (*fts)
        fts_close(*fts);
}

static int compare_names(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* FNV-1a of the path decides, so the sample does not depend on the order of a directory. */
static bool is_chosen(const struct corpus *corpus, const char *path)
{
    uint64_t hash = 0xcbf29ce484222325;
    if (!corpus->max_bytes || corpus->total <= corpus->max_bytes)
        return true;
    for (; *path; path++)
        hash = (hash ^ (uint8_t)*path) * 0x100000001b3;
    double share = (double)corpus->max_bytes / (double)corpus->total;
    return (double)(hash >> 11) / 0x1p53 < share;
}

static enum ov_status take_file(struct corpus *corpus, const FTSENT *entry, struct ov_error *err)
{
    struct ov_error unreadable;
    ov_buf_clear(&corpus->bytes);
    if (!is_chosen(corpus, entry->fts_path) ||
        ov_file_read_at(AT_FDCWD, entry->fts_accpath, FILE_MAX, &corpus->bytes, &unreadable) < 0)
        return OV_OK;
    return corpus->each(corpus->context, entry->fts_path, entry->fts_statp,
                        ov_buf_view(&corpus->bytes), err);
}

static enum ov_status walk(struct corpus *corpus, char *const *paths, bool is_counting,
                           struct ov_error *err)
{
    OV_AUTO(fts_close_auto) FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, compare_names);
    FTSENT *entry;
    if (!fts)
        return ov_fail_errno(err, "cannot walk %s", paths[0]);
    while ((entry = fts_read(fts))) {
        if (entry->fts_info != FTS_F)
            continue;
        if (is_counting)
            corpus->total += (uint64_t)entry->fts_statp->st_size;
        else
            OV_TRY(take_file(corpus, entry, err));
    }
    return OV_OK;
}

enum ov_status bench_corpus_each(char *const *paths, size_t path_count, uint64_t max_bytes,
                                 bench_file_fn *each, void *context, struct ov_error *err)
{
    OV_AUTO(corpus_release)
    struct corpus corpus = {.max_bytes = max_bytes, .each = each, .context = context};
    char **list = calloc(path_count + 1, sizeof(*list)); /* fts wants a NULL behind it */
    if (!list)
        return ov_fail_no_memory(err);
    memcpy(list, paths, path_count * sizeof(*list));
    enum ov_status status = max_bytes ? walk(&corpus, list, true, err) : OV_OK;
    if (status >= 0)
        status = walk(&corpus, list, false, err);
    free(list);
    return status;
}
