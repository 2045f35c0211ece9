/* First inputs for fuzz targets: images: layers, documents, archives, and what is kept of them. */
#include "make_seeds.h"

#include "engine/base/file.h"
#include "engine/document.h"
#include "engine/msgpack_writer.h"
#include "engine/pack_writer.h"
#include "engine/segment.h"
#include "repo/config.h"
#include "repo/file_table.h"
#include "repo/image/digest.h"
#include "repo/keys.h"
#include "repo/log_file.h"
#include "repo/lookup_table.h"
#include "repo/recipe_item.h"
#include "repo/snapshot.h"
#include "repo/texts.h"

#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zstd.h>

/* ---- Layers ---- */

static void seed_gzip(struct ov_bytes plain)
{
    static uint8_t level_buffer[ISAL_DEF_LVL1_DEFAULT];
    static struct isal_zstream z;
    uint8_t out[4096];
    isal_deflate_stateless_init(&z);
    z.gzip_flag = IGZIP_GZIP;
    z.level = 1;
    z.level_buf = level_buffer;
    z.level_buf_size = sizeof(level_buffer);
    z.end_of_stream = 1;
    z.next_in = (uint8_t *)plain.data;
    z.avail_in = (uint32_t)plain.len;
    z.next_out = out;
    z.avail_out = sizeof(out);
    FUZZ_CHECK(isal_deflate_stateless(&z) == COMP_OK);
    struct ov_bytes packed = ov_bytes_of(out, z.total_out);
    OV_AUTO(ov_buf_release) struct ov_buf twice = {0};
    FUZZ_OK(ov_buf_append(&twice, packed.data, packed.len, NULL));
    FUZZ_OK(ov_buf_append(&twice, packed.data, packed.len, NULL));
    save_byte("unpack", "gzip", 3, packed);
    save_byte("unpack", "gzip_twice", 0, ov_buf_view(&twice));
    put_byte(&twice, 0);
    save_byte("unpack", "gzip_trailing", 1, ov_buf_view(&twice));
}

void seed_unpack(void)
{
    /* Extra, name, comment and checksum; then a stored block of one byte. */
    static const uint8_t header[] = {0x1f, 0x8b, 8,   0x1e, 0,    0,    0,    0,    0, 3, 1,
                                     0,    'x',  'n', 0,    'c',  0,    0x3a, 0x27, 1, 1, 0,
                                     0xfe, 0xff, 'a', 0x43, 0xbe, 0xb7, 0xe8, 1,    0, 0, 0};
    static const uint8_t frames[] = {0x50, 0x2a, 0x4d, 0x18, 1,    0,    0, 0, 'x', 0x28,
                                     0xb5, 0x2f, 0xfd, 0,    0x58, 0x11, 0, 0, 'a', 'b'};
    static const uint8_t window[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 0x90, 1, 0, 0};
    uint8_t plain[2000], packed[4096];
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * i % 251 & (i < 1000 ? 15 : 255));
    seed_gzip(ov_bytes_of(plain, sizeof(plain)));
    size_t n = ZSTD_compress(packed, sizeof(packed), plain, sizeof(plain), 3);
    FUZZ_CHECK(!ZSTD_isError(n));
    save_byte("unpack", "zstd", 5, ov_bytes_of(packed, n));
    save_byte("unpack", "gzip_header", 0, ov_bytes_of(header, sizeof(header)));
    save_byte("unpack", "zstd_frames", 0, ov_bytes_of(frames, sizeof(frames)));
    save_byte("unpack", "zstd_window", 0, ov_bytes_of(window, sizeof(window)));
    save_byte("unpack", "plain", 2, text("not packed"));
}

/* ---- Documents of images ---- */

#define DIGEST "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DESCRIBE(type, more) \
    "{\"mediaType\":\"application/vnd." type "\",\"digest\":\"" DIGEST "\",\"size\":3" more "}"
#define OCI_CONFIG DESCRIBE("oci.image.config.v1+json", "")

