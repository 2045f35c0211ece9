/*
 * What sealing costs: sections against XChaCha20-Poly1305 itself, frames and whole packs against
 * the sum of their parts. The data is random, so that compressing takes as little as it can.
 */
#include "benchmarks/modules/harness.h"
#include "benchmarks/modules/random.h"
#include "engine/pack_writer.h"

#include <sodium.h>
#include <stdlib.h>
#include <zstd.h>

#define CHUNK ((size_t)16 << 10)

static const struct ov_compression how = {.level = 1};

struct work {
    struct ov_keyring *keyring;
    struct ov_pack_writer *writer; /* for keys and header */
    struct ov_secret key;
    struct ov_buf plain;
    size_t frame_size;
    struct ov_chunk_row *rows; /* of all chunks */
    struct ov_frame_builder builder;
    struct ov_compressor *compressor;
    struct ov_decompressor *decompressor;
    ZSTD_CCtx *encoder;
    struct ov_buf payload;
    struct ov_buf section;
    struct ov_buf out;
    struct ov_buf sealed; /* all frames, sealed with the key */
    struct ov_buf frames; /* all frames, as ov_frame_seal makes them */
    size_t frames_len;    /* of one of them */
};

static void work_release(struct work *work)
{
    ov_pack_writer_close(work->writer);
    ov_keyring_free(work->keyring);
    ov_frame_builder_release(&work->builder);
    ov_compressor_close(work->compressor);
    ov_decompressor_close(work->decompressor);
    ZSTD_freeCCtx(work->encoder);
    free(work->rows);
    struct ov_buf *buffers[] = {&work->plain, &work->payload, &work->section,
                                &work->out,   &work->sealed,  &work->frames};
    for (size_t i = 0; i < OV_ARRAY_LEN(buffers); i++)
        ov_buf_release(buffers[i]);
}

static size_t frame_count(const struct work *work)
{
    return work->plain.len / work->frame_size;
}

static struct ov_bytes plain_frame(const struct work *work, size_t index)
{
    return ov_bytes_of(work->plain.data + index * work->frame_size, work->frame_size);
}

static uint8_t *sealed_frame(const struct work *work, size_t index)
{
    return work->sealed.data + index * (work->frame_size + OV_SEAL_OVERHEAD);
}

static const uint8_t nonce[OV_NONCE_SIZE];

static struct ov_bytes associated(const struct work *work)
{
    return ov_bytes_of(ov_pack_writer_header(work->writer)->raw, OV_HEADER_SIZE);
}

/* ---- Sealing and opening bytes ---- */

static enum ov_status aead_seal(void *context, struct ov_error *err)
{
    struct work *work = context;
    struct ov_bytes ad = associated(work);
    (void)err;
    for (size_t i = 0; i < frame_count(work); i++)
        crypto_aead_xchacha20poly1305_ietf_encrypt(work->out.data, NULL, plain_frame(work, i).data,
                                                   work->frame_size, ad.data, ad.len, NULL, nonce,
                                                   work->key.bytes);
    return OV_OK;
}

static enum ov_status ours_seal(void *context, struct ov_error *err)
{
    struct work *work = context;
    (void)err;
    for (size_t i = 0; i < frame_count(work); i++)
        ov_seal(&work->key, nonce, associated(work), plain_frame(work, i).data, work->frame_size,
                work->out.data);
    return OV_OK;
}

static enum ov_status ours_section(void *context, struct ov_error *err)
{
    struct work *work = context;
    for (size_t i = 0; i < frame_count(work); i++) {
        ov_buf_clear(&work->section);
        OV_TRY(ov_section_append(&work->section, ov_pack_writer_keys(work->writer),
                                 ov_pack_writer_header(work->writer), i, plain_frame(work, i),
                                 err));
    }
    return OV_OK;
}

