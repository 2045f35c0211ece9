/*
 * Runs a command and says the most anonymous memory it had, looked at every few milliseconds, and
 * its largest resident set, pages of files included.
 */
#include "benchmarks/modules/anonymous.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Waits for the command; *peak: its most anonymous bytes. */
static int watch(pid_t pid, uint64_t *peak, struct rusage *used)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    int status = 0;
    *peak = 0;
    for (;;) {
        pid_t ended = wait4(pid, &status, WNOHANG, used);
        if (ended == pid || (ended < 0 && errno != EINTR))
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
        uint64_t bytes = bench_anonymous(pid);
        *peak = bytes > *peak ? bytes : *peak;
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "Usage: watch_memory LABEL COMMAND [ARGUMENT...]\n");
        return 2;
    }
    struct rusage used = {0};
    uint64_t peak;
    double start = now();
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        fprintf(stderr, "watch_memory: cannot run %s: %s\n", argv[2], strerror(errno));
        _exit(127);
    }
    if (pid < 0)
        return 1;
    int code = watch(pid, &peak, &used);
    printf("| %-44s | %13.1f | %13.1f | %7.2f |\n", argv[1], (double)peak / 1048576,
           (double)used.ru_maxrss / 1024, now() - start);
    return code;
}
