/*
 * Log entries. Input: byte 0: 0: the outer document follows; 1: the inner; else: the outer as a
 * piece, then the inner.
 *
 * Properties: what decodes is encoded as the same bytes. A whole entry that may follow the empty
 * state gives a state that survives as a checkpoint.
 */
#include "fuzz.h"

#include "repo/log_file.h"

static void check_state(const struct ov_log_entry *entry)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    OV_AUTO(ov_state_release) struct ov_state again = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_error err;
    struct fuzz_backend storage;
    bool is_same;
    if (ov_state_check(&state, entry, &err) < 0)
        return;
    FUZZ_OK(ov_state_apply(&state, entry, fuzz_repository(), NULL));
    FUZZ_OK(ov_checkpoint_encode(&state, fuzz_keyring(), &file, NULL));
    fuzz_backend_init(&storage, ov_buf_view(&file));
    FUZZ_OK(ov_checkpoint_read(&storage.backend, fuzz_keyring(), state.number, &again, NULL));
    FUZZ_OK(ov_state_is_same(&state, &again, &is_same, NULL));
    FUZZ_CHECK(is_same);
}

static bool check_outer(struct ov_bytes input, struct ov_log_entry *entry)
{
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_error err;
    if (ov_log_outer_decode(input, entry, "input", &err) < 0)
        return false;
    FUZZ_OK(ov_log_outer_encode(entry, &again, NULL));
    fuzz_check_again(input, ov_buf_view(&again), false);
    return true;
}

static bool check_inner(struct ov_bytes input, struct ov_log_entry *entry)
{
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_error err;
    if (ov_log_inner_decode(input, entry, "input", &err) < 0)
        return false;
    FUZZ_OK(ov_log_inner_encode(entry, &again, NULL));
    fuzz_check_again(input, ov_buf_view(&again), true);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    uint8_t how = fuzz_take_byte(&input);
    if (how == 0) {
        (void)check_outer(input, &entry);
    } else if (how == 1) {
        (void)check_inner(input, &entry);
    } else {
        struct ov_bytes outer = fuzz_take_piece(&input);
        if (check_outer(outer, &entry) && check_inner(input, &entry))
            check_state(&entry);
    }
    return 0;
}