static enum ov_status aead_open(void *context, struct ov_error *err)
{
    struct work *work = context;
    struct ov_bytes ad = associated(work);
    for (size_t i = 0; i < frame_count(work); i++) {
        if (crypto_aead_xchacha20poly1305_ietf_decrypt(
                work->out.data, NULL, NULL, sealed_frame(work, i),
                work->frame_size + OV_SEAL_OVERHEAD, ad.data, ad.len, nonce, work->key.bytes) != 0)
            return ov_fail(err, OV_ERR_CORRUPT, "a frame does not open");
    }
    return OV_OK;
}

static enum ov_status ours_open(void *context, struct ov_error *err)
{
    struct work *work = context;
    for (size_t i = 0; i < frame_count(work); i++) {
        if (!ov_unseal(&work->key, nonce, associated(work), sealed_frame(work, i),
                       work->frame_size + OV_SEAL_OVERHEAD, work->out.data))
            return ov_fail(err, OV_ERR_CORRUPT, "a frame does not open");
    }
    return OV_OK;
}

/* ---- Frames ---- */

static enum ov_status seal_frame(struct work *work, struct ov_pack_writer *writer, size_t index,
                                 struct ov_buf *out, struct ov_frame_info *info,
                                 struct ov_error *err)
{
    size_t chunks = work->frame_size / CHUNK;
    ov_frame_builder_clear(&work->builder);
    for (size_t i = 0; i < chunks; i++)
        OV_TRY(ov_frame_builder_add(&work->builder, &work->rows[index * chunks + i],
                                    plain_frame(work, index).data + i * CHUNK, err));
    return ov_frame_seal(&work->builder, work->compressor, &how, OV_FILTER_NONE,
                         ov_pack_writer_keys(writer), ov_pack_writer_header(writer), index,
                         &work->payload, out, info, err);
}

static enum ov_status ours_frame_seal(void *context, struct ov_error *err)
{
    struct work *work = context;
    struct ov_frame_info info;
    for (size_t i = 0; i < frame_count(work); i++) {
        ov_buf_clear(&work->section);
        OV_TRY(seal_frame(work, work->writer, i, &work->section, &info, err));
    }
    return OV_OK;
}

static enum ov_status parts_frame_seal(void *context, struct ov_error *err)
{
    struct work *work = context;
    ZSTD_CCtx_setParameter(work->encoder, ZSTD_c_compressionLevel, how.level);
    for (size_t i = 0; i < frame_count(work); i++) {
        struct ov_bytes frame = plain_frame(work, i);
        size_t n = ZSTD_compress2(work->encoder, work->out.data, work->out.capacity, frame.data,
                                  frame.len);
        bench_sink = n;
    }
    return aead_seal(context, err);
}

static enum ov_status ours_frame_open(void *context, struct ov_error *err)
{
    struct work *work = context;
    for (size_t i = 0; i < frame_count(work); i++) {
        OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
        struct ov_bytes sealed =
            ov_bytes_of(work->frames.data + i * work->frames_len + OV_SECTION_PREFIX,
                        work->frames_len - OV_SECTION_PREFIX);
        OV_TRY(ov_frame_open(ov_pack_writer_keys(work->writer), ov_pack_writer_header(work->writer),
                             i, sealed, work->decompressor, &frame, "a frame", err));
        bench_sink = frame.row_count;
    }
    return OV_OK;
}

/* The frames are stored without compression, so opening one copies it. */
static enum ov_status parts_frame_open(void *context, struct ov_error *err)
{
    struct work *work = context;
    OV_TRY(aead_open(context, err));
    for (size_t i = 0; i < frame_count(work); i++)
        memcpy(work->out.data, plain_frame(work, i).data, work->frame_size);
    return OV_OK;
}

/* ---- Packs ---- */

static enum ov_status drop(void *context, const void *data, size_t len, struct ov_error *err)
{
    (void)context;
    (void)err;
    bench_sink = len ? *(const uint8_t *)data : 0;
    return OV_OK;
}

