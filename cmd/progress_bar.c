#include "cmd/progress_bar.h"

#include "cmd/interrupt.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "engine/base/buf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_AFTER 0.5     /* seconds: shorter work shows nothing */
#define TERMINAL_EVERY 0.15 /* seconds */
#define JSON_EVERY 1.0      /* seconds */
#define RATE_WINDOW 3.0     /* seconds over which the rate is smoothed */
#define WIDTH_MAX 200

struct ov_progress_bar {
    struct ov_progress_bar_options options;
    bool is_terminal;
    bool is_drawn;
    double start;
    double last;    /* drawn */
    double rate;    /* bytes a second, smoothed */
    double rate_at; /* when it was measured */
    uint64_t rate_bytes;
    struct ov_progress now; /* without `current` */
    char current[512];
};

enum ov_status ov_progress_bar_open(const struct ov_progress_bar_options *options,
                                    struct ov_progress_bar **out, struct ov_error *err)
{
    struct ov_progress_bar *bar = calloc(1, sizeof(*bar));
    if (!bar)
        return ov_fail_no_memory(err);
    bar->options = *options;
    bar->is_terminal = isatty(STDERR_FILENO) && !options->is_json && !options->is_quiet;
    bar->start = bar->rate_at = ov_clock();
    *out = bar;
    return OV_OK;
}

void ov_progress_bar_close(struct ov_progress_bar *bar)
{
    if (!bar)
        return;
    ov_progress_bar_hide(bar);
    free(bar);
}

void ov_progress_bar_hide(struct ov_progress_bar *bar)
{
    if (!bar || !bar->is_drawn)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    bar->is_drawn = false;
}

/* Share of the work that is done, or -1. Totals may be estimates. */
static double share_done(const struct ov_progress *now)
{
    double share = -1;
    if (now->total_bytes)
        share = (double)now->bytes / (double)now->total_bytes;
    else if (now->total_files)
        share = (double)now->files / (double)now->total_files;
    return share > 1 ? 1 : share;
}

static double seconds_left(const struct ov_progress_bar *bar, double elapsed)
{
    double share = share_done(&bar->now);
    return share > 0.01 && elapsed > 0 ? elapsed * (1 - share) / share : -1;
}

static void measure_rate(struct ov_progress_bar *bar, double now)
{
    double elapsed = now - bar->rate_at;
    if (elapsed < 0.1)
        return;
    if (bar->now.bytes < bar->rate_bytes) /* work that begins again */
        bar->rate_bytes = bar->now.bytes;
    double sample = (double)(bar->now.bytes - bar->rate_bytes) / elapsed;
    /* At first the mean over everything. */
    double window = now - bar->start < RATE_WINDOW ? now - bar->start : RATE_WINDOW;
    double weight = elapsed < window ? elapsed / window : 1;
    bar->rate += weight * (sample - bar->rate);
    bar->rate_at = now;
    bar->rate_bytes = bar->now.bytes;
}

