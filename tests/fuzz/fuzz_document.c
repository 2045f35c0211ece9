/*
 * Documents. Input: what the section's ciphertext holds.
 *
 * Properties: nothing is longer than its plain_len says, and what was opened can be stored and
 * opened again.
 */
#include "fuzz.h"

#include "engine/document.h"

#define SECTION 3

static enum ov_status open_document(struct ov_bytes section, struct ov_buf *out)
{
    struct ov_header header = fuzz_header(OV_FILE_LOG, 0, 7);
    struct ov_file_keys keys = fuzz_file_keys(&header, OV_PURPOSE_LOG);
    struct ov_bytes sealed;
    FUZZ_OK(ov_section_split(&keys, SECTION, &section, &sealed, "input", NULL));
    FUZZ_CHECK(section.len == 0);
    return ov_document_open(&keys, &header, SECTION, sealed, out, "input", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf section = {0};
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_header header = fuzz_header(OV_FILE_LOG, 0, 7);
    struct ov_file_keys keys = fuzz_file_keys(&header, OV_PURPOSE_LOG);
    FUZZ_OK(ov_section_append(&section, &keys, &header, SECTION, ov_bytes_of(data, size), NULL));
    if (open_document(ov_buf_view(&section), &plain) < 0)
        return 0;
    FUZZ_CHECK(plain.len <= OV_DOCUMENT_MAX);
    if (plain.len > (1 << 20)) /* slow */
        return 0;
    ov_buf_clear(&section);
    FUZZ_OK(ov_document_append(&section, &keys, &header, SECTION, ov_buf_view(&plain), NULL));
    FUZZ_CHECK(section.len - OV_SECTION_PREFIX - OV_SEAL_OVERHEAD ==
               ov_padded_length(section.len - OV_SECTION_PREFIX - OV_SEAL_OVERHEAD));
    FUZZ_OK(open_document(ov_buf_view(&section), &again));
    fuzz_check_again(ov_buf_view(&plain), ov_buf_view(&again), false);
    return 0;
}
