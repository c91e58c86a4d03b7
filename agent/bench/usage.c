#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/bench/usage.h"

#define SECOND UINT64_C(1000000000)

/* The fields of /proc/PID/stat behind the name, which is in brackets and may hold anything. */
static bool read_stat(pid_t pid, struct bench_usage *usage)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)(pid ? pid : getpid()));
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = 0;
    const char *at = strrchr(text, ')');
    uint64_t user;
    uint64_t system;
    uint64_t pages;
    /* utime and stime are the 14th and 15th field, rss the 24th; the 3rd is the first here. */
    if (!at || sscanf(at + 1, /* NOLINT(cert-err34-c): the kernel wrote them */
                      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                      " %*d %*d %*d %*d %*d %*d %*u %*u %" SCNu64,
                      &user, &system, &pages) != 3)
        return false;
    uint64_t tick = SECOND / (uint64_t)sysconf(_SC_CLK_TCK);
    usage->user = user * tick;
    usage->system = system * tick;
    usage->resident = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

bool bench_usage_read(pid_t pid, struct bench_usage *usage)
{
    clockid_t clock;
    struct timespec cpu;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &cpu) != 0)
        return false;
    usage->cpu = (uint64_t)cpu.tv_sec * SECOND + (uint64_t)cpu.tv_nsec;
    return read_stat(pid, usage);
}
