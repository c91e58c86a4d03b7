#include "rules/limit/algorithm.h"

/* n units fit at `elapsed` into the current window iff
 *     previous * (window - elapsed) / window + current + n <= units,
 * the previous window's units being thought of as spread evenly. Evaluated as it stands, in
 * integers, with both sides times window. */

static struct limit_state rolled(const struct limit *limit, const struct limit_state *state,
                                 uint64_t now)
{
    struct limit_state s = *state;
    uint64_t start = limit__window_start(limit, now);
    if (start > s.sliding.start) {
        bool adjacent = start - s.sliding.start <= limit->window;
        s.sliding.previous = adjacent ? s.sliding.current : 0;
        s.sliding.current = 0;
        s.sliding.start = start;
    } else if (limit__set_back(limit, s.sliding.start, now)) {
        s = (struct limit_state){.sliding = {.start = start}};
    } else if (now >= s.sliding.start) {
        s.sliding.start = start; /* another only where a reload has changed the window */
    }
    return s;
}

/* The first time in a window, from its start, at which `count` units of the window before weigh no
 * more than `room`: the least e with count * (window - e) <= room * window. */
static uint64_t decayed(uint64_t count, uint64_t room, uint64_t window)
{
    if (count <= room)
        return 0;
    return window - (uint64_t)((limit__wide)room * window / count);
}

/* What was wanted doesn't fit now, but is no more than the limit. */
static uint64_t retry_after(const struct limit *limit, const struct limit_state *s,
                            uint64_t elapsed, uint64_t wanted)
{
    uint64_t window = limit->window;
    uint64_t current = s->sliding.current;
    uint64_t room = limit->units - wanted;
    if (current <= room)
        return decayed(s->sliding.previous, room - current, window) - elapsed;
    /* In the next window what is current now is previous, and none of it is left at its end. */
    return window - elapsed + decayed(current, room, window);
}

static struct limit_result peek(const struct limit *limit, const struct limit_state *state,
                                uint64_t now, uint64_t wanted)
{
    struct limit_state s = rolled(limit, state, now);
    uint64_t window = limit->window;
    /* A late time counts as the window's start, when the previous window weighs most. */
    uint64_t elapsed = now > s.sliding.start ? now - s.sliding.start : 0;
    limit__wide weight =
        ((limit__wide)s.sliding.previous * (window - elapsed) + (window - 1)) / window;
    limit__wide used = weight + s.sliding.current;
    uint64_t available = used < limit->units ? limit->units - (uint64_t)used : 0;
    struct limit_result result = limit__grant(limit->units, available, wanted);
    if (result.granted < wanted && !result.retry_after)
        result.retry_after = retry_after(limit, &s, elapsed, wanted);
    if (s.sliding.current || result.granted)
        result.reset_after = 2 * window - elapsed;
    else if (s.sliding.previous)
        result.reset_after = window - elapsed;
    return result;
}

static void charge(const struct limit *limit, struct limit_state *state, uint64_t now,
                   uint64_t granted)
{
    *state = rolled(limit, state, now);
    state->sliding.current += granted;
}

/* Never over-admits. A take is charged to the window of its time, and then taking it out of that
 * window's count leaves what would be there had it never come; or it was late, and was charged to a
 * later window. The window of its time may then be the previous one while it was charged to the
 * current one: taken from `previous`, which weighs no more and sooner nothing, the estimate stays
 * at or above the true one, now and later. */
static void give(const struct limit *limit, struct limit_state *state, uint64_t now,
                 uint64_t taken_at, uint64_t units)
{
    (void)now;
    uint64_t start = limit__window_start(limit, taken_at);
    if (start == state->sliding.start)
        state->sliding.current -= limit__min(state->sliding.current, units);
    else if (start + limit->window == state->sliding.start)
        state->sliding.previous -= limit__min(state->sliding.previous, units);
}

const struct limit__algorithm limit__sliding_window = {
    .name = "sliding-window",
    .peek = peek,
    .charge = charge,
    .give = give,
};
