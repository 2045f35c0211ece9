#include "repo/image/source.h"

#include "engine/base/file.h"
#include "repo/image/source_internal.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* ---- Texts by value ---- */

struct text {
    char text[6000];
};

OV_PRINTF(1, 2) static struct text format(const char *fmt, ...)
{
    struct text out;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out.text, sizeof(out.text), fmt, args);
    va_end(args);
    ck_assert(n >= 0 && (size_t)n < sizeof(out.text));
    return out;
}

/* ---- What a source is made of ---- */

struct file {
    char name[200];
    struct ov_buf bytes; /* of links: the target */
    char type;           /* as in tar: '0' file, '1' hard link, '2' symbolic link, '6' fifo */
};

struct files {
    struct file items[80];
    size_t count;
};

static void release_files(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        ov_buf_release(&files->items[i].bytes);
}

static void put_type(struct files *files, const char *name, char type, struct ov_bytes bytes)
{
    ck_assert_uint_lt(files->count, OV_ARRAY_LEN(files->items));
    struct file *file = &files->items[files->count++];
    snprintf(file->name, sizeof(file->name), "%s", name);
    file->type = type;
    file->bytes = (struct ov_buf){0};
    TEST_OK(ov_buf_append(&file->bytes, bytes.data, bytes.len, &test_error));
}

static void put(struct files *files, const char *name, const char *text)
{
    put_type(files, name, '0', ov_bytes_of_string(text));
}

static struct file *find(struct files *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(files->items[i].name, name) == 0)
            return &files->items[i];
    }
    ck_abort_msg("no file %s", name);
}

static void write_directory(const struct files *files, const struct test_directory *directory)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct file *file = &files->items[i];
        struct test_path path = test_path_of(directory, file->name);
        struct text parent = format("%s", path.text);
        *strrchr(parent.text, '/') = '\0';
        TEST_OK(ov_make_directories(parent.text, &test_error));
        unlink(path.text);
        if (file->type == '6')
            ck_assert_int_eq(mkfifo(path.text, 0600), 0);
        else if (file->type == '2')
            ck_assert_int_eq(
                symlink(format("%.*s", (int)file->bytes.len, file->bytes.data).text, path.text), 0);
        else
            test_file_write(path.text, file->bytes.data, file->bytes.len);
    }
}

static void put_header(const char *name, char type, const char *target, size_t size,
                       struct ov_buf *out)
{
    char header[512] = {0};
    unsigned sum = 0;
    snprintf(header, 100, "%s", name);
    snprintf(header + 100, 8, "0000644");
    snprintf(header + 108, 8, "0000000");
    snprintf(header + 116, 8, "0000000");
    snprintf(header + 124, 12, "%011zo", size);
    snprintf(header + 136, 12, "00000000000");
    memset(header + 148, ' ', 8);
    header[156] = type;
    snprintf(header + 157, 100, "%s", target);
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(header); i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    TEST_OK(ov_buf_append(out, header, sizeof(header), &test_error));
}

static void write_tar(const struct files *files, struct ov_buf *out)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct file *file = &files->items[i];
        bool is_file = file->type == '0';
        struct text target =
            format("%.*s", is_file ? 0 : (int)file->bytes.len, (const char *)file->bytes.data);
        put_header(file->name, file->type, target.text, is_file ? file->bytes.len : 0, out);
        if (!is_file)
            continue;
        TEST_OK(ov_buf_append(out, file->bytes.data, file->bytes.len, &test_error));
        TEST_OK(ov_buf_append_zeros(out, -file->bytes.len & 511, &test_error));
    }
    TEST_OK(ov_buf_append_zeros(out, 1024, &test_error));
}

/* ---- Images ---- */

/* The members of a descriptor, without braces. */
static struct text descriptor(const char *media_type, enum ov_digest_algorithm algorithm,
                              struct ov_bytes bytes)
{
    struct ov_digest digest;
    TEST_OK(ov_digest_compute(algorithm, bytes, &digest, &test_error));
    return format("\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu", media_type,
                  ov_digest_text(&digest).text, bytes.len);
}

static struct text blob_name(enum ov_digest_algorithm algorithm, const char *text)
{
    struct ov_digest digest;
    TEST_OK(ov_digest_compute(algorithm, ov_bytes_of_string(text), &digest, &test_error));
    return format("blobs/%s/%s", algorithm == OV_DIGEST_SHA256 ? "sha256" : "sha512",
                  ov_digest_hex(&digest).text);
}

static struct text put_blob(struct files *files, const char *media_type, const char *text)
{
    put(files, blob_name(OV_DIGEST_SHA256, text).text, text);
    return descriptor(media_type, OV_DIGEST_SHA256, ov_bytes_of_string(text));
}

static struct text config_of(const char *architecture, size_t layers)
{
    struct text ids = format("%s", "");
    for (size_t i = 0; i < layers; i++)
        ids = format("%s%s\"sha256:%064zx\"", ids.text, i ? "," : "", i);
    return format("{\"architecture\":\"%s\",\"os\":\"linux\","
                  "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
                  architecture, ids.text);
}

