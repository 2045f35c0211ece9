#include "repo/retree_internal.h"

#include <errno.h>

static bool is_below(struct ov_bytes path, struct ov_bytes directory)
{
    if (directory.len == 0)
        return path.len > 0;
    return path.len > directory.len && path.data[directory.len] == '/' &&
           memcmp(path.data, directory.data, directory.len) == 0;
}

/* The directory that a path lies in. */
static struct ov_bytes parent_of(struct ov_bytes path)
{
    const uint8_t *slash = path.len ? memrchr(path.data, '/', path.len) : NULL;
    return ov_bytes_of(path.data, slash ? (size_t)(slash - path.data) : 0);
}

/* ---- Reading ---- */

static void warn_lost(struct retree_side *side, uint64_t items, const struct ov_error *problem)
{
    struct ov_error warning;
    ov_error_set(&warning, OV_ERR_CORRUPT,
                 "%llu items of holes, host labels and earlier errors are lost: %.600s",
                 (unsigned long long)items, problem->message);
    side->lost++;
    ov_report_warn(side->options->report, NULL, &warning);
}

static enum ov_status next(struct retree_side *side, struct ov_error *err)
{
    struct ov_sequence_gap gap = {0};
    enum ov_status status;
    ov_side_release(&side->item);
    side->has_item = false;
    do {
        status = side->options->keeps_rest
                     ? ov_sequence_reader_next_or_gap(side->reader, &side->raw, &gap, err)
                     : ov_sequence_reader_next(side->reader, &side->raw, err);
        if (status == OV_OK && gap.items)
            warn_lost(side, gap.items, err);
    } while (status == OV_OK && gap.items);
    if (status != OV_OK)
        return status == OV_END ? OV_OK : status;
    OV_TRY(ov_side_decode(side->raw.bytes, &side->item, err));
    side->has_item = true;
    side->errors_before += side->item.has_error;
    return OV_OK;
}

enum ov_status retree_side_open(struct retree_side *side, struct ov_error *err)
{
    OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_SIDE, &side->options->store.objects, &side->made,
                                    err));
    enum ov_status status = ov_sequence_reader_open(OV_SEQUENCE_SIDE, side->old, &side->source,
                                                    "side object", &side->reader, err);
    if (status == OV_ERR_CORRUPT && side->options->keeps_rest) {
        struct ov_error warning;
        ov_error_set(&warning, OV_ERR_CORRUPT,
                     "holes, host labels and earlier errors are lost: %.600s", err->message);
        side->lost++;
        ov_report_warn(side->options->report, NULL, &warning);
        return OV_OK;
    }
    OV_TRY(status);
    return next(side, err);
}

void retree_side_release(struct retree_side *side)
{
    ov_side_release(&side->item);
    ov_sequence_reader_close(side->reader);
    ov_sequence_builder_close(side->made);
    ov_buf_release(&side->scratch);
}

/* ---- Keeping and dropping ---- */

static enum ov_status keep(struct retree_side *side, struct ov_error *err)
{
    side->errors_after += side->item.has_error;
    OV_TRY(ov_sequence_builder_add(side->made, side->raw.bytes, err));
    return next(side, err);
}

/* An item whose path the walk did not meet. */
static enum ov_status pass(struct retree_side *side, struct ov_bytes directory,
                           struct ov_error *err)
{
    const struct ov_retree_options *options = side->options;
    bool fits = side->item.has_error && ov_bytes_equal(parent_of(side->item.path), directory);
    if (!fits && !options->keeps_rest)
        return ov_fail(err, OV_ERR_CORRUPT, "side object: a path that is not in the tree");
    if (!fits)
        return next(side, err);
    if (options->leaves_out && options->leaves_out(options->context, side->item.path)) {
        side->left_out++;
        return next(side, err);
    }
    return keep(side, err);
}

enum ov_status retree_side_advance(struct retree_side *side, struct ov_bytes path,
                                   struct ov_bytes directory, struct ov_error *err)
{
    while (side->has_item && ov_path_compare(side->item.path, path) < 0)
        OV_TRY(pass(side, directory, err));
    return OV_OK;
}

enum ov_status retree_side_finish_directory(struct retree_side *side, struct ov_bytes directory,
                                            struct ov_error *err)
{
    while (side->has_item && is_below(side->item.path, directory))
        OV_TRY(pass(side, directory, err));
    return OV_OK;
}

bool retree_side_is_at(const struct retree_side *side, struct ov_bytes path)
{
    return side->has_item && ov_bytes_equal(side->item.path, path);
}

enum ov_status retree_side_keep(struct retree_side *side, struct ov_bytes path,
                                struct ov_error *err)
{
    while (retree_side_is_at(side, path)) {
        if (side->item.has_error)
            return ov_fail(err, OV_ERR_CORRUPT, "side object: an error of something that was read");
        OV_TRY(keep(side, err));
    }
    return OV_OK;
}

enum ov_status retree_side_drop(struct retree_side *side, struct ov_bytes path,
                                struct ov_error *err)
{
    while (retree_side_is_at(side, path) || (side->has_item && is_below(side->item.path, path)))
        OV_TRY(next(side, err));
    return OV_OK;
}

/* ---- Adding ---- */

static enum ov_status add(struct retree_side *side, const struct ov_side *item,
                          struct ov_error *err)
{
    ov_buf_clear(&side->scratch);
    OV_TRY(ov_side_encode(item, &side->scratch, err));
    return ov_sequence_builder_add(side->made, ov_buf_view(&side->scratch), err);
}

static enum ov_status copy_items(struct retree_side *side, struct ov_sequence_reader *reader,
                                 struct ov_bytes from, struct ov_bytes to, struct ov_error *err)
{
    OV_TRY(ov_sequence_reader_seek(reader, from, err));
    for (;;) {
        OV_AUTO(ov_side_release) struct ov_side item = {0};
        struct ov_sequence_item raw;
        enum ov_status status = ov_sequence_reader_next(reader, &raw, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        if (!ov_bytes_equal(raw.key, from))
            return OV_OK;
        OV_TRY(ov_side_decode(raw.bytes, &item, err));
        if (item.has_error)
            return OV_OK; /* what the error was of is not what the link is to */
        item.path = to;
        OV_TRY(add(side, &item, err));
    }
}

enum ov_status retree_side_copy(struct retree_side *side, struct ov_bytes from, struct ov_bytes to,
                                struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    if (!side->reader)
        return OV_OK;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_SIDE, side->old, &side->source, "side object",
                                   &reader, err));
    enum ov_status status = copy_items(side, reader, from, to, err);
    if (status == OV_ERR_CORRUPT && side->options->keeps_rest)
        return OV_OK; /* the reading along warns of it */
    return status;
}

enum ov_status retree_side_add_error(struct retree_side *side, struct ov_bytes path,
                                     struct ov_error *err)
{
    const struct ov_side item = {.path = path, .has_error = true, .error = EIO};
    side->errors_after++;
    return add(side, &item, err);
}
