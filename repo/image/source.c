#include "repo/image/source_internal.h"

#include "engine/base/file.h"
#include "repo/image/members.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMES_SHOWN 12 /* in a message */

/* ---- Files ---- */

enum ov_status ov_image_source_find(const struct ov_image_source *source, const char *name,
                                    struct ov_member *out, struct ov_error *err)
{
    if (source->archive)
        return ov_archive_find(source->archive, name, out, err);
    return ov_source_directory_find(source->directory, name, out, err);
}

/* What a blob may be called; at most two names. */
struct blob_names {
    char text[2][OV_DIGEST_TEXT_SIZE + 32];
};

static struct blob_names names_of_blob(enum ov_source_form form, const struct ov_digest *digest,
                                       bool is_manifest)
{
    struct blob_names names = {0};
    struct ov_digest_text hex = ov_digest_hex(digest);
    bool is_sha512 = digest->algorithm == OV_DIGEST_SHA512;
    const char *algorithm = is_sha512 ? "sha512" : "sha256";
    const char *prefix = is_sha512 ? "sha512-" : "";
    if (form == OV_SOURCE_LAYOUT) {
        snprintf(names.text[0], sizeof(names.text[0]), "blobs/%s/%s", algorithm, hex.text);
    } else if (is_manifest) {
        snprintf(names.text[0], sizeof(names.text[0]), "%s%s.manifest.json", prefix, hex.text);
    } else {
        snprintf(names.text[0], sizeof(names.text[0]), "%s%s", prefix, hex.text);
        /* As version 1.0 of the transport had it. */
        snprintf(names.text[1], sizeof(names.text[1]), "%s.tar", hex.text);
    }
    return names;
}

enum ov_status ov_image_source_find_blob(const struct ov_image_source *source,
                                         const struct ov_digest *digest, bool is_manifest,
                                         struct ov_member *out, struct ov_error *err)
{
    struct blob_names names = names_of_blob(source->form, digest, is_manifest);
    enum ov_status status = ov_image_source_find(source, names.text[0], out, err);
    if (status == OV_ERR_NOT_FOUND && names.text[1][0])
        status = ov_image_source_find(source, names.text[1], out, err);
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is missing in %s", names.text[0], source->path);
    return status;
}

enum ov_status ov_member_read_all(const struct ov_member *member, const char *what,
                                  struct ov_buf *out, struct ov_error *err)
{
    size_t got;
    if (member->size > OV_IMAGE_DOCUMENT_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%s has %llu bytes, more than 4 MiB", what,
                       (unsigned long long)member->size);
    OV_TRY(ov_buf_reserve(out, (size_t)member->size, err));
    OV_TRY(ov_fd_read(member->fd, out->data + out->len, (size_t)member->size, (off_t)member->offset,
                      &got, what, err));
    if (got < member->size)
        return ov_fail(err, OV_ERR_CORRUPT, "%s ends after %zu of %llu bytes", what, got,
                       (unsigned long long)member->size);
    out->len += got;
    return OV_OK;
}

/* ---- Choosing among the images of a source ---- */

bool ov_is_attestation(const struct ov_descriptor *descriptor)
{
    return strcmp(descriptor->platform.os, "unknown") == 0 &&
           strcmp(descriptor->platform.architecture, "unknown") == 0;
}

/* Appends one more name to a list for a message; the rest is cut off. */
static void list_name(char *list, size_t size, size_t *count, const char *name)
{
    size_t len = strlen(list);
    if (*count < NAMES_SHOWN)
        snprintf(list + len, size - len, "%s%s", *count ? ", " : "", ov_show(name).text);
    else if (*count == NAMES_SHOWN)
        snprintf(list + len, size - len, ", …");
    ++*count;
}

static enum ov_status fail_no_reference(const struct ov_image_source *source, const char *reference,
                                        struct ov_error *err)
{
    char list[NAMES_SHOWN * 90] = "";
    size_t named = 0;
    for (size_t i = 0; i < source->count; i++) {
        size_t count = ov_image_source_name_count(source, i);
        for (size_t n = 0; n < count; n++)
            list_name(list, sizeof(list), &named, ov_image_source_name(source, i, n));
    }
    return ov_fail(err, OV_ERR_INVALID, "%s has no image %s: %s%s", source->path,
                   ov_show(reference).text, named ? "there are " : "none has a name", list);
}

