#include "repo/image/document.h"
#include "tests/support/support.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* of "abc" */
#define DIGEST "sha256:" HEX
#define DESCRIBE(type, more) \
    "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":3" more "}"
#define CONFIG DESCRIBE(OV_MEDIA_CONFIG, "")
#define MANIFEST(config, layers) \
    "{\"schemaVersion\":2,\"config\":" config ",\"layers\":[" layers "]}"
#define LAYER(more) MANIFEST(CONFIG, DESCRIBE(OV_MEDIA_LAYER_GZIP, more))
#define INDEX(manifests) "{\"schemaVersion\":2,\"manifests\":[" manifests "]}"
#define DOCKER "application/vnd.docker."

static enum ov_status parse(const char *text, const char *media_type, struct ov_manifest *out)
{
    return ov_manifest_parse(ov_bytes_of_string(text), media_type, "manifest", out, &test_error);
}

/* What is refused, and a word that the message has. */
struct refusal {
    const char *text;
    const char *word;
};

static void check_refusal(enum ov_status expected, enum ov_status status,
                          const struct refusal *refusal)
{
    ck_assert_msg(status == expected && test_error.status == expected &&
                      strstr(test_error.message, refusal->word),
                  "%s: status %d: %s", refusal->text, (int)status, test_error.message);
}

/* ---- Manifests and indexes ---- */

START_TEST(test_manifest)
{
    struct ov_manifest m;
    TEST_OK(parse(LAYER(",\"urls\":[\"http://a\"],\"foo\":[{}]"), NULL, &m));
    ck_assert_int_eq(m.kind, OV_MANIFEST_IMAGE);
    ck_assert_str_eq(m.media_type, OV_MEDIA_MANIFEST);
    ck_assert_str_eq(m.config.media_type, OV_MEDIA_CONFIG);
    ck_assert_uint_eq(m.count, 1);
    ck_assert_str_eq(m.items[0].media_type, OV_MEDIA_LAYER_GZIP);
    ck_assert_str_eq(ov_digest_text(&m.items[0].digest).text, DIGEST);
    ck_assert_uint_eq(m.items[0].size, 3);
    ck_assert(!m.items[0].is_foreign && !m.is_artifact && !m.items[0].reference);
    ov_manifest_release(&m);
    TEST_OK(parse(MANIFEST(CONFIG, ""), OV_MEDIA_MANIFEST, &m));
    ck_assert_uint_eq(m.count, 0);
    ov_manifest_release(&m);
    ov_manifest_release(&m);
}
END_TEST

