/*
 * Nodes. Input: byte 0: odd: the node is a root; then the node.
 *
 * Properties: what decodes is encoded as the same bytes, and is the same as itself.
 */
#include "fuzz.h"

#include "engine/msgpack_writer.h"
#include "repo/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_node node;
    struct ov_error err;
    struct ov_writer w;
    bool is_root = fuzz_take_byte(&input) % 2;
    if (ov_node_decode(input, is_root, &node, "input", &err) < 0)
        return 0;
    ov_writer_init(&w, &again, NULL);
    ov_node_write(&w, &node);
    FUZZ_OK(ov_writer_finish(&w));
    fuzz_check_again(input, ov_buf_view(&again), false);
    FUZZ_CHECK(ov_node_is_same(&node, &node));
    FUZZ_CHECK(is_root || ov_name_is_valid(node.name));
    FUZZ_CHECK(strcmp(ov_node_kind_name(node.kind), "?") != 0);
    struct ov_node other = node;
    other.mode ^= 1;
    FUZZ_CHECK(!ov_node_is_same(&node, &other));
    return 0;
}
