/* When requests are due.
 *
 * In a closed loop the next one is as soon as there is a place for it, and the time it takes counts
 * from then. In an open loop the n-th is due n / rate seconds after the beginning, whatever became
 * of those before it, and its time counts from then, sent or not: an agent that stalls for a second
 * is charged with the waiting of all who came in that second, not of the one that was under way.
 *
 * Pure: time is a parameter, in nanoseconds of any clock that never goes back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BENCH_RATE_MAX 100000000 /* requests a second */
#define BENCH_NEVER    UINT64_MAX

struct bench_schedule {
    uint64_t rate;  /* a second; 0: a closed loop */
    uint64_t count; /* requests in all; 0: no limit */
    uint64_t began_at;
    uint64_t ends_at; /* none is due from then on; BENCH_NEVER */
    uint64_t asked;   /* how many have been taken */
};

/* When the next is, or was, due; BENCH_NEVER when there are no more. */
uint64_t bench_schedule_next(const struct bench_schedule *schedule, uint64_t now);

/* Takes the next if it is due: true, and *due is when its time began. */
bool bench_schedule_take(struct bench_schedule *schedule, uint64_t now, uint64_t *due);
