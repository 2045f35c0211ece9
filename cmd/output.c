#include "cmd/output.h"

#include "engine/base/buf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

/* ---- Figures ---- */

struct ov_text ov_text_of_size(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct ov_text out;
    double size = (double)bytes;
    size_t unit = 0;
    while (size >= 1023.95 && unit + 1 < OV_ARRAY_LEN(units)) {
        size /= 1024;
        unit++;
    }
    snprintf(out.text, sizeof(out.text), "%.*f %s", unit ? 1 : 0, size, units[unit]);
    return out;
}

struct ov_text ov_text_of_count(uint64_t count)
{
    struct ov_text out;
    char digits[32];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out.text[to++] = ',';
        out.text[to++] = digits[i];
    }
    out.text[to] = 0;
    return out;
}

struct ov_text ov_text_of_time(int64_t seconds)
{
    struct ov_text out;
    struct tm tm;
    time_t when = (time_t)seconds;
    if (!localtime_r(&when, &tm) || !strftime(out.text, sizeof(out.text), "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(out.text, sizeof(out.text), "@%lld", (long long)seconds);
    return out;
}

struct ov_text ov_text_of_utc(int64_t seconds, uint32_t ns)
{
    struct ov_text out;
    struct tm tm;
    char fraction[16] = "";
    time_t when = (time_t)seconds;
    if (ns)
        snprintf(fraction, sizeof(fraction), ".%09u", ns % 1000000000U);
    size_t len =
        gmtime_r(&when, &tm) ? strftime(out.text, sizeof(out.text), "%Y-%m-%dT%H:%M:%S", &tm) : 0;
    if (len)
        snprintf(out.text + len, sizeof(out.text) - len, "%sZ", fraction);
    else
        snprintf(out.text, sizeof(out.text), "@%lld", (long long)seconds);
    return out;
}

struct ov_text ov_text_of_duration(double seconds)
{
    struct ov_text out;
    if (!(seconds >= 0 && seconds < 1e12))
        seconds = 0;
    unsigned long long whole = (unsigned long long)llround(seconds);
    if (seconds < 9.995)
        snprintf(out.text, sizeof(out.text), "%.2f s", seconds);
    else if (seconds < 59.95)
        snprintf(out.text, sizeof(out.text), "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(out.text, sizeof(out.text), "%llu:%02llu min", whole / 60, whole % 60);
    else
        snprintf(out.text, sizeof(out.text), "%llu:%02llu:%02llu h", whole / 3600, whole / 60 % 60,
                 whole % 60);
    return out;
}

/* ---- Names ---- */

/* Length of the UTF-8 character at `p`, and what it is; 0 when the bytes are no character. */
static size_t decode(const uint8_t *p, size_t len, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t need = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (!need || need > len || p[0] > 0xf4)
        return 0;
    uint32_t code = need == 1 ? p[0] : p[0] & (0x7fU >> need);
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[need] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *out = code;
    return need;
}

/* Would do something to a terminal, or change how what stands beside it is read. */
static bool is_dangerous(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xfeff;
}

enum ov_status ov_escape(struct ov_bytes name, struct ov_buf *out, struct ov_error *err)
{
    for (size_t i = 0; i < name.len;) {
        uint32_t code = 0;
        size_t len = decode(name.data + i, name.len - i, &code);
        if (len && !is_dangerous(code) && code != '\\') {
            OV_TRY(ov_buf_append(out, name.data + i, len, err));
            i += len;
            continue;
        }
        for (size_t end = i + (len ? len : 1); i < end; i++) {
            char text[8];
            uint8_t c = name.data[i];
            if (c == '\\' || c == '\n' || c == '\t')
                snprintf(text, sizeof(text), "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : '\\');
            else
                snprintf(text, sizeof(text), "\\x%02x", c);
            OV_TRY(ov_buf_append(out, text, strlen(text), err));
        }
    }
    return OV_OK;
}

void ov_print_name(FILE *stream, struct ov_bytes name)
{
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    if (ov_escape(name, &text, NULL) < 0)
        fputs("(out of memory)", stream);
    else if (text.len)
        fwrite(text.data, 1, text.len, stream);
}

bool ov_is_utf8(struct ov_bytes text)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t code = 0;
        size_t len = decode(text.data + i, text.len - i, &code);
        if (!len || !code)
            return false;
        i += len;
    }
    return true;
}

size_t ov_text_width(const char *text)
{
    size_t width = 0, len = strlen(text);
    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        size_t step = decode((const uint8_t *)text + i, len - i, &code);
        int columns = step ? wcwidth((wchar_t)code) : 1;
        width += columns > 0 ? (size_t)columns : 0;
        i += step ? step : 1;
    }
    return width;
}

/* ---- Terminals ---- */

static enum ov_color_choice color_choice;

void ov_output_set_color(enum ov_color_choice choice)
{
    color_choice = choice;
}

const char *ov_style(FILE *stream, enum ov_style style)
{
    static const char *const sequences[] = {"\033[0m",  "\033[1m",  "\033[2m", "\033[31m",
                                            "\033[32m", "\033[33m", "\033[34m"};
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    bool is_plain = (no_color && *no_color) || (terminal && strcmp(terminal, "dumb") == 0) ||
                    !isatty(fileno(stream));
    if (color_choice == OV_COLOR_NEVER || (color_choice == OV_COLOR_AUTO && is_plain))
        return "";
    return sequences[style];
}

size_t ov_terminal_width(FILE *stream)
{
    struct winsize size;
    if (!isatty(fileno(stream)))
        return 0;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

/* ---- Finishing ---- */

enum ov_status ov_output_check(struct ov_error *err)
{
    if (!ferror(stdout))
        return OV_OK;
    errno = 0; /* the write that failed is long past: another tells why */
    if (fflush(stdout) == 0 || !errno)
        errno = EIO;
    return ov_fail_errno(err, "cannot write to standard output");
}

enum ov_status ov_output_finish(struct ov_error *err)
{
    bool was_bad = ferror(stdout);
    errno = 0;
    if (fflush(stdout) || was_bad) {
        if (!errno)
            errno = EIO;
        enum ov_status status = ov_fail_errno(err, "cannot write to standard output");
        return status == OV_ERR_NO_MEMORY ? OV_ERR_IO : status;
    }
    if (fclose(stdout) && errno != EBADF)
        return ov_fail_errno(err, "cannot write to standard output");
    return OV_OK;
}
