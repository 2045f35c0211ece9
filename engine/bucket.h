/*
 * Which frames a file's chunks should share, judged by its first bytes.
 */
#ifndef OV_ENGINE_BUCKET_H
#define OV_ENGINE_BUCKET_H

#include "engine/packer.h"

/* head: the beginning of the file, as much as there is; 64 bytes are enough. */
enum ov_bucket ov_bucket_of_file(struct ov_bytes head);

#endif
