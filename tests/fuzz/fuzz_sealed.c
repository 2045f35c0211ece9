/*
 * Header, sections, trailer. Input: byte 0 says what follows: 0: a file; 1: a file without its
 * trailer; else: the number of its type, then pieces that become sections.
 *
 * Properties: a header that is read is written as the same bytes, and what was sealed opens.
 */
#include "fuzz.h"

static const char types[] = "FKLMPSCHR";
static const enum ov_purpose purposes[] = {OV_PURPOSE_LOG, OV_PURPOSE_INDEX, OV_PURPOSE_META,
                                           OV_PURPOSE_DATA, OV_PURPOSE_SLOT};

/* Opens all sections that can be opened; returns how many. */
static size_t walk(const struct ov_header *header, struct ov_bytes body, enum ov_purpose purpose)
{
    struct ov_file_keys keys;
    struct ov_bytes sealed;
    struct ov_error err;
    uint64_t number = 0;
    if (ov_file_keys_derive(fuzz_keyring(), purpose, header, &keys, &err) < 0)
        return 0;
    while (ov_section_split(&keys, number, &body, &sealed, "input", &err) == OV_OK) {
        OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
        FUZZ_CHECK(sealed.len >= OV_SEAL_OVERHEAD);
        FUZZ_OK(ov_buf_reserve(&plain, sealed.len, NULL));
        if (ov_section_open(&keys, header, number, sealed, plain.data, "input", &err) < 0)
            break;
        number++;
    }
    ov_file_keys_wipe(&keys);
    return number;
}

static void open_file(struct ov_bytes file)
{
    struct ov_header header;
    struct ov_bytes body;
    struct ov_id trailer;
    struct ov_error err;
    for (size_t i = 0; i < sizeof(types) - 1; i++) {
        if (ov_file_open(file, (enum ov_file_type)types[i], "input", &header, &body, &trailer,
                         &err) < 0)
            continue;
        FUZZ_CHECK((char)header.type == types[i]);
        FUZZ_CHECK(memcmp(header.raw, file.data, OV_HEADER_SIZE) == 0);
        FUZZ_CHECK(body.len == file.len - OV_HEADER_SIZE - OV_TRAILER_SIZE);
        for (size_t p = 0; p < OV_ARRAY_LEN(purposes); p++)
            walk(&header, body, purposes[p]);
    }
}

/* Seals pieces of the input into a file of a type. */
static void make_file(struct ov_bytes input)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    uint8_t type = (uint8_t)types[fuzz_take_byte(&input) % (sizeof(types) - 1)];
    struct ov_header header = fuzz_header((enum ov_file_type)type, type == OV_FILE_PACK, 9);
    size_t sections = 0;
    FUZZ_OK(ov_buf_append(&file, header.raw, OV_HEADER_SIZE, NULL));
    if (header.is_sealed) {
        struct ov_file_keys keys = fuzz_file_keys(&header, OV_PURPOSE_META);
        for (; input.len; sections++)
            FUZZ_OK(
                ov_section_append(&file, &keys, &header, sections, fuzz_take_piece(&input), NULL));
    }
    FUZZ_OK(ov_trailer_append(&file, NULL));
    struct ov_header found;
    struct ov_bytes body;
    FUZZ_OK(ov_file_open(ov_buf_view(&file), (enum ov_file_type)type, "input", &found, &body, NULL,
                         NULL));
    FUZZ_CHECK(!header.is_sealed || walk(&found, body, OV_PURPOSE_META) == sections);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    uint8_t how = fuzz_take_byte(&input);
    if (how > 1) {
        make_file(input);
        return 0;
    }
    FUZZ_OK(ov_buf_append(&file, input.data, input.len, NULL));
    if (how)
        FUZZ_OK(ov_trailer_append(&file, NULL));
    open_file(ov_buf_view(&file));
    return 0;
}
