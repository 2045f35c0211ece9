/*
 * Whole files of the log. Input: a byte for the type (entry, marker, head, checkpoint); a byte: 0:
 * a file without its trailer follows, else: what the target seals, namely a byte for the header's
 * number, the outer document as a piece and the inner.
 *
 * Property: an entry that is read can be written again and reads the same.
 */
#include "fuzz.h"

#include "repo/log_file.h"

static void check_written(const struct ov_log_entry *entry)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry again = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner_again = {0};
    struct ov_id hash, hash_again;
    struct fuzz_backend storage;
    bool is_marker;
    FUZZ_OK(ov_log_file_encode(entry, fuzz_keyring(), &file, &hash, NULL));
    fuzz_backend_init(&storage, ov_buf_view(&file));
    FUZZ_OK(ov_log_file_read(&storage.backend, fuzz_keyring(), entry->number, &again, &hash_again,
                             &is_marker, NULL));
    FUZZ_CHECK(!is_marker && ov_id_equal(&hash, &hash_again));
    FUZZ_OK(ov_log_inner_encode(entry, &inner, NULL));
    FUZZ_OK(ov_log_inner_encode(&again, &inner_again, NULL));
    fuzz_check_again(ov_buf_view(&inner), ov_buf_view(&inner_again), false);
}

static void read_entry(struct fuzz_backend *storage, uint64_t number)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    struct ov_error err;
    struct ov_id hash;
    bool is_marker;
    if (ov_log_file_read(&storage->backend, fuzz_keyring(), number, &entry, &hash, &is_marker,
                         &err) == OV_OK &&
        !is_marker)
        check_written(&entry);
}

static void read_checkpoint(struct fuzz_backend *storage, uint64_t number)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    struct ov_error err;
    if (ov_checkpoint_read(&storage->backend, fuzz_keyring(), number, &state, &err) == OV_OK)
        FUZZ_CHECK(state.number == number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum ov_file_type types[] = {OV_FILE_LOG, OV_FILE_MARKER, OV_FILE_HEAD,
                                              OV_FILE_CHECKPOINT};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_log_point point;
    struct fuzz_backend storage;
    struct ov_error err;
    enum ov_file_type type = types[fuzz_take_byte(&input) % OV_ARRAY_LEN(types)];
    uint64_t number = 3;
    if (fuzz_take_byte(&input) == 0) {
        FUZZ_OK(ov_buf_append(&file, input.data, input.len, NULL));
        FUZZ_OK(ov_trailer_append(&file, NULL));
    } else {
        number = fuzz_take_byte(&input);
        struct ov_bytes outer = fuzz_take_piece(&input);
        FUZZ_OK(ov_log_file_seal(type, number, outer, input, fuzz_keyring(), &file, NULL));
    }
    fuzz_backend_init(&storage, ov_buf_view(&file));
    if (type == OV_FILE_HEAD)
        (void)!ov_head_read(&storage.backend, fuzz_keyring(), &point, &err);
    else if (type == OV_FILE_CHECKPOINT)
        read_checkpoint(&storage, number);
    else
        read_entry(&storage, number);
    return 0;
}
