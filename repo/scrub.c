#include "repo/scrub.h"

#include "engine/base/workers.h"
#include "engine/limits.h"
#include "repo/layout.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define SMALL_FILE ((uint64_t)64 << 10)
#define LOG_FILE ((uint64_t)64 << 20)
#define TRIES 3 /* of a file that may be replaced while it is read */
#define WAIT_NS 5000000

/* How the header repeats the name. */
enum naming { BY_NOTHING, BY_SALT, BY_NUMBER };

struct family {
    const char *directory; /* NULL: a file at the top */
    const char *file;
    const char *types; /* that may lie there */
    enum naming naming;
    uint64_t most; /* bytes; 0: the format has no bound */
    bool may_change;
    enum ov_check_place place;
};

static const struct family families[] = {
    {NULL, OV_PATH_CONFIG, "F", BY_NOTHING, SMALL_FILE, false, OV_CHECK_OTHER},
    {NULL, OV_PATH_HEAD, "H", BY_NOTHING, SMALL_FILE, true, OV_CHECK_LOG},
    {NULL, OV_PATH_RESERVE, "R", BY_NOTHING, 2 * OV_RESERVE_SIZE, true, OV_CHECK_OTHER},
    {OV_DIR_KEYS, NULL, "K", BY_NOTHING, SMALL_FILE, false, OV_CHECK_OTHER},
    {OV_DIR_LOG, NULL, "LM", BY_NUMBER, LOG_FILE, true, OV_CHECK_LOG},
    {OV_DIR_CHECKPOINTS, NULL, "C", BY_NUMBER, LOG_FILE, true, OV_CHECK_LOG},
    {OV_DIR_SEGMENTS, NULL, "S", BY_SALT, 0, false, OV_CHECK_INDEX},
    {OV_DIR_PACKS, NULL, "P", BY_SALT, OV_MAX_PACK_SIZE, false, OV_CHECK_PACK},
};

/* A stored file. */
struct file {
    const struct family *family;
    uint8_t name[OV_ID_SIZE]; /* what its digits say */
    uint64_t size;
};

struct scrub {
    struct ov_backend *backend;
    const struct ov_report *report;
    struct ov_scrub_result *result;
    struct ov_progress progress;
    struct file *files;
    size_t count, capacity;
    const struct family *family; /* being listed */
    bool has[OV_ARRAY_LEN(families)];
    _Atomic uint64_t bytes_read;
    struct ov_workers *workers;
    struct ov_lane *lane;
};

struct file_job {
    struct ov_job job;
    struct scrub *scrub;
    struct file file;
    enum ov_status status; /* NOT_FOUND: it was removed */
    struct ov_error problem;
};

static void free_job(struct ov_job *job)
{
    free(job);
}

static void release_scrub(struct scrub *s)
{
    ov_lane_close(s->lane);
    ov_workers_close(s->workers);
    free(s->files);
}

static void tell_fault(struct scrub *s, enum ov_check_place place, const struct ov_error *problem)
{
    s->result->faults++;
    s->result->faults_in[place]++;
    ov_report_warn(s->report, NULL, problem);
}

/* ---- Listing ---- */

static size_t digits_of(const struct family *family)
{
    return family->naming == BY_SALT ? 64 : family->naming == BY_NUMBER ? 16 : 32;
}

static struct ov_path path_of(const struct file *file)
{
    struct ov_path path;
    char hex[OV_ID_HEX_SIZE];
    if (!file->family->directory) {
        snprintf(path.text, sizeof(path.text), "%s", file->family->file);
        return path;
    }
    ov_hex_encode(file->name, digits_of(file->family) / 2, hex);
    snprintf(path.text, sizeof(path.text), "%s/%s", file->family->directory, hex);
    return path;
}

static void tell_unknown(struct scrub *s, const char *directory, const char *name)
{
    struct ov_error note;
    s->result->unknown++;
    ov_error_set(&note, OV_OK, "%s%s%s: a file with a name that means nothing here",
                 directory ? directory : "", directory ? "/" : "", name);
    ov_report_warn(s->report, NULL, &note);
}

static enum ov_status add_file(struct scrub *s, const struct file *file, struct ov_error *err)
{
    OV_TRY(ov_array_grow(&s->files, s->count, &s->capacity, sizeof(*s->files), err));
    s->files[s->count++] = *file;
    s->has[file->family - families] = true;
    s->progress.total_bytes += file->size;
    return OV_OK;
}