/* One element more than there may be. */
static void save_many(const char *name, uint8_t form, const char *before, const char *element,
                      const char *after)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    FUZZ_OK(ov_buf_append(&out, before, strlen(before), NULL));
    for (size_t i = 0; i < 1025; i++) {
        FUZZ_OK(ov_buf_append(&out, ",", i > 0, NULL));
        FUZZ_OK(ov_buf_append(&out, element, strlen(element), NULL));
    }
    FUZZ_OK(ov_buf_append(&out, after, strlen(after), NULL));
    save_byte("manifest", name, form, ov_buf_view(&out));
}

void seed_manifests(void)
{
    /* As fuzz_manifest.c has it: what it is, and the document. */
    static const struct {
        uint8_t form;
        const char *document;
    } seeds[] = {
        {0, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
            "\"config\":" OCI_CONFIG
            ",\"layers\":[" DESCRIBE("oci.image.layer.v1.tar+gzip", ",\"data\":\"YWJj\"") "]}"},
        {0, "{\"schemaVersion\":2,\"artifactType\":\"a/b\",\"config\":" DESCRIBE(
                "oci.empty.v1+json", "") ",\"layers\":[]}"},
        {12, "{\"schemaVersion\":2,\"config\":" DESCRIBE(
                 "docker.container.image.v1+json",
                 "") ",\"layers\":[" DESCRIBE("docker.image.rootfs.foreign.diff.tar.gzip",
                                              ",\"urls\":[\"http://a\"]") "]}"},
        {4, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE(
                "oci.image.manifest.v1+json",
                ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"},"
                "\"annotations\":{\"org.opencontainers.image.ref.name\":\"a\","
                "\"io.containerd.image.name\":\"b\"}") "]}"},
        {0, "{\"schemaVersion\":2,\"mediaType\":\"text/html\",\"manifests\":[]}"},
        {0, "{\"schemaVersion\":2,\"layers\":[]}"},
        {0, "{\"schemaVersion\":2,\"config\":null,\"layers\":[]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"a/b\"}]}"},
        {4, "{\"schemaVersion\":2,\"layers\":[],\"config\":" OCI_CONFIG "}"},
        {8, "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}"},
        {8, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
            "\"manifests\":[]}"},
        {0, "{\"schemaVersion\":2,\"manifest\xc5\xbf\":[],\"\xe2\x84\xaa\":1,\"Layers\":[]}"},
        {0, "{\"schemaVersion\":1,\"fsLayers\":[]}"},
        {0, "{\"schemaVersion\":2,\"fsLayers\":[]}"},
        {20, "{}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST
            "\",\"size\":9007199254740993}]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"data\":\"YWI=\"") "]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"data\":\"Y+/=\"") "]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"data\":\"0-==\"") "]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"data\":\"YWJjZ\"") "]}"},
        {0,
         "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"platform\":{\"os\":\"/\"}") "]}"},
        {0, "{\"a\":\"\\u0000\\ud83d\\ude00\",\"b\":1e3,\"a\":-1}"},
        {0, "[[[[[]]]]]"},
        {0, "{\"schemaVersion\":2,\"mediaType\":\"a/b\\u0000\",\"manifests\":[]}"},
        {1, "{\"created\":\"2015-10-31T22:22:56Z\",\"architecture\":\"amd64\",\"os\":\"linux\","
            "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]},\"history\":[{"
            "\"created\":\"x\",\"created_by\":\"y\",\"comment\":\"z\",\"empty_layer\":true}]}"},
        {1, "{\"rootfs\":{\"type\":\"x\"}}"},
        {1, "{\"rootfs\":{\"diff_ids\":[\"sha256:12\"]}}"},
        {1, "{\"rootfs\":{\"diff_ids\":[1]}}"},
        {1, "{\"rootfs\":{},\"history\":[1]}"},
        {1, "{\"rootfs\":{},\"history\":[{\"empty_layer\":1}]}"},
        {1, "{}"},
        {1, "[]"},
        {2, "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\",\"b\"],\"Layers\":[\"l\"]},{\"Config\":"
            "\"d\",\"RepoTags\":null}]"},
        {2, "[{}]"},
        {2, "[1]"},
        {2, "{}"},
        {2, "[{\"Config\":\"a\",\"Layers\":[1]}]"},
        {3, "{\"x\":[1.5,\"\\u0000\"],\"author\":\"me\",\"os\":\"linux\",\"config\":{\"Env\":["
            "\"B=1\",\"C\"],\"Cmd\":[\"sh\"],\"Labels\":{\"b\":\"1\",\"a\":\"2\"},\"ExposedPorts\":"
            "{\"1/tcp\":{}},\"Volumes\":null,\"User\":\"u\",\"OnBuild\":null}}"},
        {3, "{\"schemaVersion\":2}"},
    };
    char name[32];
    for (size_t i = 0; i < OV_ARRAY_LEN(seeds); i++) {
        snprintf(name, sizeof(name), "document-%zu", i);
        save_byte("manifest", name, seeds[i].form, text(seeds[i].document));
    }
    save_many("images", 2, "[", "{}", "]");
    save_many("manifests", 0, "{\"schemaVersion\":2,\"manifests\":[", "0", "]}");
}

