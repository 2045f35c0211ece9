/*
 * What the makers of seeds share: make_seeds.c (and how to use it all), make_seeds_log.c,
 * make_seeds_tree.c, make_seeds_image.c.
 */
#ifndef OV_TESTS_FUZZ_MAKE_SEEDS_H
#define OV_TESTS_FUZZ_MAKE_SEEDS_H

#include "fuzz.h"

#include "repo/log_entry.h"
#include "repo/sequence.h"

#include <stdio.h>

/* Writes an input for a target. */
void seed_save(const char *target, const char *name, struct ov_bytes bytes);

/* With bytes that choose a form in front. */
static inline void save_form(const char *target, const char *name, struct ov_bytes form,
                             struct ov_bytes bytes)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    FUZZ_OK(ov_buf_append(&out, form.data, form.len, NULL));
    FUZZ_OK(ov_buf_append(&out, bytes.data, bytes.len, NULL));
    seed_save(target, name, ov_buf_view(&out));
}

static inline void save_byte(const char *target, const char *name, uint8_t form,
                             struct ov_bytes bytes)
{
    save_form(target, name, ov_bytes_of(&form, 1), bytes);
}

static inline void put_byte(struct ov_buf *out, uint8_t byte)
{
    FUZZ_OK(ov_buf_append(out, &byte, 1, NULL));
}

static inline void put_piece(struct ov_buf *out, struct ov_bytes bytes)
{
    FUZZ_CHECK(bytes.len <= UINT16_MAX);
    put_byte(out, (uint8_t)bytes.len);
    put_byte(out, (uint8_t)(bytes.len >> 8));
    FUZZ_OK(ov_buf_append(out, bytes.data, bytes.len, NULL));
}

static inline struct ov_bytes text(const char *string)
{
    return ov_bytes_of_string(string);
}

static inline struct ov_id id_of(uint8_t byte)
{
    struct ov_id id;
    memset(id.bytes, byte, OV_ID_SIZE);
    return id;
}

/* Writes to a sink of a buffer. */
static inline enum ov_status append(void *context, const void *data, size_t len,
                                    struct ov_error *err)
{
    return ov_buf_append(context, data, len, err);
}

static inline void save_both(const char *target, const char *name, struct ov_bytes form,
                             struct ov_bytes outer, struct ov_bytes inner)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    FUZZ_OK(ov_buf_append(&out, form.data, form.len, NULL));
    put_piece(&out, outer);
    FUZZ_OK(ov_buf_append(&out, inner.data, inner.len, NULL));
    seed_save(target, name, ov_buf_view(&out));
}

/* A record with every member set; it borrows labels (2) and packs (2). */
struct ov_snapshot_record seed_record(uint8_t byte, struct ov_label *labels, struct ov_id *packs);

/* Segments, look-up tables, the log. */
void seed_segments(void);
void seed_lookup_table(void);
void seed_log_entry(void);
void seed_points(void);
void seed_checkpoint(void);
void seed_log_memory(void);

/* Snapshots, nodes, sequences, the table of files, patterns. */
void seed_snapshot(void);
void seed_side(void);
void seed_nodes(void);
void seed_node_items(void);
void seed_bad_tables(void);
void seed_file_table(void);
void seed_patterns(void);
void seed_sequence(enum ov_sequence_type type, unsigned count);

/* Images. */
void seed_unpack(void);
void seed_manifests(void);
void seed_tar(void);
void seed_source(void);
void seed_recipe(void);
void seed_layer(void);
void seed_snapshot_image(void);

#endif
