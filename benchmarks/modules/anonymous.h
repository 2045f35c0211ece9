/*
 * Anonymous memory: what a process holds beyond pages of files, which the system can take back.
 */
#ifndef OV_BENCHMARKS_MODULES_ANONYMOUS_H
#define OV_BENCHMARKS_MODULES_ANONYMOUS_H

#include <stdint.h>
#include <sys/types.h>

/* Bytes of a process now; pid 0: of this one. 0 when it cannot be told. */
uint64_t bench_anonymous(pid_t pid);

/* The most that this process has between start and stop, looked at every few milliseconds. */
void bench_anonymous_start(void);
uint64_t bench_anonymous_stop(void);

#endif
