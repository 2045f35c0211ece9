#include "repo/image/document.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#define DIGEST "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DESCRIBE(type, more) \
    "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":3" more "}"
#define CONFIG DESCRIBE(OV_MEDIA_CONFIG, "")

static struct ov_digest some_digest(void)
{
    struct ov_digest digest;
    TEST_OK(ov_digest_parse(DIGEST, &digest, &test_error));
    return digest;
}

START_TEST(test_write_manifest)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    static const char expected[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" OV_MEDIA_MANIFEST "\",\"config\":" CONFIG
        ",\"layers\":[" DESCRIBE(OV_MEDIA_LAYER_GZIP, "") "," DESCRIBE(OV_MEDIA_LAYER, "") "]}";
    struct ov_descriptor config = {
        .media_type = OV_MEDIA_CONFIG, .digest = some_digest(), .size = 3};
    struct ov_descriptor layers[2] = {
        {.media_type = OV_MEDIA_LAYER_GZIP, .digest = some_digest(), .size = 3},
        {.media_type = OV_MEDIA_LAYER, .digest = some_digest(), .size = 3}};
    struct ov_manifest m;
    TEST_OK(ov_manifest_write(&config, layers, 2, &out, &test_error));
    ck_assert_uint_eq(out.len, strlen(expected));
    ck_assert_mem_eq(out.data, expected, out.len);
    TEST_OK(ov_manifest_parse(ov_buf_view(&out), OV_MEDIA_MANIFEST, "x", &m, &test_error));
    ck_assert_uint_eq(m.count, 2);
    ov_manifest_release(&m);
}
END_TEST

/* Writes a config twice: the same bytes, which are expected; and it can be read. */
static void check_write(const char *base, const struct ov_config_choice *choice,
                        const char *created_by, const char *expected)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_digest digest = some_digest();
    struct ov_config_document c;
    size_t len = strlen(expected);
    for (int i = 0; i < 2; i++)
        TEST_OK(ov_config_write(ov_bytes_of_string(base), choice, &digest, created_by, &out,
                                &test_error));
    ck_assert_msg(out.len == 2 * len && memcmp(out.data, expected, len) == 0 &&
                      memcmp(out.data + len, expected, len) == 0,
                  "%.*s", (int)out.len / 2, (const char *)out.data);
    TEST_OK(ov_config_document_parse(ov_bytes_of(out.data, len), "x", &c, &test_error));
    ck_assert_uint_eq(c.diff_id_count, 1);
    ov_config_document_release(&c);
}

#define ONE_LAYER "\"rootfs\":{\"diff_ids\":[\"" DIGEST "\"],\"type\":\"layers\"}"

static const struct ov_platform arm = {"linux", "arm64", "v8"};
static const struct ov_config_choice full = {
    .platform = &arm,
    .created = "2026-01-02T03:04:05Z",
    .entrypoint = (const char *const[]){"/bin/a", "-x"},
    .entrypoint_count = 2,
    .cmd = (const char *const[]){"\"q\"/\xc3\xa4\n"},
    .cmd_count = 1,
    .env = (const char *const[]){"A=1", "B=2", "A=3", "C"},
    .env_count = 4,
    .volumes = (const char *const[]){"/v", "/a"},
    .volume_count = 2,
    .ports = (const char *const[]){"8080", "53/udp", "443/tcp"},
    .port_count = 3,
    .workdir = "/w",
    .user = "u:g",
    .stop_signal = "SIGINT",
    .label_keys = (const char *const[]){"z", "a.b"},
    .label_values = (const char *const[]){"1", ""},
    .label_count = 2,
};

