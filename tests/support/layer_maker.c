#include "tests/support/layer_maker.h"

#include "tests/support/tree_text.h"

#include <stdlib.h>

/* ---- Making ---- */

void test_layer_add(struct ov_layer_found *found, struct ov_layer_entry entry, const char *path,
                    const char *target, const char *contents)
{
    struct ov_spill *spill = &found->entries;
    if (!spill->fd_plus_one)
        TEST_OK(ov_spill_open(spill, NULL, &test_error));
    TEST_OK(ov_spill_align(spill, &test_error));
    TEST_OK(ov_array_grow(&found->offsets, found->count, &found->capacity, sizeof(*found->offsets),
                          &test_error));
    found->offsets[found->count++] = spill->size;
    entry.path_len = (uint32_t)strlen(path);
    entry.target_len = (uint32_t)strlen(target);
    entry.contents_len = (uint32_t)strlen(contents);
    TEST_OK(ov_spill_append(spill, &entry, sizeof(entry), &test_error));
    TEST_OK(ov_spill_append(spill, path, entry.path_len + 1, &test_error));
    TEST_OK(ov_spill_append(spill, target, entry.target_len + 1, &test_error));
    TEST_OK(ov_spill_append(spill, contents, entry.contents_len, &test_error));
}

static void add_token(struct ov_layer_found *found, char *token, int64_t time)
{
    struct ov_layer_entry entry = {
        .kind = OV_LAYER_OBJECT,
        .node_kind = OV_NODE_REGULAR,
        .mode = 0644,
        .mtime = time,
    };
    char *mark = token + strcspn(token, "=>@");
    const char *target = "", *contents = "";
    if (*token == '-' || *token == '!') {
        entry.kind = *token == '-' ? OV_LAYER_WHITEOUT : OV_LAYER_OPAQUE;
        token++;
    } else if (*mark == '=') {
        contents = mark + 1;
        entry.size = strlen(contents);
    } else if (*mark == '>') {
        entry.node_kind = OV_NODE_SYMLINK;
        target = mark + 1;
    } else if (*mark == '@') {
        entry.kind = OV_LAYER_LINK;
        entry.node_kind = 0;
        target = mark + 1;
    } else {
        char *mode = strchr(token, ':');
        entry.node_kind = OV_NODE_DIRECTORY;
        entry.mode = mode ? (uint32_t)strtoul(mode + 1, NULL, 8) : 0755;
        mark = (mode ? mode : mark) - 1; /* the slash */
    }
    *mark = '\0';
    test_layer_add(found, entry, token, target, contents);
}

struct test_layers test_layers_make(const char *text)
{
    struct test_layers layers = {0};
    size_t capacity = 0;
    int64_t time = 0;
    char *copy = strdup(text), *save = NULL;
    ck_assert_ptr_nonnull(copy);
    for (char *token = strtok_r(copy, " ", &save); token || layers.count == 0;
         token = strtok_r(NULL, " ", &save)) {
        if (layers.count == 0 || *token == '|') {
            TEST_OK(ov_array_grow(&layers.found, layers.count, &capacity, sizeof(*layers.found),
                                  &test_error));
            layers.found[layers.count++] = (struct ov_layer_found){0};
        }
        if (token && *token != '|')
            add_token(&layers.found[layers.count - 1], token, ++time);
        if (!token)
            break;
    }
    free(copy);
    for (size_t i = 0; i < layers.count; i++) {
        if (layers.found[i].count)
            TEST_OK(ov_spill_finish(&layers.found[i].entries, &test_error));
    }
    return layers;
}

void test_layers_release(struct test_layers *layers)
{
    for (size_t i = 0; i < layers->count; i++)
        ov_layer_found_release(&layers->found[i]);
    free(layers->found);
    *layers = (struct test_layers){0};
}

