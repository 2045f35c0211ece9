/*
 * What the fuzz targets share: a fixed keyring and header, so that a corpus stays good; pieces of
 * an input; properties that stop the program; stored files around an input.
 *
 * Each fuzz_<name>.c says at its top how it reads its input. Where a decoder lies behind the AEAD
 * the target seals the input itself, because no fuzzer guesses a tag.
 */
#ifndef OV_TESTS_FUZZ_FUZZ_H
#define OV_TESTS_FUZZ_FUZZ_H

#include "engine/sealed.h"
#include "repo/backend/backend.h"

#include <stdint.h>

/* Defined by each target; called by libFuzzer or by replay_main.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- Properties ---- */

_Noreturn void fuzz_fail(const char *file, int line, const char *what);

/* Unlike assert(), there in every build. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

/* For calls that fail only without memory. */
#define FUZZ_OK(call) FUZZ_CHECK((call) == OV_OK)

/*
 * What was decoded from `input` was encoded again to `output`: they are the same bytes.
 * is_open: `input` may hold members of 64 and above, which the decoder forgets.
 */
void fuzz_check_again(struct ov_bytes input, struct ov_bytes output, bool is_open);

/* ---- Pieces of an input; all give less, or zero, at its end ---- */

uint8_t fuzz_take_byte(struct ov_bytes *input);
uint16_t fuzz_take_u16(struct ov_bytes *input);
struct ov_bytes fuzz_take(struct ov_bytes *input, size_t len);
/* le16 length, then the bytes. */
struct ov_bytes fuzz_take_piece(struct ov_bytes *input);

/* ---- Fixed keys ---- */

const struct ov_id *fuzz_repository(void);
const struct ov_keyring *fuzz_keyring(void);

/* A header with a fixed salt and epoch 1, or a clear one, as its type wants. */
struct ov_header fuzz_header(enum ov_file_type type, uint8_t kind, uint64_t number);

/* The keys of a file with this header. */
struct ov_file_keys fuzz_file_keys(const struct ov_header *header, enum ov_purpose purpose);

/* ---- Stored files ---- */

/*
 * Makes a file with a clear body of the input, whose first byte says how: 0: what follows is the
 * whole file; 1: all of it but the trailer; else: its body.
 */
void fuzz_make_clear_file(struct ov_bytes input, enum ov_file_type type, struct ov_buf *file);

/* A storage in which every name is this one file, and nothing can be written. */
struct fuzz_backend {
    struct ov_backend backend;
    struct ov_bytes file;
};

void fuzz_backend_init(struct fuzz_backend *backend, struct ov_bytes file);

/* An empty directory of this process, removed at its end. */
const char *fuzz_directory(void);

/* Writes a file in that directory. */
void fuzz_write_file(const char *name, struct ov_bytes bytes);

#endif
