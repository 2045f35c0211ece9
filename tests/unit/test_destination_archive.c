/* Archives, read again by libarchive. */
#include "repo/image/destination_internal.h"
#include "tests/support/image_maker.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct listing {
    char names[8][200];
    size_t sizes[8];
    unsigned count;
};

/* All attributes are the same whoever writes it. */
static void list_archive(const char *name, struct listing *out)
{
    struct archive *reader = archive_read_new();
    struct archive_entry *entry;
    *out = (struct listing){0};
    ck_assert_int_eq(archive_read_support_format_tar(reader), ARCHIVE_OK);
    ck_assert_int_eq(
        archive_read_open_filename(reader, test_path_of(&test_images, name).text, 1 << 16),
        ARCHIVE_OK);
    while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
        bool is_directory = archive_entry_filetype(entry) == AE_IFDIR;
        ck_assert_uint_lt(out->count, 8);
        ck_assert_uint_eq(archive_entry_perm(entry), is_directory ? 0755 : 0644);
        ck_assert_int_eq(archive_entry_uid(entry), 0);
        ck_assert_int_eq(archive_entry_gid(entry), 0);
        ck_assert_int_eq(archive_entry_mtime(entry), 0);
        snprintf(out->names[out->count], 200, "%s", archive_entry_pathname(entry));
        out->sizes[out->count++] = (size_t)archive_entry_size(entry);
    }
    ck_assert_ptr_null(archive_error_string(reader));
    archive_read_free(reader);
}

static void expect_member(const char *name, const char *member, struct ov_bytes contents)
{
    struct archive *reader = archive_read_new();
    struct archive_entry *entry;
    uint8_t *bytes = malloc(contents.len + 1);
    bool is_found = false;
    archive_read_support_format_tar(reader);
    archive_read_open_filename(reader, test_path_of(&test_images, name).text, 1 << 16);
    while (!is_found && archive_read_next_header(reader, &entry) == ARCHIVE_OK)
        is_found = strcmp(archive_entry_pathname(entry), member) == 0;
    ck_assert_msg(is_found, "%s is not there", member);
    ck_assert_int_eq(archive_read_data(reader, bytes, contents.len + 1), (la_ssize_t)contents.len);
    ck_assert_mem_eq(bytes, contents.data, contents.len);
    free(bytes);
    archive_read_free(reader);
}

static struct test_image_text blob_member(const struct ov_descriptor *blob)
{
    struct test_image_text entry;
    snprintf(entry.text, sizeof(entry.text), "blobs/%s/%s",
             blob->digest.algorithm == OV_DIGEST_SHA512 ? "sha512" : "sha256",
             ov_digest_hex(&blob->digest).text);
    return entry;
}

START_TEST(an_oci_archive_is_made)
{
    TEST_IMAGES;
    struct test_image image;
    struct listing listing;
    char expected[1000];
    TEST_OK(test_image_put(test_image_spec("oci-archive", "x.tar").text, TEST_IMAGE_REFERENCE, "{}",
                           &image, &test_error));
    list_archive("x.tar", &listing);
    ck_assert_uint_eq(listing.count, 8);
    ck_assert_str_eq(listing.names[0], "oci-layout");
    ck_assert_str_eq(listing.names[1], "blobs/");
    ck_assert_str_eq(listing.names[2], "blobs/sha256/");
    ck_assert_str_eq(listing.names[3], blob_member(&image.layers[0]).text);
    ck_assert_str_eq(listing.names[4], blob_member(&image.layers[1]).text);
    ck_assert_str_eq(listing.names[5], blob_member(&image.config).text);
    ck_assert_str_eq(listing.names[6], blob_member(&image.top).text);
    ck_assert_str_eq(listing.names[7], "index.json");
    expect_member("x.tar", "oci-layout", test_bytes(OV_LAYOUT_VERSION));
    expect_member("x.tar", listing.names[3], test_image_big());
    expect_member("x.tar", listing.names[4], test_bytes("small"));
    expect_member("x.tar", listing.names[5], test_bytes("{}"));
    snprintf(expected, sizeof(expected),
             "{\"schemaVersion\":2,\"mediaType\":\"" OV_MEDIA_INDEX "\",\"manifests\":[%s]}",
             test_image_entry(&image, TEST_IMAGE_REFERENCE).text);
    expect_member("x.tar", "index.json", test_bytes(expected));
    ck_assert_uint_eq(test_image_count("."), 1);
}
END_TEST