void test_layers_print(struct ov_buf *out, struct ov_bytes path, const struct ov_layer_entry *entry,
                       bool is_exact)
{
    struct ov_bytes target = ov_layer_entry_target(entry);
    struct ov_bytes contents = ov_layer_entry_contents(entry);
    bool is_directory = entry->node_kind == OV_NODE_DIRECTORY;
    bool is_symlink = entry->node_kind == OV_NODE_SYMLINK;
    unsigned mode = is_symlink ? 0 : entry->mode; /* they have none in trees */
    unsigned usual = is_directory ? 0755 : is_symlink ? 0 : 0644;
    test_print(out, "%.*s", TEST_TEXT(path));
    if (is_directory)
        test_print(out, "/");
    else if (is_symlink)
        test_print(out, ">%.*s", TEST_TEXT(target));
    else
        test_print(out, "=%.*s", TEST_TEXT(contents));
    if (is_exact)
        test_print(out, ":%o:%lld", mode, (long long)entry->mtime);
    else if (entry->mtime == 0)
        test_print(out, "?");
    else if (mode != usual)
        test_print(out, ":%o", mode);
    test_print(out, " ");
}

/* ---- The model ---- */

struct place {
    char *name;
    const struct ov_layer_entry *entry; /* of the inode; implied directories: `implied` */
    size_t layer;                       /* in which it was put there last */
    struct place *children;             /* of directories; in order */
    struct place *next;
};

struct model {
    struct place root;
    const struct ov_layer_entry **met; /* inodes, in the order of the tree */
    char **where;
    size_t met_count, met_capacity, where_capacity;
    struct ov_buf *out;
};

/* An entry, and the ends of its empty path, target and contents. */
static const struct {
    struct ov_layer_entry entry;
    char nothing[8];
} implied = {.entry = {.node_kind = OV_NODE_DIRECTORY, .mode = 0755}};

static bool is_directory(const struct place *place)
{
    return place->entry->node_kind == OV_NODE_DIRECTORY;
}

static void free_places(struct place *place)
{
    while (place) {
        struct place *next = place->next;
        free_places(place->children);
        free(place->name);
        free(place);
        place = next;
    }
}

/* The link that holds the child of this name, or where it belongs. */
static struct place **find_child(struct place *parent, struct ov_bytes name)
{
    struct place **link = &parent->children;
    while (*link && ov_bytes_compare(ov_bytes_of_string((*link)->name), name) < 0)
        link = &(*link)->next;
    return link;
}

static bool is_named(const struct place *place, struct ov_bytes name)
{
    return place && ov_bytes_equal(ov_bytes_of_string(place->name), name);
}

static void set(struct place *place, const struct ov_layer_entry *entry, size_t layer)
{
    place->entry = entry;
    place->layer = layer;
    if (!is_directory(place)) {
        free_places(place->children);
        place->children = NULL;
    }
}

static struct place *put(struct place *parent, struct ov_bytes name,
                         const struct ov_layer_entry *entry, size_t layer)
{
    struct place **link = find_child(parent, name);
    if (!is_named(*link, name)) {
        struct place *place = calloc(1, sizeof(*place));
        ck_assert_ptr_nonnull(place);
        place->name = strndup((const char *)name.data, name.len);
        place->next = *link;
        *link = place;
    }
    set(*link, entry, layer);
    return *link;
}

/* The next name of a path; false after the last. */
static bool next_name(struct ov_bytes *path, struct ov_bytes *name)
{
    if (path->len == 0)
        return false;
    const uint8_t *slash = memchr(path->data, '/', path->len);
    size_t len = slash ? (size_t)(slash - path->data) : path->len, used = len + (slash != NULL);
    *name = ov_bytes_of(path->data, len);
    *path = ov_bytes_of(path->data + used, path->len - used);
    return true;
}

/* The link that holds what is at a path, or NULL. Not for the root. */
static struct place **find(struct model *model, struct ov_bytes path)
{
    struct place *place = &model->root, **link = NULL;
    struct ov_bytes name;
    while (next_name(&path, &name)) {
        link = find_child(place, name);
        if (!is_named(*link, name))
            return NULL;
        place = *link;
    }
    return link;
}

