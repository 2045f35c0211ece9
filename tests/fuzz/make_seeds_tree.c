/* First inputs for fuzz targets: snapshots and trees, the table of files, patterns. */
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
#include "repo/references.h"
#include "repo/snapshot.h"
#include "repo/texts.h"

#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zstd.h>

/* ---- Snapshots and trees ---- */

void seed_snapshot(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf record_bytes = {0};
    struct ov_label labels[2];
    struct ov_id packs[2];
    struct ov_snapshot_record record = seed_record(0x50, labels, packs);
    char *excludes[] = {(char *)(uintptr_t) "/proc", (char *)(uintptr_t) "*.o"};
    struct ov_writer w;
    ov_writer_init(&w, &record_bytes, NULL);
    ov_snapshot_record_write(&w, &record);
    seed_save("snapshot_record", "plain", ov_buf_view(&record_bytes));
    struct ov_snapshot snapshot = {
        .tree = id_of(1),
        .name = record.name,
        .time = -7,
        .time_ns = 8,
        .host = record.host,
        .user = record.host,
        .program = record.name,
        .source = {(uint8_t *)(uintptr_t) "/src", 4, 4},
        .labels = labels,
        .label_count = 2,
        .counts = {1, 2, 3, 4, 5, 6, 7, 8, 9},
        .has_parent = true,
        .parent = id_of(2),
        .excludes = excludes,
        .exclude_count = 2,
    };
    snapshot.side.items = ov_bytes_of("\x91\x82\x00\xc4\x00\x03\x91\x05", 8);
    FUZZ_OK(ov_snapshot_encode(&snapshot, &out, NULL));
    seed_save("snapshot", "inline-side", ov_buf_view(&out));
    ov_buf_clear(&out);
    snapshot.side = (struct ov_sequence){.is_table = true, .top = id_of(3)};
    FUZZ_OK(ov_snapshot_encode(&snapshot, &out, NULL));
    seed_save("snapshot", "table-side", ov_buf_view(&out));
}

void seed_side(void)
{
    struct ov_hole holes[] = {{0, 100}, {4096, 8192}};
    struct ov_xattr xattrs[] = {
        {.name = text("security.selinux"), .value = text("label")},
        {.name = text("trusted.overlay.opaque"), .value = text("y")},
    };
    for (unsigned form = 1; form < 8; form++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        char name[32];
        const struct ov_side side = {
            .path = text(form == 1 ? "" : "dir/file"),
            .holes = holes,
            .hole_count = form & 1 ? 2 : 0,
            .xattrs = xattrs,
            .xattr_count = form & 2 ? 2 : 0,
            .has_error = form & 4,
            .error = 13,
        };
        FUZZ_OK(ov_side_encode(&side, &out, NULL));
        snprintf(name, sizeof(name), "form-%u", form);
        seed_save("side", name, ov_buf_view(&out));
    }
}

static struct ov_node make_node(enum ov_node_kind kind, const char *name)
{
    struct ov_node node = {
        .name = text(name),
        .kind = kind,
        .mode = kind == OV_NODE_SYMLINK ? 0 : 0755,
        .uid = 1000,
        .gid = 100000,
        .mtime = -3,
        .mtime_ns = 999,
    };
    if (kind == OV_NODE_SYMLINK)
        node.target = text("../target");
    if (kind == OV_NODE_CHARACTER_DEVICE || kind == OV_NODE_BLOCK_DEVICE) {
        node.major = 8;
        node.minor = 300;
    }
    if (kind == OV_NODE_REGULAR) {
        node.size = 5;
        node.contents = text("hello");
    }
    return node;
}

static void save_node(const char *name, uint8_t is_root, const struct ov_node *node)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_writer w;
    ov_writer_init(&w, &out, NULL);
    ov_node_write(&w, node);
    save_byte("node", name, is_root, ov_buf_view(&out));
}

