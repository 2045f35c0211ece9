/*
 * Results as a table: aligned Markdown, or one JSON object for each row.
 */
#ifndef OV_BENCHMARKS_MODULES_TABLE_H
#define OV_BENCHMARKS_MODULES_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define BENCH_COLUMNS_MAX 10
#define BENCH_ROWS_MAX 64
#define BENCH_CELL_SIZE 64

struct bench_column {
    const char *key;   /* in JSON */
    const char *title; /* for people */
    int decimals;      /* of numbers; BENCH_TEXT for text */
};

#define BENCH_TEXT (-1)

union bench_value {
    const char *text;
    double number; /* NAN: nothing */
};

static inline union bench_value bench_text(const char *text)
{
    return (union bench_value){.text = text};
}

static inline union bench_value bench_number(double number)
{
    return (union bench_value){.number = number};
}

struct bench_table {
    bool is_json;
    const char *benchmark;
    const char *note;
    const struct bench_column *columns;
    size_t column_count;
    size_t row_count;
    char cells[BENCH_ROWS_MAX][BENCH_COLUMNS_MAX][BENCH_CELL_SIZE];
};

/* note: a line above the table. Both it and columns: borrowed. */
void bench_table_begin(struct bench_table *table, bool is_json, const char *benchmark,
                       const char *note, const struct bench_column *columns, size_t count);

/* One value for each column. With JSON it is printed at once. */
void bench_table_row(struct bench_table *table, const union bench_value *values);

/* Prints the table. */
void bench_table_end(struct bench_table *table);

#endif