/* ---- Tar archives ---- */

static void tar_put(struct ov_buf *out, uint8_t form, struct ov_bytes piece)
{
    put_byte(out, form);
    put_piece(out, piece);
}

/* A header of this type; text (if any) is laid over it at an offset. */
static void tar_put_header(struct ov_buf *out, char type, uint16_t offset, struct ov_bytes over)
{
    OV_AUTO(ov_buf_release) struct ov_buf piece = {0};
    put_byte(&piece, (uint8_t)type);
    if (over.len) {
        put_byte(&piece, (uint8_t)offset);
        put_byte(&piece, (uint8_t)(offset >> 8));
        put_byte(&piece, (uint8_t)over.len);
        FUZZ_OK(ov_buf_append(&piece, over.data, over.len, NULL));
    }
    tar_put(out, 2, ov_buf_view(&piece));
}

/* A header and contents, then an entry of another type with contents. */
static void seed_tar_pair(const char *name, char type, struct ov_bytes contents, char entry_type,
                          struct ov_bytes entry)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    put_byte(&out, 20);
    tar_put_header(&out, type, 0, text(""));
    tar_put(&out, 1, contents);
    tar_put_header(&out, entry_type, 157, text("target"));
    tar_put(&out, 1, entry);
    tar_put_header(&out, '0', 0, text(""));
    tar_put(&out, 0, ov_bytes_of((char[1024]){0}, 1024));
    seed_save("tar", name, ov_buf_view(&out));
}

static void seed_tar_field(const char *name, char type, uint16_t offset, struct ov_bytes over)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    put_byte(&out, 255);
    tar_put_header(&out, type, offset, over);
    tar_put(&out, 1, text("abcde"));
    seed_save("tar", name, ov_buf_view(&out));
}

/* A pax header whose records are these, separated by '|'. */
static void seed_tar_records(const char *name, char type, const char *records, const char *entry)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    char record[300];
    while (*records) {
        size_t len = strcspn(records, "|");
        size_t total = len + 3 + (len + 3 > 9) + (len + 4 > 99);
        snprintf(record, sizeof(record), "%zu %.*s\n", total, (int)len, records);
        FUZZ_OK(ov_buf_append(&out, record, strlen(record), NULL));
        records += len + (records[len] == '|');
    }
    seed_tar_pair(name, type, ov_buf_view(&out), '0', text(entry));
}

