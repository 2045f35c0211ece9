/*
 * What people read on standard output: figures, times, names, colours, tables.
 */
#ifndef OV_CMD_OUTPUT_H
#define OV_CMD_OUTPUT_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

#include <stdio.h>

/* A short text by value: use as ov_text_of_size(n).text inside one expression. */
struct ov_text {
    char text[64];
};

struct ov_text ov_text_of_size(uint64_t bytes);              /* "573.1 MiB" */
struct ov_text ov_text_of_count(uint64_t count);             /* "15,190" */
struct ov_text ov_text_of_time(int64_t seconds);             /* local: "2026-01-31 13:30:00" */
struct ov_text ov_text_of_utc(int64_t seconds, uint32_t ns); /* RFC 3339, for JSON */
struct ov_text ov_text_of_duration(double seconds);          /* "0.41 s", "3:07", "1:02:03" */

/* "file" or "files" */
static inline const char *ov_plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

/*
 * A name made safe for terminals, and unambiguous: control bytes, bytes that are not UTF-8,
 * characters that change the direction of writing, and backslashes are escaped as \xNN, \n, \\.
 * Appends without a NUL. Errors: NO_MEMORY.
 */
struct ov_buf;
OV_MUST_CHECK enum ov_status ov_escape(struct ov_bytes name, struct ov_buf *out,
                                       struct ov_error *err);

/* Prints an escaped name. */
void ov_print_name(FILE *stream, struct ov_bytes name);

/* Whether the bytes are valid UTF-8 without NUL. */
bool ov_is_utf8(struct ov_bytes text);

/* How many columns a UTF-8 text takes. */
size_t ov_text_width(const char *text);

/* ---- Terminals ---- */

enum ov_color_choice { OV_COLOR_AUTO, OV_COLOR_ALWAYS, OV_COLOR_NEVER };

enum ov_style {
    OV_STYLE_RESET,
    OV_STYLE_BOLD,
    OV_STYLE_DIM,
    OV_STYLE_RED,
    OV_STYLE_GREEN,
    OV_STYLE_YELLOW,
    OV_STYLE_BLUE,
};

/* AUTO: where the stream is a terminal, unless NO_COLOR is set. */
void ov_output_set_color(enum ov_color_choice choice);

/* The escape sequence, or "" where there are no colours. */
const char *ov_style(FILE *stream, enum ov_style style);

/* Columns of the terminal; 0 when the stream is none. */
size_t ov_terminal_width(FILE *stream);

/* ---- Finishing ---- */

/*
 * Whether everything printed so far could be written. For long lists: stops early when nobody
 * reads any more. Errors: IO.
 */
OV_MUST_CHECK enum ov_status ov_output_check(struct ov_error *err);

/* Flushes and closes standard output. Errors: IO (a full disk, a closed pipe). */
OV_MUST_CHECK enum ov_status ov_output_finish(struct ov_error *err);

/* ---- Tables ---- */

struct ov_column {
    const char *title;
    bool is_right;    /* aligned to the right */
    bool is_flexible; /* may be cut when the terminal is narrow */
};

#define OV_COLUMNS_MAX 12

/* Rows are gathered, then printed as wide as they need, at most as wide as the terminal. */
struct ov_table {
    const struct ov_column *columns;
    size_t column_count;
    char **cells; /* row by row */
    size_t cell_count, cell_capacity;
};

void ov_table_init(struct ov_table *table, const struct ov_column *columns, size_t count);
void ov_table_release(struct ov_table *table);

/*
 * Adds the next cell, copied; a row is complete after as many cells as there are columns. Escaped
 * as by ov_escape(). Errors: NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_table_add(struct ov_table *table, const char *cell,
                                          struct ov_error *err);

/* Prints titles and rows to standard output; nothing when there are no rows. */
void ov_table_print(const struct ov_table *table);

#endif
