/* Arrays of records in pages with checksums: page edges, damage, and files that cannot be written.
 */
#include "engine/base/file.h"
#include "repo/paged.h"
#include "tests/support/support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define DATA_SIZE (OV_PAGE_SIZE - OV_PAGE_TAIL)

/* A file of some pages, read whole, so that it can be damaged. */
struct file {
    int fd;
    struct ov_buf bytes;
    _Atomic uint8_t *verified;
};

static struct file make_file(void)
{
    struct file f = {.fd = -1};
    TEST_OK(ov_crypto_init(&test_error));
    TEST_OK(ov_file_temporary(NULL, &f.fd, &test_error));
    return f;
}

static void free_file(struct file *f)
{
    ov_fd_close(&f->fd);
    ov_buf_release(&f->bytes);
    free((void *)(uintptr_t)f->verified);
}

#define FILE_OF_PAGES OV_AUTO(free_file) struct file f = make_file()

/* The bytes that record `index` of an array has. */
static void fill_record(uint64_t seed, uint64_t index, uint8_t *out, uint32_t size)
{
    struct test_random random = test_random_of(seed * 1000003 + index);
    test_random_fill(&random, out, size);
}

/* Writes an array; returns the number of the page behind it. */
static uint64_t write_array(struct file *f, uint64_t seed, uint64_t first_page, uint32_t size,
                            uint64_t count)
{
    uint8_t record[DATA_SIZE];
    struct ov_paged_writer *w = malloc(sizeof(*w));
    ck_assert_ptr_nonnull(w);
    ov_paged_writer_init(w, f->fd, first_page, size);
    for (uint64_t i = 0; i < count; i++) {
        fill_record(seed, i, record, size);
        TEST_OK(ov_paged_writer_add(w, record, &test_error));
    }
    TEST_OK(ov_paged_writer_finish(w, &test_error));
    ck_assert_uint_eq(w->count, count);
    uint64_t end = w->page;
    free(w);
    return end;
}

/* Reads the file; nothing in it counts as verified then. */
static void load(struct file *f)
{
    off_t size = lseek(f->fd, 0, SEEK_END);
    size_t got;
    ck_assert_int_ge(size, 0);
    ck_assert_int_eq(size % OV_PAGE_SIZE, 0);
    ov_buf_clear(&f->bytes);
    TEST_OK(ov_buf_reserve(&f->bytes, (size_t)size, &test_error));
    TEST_OK(ov_fd_read(f->fd, f->bytes.data, (size_t)size, 0, &got, "it", &test_error));
    ck_assert_uint_eq(got, (size_t)size);
    f->bytes.len = got;
    free((void *)(uintptr_t)f->verified);
    f->verified = calloc((size_t)size / OV_PAGE_SIZE + 1, 1);
    ck_assert_ptr_nonnull((void *)(uintptr_t)f->verified);
}

static struct ov_paged array_of(const struct file *f, uint64_t first_page, uint32_t size,
                                uint64_t count)
{
    return (struct ov_paged){
        .base = f->bytes.data + first_page * OV_PAGE_SIZE,
        .first_page = first_page,
        .count = count,
        .record_size = size,
        .per_page = ov_paged_per_page(size),
        .verified = f->verified,
    };
}

static bool record_is_right(const struct ov_paged *array, uint64_t seed, uint64_t index)
{
    uint8_t expected[DATA_SIZE];
    const void *record = ov_paged_get(array, index);
    if (!record)
        return false;
    fill_record(seed, index, expected, array->record_size);
    ck_assert_msg(memcmp(record, expected, array->record_size) == 0, "record %llu is another's",
                  (unsigned long long)index);
    return true;
}

START_TEST(pages_hold_as_many_records_as_fit)
{
    ck_assert_uint_eq(ov_paged_per_page(1), DATA_SIZE);
    ck_assert_uint_eq(ov_paged_per_page(DATA_SIZE), 1);
    ck_assert_uint_eq(ov_paged_per_page(DATA_SIZE / 2), 2);
    ck_assert_uint_eq(ov_paged_per_page(DATA_SIZE / 2 + 1), 1);
    ck_assert_uint_eq(ov_paged_per_page(48), 85);
    ck_assert_uint_eq(ov_paged_pages(48, 0), 0);
    ck_assert_uint_eq(ov_paged_pages(48, 1), 1);
    ck_assert_uint_eq(ov_paged_pages(48, 85), 1);
    ck_assert_uint_eq(ov_paged_pages(48, 86), 2);
    ck_assert_uint_eq(ov_paged_pages(48, (uint64_t)85 << 40), (uint64_t)1 << 40);
}
END_TEST