START_TEST(a_docker_archive_is_made)
{
    TEST_IMAGES;
    struct test_image image;
    struct listing listing;
    char expected[1000];
    TEST_OK(test_image_put(test_image_spec("docker-archive", "x.tar:a/b").text, NULL, "{}", &image,
                           &test_error));
    list_archive("x.tar", &listing);
    ck_assert_uint_eq(listing.count, 4);
    struct ov_digest_text big = ov_digest_hex(&image.layers[0].digest);
    struct ov_digest_text small = ov_digest_hex(&image.layers[1].digest);
    struct ov_digest_text config = ov_digest_hex(&image.config.digest);
    snprintf(expected, sizeof(expected),
             "[{\"Config\":\"%s.json\",\"RepoTags\":[\"a/b:latest\"],"
             "\"Layers\":[\"%s.tar\",\"%s.tar\",\"%s.tar\"]}]",
             config.text, big.text, small.text, small.text);
    expect_member("x.tar", "manifest.json", test_bytes(expected));
    snprintf(expected, sizeof(expected), "%s.tar", big.text);
    ck_assert_str_eq(listing.names[0], expected);
    expect_member("x.tar", expected, test_image_big());
    snprintf(expected, sizeof(expected), "%s.json", config.text);
    ck_assert_str_eq(listing.names[2], expected);
    expect_member("x.tar", expected, test_bytes("{}"));
}
END_TEST

START_TEST(the_same_image_gives_the_same_archive)
{
    TEST_IMAGES;
    const char *const forms[] = {"oci-archive", "docker-archive"};
    for (size_t i = 0; i < OV_ARRAY_LEN(forms); i++) {
        struct test_image image;
        OV_AUTO(ov_buf_release) struct ov_buf first = {0};
        TEST_OK(test_image_put(test_image_spec(forms[i], "a").text, TEST_IMAGE_REFERENCE, "{}",
                               &image, &test_error));
        TEST_OK(test_image_put(test_image_spec(forms[i], "b").text, TEST_IMAGE_REFERENCE, "{}",
                               &image, &test_error));
        test_file_read(test_path_of(&test_images, "a").text, &first);
        test_image_expect_file("b", ov_buf_view(&first));
        ck_assert_uint_eq(first.len % 512, 0);
        ck_assert_int_eq(unlink(test_path_of(&test_images, "a").text), 0);
        ck_assert_int_eq(unlink(test_path_of(&test_images, "b").text), 0);
    }
}
END_TEST

START_TEST(long_names_are_written_too)
{
    TEST_IMAGES;
    OV_AUTO(ov_destination_close_auto) struct ov_destination *d = NULL;
    struct ov_descriptor more, again;
    struct listing listing;
    char manifest[] = "{}";
    TEST_OK(ov_destination_open(test_image_spec("oci-archive", "x").text, NULL, &d, &test_error));
    TEST_OK(test_image_blob(d, test_bytes("more"), OV_DIGEST_SHA512, &more, &test_error));
    TEST_OK(test_image_blob(d, test_bytes("more"), OV_DIGEST_SHA512, &again, &test_error));
    ck_assert(ov_destination_has(d, &more.digest, 4));
    struct ov_descriptor top =
        test_image_descriptor(test_bytes(manifest), OV_DIGEST_SHA512, OV_MEDIA_MANIFEST);
    TEST_OK(ov_destination_finish(d, &top, test_bytes(manifest), NULL, &more, 1, &test_error));
    list_archive("x", &listing);
    ck_assert_uint_eq(listing.count, 7);
    ck_assert_str_eq(listing.names[3], "blobs/sha512/");
    expect_member("x", blob_member(&more).text, test_bytes("more"));
    expect_member("x", blob_member(&top).text, test_bytes(manifest));
}
END_TEST

