#include "engine/base/file.h"
#include "repo/restore_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

bool restore_is_selected(const struct restore *restore, struct ov_bytes path)
{
    const struct ov_restore_options *o = restore->options;
    return (!o->includes || ov_patterns_match(o->includes, path)) &&
           !(o->excludes && ov_patterns_match(o->excludes, path));
}

enum ov_status restore_names_add(struct restore_names *names, struct ov_bytes name,
                                 struct ov_error *err)
{
    OV_TRY(ov_array_grow(&names->starts, names->count, &names->capacity, sizeof(size_t), err));
    names->starts[names->count++] = names->bytes.len;
    OV_TRY(ov_buf_append(&names->bytes, name.data, name.len, err));
    return ov_buf_append(&names->bytes, "", 1, err);
}

void restore_names_release(struct restore_names *names)
{
    ov_buf_release(&names->bytes);
    free(names->starts);
}

static bool is_named(const struct restore_names *names, const char *name)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *known = (const char *)names->bytes.data + names->starts[middle];
        int order = strcmp(known, name); /* as unsigned bytes: memcmp order */
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

enum ov_status restore_delete_extra(struct restore *restore, const struct ov_target_dir *dir,
                                    const struct restore_names *names, struct ov_bytes path,
                                    int directory_fd, struct ov_error *err)
{
    int fd = ov_open_directory_at(directory_fd, ".", O_RDONLY);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    OV_AUTO(ov_buf_release) struct ov_buf whole = {0};
    struct restore_outcome outcome = {.restore = restore};
    enum ov_status status = OV_OK;
    if (!stream)
        return ov_fail_errno(err, "cannot list the directory %s", dir->name);
    for (const struct dirent *entry; status >= 0 && (entry = readdir(stream));) {
        struct ov_error problem;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            is_named(names, entry->d_name))
            continue;
        ov_buf_clear(&whole);
        status = ov_buf_append(&whole, path.data, path.len, err);
        if (status >= 0 && path.len)
            status = ov_buf_append(&whole, "/", 1, err);
        if (status >= 0)
            status = ov_buf_append(&whole, entry->d_name, strlen(entry->d_name), err);
        if (status < 0 || !restore_is_selected(restore, ov_buf_view(&whole)))
            continue;
        if (restore->options->is_dry_run)
            restore->result->deleted++;
        else if (ov_target_remove(fd, entry->d_name, &restore->result->deleted, &problem) < 0)
            status = restore_fail_path(&outcome, dir, entry->d_name, &problem, err);
    }
    closedir(stream);
    restore_merge(restore, &outcome);
    return status;
}