static void seed_tar_pax(void)
{
    static const struct {
        const char *records;
        const char *entry;
    } cases[] = {
        {"path=p|linkpath=l|uid=1|gid=2|mtime=1.5|comment=c|size=5", "abcde"},
        {"mtime=-1.00000000001", ""},
        {"mtime=x", ""},
        {"mtime=1.x", ""},
        {"uid=4294967295", ""},
        {"path=|size=", ""},
        {"SCHILY.xattr.user.a=1|LIBARCHIVE.xattr.user.%61=MTIzNA==|SCHILY.xattr.user.%3D=", ""},
        {"LIBARCHIVE.xattr.user.b=+/az09|LIBARCHIVE.xattr.%=eA", ""},
        {"LIBARCHIVE.xattr.a=!", ""},
        {"SCHILY.xattr.=x", ""},
        {"SUN.holesdata=1", ""},
        {"SCHILY.devmajor=1|SCHILY.devminor=2", ""},
        {"GNU.sparse.size=10|GNU.sparse.numblocks=2|GNU.sparse.offset=1|GNU.sparse.numbytes=2|"
         "GNU.sparse.offset=5|GNU.sparse.numbytes=3",
         "abcde"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3,5,2|GNU.sparse.name=n", "abcde"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3,", "abc"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,x", "abc"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3", "abcd"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3,2,1", "abcd"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3,4,1|GNU.sparse.numblocks=1", "abcd"},
        {"GNU.sparse.map=0,3|GNU.sparse.offset=1", "abc"},
        {"GNU.sparse.map=", "abc"},
        {"GNU.sparse.offset=1", "abc"},
        {"GNU.sparse.numbytes=1", "abc"},
        {"GNU.sparse.size=1|GNU.sparse.realsize=2|GNU.sparse.map=0,1", "a"},
        {"GNU.sparse.major=2|GNU.sparse.realsize=2", "a"},
        {"GNU.sparse.major=1|GNU.sparse.minor=0", "a"},
        {"GNU.sparse.name=x|GNU.sparse.size=1", "a"},
        {"GNU.sparse.major=1|GNU.sparse.realsize=9|GNU.sparse.map=0,1", "a"},
        {"GNU.sparse.major=1|GNU.sparse.realsize=9", "a"},
        {"a", ""},
    };
    char name[32];
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        snprintf(name, sizeof(name), "pax-%zu", i);
        seed_tar_records(name, 'x', cases[i].records, cases[i].entry);
    }
    seed_tar_records("global", 'g', "uid=1|mtime=-2.25|gid=", "abc");
    seed_tar_records("global-path", 'g', "path=1", "abc");
    seed_tar_records("global-xattr", 'g', "SCHILY.xattr.a=1", "abc");
    seed_tar_pair("pax-nul", 'x', ov_bytes_of("9 path=\0\n", 9), '0', text("x"));
}

/* A map in the contents. */
static void seed_tar_map(const char *name, const char *map)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    static const char records[] = "22 GNU.sparse.major=1\n26 GNU.sparse.realsize=10\n";
    char block[517] = {0};
    memcpy(block, map, strlen(map));
    memcpy(block + 512, "abcde", 5);
    put_byte(&out, 20);
    tar_put_header(&out, 'x', 0, text(""));
    tar_put(&out, 1, text(records));
    tar_put_header(&out, '0', 0, text("a"));
    tar_put(&out, 1, ov_bytes_of(block, sizeof(block)));
    seed_save("tar", name, ov_buf_view(&out));
}

/* An old sparse file of GNU with a further block of its map. */
static void seed_tar_old_sparse(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf piece = {0};
    static const char range[] = "00000000001 00000000002";
    put_byte(&piece, 'S');
    FUZZ_OK(ov_buf_append(&piece, "\x01\x01\x08ustar  \0", 11, NULL));
    FUZZ_OK(ov_buf_append(&piece, "\x82\x01\x17", 3, NULL));
    FUZZ_OK(ov_buf_append(&piece, range, 23, NULL));
    FUZZ_OK(ov_buf_append(&piece,
                          "\xe2\x01\x0c"
                          "\1"
                          "00000000020",
                          15, NULL));
    FUZZ_OK(ov_buf_append(&piece,
                          "\x7c\x00\x0b"
                          "00000000004",
                          14, NULL));
    put_byte(&out, 0);
    tar_put(&out, 2, ov_buf_view(&piece));
    tar_put(&out, 1, text("00000000005 00000000002"));
    tar_put(&out, 1, text("abcd"));
    seed_save("tar", "old-sparse", ov_buf_view(&out));
}

