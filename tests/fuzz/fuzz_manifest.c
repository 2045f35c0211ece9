/*
 * Documents of images. Input: a byte that says what it is (modulo 4: a manifest or index, a config,
 * a docker-archive's manifest.json, a config to start from), then the document. A manifest's byte
 * divided by 4 chooses what media type was said of it.
 *
 * Properties: whatever is read keeps its bounds; what is written over a base is a config, and over
 * itself the same.
 */
#include "fuzz.h"

#include "repo/image/document.h"

static void check_descriptor(const struct ov_descriptor *descriptor)
{
    struct ov_digest digest;
    FUZZ_OK(ov_digest_parse(ov_digest_text(&descriptor->digest).text, &digest, NULL));
    FUZZ_CHECK(ov_digest_equal(&digest, &descriptor->digest));
    FUZZ_CHECK(descriptor->size <= (uint64_t)1 << 53);
    FUZZ_CHECK(descriptor->media_type[0]);
    FUZZ_CHECK(descriptor->data.len == 0 || descriptor->data.len == descriptor->size);
    FUZZ_CHECK(!descriptor->is_foreign || ov_media_type_is_layer(descriptor->media_type));
    (void)ov_platform_matches(&descriptor->platform, &descriptor->platform);
}

static void fuzz_manifest(struct ov_bytes bytes, unsigned said)
{
    static const char *const types[] = {
        NULL,
        OV_MEDIA_INDEX,
        OV_MEDIA_MANIFEST,
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "text/html",
        "",
    };
    OV_AUTO(ov_manifest_release) struct ov_manifest manifest = {0};
    OV_AUTO(ov_manifest_release) struct ov_manifest again = {0};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    const char *type = types[said % OV_ARRAY_LEN(types)];
    struct ov_error err;
    if (ov_manifest_parse(bytes, type, "input", &manifest, &err) < 0) {
        FUZZ_CHECK(err.message[0]);
        return;
    }
    FUZZ_CHECK(!type || !type[0] || strcmp(type, manifest.media_type) == 0);
    FUZZ_CHECK(manifest.count <= OV_MANIFESTS_MAX);
    for (size_t i = 0; i < manifest.count; i++)
        check_descriptor(&manifest.items[i]);
    if (manifest.kind == OV_MANIFEST_INDEX)
        return;
    check_descriptor(&manifest.config);
    FUZZ_OK(ov_manifest_write(&manifest.config, manifest.items, manifest.count, &out, NULL));
    FUZZ_OK(ov_manifest_parse(ov_buf_view(&out), OV_MEDIA_MANIFEST, "output", &again, NULL));
    FUZZ_CHECK(again.count == manifest.count);
}

static void fuzz_config(struct ov_bytes bytes)
{
    OV_AUTO(ov_config_document_release) struct ov_config_document config = {0};
    if (ov_config_document_parse(bytes, "input", &config, NULL) < 0)
        return;
    FUZZ_CHECK(config.diff_id_count <= OV_LAYERS_MAX);
    FUZZ_CHECK(strlen(ov_platform_text(&config.platform).text) < 3 * 64 + 3);
}

static void fuzz_docker_images(struct ov_bytes bytes)
{
    OV_AUTO(ov_docker_images_release) struct ov_docker_images images = {0};
    if (ov_docker_images_parse(bytes, "input", &images, NULL) < 0)
        return;
    for (size_t i = 0; i < images.count; i++)
        FUZZ_CHECK(images.items[i].config[0] && images.items[i].layer_count <= OV_LAYERS_MAX);
}

static void fuzz_base(struct ov_bytes bytes)
{
    static const char *const words[] = {"/bin/a", "B=2", "8080", "/v"};
    static const struct ov_config_choice choice = {
        .entrypoint = words,
        .env = &words[1],
        .ports = &words[2],
        .volumes = &words[3],
        .label_keys = words,
        .label_values = words,
        .entrypoint_count = 1,
        .env_count = 1,
        .port_count = 1,
        .volume_count = 1,
        .label_count = 1,
    };
    OV_AUTO(ov_config_document_release) struct ov_config_document config = {0};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_digest digest = {OV_DIGEST_SHA512, {1}};
    if (ov_config_write(bytes, &choice, &digest, "b", &out, NULL) < 0)
        return;
    FUZZ_OK(ov_config_document_parse(ov_buf_view(&out), "output", &config, NULL));
    FUZZ_CHECK(config.diff_id_count == 1);
    FUZZ_OK(ov_config_write(ov_buf_view(&out), &choice, &digest, "b", &again, NULL));
    fuzz_check_again(ov_buf_view(&out), ov_buf_view(&again), false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_bytes input = ov_bytes_of(data, size);
    unsigned form = fuzz_take_byte(&input);
    if (form % 4 == 0)
        fuzz_manifest(input, form / 4);
    else if (form % 4 == 1)
        fuzz_config(input);
    else if (form % 4 == 2)
        fuzz_docker_images(input);
    else
        fuzz_base(input);
    return 0;
}