static enum ov_status note_file(void *context, const char *name, uint64_t size,
                                struct ov_error *err)
{
    struct scrub *s = context;
    struct file file = {.family = s->family, .size = size};
    size_t digits = digits_of(s->family);
    if (strlen(name) != digits || !ov_hex_decode(name, file.name, digits / 2)) {
        tell_unknown(s, s->family->directory, name);
        return OV_OK;
    }
    return add_file(s, &file, err);
}

static enum ov_status note_top(void *context, const char *name, uint64_t size, struct ov_error *err)
{
    struct scrub *s = context;
    if (strcmp(name, OV_DIR_UPLOADS) == 0 || strcmp(name, OV_DIR_DAMAGED) == 0)
        return OV_OK;
    for (size_t i = 0; i < OV_ARRAY_LEN(families); i++) {
        const struct family *family = &families[i];
        if (family->directory && strcmp(name, family->directory) == 0)
            return OV_OK;
        const struct file file = {.family = family, .size = size};
        if (!family->directory && strcmp(name, family->file) == 0)
            return add_file(s, &file, err);
    }
    tell_unknown(s, NULL, name);
    return OV_OK;
}

static int compare_files(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    int order = (x->family > y->family) - (x->family < y->family);
    return order ? order : memcmp(x->name, y->name, sizeof(x->name));
}

static uint64_t number_of(const uint8_t name[8])
{
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | name[i];
    return number;
}

/* A listing may pass over what is created or replaced meanwhile. */
static bool is_there(struct scrub *s, const char *name)
{
    struct ov_error unreadable;
    uint64_t size;
    return s->backend->ops->size(s->backend, name, &size, &unreadable) != OV_ERR_NOT_FOUND;
}

/* Entries are never removed, so all numbers up to the last are there. */
static void find_gaps(struct scrub *s)
{
    uint64_t next = 0;
    struct ov_error problem;
    for (size_t i = 0; i < s->count; i++) {
        const struct file *file = &s->files[i];
        if (!file->family->directory || strcmp(file->family->directory, OV_DIR_LOG) != 0)
            continue;
        uint64_t number = number_of(file->name);
        while (number > next && is_there(s, ov_path_of_number(OV_DIR_LOG, next).text))
            next++;
        if (number > next) {
            ov_error_set(&problem, OV_ERR_CORRUPT, "%s is missing: there are entries after it",
                         ov_path_of_number(OV_DIR_LOG, next).text);
            tell_fault(s, OV_CHECK_LOG, &problem);
        }
        next = number + 1;
    }
}

/* What every repository has. */
static void find_missing(struct scrub *s)
{
    struct ov_error problem;
    for (size_t i = 0; i < OV_ARRAY_LEN(families); i++) {
        const struct family *family = &families[i];
        const char *name = family->directory ? family->directory : family->file;
        bool is_needed = family->place == OV_CHECK_LOG || strcmp(name, OV_PATH_CONFIG) == 0;
        if (s->has[i] || !is_needed || strcmp(name, OV_DIR_CHECKPOINTS) == 0 ||
            (!family->directory && is_there(s, name)))
            continue;
        ov_error_set(&problem, OV_ERR_CORRUPT, "%s %s", name,
                     family->directory ? "is empty" : "is missing");
        tell_fault(s, family->place, &problem);
    }
}

/* The top first: what is missing there may only have come later. */
static enum ov_status list_files(struct scrub *s, struct ov_error *err)
{
    const struct ov_backend_ops *ops = s->backend->ops;
    OV_TRY(ops->list(s->backend, ".", note_top, s, err));
    for (size_t i = 0; i < OV_ARRAY_LEN(families); i++) {
        s->family = &families[i];
        if (s->family->directory)
            OV_TRY(ops->list(s->backend, s->family->directory, note_file, s, err));
    }
    if (s->count == 0)
        return ov_fail(err, OV_ERR_NO_REPOSITORY, "there is no repository");
    qsort(s->files, s->count, sizeof(*s->files), compare_files);
    find_missing(s);
    find_gaps(s);
    return OV_OK;
}

/* ---- Single files ---- */

static enum ov_status check_name(const struct file *file, const struct ov_header *header,
                                 const char *what, struct ov_error *err)
{
    const struct family *family = file->family;
    if (!strchr(family->types, (int)header->type))
        return ov_fail(err, OV_ERR_CORRUPT,
                       "%s: a file of type '%c' lies where one of type '%c' belongs", what,
                       (int)header->type, *family->types);
    if (family->naming == BY_SALT && memcmp(header->salt.bytes, file->name, OV_ID_SIZE) != 0)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: another file lies under this name (%s)", what,
                       ov_id_hex(&header->salt).text);
    if (family->naming == BY_NUMBER && header->number != number_of(file->name))
        return ov_fail(err, OV_ERR_CORRUPT, "%s: the file of number %llu lies under this name",
                       what, (unsigned long long)header->number);
    return OV_OK;
}