/* Around the ends of a page, and of the writer's buffer of 64 pages. */
START_TEST(every_record_comes_back_at_every_length)
{
    static const uint32_t sizes[] = {31, 48, DATA_SIZE / 2, DATA_SIZE};
    for (size_t s = 0; s < OV_ARRAY_LEN(sizes); s++) {
        uint64_t per_page = ov_paged_per_page(sizes[s]);
        const uint64_t counts[] = {0,
                                   1,
                                   per_page - 1,
                                   per_page,
                                   per_page + 1,
                                   64 * per_page - 1,
                                   64 * per_page,
                                   64 * per_page + 1};
        for (size_t c = 0; c < OV_ARRAY_LEN(counts); c++) {
            FILE_OF_PAGES;
            uint64_t pages = write_array(&f, c, 0, sizes[s], counts[c]);
            ck_assert_uint_eq(pages, ov_paged_pages(sizes[s], counts[c]));
            load(&f);
            ck_assert_uint_eq(f.bytes.len, pages * OV_PAGE_SIZE);
            struct ov_paged array = array_of(&f, 0, sizes[s], counts[c]);
            for (uint64_t i = 0; i < counts[c]; i++) {
                if (!record_is_right(&array, c, i))
                    ck_abort_msg("record %llu of %llu is missing", (unsigned long long)i,
                                 (unsigned long long)counts[c]);
            }
            ck_assert_ptr_null(ov_paged_get(&array, counts[c]));
            ck_assert_ptr_null(ov_paged_get(&array, counts[c] + per_page));
            ck_assert_ptr_null(ov_paged_get(&array, UINT64_MAX));
        }
    }
}
END_TEST

START_TEST(arrays_lie_behind_each_other_in_a_file)
{
    FILE_OF_PAGES;
    uint64_t second = write_array(&f, 1, 3, 48, 300);
    uint64_t third = write_array(&f, 2, second, 24, 500);
    uint64_t end = write_array(&f, 3, third, 100, 90);
    load(&f);
    ck_assert_uint_eq(f.bytes.len, end * OV_PAGE_SIZE);
    struct ov_paged a = array_of(&f, 3, 48, 300), b = array_of(&f, second, 24, 500),
                    c = array_of(&f, third, 100, 90);
    for (uint64_t i = 0; i < 500; i++) {
        ck_assert(i >= 300 || record_is_right(&a, 1, i));
        ck_assert(record_is_right(&b, 2, i));
        ck_assert(i >= 90 || record_is_right(&c, 3, i));
    }
    for (uint64_t page = 0; page < end; page++)
        ck_assert_msg(f.verified[page] == (page >= 3), "page %llu", (unsigned long long)page);
}
END_TEST

/* The file is mapped as the index maps it: pages are verified in it, not in a copy. */
START_TEST(a_mapped_file_is_read_in_place)
{
    FILE_OF_PAGES;
    uint64_t pages = write_array(&f, 9, 0, 40, 1000);
    load(&f);
    const uint8_t *map = mmap(NULL, pages * OV_PAGE_SIZE, PROT_READ, MAP_SHARED, f.fd, 0);
    ck_assert(map != MAP_FAILED);
    struct ov_paged array = array_of(&f, 0, 40, 1000);
    array.base = map;
    for (uint64_t i = 1000; i-- > 0;)
        ck_assert(record_is_right(&array, 9, i));
    ck_assert_ptr_eq(ov_paged_get(&array, 0), map);
    munmap((void *)(uintptr_t)map, pages * OV_PAGE_SIZE);
}
END_TEST

START_TEST(a_damaged_page_is_refused_and_its_neighbours_are_not)
{
    FILE_OF_PAGES;
    uint32_t per_page = ov_paged_per_page(48);
    write_array(&f, 4, 0, 48, 3 * per_page);
    for (size_t at = OV_PAGE_SIZE; at < 2 * OV_PAGE_SIZE; at += at % OV_PAGE_SIZE < 4000 ? 97 : 1) {
        load(&f);
        struct ov_paged array = array_of(&f, 0, 48, 3 * per_page);
        f.bytes.data[at] ^= (uint8_t)(1u << at % 8);
        for (uint32_t i = 0; i < 3; i++) {
            bool is_damaged = i == 1;
            uint64_t first = (uint64_t)i * per_page;
            ck_assert_msg(record_is_right(&array, 4, first) != is_damaged, "byte %zu", at);
            ck_assert_msg(record_is_right(&array, 4, first + per_page - 1) != is_damaged,
                          "byte %zu", at);
        }
        ck_assert_msg(!f.verified[1], "what failed once is looked at again");
        f.bytes.data[at] ^= (uint8_t)(1u << at % 8);
        ck_assert(record_is_right(&array, 4, per_page));
    }
}
END_TEST

