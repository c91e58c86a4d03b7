#include <pthread.h>
#include <time.h>

#include "agent/clock.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t offset;
static pthread_once_t anchored = PTHREAD_ONCE_INIT;

static void anchor(void)
{
    offset = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_now(void)
{
    pthread_once(&anchored, anchor);
    return read_clock(CLOCK_MONOTONIC) + offset;
}

int64_t clock_wall_ahead(void)
{
    return (int64_t)(read_clock(CLOCK_REALTIME) - clock_now());
}