/* Which of docker's references are the same: docker.io/library and :latest may be left out. */
static bool normalise(const char *reference, char *out, size_t size)
{
    const char *slash = strchr(reference, '/');
    size_t first = slash ? (size_t)(slash - reference) : 0;
    bool has_host = slash && (memchr(reference, '.', first) || memchr(reference, ':', first) ||
                              (first == 9 && memcmp(reference, "localhost", 9) == 0));
    const char *host = has_host ? "" : "docker.io/";
    if (has_host && strncmp(reference, "index.docker.io/", 16) == 0)
        reference += 6;
    bool is_docker = !has_host || strncmp(reference, "docker.io/", 10) == 0;
    if (is_docker && has_host) {
        host = "docker.io/";
        reference += 10;
    }
    const char *library = is_docker && !strchr(reference, '/') ? "library/" : "";
    const char *last = strrchr(reference, '/');
    bool has_tag = strchr(last ? last : reference, ':') != NULL;
    int n = snprintf(out, size, "%s%s%s%s", host, library, reference, has_tag ? "" : ":latest");
    return n >= 0 && (size_t)n < size;
}

static bool is_same_tag(const char *a, const char *b)
{
    char x[1024], y[1024];
    return normalise(a, x, sizeof(x)) && normalise(b, y, sizeof(y)) && strcmp(x, y) == 0;
}

static bool is_text(const char *text, const char *other)
{
    return text && strcmp(text, other) == 0;
}

/* place: among all images of the source. */
static bool is_meant(const struct ov_image_source *source, size_t place, const char *reference)
{
    if (source->form == OV_SOURCE_LAYOUT) {
        const struct ov_descriptor *descriptor = &source->layout.items[place];
        return is_text(descriptor->reference, reference) ||
               is_text(descriptor->image_name, reference);
    }
    const struct ov_docker_image *image = &source->docker.items[place];
    if (reference[0] == '@') {
        char number[32];
        snprintf(number, sizeof(number), "%zu", place);
        return strcmp(number, reference + 1) == 0;
    }
    for (size_t i = 0; i < image->tag_count; i++) {
        if (is_same_tag(image->tags[i], reference))
            return true;
    }
    return false;
}

/* All images that are images; with a reference the first that it names. */
static enum ov_status choose(struct ov_image_source *source, const char *reference,
                             struct ov_error *err)
{
    size_t all = source->form == OV_SOURCE_DIR      ? 1
                 : source->form == OV_SOURCE_LAYOUT ? source->layout.count
                                                    : source->docker.count;
    source->chosen = calloc(all ? all : 1, sizeof(*source->chosen));
    if (!source->chosen)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < all; i++) {
        if (source->form != OV_SOURCE_LAYOUT || !ov_is_attestation(&source->layout.items[i]))
            source->chosen[source->count++] = i;
    }
    if (!reference)
        return OV_OK;
    for (size_t i = 0; i < source->count; i++) {
        if (!is_meant(source, source->chosen[i], reference))
            continue;
        source->chosen[0] = source->chosen[i];
        source->count = 1;
        return OV_OK;
    }
    return fail_no_reference(source, reference, err);
}

size_t ov_image_source_count(const struct ov_image_source *source)
{
    return source->count;
}

static const char *layout_name(const struct ov_descriptor *descriptor)
{
    return descriptor->image_name ? descriptor->image_name : descriptor->reference;
}

size_t ov_image_source_name_count(const struct ov_image_source *source, size_t index)
{
    if (index >= source->count || source->form == OV_SOURCE_DIR)
        return 0;
    if (source->form == OV_SOURCE_DOCKER)
        return source->docker.items[source->chosen[index]].tag_count;
    return layout_name(&source->layout.items[source->chosen[index]]) ? 1 : 0;
}

const char *ov_image_source_name(const struct ov_image_source *source, size_t index, size_t name)
{
    if (name >= ov_image_source_name_count(source, index))
        return NULL;
    if (source->form == OV_SOURCE_DOCKER)
        return source->docker.items[source->chosen[index]].tags[name];
    return layout_name(&source->layout.items[source->chosen[index]]);
}

/* ---- Opening ---- */

static enum ov_status read_top(struct ov_image_source *source, const char *name, const char *kind,
                               struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_member_close) struct ov_member member = {.fd = -1};
    enum ov_status status = ov_image_source_find(source, name, &member, err);
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%s is no %s: it has no %s", source->path, kind,
                       name);
    OV_TRY(status);
    return ov_member_read_all(&member, name, out, err);
}

static enum ov_status read_contents(struct ov_image_source *source, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    if (source->form == OV_SOURCE_DIR)
        return read_top(source, "manifest.json", "directory of an image", &bytes, err);
    if (source->form == OV_SOURCE_DOCKER) {
        OV_TRY(read_top(source, "manifest.json", "archive of docker", &bytes, err));
        return ov_docker_images_parse(ov_buf_view(&bytes), "manifest.json", &source->docker, err);
    }
    OV_TRY(read_top(source, "index.json", "OCI image layout", &bytes, err));
    OV_TRY(ov_manifest_parse(ov_buf_view(&bytes), NULL, "index.json", &source->layout, err));
    if (source->layout.kind != OV_MANIFEST_INDEX)
        return ov_fail(err, OV_ERR_INVALID, "index.json is no index");
    return OV_OK;
}

