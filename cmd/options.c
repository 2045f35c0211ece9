#include "cmd/options.h"

#include "engine/base/buf.h"

#include <assert.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 64
#define FIRST_LONG 256 /* values of long options, beyond all letters */
#define WORD_MAX 64

/* What getopt needs, made from two tables. */
struct parser {
    const struct ov_option *options[OPTIONS_MAX];
    struct option longs[OPTIONS_MAX + 1];
    char shorts[3 * OPTIONS_MAX + 3];
    size_t count;
};

size_t ov_word_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best)
                best = before[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                earlier[j - 2] + 1 < best)
                best = earlier[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

static void add_table(struct parser *parser, const struct ov_option *table)
{
    for (; table && table->kind != OV_OPTION_END; table++) {
        size_t i = parser->count++;
        assert(i < OPTIONS_MAX);
        bool has_argument = ov_option_has_argument(table);
        parser->options[i] = table;
        parser->longs[i] = (struct option){table->name, has_argument, NULL, FIRST_LONG + (int)i};
        if (table->letter && !strchr(parser->shorts, table->letter)) {
            char text[3] = {table->letter, has_argument ? ':' : 0, 0};
            strncat(parser->shorts, text, sizeof(parser->shorts) - strlen(parser->shorts) - 1);
        }
    }
}

static const struct ov_option *find(const struct parser *parser, int value)
{
    if (value >= FIRST_LONG)
        return parser->options[value - FIRST_LONG];
    for (size_t i = 0; i < parser->count; i++)
        if (parser->options[i]->letter && parser->options[i]->letter == value)
            return parser->options[i];
    return NULL;
}

/* getopt has met something it cannot place. */
static enum ov_status unknown(const struct parser *parser, const char *word, int value,
                              struct ov_error *err)
{
    const struct ov_option *known = value ? find(parser, value) : NULL;
    if (known)
        return ov_fail(err, OV_ERR_INVALID, "option --%s takes no value", known->name);
    if (value)
        return ov_fail(err, OV_ERR_INVALID, "there is no option -%c", value);
    char name[WORD_MAX + 1];
    size_t len = strcspn(word + 2, "=");
    if (len > WORD_MAX)
        return ov_fail(err, OV_ERR_INVALID, "there is no option %.100s", word);
    memcpy(name, word + 2, len);
    name[len] = 0;
    const char *nearest = NULL, *first = NULL, *second = NULL;
    size_t best = len / 3 + 2;
    for (size_t i = 0; i < parser->count; i++) {
        const char *candidate = parser->options[i]->name;
        size_t distance = ov_word_distance(name, candidate);
        if (distance < best) {
            best = distance;
            nearest = candidate;
        }
        if (strncmp(candidate, name, len) == 0) {
            second = first ? candidate : NULL;
            first = first ? first : candidate;
        }
    }
    if (second)
        return ov_fail(err, OV_ERR_INVALID, "option --%s could be --%s or --%s", name, first,
                       second);
    if (nearest)
        return ov_fail(err, OV_ERR_INVALID, "there is no option --%s; did you mean --%s?", name,
                       nearest);
    return ov_fail(err, OV_ERR_INVALID, "there is no option --%s", name);
}

static enum ov_status choose(const struct ov_option *option, const char *text, struct ov_error *err)
{
    char list[200] = "";
    for (unsigned i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *option->value.count = i;
            return OV_OK;
        }
        const char *comma = !i ? "" : option->choices[i + 1] ? ", " : " or ";
        strncat(list, comma, sizeof(list) - strlen(list) - 1);
        strncat(list, option->choices[i], sizeof(list) - strlen(list) - 1);
    }
    return ov_fail(err, OV_ERR_INVALID, "'%.100s' is not one of %s", text, list);
}

static enum ov_status add_string(struct ov_strings *strings, const char *text, struct ov_error *err)
{
    OV_TRY(ov_array_grow(&strings->items, strings->count, &strings->capacity,
                         sizeof(*strings->items), err));
    strings->items[strings->count++] = text;
    return OV_OK;
}

static enum ov_status store(const struct ov_option *option, const char *text, struct ov_error *err)
{
    switch (option->kind) {
    case OV_OPTION_END:
        break;
    case OV_OPTION_FLAG:
        *option->value.flag = true;
        break;
    case OV_OPTION_COUNT:
        ++*option->value.count;
        break;
    case OV_OPTION_STRING:
        *option->value.string = text;
        break;
    case OV_OPTION_REPEATED:
        return add_string(option->value.strings, text, err);
    case OV_OPTION_NUMBER:
        return ov_parse_number(text, option->value.number, err);
    case OV_OPTION_SIZE:
        return ov_parse_size(text, option->value.number, err);
    case OV_OPTION_PERCENT:
        return ov_parse_percent(text, option->value.share, err);
    case OV_OPTION_PERIOD:
        return ov_parse_period(text, option->value.period, err);
    case OV_OPTION_DURATION:
        return ov_parse_duration(text, option->value.number, err);
    case OV_OPTION_TIME:
        return ov_parse_time(text, option->value.time, err);
    case OV_OPTION_CHOICE:
        return choose(option, text, err);
    }
    return OV_OK;
}

enum ov_status ov_options_parse(const struct ov_option *a, const struct ov_option *b, int argc,
                                char **argv, bool stops_at_word, int *first, struct ov_error *err)
{
    struct parser parser = {.shorts = ":"};
    if (stops_at_word)
        strncpy(parser.shorts, "+:", sizeof(parser.shorts) - 1);
    add_table(&parser, a);
    add_table(&parser, b);
    optind = 0; /* GNU: begin anew */
    opterr = 0;
    for (;;) {
        int value = getopt_long(argc, argv, parser.shorts, parser.longs, NULL);
        if (value == -1)
            break;
        if (value == '?')
            return unknown(&parser, argv[optind - 1], optopt, err);
        const struct ov_option *option = find(&parser, value == ':' ? optopt : value);
        if (value == ':')
            return ov_fail(err, OV_ERR_INVALID, "option --%s needs a value: %s", option->name,
                           option->argument);
        enum ov_status status = store(option, optarg, err);
        if (status < 0)
            return ov_error_context(err, status, "--%s", option->name);
        if (option->is_given)
            *option->is_given = true;
    }
    *first = optind;
    return OV_OK;
}
