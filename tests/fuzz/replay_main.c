/*
 * Runs a fuzz target on every file of the directories (or on the files) it is given, for builds
 * without libFuzzer. Each input is in memory of exactly its size, so that a sanitizer sees a read
 * beyond it. Fails when there is no input.
 */
#include "fuzz.h"

#include "engine/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define LARGEST_INPUT ((size_t)64 << 20)

static size_t replayed;

static int replay(int dir, const char *name)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_error err;
    if (ov_file_read_at(dir, name, LARGEST_INPUT, &bytes, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    uint8_t *exact = malloc(bytes.len ? bytes.len : 1);
    if (!exact)
        return 1;
    if (bytes.len)
        memcpy(exact, bytes.data, bytes.len);
    LLVMFuzzerTestOneInput(exact, bytes.len);
    free(exact);
    replayed++;
    return 0;
}

static int replay_directory(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        return replay(AT_FDCWD, path);
    OV_AUTO(ov_fd_close) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failures = dir < 0;
    for (int i = 0; i < count; i++) {
        if (dir >= 0 && entries[i]->d_name[0] != '.')
            failures += replay(dir, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return failures;
}

int main(int argc, char **argv)
{
    int failures = 0;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        failures += replay_directory(argv[i]);
    printf("%zu inputs\n", replayed);
    return failures || replayed == 0;
}
