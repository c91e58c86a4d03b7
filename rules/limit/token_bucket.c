#include "rules/limit/algorithm.h"

/* GCRA counts in time: a bucket that lacks n units has its theoretical arrival time (when it will
 * be full) n * window / units ahead of now. Times `units`, everything is an integer: a unit is
 * `window`, a microsecond refills `units`, a full bucket is burst * window. */

/* The bucket as of a time. */
struct level {
    uint64_t time;       /* now, or the key's clock where now is late */
    limit__wide missing; /* 0..burst * window */
};

static limit__wide capacity_of(const struct limit *limit)
{
    return (limit__wide)limit->burst * limit->window;
}

static struct level level_at(const struct limit *limit, const struct limit_state *state,
                             uint64_t now)
{
    uint64_t latest = state->bucket.latest;
    if (limit__set_back(limit, latest, now))
        return (struct level){.time = now};

    limit__wide missing = 0;
    if (state->bucket.arrival >= latest)
        missing = (limit__wide)(state->bucket.arrival - latest) * limit->units +
                  limit__min(state->bucket.fraction, limit->units);
    /* When it was last granted any, the bucket can't have been worse than empty. It can look worse
     * when a reload has lowered the burst or raised the rate, and would then refuse for longer than
     * this limit can. */
    if (missing > capacity_of(limit))
        missing = capacity_of(limit);

    uint64_t time = limit__max(now, latest);
    limit__wide refilled = (limit__wide)(time - latest) * limit->units;
    return (struct level){time, missing > refilled ? missing - refilled : 0};
}

static void keep(const struct limit *limit, struct limit_state *state, struct level level)
{
    state->bucket.arrival = level.time + (uint64_t)(level.missing / limit->units);
    state->bucket.fraction = (uint64_t)(level.missing % limit->units);
}

/* The whole microseconds in which this much is refilled. */
static uint64_t time_of(const struct limit *limit, limit__wide missing)
{
    return (uint64_t)((missing + (limit->units - 1)) / limit->units);
}

static struct limit_result peek(const struct limit *limit, const struct limit_state *state,
                                uint64_t now, uint64_t wanted)
{
    struct level level = level_at(limit, state, now);
    limit__wide room = capacity_of(limit) - level.missing;
    struct limit_result result =
        limit__grant(limit->burst, (uint64_t)(room / limit->window), wanted);
    if (result.granted < wanted && !result.retry_after)
        result.retry_after = time_of(limit, (limit__wide)wanted * limit->window - room);
    result.reset_after =
        time_of(limit, level.missing + (limit__wide)result.granted * limit->window);
    return result;
}

static void charge(const struct limit *limit, struct limit_state *state, uint64_t now,
                   uint64_t granted)
{
    struct level level = level_at(limit, state, now);
    level.missing += (limit__wide)granted * limit->window;
    keep(limit, state, level);
    state->bucket.latest = level.time;
}

/* Never over-admits: with T = window / units, the arrival time after takes of n_i at t_i is
 *     A = max(t, max over j of (t_j + T * sum of n_i for i >= j)).
 * Without the take (s, n) the terms with t_j <= s fall by n * T. Those with t_j > s don't, but are
 * at most A - n * T - s + t_j, for s + T * (n + all from j on) is a term of A. And t itself is at
 * most A - n * T - s + t, for s + T * n is one. So the arrival time without it is at most
 * A - n * T + (t - s): that is what is given back, and the bucket is never fuller than it would be
 * had the take never come. At t = s it is just as full. A take that was late was charged at an s
 * after taken_at, which gives back less still. */
static void give(const struct limit *limit, struct limit_state *state, uint64_t now,
                 uint64_t taken_at, uint64_t units)
{
    struct level level = level_at(limit, state, now);
    if (taken_at > level.time || level.missing == 0)
        return;
    limit__wide back = (limit__wide)limit__min(units, limit->burst) * limit->window;
    limit__wide refilled = (limit__wide)(level.time - taken_at) * limit->units;
    if (back <= refilled)
        return;
    back -= refilled;
    level.missing -= back < level.missing ? back : level.missing;
    keep(limit, state, level);
}

static uint64_t capacity(const struct limit *limit)
{
    return limit->burst;
}

static const char *check(const struct limit *limit)
{
    if (limit->burst > LIMIT_UNITS_MAX || (limit->units && limit->burst == 0))
        return "a burst from 1 to 1000000000 units";
    if (limit->units && capacity_of(limit) > (limit__wide)LIMIT_WINDOW_MAX * limit->units)
        return "a burst that the rate refills within 366d";
    return NULL;
}

const struct limit__algorithm limit__token_bucket = {
    .name = "token-bucket",
    .check = check,
    .capacity = capacity,
    .peek = peek,
    .charge = charge,
    .give = give,
};