static struct text layer_of(const char *architecture, unsigned number)
{
    return format("layer %u of %s", number, architecture);
}

static struct text manifest_of(const char *config, const char *layers)
{
    return format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{%s},\"layers\":[%s]}",
                  OV_MEDIA_MANIFEST, config, layers);
}

/* An image of two layers; the members of its descriptor. */
static struct text put_image(struct files *files, const char *architecture)
{
    struct text one = layer_of(architecture, 1), two = layer_of(architecture, 2);
    struct text config = put_blob(files, OV_MEDIA_CONFIG, config_of(architecture, 2).text);
    one = put_blob(files, OV_MEDIA_LAYER, one.text);
    two = put_blob(files, OV_MEDIA_LAYER_GZIP, two.text);
    struct text manifest = manifest_of(config.text, format("{%s},{%s}", one.text, two.text).text);
    return put_blob(files, OV_MEDIA_MANIFEST, manifest.text);
}

static struct text named(struct text descriptor_of, const char *name)
{
    return format("%s,\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}",
                  descriptor_of.text, name);
}

static struct text with_platform(struct text descriptor_of, const char *os,
                                 const char *architecture)
{
    return format("%s,\"platform\":{\"os\":\"%s\",\"architecture\":\"%s\"}", descriptor_of.text, os,
                  architecture);
}

static struct text index_of(const char *manifests)
{
    return format("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}", OV_MEDIA_INDEX,
                  manifests);
}

static void put_index(struct files *files, const char *manifests)
{
    put(files, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    put(files, "index.json", index_of(manifests).text);
}

/* amd64, arm64, an attestation and a signature in one index. */
static struct text put_platforms(struct files *files)
{
    struct text amd64 = with_platform(put_image(files, "amd64"), "linux", "amd64");
    struct text arm64 = put_image(files, "arm64"); /* only its config says so */
    struct text unknown = with_platform(put_image(files, "none"), "unknown", "unknown");
    struct text signature = put_blob(files, "application/vnd.oci.empty.v1+json", "{}");
    signature = put_blob(files, OV_MEDIA_MANIFEST, manifest_of(signature.text, "").text);
    return put_blob(
        files, OV_MEDIA_INDEX,
        index_of(format("{%s},{%s},{%s},{%s}", unknown.text, signature.text, amd64.text, arm64.text)
                     .text)
            .text);
}

/* ---- Opening ---- */

static struct ov_archive *open_bytes(struct ov_bytes bytes)
{
    struct ov_archive *archive;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    TEST_OK(ov_fd_write(fd, bytes.data, bytes.len, "memory", &test_error));
    lseek(fd, 0, SEEK_SET);
    TEST_OK(ov_archive_open_fd(fd, "archive", NULL, &archive, &test_error));
    return archive;
}

static struct ov_image_source *open_tar(const struct files *files, const char *reference)
{
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    struct ov_image_source *source;
    write_tar(files, &tar);
    TEST_OK(ov_image_source_over(open_bytes(ov_buf_view(&tar)), "archive", reference, &source,
                                 &test_error));
    return source;
}

static struct ov_image_source *open_layout(const struct files *files,
                                           struct test_directory *directory)
{
    struct ov_image_source *source;
    test_directory_make(directory);
    write_directory(files, directory);
    TEST_OK(
        ov_image_source_open(format("oci:%s", directory->path).text, NULL, &source, &test_error));
    return source;
}

static enum ov_status read_layer(struct ov_image_source *source, const struct ov_image *image,
                                 size_t layer, struct ov_buf *out, struct ov_digest *digest,
                                 struct ov_error *err)
{
    OV_AUTO(ov_image_blob_close_auto) struct ov_image_blob *blob = NULL;
    OV_TRY(ov_image_blob_open(source, image, layer, &blob, err));
    struct ov_stream stream = ov_image_blob_stream(blob);
    uint64_t size;
    for (size_t got = 1; got; out->len += got) {
        OV_TRY(ov_buf_reserve(out, 5, err));
        OV_TRY(ov_stream_read(&stream, out->data + out->len, 5, &got, err));
    }
    ov_image_blob_digest(blob, digest, &size);
    return size == out->len ? OV_OK : ov_fail(err, OV_ERR_INVALID, "another size");
}

static void expect_layer(struct ov_image_source *source, const struct ov_image *image, size_t layer,
                         const char *text)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_digest digest, right;
    TEST_OK(read_layer(source, image, layer, &out, &digest, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_bytes_of_string(text)));
    TEST_OK(ov_digest_compute(OV_DIGEST_SHA256, ov_buf_view(&out), &right, &test_error));
    ck_assert(ov_digest_equal(&digest, &right));
}

