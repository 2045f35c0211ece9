#include "benchmarks/modules/table.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void bench_table_begin(struct bench_table *table, bool is_json, const char *benchmark,
                       const char *note, const struct bench_column *columns, size_t count)
{
    assert(count <= BENCH_COLUMNS_MAX);
    table->is_json = is_json;
    table->benchmark = benchmark;
    table->columns = columns;
    table->column_count = count;
    table->row_count = 0;
    table->note = note;
}

static void print_json(const struct bench_table *table, const union bench_value *values)
{
    json_t *row = json_object();
    json_object_set_new(row, "benchmark", json_string(table->benchmark));
    for (size_t i = 0; i < table->column_count; i++) {
        const struct bench_column *column = &table->columns[i];
        json_t *value = column->decimals == BENCH_TEXT ? json_string(values[i].text)
                        : isnan(values[i].number)      ? json_null()
                                                       : json_real(values[i].number);
        json_object_set_new(row, column->key, value);
    }
    json_dumpf(row, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    printf("\n");
    fflush(stdout);
    json_decref(row);
}

void bench_table_row(struct bench_table *table, const union bench_value *values)
{
    if (table->is_json) {
        print_json(table, values);
        return;
    }
    assert(table->row_count < BENCH_ROWS_MAX);
    for (size_t i = 0; i < table->column_count; i++) {
        char *cell = table->cells[table->row_count][i];
        int decimals = table->columns[i].decimals;
        if (decimals == BENCH_TEXT)
            snprintf(cell, BENCH_CELL_SIZE, "%s", values[i].text);
        else if (isnan(values[i].number))
            snprintf(cell, BENCH_CELL_SIZE, "-");
        else
            snprintf(cell, BENCH_CELL_SIZE, "%.*f", decimals, values[i].number);
    }
    table->row_count++;
}

static int width_of(const struct bench_table *table, size_t column)
{
    size_t width = strlen(table->columns[column].title);
    for (size_t row = 0; row < table->row_count; row++) {
        size_t len = strlen(table->cells[row][column]);
        width = len > width ? len : width;
    }
    return (int)width;
}

void bench_table_end(struct bench_table *table)
{
    if (table->is_json)
        return;
    printf("%s\n\n", table->note);
    int width[BENCH_COLUMNS_MAX];
    for (size_t i = 0; i < table->column_count; i++) {
        width[i] = width_of(table, i);
        bool is_text = table->columns[i].decimals == BENCH_TEXT;
        printf("| %*s ", is_text ? -width[i] : width[i], table->columns[i].title);
    }
    printf("|\n");
    for (size_t i = 0; i < table->column_count; i++) {
        bool is_text = table->columns[i].decimals == BENCH_TEXT;
        printf("|%.*s%s", width[i] + 1,
               "----------------------------------------------------------"
               "------",
               is_text ? "-" : ":");
    }
    printf("|\n");
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t i = 0; i < table->column_count; i++) {
            bool is_text = table->columns[i].decimals == BENCH_TEXT;
            printf("| %*s ", is_text ? -width[i] : width[i], table->cells[row][i]);
        }
        printf("|\n");
    }
    printf("\n");
    fflush(stdout);
}