/* Takes away what is in a directory from layers below. */
static void clear_below(struct place *directory, size_t layer)
{
    struct place **link = &directory->children;
    while (*link) {
        struct place *place = *link;
        clear_below(place, layer);
        if (place->layer < layer && place->children) {
            set(place, &implied.entry, layer);
        } else if (place->layer < layer) {
            *link = place->next;
            place->next = NULL;
            free_places(place);
            continue;
        }
        link = &place->next;
    }
}

static void take_away(struct model *model, struct ov_bytes path, size_t layer)
{
    struct place **link = find(model, path);
    if (!link)
        return;
    struct place alone = {.children = *link}, *next = (*link)->next;
    (*link)->next = NULL;
    clear_below(&alone, layer);
    *link = alone.children ? alone.children : next;
    if (alone.children)
        alone.children->next = next;
}

static enum ov_status apply(struct model *model, const struct ov_layer_entry *entry, size_t layer)
{
    struct ov_bytes path = ov_layer_entry_path(entry), name;
    struct place *place = &model->root;
    const struct ov_layer_entry *inode = entry;
    if (entry->kind == OV_LAYER_WHITEOUT) {
        take_away(model, path, layer);
        return OV_OK;
    }
    if (entry->kind == OV_LAYER_OPAQUE) {
        struct place **link = path.len ? find(model, path) : NULL;
        if (path.len == 0 || link)
            clear_below(path.len ? *link : place, layer);
        return OV_OK;
    }
    if (entry->kind == OV_LAYER_LINK) {
        struct ov_bytes target = ov_layer_entry_target(entry);
        struct place **link = target.len ? find(model, target) : NULL;
        if (!link || is_directory(*link))
            return OV_ERR_INVALID;
        inode = (*link)->entry;
    }
    if (path.len == 0)
        set(place, entry, layer);
    while (next_name(&path, &name)) {
        struct place *child = *find_child(place, name);
        if (path.len == 0)
            put(place, name, inode, layer);
        else if (!is_named(child, name) || !is_directory(child))
            child = put(place, name, &implied.entry, layer);
        place = child;
    }
    return OV_OK;
}

static void print(struct model *model, const struct place *place, const char *path)
{
    for (size_t i = 0; i < model->met_count; i++) {
        if (model->met[i] == place->entry && !is_directory(place)) {
            test_print(model->out, "%s@%s ", path, model->where[i]);
            return;
        }
    }
    TEST_OK(ov_array_grow(&model->met, model->met_count, &model->met_capacity,
                          sizeof(struct ov_layer_entry *), &test_error));
    TEST_OK(ov_array_grow(&model->where, model->met_count, &model->where_capacity, sizeof(char *),
                          &test_error));
    model->where[model->met_count] = strdup(path);
    model->met[model->met_count++] = place->entry;
    test_layers_print(model->out, ov_bytes_of_string(path), place->entry, true);
    for (const struct place *child = place->children; child; child = child->next) {
        char below[300];
        snprintf(below, sizeof(below), "%s%s%s", path, *path ? "/" : "", child->name);
        print(model, child, below);
    }
}

enum ov_status test_layers_model(const struct test_layers *layers, struct ov_buf *out)
{
    struct model model = {.root = {.entry = &implied.entry}, .out = out};
    enum ov_status status = OV_OK;
    for (size_t l = 0; l < layers->count; l++) {
        const struct ov_layer_found *found = &layers->found[l];
        for (size_t i = 0; i < found->count && status >= 0; i++)
            status = apply(&model, ov_layer_found_entry(found, found->offsets[i]), l + 1);
    }
    ov_buf_clear(out);
    if (status >= 0)
        print(&model, &model.root, "");
    free_places(model.root.children);
    for (size_t i = 0; i < model.met_count; i++)
        free(model.where[i]);
    free(model.where);
    free(model.met);
    return status;
}