static void expect_image(struct ov_image_source *source, const struct ov_image *image,
                         const char *architecture)
{
    struct text config = config_of(architecture, 2);
    ck_assert_uint_eq(image->layer_count, 2);
    ck_assert_str_eq(image->platform.architecture, architecture);
    ck_assert(ov_bytes_equal(ov_buf_view(&image->config), ov_bytes_of_string(config.text)));
    expect_layer(source, image, 0, layer_of(architecture, 1).text);
    expect_layer(source, image, 1, layer_of(architecture, 2).text);
}

/* Loading the only image fails so. */
static void expect_failure(struct ov_image_source *source, enum ov_status status, const char *words)
{
    struct ov_image_list list;
    TEST_FAILS(status, ov_image_source_load(source, 0, NULL, &list, &test_error));
    ck_assert_msg(strstr(test_error.message, words), "%s", test_error.message);
    ov_image_source_close(source);
}

/* ---- Layouts ---- */

START_TEST(a_layout_gives_what_is_in_it)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    struct text a = put_image(&files, "amd64"), b = put_image(&files, "s390x");
    put_index(&files, format("{%s},{%s}", named(a, "one:1").text, b.text).text);
    struct ov_image_source *sources[] = {open_layout(&files, &directory), open_tar(&files, NULL)};
    for (size_t i = 0; i < OV_ARRAY_LEN(sources); i++) {
        OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
        OV_AUTO(ov_image_list_release) struct ov_image_list second = {0};
        struct ov_image_source *source = sources[i];
        struct ov_platform other;
        ck_assert_uint_eq(ov_image_source_count(source), 2);
        ck_assert_uint_eq(ov_image_source_name_count(source, 0), 1);
        ck_assert_str_eq(ov_image_source_name(source, 0, 0), "one:1");
        ck_assert_uint_eq(ov_image_source_name_count(source, 1), 0);
        ck_assert_ptr_null(ov_image_source_name(source, 1, 0));
        TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
        ck_assert_uint_eq(list.count, 1);
        ck_assert_uint_eq(list.index.len, 0);
        expect_image(source, &list.items[0], "amd64");
        /* Without an index it is given, whatever is wanted. */
        TEST_OK(ov_platform_parse("linux/amd64", &other, &test_error));
        TEST_OK(ov_image_source_load(source, 1, &other, &second, &test_error));
        expect_image(source, &second.items[0], "s390x");
        TEST_FAILS(OV_ERR_NOT_FOUND, ov_image_source_load(source, 2, NULL, &second, &test_error));
        ov_image_source_close(source);
    }
}
END_TEST

START_TEST(a_reference_chooses)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    struct text a = named(put_image(&files, "amd64"), "one:1");
    struct text b = format("%s,\"annotations\":{\"io.containerd.image.name\":\"r.io/two:2\","
                           "\"org.opencontainers.image.ref.name\":\"2\"}",
                           put_image(&files, "s390x").text);
    put_index(&files, format("{%s},{%s}", a.text, b.text).text);
    ov_image_source_close(open_layout(&files, &directory));
    static const char *const references[] = {"2", "r.io/two:2"};
    for (size_t i = 0; i < OV_ARRAY_LEN(references); i++) {
        OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
        struct ov_image_source *source;
        TEST_OK(ov_image_source_open(format("oci:%s:%s", directory.path, references[i]).text, NULL,
                                     &source, &test_error));
        ck_assert_uint_eq(ov_image_source_count(source), 1);
        ck_assert_str_eq(ov_image_source_name(source, 0, 0), "r.io/two:2");
        TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
        expect_image(source, &list.items[0], "s390x");
        ov_image_source_close(source);
    }
    struct ov_image_source *source;
    TEST_FAILS(OV_ERR_INVALID, ov_image_source_open(format("oci:%s:one", directory.path).text, NULL,
                                                    &source, &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, "there are one:1, r.io/two:2"));
}
END_TEST