void seed_nodes(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf entries = {0};
    struct ov_writer w;
    ov_writer_init(&w, &entries, NULL);
    ov_write_array(&w, 7);
    for (enum ov_node_kind kind = OV_NODE_REGULAR; kind <= OV_NODE_SOCKET; kind++) {
        const char name[] = {(char)('a' + kind), '\0'};
        struct ov_node node = make_node(kind, name);
        save_node(ov_node_kind_name(kind), 0, &node);
        node.mode = 0;
        node.mtime = node.mtime_ns = node.uid = node.gid = 0;
        ov_node_write(&w, &node);
    }
    struct ov_node directory = make_node(OV_NODE_DIRECTORY, "");
    directory.entries.items = ov_buf_view(&entries);
    directory.xattrs = (struct ov_sequence){.is_table = true, .top = id_of(4)};
    save_node("root", 1, &directory);
    struct ov_node large = make_node(OV_NODE_REGULAR, "large");
    large.contents.len = 0;
    large.size = 100000;
    large.extents.items = ov_bytes_of("\x91\xce\x00\x01\x86\xa0", 6);
    save_node("large", 0, &large);
    struct ov_root record = {.node = directory};
    FUZZ_OK(ov_root_encode(&record, &out, NULL));
    seed_save("root", "plain", ov_buf_view(&out));
    ov_buf_clear(&out);
    record.links = (struct ov_sequence){.is_table = true, .top = id_of(5)};
    FUZZ_OK(ov_root_encode(&record, &out, NULL));
    seed_save("root", "links", ov_buf_view(&out));
}

void seed_node_items(void)
{
    const struct ov_extent extents[] = {{4096, false, id_of(1)},
                                        {65536, true, id_of(0)},
                                        {65536, false, id_of(2)},
                                        {10, false, id_of(2)}};
    uint8_t value[300] = {1};
    const struct ov_xattr xattrs[] = {
        {.name = text("user.a"), .value = text("")},
        {.name = text("user.b"), .value = ov_bytes_of(value, 256)},
        {.name = text("user.c"), .is_chunk = true, .length = 300, .id = id_of(1)},
        {.name = text("security.ima"), .value = text("x")},
        {.name = text("trusted.overlay.x"), .value = text("x")},
    };
    const struct ov_link links[] = {{text("b/c"), text("a")},
                                    {text("b"), text("b")},
                                    {text("a//b"), text("a")},
                                    {text(".."), text("a")}};
    char name[32];
    struct ov_writer w;
    for (size_t i = 0; i < 4; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        OV_AUTO(ov_buf_release) struct ov_buf pair = {0};
        ov_writer_init(&w, &out, NULL);
        ov_extent_write(&w, &extents[i]);
        snprintf(name, sizeof(name), "extent-%zu", i);
        save_byte("node_item", name, 0, ov_buf_view(&out));
        put_byte(&pair, 1);
        put_piece(&pair, ov_buf_view(&out));
        FUZZ_OK(ov_buf_append(&pair, out.data, out.len, NULL));
        snprintf(name, sizeof(name), "extents-%zu", i);
        seed_save("node_item", name, ov_buf_view(&pair));
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(xattrs); i++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        ov_writer_init(&w, &out, NULL);
        ov_xattr_write(&w, &xattrs[i]);
        snprintf(name, sizeof(name), "xattr-%zu", i);
        save_byte("node_item", name, 2, ov_buf_view(&out));
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(links); i++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        ov_writer_init(&w, &out, NULL);
        ov_link_write(&w, &links[i]);
        snprintf(name, sizeof(name), "link-%zu", i);
        save_byte("node_item", name, 3, ov_buf_view(&out));
    }
}

/* ---- Sequences ---- */

struct objects {
    struct ov_buf pieces;
    size_t count;
    enum ov_sequence_type type;
};

/* Keeps an object as the next piece; its id tells its index. */
static enum ov_status keep(void *context, enum ov_kind kind, struct ov_bytes bytes,
                           struct ov_id *id, struct ov_error *err)
{
    struct objects *objects = context;
    (void)kind;
    (void)err;
    put_piece(&objects->pieces, bytes);
    *id = id_of(0);
    id->bytes[0] = (uint8_t)objects->count;
    id->bytes[1] = (uint8_t)(objects->count >> 8);
    objects->count++;
    if (objects->count < 3 || bytes.data[1])
        save_byte("references",
                  (char[]){(char)('a' + objects->type), (char)('a' + bytes.data[1]), '\0'},
                  (uint8_t)ov_role_of_table(objects->type), bytes);
    return OV_OK;
}

