/*
 * Bounds on what readers accept. docs/format/limits.md.
 */
#ifndef OV_ENGINE_LIMITS_H
#define OV_ENGINE_LIMITS_H

#define OV_MAX_CHUNK ((size_t)2 << 20)
#define OV_MAX_FRAME_CHUNKS 65535u
#define OV_MAX_FRAME_CONTENTS ((size_t)32 << 20)
/* A sealed frame: incompressible contents, their head, and the seal. */
#define OV_MAX_FRAME_SEALED (OV_MAX_FRAME_CONTENTS + 256)
#define OV_MAX_PACK_CHUNKS 524288u
#define OV_MAX_PACK_FRAMES 65536u
#define OV_MAX_PACK_SIZE ((uint64_t)4 << 30)
#define OV_MAX_WINDOW ((uint64_t)32 << 20) /* of zstd */
#define OV_MAX_DELTA_DEPTH 8
#define OV_MAX_SMALL_FILE ((size_t)64 << 10)
#define OV_MAX_SEGMENT_ENTRIES ((uint64_t)1 << 31)
#define OV_MAX_SEGMENT_PACKS 1048576u
#define OV_MAX_SEGMENT_BLOCK 65536u

#endif
