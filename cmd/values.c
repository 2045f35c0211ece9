#include "cmd/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum ov_status ov_parse_number(const char *text, uint64_t *out, struct ov_error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
    if (!end || *end || errno)
        return ov_fail(err, OV_ERR_INVALID, "'%.100s' is not a whole number", text);
    *out = number;
    return OV_OK;
}

enum ov_status ov_parse_size(const char *text, uint64_t *out, struct ov_error *err)
{
    static const char units[] = "KMGTP";
    char *end = NULL;
    double size = isdigit((unsigned char)*text) ? strtod(text, &end) : -1;
    if (end && *end) {
        const char *unit = strchr(units, toupper((unsigned char)*end));
        if (unit) {
            size *= pow(1024, (double)(unit - units + 1));
            end += end[1] == 'i' && end[2] == 'B' ? 3 : end[1] == 'i' || end[1] == 'B' ? 2 : 1;
        } else if (*end == 'B') {
            end++;
        }
    }
    if (!end || *end || !(size >= 0 && size < 9e18))
        return ov_fail(err, OV_ERR_INVALID, "'%.100s' is not a size such as 512, 64K or 1.5G",
                       text);
    *out = (uint64_t)size;
    return OV_OK;
}

enum ov_status ov_parse_percent(const char *text, double *out, struct ov_error *err)
{
    char *end = NULL;
    double percent = isdigit((unsigned char)*text) ? strtod(text, &end) : -1;
    if (end && *end == '%')
        end++;
    if (!end || *end || !(percent > 0 && percent <= 100))
        return ov_fail(err, OV_ERR_INVALID,
                       "'%.100s' is not a percentage above 0%% and up to 100%%", text);
    *out = percent / 100;
    return OV_OK;
}

enum ov_status ov_parse_period(const char *text, struct ov_period *out, struct ov_error *err)
{
    struct ov_period period = {0};
    const char *p = text;
    bool is_valid = *p;
    while (is_valid && *p) {
        char *end = NULL;
        unsigned long number = isdigit((unsigned char)*p) ? strtoul(p, &end, 10) : 0;
        is_valid = end && number <= 100000;
        if (!is_valid)
            break;
        unsigned amount = (unsigned)number;
        switch (*end) {
        case 'y':
            period.years += amount;
            break;
        case 'm':
            period.months += amount;
            break;
        case 'w':
            period.days += 7 * amount;
            break;
        case 'd':
            period.days += amount;
            break;
        case 'h':
            period.hours += amount;
            break;
        default:
            is_valid = false;
        }
        p = end + (*end ? 1 : 0);
    }
    if (!is_valid)
        return ov_fail(err, OV_ERR_INVALID, "'%.100s' is not a duration such as 14d, 2w or 1y6m",
                       text);
    *out = period;
    return OV_OK;
}

enum ov_status ov_parse_duration(const char *text, uint64_t *seconds, struct ov_error *err)
{
    static const char units[] = "smhd";
    static const uint64_t lengths[] = {1, 60, 3600, 86400};
    uint64_t total = 0;
    const char *p = text, *unit = NULL;
    do {
        char *end = NULL;
        unsigned long number = isdigit((unsigned char)*p) ? strtoul(p, &end, 10) : 0;
        unit = end && *end && number <= 1000000 ? strchr(units, *end) : NULL;
        if (!unit)
            break;
        total += number * lengths[unit - units];
        p = end + 1;
    } while (*p);
    if (!unit || total == 0)
        return ov_fail(err, OV_ERR_INVALID,
                       "'%.100s' is not a time such as 90s, 30m, 2h, 1h30m or 1d", text);
    *seconds = total;
    return OV_OK;
}

/* The rest of an RFC 3339 time, after the seconds. */
static bool parse_fraction_and_zone(const char *p, long *ns, bool *has_zone, long *offset)
{
    *ns = 0;
    *has_zone = false;
    *offset = 0;
    if (*p == '.') {
        long unit = 100000000;
        for (p++; isdigit((unsigned char)*p); p++, unit /= 10)
            *ns += (*p - '0') * unit;
    }
    if (*p == 'Z' || *p == 'z') {
        *has_zone = true;
        return !p[1];
    }
    unsigned hours, minutes;
    int len = 0;
    if ((*p == '+' || *p == '-') && sscanf(p + 1, "%2u:%2u%n", &hours, &minutes, &len) == 2 &&
        !p[1 + len] && hours < 24 && minutes < 60) {
        *has_zone = true;
        *offset = (long)(hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
        return true;
    }
    return !*p;
}

enum ov_status ov_parse_time(const char *text, struct timespec *out, struct ov_error *err)
{
    static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
                                          "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    uint64_t seconds;
    if (*text == '@' && ov_parse_number(text + 1, &seconds, NULL) >= 0 && seconds < INT64_MAX / 2) {
        *out = (struct timespec){(time_t)seconds, 0};
        return OV_OK;
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(formats); i++) {
        struct tm tm = {.tm_isdst = -1};
        const char *rest = strptime(text, formats[i], &tm);
        bool has_zone = false;
        long ns = 0, offset = 0;
        if (!rest || (i < 2 ? !parse_fraction_and_zone(rest, &ns, &has_zone, &offset) : *rest != 0))
            continue;
        struct tm given = tm;
        time_t when = has_zone ? timegm(&tm) - offset : mktime(&tm);
        if (given.tm_mday != tm.tm_mday) /* 31 February */
            break;
        *out = (struct timespec){when, ns};
        return OV_OK;
    }
    return ov_fail(err, OV_ERR_INVALID,
                   "'%.100s' is not a time such as \"2026-01-31 13:30:00\", "
                   "2026-01-31T13:30:00Z or @1700000000",
                   text);
}