static enum ov_status ours_pack(void *context, struct ov_error *err)
{
    struct work *work = context;
    OV_AUTO(ov_pack_writer_close_auto) struct ov_pack_writer *writer = NULL;
    const struct ov_sink sink = {NULL, drop};
    uint64_t size;
    OV_TRY(ov_pack_writer_open(work->keyring, OV_PACK_DATA, &writer, err));
    for (size_t i = 0; i < frame_count(work); i++) {
        struct ov_frame_info info;
        (void)ov_pack_writer_reserve(writer);
        ov_buf_clear(&work->section);
        OV_TRY(seal_frame(work, writer, i, &work->section, &info, err));
        OV_TRY(ov_pack_writer_add(writer, &sink, ov_buf_view(&work->section), &info,
                                  work->builder.rows, err));
    }
    return ov_pack_writer_finish(writer, &sink, &size, err);
}

static enum ov_status parts_pack(void *context, struct ov_error *err)
{
    struct work *work = context;
    crypto_generichash_blake2b_state state;
    uint8_t hash[OV_ID_SIZE];
    OV_TRY(parts_frame_seal(context, err));
    crypto_generichash_blake2b_init(&state, NULL, 0, sizeof(hash));
    for (size_t i = 0; i < frame_count(work); i++)
        crypto_generichash_blake2b_update(&state, sealed_frame(work, i),
                                          work->frame_size + OV_SEAL_OVERHEAD);
    crypto_generichash_blake2b_final(&state, hash, sizeof(hash));
    bench_sink = hash[0];
    return OV_OK;
}

/* ---- Setting up ---- */

static enum ov_status make_rows(struct work *work, struct ov_error *err)
{
    size_t count = work->plain.len / CHUNK;
    work->rows = calloc(count, sizeof(*work->rows));
    if (!work->rows)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        work->rows[i] = (struct ov_chunk_row){
            .kind = OV_KIND_DATA,
            .length = CHUNK,
            .stored_len = CHUNK,
        };
        ov_id_compute(OV_KIND_DATA, work->plain.data + i * CHUNK, CHUNK, &work->rows[i].id);
    }
    return OV_OK;
}

static enum ov_status open_work(struct work *work, size_t len, struct ov_error *err)
{
    static const struct ov_id repository = {{1}};
    OV_TRY(ov_keyring_generate(&repository, &work->keyring, err));
    OV_TRY(ov_pack_writer_open(work->keyring, OV_PACK_DATA, &work->writer, err));
    OV_TRY(ov_compressor_open(&work->compressor, err));
    OV_TRY(ov_decompressor_open(&work->decompressor, err));
    work->encoder = ZSTD_createCCtx();
    if (!work->encoder)
        return ov_fail_no_memory(err);
    ov_secret_random(&work->key);
    OV_TRY(ov_buf_append_zeros(&work->plain, len, err));
    bench_fill_random(1, work->plain.data, len);
    return make_rows(work, err);
}

/* Seals all frames of this size, for opening. */
static enum ov_status set_frame_size(struct work *work, size_t frame_size, struct ov_error *err)
{
    work->frame_size = frame_size;
    OV_TRY(ov_buf_reserve(&work->out, ZSTD_compressBound(frame_size), err));
    ov_buf_clear(&work->sealed);
    ov_buf_clear(&work->frames);
    OV_TRY(ov_buf_append_zeros(&work->sealed, frame_count(work) * (frame_size + OV_SEAL_OVERHEAD),
                               err));
    for (size_t i = 0; i < frame_count(work); i++) {
        struct ov_frame_info info;
        ov_seal(&work->key, nonce, associated(work), plain_frame(work, i).data, frame_size,
                sealed_frame(work, i));
        if (frame_size < CHUNK)
            continue;
        OV_TRY(seal_frame(work, work->writer, i, &work->frames, &info, err));
        work->frames_len = OV_SECTION_PREFIX + info.sealed_len;
    }
    return OV_OK;
}

/* ---- The table ---- */

static const struct bench_column columns[] = {
    {"unit", "each", BENCH_TEXT},   {"case", "what", BENCH_TEXT},   {"gb_per_second", "GB/s", 2},
    {"limit", "limit", BENCH_TEXT}, {"share_of_limit", "of it", 2},
};

