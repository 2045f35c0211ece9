#include "benchmarks/modules/synthetic.h"

#include "benchmarks/modules/random.h"
#include "repo/layout.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

#define CHUNK ((uint32_t)16384)
#define FRAME_CHUNKS 256u
#define PACK_FRAMES 16u
#define PACK_CHUNKS ((uint64_t)(FRAME_CHUNKS * PACK_FRAMES))
#define FRAME_SEALED 1700000u
#define TABLE_SIZE 200000u
#define SEED 20240229u

/* One segment being written. */
struct segment {
    uint64_t first_pack, pack_count; /* of all packs */
    struct ov_upload *upload;
    struct ov_sink sink;
    struct ov_segment_writer *writer;
};

struct maker {
    struct ov_repo *repo;
    const struct bench_synthetic *index;
    uint64_t pack_count;
    struct ov_segment_pack *packs;
    struct segment *segments;
    uint64_t segment_count;
    struct ov_object_list added;
};

static void maker_release(struct maker *m)
{
    for (uint64_t i = 0; m->segments && i < m->segment_count; i++) {
        ov_segment_writer_close(m->segments[i].writer);
        if (m->segments[i].upload)
            m->repo->backend->ops->upload_abort(m->segments[i].upload);
    }
    for (uint64_t i = 0; m->packs && i < m->pack_count; i++)
        ov_segment_pack_release(&m->packs[i]);
    free(m->segments);
    free(m->packs);
    ov_object_list_release(&m->added);
}

/* ---- Packs ---- */

/* How many chunks lie in the packs before this one. */
static uint64_t chunks_before(const struct maker *m, uint64_t pack)
{
    return pack < m->pack_count ? pack * PACK_CHUNKS : m->index->entries;
}

static enum ov_status describe_pack(struct maker *m, uint64_t number, struct ov_error *err)
{
    struct ov_segment_pack *pack = &m->packs[number];
    uint64_t chunks = chunks_before(m, number + 1) - chunks_before(m, number);
    size_t frames = (size_t)((chunks + FRAME_CHUNKS - 1) / FRAME_CHUNKS);
    pack->kind = OV_PACK_DATA;
    pack->frames = calloc(frames, sizeof(*pack->frames));
    if (!pack->frames)
        return ov_fail_no_memory(err);
    pack->frame_count = frames;
    uint64_t offset = OV_HEADER_SIZE;
    for (size_t i = 0; i < frames; i++) {
        pack->frames[i] =
            (struct ov_frame_location){offset, FRAME_SEALED, FRAME_CHUNKS * (CHUNK + 6)};
        offset += OV_SECTION_PREFIX + FRAME_SEALED;
    }
    pack->size = offset + TABLE_SIZE;
    const struct ov_object object = {OV_OBJECT_DATA_PACK, pack->name, pack->size};
    return ov_object_list_add(&m->added, &object, err);
}

static int compare_names(const void *a, const void *b)
{
    return ov_id_compare(a, b);
}

static enum ov_status describe_packs(struct maker *m, struct ov_error *err)
{
    struct ov_id *names = calloc((size_t)m->pack_count, sizeof(*names));
    m->packs = calloc((size_t)m->pack_count, sizeof(*m->packs));
    if (!names || !m->packs) {
        free(names);
        return ov_fail_no_memory(err);
    }
    ov_random(names, (size_t)m->pack_count * sizeof(*names));
    for (uint64_t i = 0; i < m->segment_count; i++)
        qsort(names + m->segments[i].first_pack, (size_t)m->segments[i].pack_count, sizeof(*names),
              compare_names);
    for (uint64_t i = 0; i < m->pack_count; i++)
        m->packs[i].name = names[i];
    free(names);
    for (uint64_t i = 0; i < m->pack_count; i++)
        OV_TRY(describe_pack(m, i, err));
    return OV_OK;
}

/* ---- Segments ---- */

static enum ov_status open_segments(struct maker *m, struct ov_error *err)
{
    struct ov_backend *backend = m->repo->backend;
    for (uint64_t i = 0; i < m->segment_count; i++) {
        struct segment *s = &m->segments[i];
        uint64_t entries =
            chunks_before(m, s->first_pack + s->pack_count) - chunks_before(m, s->first_pack);
        OV_TRY(backend->ops->upload_begin(backend, &s->upload, err));
        s->sink = ov_upload_sink(s->upload);
        OV_TRY(ov_segment_writer_open(m->repo->keyring, m->packs + s->first_pack,
                                      (size_t)s->pack_count, entries, &s->sink, &s->writer, err));
    }
    return OV_OK;
}