static enum ov_status new_source(enum ov_source_form form, const char *path,
                                 struct ov_image_source **out, struct ov_error *err)
{
    struct ov_image_source *source = calloc(1, sizeof(*source));
    char *copy = strdup(path);
    if (!source || !copy) {
        free(source);
        free(copy);
        return ov_fail_no_memory(err);
    }
    source->form = form;
    source->path = copy;
    source->directory = -1;
    *out = source;
    return OV_OK;
}

/* form: 0: what the archive is. */
static enum ov_status open_archive(struct ov_archive *given, enum ov_source_form form,
                                   const char *path, const char *reference,
                                   struct ov_image_source **out, struct ov_error *err)
{
    OV_AUTO(ov_archive_close_auto) struct ov_archive *archive = given;
    OV_AUTO(ov_image_source_close_auto) struct ov_image_source *source = NULL;
    if (!form)
        form = ov_archive_has(archive, "index.json") && ov_archive_has(archive, "oci-layout")
                   ? OV_SOURCE_LAYOUT
                   : OV_SOURCE_DOCKER;
    /* skopeo unpacks an oci-archive, and searches a docker-archive from its beginning. */
    if (form == OV_SOURCE_LAYOUT)
        ov_archive_let_last_win(archive);
    OV_TRY(new_source(form, path, &source, err));
    source->archive = ov_steal(archive);
    OV_TRY(read_contents(source, err));
    OV_TRY(choose(source, reference, err));
    *out = ov_steal(source);
    return OV_OK;
}

enum ov_status ov_image_source_over(struct ov_archive *archive, const char *path,
                                    const char *reference, struct ov_image_source **out,
                                    struct ov_error *err)
{
    return open_archive(archive, (enum ov_source_form)0, path, reference, out, err);
}

static enum ov_status open_directory(enum ov_source_form form, const char *path,
                                     const char *reference, struct ov_image_source **out,
                                     struct ov_error *err)
{
    OV_AUTO(ov_image_source_close_auto) struct ov_image_source *source = NULL;
    OV_TRY(new_source(form, path, &source, err));
    OV_TRY(ov_source_directory_open(path, &source->directory, err));
    OV_TRY(read_contents(source, err));
    OV_TRY(choose(source, reference, err));
    *out = ov_steal(source);
    return OV_OK;
}

/* What stands before the first ':' of a spec. */
static const struct transport {
    const char *name;
    enum ov_source_form form;
    bool is_archive;
    bool has_reference; /* after the next ':', as skopeo has it: the path holds none */
} transports[] = {
    {"oci", OV_SOURCE_LAYOUT, false, true},
    {"oci-archive", OV_SOURCE_LAYOUT, true, true},
    {"docker-archive", OV_SOURCE_DOCKER, true, true},
    {"dir", OV_SOURCE_DIR, false, false},
};

static const struct transport *find_transport(const char *spec, const char **rest)
{
    for (size_t i = 0; i < OV_ARRAY_LEN(transports); i++) {
        size_t len = strlen(transports[i].name);
        if (strncmp(spec, transports[i].name, len) == 0 && spec[len] == ':') {
            *rest = spec + len + 1;
            return &transports[i];
        }
    }
    return NULL;
}

static void free_text(char **text)
{
    free(*text);
}

enum ov_status ov_image_source_open(const char *spec, const char *spool,
                                    struct ov_image_source **out, struct ov_error *err)
{
    struct ov_archive *archive;
    if (strcmp(spec, "-") == 0) {
        OV_TRY(ov_archive_open(NULL, spool, &archive, err));
        return ov_image_source_over(archive, "standard input", NULL, out, err);
    }
    const char *rest;
    const struct transport *transport = find_transport(spec, &rest);
    if (!transport)
        return ov_fail(
            err, OV_ERR_INVALID,
            "'%s' is no place of images: they are oci:DIR[:REF], oci-archive:FILE[:REF], "
            "docker-archive:FILE[:REF], dir:DIR and -",
            spec);
    OV_AUTO(free_text) char *path = strdup(rest);
    if (!path)
        return ov_fail_no_memory(err);
    char *reference = transport->has_reference ? strchr(path, ':') : NULL;
    if (reference)
        *reference++ = '\0';
    if (reference && !*reference)
        reference = NULL;
    if (!*path)
        return ov_fail(err, OV_ERR_INVALID, "'%s' names no %s", spec,
                       transport->is_archive ? "file" : "directory");
    if (!transport->is_archive)
        return open_directory(transport->form, path, reference, out, err);
    OV_TRY(ov_archive_open(path, spool, &archive, err));
    return open_archive(archive, transport->form, path, reference, out, err);
}

void ov_image_source_close(struct ov_image_source *source)
{
    if (!source)
        return;
    ov_fd_close(&source->directory);
    ov_archive_close(source->archive);
    ov_manifest_release(&source->layout);
    ov_docker_images_release(&source->docker);
    free(source->chosen);
    free(source->path);
    free(source);
}