START_TEST(test_write_config)
{
    static const struct ov_config_choice none = {.platform = &arm};
    check_write("", &full, "ociv2 snapshot",
                "{\"created\":\"2026-01-02T03:04:05Z\",\"architecture\":\"arm64\",\"os\":\"linux\","
                "\"variant\":\"v8\",\"config\":{\"User\":\"u:g\",\"ExposedPorts\":{\"443/tcp\":{},"
                "\"53/udp\":{},\"8080/tcp\":{}},\"Env\":[\"A=3\",\"B=2\",\"C\"],\"Entrypoint\":["
                "\"/bin/a\",\"-x\"],\"Cmd\":[\"\\\"q\\\"/\xc3\xa4\\n\"],\"Volumes\":{\"/a\":{},"
                "\"/v\":{}},\"WorkingDir\":\"/w\",\"Labels\":{\"a.b\":\"\",\"z\":\"1\"},"
                "\"StopSignal\":\"SIGINT\"}," ONE_LAYER ",\"history\":[{\"created\":"
                "\"2026-01-02T03:04:05Z\",\"created_by\":\"ociv2 snapshot\"}]}");
    check_write(
        "", &none, NULL,
        "{\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\",\"config\":{}," ONE_LAYER
        ",\"history\":[{}]}");
}
END_TEST

#define BASE                                                                                   \
    "{\"x\":{\"y\":[1,2.5,null,\"\\u0000\"]},\"history\":7,\"os\":\"linux\",\"architecture\":" \
    "\"s390x\",\"author\":\"me\",\"rootfs\":null,\"created\":\"c\",\"config\":{\"OnBuild\":"   \
    "null,\"Env\":[\"P=1\",\"Q=2\"],\"Cmd\":[\"sh\"],\"Entrypoint\":[\"e\"],\"Labels\":{"      \
    "\"l\":\"1\",\"b\":\"2\"},\"ExposedPorts\":{\"1/tcp\":{}},\"Volumes\":{\"/z\":{}},"        \
    "\"User\":\"root\",\"Hostname\":\"h\",\"WorkingDir\":\"/\"}}"

START_TEST(test_write_config_over_a_base)
{
    static const struct ov_config_choice nothing = {0};
    const struct ov_config_choice some = {
        .entrypoint = (const char *const[]){"new"},
        .entrypoint_count = 1,
        .env = (const char *const[]){"Q=3", "R=4"},
        .env_count = 2,
        .label_keys = (const char *const[]){"l"},
        .label_values = (const char *const[]){"9"},
        .label_count = 1,
        .ports = (const char *const[]){"2"},
        .port_count = 1,
        .volumes = (const char *const[]){"/y"},
        .volume_count = 1,
        .user = "1000",
    };
    check_write(BASE, &nothing, "b",
                "{\"created\":\"c\",\"author\":\"me\",\"architecture\":\"s390x\",\"os\":\"linux\","
                "\"config\":{\"User\":\"root\",\"ExposedPorts\":{\"1/tcp\":{}},\"Env\":[\"P=1\","
                "\"Q=2\"],\"Entrypoint\":[\"e\"],\"Cmd\":[\"sh\"],\"Volumes\":{\"/z\":{}},"
                "\"WorkingDir\":\"/\",\"Labels\":{\"b\":\"2\",\"l\":\"1\"},\"OnBuild\":null,"
                "\"Hostname\":\"h\"}," ONE_LAYER ",\"history\":[{\"created_by\":\"b\"}],\"x\":{"
                "\"y\":[1,2.5,null,\"\\u0000\"]}}");
    check_write(BASE, &some, "b",
                "{\"created\":\"c\",\"author\":\"me\",\"architecture\":\"s390x\",\"os\":\"linux\","
                "\"config\":{\"User\":\"1000\",\"ExposedPorts\":{\"1/tcp\":{},\"2/tcp\":{}},"
                "\"Env\":[\"P=1\",\"Q=3\",\"R=4\"],\"Entrypoint\":[\"new\"],\"Volumes\":{\"/y\":{},"
                "\"/z\":{}},\"WorkingDir\":\"/\",\"Labels\":{\"b\":\"2\",\"l\":\"9\"},\"OnBuild\":"
                "null,\"Hostname\":\"h\"}," ONE_LAYER ",\"history\":[{\"created_by\":\"b\"}],"
                "\"x\":{\"y\":[1,2.5,null,\"\\u0000\"]}}");
}
END_TEST

static enum ov_status write_with(const char *base, const struct ov_config_choice *choice)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_digest digest = some_digest();
    return ov_config_write(ov_bytes_of_string(base), choice, &digest, "x", &out, &test_error);
}

