#include "engine/base/bits.h"
#include "repo/copy_internal.h"

#include <stdlib.h>

static void free_bits(struct copy_choice *choice)
{
    free(ov_steal(choice->wanted));
    free(ov_steal(choice->bases));
    free(ov_steal(choice->frames));
    free(ov_steal(choice->is_listed));
}

void copy_choice_release(struct copy_choice *choice)
{
    free_bits(choice);
    ov_object_list_release(&choice->packs);
}

enum ov_status copy_choice_begin(struct copy_choice *choice, struct ov_repo *from,
                                 struct ov_error *err)
{
    const struct ov_lookup *lookup = from->lookup;
    size_t copies = ov_bits_size(ov_lookup_copy_count(lookup));
    free_bits(choice);
    choice->from = from;
    choice->index_number = from->index_number;
    choice->packs.count = 0;
    choice->chunks = choice->bytes = choice->read_bytes = choice->met = 0;
    choice->wanted = calloc(copies, 1);
    choice->bases = calloc(copies, 1);
    choice->frames = calloc(ov_bits_size(ov_lookup_frame_count(lookup)), 1);
    choice->is_listed = calloc(ov_bits_size(ov_lookup_pack_count(lookup)), 1);
    bool is_complete = choice->wanted && choice->bases && choice->frames && choice->is_listed;
    return is_complete ? OV_OK : ov_fail_no_memory(err);
}

static enum ov_status list_pack(struct copy_choice *choice, const struct ov_location *at,
                                struct ov_error *err)
{
    const struct ov_object pack = {ov_object_of_pack(at->pack_kind), at->pack, at->pack_size};
    if (ov_bit_is_set(choice->is_listed, at->pack_number))
        return OV_OK;
    ov_bit_set(choice->is_listed, at->pack_number);
    return ov_object_list_add(&choice->packs, &pack, err);
}

static enum ov_status add_to(struct copy_choice *choice, uint8_t *bits,
                             const struct ov_location *at, struct ov_error *err)
{
    bool is_new =
        !ov_bit_is_set(choice->wanted, at->copy) && !ov_bit_is_set(choice->bases, at->copy);
    ov_bit_set(bits, at->copy);
    if (!is_new)
        return OV_OK;
    choice->chunks++;
    choice->bytes += at->length;
    if (!ov_bit_is_set(choice->frames, at->frame_key)) {
        ov_bit_set(choice->frames, at->frame_key);
        choice->read_bytes += at->sealed_len;
    }
    return list_pack(choice, at, err);
}

enum ov_status copy_choice_add(struct copy_choice *choice, const struct ov_location *at,
                               struct ov_error *err)
{
    struct ov_location base = *at;
    OV_TRY(add_to(choice, choice->wanted, at, err));
    while (base.depth) {
        const struct ov_tag tag = base.base;
        bool found;
        OV_TRY(ov_lookup_find(choice->from->lookup, &tag, base.depth, &base, &found, err));
        if (!found) /* which is told as missing */
            return OV_OK;
        OV_TRY(add_to(choice, choice->bases, &base, err));
    }
    return OV_OK;
}
