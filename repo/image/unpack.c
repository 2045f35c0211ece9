#include "repo/image/unpack.h"

#include "engine/base/bytes.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define INPUT_SIZE ((size_t)256 << 10)
#define OUTPUT_MAX ((size_t)1 << 30) /* of one call: ISA-L counts in 32 bits */
#define WINDOW_LOG_MAX 27
#define MAGIC_SIZE 4
#define FRAME_HEADER_MAX 18 /* ZSTD_FRAMEHEADERSIZE_MAX */

enum state {
    STATE_START,    /* nothing is known of the input */
    STATE_PLAIN,    /* it is not packed */
    STATE_BETWEEN,  /* before a member or frame, or after the last one */
    STATE_INSIDE,   /* inside of a member or frame */
    STATE_TRAILING, /* after the last gzip member */
    STATE_END,
};

struct ov_unpacker {
    struct ov_stream input;
    char *what;
    enum state state;
    enum ov_packing packing;
    struct inflate_state *inflate; /* gzip */
    ZSTD_DStream *zstd;
    uint64_t frame_size; /* of the contents of the zstd frame, as it says: or UNKNOWN */
    uint64_t frame_done;
    bool input_has_ended;
    size_t at, len;   /* of what is in `buffer`: the next byte, the end */
    uint8_t buffer[]; /* INPUT_SIZE */
};

enum ov_status ov_unpacker_open(const struct ov_stream *input, const char *what,
                                struct ov_unpacker **out, struct ov_error *err)
{
    OV_AUTO(ov_unpacker_close_auto)
    struct ov_unpacker *unpacker = malloc(sizeof(*unpacker) + INPUT_SIZE);
    if (!unpacker)
        return ov_fail_no_memory(err);
    *unpacker = (struct ov_unpacker){.input = *input, .what = strdup(what)};
    if (!unpacker->what)
        return ov_fail_no_memory(err);
    *out = ov_steal(unpacker);
    return OV_OK;
}

void ov_unpacker_close(struct ov_unpacker *unpacker)
{
    if (!unpacker)
        return;
    ZSTD_freeDStream(unpacker->zstd);
    free(unpacker->inflate);
    free(unpacker->what);
    free(unpacker);
}

enum ov_packing ov_unpacker_packing(const struct ov_unpacker *unpacker)
{
    return unpacker->packing;
}

static const char *format_name(const struct ov_unpacker *unpacker)
{
    return unpacker->packing == OV_PACKING_GZIP ? "gzip" : "zstd";
}

static enum ov_status fail_cut_off(const struct ov_unpacker *unpacker, struct ov_error *err)
{
    return ov_fail(err, OV_ERR_CORRUPT, "%s: the %s data are cut off", unpacker->what,
                   format_name(unpacker));
}

static enum ov_status fail_damaged(const struct ov_unpacker *unpacker, const char *how,
                                   struct ov_error *err)
{
    return ov_fail(err, OV_ERR_CORRUPT, "%s: the %s data are damaged: %s", unpacker->what,
                   format_name(unpacker), how);
}

/* ---- Input ---- */

static size_t available(const struct ov_unpacker *unpacker)
{
    return unpacker->len - unpacker->at;
}

/* Has `count` bytes or more available, fewer only where the input ends. */
static enum ov_status expect(struct ov_unpacker *unpacker, size_t count, struct ov_error *err)
{
    while (available(unpacker) < count && !unpacker->input_has_ended) {
        size_t got;
        memmove(unpacker->buffer, unpacker->buffer + unpacker->at, available(unpacker));
        unpacker->len = available(unpacker);
        unpacker->at = 0;
        OV_TRY(ov_stream_read(&unpacker->input, unpacker->buffer + unpacker->len,
                              INPUT_SIZE - unpacker->len, &got, err));
        unpacker->len += got;
        unpacker->input_has_ended = got == 0;
    }
    return OV_OK;
}