START_TEST(specs_that_make_no_sense_are_refused)
{
    static const char *const specs[] = {
        "", "docker://x", "oci", "oci:", "oci::x", "dir:", "ocix:/tmp", "oci-archive:/"};
    struct ov_image_source *source;
    for (size_t i = 0; i < OV_ARRAY_LEN(specs); i++)
        TEST_FAILS(OV_ERR_INVALID, ov_image_source_open(specs[i], NULL, &source, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_image_source_open("oci:/nowhere", NULL, &source, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_image_source_open("oci:/dev/null", NULL, &source, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND,
               ov_image_source_open("docker-archive:/nowhere:x", NULL, &source, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_image_source_open("dir:/dev", NULL, &source, &test_error));
}
END_TEST

START_TEST(of_an_index_what_fits_is_chosen)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    struct text top = put_platforms(&files);
    put_index(&files, format("{%s}", named(top, "multi").text).text);
    struct ov_image_source *source = open_tar(&files, NULL);
    static const char *const architectures[] = {"amd64", "arm64"};
    for (size_t i = 0; i < OV_ARRAY_LEN(architectures); i++) {
        OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
        struct ov_platform want;
        TEST_OK(ov_platform_parse(format("linux/%s", architectures[i]).text, &want, &test_error));
        TEST_OK(ov_image_source_load(source, 0, &want, &list, &test_error));
        ck_assert_uint_eq(list.count, 1);
        ck_assert_uint_ne(list.index.len, 0);
        ck_assert_str_eq(list.index_media_type, OV_MEDIA_INDEX);
        expect_image(source, &list.items[0], architectures[i]);
    }
    OV_AUTO(ov_image_list_release) struct ov_image_list all = {0};
    TEST_OK(ov_image_source_load(source, 0, NULL, &all, &test_error));
    ck_assert_uint_eq(all.count, 2);
    expect_image(source, &all.items[0], "amd64");
    expect_image(source, &all.items[1], "arm64");
    struct ov_platform none;
    struct ov_image_list list;
    TEST_OK(ov_platform_parse("linux/riscv64", &none, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_image_source_load(source, 0, &none, &list, &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, "there are linux/amd64, linux/arm64"));
    ov_image_source_close(source);
}
END_TEST

/* levels: indexes around one image. */
static struct ov_image_source *open_nested(unsigned levels)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    struct text at = put_image(&files, "amd64");
    for (unsigned i = 0; i < levels; i++)
        at = put_blob(&files, OV_MEDIA_INDEX, index_of(format("{%s}", at.text).text).text);
    put_index(&files, format("{%s}", at.text).text);
    return open_tar(&files, NULL);
}

START_TEST(indexes_are_followed_four_deep)
{
    OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
    struct ov_image_source *source = open_nested(5);
    TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
    expect_image(source, &list.items[0], "amd64");
    ov_image_source_close(source);
    expect_failure(open_nested(6), OV_ERR_LIMIT, "4 deep");
}
END_TEST

START_TEST(digests_of_512_bits_and_embedded_data_do)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
    struct text config = config_of("amd64", 2), layer = layer_of("amd64", 1);
    struct text one = descriptor(OV_MEDIA_LAYER, OV_DIGEST_SHA512, ov_bytes_of_string(layer.text));
    struct text two = descriptor(OV_MEDIA_LAYER, OV_DIGEST_SHA256, ov_bytes_of_string("data"));
    put(&files, blob_name(OV_DIGEST_SHA512, layer.text).text, layer.text);
    struct text layers = format("{%s},{%s,\"data\":\"ZGF0YQ==\"}", one.text, two.text);
    struct text manifest =
        manifest_of(put_blob(&files, OV_MEDIA_CONFIG, config.text).text, layers.text);
    put_index(&files, format("{%s}", put_blob(&files, OV_MEDIA_MANIFEST, manifest.text).text).text);
    struct ov_image_source *source = open_layout(&files, &directory);
    TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
    expect_layer(source, &list.items[0], 0, layer.text);
    expect_layer(source, &list.items[0], 1, "data");
    ov_image_source_close(source);
}
END_TEST

/* ---- Faults ---- */

/* A layout of one image in which `manifest` is its manifest. */
static struct ov_image_source *open_manifest(struct files *files, struct text manifest)
{
    struct text top = put_blob(files, OV_MEDIA_MANIFEST, manifest.text);
    put_index(files, format("{%s}", top.text).text);
    return open_tar(files, NULL);
}

START_TEST(what_is_no_image_is_refused)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    struct text config = put_blob(&files, OV_MEDIA_CONFIG, config_of("amd64", 1).text);
    struct text empty = put_blob(&files, "application/vnd.oci.empty.v1+json", "{}");
    struct text layer = put_blob(&files, OV_MEDIA_LAYER, "layer");
    struct text other = put_blob(&files, "text/plain", "layer");
    struct text foreign = format(
        "%s,\"urls\":[\"http://x\"]",
        put_blob(&files, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "f").text);
    const struct {
        struct text manifest;
        enum ov_status status;
        const char *words;
    } cases[] = {
        {manifest_of(empty.text, ""), OV_ERR_UNSUPPORTED, "artifact"},
        {manifest_of(config.text, format("{%s}", foreign.text).text), OV_ERR_UNSUPPORTED,
         "layer 1 is foreign"},
        {manifest_of(config.text, format("{%s}", other.text).text), OV_ERR_UNSUPPORTED,
         "text/plain"},
        {manifest_of(config.text, ""), OV_ERR_INVALID, "1 diff_ids for 0 layers"},
        {manifest_of(config.text, format("{%s},{%s}", layer.text, layer.text).text), OV_ERR_INVALID,
         "1 diff_ids for 2 layers"},
        {format("{\"schemaVersion\":2,\"config\":{%s},\"layers\":[],\"manifests\":[]}",
                config.text),
         OV_ERR_INVALID, "both"},
        {format("{\"schemaVersion\":1}"), OV_ERR_UNSUPPORTED, "schema 1"},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        size_t count = files.count;
        expect_failure(open_manifest(&files, cases[i].manifest), cases[i].status, cases[i].words);
        for (; files.count > count; files.count--)
            ov_buf_release(&files.items[files.count - 1].bytes);
    }
}
END_TEST

/* Changes one blob of a good image; loading fails. */
static void expect_fault(const char *text, void (*change)(struct file *file), const char *words)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    struct text top = put_image(&files, "amd64");
    put_index(&files, format("{%s}", top.text).text);
    change(find(&files, blob_name(OV_DIGEST_SHA256, text).text));
    expect_failure(open_layout(&files, &directory), OV_ERR_CORRUPT, words);
    expect_failure(open_tar(&files, NULL), OV_ERR_CORRUPT, words);
}