void seed_tar(void)
{
    char name[32];
    for (const char *type = "01234567SV"; *type; type++) {
        snprintf(name, sizeof(name), "type-%c", *type);
        seed_tar_pair(name, '0', text("abc"), *type, text(""));
    }
    seed_tar_pair("old-directory", '0', text("abc"), '\0', text(""));
    seed_tar_pair("long-name", 'L', ov_bytes_of("name/", 6), '\0', text(""));
    seed_tar_pair("long-target", 'K', ov_bytes_of("target", 7), '2', text(""));
    seed_tar_pair("empty-name", 'L', text(""), '0', text(""));
    seed_tar_pair("two-names", 'L', text("a"), 'L', text("b"));
    seed_tar_pair("disagree", 'L', text("a"), 'x', text("9 path=p\n"));
    seed_tar_pair("no-entry", 'L', text("a"), '\0', text(""));
    seed_tar_field("prefix", '0', 345, text("prefix"));
    seed_tar_field("no-name", '0', 0, ov_bytes_of("", 1));
    seed_tar_field("no-target", '2', 0, text("a"));
    seed_tar_field("go-prefix", '0', 257, ov_bytes_of("ustar  \0", 8));
    seed_tar_field("v7", '0', 257, ov_bytes_of("\0\0\0\0\0\0\0\0", 8));
    seed_tar_field("base-256", '0', 136, ov_bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff", 8));
    seed_tar_field("negative-size", '0', 124, ov_bytes_of("\xff\xff\xff", 3));
    seed_tar_field("huge-size", '0', 124,
                   ov_bytes_of("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12));
    seed_tar_field("large-extension", 'x', 124, text("00010000000"));
    seed_tar_field("bad-mode", '0', 100, text("x"));
    seed_tar_field("bad-uid", '0', 108, text("9"));
    seed_tar_field("bad-time", '0', 136, text("x"));
    seed_tar_field("bad-device", '3', 329, text("x"));
    seed_tar_field("signed", '0', 0, text("\xff\xff"));
    seed_tar_pax();
    seed_tar_map("map", "1\n5\n5\n");
    seed_tar_map("map-none", "0\n");
    seed_tar_map("map-bad", "1\n5\n\n");
    seed_tar_map("map-many", "70000\n");
    seed_tar_old_sparse();
}

/* ---- Archives of images ---- */

static void put_member(struct ov_buf *out, const char *name, char type, const char *contents)
{
    char header[512] = {0};
    size_t size = type == '0' ? strlen(contents) : 0;
    unsigned sum = 0;
    snprintf(header, 100, "%s", name);
    snprintf(header + 100, 8, "0000644");
    snprintf(header + 108, 8, "0000000");
    snprintf(header + 116, 8, "0000000");
    snprintf(header + 124, 12, "%011o", (unsigned)size);
    snprintf(header + 136, 12, "00000000000");
    memset(header + 148, ' ', 8);
    header[156] = type;
    snprintf(header + 157, 100, "%s", size ? "" : contents);
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(header); i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    FUZZ_OK(ov_buf_append(out, header, sizeof(header), NULL));
    FUZZ_OK(ov_buf_append(out, contents, size, NULL));
    FUZZ_OK(ov_buf_append_zeros(out, -size & 511, NULL));
}

/* Adds a blob, and to `list` its descriptor with these members behind. */
static void put_layout_blob(struct ov_buf *tar, const char *media_type, const char *contents,
                            const char *more, char *list, size_t size)
{
    struct ov_digest digest;
    char name[200];
    size_t len = strlen(list);
    FUZZ_OK(ov_digest_compute(OV_DIGEST_SHA256, text(contents), &digest, NULL));
    snprintf(name, sizeof(name), "./blobs/sha256/%s", ov_digest_hex(&digest).text);
    put_member(tar, name, '0', contents);
    int n = snprintf(list + len, size - len,
                     "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}", len ? "," : "",
                     media_type, ov_digest_text(&digest).text, strlen(contents), more);
    FUZZ_CHECK(n > 0 && (size_t)n < size - len);
}

/* An image of one layer; adds its descriptor to `list`. */
static void put_layout_image(struct ov_buf *tar, const char *architecture, const char *more,
                             char *list, size_t size)
{
    char config[400], config_item[400] = "", layer[400] = "", manifest[1000];
    snprintf(config, sizeof(config),
             "{\"os\":\"linux\",\"architecture\":\"%s\",\"rootfs\":{\"type\":\"layers\","
             "\"diff_ids\":[\"sha256:%064d\"]}}",
             architecture, 7);
    put_layout_blob(tar, "application/vnd.oci.image.config.v1+json", config, "", config_item,
                    sizeof(config_item));
    put_layout_blob(tar, "application/vnd.oci.image.layer.v1.tar", architecture, "", layer,
                    sizeof(layer));
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
             config_item, layer);
    put_layout_blob(tar, "application/vnd.oci.image.manifest.v1+json", manifest, more, list, size);
}

static void seed_layout(void)
{
    static const char *const unknown =
        ",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}";
    static const char *const amd64 = ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}";
    static const char *const name =
        ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"x\"}";
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    char list[3000] = "", top[3000] = "", index[3200];
    put_member(&tar, "oci-layout", '0', "{\"imageLayoutVersion\":\"1.0.0\"}");
    put_layout_image(&tar, "none", unknown, list, sizeof(list));
    put_layout_image(&tar, "amd64", amd64, list, sizeof(list));
    put_layout_image(&tar, "arm64", "", list, sizeof(list));
    snprintf(index, sizeof(index), "{\"schemaVersion\":2,\"manifests\":[%s]}", list);
    put_layout_blob(&tar, "application/vnd.oci.image.index.v1+json", index, name, top, sizeof(top));
    put_layout_image(&tar, "s390x", "", top, sizeof(top));
    snprintf(index, sizeof(index), "{\"schemaVersion\":2,\"manifests\":[%s]}", top);
    put_member(&tar, "index.json", '0', index);
    FUZZ_OK(ov_buf_append_zeros(&tar, 1024, NULL));
    seed_save("source", "layout", ov_buf_view(&tar));
}

/* Manifests that are refused, each by itself. */
static void seed_refused(void)
{
    static const char *const config = "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    static const char *const config_type = "application/vnd.oci.image.config.v1+json";
    static const char *const layer_types[] = {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "text/plain",
        "application/vnd.oci.image.layer.v1.tar"};
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    char top[6000] = "", item[1000] = "", layer[400], manifest[6800];
    put_member(&tar, "oci-layout", '0', "{}");
    put_layout_blob(&tar, "application/vnd.oci.empty.v1+json", "{}", ",\"data\":\"e30=\"", item,
                    sizeof(item));
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"config\":%s,\"layers\":[]}", item);
    put_layout_blob(&tar, "application/vnd.oci.image.manifest.v1+json", manifest, "", top,
                    sizeof(top));
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"manifests\":[%s]}", top);
    put_layout_blob(&tar, "application/vnd.oci.image.index.v1+json", manifest, "", top,
                    sizeof(top));
    *item = '\0';
    put_layout_blob(&tar, config_type, config,
                    ",\"data\":\"eyJyb290ZnMiOnsidHlwZSI6ImxheWVycyIsImRpZmZfaWRzIjpbXX19\"", item,
                    sizeof(item));
    for (size_t i = 0; i < OV_ARRAY_LEN(layer_types); i++) {
        *layer = '\0';
        put_layout_blob(&tar, layer_types[i], "layer", "", layer, sizeof(layer));
        snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
                 item, layer);
        put_layout_blob(&tar, "application/vnd.oci.image.manifest.v1+json", manifest, "", top,
                        sizeof(top));
    }
    char nested[600] = "";
    for (int i = 0; i < 7; i++) {
        snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"manifests\":[%s]}", nested);
        *nested = '\0';
        put_layout_blob(&tar, "application/vnd.oci.image.index.v1+json", manifest, "", nested,
                        sizeof(nested));
    }
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"manifests\":[%s,%s]}", top,
             nested);
    put_member(&tar, "index.json", '0', manifest);
    seed_save("source", "refused", ov_buf_view(&tar));
}