static void write_item(struct ov_writer *w, enum ov_sequence_type type, unsigned i)
{
    char name[32];
    struct ov_extent extent = {i % 5 ? 5000 : 70000, i % 5 == 0, id_of(0)};
    snprintf(name, sizeof(name), "n%05u", i);
    struct ov_node node = {.name = text(name), .kind = OV_NODE_FIFO};
    const struct ov_xattr xattr = {.name = text(name), .value = text("v")};
    const struct ov_link link = {text(name), text("a")};
    const struct ov_side side = {.path = text(name), .has_error = true, .error = 1};
    ov_hash(NULL, name, strlen(name), &extent.id);
    const struct ov_recipe_item recipe[] = {
        {.kind = OV_RECIPE_FILE, .length = 1 + i, .path = text(name)},
        {.kind = OV_RECIPE_LITERAL, .length = 2, .literal = ov_bytes_of(name, 2)},
        {.kind = OV_RECIPE_CHUNK, .length = 5000, .id = extent.id},
        {.kind = OV_RECIPE_ZEROS, .length = 1 + i},
    };
    if (type == OV_SEQUENCE_ENTRIES)
        ov_node_write(w, &node);
    else if (type == OV_SEQUENCE_EXTENTS)
        ov_extent_write(w, &extent);
    else if (type == OV_SEQUENCE_XATTRS)
        ov_xattr_write(w, &xattr);
    else if (type == OV_SEQUENCE_LINKS)
        ov_link_write(w, &link);
    else if (type == OV_SEQUENCE_RECIPE)
        ov_recipe_item_write(w, &recipe[i % 4]);
    else
        FUZZ_OK(ov_side_encode(&side, w->out, NULL));
}

void seed_sequence(enum ov_sequence_type type, unsigned count)
{
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf member = {0};
    struct objects objects = {.type = type};
    struct ov_object_sink sink = {&objects, keep};
    struct ov_sequence sequence;
    struct ov_writer w;
    char name[32];
    FUZZ_OK(ov_sequence_builder_open(type, &sink, &builder, NULL));
    for (unsigned i = 0; i < count; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf item = {0};
        ov_writer_init(&w, &item, NULL);
        write_item(&w, type, type == OV_SEQUENCE_SIDE ? i / 2 : i);
        FUZZ_OK(ov_sequence_builder_add(builder, ov_buf_view(&item), NULL));
    }
    FUZZ_OK(ov_sequence_builder_finish(builder, &sequence, NULL));
    ov_writer_init(&w, &member, NULL);
    ov_sequence_write(&w, &sequence);
    put_byte(&out, (uint8_t)type);
    put_piece(&out, ov_buf_view(&member));
    FUZZ_OK(ov_buf_append(&out, objects.pieces.data, objects.pieces.len, NULL));
    snprintf(name, sizeof(name), "type-%d-%u", (int)type, count);
    seed_save("sequence", name, ov_buf_view(&out));
    ov_buf_release(&objects.pieces);
}

/* A table of hard links that breaks a rule: leaves of these numbers of items, and a top. */
static void seed_bad_table(const char *name, const unsigned *leaves, size_t count,
                           unsigned leaf_level)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf top = {0};
    struct ov_id id = id_of(0);
    struct ov_writer w;
    char last[32];
    unsigned item = 0;
    put_byte(&out, OV_SEQUENCE_LINKS);
    ov_writer_init(&w, &top, NULL);
    id.bytes[0] = (uint8_t)count;
    ov_write_bin(&w, id.bytes, OV_ID_SIZE);
    put_piece(&out, ov_buf_view(&top));
    ov_buf_clear(&top);
    ov_write_array(&w, 2);
    ov_write_uint(&w, 1);
    ov_write_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf leaf = {0};
        struct ov_writer v;
        ov_writer_init(&v, &leaf, NULL);
        ov_write_array(&v, 2);
        ov_write_uint(&v, leaf_level);
        ov_write_array(&v, leaves[i]);
        for (unsigned k = 0; k < leaves[i]; k++)
            write_item(&v, OV_SEQUENCE_LINKS, item++);
        put_piece(&out, ov_buf_view(&leaf));
        id.bytes[0] = (uint8_t)i;
        snprintf(last, sizeof(last), "n%05u", item - 1);
        ov_write_array(&w, 3);
        ov_write_bin(&w, id.bytes, OV_ID_SIZE);
        ov_write_uint(&w, leaves[i]);
        ov_write_bin(&w, last, strlen(last));
    }
    put_piece(&out, ov_buf_view(&top));
    seed_save("sequence", name, ov_buf_view(&out));
}

void seed_bad_tables(void)
{
    seed_bad_table("ends-too-early", (const unsigned[]){2, 100}, 2, 0);
    seed_bad_table("goes-on-too-long", (const unsigned[]){200, 2}, 2, 0);
    seed_bad_table("level-too-many", (const unsigned[]){100}, 1, 0);
    seed_bad_table("wrong-level", (const unsigned[]){2, 100}, 2, 1);
    seed_save("sequence", "nothing", ov_bytes_of("\x01\x00\x00", 3));
}