static void flip(struct file *file)
{
    file->bytes.data[file->bytes.len / 2] ^= 1;
}

static void shorten(struct file *file)
{
    file->bytes.len--;
}

static void lengthen(struct file *file)
{
    TEST_OK(ov_buf_append(&file->bytes, "x", 1, &test_error));
}

static void lose(struct file *file)
{
    file->name[strlen(file->name) - 1] = 'x';
}

START_TEST(damaged_documents_are_found)
{
    struct text config = config_of("amd64", 2);
    expect_fault(config.text, flip, "is damaged: its digest is");
    expect_fault(config.text, shorten, "bytes instead of");
    expect_fault(config.text, lengthen, "bytes instead of");
    expect_fault(config.text, lose, "is missing");
}
END_TEST

START_TEST(damaged_layers_are_found)
{
    void (*const changes[])(struct file *) = {flip, shorten, lengthen, lose};
    static const char *const words[] = {"is damaged", "instead of", "instead of", "is missing"};
    for (size_t i = 0; i < OV_ARRAY_LEN(changes); i++) {
        OV_AUTO(release_files) struct files files = {.count = 0};
        OV_AUTO(test_directory_remove) struct test_directory directory;
        struct text top = put_image(&files, "amd64");
        put_index(&files, format("{%s}", top.text).text);
        changes[i](find(&files, blob_name(OV_DIGEST_SHA256, layer_of("amd64", 2).text).text));
        struct ov_image_source *both[] = {open_layout(&files, &directory), open_tar(&files, NULL)};
        for (size_t s = 0; s < 2; s++) {
            OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
            OV_AUTO(ov_buf_release) struct ov_buf out = {0};
            struct ov_digest digest;
            TEST_OK(ov_image_source_load(both[s], 0, NULL, &list, &test_error));
            TEST_FAILS(OV_ERR_CORRUPT,
                       read_layer(both[s], &list.items[0], 1, &out, &digest, &test_error));
            ck_assert_msg(strstr(test_error.message, words[i]), "%s", test_error.message);
            ck_assert_ptr_nonnull(strstr(test_error.message, "layer 2"));
            ov_image_source_close(both[s]);
        }
    }
}
END_TEST

START_TEST(a_layer_that_grows_or_shrinks_is_found)
{
    for (int delta = -1; delta <= 1; delta += 2) {
        OV_AUTO(release_files) struct files files = {.count = 0};
        OV_AUTO(test_directory_remove) struct test_directory directory;
        OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
        OV_AUTO(ov_image_blob_close_auto) struct ov_image_blob *blob = NULL;
        struct text top = put_image(&files, "amd64"), layer = layer_of("amd64", 1);
        put_index(&files, format("{%s}", top.text).text);
        struct ov_image_source *source = open_layout(&files, &directory);
        TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
        TEST_OK(ov_image_blob_open(source, &list.items[0], 0, &blob, &test_error));
        struct test_path path =
            test_path_of(&directory, blob_name(OV_DIGEST_SHA256, layer.text).text);
        ck_assert_int_eq(truncate(path.text, (off_t)strlen(layer.text) + delta), 0);
        struct ov_stream stream = ov_image_blob_stream(blob);
        char out[100];
        size_t got;
        TEST_OK(ov_stream_read(&stream, out, sizeof(out), &got, &test_error));
        TEST_FAILS(OV_ERR_CORRUPT, ov_stream_read(&stream, out, sizeof(out), &got, &test_error));
        ck_assert_ptr_nonnull(strstr(test_error.message, delta > 0 ? "more than" : "ends after"));
        ov_image_source_close(source);
    }
}
END_TEST