/* Every case is compared with the last one before it that has no limit's name. */
static enum ov_status measure(const struct bench_options *options, const char *unit,
                              struct work *work, struct bench_case *cases, size_t count,
                              const char *const *limits, struct bench_table *table,
                              struct ov_error *err)
{
    const struct bench_case *limit = cases;
    const double gb = (double)(frame_count(work) * work->frame_size) / 1e9;
    OV_TRY(bench_measure(cases, count, options->rounds, err));
    for (size_t i = 0; i < count; i++) {
        if (!*limits[i])
            limit = &cases[i];
        bench_table_row(table, (const union bench_value[]){
                                   bench_text(unit),
                                   bench_text(cases[i].name),
                                   bench_number(gb / bench_median(&cases[i], options->rounds)),
                                   bench_text(limits[i]),
                                   bench_number(bench_share(&cases[i], limit, options->rounds)),
                               });
    }
    return OV_OK;
}

static enum ov_status measure_bytes(const struct bench_options *options, const char *unit,
                                    struct work *work, struct bench_table *table,
                                    struct ov_error *err)
{
    struct bench_case cases[] = {
        {.name = "XChaCha20-Poly1305, sealing", .run = aead_seal, .context = work},
        {.name = "ov_seal", .run = ours_seal, .context = work},
        {.name = "ov_section_append", .run = ours_section, .context = work},
        {.name = "XChaCha20-Poly1305, opening", .run = aead_open, .context = work},
        {.name = "ov_unseal", .run = ours_open, .context = work},
    };
    static const char *const limits[] = {"", "AEAD", "AEAD", "", "AEAD"};
    return measure(options, unit, work, cases, OV_ARRAY_LEN(cases), limits, table, err);
}

static enum ov_status measure_frames(const struct bench_options *options, const char *unit,
                                     struct work *work, struct bench_table *table,
                                     struct ov_error *err)
{
    struct bench_case cases[] = {
        {.name = "ZSTD_compress2, AEAD", .run = parts_frame_seal, .context = work},
        {.name = "ov_frame_builder_add, ov_frame_seal", .run = ours_frame_seal, .context = work},
        {.name = "AEAD, memcpy", .run = parts_frame_open, .context = work},
        {.name = "ov_frame_open", .run = ours_frame_open, .context = work},
        {.name = "ZSTD_compress2, AEAD, BLAKE2b", .run = parts_pack, .context = work},
        {.name = "a whole pack", .run = ours_pack, .context = work},
    };
    static const char *const limits[] = {"", "the parts", "", "the parts", "", "the parts"};
    return measure(options, unit, work, cases, OV_ARRAY_LEN(cases), limits, table, err);
}

static enum ov_status run(const struct bench_options *options, struct ov_error *err)
{
    static const struct {
        const char *unit;
        size_t size;
    } sizes[] = {{"1 KiB", 1024}, {"1 MiB frame", BENCH_MIB}, {"4 MiB frame", 4 * BENCH_MIB}};
    static struct bench_table table;
    OV_AUTO(work_release) struct work work = {0};
    OV_TRY(open_work(
        &work, (size_t)(options->megabytes * 1000000 / (4 * BENCH_MIB) + 1) * 4 * BENCH_MIB, err));
    bench_table_begin(&table, options->is_json, "seal", "Sealing and packing, one core.", columns,
                      OV_ARRAY_LEN(columns));
    for (size_t i = 0; i < OV_ARRAY_LEN(sizes); i++) {
        OV_TRY(set_frame_size(&work, sizes[i].size, err));
        OV_TRY(measure_bytes(options, sizes[i].unit, &work, &table, err));
        if (sizes[i].size >= CHUNK)
            OV_TRY(measure_frames(options, sizes[i].unit, &work, &table, err));
    }
    bench_table_end(&table);
    return OV_OK;
}

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "seal",
        .arguments = "",
        .defaults = {.rounds = 7, .megabytes = 64},
        .run = run,
    };
    return bench_main(argc, argv, &program);
}
