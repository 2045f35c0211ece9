/*
 * Reads one pack. Layout: docs/format/pack.md.
 *
 * After opening, a reader is constant and may be shared by threads, each with a decompressor of
 * its own.
 */
#ifndef OV_ENGINE_PACK_READER_H
#define OV_ENGINE_PACK_READER_H

#include "engine/base/io.h"
#include "engine/pack_table.h"

struct ov_pack_reader;

/*
 * Reads and checks the header.
 * name: what the file is called; kind: what the index says it holds.
 * source: copied; its context is borrowed and must outlive the reader.
 * Errors: NOT_FOUND, CORRUPT (damaged or under a wrong name), UNSUPPORTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_pack_reader_open(const struct ov_source *source,
                                                 const struct ov_id *name, enum ov_pack_kind kind,
                                                 const struct ov_keyring *keyring,
                                                 struct ov_pack_reader **out, struct ov_error *err);

/*
 * The same with a header that the file should begin with, and may not: for salvage.
 * Errors: CORRUPT (an impossible size), UNSUPPORTED (no such epoch), NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_pack_reader_open_as(const struct ov_source *source,
                                                    const struct ov_header *header,
                                                    const struct ov_keyring *keyring,
                                                    struct ov_pack_reader **out,
                                                    struct ov_error *err);

/* Wipes the keys. Accepts NULL. */
void ov_pack_reader_close(struct ov_pack_reader *reader);
OV_DEFINE_AUTO(ov_pack_reader_close_auto, struct ov_pack_reader, ov_pack_reader_close)

/*
 * Reads the frame `number`, whose section begins at `offset` and whose ciphertext has sealed_len
 * bytes. Release *out with ov_frame_release(). Errors: CORRUPT, UNSUPPORTED, NOT_FOUND, IO.
 */
OV_MUST_CHECK enum ov_status ov_pack_reader_frame(const struct ov_pack_reader *reader,
                                                  uint64_t number, uint64_t offset,
                                                  uint32_t sealed_len,
                                                  struct ov_decompressor *decompressor,
                                                  struct ov_frame *out, struct ov_error *err);

/* The same, but opens only the seal: `payload` is for ov_frame_decode(), or to be sealed again. */
OV_MUST_CHECK enum ov_status ov_pack_reader_payload(const struct ov_pack_reader *reader,
                                                    uint64_t number, uint64_t offset,
                                                    uint32_t sealed_len, struct ov_buf *payload,
                                                    struct ov_error *err);

/*
 * Reads the table from the end of the file and checks that its frames fill the file.
 * Release *out with ov_pack_table_release(). Errors: as above.
 */
OV_MUST_CHECK enum ov_status ov_pack_reader_table(const struct ov_pack_reader *reader,
                                                  struct ov_pack_table *out, struct ov_error *err);

/* Reads the whole file and checks its trailer: no key is needed. Errors: CORRUPT, IO, NOT_FOUND. */
OV_MUST_CHECK enum ov_status ov_stored_file_verify(const struct ov_source *source,
                                                   struct ov_error *err);

#endif