START_TEST(only_regular_files_below_the_directory_are_opened)
{
    struct text config = config_of("amd64", 2);
    for (int i = 0; i < 3; i++) {
        OV_AUTO(release_files) struct files files = {.count = 0};
        OV_AUTO(test_directory_remove) struct test_directory directory;
        struct text top = put_image(&files, "amd64");
        put_index(&files, format("{%s}", top.text).text);
        ov_image_source_close(open_layout(&files, &directory));
        struct test_path path =
            test_path_of(&directory, blob_name(OV_DIGEST_SHA256, config.text).text);
        struct test_path away = test_path_of(&directory, "away");
        struct test_path blobs = test_path_of(&directory, "blobs");
        if (i == 0) { /* a link to the right file */
            ck_assert_int_eq(rename(path.text, away.text), 0);
            ck_assert_int_eq(symlink(away.text, path.text), 0);
        } else if (i == 1) { /* a link to the right directory */
            ck_assert_int_eq(rename(blobs.text, away.text), 0);
            ck_assert_int_eq(symlink("away", blobs.text), 0);
        } else {
            ck_assert_int_eq(unlink(path.text), 0);
            ck_assert_int_eq(mkfifo(path.text, 0600), 0);
        }
        struct ov_image_source *source;
        TEST_OK(ov_image_source_open(format("oci:%s", directory.path).text, NULL, &source,
                                     &test_error));
        expect_failure(source, OV_ERR_CORRUPT, i < 2 ? "a link on the way" : "not a regular file");
    }
}
END_TEST

/* ---- dir: ---- */

START_TEST(a_directory_of_skopeo_is_read)
{
    OV_AUTO(release_files) struct files blobs = {.count = 0};
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
    put_platforms(&blobs);
    put(&files, "version", "Directory Transport Version: 1.1\n");
    for (size_t i = 0; i < blobs.count; i++) {
        struct file *blob = &blobs.items[i];
        const char *hex = strrchr(blob->name, '/') + 1;
        bool is_config = ov_bytes_equal(ov_buf_view(&blob->bytes),
                                        ov_bytes_of_string(config_of("arm64", 2).text));
        bool is_manifest = blob->bytes.len > 60 && memcmp(blob->bytes.data, "{\"s", 3) == 0;
        struct text name = format("%s%s", hex,
                                  is_manifest ? ".manifest.json"
                                  : is_config ? ".tar" /* version 1.0 */
                                              : "");
        put_type(&files, i + 1 == blobs.count ? "manifest.json" : name.text, '0',
                 ov_buf_view(&blob->bytes));
    }
    struct ov_image_source *source;
    test_directory_make(&directory);
    write_directory(&files, &directory);
    TEST_OK(
        ov_image_source_open(format("dir:%s", directory.path).text, NULL, &source, &test_error));
    ck_assert_uint_eq(ov_image_source_count(source), 1);
    ck_assert_uint_eq(ov_image_source_name_count(source, 0), 0);
    TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
    ck_assert_uint_eq(list.count, 2);
    ck_assert_uint_ne(list.index.len, 0);
    expect_image(source, &list.items[0], "amd64");
    expect_image(source, &list.items[1], "arm64");
    ov_image_source_close(source);
}
END_TEST

/* ---- Archives ---- */

/* As old versions of docker write it: one layer is a link to another's. */
static void put_docker(struct files *files)
{
    put(files, "a/layer.tar", layer_of("amd64", 1).text);
    put_type(files, "b/layer.tar", '2', ov_bytes_of_string("../a/layer.tar"));
    put_type(files, "./hard", '1', ov_bytes_of_string("./a//layer.tar"));
    put_type(files, "loop", '2', ov_bytes_of_string("b/layer.tar"));
    put_type(files, "out", '2', ov_bytes_of_string("../../a/layer.tar"));
    put(files, "./config.json", config_of("amd64", 3).text);
    put(files, "other.json", config_of("arm64", 0).text);
    put(files, "manifest.json",
        "[{\"Config\":\"config.json\",\"RepoTags\":[\"busybox:latest\",\"r.io/x:1\"],"
        "\"Layers\":[\"a/layer.tar\",\"b/layer.tar\",\"hard\"]},"
        "{\"Config\":\"other.json\",\"RepoTags\":null,\"Layers\":[]}]");
}

START_TEST(a_docker_archive_gives_what_is_in_it)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
    put(&files, "large", ""); /* so large that most of it is not read */
    TEST_OK(ov_buf_append_zeros(&files.items[0].bytes, 5000001, &test_error));
    put_docker(&files);
    /* Of two members the first counts. */
    put(&files, "config.json", "{}");
    struct ov_image_source *source = open_tar(&files, NULL);
    ck_assert_uint_eq(ov_image_source_count(source), 2);
    ck_assert_uint_eq(ov_image_source_name_count(source, 0), 2);
    ck_assert_str_eq(ov_image_source_name(source, 0, 1), "r.io/x:1");
    ck_assert_uint_eq(ov_image_source_name_count(source, 1), 0);
    TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
    const struct ov_image *image = &list.items[0];
    ck_assert_uint_eq(image->layer_count, 3);
    ck_assert_uint_eq(image->manifest.len, 0);
    ck_assert_int_eq(image->config_descriptor.digest.algorithm, OV_DIGEST_SHA256);
    for (size_t i = 0; i < 3; i++)
        expect_layer(source, image, i, layer_of("amd64", 1).text);
    ov_image_source_close(source);
}
END_TEST

