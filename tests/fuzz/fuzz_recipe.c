/*
 * Items of recipes. Input: the item.
 *
 * Properties: what decodes is encoded as the same bytes; it stands for some bytes, and a path is
 * one.
 */
#include "fuzz.h"

#include "engine/msgpack_writer.h"
#include "repo/recipe_item.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_recipe_item item;
    struct ov_error err;
    struct ov_writer w;
    if (ov_recipe_item_decode(ov_bytes_of(data, size), &item, &err) < 0)
        return 0;
    FUZZ_CHECK(item.length > 0 && item.length <= INT64_MAX);
    FUZZ_CHECK(item.kind != OV_RECIPE_FILE || ov_path_is_valid(item.path));
    FUZZ_CHECK(item.kind != OV_RECIPE_LITERAL || item.literal.len == item.length);
    ov_writer_init(&w, &again, NULL);
    ov_recipe_item_write(&w, &item);
    FUZZ_OK(ov_writer_finish(&w));
    fuzz_check_again(ov_bytes_of(data, size), ov_buf_view(&again), false);
    return 0;
}