void seed_source(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    char config[300];
    uint8_t packed[4096];
    snprintf(config, sizeof(config),
             "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%064d\",\"sha256:%064d\"]}}",
             1, 2);
    put_member(&tar, "a/layer.tar", '0', "a layer");
    put_member(&tar, "b/layer.tar", '2', "../a/layer.tar");
    put_member(&tar, "./c", '1', "a//layer.tar");
    put_member(&tar, "loop", '2', "loop");
    put_member(&tar, "d/", '5', "");
    put_member(&tar, "../up", '0', "");
    put_member(&tar, "out", '2', "../../a");
    put_member(&tar, "x.json", '0', config);
    put_member(&tar, "manifest.json", '0',
               "[{\"Config\":\"x.json\",\"RepoTags\":[\"x:1\"],\"Layers\":[\"b/layer.tar\","
               "\"c\"]},{\"Config\":\"x.json\",\"Layers\":[\"loop\",\"../c\"]}]");
    FUZZ_OK(ov_buf_append_zeros(&tar, 1024, NULL));
    seed_save("source", "docker", ov_buf_view(&tar));
    size_t n = ZSTD_compress(packed, sizeof(packed), tar.data, tar.len, 3);
    FUZZ_CHECK(!ZSTD_isError(n));
    seed_save("source", "docker_packed", ov_bytes_of(packed, n));
    seed_layout();
    seed_refused();
}

