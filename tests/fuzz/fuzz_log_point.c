/*
 * Head and markers. Input: the document's plain bytes.
 *
 * Property: what decodes is encoded as the same bytes.
 */
#include "fuzz.h"

#include "repo/log_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_log_point point;
    struct ov_header header;
    struct ov_bytes body;
    struct ov_error err;
    if (ov_log_point_decode(ov_bytes_of(data, size), &point, "input", &err) < 0)
        return 0;
    FUZZ_OK(ov_log_point_encode(OV_FILE_MARKER, &point, fuzz_keyring(), &file, NULL));
    FUZZ_OK(ov_file_open(ov_buf_view(&file), OV_FILE_MARKER, "again", &header, &body, NULL, NULL));
    FUZZ_CHECK(header.number == point.number);
    FUZZ_OK(ov_log_file_section(&header, OV_PURPOSE_LOG, 0, fuzz_keyring(), &body, &again, "again",
                                NULL));
    fuzz_check_again(ov_bytes_of(data, size), ov_buf_view(&again), false);
    return 0;
}