static enum ov_status finish_segments(struct maker *m, struct ov_error *err)
{
    struct ov_backend *backend = m->repo->backend;
    for (uint64_t i = 0; i < m->segment_count; i++) {
        struct segment *s = &m->segments[i];
        struct ov_object object = {.type = OV_OBJECT_SEGMENT};
        OV_TRY(ov_segment_writer_finish(s->writer, &object.name, &object.size, err));
        struct ov_path path = ov_path_of_id(OV_DIR_SEGMENTS, &object.name);
        OV_TRY(backend->ops->upload_commit(ov_steal(s->upload), path.text, err));
        OV_TRY(ov_object_list_add(&m->added, &object, err));
    }
    return OV_OK;
}

/* ---- Entries ---- */

/* The distances between sorted uniform numbers are exponential. */
static double next_gap(uint64_t *state)
{
    return -log(((double)(bench_random(state) >> 11) + 0.5) / 0x1p53);
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static enum ov_status add_entry(struct maker *m, uint64_t position, const struct ov_tag *tag,
                                struct ov_error *err)
{
    uint64_t pack = position / PACK_CHUNKS;
    uint64_t guess = pack * m->segment_count / m->pack_count;
    while (m->segments[guess].first_pack > pack)
        guess--;
    while (m->segments[guess].first_pack + m->segments[guess].pack_count <= pack)
        guess++;
    struct segment *s = &m->segments[guess];
    uint64_t within = position - chunks_before(m, s->first_pack);
    const struct ov_index_entry entry = {
        .tag = *tag,
        .frame = (uint32_t)(within / FRAME_CHUNKS),
        .slot = (uint16_t)(within % FRAME_CHUNKS),
        .kind = OV_KIND_DATA,
        .length = CHUNK,
    };
    OV_TRY(ov_segment_writer_add(s->writer, &entry, err));
    return m->index->each ? m->index->each(m->index->context, tag, err) : OV_OK;
}

/* Tags ascend; each takes another place among all chunks, by steps that meet every place once. */
static enum ov_status add_entries(struct maker *m, struct ov_error *err)
{
    const uint64_t count = m->index->entries;
    uint64_t gaps = SEED, tails = SEED + 1, position = 0, previous = 0;
    uint64_t step = (uint64_t)((double)count * 0.6180339887) + 1;
    while (greatest_common_divisor(step, count) != 1)
        step++;
    long double total = 0, sum = 0;
    for (uint64_t i = 0; i <= count; i++)
        total += (long double)next_gap(&gaps);
    gaps = SEED;
    for (uint64_t i = 0; i < count; i++) {
        sum += (long double)next_gap(&gaps);
        uint64_t key = (uint64_t)(sum / total * 0x1p64L);
        if (i && key <= previous)
            key = previous + 1;
        previous = key;
        struct ov_tag tag;
        uint64_t tail = bench_random(&tails);
        for (int k = 0; k < 8; k++)
            tag.bytes[k] = (uint8_t)(key >> (56 - 8 * k));
        memcpy(tag.bytes + 8, &tail, sizeof(tail));
        OV_TRY(add_entry(m, position, &tag, err));
        position += step;
        if (position >= count)
            position -= count;
    }
    return OV_OK;
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    const struct maker *m = context;
    (void)state;
    for (size_t i = 0; i < m->added.count; i++)
        OV_TRY(ov_object_list_add(&entry->added, &m->added.items[i], err));
    return OV_OK;
}

enum ov_status bench_synthetic_add(struct ov_repo *repo, const struct bench_synthetic *index,
                                   struct ov_error *err)
{
    OV_AUTO(maker_release) struct maker m = {.repo = repo, .index = index};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* all segments are written at once */
        setrlimit(RLIMIT_NOFILE, &files);
    }
    m.pack_count = (index->entries + PACK_CHUNKS - 1) / PACK_CHUNKS;
    m.segment_count = index->segments < m.pack_count ? index->segments : m.pack_count;
    m.segments = calloc((size_t)m.segment_count, sizeof(*m.segments));
    if (!m.segments)
        return ov_fail_no_memory(err);
    for (uint64_t i = 0; i < m.segment_count; i++) {
        m.segments[i].first_pack = i * m.pack_count / m.segment_count;
        m.segments[i].pack_count =
            (i + 1) * m.pack_count / m.segment_count - m.segments[i].first_pack;
    }
    OV_TRY(describe_packs(&m, err));
    OV_TRY(open_segments(&m, err));
    OV_TRY(add_entries(&m, err));
    OV_TRY(finish_segments(&m, err));
    return ov_txlog_commit(repo->log, ov_repo_state(repo)->number, "synthetic", plan, &m, err);
}