static enum ov_status check_size(const struct file *file, uint64_t size, const char *what,
                                 struct ov_error *err)
{
    const struct family *family = file->family;
    bool is_reserve = !family->directory && strcmp(family->file, OV_PATH_RESERVE) == 0;
    uint64_t whole = OV_RESERVE_SIZE + OV_HEADER_SIZE + OV_TRAILER_SIZE;
    if ((family->most && size > family->most) || (is_reserve && size != whole))
        return ov_fail(err, OV_ERR_CORRUPT, "%s: %llu bytes, which it cannot have", what,
                       (unsigned long long)size);
    return OV_OK;
}

/* The trailer first: of a damaged file nothing else need be said. */
static enum ov_status check_file(struct ov_backend *backend, const struct file *file,
                                 uint64_t *bytes, struct ov_error *err)
{
    struct ov_path path = path_of(file);
    struct ov_backend_source source;
    struct ov_header header;
    uint8_t raw[OV_HEADER_SIZE];
    uint64_t size;
    OV_TRY(backend->ops->size(backend, path.text, &size, err));
    ov_backend_source_init(&source, backend, path.text, size);
    OV_TRY(ov_stored_file_verify(&source.source, err));
    *bytes = size;
    OV_TRY(ov_source_read(&source.source, 0, raw, sizeof(raw), err));
    OV_TRY(ov_header_decode(raw, path.text, &header, err));
    OV_TRY(check_name(file, &header, path.text, err));
    return check_size(file, size, path.text, err);
}

static enum ov_status run_job(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct file_job *j = (struct file_job *)job;
    uint64_t bytes = 0;
    (void)worker;
    int tries = j->file.family->may_change ? TRIES : 1;
    do
        j->status = check_file(j->scrub->backend, &j->file, &bytes, &j->problem);
    while (j->status < 0 && --tries);
    atomic_fetch_add(&j->scrub->bytes_read, bytes);
    return j->status == OV_ERR_NO_MEMORY ? ov_fail_no_memory(err) : OV_OK;
}

/* ---- All files ---- */

static enum ov_status poll(struct scrub *s, struct ov_error *err)
{
    s->progress.bytes = atomic_load(&s->bytes_read);
    ov_report_progress(s->report, &s->progress);
    return ov_report_poll(s->report, err);
}

static enum ov_status take_job(struct scrub *s, struct ov_error *err)
{
    const struct timespec pause = {.tv_nsec = WAIT_NS};
    struct ov_job *job;
    while (!ov_lane_is_ready(s->lane)) {
        OV_TRY(poll(s, err));
        nanosleep(&pause, NULL);
    }
    OV_TRY(ov_lane_next(s->lane, &job, err));
    const struct file_job *j = (const struct file_job *)job;
    s->progress.files++;
    s->result->files += j->status != OV_ERR_NOT_FOUND;
    if (j->status < 0 && j->status != OV_ERR_NOT_FOUND)
        tell_fault(s, j->file.family->place, &j->problem);
    free_job(job);
    return poll(s, err);
}

static enum ov_status submit(struct scrub *s, const struct file *file, struct ov_error *err)
{
    while (ov_lane_is_full(s->lane, 1) && !ov_lane_is_empty(s->lane))
        OV_TRY(take_job(s, err));
    struct file_job *job = calloc(1, sizeof(*job));
    if (!job)
        return ov_fail_no_memory(err);
    job->job.run = run_job;
    job->job.cost_bytes = 1;
    job->scrub = s;
    job->file = *file;
    return ov_lane_submit(s->lane, &job->job, err);
}

enum ov_status ov_scrub(struct ov_backend *backend, unsigned threads,
                        const struct ov_report *report, struct ov_scrub_result *result,
                        struct ov_error *err)
{
    OV_AUTO(release_scrub)
    struct scrub s = {.backend = backend, .report = report, .result = result};
    *result = (struct ov_scrub_result){0};
    OV_TRY(list_files(&s, err));
    s.progress.total_files = s.count;
    OV_TRY(ov_workers_open(threads, &s.workers, err));
    size_t most = 16 * (size_t)ov_workers_count(s.workers); /* many files are small */
    OV_TRY(ov_lane_open(s.workers, most, false, free_job, &s.lane, err));
    for (size_t i = 0; i < s.count; i++)
        OV_TRY(submit(&s, &s.files[i], err));
    while (!ov_lane_is_empty(s.lane))
        OV_TRY(take_job(&s, err));
    result->bytes_read = atomic_load(&s.bytes_read);
    return OV_OK;
}
