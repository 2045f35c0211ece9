#include "cmd/output.h"
#include "engine/base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2          /* columns between two columns */
#define FLEXIBLE_MIN 8 /* a flexible column is not cut below this */

void ov_table_init(struct ov_table *table, const struct ov_column *columns, size_t count)
{
    assert(count <= OV_COLUMNS_MAX);
    *table = (struct ov_table){.columns = columns, .column_count = count};
}

void ov_table_release(struct ov_table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct ov_table){0};
}

enum ov_status ov_table_add(struct ov_table *table, const char *cell, struct ov_error *err)
{
    struct ov_buf text = {0};
    OV_TRY(ov_array_grow(&table->cells, table->cell_count, &table->cell_capacity,
                         sizeof(*table->cells), err));
    enum ov_status status = ov_escape(ov_bytes_of_string(cell), &text, err);
    if (status >= 0)
        status = ov_buf_append(&text, "", 1, err);
    if (status < 0) {
        ov_buf_release(&text);
        return status;
    }
    table->cells[table->cell_count++] = (char *)text.data;
    return OV_OK;
}

/* Makes flexible columns narrower, the widest first, until the table fits. */
static void fit(const struct ov_table *table, size_t widths[OV_COLUMNS_MAX], size_t available)
{
    for (;;) {
        size_t total = 0, widest = table->column_count;
        for (size_t i = 0; i < table->column_count; i++) {
            total += widths[i] + (i ? GAP : 0);
            if (table->columns[i].is_flexible && widths[i] > FLEXIBLE_MIN &&
                (widest == table->column_count || widths[i] > widths[widest]))
                widest = i;
        }
        if (total <= available || widest == table->column_count)
            return;
        widths[widest]--;
    }
}

/* Prints as much of `text` as fits, an ellipsis where it is cut, and blanks around it. */
static void print_cell(const char *text, size_t width, bool is_right, bool is_last)
{
    size_t has = ov_text_width(text);
    size_t blanks = width > has ? width - has : 0;
    if (is_right)
        printf("%*s", (int)blanks, "");
    if (has <= width) {
        fputs(text, stdout);
    } else {
        size_t used = 0;
        while (used + 1 < width && *text) {
            size_t len = 1;
            while ((text[len] & 0xc0) == 0x80)
                len++;
            char character[8] = "";
            memcpy(character, text, len < sizeof(character) ? len : sizeof(character) - 1);
            size_t columns = ov_text_width(character);
            if (used + columns + 1 > width)
                break;
            fputs(character, stdout);
            used += columns;
            text += len;
        }
        printf("…%*s", (int)(width - used - 1), "");
    }
    if (!is_right && !is_last)
        printf("%*s", (int)blanks, "");
}

static void print_rows(const struct ov_table *table, const size_t widths[OV_COLUMNS_MAX])
{
    size_t columns = table->column_count;
    printf("%s", ov_style(stdout, OV_STYLE_BOLD));
    for (size_t i = 0; i < columns; i++) {
        printf("%*s", i ? GAP : 0, "");
        print_cell(table->columns[i].title, widths[i], table->columns[i].is_right,
                   i + 1 == columns);
    }
    printf("%s\n", ov_style(stdout, OV_STYLE_RESET));
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t column = i % columns;
        bool is_last = column + 1 == columns;
        printf("%*s", column ? GAP : 0, "");
        print_cell(table->cells[i], widths[column], table->columns[column].is_right, is_last);
        if (is_last)
            putchar('\n');
    }
}

void ov_table_print(const struct ov_table *table)
{
    size_t widths[OV_COLUMNS_MAX] = {0};
    size_t columns = table->column_count;
    if (!table->cell_count)
        return;
    for (size_t i = 0; i < columns; i++)
        widths[i] = ov_text_width(table->columns[i].title);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = ov_text_width(table->cells[i]);
        if (width > widths[i % columns])
            widths[i % columns] = width;
    }
    size_t available = ov_terminal_width(stdout);
    if (available)
        fit(table, widths, available);
    print_rows(table, widths);
}