START_TEST(test_write_config_refusals)
{
    static const char *const bases[] = {
        "[]",
        "{",
        "{\"config\":[]}",
        "{\"os\":1}",
        "{\"config\":{\"Env\":{}}}",
        "{\"config\":{\"Cmd\":\"a\"}}",
        "{\"config\":{\"Labels\":[]}}",
        "{\"config\":{\"User\":1}}",
        "{\"created\":1}",
        "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[]}",
    };
    static const char *const bad_env[] = {"=a", "", "A=\xff"};
    static const char *const bad_ports[] = {"",    "a",   "80/",  "80/tcp/x", "80/icmp",
                                            "-80", "80-", "/tcp", " 80",      "123456789012"};
    const struct ov_config_choice none = {0};
    for (size_t i = 0; i < OV_ARRAY_LEN(bases); i++)
        TEST_FAILS(OV_ERR_INVALID, write_with(bases[i], &none));
    for (size_t i = 0; i < OV_ARRAY_LEN(bad_env); i++) {
        const struct ov_config_choice choice = {.env = &bad_env[i], .env_count = 1};
        TEST_FAILS(OV_ERR_INVALID, write_with("", &choice));
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(bad_ports); i++) {
        const struct ov_config_choice choice = {.ports = &bad_ports[i], .port_count = 1};
        TEST_FAILS(OV_ERR_INVALID, write_with("", &choice));
    }
    const char *const keys[] = {"", "\xff", "good"}, *const values[] = {"a", "b", "\xff"};
    for (size_t i = 0; i < OV_ARRAY_LEN(keys); i++) {
        const struct ov_config_choice choice = {
            .label_keys = &keys[i], .label_values = &values[i], .label_count = 1};
        TEST_FAILS(OV_ERR_INVALID, write_with("", &choice));
    }
    const struct ov_config_choice volume = {.volumes = keys, .volume_count = 1};
    const struct ov_config_choice user = {.user = "\xff"};
    TEST_FAILS(OV_ERR_INVALID, write_with("", &volume));
    TEST_FAILS(OV_ERR_INVALID, write_with("", &user));
}
END_TEST

/* ---- Memory ---- */

/* Ours alone: jansson's allocations are its own. */
static enum ov_status attempt_all(void *context, struct ov_error *err)
{
    OV_AUTO(ov_manifest_release) struct ov_manifest m = {0};
    OV_AUTO(ov_config_document_release) struct ov_config_document c = {0};
    OV_AUTO(ov_docker_images_release) struct ov_docker_images d = {0};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    const struct ov_digest *digest = context;
    static const char index[] = "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE(
        OV_MEDIA_MANIFEST, ",\"data\":\"YWJj\",\"annotations\":{"
                           "\"org.opencontainers.image.ref.name\":\"a:1\","
                           "\"io.containerd.image.name\":\"b\"}") "]}";
    static const char config[] =
        "{\"created\":\"x\"," ONE_LAYER ",\"history\":[{\"created\":\"x\",\"created_by\":\"y\"}]}";
    static const char images[] =
        "[{\"Config\":\"a\",\"RepoTags\":[\"b\",\"c\"],\"Layers\":[\"d\"]}]";
    OV_TRY(ov_manifest_parse(ov_bytes_of_string(index), NULL, "x", &m, err));
    OV_TRY(ov_config_document_parse(ov_bytes_of_string(config), "x", &c, err));
    OV_TRY(ov_docker_images_parse(ov_bytes_of_string(images), "x", &d, err));
    OV_TRY(ov_config_write(ov_bytes_of_string(BASE), &full, digest, "x", &out, err));
    return ov_manifest_write(&m.items[0], m.items, 1, &out, err);
}

START_TEST(test_out_of_memory)
{
    struct ov_digest digest = some_digest();
    test_every_allocation(attempt_all, &digest);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_write_manifest,        test_write_config,  test_write_config_over_a_base,
        test_write_config_refusals, test_out_of_memory,
    };
    return test_main("image_document_write", tests, OV_ARRAY_LEN(tests));
}
