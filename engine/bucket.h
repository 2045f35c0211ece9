/*
 * Which frames a chunk should be in, so that like is compressed with like.
 */
#ifndef OV_ENGINE_BUCKET_H
#define OV_ENGINE_BUCKET_H

#include "engine/packer.h"

/*
 * head: the beginning of a file, as much as there is; 64 bytes are enough.
 * OV_BUCKET_PACKED, or OV_BUCKET_BY_CONTENT.
 */
enum ov_bucket ov_bucket_of_file(struct ov_bytes head);

/*
 * The bucket of a chunk of a file of bucket `file`. BY_CONTENT is judged by a sample of the bytes:
 * x86 code by how often a near branch seems to begin, text by how many bytes are printable.
 */
enum ov_bucket ov_bucket_of_chunk(enum ov_bucket file, struct ov_bytes chunk);

#endif