/* Whole pages, each with a sound checksum, that lie where they do not belong. */
START_TEST(a_page_in_anothers_place_is_refused)
{
    FILE_OF_PAGES;
    uint32_t per_page = ov_paged_per_page(48);
    write_array(&f, 5, 0, 48, 3 * per_page);
    load(&f);
    struct ov_paged array = array_of(&f, 0, 48, 3 * per_page);
    memcpy(f.bytes.data + OV_PAGE_SIZE, f.bytes.data + 2 * OV_PAGE_SIZE, OV_PAGE_SIZE);
    ck_assert(record_is_right(&array, 5, 0));
    ck_assert_ptr_null(ov_paged_get(&array, per_page));
    ck_assert(record_is_right(&array, 5, 2 * per_page));

    load(&f);
    array = array_of(&f, 1, 48, per_page);
    array.base = f.bytes.data;
    ck_assert_msg(!ov_paged_get(&array, 0), "page 0 where page 1 is expected");
    memset(f.bytes.data, 0, OV_PAGE_SIZE);
    array.first_page = 0;
    ck_assert_msg(!ov_paged_get(&array, 0), "a page of zeros is no page");
}
END_TEST

/* A page is hashed once: that is what makes look-ups cheap. */
START_TEST(a_page_is_verified_once)
{
    FILE_OF_PAGES;
    write_array(&f, 6, 0, 48, 10);
    load(&f);
    struct ov_paged array = array_of(&f, 0, 48, 10);
    ck_assert(!f.verified[0]);
    ck_assert(record_is_right(&array, 6, 9));
    ck_assert(f.verified[0]);
    f.bytes.data[OV_PAGE_SIZE - 1] ^= 1;
    ck_assert(record_is_right(&array, 6, 0));
}
END_TEST

/* What is behind the last record of a page is zero: no memory gets into the file. */
START_TEST(the_rest_of_a_page_is_zero)
{
    FILE_OF_PAGES;
    write_array(&f, 7, 0, 1000, 4 * 70 + 1);
    load(&f);
    for (size_t page = 0; page < 71; page++) {
        const uint8_t *bytes = f.bytes.data + page * OV_PAGE_SIZE;
        size_t used = page < 70 ? 4000 : 1000;
        for (size_t i = used; i < DATA_SIZE; i++)
            ck_assert_msg(bytes[i] == 0, "page %zu, byte %zu", page, i);
        ck_assert_uint_eq(ov_load64(bytes + DATA_SIZE), page);
    }
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_an_error)
{
    uint8_t record[DATA_SIZE] = {1};
    struct ov_paged_writer *w = malloc(sizeof(*w));
    ck_assert_ptr_nonnull(w);
    OV_AUTO(ov_fd_close) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ov_paged_writer_init(w, fd, 0, DATA_SIZE);
    for (int i = 0; i < 63; i++)
        TEST_OK(ov_paged_writer_add(w, record, &test_error));
    TEST_FAILS(OV_ERR_IO, ov_paged_writer_add(w, record, &test_error));
    ov_paged_writer_init(w, fd, 0, DATA_SIZE);
    TEST_OK(ov_paged_writer_add(w, record, &test_error));
    TEST_FAILS(OV_ERR_IO, ov_paged_writer_finish(w, &test_error));
    ov_paged_writer_init(w, fd, 0, DATA_SIZE);
    TEST_OK(ov_paged_writer_finish(w, &test_error));
    free(w);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        pages_hold_as_many_records_as_fit,
        every_record_comes_back_at_every_length,
        arrays_lie_behind_each_other_in_a_file,
        a_mapped_file_is_read_in_place,
        a_damaged_page_is_refused_and_its_neighbours_are_not,
        a_page_in_anothers_place_is_refused,
        a_page_is_verified_once,
        the_rest_of_a_page_is_zero,
        a_file_that_cannot_be_written_is_an_error,
    };
    return test_main("paged", tests, OV_ARRAY_LEN(tests));
}
