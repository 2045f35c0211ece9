/*
 * Tables of packs. Input: byte 0: data pack or metadata pack; then the table's plain bytes.
 *
 * Property: what decodes is encoded as the same bytes.
 */
#include "fuzz.h"

#include "engine/pack_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_error err;
    enum ov_pack_kind kind = fuzz_take_byte(&input) % 2 ? OV_PACK_DATA : OV_PACK_META;
    if (ov_pack_table_decode(input, kind, &table, "input", &err) < 0)
        return 0;
    FUZZ_CHECK(table.frame_count > 0);
    FUZZ_OK(ov_pack_table_encode(&table, &again, NULL));
    fuzz_check_again(input, ov_buf_view(&again), false);
    return 0;
}