START_TEST(references_of_docker_may_be_short)
{
    static const struct {
        const char *reference;
        const char *platform; /* NULL: it is not there */
    } cases[] = {
        {"busybox", "amd64"},
        {"busybox:latest", "amd64"},
        {"library/busybox", "amd64"},
        {"docker.io/busybox", "amd64"},
        {"docker.io/library/busybox:latest", "amd64"},
        {"index.docker.io/library/busybox:latest", "amd64"},
        {"r.io/x:1", "amd64"},
        {"@0", "amd64"},
        {"@1", "arm64"},
        {"@2", NULL},
        {"@01", NULL},
        {"@", NULL},
        {"busybox:1", NULL},
        {"localhost/busybox", NULL},
        {"r.io/x", NULL},
        {"x:1", NULL},
    };
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    put_docker(&files);
    write_tar(&files, &tar);
    test_directory_make(&directory);
    test_file_write(test_path_of(&directory, "x.tar").text, tar.data, tar.len);
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
        struct ov_image_source *source;
        struct text spec = format("docker-archive:%s/x.tar:%s", directory.path, cases[i].reference);
        if (!cases[i].platform) {
            TEST_FAILS(OV_ERR_INVALID, ov_image_source_open(spec.text, NULL, &source, &test_error));
            continue;
        }
        TEST_OK(ov_image_source_open(spec.text, NULL, &source, &test_error));
        ck_assert_uint_eq(ov_image_source_count(source), 1);
        TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
        ck_assert_str_eq(list.items[0].platform.architecture, cases[i].platform);
        ov_image_source_close(source);
    }
}
END_TEST

START_TEST(links_in_archives_are_followed_once)
{
    static const char *const layers[] = {"loop", "out", "nowhere", "../a/layer.tar", "", "/"};
    for (size_t i = 0; i < OV_ARRAY_LEN(layers); i++) {
        OV_AUTO(release_files) struct files files = {.count = 0};
        put(&files, "manifest.json",
            format("[{\"Config\":\"config.json\",\"Layers\":[\"%s\"]}]", layers[i]).text);
        put_docker(&files);
        expect_failure(open_tar(&files, NULL), OV_ERR_CORRUPT,
                       i < 2 ? "is a link to no file" : "which is not there");
    }
}
END_TEST

START_TEST(an_archive_may_be_packed_or_come_through_a_pipe)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    struct text top = put_image(&files, "amd64");
    put_index(&files, format("{%s}", top.text).text);
    write_tar(&files, &tar);
    TEST_OK(ov_buf_reserve(&packed, ZSTD_compressBound(tar.len), &test_error));
    packed.len = ZSTD_compress(packed.data, packed.capacity, tar.data, tar.len, 3);
    ck_assert(!ZSTD_isError(packed.len));
    const struct ov_bytes archives[] = {ov_buf_view(&tar), ov_buf_view(&packed)};
    for (size_t i = 0; i < 4; i++) {
        OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
        struct ov_archive *archive;
        struct ov_image_source *source;
        struct ov_bytes bytes = archives[i % 2];
        int fds[2] = {-1, -1};
        if (i < 2) {
            archive = open_bytes(bytes);
        } else {
            ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
            ck_assert_uint_lt(bytes.len, 65536); /* what a pipe holds */
            TEST_OK(ov_fd_write(fds[1], bytes.data, bytes.len, "pipe", &test_error));
            close(fds[1]);
            TEST_OK(ov_archive_open_fd(fds[0], "pipe", NULL, &archive, &test_error));
        }
        TEST_OK(ov_image_source_over(archive, "archive", NULL, &source, &test_error));
        TEST_OK(ov_image_source_load(source, 0, NULL, &list, &test_error));
        expect_image(source, &list.items[0], "amd64");
        ov_image_source_close(source);
    }
}
END_TEST

START_TEST(an_archive_of_both_kinds_is_what_it_is_called)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    static const char *const kinds[] = {"docker-archive", "oci-archive"};
    struct text top = put_image(&files, "s390x");
    put(&files, "index.json", "{}"); /* of two members the last counts */
    put_index(&files, format("{%s}", top.text).text);
    put_docker(&files);
    write_tar(&files, &tar);
    test_directory_make(&directory);
    test_file_write(test_path_of(&directory, "x.tar").text, tar.data, tar.len);
    for (size_t i = 0; i < 2; i++) {
        struct ov_image_source *source;
        TEST_OK(ov_image_source_open(format("%s:%s/x.tar", kinds[i], directory.path).text, NULL,
                                     &source, &test_error));
        ck_assert_uint_eq(ov_image_source_count(source), i ? 1 : 2);
        ov_image_source_close(source);
    }
    struct ov_image_source *source = open_tar(&files, NULL);
    ck_assert_uint_eq(ov_image_source_count(source), 1);
    ov_image_source_close(source);
}
END_TEST

