/*
 * Snapshot records of the log. Input: one record.
 *
 * Property: what decodes is encoded as the same bytes, and so is a copy.
 */
#include "fuzz.h"

#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/log_entry.h"

static void check_record(struct ov_bytes input, const struct ov_snapshot_record *record)
{
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_writer w;
    ov_writer_init(&w, &again, NULL);
    ov_snapshot_record_write(&w, record);
    FUZZ_OK(ov_writer_finish(&w));
    fuzz_check_again(input, ov_buf_view(&again), true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record record = {0};
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record copy = {0};
    struct ov_cursor c;
    struct ov_error err;
    ov_cursor_init(&c, ov_bytes_of(data, size), "input");
    if (ov_snapshot_record_read(&c, &record, &err) < 0)
        return 0;
    struct ov_bytes input = ov_bytes_of(data, (size_t)(c.at - c.begin));
    check_record(input, &record);
    FUZZ_OK(ov_snapshot_record_copy(&record, &copy, NULL));
    check_record(input, &copy);
    return 0;
}