/* ---- The table of files, patterns ---- */

static void read_whole(const char *directory, const char *name, struct ov_buf *out)
{
    OV_AUTO(ov_fd_close) int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(dir >= 0);
    FUZZ_OK(ov_file_read_at(dir, name, 1 << 20, out, NULL));
}

void seed_file_table(void)
{
    OV_AUTO(ov_file_table_writer_close_auto) struct ov_file_table_writer *writer = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_extent extents[] = {{5000, false, id_of(1)}, {70000, true, id_of(0)}};
    struct ov_hole holes[] = {{5000, 70000}};
    struct ov_xattr xattrs[] = {{.name = text("user.a"), .value = text("one")},
                                {.name = text("user.b"), .value = text("")}};
    const struct ov_file_contents contents[] = {
        {.contents = text("hello")},
        {.target = text("../target")},
        {.extents = extents, .extent_count = 2, .holes = holes, .hole_count = 1},
        {.xattrs = xattrs, .xattr_count = 2},
    };
    const struct ov_file_facts facts = {1, 2, 5, 4, 5, 6, 7};
    const size_t header_size = 112;
    struct ov_id hash;
    char name[80];
    FUZZ_OK(
        ov_file_table_create(fuzz_directory(), fuzz_repository(), text("/source"), &writer, NULL));
    for (size_t i = 0; i < OV_ARRAY_LEN(contents); i++) {
        const char path[] = {'d', '/', (char)('a' + i), '\0'};
        FUZZ_OK(ov_file_table_add(writer, text(path), &facts, 100, &contents[i], NULL));
    }
    FUZZ_OK(ov_file_table_commit(writer, &(struct ov_id){{0}}, NULL));
    ov_hash("ociv2 source", "/source", 7, &hash);
    snprintf(name, sizeof(name), "files-%.32s", ov_id_hex(&hash).text);
    read_whole(fuzz_directory(), name, &file);
    save_byte("file_table", "file", 0, ov_buf_view(&file));
    save_byte("file_table", "records", 1,
              ov_bytes_of(file.data + header_size, file.len - header_size));
    save_byte("file_table", "short", 0, ov_bytes_of(file.data, header_size / 2));
    file.data[0] ^= 1;
    save_byte("file_table", "magic", 0, ov_buf_view(&file));
}

void seed_patterns(void)
{
    static const char *const globs[][2] = {
        {"*.o", "main.o"},
        {"a?c", "abc"},
        {"[a-c]x", "bx"},
        {"[^a-c]x", "dx"},
        {"\\*a", "*a"},
        {"*a*b*", "xxaxxbxx"},
        {"[\\]]", "]"},
        {"plain", "plain"},
        {"?", "\xe2\x82\xac"},
        {"[a", "a"},
        {"[\xc3\xa4]", "\xc3\xa4"},
        {"[a-]", "a"},
        {"[]", "]"},
        {"[a-\\z]", "q"},
        {"?", "\xf0\x9f\x98\x80"},
        {"?", "\xe2"},
    };
    static const char *const patterns[][2] = {
        {"usr/lib/x.o", "*.o\n!x.o\n/usr/lib\n"},
        {"a/b/c/d", "/a/**/d\n**/c\n"},
        {"home/user", "# note\n\n  $HOME/cache \n${HOME}\n$$x ${ $ $1\n$NOT_THERE/x\n"},
        {"etc", "/\n"},
        {"a", "[\n"},
        {"a", "\\\n"},
        {"a/./b//c", "a/./b//c/\r\n"},
        {"a", "!/a\n[^a]b\n[\\]]\n"},
        {"x", "/..\n."},
    };
    char name[32];
    for (size_t i = 0; i < OV_ARRAY_LEN(globs); i++) {
        snprintf(name, sizeof(name), "glob-%zu", i);
        save_both("glob", name, (struct ov_bytes){0}, text(globs[i][0]), text(globs[i][1]));
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(patterns); i++) {
        snprintf(name, sizeof(name), "patterns-%zu", i);
        save_both("pattern", name, (struct ov_bytes){0}, text(patterns[i][0]),
                  text(patterns[i][1]));
    }
    char deep[300] = {0};
    for (size_t i = 0; i < 140; i++)
        memcpy(deep + 2 * i, "a/", 2);
    save_both("pattern", "deep", (struct ov_bytes){0}, text(deep), text("b\n**/a\n"));
    deep[80] = '\0';
    save_both("pattern", "many-stars", (struct ov_bytes){0}, text(deep),
              text("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/b\n"));
}
