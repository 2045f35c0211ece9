/*
 * Checkpoints. Input: byte 0: 0: the outer document follows; 1: the inner; else: the outer as a
 * piece, then the inner.
 *
 * Property: what decodes is encoded as the same bytes.
 */
#include "fuzz.h"

#include "repo/log_file.h"

static void encode(const struct ov_state *state, struct ov_buf *outer, struct ov_buf *inner)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header;
    struct ov_bytes body;
    FUZZ_OK(ov_checkpoint_encode(state, fuzz_keyring(), &file, NULL));
    FUZZ_OK(
        ov_file_open(ov_buf_view(&file), OV_FILE_CHECKPOINT, "again", &header, &body, NULL, NULL));
    FUZZ_OK(ov_log_file_section(&header, OV_PURPOSE_LOG, 0, fuzz_keyring(), &body, outer, "again",
                                NULL));
    FUZZ_OK(ov_log_file_section(&header, OV_PURPOSE_META, 1, fuzz_keyring(), &body, inner, "again",
                                NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    OV_AUTO(ov_buf_release) struct ov_buf outer_again = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner_again = {0};
    struct ov_bytes inner = ov_bytes_of(data, size);
    struct ov_error err;
    uint8_t how = fuzz_take_byte(&inner);
    struct ov_bytes outer = how == 0   ? inner
                            : how == 1 ? (struct ov_bytes){0}
                                       : fuzz_take_piece(&inner);
    if (how != 1 && ov_checkpoint_outer_decode(outer, &state, "input", &err) < 0)
        return 0;
    if (how != 0 && ov_checkpoint_inner_decode(inner, &state, "input", &err) < 0)
        return 0;
    encode(&state, &outer_again, &inner_again);
    if (how != 1)
        fuzz_check_again(outer, ov_buf_view(&outer_again), false);
    if (how != 0)
        fuzz_check_again(inner, ov_buf_view(&inner_again), true);
    return 0;
}