/* A real one would take 8 GiB; what tar(1) says of such was checked by hand. */
START_TEST(sizes_beyond_ustar_are_written)
{
    uint8_t header[512];
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_IMAGES;
    struct test_image image;
    TEST_OK(
        test_image_put(test_image_spec("oci-archive", "x").text, NULL, "{}", &image, &test_error));
    test_file_read(test_path_of(&test_images, "x").text, &file);
    memcpy(header, file.data, sizeof(header));
    ov_destination_set_large_size(header, (uint64_t)9 << 30);
    struct archive *reader = archive_read_new();
    struct archive_entry *entry;
    archive_read_support_format_tar(reader);
    archive_read_open_memory(reader, header, sizeof(header));
    ck_assert_int_eq(archive_read_next_header(reader, &entry), ARCHIVE_OK);
    ck_assert_int_eq(archive_entry_size(entry), (int64_t)9 << 30);
    archive_read_free(reader);
}
END_TEST

START_TEST(only_archives_of_the_same_kind_are_replaced)
{
    TEST_IMAGES;
    struct ov_destination *d;
    struct test_image image;
    struct stat st;
    const char *const forms[] = {"oci-archive", "docker-archive"};
    for (size_t i = 0; i < OV_ARRAY_LEN(forms); i++) {
        const char *mine = forms[i], *other = forms[!i];
        test_image_write("x", "");
        ck_assert_int_eq(chmod(test_path_of(&test_images, "x").text, 0640), 0);
        TEST_OK(test_image_put(test_image_spec(mine, "x").text, NULL, "{}", &image, &test_error));
        TEST_OK(test_image_put(test_image_spec(mine, "x").text, NULL, "{\"a\":1}", &image,
                               &test_error));
        ck_assert_int_eq(stat(test_path_of(&test_images, "x").text, &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0640);
        TEST_FAILS(OV_ERR_INVALID,
                   ov_destination_open(test_image_spec(other, "x").text, NULL, &d, &test_error));
        test_image_write("x", "my diary");
        TEST_FAILS(OV_ERR_INVALID,
                   ov_destination_open(test_image_spec(mine, "x").text, NULL, &d, &test_error));
        test_image_expect_file("x", test_bytes("my diary"));
    }
}
END_TEST

START_TEST(links_to_archives_stay)
{
    TEST_IMAGES;
    struct ov_destination *d;
    struct test_image image;
    struct stat st;
    struct listing listing;
    test_image_mkdir("sub");
    test_image_write("sub/x", "");
    ck_assert_int_eq(symlink("sub/x", test_path_of(&test_images, "link").text), 0);
    ck_assert_int_eq(symlink("sub/y", test_path_of(&test_images, "nowhere").text), 0);
    TEST_OK(test_image_put(test_image_spec("oci-archive", "link").text, NULL, "{}", &image,
                           &test_error));
    ck_assert_int_eq(lstat(test_path_of(&test_images, "link").text, &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    list_archive("sub/x", &listing);
    ck_assert_uint_eq(listing.count, 8);
    TEST_FAILS(OV_ERR_INVALID, ov_destination_open(test_image_spec("oci-archive", "nowhere").text,
                                                   NULL, &d, &test_error));
}
END_TEST

START_TEST(archives_go_to_regular_files_only)
{
    TEST_IMAGES;
    struct ov_destination *d;
    int fds[2];
    char path[100];
    test_image_mkdir("sub");
    ck_assert_int_eq(mkfifo(test_path_of(&test_images, "fifo").text, 0600), 0);
    ck_assert_int_eq(pipe(fds), 0);
    snprintf(path, sizeof(path), "docker-archive:/proc/self/fd/%d", fds[1]);
    TEST_FAILS(OV_ERR_INVALID, ov_destination_open(path, NULL, &d, &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, "not a regular file"));
    TEST_FAILS(OV_ERR_INVALID, ov_destination_open(test_image_spec("oci-archive", "fifo").text,
                                                   NULL, &d, &test_error));
    TEST_FAILS(OV_ERR_INVALID, ov_destination_open(test_image_spec("oci-archive", "sub").text, NULL,
                                                   &d, &test_error));
    TEST_FAILS(OV_ERR_INVALID, ov_destination_open("oci-archive:/dev/null", NULL, &d, &test_error));
    close(fds[0]);
    close(fds[1]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_oci_archive_is_made,
        a_docker_archive_is_made,
        the_same_image_gives_the_same_archive,
        long_names_are_written_too,
        sizes_beyond_ustar_are_written,
        only_archives_of_the_same_kind_are_replaced,
        links_to_archives_stay,
        archives_go_to_regular_files_only,
    };
    return test_main("destination_archive", tests, OV_ARRAY_LEN(tests));
}
