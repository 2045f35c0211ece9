/*
 * Constants of the pack layout. docs/format/pack.md section 1.
 */
#ifndef OV_ENGINE_PACK_FORMAT_H
#define OV_ENGINE_PACK_FORMAT_H

#include <stdint.h>

#define OV_TABLE_SECTION UINT64_MAX
#define OV_FOOTER_MASK (UINT64_MAX - 1)
#define OV_FOOTER_SIZE 4

#endif
