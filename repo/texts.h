/*
 * Text and labels inside stored structures: bounded, valid UTF-8, owned as C strings.
 */
#ifndef OV_REPO_TEXTS_H
#define OV_REPO_TEXTS_H

#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/log_entry.h"

#define OV_TEXT_MAX 4096
#define OV_LABELS_MAX 256
#define OV_REFERENCE_MAX 400

/* A copy of `text`; NULL stays NULL. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_text_copy(const char *text, char **out, struct ov_error *err);

/* Reads a str that is not empty into a new C string. Errors: CORRUPT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_text_read(struct ov_cursor *c, char **out, struct ov_error *err);

/* The same of the name of an image, of at most OV_REFERENCE_MAX bytes. */
OV_MUST_CHECK enum ov_status ov_text_read_reference(struct ov_cursor *c, char **out,
                                                    struct ov_error *err);

/* Writes `key: text` unless text is NULL or empty. */
void ov_text_write_member(struct ov_writer *w, unsigned key, const char *text);

/* Whether ov_text_write_member() writes. */
static inline size_t ov_text_is_there(const char *text)
{
    return text && *text ? 1 : 0;
}

/* [[key, value], …], ascending by key. Leaves what it allocated in the outputs. */
OV_MUST_CHECK enum ov_status ov_labels_read(struct ov_cursor *c, struct ov_label **labels,
                                            size_t *count, struct ov_error *err);
void ov_labels_write(struct ov_writer *w, const struct ov_label *labels, size_t count);
OV_MUST_CHECK enum ov_status ov_labels_copy(const struct ov_label *labels, size_t count,
                                            struct ov_label **out, struct ov_error *err);
void ov_labels_free(struct ov_label *labels, size_t count);

#endif