/* ---- Recipes ---- */

static void save_item(const char *name, const struct ov_recipe_item *item)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_writer w;
    ov_writer_init(&w, &out, NULL);
    ov_recipe_item_write(&w, item);
    FUZZ_OK(ov_writer_finish(&w));
    seed_save("recipe", name, ov_buf_view(&out));
}

void seed_recipe(void)
{
    const struct ov_recipe_item items[] = {
        {.kind = OV_RECIPE_LITERAL, .length = 5, .literal = text("bytes")},
        {.kind = OV_RECIPE_ZEROS, .length = INT64_MAX},
        {.kind = OV_RECIPE_CHUNK, .length = 65536, .id = id_of(1)},
        {.kind = OV_RECIPE_FILE, .length = 1000, .path = text("usr/bin/x")},
        {.kind = OV_RECIPE_ZEROS},
        {.kind = OV_RECIPE_FILE, .length = 1, .path = text("a/../b")},
    };
    static const char *const names[] = {"literal", "zeros", "chunk", "file", "nothing", "dots"};
    for (size_t i = 0; i < OV_ARRAY_LEN(items); i++)
        save_item(names[i], &items[i]);
}

/* ---- Layers to be merged ---- */

/* Entries: a digit for the form, path, target; "6" alone: the next layer. */
static void save_layers(const char *name, const char *const *entries, size_t count)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    for (size_t i = 0; i < count; i++) {
        const char *target = strchr(entries[i], '>');
        size_t path_len = target ? (size_t)(target - entries[i]) - 1 : strlen(entries[i]) - 1;
        put_byte(&out, (uint8_t)(entries[i][0] - '0'));
        if (entries[i][0] == '6')
            continue;
        put_byte(&out, (uint8_t)path_len);
        FUZZ_OK(ov_buf_append(&out, entries[i] + 1, path_len, NULL));
        target = target ? target + 1 : "";
        put_byte(&out, (uint8_t)strlen(target));
        FUZZ_OK(ov_buf_append(&out, target, strlen(target), NULL));
    }
    seed_save("layer", name, ov_buf_view(&out));
}

