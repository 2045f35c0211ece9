/*
 * The file `config`. Input: as fuzz_make_clear_file() has it.
 *
 * Property: the trailer told is that of the file.
 */
#include "fuzz.h"

#include "repo/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_config config, read;
    struct ov_error err;
    fuzz_make_clear_file(ov_bytes_of(data, size), OV_FILE_CONFIG, &file);
    if (ov_config_decode(ov_buf_view(&file), &config, &err) < 0)
        return 0;
    FUZZ_CHECK(memcmp(config.trailer.bytes, file.data + file.len - OV_ID_SIZE, OV_ID_SIZE) == 0);
    struct fuzz_backend storage;
    fuzz_backend_init(&storage, ov_buf_view(&file));
    FUZZ_OK(ov_config_read(&storage.backend, &read, &err));
    FUZZ_CHECK(ov_id_equal(&read.repository, &config.repository) && read.created == config.created);
    return 0;
}
