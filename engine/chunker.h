/*
 * Content-defined chunking: FastCDC with normalised chunking (Xia and others, 2016), cut anew
 * after every zero extent. docs/format/chunking.md.
 */
#ifndef OV_ENGINE_CHUNKER_H
#define OV_ENGINE_CHUNKER_H

#include "engine/base/bytes.h"

/* A maximal run of at least this many zero bytes is a zero extent. */
#define OV_ZERO_EXTENT_MIN 65536u

struct ov_chunker_params {
    size_t min;
    size_t normal;
    size_t max;          /* at most OV_ZERO_EXTENT_MIN: the splitter relies on it */
    uint64_t mask_small; /* before `normal` bytes */
    uint64_t mask_large; /* from there on */
};

/* fastcdc-16k-1: what the format uses. Others exist for measurements only. */
extern const struct ov_chunker_params ov_chunker_v1;

extern const uint64_t ov_gear_table[256];

/*
 * The length of the first chunk of `data`, a data run (or its beginning, when it has at least
 * params->max bytes). len ≥ 1.
 */
size_t ov_chunker_cut(const struct ov_chunker_params *params, const uint8_t *data, size_t len);

/* Whether a chunk that lies in a data run ends where it should. */
enum ov_chunk_end {
    OV_CHUNK_OPEN,        /* only when the data run ends with it */
    OV_CHUNK_CUT_HERE,    /* yes, whatever follows */
    OV_CHUNK_CUT_EARLIER, /* no */
};

/* The same for each chunk by itself, because every cut begins anew. len ≥ 1. */
enum ov_chunk_end ov_chunker_judge(const struct ov_chunker_params *params, const uint8_t *data,
                                   size_t len);

/*
 * Splits a stream that arrives in pieces into chunks and zero extents. Holds no bytes: the caller
 * keeps what was not consumed and offers it again with more behind it.
 */
struct ov_splitter {
    const struct ov_chunker_params *params;
    uint64_t zeros; /* length so far of the zero extent in progress; 0: none */
};

enum ov_piece_kind {
    OV_PIECE_NONE, /* nothing yet: offer more bytes (unless some were consumed: call again) */
    OV_PIECE_DATA, /* a chunk: the consumed bytes */
    OV_PIECE_ZERO, /* a zero extent of `length` bytes, ended by what follows */
};

struct ov_piece {
    enum ov_piece_kind kind;
    uint64_t length;
};

void ov_splitter_init(struct ov_splitter *splitter, const struct ov_chunker_params *params);

/*
 * Takes the next piece from the front of `data`.
 * at_end: the stream ends with this data.
 * Returns how many bytes were consumed. When that is 0 and the piece is NONE, more data is needed;
 * params->max + OV_ZERO_EXTENT_MIN bytes are always enough for progress. With at_end and len 0,
 * NONE means that the stream is done.
 */
size_t ov_splitter_next(struct ov_splitter *splitter, const uint8_t *data, size_t len, bool at_end,
                        struct ov_piece *piece);

/*
 * Feeds `count` zero bytes that need not exist in memory (a hole). Only while a zero extent is in
 * progress (splitter->zeros > 0): feed OV_ZERO_EXTENT_MIN real zeros first to begin one.
 */
void ov_splitter_skip_zeros(struct ov_splitter *splitter, uint64_t count);

#endif
