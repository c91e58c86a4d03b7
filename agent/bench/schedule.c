#include "agent/bench/schedule.h"

#define SECOND UINT64_C(1000000000)

uint64_t bench_schedule_next(const struct bench_schedule *schedule, uint64_t now)
{
    uint64_t due = now;
    if (schedule->count && schedule->asked == schedule->count)
        return BENCH_NEVER;
    if (schedule->rate)
        due = schedule->began_at + schedule->asked / schedule->rate * SECOND +
              schedule->asked % schedule->rate * SECOND / schedule->rate;
    return due < schedule->ends_at ? due : BENCH_NEVER;
}

bool bench_schedule_take(struct bench_schedule *schedule, uint64_t now, uint64_t *due)
{
    *due = bench_schedule_next(schedule, now);
    if (*due > now)
        return false;
    schedule->asked++;
    return true;
}