static void clock_text(double seconds, char *out, size_t size)
{
    unsigned long whole = seconds > 0 && seconds < 1e9 ? (unsigned long)seconds : 0;
    if (whole < 3600)
        snprintf(out, size, "%lu:%02lu", whole / 60, whole % 60);
    else
        snprintf(out, size, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
}

/* "0:03  41%  6,235 files  312.1 MiB  104.0 MiB/s  ETA 0:04" */
static size_t describe(const struct ov_progress_bar *bar, double now, char *out, size_t size)
{
    char elapsed[32], left[48] = "", share[16] = "", rate[80] = "";
    double seconds = now - bar->start, remaining = seconds_left(bar, seconds);
    clock_text(seconds, elapsed, sizeof(elapsed));
    if (share_done(&bar->now) >= 0)
        snprintf(share, sizeof(share), "  %3.0f%%", 100 * share_done(&bar->now));
    if (bar->now.bytes)
        snprintf(rate, sizeof(rate), "  %s/s", ov_text_of_size((uint64_t)bar->rate).text);
    if (remaining >= 0) {
        clock_text(remaining, left + 6, sizeof(left) - 6);
        memcpy(left, "  ETA ", 6);
    }
    int len = snprintf(out, size, "%s%s  %s %s%s  %s%s%s", elapsed, share,
                       ov_text_of_count(bar->now.files).text, bar->options.counts,
                       ov_plural(bar->now.files, "", "s"), ov_text_of_size(bar->now.bytes).text,
                       rate, left);
    return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
}

/* The end of the path says most; it is shown when there is room. */
static void draw_line(struct ov_progress_bar *bar, double now)
{
    char line[WIDTH_MAX + 1];
    size_t width = ov_terminal_width(stderr);
    size_t len = describe(bar, now, line, sizeof(line));
    if (width > WIDTH_MAX)
        width = WIDTH_MAX;
    if (width && len >= width)
        line[width - 1] = 0;
    fprintf(stderr, "\r\033[K%s", line);
    OV_AUTO(ov_buf_release) struct ov_buf path = {0};
    if (bar->current[0] && len + 12 < width &&
        ov_escape(ov_bytes_of_string(bar->current), &path, NULL) >= 0 &&
        ov_buf_append(&path, "", 1, NULL) >= 0) {
        const char *tail = (const char *)path.data;
        size_t room = width - len - 3;
        bool is_cut = false;
        while (*tail && ov_text_width(tail) + is_cut > room) {
            is_cut = true;
            do
                tail++;
            while ((*tail & 0xc0) == 0x80);
        }
        fprintf(stderr, "  %s%s%s%s", ov_style(stderr, OV_STYLE_DIM), is_cut ? "…" : "", tail,
                ov_style(stderr, OV_STYLE_RESET));
    }
    fflush(stderr);
    bar->is_drawn = true;
}

static void print_json(const struct ov_progress_bar *bar, double now)
{
    struct ov_json json;
    struct ov_error problem;
    double seconds = now - bar->start, remaining = seconds_left(bar, seconds);
    ov_json_init(&json, "status");
    ov_json_number(&json, "seconds_elapsed", (uint64_t)seconds);
    if (remaining >= 0)
        ov_json_number(&json, "seconds_remaining", (uint64_t)remaining);
    if (share_done(&bar->now) >= 0)
        ov_json_real(&json, "percent_done", share_done(&bar->now));
    if (bar->now.total_files)
        ov_json_number(&json, "total_files", bar->now.total_files);
    ov_json_number(&json, "files_done", bar->now.files);
    if (bar->now.total_bytes)
        ov_json_number(&json, "total_bytes", bar->now.total_bytes);
    ov_json_number(&json, "bytes_done", bar->now.bytes);
    if (bar->current[0])
        ov_json_name(&json, "current", ov_bytes_of_string(bar->current));
    (void)!ov_json_print(&json, stderr, &problem); /* a status line may be lost */
}

static void print_status(struct ov_progress_bar *bar)
{
    char line[WIDTH_MAX + 1];
    double now = ov_clock();
    if (bar->options.is_json) {
        print_json(bar, now);
        return;
    }
    describe(bar, now, line, sizeof(line));
    ov_progress_bar_hide(bar);
    fprintf(stderr, "ociv2 %s: %s%s", bar->options.verb, line, bar->current[0] ? "  " : "");
    ov_print_name(stderr, ov_bytes_of_string(bar->current));
    fputc('\n', stderr);
}

void ov_progress_bar_poll(struct ov_progress_bar *bar)
{
    if (bar && ov_interrupt_take_status())
        print_status(bar);
}

void ov_progress_bar_update(struct ov_progress_bar *bar, const struct ov_progress *progress)
{
    double now = ov_clock();
    bar->now = *progress;
    bar->now.current = NULL;
    if (progress->bytes < bar->rate_bytes)
        bar->rate_bytes = 0; /* the work began anew */
    measure_rate(bar, now);
    bar->current[0] = 0;
    if (progress->current)
        strncat(bar->current, progress->current, sizeof(bar->current) - 1);
    ov_progress_bar_poll(bar);
    if (now - bar->start < FIRST_AFTER || bar->options.is_quiet)
        return;
    if (bar->is_terminal && now - bar->last >= TERMINAL_EVERY)
        draw_line(bar, now);
    else if (bar->options.is_json && now - bar->last >= JSON_EVERY)
        print_json(bar, now);
    else
        return;
    bar->last = now;
}
