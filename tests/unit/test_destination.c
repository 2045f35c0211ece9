/* Layouts and directories: what is written; and of all forms, what stays when writing fails. */
#include "engine/base/file.h"
#include "repo/image/destination_internal.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/image_maker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANNOTATION "org.opencontainers.image.ref.name"

static void expect_blob_file(const char *prefix, const struct ov_descriptor *blob,
                             struct ov_bytes contents)
{
    char name[300];
    snprintf(name, sizeof(name), "%s/%s", prefix, ov_digest_hex(&blob->digest).text);
    test_image_expect_file(name, contents);
}

/* ---- Names ---- */

START_TEST(bad_names_are_refused)
{
    TEST_IMAGES;
    struct ov_destination *d;
    const char *const bad[] = {"",       "oci",  "oci:",         "x:/tmp/y",           "-",
                               "/tmp/x", "dir:", "oci-archive:", "docker-archive::a:b"};
    const char *const names[] = {"-", "a//b", "a ", "a_", "_a", "a..b", "a/", "a\n"};
    for (size_t i = 0; i < OV_ARRAY_LEN(bad); i++)
        TEST_FAILS(OV_ERR_INVALID, ov_destination_open(bad[i], NULL, &d, &test_error));
    for (size_t i = 0; i < OV_ARRAY_LEN(names); i++)
        TEST_FAILS(OV_ERR_INVALID, ov_destination_open(test_image_spec("oci", "x").text, names[i],
                                                       &d, &test_error));
    TEST_FAILS(OV_ERR_INVALID,
               ov_destination_open(test_image_spec("docker-archive", "x:Bad:1").text, NULL, &d,
                                   &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND,
               ov_destination_open(test_image_spec("oci", "no/x").text, NULL, &d, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_destination_open(test_image_spec("oci-archive", "no/x").text,
                                                     NULL, &d, &test_error));
    ck_assert_uint_eq(test_image_count("."), 0);
}
END_TEST

START_TEST(good_names_are_taken)
{
    TEST_IMAGES;
    struct ov_destination *d;
    const char *const names[] = {"v1", "docker.io/library/debian:12", "a--b", "a@b+c_d.e"};
    for (size_t i = 0; i < OV_ARRAY_LEN(names); i++) {
        TEST_OK(ov_destination_open(test_image_spec("oci", "x").text, names[i], &d, &test_error));
        ck_assert_str_eq(d->reference, names[i]);
        ck_assert(!ov_destination_wants_plain_layers(d));
        ov_destination_close(d);
    }
    TEST_OK(ov_destination_open(test_image_spec("oci", "x:own").text, "other", &d, &test_error));
    ck_assert_str_eq(d->reference, "own");
    ov_destination_close(d);
    TEST_OK(ov_destination_open(test_image_spec("docker-archive", "x:a/b").text, NULL, &d,
                                &test_error));
    ck_assert_str_eq(d->reference, "a/b:latest");
    ck_assert(ov_destination_wants_plain_layers(d));
    ov_destination_close(d);
    TEST_OK(ov_destination_open(test_image_spec("dir", "x:y").text, "other", &d, &test_error));
    ck_assert(test_image_is_there("x:y"));
    ov_destination_close(d);
    ck_assert_uint_eq(test_image_count("."), 0);
}
END_TEST

/* ---- Layouts ---- */

START_TEST(a_layout_is_made)
{
    TEST_IMAGES;
    struct test_image image;
    char expected[1000];
    TEST_OK(test_image_put(test_image_spec("oci", "x").text, TEST_IMAGE_REFERENCE, "{}", &image,
                           &test_error));
    snprintf(expected, sizeof(expected),
             "{\"schemaVersion\":2,\"mediaType\":\"" OV_MEDIA_INDEX "\",\"manifests\":[%s]}",
             test_image_entry(&image, TEST_IMAGE_REFERENCE).text);
    test_image_expect_file("x/index.json", test_bytes(expected));
    test_image_expect_file("x/oci-layout", test_bytes("{\"imageLayoutVersion\":\"1.0.0\"}"));
    expect_blob_file("x/blobs/sha256", &image.layers[0], test_image_big());
    expect_blob_file("x/blobs/sha256", &image.layers[1], test_bytes("small"));
    expect_blob_file("x/blobs/sha256", &image.config, test_bytes("{}"));
    expect_blob_file("x/blobs/sha256", &image.top, test_bytes(image.manifest));
    ck_assert_uint_eq(test_image_count("x"), 3);
    ck_assert_uint_eq(test_image_count("x/blobs"), 1);
    ck_assert_uint_eq(test_image_count("x/blobs/sha256"), 4);
}
END_TEST

static const char foreign_index[] =
    "{\"schemaVersion\":2,\"x\":{\"y\":[1,2.5,null]},\"manifests\":["
    "{\"digest\":\"sha256:1\",\"annotations\":{\"" ANNOTATION "\":\"keep\"},\"z\":true},"
    "{\"digest\":\"sha256:2\",\"annotations\":{\"" ANNOTATION "\":\"swap\"}},"
    "{\"digest\":\"sha256:3\"},"
    "{\"digest\":\"sha256:4\",\"annotations\":{\"" ANNOTATION "\":\"swap\"}}],"
    "\"annotations\":{\"a\":\"b\"}}";

static void make_layout(const char *index)
{
    test_image_mkdir("x");
    test_image_write("x/oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}\n");
    test_image_write("x/index.json", index);
}

START_TEST(a_layout_is_added_to)
{
    TEST_IMAGES;
    struct test_image image;
    char expected[2000];
    make_layout(foreign_index);
    TEST_OK(test_image_put(test_image_spec("oci", "x:swap").text, NULL, "{}", &image, &test_error));
    snprintf(expected, sizeof(expected),
             "{\"schemaVersion\":2,\"x\":{\"y\":[1,2.5,null]},\"manifests\":["
             "{\"digest\":\"sha256:1\",\"annotations\":{\"" ANNOTATION "\":\"keep\"},\"z\":true},"
             "%s,{\"digest\":\"sha256:3\"}],\"annotations\":{\"a\":\"b\"}}",
             test_image_entry(&image, "swap").text);
    test_image_expect_file("x/index.json", test_bytes(expected));
    test_image_expect_file("x/oci-layout", test_bytes("{\"imageLayoutVersion\": \"1.0.0\"}\n"));
}
END_TEST

START_TEST(without_a_reference_the_unnamed_entry_is_replaced)
{
    TEST_IMAGES;
    struct test_image image;
    char expected[2000];
    make_layout(foreign_index);
    TEST_OK(test_image_put(test_image_spec("oci", "x").text, NULL, "{}", &image, &test_error));
    TEST_OK(
        test_image_put(test_image_spec("oci", "x").text, NULL, "{\"a\":1}", &image, &test_error));
    snprintf(expected, sizeof(expected),
             "{\"schemaVersion\":2,\"x\":{\"y\":[1,2.5,null]},\"manifests\":["
             "{\"digest\":\"sha256:1\",\"annotations\":{\"" ANNOTATION "\":\"keep\"},\"z\":true},"
             "{\"digest\":\"sha256:2\",\"annotations\":{\"" ANNOTATION "\":\"swap\"}},%s,"
             "{\"digest\":\"sha256:4\",\"annotations\":{\"" ANNOTATION "\":\"swap\"}}],"
             "\"annotations\":{\"a\":\"b\"}}",
             test_image_entry(&image, NULL).text);
    test_image_expect_file("x/index.json", test_bytes(expected));
}
END_TEST

START_TEST(entries_tell_platform_and_name)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    char name[] = "docker.io/library/debian:12";
    struct ov_descriptor top = test_image_descriptor(test_bytes("x"), OV_DIGEST_SHA256, "type");
    top.platform = (struct ov_platform){"linux", "arm64", "v8"};
    top.image_name = name;
    TEST_OK(ov_destination_index(test_bytes("{\"manifests\":[]}"), "12", &top, "index", &out,
                                 &test_error));
    TEST_OK(ov_buf_append(&out, "", 1, &test_error));
    ck_assert_str_eq(
        (const char *)out.data,
        "{\"manifests\":[{\"mediaType\":\"type\",\"digest\":\"sha256:"
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\",\"size\":1,"
        "\"annotations\":{\"" ANNOTATION "\":\"12\","
        "\"io.containerd.image.name\":\"docker.io/library/debian:12\"},"
        "\"platform\":{\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\"}}]}");
}
END_TEST

START_TEST(an_index_does_not_grow_without_end)
{
    OV_AUTO(ov_buf_release) struct ov_buf index = {0};
    struct ov_descriptor top = test_image_descriptor(test_bytes("x"), OV_DIGEST_SHA256, "type");
    for (unsigned i = 0; i <= OV_MANIFESTS_MAX; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf next = {0};
        char name[20];
        snprintf(name, sizeof(name), "n%u", i);
        enum ov_status status =
            ov_destination_index(ov_buf_view(&index), name, &top, "index", &next, &test_error);
        ck_assert_int_eq(status, i < OV_MANIFESTS_MAX ? OV_OK : OV_ERR_LIMIT);
        struct ov_buf old = index;
        index = next;
        next = old;
    }
}
END_TEST

START_TEST(blobs_that_are_there_are_kept_unless_their_size_is_wrong)
{
    TEST_IMAGES;
    struct test_image image;
    char path[600];
    OV_AUTO(ov_destination_close_auto) struct ov_destination *d = NULL;
    struct stat before, after;
    struct ov_descriptor again;
    TEST_OK(test_image_put(test_image_spec("oci", "x").text, TEST_IMAGE_REFERENCE, "{}", &image,
                           &test_error));
    snprintf(path, sizeof(path), "%s/x/blobs/sha256/%s", test_images.path,
             ov_digest_hex(&image.layers[1].digest).text);
    ck_assert_int_eq(stat(path, &before), 0);
    TEST_OK(ov_destination_open(test_image_spec("oci", "x").text, TEST_IMAGE_REFERENCE, &d,
                                &test_error));
    ck_assert(ov_destination_has(d, &image.layers[1].digest, 5));
    ck_assert(!ov_destination_has(d, &image.layers[1].digest, 6));
    ck_assert(!ov_destination_has(d, &(struct ov_digest){0}, 5));
    TEST_OK(test_image_blob(d, test_bytes("small"), OV_DIGEST_SHA256, &again, &test_error));
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);

    test_file_write(path, "torn", 4);
    ck_assert(!ov_destination_has(d, &image.layers[1].digest, 5));
    TEST_OK(test_image_blob(d, test_bytes("small"), OV_DIGEST_SHA256, &again, &test_error));
    expect_blob_file("x/blobs/sha256", &again, test_bytes("small"));

    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("../../../victim", path), 0);
    test_image_write("victim", "small");
    ck_assert(!ov_destination_has(d, &image.layers[1].digest, 5));
    TEST_OK(test_image_blob(d, test_bytes("small"), OV_DIGEST_SHA256, &again, &test_error));
    ck_assert_int_eq(lstat(path, &after), 0);
    ck_assert(S_ISREG(after.st_mode));
    ck_assert_uint_eq(test_image_count("x"), 3);
    ck_assert_uint_eq(test_image_count("x/blobs/sha256"), 4);
}
END_TEST

