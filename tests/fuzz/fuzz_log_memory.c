/*
 * What a client remembers of a log. Input: the file.
 *
 * Property: what is loaded can be saved and is loaded again.
 */
#include "fuzz.h"

#include "repo/log_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_log_point point, again;
    fuzz_write_file(ov_id_hex(fuzz_repository()).text, ov_bytes_of(data, size));
    if (!ov_log_memory_load(fuzz_directory(), fuzz_repository(), &point))
        return 0;
    const struct ov_state state = {.number = point.number, .hash = point.hash};
    const struct ov_id other = {{1}};
    ov_log_memory_save(fuzz_directory(), &other, &state, NULL);
    FUZZ_CHECK(ov_log_memory_load(fuzz_directory(), &other, &again));
    FUZZ_CHECK(again.number == point.number && ov_id_equal(&again.hash, &point.hash));
    return 0;
}
