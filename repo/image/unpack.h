/*
 * Decompresses layers: gzip (RFC 1952; any number of members) and zstd (RFC 8878; any number of
 * frames, skippable ones passed over), known by their first bytes; anything else is passed on as it
 * is. Bytes after the last gzip member that do not begin another are passed over, as gzip(1) has
 * it; they are read from the input all the same, since they count for its digest. After a zstd
 * frame they are refused, as by zstd(1). All checksums are verified. Memory is bounded: windows of
 * zstd up to 128 MiB.
 */
#ifndef OV_REPO_IMAGE_UNPACK_H
#define OV_REPO_IMAGE_UNPACK_H

#include "repo/image/stream.h"

enum ov_packing {
    OV_PACKING_NONE = 0,
    OV_PACKING_GZIP = 1,
    OV_PACKING_ZSTD = 2,
};

/* The media type of an OCI layer that is packed so. */
const char *ov_packing_media_type(enum ov_packing packing);

struct ov_unpacker;

/*
 * input: copied; its context is borrowed. what: for messages; copied.
 * Errors: NO_MEMORY. What is wrong with the input, reading finds.
 */
OV_MUST_CHECK enum ov_status ov_unpacker_open(const struct ov_stream *input, const char *what,
                                              struct ov_unpacker **out, struct ov_error *err);
/* Accepts NULL. */
void ov_unpacker_close(struct ov_unpacker *unpacker);
OV_DEFINE_AUTO(ov_unpacker_close_auto, struct ov_unpacker, ov_unpacker_close)

/*
 * The decompressed bytes; borrows the unpacker. At its end the input has been read to its end.
 * Errors: CORRUPT (cut off, damaged), LIMIT (a larger window), NO_MEMORY, the input's.
 */
struct ov_stream ov_unpacker_stream(struct ov_unpacker *unpacker);

/* What the input turned out to be; valid once something was read. */
enum ov_packing ov_unpacker_packing(const struct ov_unpacker *unpacker);

#endif