void seed_layer(void)
{
    static const char *const plain[] = {"1./",          "1d/",       "0d/f", "2l>d/f", "3h>./d/f",
                                        "4dev",         "5x>user.a", "6",    "1d/",    "0d/g",
                                        "3d/h>/h/../h", "6",         "0d",   "3k>h"};
    static const char *const whiteouts[] = {
        "1a/",  "0a/b", "0a/c/d", "0e", "6", "0a/.wh.b",      "0a/.wh..wh..opq",
        "0a/n", "6",    "0.wh.a", "1a", "6", "0.wh..wh..opq", "0.wh..wh.aufs",
        "0x/y"};
    static const char *const odd[] = {"0a/../../b", "0a//./c/", "0b/d", "6",    "0.wh.",
                                      "0.wh...",    "2s>",      "0/",   "3b>c", "3c>b/d"};
    save_layers("plain", plain, OV_ARRAY_LEN(plain));
    save_layers("whiteouts", whiteouts, OV_ARRAY_LEN(whiteouts));
    save_layers("odd", odd, OV_ARRAY_LEN(odd));
}

/* ---- What snapshots keep ---- */

void seed_snapshot_image(void)
{
    static char diff_id[] =
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static char long_id[] =
        "sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static char type[] = "type", os[] = "linux", architecture[] = "arm64", variant[] = "v8";
    static uint8_t small[] = "contents", recipe[] = "\x92\xc4\x01x\x05";
    const struct ov_sequence table = {.is_table = true, .top = id_of(7)};
    struct ov_layer_record layers[] = {
        {.diff_id = diff_id},
        {
            .diff_id = long_id,
            .size = 6,
            .recipe.sequence.items = {recipe, 5},
            .digest = diff_id,
            .blob_size = 8,
            .media_type = type,
            .blob = {.size = 8, .contents = {small, 8, 8}},
        },
        {.diff_id = diff_id, .size = INT64_MAX, .recipe.sequence = table},
    };
    struct ov_snapshot snapshot = {
        .tree = id_of(1),
        .image =
            {
                .manifest = {.size = 1000, .extents.sequence = table},
                .manifest_type = type,
                .config = {.size = 8, .contents = {small, 8, 8}},
                .os = os,
                .architecture = architecture,
                .layers = layers,
                .layer_count = 3,
                .index = {.size = OV_STORED_DOCUMENT_MAX, .extents.sequence = table},
                .index_type = type,
            },
    };
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    FUZZ_OK(ov_snapshot_encode(&snapshot, &out, NULL));
    seed_save("snapshot", "image", ov_buf_view(&out));
    for (size_t i = 0; i < 3; i++) { /* what does not fit together */
        struct ov_snapshot other = snapshot;
        other.image.variant = variant;
        other.image.manifest_type = i == 0 ? NULL : type;
        other.image.config.size = i == 1 ? 0 : 8;
        other.image.index.size = i == 2 ? 9 : 1000;
        ov_buf_clear(&out);
        FUZZ_OK(ov_snapshot_encode(&other, &out, NULL));
        char name[20];
        snprintf(name, sizeof(name), "image_%zu", i);
        seed_save("snapshot", name, ov_buf_view(&out));
    }
    layers[0].diff_id = type;
    ov_buf_clear(&out);
    FUZZ_OK(ov_snapshot_encode(&snapshot, &out, NULL));
    seed_save("snapshot", "image_digest", ov_buf_view(&out));
}
