#include "benchmarks/modules/synthetic_packs.h"

#include "benchmarks/modules/random.h"
#include "engine/pack_writer.h"
#include "repo/layout.h"
#include "repo/segment_builder.h"

#define CHUNK ((size_t)24)
#define FRAME_CHUNKS 256u
#define PACK_FRAMES 16u
#define SEED 20240301u

struct maker {
    struct ov_repo *repo;
    struct ov_compressor *compressor;
    struct ov_frame_builder frame;
    struct ov_buf payload, section;
    struct ov_segment_builder *segment;
    struct ov_object_list added;
    uint64_t random, left; /* chunks still to be made */
};

static void maker_release(struct maker *m)
{
    ov_compressor_close(m->compressor);
    ov_frame_builder_release(&m->frame);
    ov_buf_release(&m->payload);
    ov_buf_release(&m->section);
    ov_segment_builder_close(m->segment);
    ov_object_list_release(&m->added);
}

static enum ov_status add_chunk(struct maker *m, struct ov_error *err)
{
    uint8_t bytes[CHUNK];
    struct ov_chunk_row row = {.kind = OV_KIND_DATA, .length = CHUNK, .stored_len = CHUNK};
    ov_store64(bytes, m->left--);
    ov_store64(bytes + 8, bench_random(&m->random));
    ov_store64(bytes + 16, bench_random(&m->random));
    ov_id_compute(OV_KIND_DATA, bytes, CHUNK, &row.id);
    return ov_frame_builder_add(&m->frame, &row, bytes, err);
}

static enum ov_status write_frame(struct maker *m, struct ov_pack_writer *pack,
                                  const struct ov_sink *sink, struct ov_error *err)
{
    static const struct ov_compression how = {.level = 1};
    struct ov_frame_info info;
    for (unsigned i = 0; i < FRAME_CHUNKS && m->left; i++)
        OV_TRY(add_chunk(m, err));
    uint64_t number = ov_pack_writer_reserve(pack);
    ov_buf_clear(&m->section);
    OV_TRY(ov_frame_seal(&m->frame, m->compressor, &how, OV_FILTER_NONE, ov_pack_writer_keys(pack),
                         ov_pack_writer_header(pack), number, &m->payload, &m->section, &info,
                         err));
    OV_TRY(ov_pack_writer_add(pack, sink, ov_buf_view(&m->section), &info, m->frame.rows, err));
    ov_frame_builder_clear(&m->frame);
    return OV_OK;
}

static enum ov_status write_pack(struct maker *m, struct ov_upload *upload, struct ov_object *out,
                                 struct ov_error *err)
{
    OV_AUTO(ov_pack_writer_close_auto) struct ov_pack_writer *pack = NULL;
    const struct ov_sink sink = ov_upload_sink(upload);
    OV_TRY(ov_pack_writer_open(m->repo->keyring, OV_PACK_DATA, &pack, err));
    for (unsigned i = 0; i < PACK_FRAMES && m->left; i++)
        OV_TRY(write_frame(m, pack, &sink, err));
    *out = (struct ov_object){.type = OV_OBJECT_DATA_PACK, .name = *ov_pack_writer_name(pack)};
    OV_TRY(ov_pack_writer_finish(pack, &sink, &out->size, err));
    OV_TRY(ov_object_list_add(&m->added, out, err));
    return ov_segment_builder_add(m->segment, out, ov_pack_writer_table(pack), err);
}

static enum ov_status add_pack(struct maker *m, struct ov_error *err)
{
    struct ov_backend *backend = m->repo->backend;
    struct ov_upload *upload;
    struct ov_object object;
    OV_TRY(backend->ops->upload_begin(backend, &upload, err));
    enum ov_status status = write_pack(m, upload, &object, err);
    if (status < 0) {
        backend->ops->upload_abort(upload);
        return status;
    }
    return backend->ops->upload_commit(upload, ov_object_path(&object).text, err);
}

static enum ov_status add_segment(struct maker *m, struct ov_error *err)
{
    struct ov_object object;
    enum ov_status status = ov_segment_builder_write(m->segment, &object, err);
    return status == OV_OK ? ov_object_list_add(&m->added, &object, err) : status;
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

enum ov_status bench_synthetic_add_packs(struct ov_repo *repo, uint64_t entries, uint64_t segments,
                                         struct ov_error *err)
{
    OV_AUTO(maker_release) struct maker m = {.repo = repo, .random = SEED, .left = entries};
    OV_TRY(ov_compressor_open(&m.compressor, err));
    OV_TRY(ov_segment_builder_open(repo->backend, repo->keyring, &m.segment, err));
    while (m.left) {
        OV_TRY(add_pack(&m, err));
        if (ov_segment_builder_count(m.segment) >= entries / segments)
            OV_TRY(add_segment(&m, err));
    }
    OV_TRY(add_segment(&m, err));
    return ov_txlog_commit(repo->log, ov_repo_state(repo)->number, "synthetic", plan, &m, err);
}