START_TEST(other_directories_are_refused)
{
    TEST_IMAGES;
    struct ov_destination *d;
    const char *const forms[] = {"oci", "dir"};
    test_image_mkdir("home");
    test_image_write("home/letter", "x");
    test_image_write("file", "x");
    for (size_t i = 0; i < OV_ARRAY_LEN(forms); i++) {
        TEST_FAILS(OV_ERR_EXISTS, ov_destination_open(test_image_spec(forms[i], "home").text, NULL,
                                                      &d, &test_error));
        TEST_FAILS(OV_ERR_INVALID, ov_destination_open(test_image_spec(forms[i], "file").text, NULL,
                                                       &d, &test_error));
    }
    make_layout("{}");
    TEST_FAILS(OV_ERR_INVALID,
               ov_destination_open(test_image_spec("oci", "x").text, NULL, &d, &test_error));
    TEST_FAILS(OV_ERR_EXISTS,
               ov_destination_open(test_image_spec("dir", "x").text, NULL, &d, &test_error));
    test_image_write("x/index.json", "{\"manifests\":[}");
    TEST_FAILS(OV_ERR_INVALID,
               ov_destination_open(test_image_spec("oci", "x").text, NULL, &d, &test_error));
    test_image_write("x/index.json", foreign_index);
    test_image_write("x/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
    TEST_FAILS(OV_ERR_UNSUPPORTED,
               ov_destination_open(test_image_spec("oci", "x").text, NULL, &d, &test_error));
    test_image_write("x/oci-layout", OV_LAYOUT_VERSION);
    ck_assert_int_eq(symlink("../home", test_path_of(&test_images, "x/blobs").text), 0);
    ck_assert_int_lt(ov_destination_open(test_image_spec("oci", "x").text, NULL, &d, &test_error),
                     0);
    test_image_expect_file("x/index.json", test_bytes(foreign_index));
    ck_assert_uint_eq(test_image_count("home"), 1);
}
END_TEST

START_TEST(an_interrupted_layout_is_gone_on_with)
{
    TEST_IMAGES;
    struct ov_destination *d;
    struct test_image image;
    const char *const forms[] = {"oci", "dir"};
    for (size_t i = 0; i < OV_ARRAY_LEN(forms); i++) {
        TEST_OK(
            ov_destination_open(test_image_spec(forms[i], forms[i]).text, NULL, &d, &test_error));
        TEST_OK(test_image_parts(d, "{}", &image, &test_error));
        ov_destination_close(d);
        ck_assert(!test_image_is_there(i ? "dir/version" : "oci/oci-layout"));
        TEST_OK(
            ov_destination_open(test_image_spec(forms[i], forms[i]).text, NULL, &d, &test_error));
        ck_assert(ov_destination_has(d, &image.layers[0].digest, image.layers[0].size));
        TEST_OK(test_image_finish(d, &image, &test_error));
        ov_destination_close(d);
    }
    ck_assert_uint_eq(test_image_count("oci"), 3);
    ck_assert_uint_eq(test_image_count("dir"), 5);
    ck_assert_int_eq(unlink(test_path_of(&test_images, "oci/index.json").text), 0);
    TEST_OK(test_image_put(test_image_spec("oci", "oci").text, NULL, "{}", &image, &test_error));
    ck_assert(test_image_is_there("oci/index.json"));
}
END_TEST

START_TEST(other_digests_have_their_own_directory)
{
    TEST_IMAGES;
    OV_AUTO(ov_destination_close_auto) struct ov_destination *d = NULL;
    struct test_image image;
    struct ov_digest digest;
    TEST_OK(ov_destination_open(test_image_spec("oci", "x").text, TEST_IMAGE_REFERENCE, &d,
                                &test_error));
    TEST_OK(test_image_parts(d, "{}", &image, &test_error));
    TEST_OK(
        test_image_blob(d, test_bytes("more"), OV_DIGEST_SHA512, &image.layers[2], &test_error));
    TEST_OK(ov_destination_document(d, test_bytes("doc"), OV_DIGEST_SHA512, &digest, &test_error));
    image.top =
        test_image_descriptor(test_bytes(image.manifest), OV_DIGEST_SHA512, OV_MEDIA_MANIFEST);
    TEST_OK(test_image_finish(d, &image, &test_error));
    expect_blob_file("x/blobs/sha512", &image.layers[2], test_bytes("more"));
    expect_blob_file("x/blobs/sha512", &image.top, test_bytes(image.manifest));
    ck_assert_uint_eq(test_image_count("x/blobs/sha512"), 3);
}
END_TEST

/* ---- Directories ---- */

START_TEST(a_dir_is_made_and_replaced)
{
    TEST_IMAGES;
    struct test_image image;
    TEST_OK(test_image_put(test_image_spec("dir", "x").text, TEST_IMAGE_REFERENCE, "{}", &image,
                           &test_error));
    test_image_expect_file("x/version", test_bytes("Directory Transport Version: 1.1\n"));
    test_image_expect_file("x/manifest.json", test_bytes(image.manifest));
    expect_blob_file("x", &image.layers[0], test_image_big());
    expect_blob_file("x", &image.config, test_bytes("{}"));
    ck_assert_uint_eq(test_image_count("x"), 5);
    TEST_OK(test_image_put(test_image_spec("dir", "x").text, TEST_IMAGE_REFERENCE, "{\"a\":1}",
                           &image, &test_error));
    test_image_expect_file("x/manifest.json", test_bytes(image.manifest));
    ck_assert_uint_eq(test_image_count("x"), 6);
}
END_TEST

START_TEST(a_dir_has_its_manifest_once)
{
    TEST_IMAGES;
    OV_AUTO(ov_destination_close_auto) struct ov_destination *d = NULL;
    struct test_image image;
    struct ov_digest digest;
    TEST_OK(ov_destination_open(test_image_spec("dir", "x").text, NULL, &d, &test_error));
    TEST_OK(test_image_parts(d, "{}", &image, &test_error));
    TEST_OK(ov_destination_document(d, test_bytes(image.manifest), OV_DIGEST_SHA256, &digest,
                                    &test_error));
    TEST_OK(test_image_finish(d, &image, &test_error));
    ck_assert_uint_eq(test_image_count("x"), 5);
}
END_TEST

START_TEST(a_dir_holds_no_index)
{
    TEST_IMAGES;
    OV_AUTO(ov_destination_close_auto) struct ov_destination *d = NULL;
    struct ov_descriptor top =
        test_image_descriptor(test_bytes("{}"), OV_DIGEST_SHA256, OV_MEDIA_INDEX);
    TEST_OK(ov_destination_open(test_image_spec("dir", "x").text, NULL, &d, &test_error));
    TEST_FAILS(OV_ERR_INVALID,
               ov_destination_finish(d, &top, test_bytes("{}"), NULL, NULL, 0, &test_error));
    ck_assert_uint_eq(test_image_count("x"), 0);
}
END_TEST

/* ---- Failing ---- */

static const char *const all_forms[] = {"oci", "dir", "oci-archive", "docker-archive"};

START_TEST(what_was_not_written_is_not_pointed_to)
{
    TEST_IMAGES;
    struct ov_destination *d;
    struct test_image image;
    for (size_t i = 0; i < OV_ARRAY_LEN(all_forms); i++) {
        for (unsigned fault = 0; fault < 3; fault++) {
            bool is_docker = strcmp(all_forms[i], "docker-archive") == 0;
            TEST_OK(ov_destination_open(test_image_spec(all_forms[i], "x").text, NULL, &d,
                                        &test_error));
            TEST_OK(test_image_parts(d, "{}", &image, &test_error));
            if (fault == 0)
                image.config.digest.bytes[3]++;
            if (fault == 1)
                image.layers[2].size++;
            if (fault == 2)
                image.top.digest.bytes[3]++;
            if (fault < 2 || !is_docker)
                TEST_FAILS(OV_ERR_INVALID, test_image_finish(d, &image, &test_error));
            ov_destination_close(d);
            ck_assert(!test_image_is_there("x/index.json"));
            ck_assert(!test_image_is_there("x/manifest.json"));
        }
        test_directory_remove(&test_images);
        test_directory_make(&test_images);
    }
}
END_TEST

/* A crash is a close without finish, at any place. */
START_TEST(what_was_there_stays_until_the_end)
{
    TEST_IMAGES;
    struct ov_destination *d;
    struct ov_sink sink;
    const char *const tops[] = {"x/index.json", "x/manifest.json", "x", "x"};
    struct test_image image;
    for (size_t i = 0; i < OV_ARRAY_LEN(all_forms); i++) {
        OV_AUTO(ov_buf_release) struct ov_buf before = {0};
        struct test_image_text spec = test_image_spec(all_forms[i], "x");
        TEST_OK(test_image_put(spec.text, TEST_IMAGE_REFERENCE, "{}", &image, &test_error));
        test_file_read(test_path_of(&test_images, tops[i]).text, &before);
        unsigned entries = test_image_count(i < 2 ? "x" : ".");
        for (unsigned place = 0; place < 3; place++) {
            TEST_OK(ov_destination_open(spec.text, TEST_IMAGE_REFERENCE, &d, &test_error));
            if (place > 0)
                TEST_OK(test_image_parts(d, "{}", &image, &test_error));
            if (place > 1) {
                TEST_OK(ov_destination_blob_begin(d, &sink, &test_error));
                TEST_OK(ov_sink_write(&sink, test_image_big().data, TEST_IMAGE_BIG, &test_error));
            }
            ov_destination_close(d);
            test_image_expect_file(tops[i], ov_buf_view(&before));
            ck_assert_uint_eq(test_image_count(i < 2 ? "x" : "."), entries);
        }
        test_directory_remove(&test_images);
        test_directory_make(&test_images);
    }
}
END_TEST

/* Not even a program that is killed leaves its temporary file, where files can be nameless. */
START_TEST(a_killed_writer_leaves_nothing)
{
    TEST_IMAGES;
    OV_AUTO(ov_fd_close) int fd = open(test_images.path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    for (size_t i = 2; i < OV_ARRAY_LEN(all_forms); i++) {
        pid_t child = fork();
        if (child == 0) {
            struct ov_destination *d;
            struct ov_error err;
            struct test_image image;
            if (ov_destination_open(test_image_spec(all_forms[i], "x").text, NULL, &d, &err) ==
                    OV_OK &&
                test_image_parts(d, "{}", &image, &err) == OV_OK)
                raise(SIGKILL);
            _exit(1);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        ck_assert_uint_eq(test_image_count("."), 0);
    }
}
END_TEST

/* A disk that is full at every place: files may not grow beyond `limit`. */
START_TEST(a_full_disk_is_a_status)
{
    TEST_IMAGES;
    const char *const tops[] = {"x/index.json", "x/manifest.json", "x", "x"};
    const rlim_t limits[] = {
        1, 30, 600, 2000, 3000, 300000, TEST_IMAGE_BIG - 1, TEST_IMAGE_BIG + 1000};
    struct test_image image;
    struct rlimit all;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &all), 0);
    for (size_t i = 0; i < OV_ARRAY_LEN(all_forms); i++) {
        struct test_image_text spec = test_image_spec(all_forms[i], "x");
        OV_AUTO(ov_buf_release) struct ov_buf before = {0};
        TEST_OK(test_image_put(spec.text, TEST_IMAGE_REFERENCE, "{}", &image, &test_error));
        test_file_read(test_path_of(&test_images, tops[i]).text, &before);
        unsigned entries = test_image_count(i < 2 ? "x" : ".");
        for (size_t j = 0; j < OV_ARRAY_LEN(limits); j++) {
            struct rlimit limit = {limits[j], all.rlim_max};
            setrlimit(RLIMIT_FSIZE, &limit);
            enum ov_status status =
                test_image_put(spec.text, TEST_IMAGE_REFERENCE, "{\"a\":1}", &image, &test_error);
            setrlimit(RLIMIT_FSIZE, &all);
            if (status == OV_OK) {
                ck_assert_uint_lt(i, 2); /* the largest files were there already */
                ck_assert_uint_gt(limits[j], TEST_IMAGE_BIG);
                continue;
            }
            ck_assert_int_eq(status, OV_ERR_IO);
            test_image_expect_file(tops[i], ov_buf_view(&before));
            ck_assert_uint_eq(test_image_count(i < 2 ? "x" : "."), entries);
        }
        test_directory_remove(&test_images);
        test_directory_make(&test_images);
    }
}
END_TEST

static enum ov_status try_all(void *context, struct ov_error *err)
{
    struct test_image image;
    const char *const *forms = context;
    for (size_t i = 0; i < OV_ARRAY_LEN(all_forms); i++)
        OV_TRY(test_image_put(test_image_spec(forms[i], forms[i]).text, TEST_IMAGE_REFERENCE, "{}",
                              &image, err));
    return OV_OK;
}

START_TEST(no_memory_is_a_status)
{
    TEST_IMAGES;
    test_image_big();
    test_every_allocation(try_all, (void *)(uintptr_t)all_forms);
    ck_assert_uint_eq(test_image_count("."), 4);
    ck_assert_uint_eq(test_image_count("oci"), 3);
    ck_assert_uint_eq(test_image_count("dir"), 5);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        bad_names_are_refused,
        good_names_are_taken,
        a_layout_is_made,
        a_layout_is_added_to,
        without_a_reference_the_unnamed_entry_is_replaced,
        entries_tell_platform_and_name,
        an_index_does_not_grow_without_end,
        blobs_that_are_there_are_kept_unless_their_size_is_wrong,
        other_directories_are_refused,
        an_interrupted_layout_is_gone_on_with,
        other_digests_have_their_own_directory,
        a_dir_is_made_and_replaced,
        a_dir_has_its_manifest_once,
        a_dir_holds_no_index,
        what_was_not_written_is_not_pointed_to,
        what_was_there_stays_until_the_end,
        a_killed_writer_leaves_nothing,
        a_full_disk_is_a_status,
        no_memory_is_a_status,
    };
    return test_main("destination", tests, OV_ARRAY_LEN(tests));
}