static bool begins_with(const struct ov_unpacker *unpacker, const char *magic, size_t len)
{
    return available(unpacker) >= len && memcmp(unpacker->buffer + unpacker->at, magic, len) == 0;
}

static bool begins_zstd_frame(const struct ov_unpacker *unpacker)
{
    if (available(unpacker) < MAGIC_SIZE)
        return false;
    uint32_t magic = ov_load32(unpacker->buffer + unpacker->at);
    return magic == ZSTD_MAGICNUMBER ||
           (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static enum ov_status open_inflate(struct ov_unpacker *unpacker, struct ov_error *err)
{
    unpacker->inflate = malloc(sizeof(*unpacker->inflate));
    if (!unpacker->inflate)
        return ov_fail_no_memory(err);
    isal_inflate_init(unpacker->inflate);
    return OV_OK;
}

static enum ov_status open_zstd(struct ov_unpacker *unpacker, struct ov_error *err)
{
    unpacker->zstd = ZSTD_createDStream();
    if (!unpacker->zstd ||
        ZSTD_isError(ZSTD_DCtx_setParameter(unpacker->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return ov_fail_no_memory(err);
    return OV_OK;
}

static enum ov_status recognise(struct ov_unpacker *unpacker, struct ov_error *err)
{
    OV_TRY(expect(unpacker, MAGIC_SIZE, err));
    unpacker->state = STATE_BETWEEN;
    if (begins_with(unpacker, "\x1f\x8b\x08", 3)) {
        unpacker->packing = OV_PACKING_GZIP;
        return open_inflate(unpacker, err);
    }
    if (begins_zstd_frame(unpacker)) {
        unpacker->packing = OV_PACKING_ZSTD;
        return open_zstd(unpacker, err);
    }
    unpacker->state = STATE_PLAIN;
    return OV_OK;
}

static enum ov_status read_plain(struct ov_unpacker *unpacker, void *out, size_t size, size_t *got,
                                 struct ov_error *err)
{
    size_t n = available(unpacker);
    if (n == 0 && !unpacker->input_has_ended)
        return ov_stream_read(&unpacker->input, out, size, got, err);
    *got = n < size ? n : size;
    memcpy(out, unpacker->buffer + unpacker->at, *got);
    unpacker->at += *got;
    return OV_OK;
}

/* ---- gzip ---- */

/*
 * The header is read here and not by ISA-L, whose reader wants all of it at once. It is of any
 * length, and nothing of it is kept. The checksum is that of the header so far.
 */
static enum ov_status header_byte(struct ov_unpacker *unpacker, uint32_t *checksum, uint8_t *out,
                                  struct ov_error *err)
{
    OV_TRY(expect(unpacker, 1, err));
    if (available(unpacker) == 0)
        return fail_cut_off(unpacker, err);
    *out = unpacker->buffer[unpacker->at++];
    *checksum = crc32_gzip_refl(*checksum, out, 1);
    return OV_OK;
}

static enum ov_status header_u16(struct ov_unpacker *unpacker, uint32_t *checksum, unsigned *out,
                                 struct ov_error *err)
{
    uint8_t low, high;
    OV_TRY(header_byte(unpacker, checksum, &low, err));
    OV_TRY(header_byte(unpacker, checksum, &high, err));
    *out = low | (unsigned)high << 8;
    return OV_OK;
}

static enum ov_status skip_text(struct ov_unpacker *unpacker, uint32_t *checksum,
                                struct ov_error *err)
{
    uint8_t byte = 1;
    while (byte)
        OV_TRY(header_byte(unpacker, checksum, &byte, err));
    return OV_OK;
}

/* RFC 1952, section 2.3. */
static enum ov_status read_gzip_header(struct ov_unpacker *unpacker, struct ov_error *err)
{
    enum { HCRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16, RESERVED = 0xe0 };
    uint8_t fixed[10], byte;
    uint32_t checksum = 0;
    unsigned len, stored;
    for (size_t i = 0; i < sizeof(fixed); i++)
        OV_TRY(header_byte(unpacker, &checksum, &fixed[i], err));
    if (fixed[2] != 8)
        return fail_damaged(unpacker, "a compression method that is not known", err);
    if (fixed[3] & RESERVED)
        return fail_damaged(unpacker, "reserved flags are set", err);
    if (fixed[3] & EXTRA) {
        OV_TRY(header_u16(unpacker, &checksum, &len, err));
        for (unsigned i = 0; i < len; i++)
            OV_TRY(header_byte(unpacker, &checksum, &byte, err));
    }
    if (fixed[3] & NAME)
        OV_TRY(skip_text(unpacker, &checksum, err));
    if (fixed[3] & COMMENT)
        OV_TRY(skip_text(unpacker, &checksum, err));
    if (fixed[3] & HCRC) {
        uint32_t expected = checksum & 0xffff;
        OV_TRY(header_u16(unpacker, &checksum, &stored, err));
        if (stored != expected)
            return fail_damaged(unpacker, "wrong checksum of a header", err);
    }
    return OV_OK;
}

static enum ov_status begin_member(struct ov_unpacker *unpacker, struct ov_error *err)
{
    OV_TRY(expect(unpacker, 2, err));
    if (!begins_with(unpacker, "\x1f\x8b", 2)) {
        unpacker->state = STATE_TRAILING;
        return OV_OK;
    }
    OV_TRY(read_gzip_header(unpacker, err));
    isal_inflate_reset(unpacker->inflate);
    unpacker->inflate->crc_flag = ISAL_GZIP_NO_HDR_VER;
    unpacker->state = STATE_INSIDE;
    return OV_OK;
}

static enum ov_status judge_inflate(const struct ov_unpacker *unpacker, int result,
                                    struct ov_error *err)
{
    if (result == ISAL_DECOMP_OK || result == ISAL_END_INPUT)
        return OV_OK;
    if (result == ISAL_INCORRECT_CHECKSUM)
        return fail_damaged(unpacker, "wrong checksum", err);
    if (result == ISAL_INVALID_LOOKBACK)
        return fail_damaged(unpacker, "a match before the beginning", err);
    return fail_damaged(unpacker, "an invalid block or symbol", err);
}

/* *got may be 0, with another state or more of the input taken. */
static enum ov_status inflate_some(struct ov_unpacker *unpacker, uint8_t *out, size_t size,
                                   size_t *got, struct ov_error *err)
{
    struct inflate_state *inflate = unpacker->inflate;
    OV_TRY(expect(unpacker, 1, err));
    size_t given = available(unpacker);
    inflate->next_in = unpacker->buffer + unpacker->at;
    inflate->avail_in = (uint32_t)given;
    inflate->next_out = out;
    inflate->avail_out = (uint32_t)size;
    int result = isal_inflate(inflate);
    unpacker->at += given - inflate->avail_in;
    *got = size - inflate->avail_out;
    OV_TRY(judge_inflate(unpacker, result, err));
    if (inflate->block_state == ISAL_BLOCK_FINISH)
        unpacker->state = STATE_BETWEEN;
    else if (*got == 0 && given == 0)
        return fail_cut_off(unpacker, err);
    else if (*got == 0 && inflate->avail_in == given)
        return fail_damaged(unpacker, "an invalid block", err); /* no progress */
    return OV_OK;
}

/* Reads what is left, for whoever computes its digest. */
static enum ov_status pass_over(struct ov_unpacker *unpacker, struct ov_error *err)
{
    do {
        unpacker->at = unpacker->len;
        OV_TRY(expect(unpacker, 1, err));
    } while (available(unpacker));
    unpacker->state = STATE_END;
    return OV_OK;
}

/* ---- zstd ---- */

/* Checked here, for otherwise the library would also take formats from before version 1. */
static enum ov_status begin_frame(struct ov_unpacker *unpacker, struct ov_error *err)
{
    OV_TRY(expect(unpacker, FRAME_HEADER_MAX, err));
    if (available(unpacker) == 0) {
        unpacker->state = STATE_END;
        return OV_OK;
    }
    if (!begins_zstd_frame(unpacker))
        return fail_damaged(unpacker, "a frame is followed by something else", err);
    ZSTD_DCtx_reset(unpacker->zstd, ZSTD_reset_session_only);
    unpacker->frame_size =
        ZSTD_getFrameContentSize(unpacker->buffer + unpacker->at, available(unpacker));
    unpacker->frame_done = 0;
    unpacker->state = STATE_INSIDE;
    return OV_OK;
}

static enum ov_status fail_zstd(const struct ov_unpacker *unpacker, size_t result,
                                struct ov_error *err)
{
    ZSTD_ErrorCode code = ZSTD_getErrorCode(result);
    if (code == ZSTD_error_memory_allocation)
        return ov_fail_no_memory(err);
    if (code == ZSTD_error_frameParameter_windowTooLarge)
        return ov_fail(err, OV_ERR_LIMIT, "%s: a zstd window of more than %u MiB", unpacker->what,
                       1u << (WINDOW_LOG_MAX - 20));
    return fail_damaged(unpacker, ZSTD_getErrorName(result), err);
}

/* The library compares the size only where it happens to decode the frame in one go. */
static enum ov_status end_frame(struct ov_unpacker *unpacker, struct ov_error *err)
{
    unpacker->state = STATE_BETWEEN;
    if (unpacker->frame_size != ZSTD_CONTENTSIZE_UNKNOWN &&
        unpacker->frame_size != unpacker->frame_done)
        return fail_damaged(unpacker, "a frame is not as long as it says", err);
    return OV_OK;
}

static enum ov_status decompress_some(struct ov_unpacker *unpacker, uint8_t *out, size_t size,
                                      size_t *got, struct ov_error *err)
{
    OV_TRY(expect(unpacker, 1, err));
    ZSTD_inBuffer input = {unpacker->buffer, unpacker->len, unpacker->at};
    ZSTD_outBuffer output = {out, size, 0};
    size_t result = ZSTD_decompressStream(unpacker->zstd, &output, &input);
    bool has_moved = output.pos || input.pos != unpacker->at;
    unpacker->at = input.pos;
    *got = output.pos;
    unpacker->frame_done += output.pos;
    if (ZSTD_isError(result))
        return fail_zstd(unpacker, result, err);
    if (result == 0)
        return end_frame(unpacker, err);
    if (!has_moved)
        return fail_cut_off(unpacker, err);
    return OV_OK;
}

/* ---- Both ---- */

/* One step; *got may be 0 before the end. */
static enum ov_status step(struct ov_unpacker *unpacker, void *out, size_t size, size_t *got,
                           struct ov_error *err)
{
    bool is_gzip = unpacker->packing == OV_PACKING_GZIP;
    switch (unpacker->state) {
    case STATE_START:
        return recognise(unpacker, err);
    case STATE_PLAIN:
        return read_plain(unpacker, out, size, got, err);
    case STATE_BETWEEN:
        return is_gzip ? begin_member(unpacker, err) : begin_frame(unpacker, err);
    case STATE_INSIDE:
        return is_gzip ? inflate_some(unpacker, out, size, got, err)
                       : decompress_some(unpacker, out, size, got, err);
    case STATE_TRAILING:
        return pass_over(unpacker, err);
    case STATE_END:
        break;
    }
    return OV_OK;
}

static enum ov_status unpacker_read(void *context, void *out, size_t size, size_t *got,
                                    struct ov_error *err)
{
    struct ov_unpacker *unpacker = context;
    if (size > OUTPUT_MAX)
        size = OUTPUT_MAX;
    *got = 0;
    enum state before;
    do {
        before = unpacker->state;
        OV_TRY(step(unpacker, out, size, got, err));
    } while (*got == 0 && before != STATE_PLAIN && before != STATE_END);
    return OV_OK;
}

struct ov_stream ov_unpacker_stream(struct ov_unpacker *unpacker)
{
    return (struct ov_stream){unpacker, unpacker_read};
}
