#include "rules/limit/algorithm.h"

/* The state as of now: the window that `now` falls into, or the state's own where now is late. */
static struct limit_state rolled(const struct limit *limit, const struct limit_state *state,
                                 uint64_t now)
{
    struct limit_state s = *state;
    uint64_t start = limit__window_start(limit, now);
    if (start > s.fixed.start || limit__set_back(limit, s.fixed.start, now)) {
        s.fixed.start = start;
        s.fixed.count = 0;
    } else if (now >= s.fixed.start) {
        s.fixed.start = start; /* another only where a reload has changed the window */
    }
    return s;
}

static struct limit_result peek(const struct limit *limit, const struct limit_state *state,
                                uint64_t now, uint64_t wanted)
{
    struct limit_state s = rolled(limit, state, now);
    uint64_t to_end = s.fixed.start + limit->window - limit__max(now, s.fixed.start);
    uint64_t available = limit->units > s.fixed.count ? limit->units - s.fixed.count : 0;
    struct limit_result result = limit__grant(limit->units, available, wanted);
    if (result.granted < wanted && !result.retry_after)
        result.retry_after = to_end;
    result.reset_after = s.fixed.count || result.granted ? to_end : 0;
    return result;
}

static void charge(const struct limit *limit, struct limit_state *state, uint64_t now,
                   uint64_t granted)
{
    *state = rolled(limit, state, now);
    state->fixed.count += granted;
}

/* Never over-admits: starts only grow, and a take is charged to the window of its time or, when
 * late, to a later one. So if the window of its time is still the state's, that is where it was
 * charged, and the count without it is what it would be had it never come. */
static void give(const struct limit *limit, struct limit_state *state, uint64_t now,
                 uint64_t taken_at, uint64_t units)
{
    (void)now;
    if (limit__window_start(limit, taken_at) == state->fixed.start)
        state->fixed.count -= limit__min(state->fixed.count, units);
}

const struct limit__algorithm limit__fixed_window = {
    .name = "fixed-window",
    .peek = peek,
    .charge = charge,
    .give = give,
};
