/* What a process has used of the machine. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct bench_usage {
    uint64_t cpu; /* nanoseconds, of all its threads, those that have ended included */
    /* The parts of it, by the kernel's ticks (10 ms, usually): for long runs. */
    uint64_t user;
    uint64_t system;
    uint64_t resident; /* bytes, now */
};

/* pid 0: this process. False when there is no such process. */
bool bench_usage_read(pid_t pid, struct bench_usage *usage);
