/*
 * Reversible filters that make contents compress better. docs/format/pack.md section 5.
 */
#ifndef OV_ENGINE_FILTER_H
#define OV_ENGINE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ov_filter {
    OV_FILTER_NONE = 0,
    OV_FILTER_X86 = 1, /* relative branches become absolute */
};

static inline bool ov_filter_is_known(uint64_t filter)
{
    return filter <= OV_FILTER_X86;
}

void ov_filter_apply(enum ov_filter filter, uint8_t *data, size_t len);
void ov_filter_undo(enum ov_filter filter, uint8_t *data, size_t len);

#endif