START_TEST(test_docker_manifest)
{
    struct ov_manifest m;
    static const char text[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER "distribution.manifest.v2+json\","
        "\"config\":" DESCRIBE(DOCKER "container.image.v1+json", "") ",\"layers\":[" DESCRIBE(
            DOCKER "image.rootfs.diff.tar.gzip",
            "") "," DESCRIBE(DOCKER "image.rootfs.foreign.diff.tar.gzip",
                             ",\"urls\":[\"https://example.com/x\"]") "]}";
    TEST_OK(parse(text, "", &m));
    ck_assert_str_eq(m.media_type, DOCKER "distribution.manifest.v2+json");
    ck_assert(!m.is_artifact && !m.items[0].is_foreign && m.items[1].is_foreign);
    ov_manifest_release(&m);
    TEST_OK(parse(text, DOCKER "distribution.manifest.v2+json", &m));
    ov_manifest_release(&m);
    TEST_FAILS(OV_ERR_INVALID, parse(text, OV_MEDIA_MANIFEST, &m));
    TEST_OK(parse(MANIFEST(CONFIG, ""), DOCKER "distribution.manifest.v2+json", &m));
    ck_assert_str_eq(m.media_type, DOCKER "distribution.manifest.v2+json");
    ov_manifest_release(&m);
    TEST_OK(parse(INDEX(""), DOCKER "distribution.manifest.list.v2+json", &m));
    ck_assert_int_eq(m.kind, OV_MANIFEST_INDEX);
    ov_manifest_release(&m);
}
END_TEST

START_TEST(test_foreign_layers)
{
    static const char plain[] =
        MANIFEST(CONFIG, DESCRIBE("application/vnd.oci.image.layer.nondistributable.v1.tar", ""));
    static const char urls[] =
        MANIFEST(CONFIG, DESCRIBE("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                                  ",\"urls\":[\"http://a\"]"));
    static const char docker[] =
        MANIFEST(CONFIG, DESCRIBE(DOCKER "image.rootfs.foreign.diff.tar.gzip", ""));
    struct ov_manifest m;
    TEST_OK(parse(plain, NULL, &m));
    ck_assert(!m.items[0].is_foreign);
    ov_manifest_release(&m);
    TEST_OK(parse(urls, NULL, &m));
    ck_assert(m.items[0].is_foreign);
    ov_manifest_release(&m);
    TEST_OK(parse(docker, NULL, &m));
    ck_assert(m.items[0].is_foreign);
    ov_manifest_release(&m);
}
END_TEST

START_TEST(test_artifacts)
{
    static const char *const artifacts[] = {
        MANIFEST(DESCRIBE("application/vnd.oci.empty.v1+json", ",\"data\":\"YWJj\""), ""),
        MANIFEST(DESCRIBE("application/vnd.cncf.helm.config.v1+json", ""), ""),
        "{\"schemaVersion\":2,\"artifactType\":\"a/b\",\"config\":" CONFIG ",\"layers\":[]}",
    };
    struct ov_manifest m;
    for (size_t i = 0; i < OV_ARRAY_LEN(artifacts); i++) {
        TEST_OK(parse(artifacts[i], NULL, &m));
        ck_assert(m.is_artifact);
        ov_manifest_release(&m);
    }
    TEST_OK(parse(MANIFEST(DESCRIBE("application/octet-stream", ""), ""), NULL, &m));
    ck_assert(!m.is_artifact);
    ov_manifest_release(&m);
}
END_TEST

START_TEST(test_index)
{
    static const char text[] = INDEX(
        DESCRIBE(OV_MEDIA_MANIFEST,
                 ",\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\","
                 "\"variant\":\"v7\","
                 "\"os.features\":[1]},\"annotations\":{\"org.opencontainers.image."
                 "ref.name\":\"a:1\","
                 "\"io.containerd.image.name\":\"docker.io/library/"
                 "a:1\",\"x\":\"y\"}") "," DESCRIBE(OV_MEDIA_INDEX, ",\"platform\":null,"
                                                                    "\"annotations\":null,\"urls\":"
                                                                    "null,\"data\":\"\""));
    struct ov_manifest m;
    TEST_OK(parse(text, NULL, &m));
    ck_assert_int_eq(m.kind, OV_MANIFEST_INDEX);
    ck_assert_str_eq(m.media_type, OV_MEDIA_INDEX);
    ck_assert_uint_eq(m.count, 2);
    ck_assert_str_eq(ov_platform_text(&m.items[0].platform).text, "linux/arm/v7");
    ck_assert_str_eq(m.items[0].reference, "a:1");
    ck_assert_str_eq(m.items[0].image_name, "docker.io/library/a:1");
    ck_assert_str_eq(ov_platform_text(&m.items[1].platform).text, "");
    ck_assert_ptr_null(m.items[1].reference);
    ov_manifest_release(&m);
}
END_TEST

START_TEST(test_embedded_data)
{
    static const struct refusal refused[] = {
        {LAYER(",\"data\":\"YWJj\\n\""), "base64"},    {LAYER(",\"data\":\"YWJ\""), "length"},
        {LAYER(",\"data\":\"YWJ-\""), "base64"},       {LAYER(",\"data\":\"YW=j\""), "base64"},
        {LAYER(",\"data\":\"YWJk\""), "digest"},       {LAYER(",\"data\":\"YWI=\""), "digest"},
        {LAYER(",\"data\":\"YWJjYWJj\""), "digest"},   {LAYER(",\"data\":\"====\""), "base64"},
        {LAYER(",\"data\":\"YWJ=\""), "bits"},         {LAYER(",\"data\":\"YX==\""), "bits"},
        {LAYER(",\"data\":\"YW==YWJj\""), "base64"},   {LAYER(",\"data\":7"), "string"},
        {LAYER(",\"data\":\"YW\\u0000j\""), "string"},
    };
    struct ov_manifest m;
    TEST_OK(parse(LAYER(",\"data\":\"YWJj\""), NULL, &m));
    ck_assert_uint_eq(m.items[0].data.len, 3);
    ck_assert_mem_eq(m.items[0].data.data, "abc", 3);
    ov_manifest_release(&m);
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        check_refusal(OV_ERR_INVALID, parse(refused[i].text, NULL, &m), &refused[i]);
}
END_TEST

START_TEST(test_documents_that_are_two_things)
{
    static const struct refusal refused[] = {
        {"{\"schemaVersion\":2,\"manifests\":[],\"layers\":[],\"config\":" CONFIG "}", "both"},
        {"{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", "both"},
        {"{\"schemaVersion\":2,\"manifests\":[],\"config\":null}", "both"},
        {"{\"schemaVersion\":2,\"manifests\":null,\"layers\":[],\"config\":" CONFIG "}", "both"},
        {"{\"schemaVersion\":2,\"manifests\":[],\"Layers\":[]}", "Layers"},
        {"{\"schemaVersion\":2,\"manifests\":[],\"layer\\u017f\":[]}", "'layers' is meant"},
        {"{\"schemaVersion\":2,\"MANIFEST\\u017f\":[],\"config\":{},\"layers\":[]}", "meant"},
        {"{\"schemaVersion\":2,\"mediaType\":\"" OV_MEDIA_MANIFEST "\",\"manifests\":[]}",
         "members"},
        {"{\"schemaVersion\":2,\"mediaType\":\"" OV_MEDIA_INDEX "\",\"config\":" CONFIG
         ",\"layers\":[]}",
         "members"},
        {LAYER(",\"Digest\":\"sha256:00\""), "Digest"},
        {"{\"schemaVersion\":2}", "neither"},
        {"{\"schemaVersion\":2,\"config\":" CONFIG "}", "neither"},
        {"{\"schemaVersion\":2,\"layers\":[]}", "neither"},
    };
    struct ov_manifest m;
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        check_refusal(OV_ERR_INVALID, parse(refused[i].text, NULL, &m), &refused[i]);
    TEST_FAILS(OV_ERR_INVALID, parse(INDEX(""), OV_MEDIA_MANIFEST, &m));
    TEST_FAILS(OV_ERR_INVALID, parse(MANIFEST(CONFIG, ""), OV_MEDIA_INDEX, &m));
    TEST_FAILS(OV_ERR_UNSUPPORTED, parse(INDEX(""), "application/json", &m));
    TEST_FAILS(OV_ERR_UNSUPPORTED,
               parse("{\"schemaVersion\":2,\"mediaType\":\"a/b\",\"manifests\":[]}", NULL, &m));
}
END_TEST

START_TEST(test_schema_1)
{
    static const struct refusal refused[] = {
        {"{\"schemaVersion\":1,\"name\":\"a\",\"fsLayers\":[],\"history\":[]}", "skopeo"},
        {"{\"schemaVersion\":2,\"fsLayers\":[],\"manifests\":[]}", "schema 1"},
    };
    static const struct refusal said = {"{}", "schema 1"};
    struct ov_manifest m;
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        check_refusal(OV_ERR_UNSUPPORTED, parse(refused[i].text, NULL, &m), &refused[i]);
    check_refusal(OV_ERR_UNSUPPORTED, parse("{}", DOCKER "distribution.manifest.v1+json", &m),
                  &said);
    check_refusal(OV_ERR_UNSUPPORTED, parse("{}", DOCKER "distribution.manifest.v1+prettyjws", &m),
                  &said);
}
END_TEST

#define SIZED(size) INDEX("{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST "\",\"size\":" size "}")

START_TEST(test_sizes)
{
    static const struct refusal refused[] = {
        {SIZED("-1"), "negative"},
        {SIZED("1e3"), "integer"},
        {SIZED("1.0"), "integer"},
        {SIZED("\"1\""), "integer"},
        {SIZED("true"), "integer"},
        {SIZED("null"), "size"},
        {SIZED("-9223372036854775808"), "negative"},
        {SIZED("9223372036854775808"), "too big"},
        {SIZED("01"), "line 1"},
    };
    struct ov_manifest m;
    TEST_OK(parse(SIZED("9007199254740992"), NULL, &m));
    ck_assert_uint_eq(m.items[0].size, (uint64_t)1 << 53);
    ov_manifest_release(&m);
    TEST_OK(parse(SIZED("0"), NULL, &m));
    ov_manifest_release(&m);
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        check_refusal(OV_ERR_INVALID, parse(refused[i].text, NULL, &m), &refused[i]);
    TEST_FAILS(OV_ERR_LIMIT, parse(SIZED("9007199254740993"), NULL, &m));
    TEST_FAILS(OV_ERR_LIMIT, parse(SIZED("9223372036854775807"), NULL, &m));
}
END_TEST

#define TYPED(type) INDEX("{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":1}")
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A127 A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

START_TEST(test_media_types)
{
    static const char *const good[] = {TYPED("a/b"), TYPED(A127 "/" A127),
                                       TYPED("Application/x.y-z+json!#$&^_")};
    static const char *const bad[] = {
        TYPED("a"),      TYPED("a/"),          TYPED("/b"),         TYPED("a/b/c"),
        TYPED("a/b;c"),  TYPED("a b/c"),       TYPED(".a/b"),       TYPED("a/+b"),
        TYPED("a/b "),   TYPED("a/\xc3\xa4"),  TYPED("a/b\\u0000"), TYPED(A127 "a/b"),
        TYPED("a/b\\n"), TYPED("a/" A127 "a"), TYPED(""),
    };
    struct ov_manifest m;
    for (size_t i = 0; i < OV_ARRAY_LEN(good); i++) {
        TEST_OK(parse(good[i], NULL, &m));
        ov_manifest_release(&m);
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(bad); i++)
        TEST_FAILS(OV_ERR_INVALID, parse(bad[i], NULL, &m));
    ck_assert(ov_media_type_is_layer(OV_MEDIA_LAYER_ZSTD));
    ck_assert(ov_media_type_is_layer(DOCKER "image.rootfs.diff.tar"));
    ck_assert(ov_media_type_is_layer("application/vnd.oci.image.layer.nondistributable.v1.tar"));
    ck_assert(!ov_media_type_is_layer(OV_MEDIA_LAYER_GZIP "+encrypted"));
    ck_assert(!ov_media_type_is_layer("application/vnd.in-toto+json"));
    ck_assert(!ov_media_type_is_layer(""));
}
END_TEST

START_TEST(test_wrong_types)
{
    static const struct refusal refused[] = {
        {"", "empty"},
        {"{", "line 1"},
        {"[]", "object"},
        {"7", "line 1"},
        {"{} x", "line 1"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"schemaVersion\":2,\"schemaVersion\":1}", "duplicate"},
        {"{\"a\":\"\xff\"}", "decode"},
        {"{\"\x1b[31m", "control character"},
        {"{\xc3\xa4", "?"},
        {"{}", "schemaVersion"},
        {"{\"schemaVersion\":\"2\"}", "integer"},
        {"{\"schemaVersion\":2.0}", "integer"},
        {"{\"schemaVersion\":3}", "not 2"},
        {"{\"schemaVersion\":2,\"mediaType\":2,\"manifests\":[]}", "string"},
        {"{\"schemaVersion\":2,\"manifests\":{}}", "array"},
        {INDEX("1"), "element 0"},
        {INDEX("{}"), "digest"},
        {INDEX("{\"digest\":\"" DIGEST "\",\"size\":1}"), "mediaType"},
        {INDEX("{\"mediaType\":\"a/b\",\"digest\":\"sha256:../../etc\",\"size\":1}"), "digest"},
        {INDEX("{\"mediaType\":\"a/b\",\"digest\":7,\"size\":1}"), "string"},
        {MANIFEST("[]", ""), "'config': not an object"},
        {MANIFEST("null", ""), "'config': not an object"},
        {LAYER(",\"urls\":{}"), "array"},
        {LAYER(",\"annotations\":[]"), "object"},
        {LAYER(",\"annotations\":{\"org.opencontainers.image.ref.name\":1}"), "string"},
        {LAYER(",\"annotations\":{\"io.containerd.image.name\":\"a\\u0000b\"}"), "NUL"},
        {LAYER(",\"platform\":\"linux\""), "object"},
        {LAYER(",\"platform\":{\"os\":1}"), "string"},
        {LAYER(",\"platform\":{\"os\":\"../x\"}"), "platform"},
        {LAYER(",\"platform\":{\"architecture\":\"" A127 "\"}"), "platform"},
    };
    struct ov_manifest m;
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        check_refusal(OV_ERR_INVALID, parse(refused[i].text, NULL, &m), &refused[i]);
    TEST_FAILS(OV_ERR_INVALID,
               ov_manifest_parse(ov_bytes_of("{}\0", 3), NULL, "x", &m, &test_error));
    TEST_FAILS(OV_ERR_INVALID,
               ov_manifest_parse(ov_bytes_of("{\"a\0\":1}", 8), NULL, "x", &m, &test_error));
}
END_TEST

/* before, then `count` times `piece` with commas, then after. */
static void repeat(struct ov_buf *out, const char *before, const char *piece, size_t count,
                   const char *after)
{
    ov_buf_clear(out);
    TEST_OK(ov_buf_append(out, before, strlen(before), &test_error));
    for (size_t i = 0; i < count; i++) {
        TEST_OK(ov_buf_append(out, ",", i > 0, &test_error));
        TEST_OK(ov_buf_append(out, piece, strlen(piece), &test_error));
    }
    TEST_OK(ov_buf_append(out, after, strlen(after), &test_error));
}

START_TEST(test_limits)
{
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    static const char layers[] = "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[";
    static const char manifests[] = "{\"schemaVersion\":2,\"manifests\":[";
    static const char *const before[] = {layers, manifests};
    struct ov_manifest m;
    for (size_t i = 0; i < 2; i++) {
        repeat(&text, before[i], CONFIG, 1024, "]}");
        TEST_OK(ov_manifest_parse(ov_buf_view(&text), NULL, "x", &m, &test_error));
        ck_assert_uint_eq(m.count, 1024);
        ov_manifest_release(&m);
        repeat(&text, before[i], CONFIG, 1025, "]}");
        TEST_FAILS(OV_ERR_LIMIT, ov_manifest_parse(ov_buf_view(&text), NULL, "x", &m, &test_error));
    }
    /* Nested too deep for jansson, and as large as can be. */
    repeat(&text, "[", "[", 100000, "");
    TEST_FAILS(OV_ERR_INVALID, ov_manifest_parse(ov_buf_view(&text), NULL, "x", &m, &test_error));
    repeat(&text, INDEX(""), "", OV_IMAGE_DOCUMENT_MAX, "");
    memset(text.data + strlen(INDEX("")), ' ', text.len - strlen(INDEX("")));
    TEST_OK(ov_manifest_parse(ov_bytes_of(text.data, OV_IMAGE_DOCUMENT_MAX), NULL, "x", &m,
                              &test_error));
    ov_manifest_release(&m);
    TEST_FAILS(OV_ERR_LIMIT, ov_manifest_parse(ov_bytes_of(text.data, OV_IMAGE_DOCUMENT_MAX + 1),
                                               NULL, "x", &m, &test_error));
}
END_TEST

/* ---- Configs ---- */

static enum ov_status parse_config(const char *text, struct ov_config_document *out)
{
    return ov_config_document_parse(ov_bytes_of_string(text), "config", out, &test_error);
}

START_TEST(test_config)
{
    static const char text[] =
        "{\"created\":\"2015-10-31T22:22:56.015925234Z\",\"architecture\":\"arm64\","
        "\"os\":\"linux\",\"variant\":\"v8\",\"config\":{\"Env\":null},\"rootfs\":{\"type\":"
        "\"layers\",\"diff_ids\":[\"" DIGEST "\",\"" DIGEST "\"]},\"history\":[{\"created\":\"x\","
        "\"created_by\":\"RUN a\",\"comment\":\"c\"},{\"empty_layer\":true,\"comment\":null},{}]}";
    struct ov_config_document c;
    TEST_OK(parse_config(text, &c));
    ck_assert_str_eq(ov_platform_text(&c.platform).text, "linux/arm64/v8");
    ck_assert_str_eq(c.created, "2015-10-31T22:22:56.015925234Z");
    ck_assert_uint_eq(c.diff_id_count, 2);
    ck_assert_str_eq(ov_digest_text(&c.diff_ids[1]).text, DIGEST);
    ck_assert_uint_eq(c.history_count, 3);
    ck_assert_str_eq(c.history[0].created, "x");
    ck_assert_str_eq(c.history[0].created_by, "RUN a");
    ck_assert_str_eq(c.history[0].comment, "c");
    ck_assert(!c.history[0].is_empty_layer && c.history[1].is_empty_layer);
    ck_assert_ptr_null(c.history[1].comment);
    ov_config_document_release(&c);
    /* Of old images and of those without layers. */
    TEST_OK(parse_config("{\"rootfs\":{\"type\":\"layers\"},\"created\":\"\"}", &c));
    ck_assert(!c.created && c.diff_id_count == 0 && c.history_count == 0);
    ck_assert_str_eq(c.platform.os, "");
    ov_config_document_release(&c);
    TEST_OK(parse_config("{\"rootfs\":{\"diff_ids\":[\"" DIGEST "\"]},\"history\":[{},{}]}", &c));
    ov_config_document_release(&c);
}
END_TEST

#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}"

START_TEST(test_config_refusals)
{
    static const struct refusal refused[] = {
        {"[]", "object"},
        {"{}", "rootfs"},
        {"{\"rootfs\":[]}", "object"},
        {"{\"rootfs\":{\"type\":1}}", "string"},
        {"{\"rootfs\":{\"diff_ids\":{}}}", "array"},
        {"{\"rootfs\":{\"diff_ids\":[\"" DIGEST "\",1]}}", "diff_id 1"},
        {"{\"rootfs\":{\"diff_ids\":[\"sha256:abc\"]}}", "diff_id 0"},
        {"{\"rootfs\":{\"diff_ids\":[\"" DIGEST "\\u0000\"]}}", "diff_id 0"},
        {"{\"os\":1," ROOTFS "}", "os"},
        {"{\"variant\":\"a/b\"," ROOTFS "}", "variant"},
        {"{\"created\":1," ROOTFS "}", "created"},
        {"{\"created\":\"\\u0000\"," ROOTFS "}", "NUL"},
        {"{" ROOTFS ",\"history\":{}}", "array"},
        {"{" ROOTFS ",\"history\":[1]}", "element 0"},
        {"{" ROOTFS ",\"history\":[{},{\"created\":1}]}", "element 1"},
        {"{" ROOTFS ",\"history\":[{\"created_by\":[]}]}", "created_by"},
        {"{" ROOTFS ",\"history\":[{\"comment\":\"a\\u0000\"}]}", "comment"},
        {"{" ROOTFS ",\"history\":[{\"empty_layer\":1}]}", "empty_layer"},
    };
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    struct ov_config_document c;
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        check_refusal(OV_ERR_INVALID, parse_config(refused[i].text, &c), &refused[i]);
    TEST_FAILS(OV_ERR_UNSUPPORTED, parse_config("{\"rootfs\":{\"type\":\"layers+base\"}}", &c));
    repeat(&text, "{\"rootfs\":{\"diff_ids\":[", "\"" DIGEST "\"", 1025, "]}}");
    TEST_FAILS(OV_ERR_LIMIT, ov_config_document_parse(ov_buf_view(&text), "x", &c, &test_error));
    repeat(&text, "{" ROOTFS ",\"history\":[", "{}", 16385, "]}");
    TEST_FAILS(OV_ERR_LIMIT, ov_config_document_parse(ov_buf_view(&text), "x", &c, &test_error));
}
END_TEST

/* ---- docker-archives ---- */

static enum ov_status parse_docker(const char *text, struct ov_docker_images *out)
{
    return ov_docker_images_parse(ov_bytes_of_string(text), "manifest.json", out, &test_error);
}

START_TEST(test_docker_images)
{
    static const struct refusal refused[] = {
        {"{}", "array"},
        {"[1]", "image 0"},
        {"[{}]", "Config"},
        {"[{\"Config\":\"\"}]", "Config"},
        {"[{\"Config\":\"a\\u0000b\"}]", "NUL"},
        {"[{\"Config\":\"a\",\"RepoTags\":\"b\"}]", "array"},
        {"[{\"Config\":\"a\",\"RepoTags\":[\"b\",1]}]", "element 1"},
        {"[{\"Config\":\"a\",\"Layers\":[\"b\",\"\\u0000\"]}]", "element 1"},
    };
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    struct ov_docker_images d;
    TEST_OK(parse_docker("[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\",\"a:2\"],\"Layers\":"
                         "[\"l/layer.tar\"],\"LayerSources\":{}},{\"Config\":\"d\","
                         "\"RepoTags\":null}]",
                         &d));
    ck_assert_uint_eq(d.count, 2);
    ck_assert_str_eq(d.items[0].config, "c.json");
    ck_assert_uint_eq(d.items[0].tag_count, 2);
    ck_assert_str_eq(d.items[0].tags[1], "a:2");
    ck_assert_uint_eq(d.items[0].layer_count, 1);
    ck_assert_str_eq(d.items[0].layers[0], "l/layer.tar");
    ck_assert(d.items[1].tag_count == 0 && d.items[1].layer_count == 0);
    ov_docker_images_release(&d);
    TEST_OK(parse_docker("[]", &d));
    ov_docker_images_release(&d);
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        check_refusal(OV_ERR_INVALID, parse_docker(refused[i].text, &d), &refused[i]);
    repeat(&text, "[", "{\"Config\":\"a\"}", 1025, "]");
    TEST_FAILS(OV_ERR_LIMIT, ov_docker_images_parse(ov_buf_view(&text), "x", &d, &test_error));
    repeat(&text, "[{\"Config\":\"a\",\"Layers\":[", "\"\"", 1025, "]}]");
    TEST_FAILS(OV_ERR_LIMIT, ov_docker_images_parse(ov_buf_view(&text), "x", &d, &test_error));
}
END_TEST

/* ---- Platforms ---- */

START_TEST(test_platforms)
{
    static const char *const good[] = {"linux/amd64", "linux/arm64/v8", "windows/amd64"};
    static const char *const bad[] = {"",        "linux",       "linux/", "/amd64",
                                      "linux//", "linux/a/b/c", "a/b/",   "linux/am d64",
                                      "l\n/x",   "linux/" A127, "\xff/x"};
    /* have, want, whether it serves */
    static const char *const pairs[][3] = {
        {"linux/amd64", "linux/amd64", "y"},    {"linux/arm64", "linux/arm64/v8", "y"},
        {"linux/arm64/v8", "linux/arm64", "y"}, {"linux/arm64/v9", "linux/arm64/v8", ""},
        {"linux/arm/v6", "linux/arm", "y"},     {"linux/arm/v6", "linux/arm/v7", ""},
        {"linux/arm", "linux/arm/v7", "y"},     {"linux/amd64/v3", "linux/amd64", "y"},
        {"linux/amd64", "linux/amd64/v3", ""},  {"windows/amd64", "linux/amd64", ""},
        {"linux/arm64", "linux/amd64", ""},
    };
    struct ov_platform have, want;
    for (size_t i = 0; i < OV_ARRAY_LEN(good); i++) {
        TEST_OK(ov_platform_parse(good[i], &have, &test_error));
        ck_assert_str_eq(ov_platform_text(&have).text, good[i]);
    }
    TEST_OK(ov_platform_parse("Linux/AMD64", &have, &test_error));
    ck_assert_str_eq(ov_platform_text(&have).text, "linux/amd64");
    for (size_t i = 0; i < OV_ARRAY_LEN(bad); i++)
        TEST_FAILS(OV_ERR_INVALID, ov_platform_parse(bad[i], &have, &test_error));
    for (size_t i = 0; i < OV_ARRAY_LEN(pairs); i++) {
        TEST_OK(ov_platform_parse(pairs[i][0], &have, &test_error));
        TEST_OK(ov_platform_parse(pairs[i][1], &want, &test_error));
        ck_assert_msg(ov_platform_matches(&have, &want) == (pairs[i][2][0] == 'y'), "%s for %s",
                      pairs[i][0], pairs[i][1]);
    }
    ov_platform_of_machine(&have);
    ck_assert(strcmp(have.os, "linux") == 0 && have.architecture[0]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_manifest,
        test_docker_manifest,
        test_foreign_layers,
        test_artifacts,
        test_index,
        test_embedded_data,
        test_documents_that_are_two_things,
        test_schema_1,
        test_sizes,
        test_media_types,
        test_wrong_types,
        test_limits,
        test_config,
        test_config_refusals,
        test_docker_images,
        test_platforms,
    };
    return test_main("image_document", tests, OV_ARRAY_LEN(tests));
}