START_TEST(a_cut_off_archive_is_found)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    put(&files, "manifest.json", "[]");
    put(&files, "large", "");
    TEST_OK(ov_buf_append_zeros(&files.items[1].bytes, 3000000, &test_error));
    write_tar(&files, &tar);
    for (size_t len = 1100; len < tar.len - 1024; len += 500000) {
        struct ov_archive *archive;
        int fd = memfd_create("archive", MFD_CLOEXEC);
        TEST_OK(ov_fd_write(fd, tar.data, len, "memory", &test_error));
        lseek(fd, 0, SEEK_SET);
        TEST_FAILS(OV_ERR_CORRUPT, ov_archive_open_fd(fd, "archive", NULL, &archive, &test_error));
    }
}
END_TEST

START_TEST(the_members_of_an_archive_are_counted)
{
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    struct ov_archive *archive;
    put_header("x", '0', "", 0, &tar);
    int fd = memfd_create("archive", MFD_CLOEXEC);
    for (size_t i = 0; i < OV_ARCHIVE_MAX + 1; i++)
        TEST_OK(ov_fd_write(fd, tar.data, tar.len, "memory", &test_error));
    lseek(fd, 0, SEEK_SET);
    TEST_FAILS(OV_ERR_LIMIT, ov_archive_open_fd(fd, "archive", NULL, &archive, &test_error));
}
END_TEST

/* ---- Threads and memory ---- */

struct reader {
    struct ov_image_source *source;
    const struct ov_image *image;
};

static void *read_many(void *context)
{
    struct reader *reader = context;
    for (int i = 0; i < 20; i++) {
        for (size_t layer = 0; layer < 2; layer++) {
            OV_AUTO(ov_buf_release) struct ov_buf out = {0};
            struct ov_digest digest;
            struct ov_error err;
            if (read_layer(reader->source, reader->image, layer, &out, &digest, &err) < 0)
                return context;
        }
    }
    return NULL;
}

START_TEST(several_threads_read_at_once)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    struct text top = put_image(&files, "amd64");
    put_index(&files, format("{%s}", top.text).text);
    struct ov_image_source *both[] = {open_layout(&files, &directory), open_tar(&files, NULL)};
    for (size_t s = 0; s < 2; s++) {
        OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
        pthread_t threads[4];
        TEST_OK(ov_image_source_load(both[s], 0, NULL, &list, &test_error));
        struct reader reader = {both[s], &list.items[0]};
        for (size_t i = 0; i < 4; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, read_many, &reader), 0);
        for (size_t i = 0; i < 4; i++) {
            void *failed;
            pthread_join(threads[i], &failed);
            ck_assert_ptr_null(failed);
        }
        ov_image_source_close(both[s]);
    }
}
END_TEST

/* context: a spec. Loads everything and reads the first layer. */
static enum ov_status attempt(void *context, struct ov_error *err)
{
    OV_AUTO(ov_image_source_close_auto) struct ov_image_source *source = NULL;
    OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_digest digest;
    OV_TRY(ov_image_source_open(context, NULL, &source, err));
    OV_TRY(ov_image_source_load(source, 0, NULL, &list, err));
    return read_layer(source, &list.items[0], 0, &out, &digest, err);
}

START_TEST(a_lack_of_memory_is_a_status)
{
    OV_AUTO(release_files) struct files files = {.count = 0};
    OV_AUTO(release_files) struct files docker = {.count = 0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    struct text top = put_platforms(&files);
    put_index(&files, format("{%s}", named(top, "multi").text).text);
    ov_image_source_close(open_layout(&files, &directory));
    put_docker(&docker);
    write_tar(&docker, &tar);
    test_file_write(test_path_of(&directory, "x.tar").text, tar.data, tar.len);
    test_every_allocation(attempt, format("oci:%s:multi", directory.path).text);
    test_every_allocation(attempt, format("docker-archive:%s/x.tar", directory.path).text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_layout_gives_what_is_in_it,
        a_reference_chooses,
        specs_that_make_no_sense_are_refused,
        of_an_index_what_fits_is_chosen,
        indexes_are_followed_four_deep,
        digests_of_512_bits_and_embedded_data_do,
        what_is_no_image_is_refused,
        damaged_documents_are_found,
        damaged_layers_are_found,
        a_layer_that_grows_or_shrinks_is_found,
        only_regular_files_below_the_directory_are_opened,
        a_directory_of_skopeo_is_read,
        a_docker_archive_gives_what_is_in_it,
        references_of_docker_may_be_short,
        links_in_archives_are_followed_once,
        an_archive_may_be_packed_or_come_through_a_pipe,
        an_archive_of_both_kinds_is_what_it_is_called,
        a_cut_off_archive_is_found,
        the_members_of_an_archive_are_counted,
        several_threads_read_at_once,
        a_lack_of_memory_is_a_status,
    };
    return test_main("source", tests, OV_ARRAY_LEN(tests));
}
