/*
 * Whether files are cut where the chunker cuts, told from what was noted of each chunk when its
 * bytes were at hand. docs/format/chunking.md.
 *
 * Cutting begins anew at each cut, so whether a chunk ends where it should is a matter of its own
 * bytes: unless it is the last of its data run, the chunker cuts at its end, and never before.
 * And zero extents are maximal when no chunk beside one begins or ends with a zero, and no run of
 * zeros inside a data run is as long as one. A run over more than one chunk that long has half of
 * its length in one of them.
 */
#ifndef OV_REPO_CHECK_CUTS_H
#define OV_REPO_CHECK_CUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is noted of a chunk; 0: nothing. */
uint8_t check_cuts_note(const uint8_t *data, size_t len);

/* The extents of one file as they go by; zero-initialised at its beginning. */
struct check_cuts {
    uint8_t before;  /* the note of the chunk right before, if there is one */
    bool has_before; /* the extent before is a chunk */
    bool has_zeros;  /* the extent before is of zeros */
    bool is_unclear; /* a run of zeros over two chunks may be too long: the bytes must tell */
};

/* False when the file is not cut as it should be. note: 0 is taken for right. */
bool check_cuts_chunk(struct check_cuts *cuts, uint8_t note, uint64_t length);
bool check_cuts_zeros(struct check_cuts *cuts);

#endif
