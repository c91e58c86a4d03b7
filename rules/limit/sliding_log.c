#include "rules/limit/algorithm.h"

/* Entries are in order of time, one for each unit granted; those whose window has passed stay until
 * the next charge. Below, entry 0 is the oldest. */

static uint64_t *entry(struct limit_log *log, uint32_t i)
{
    uint64_t oldest = (uint64_t)log->next + log->capacity - log->count;
    return &log->times[(oldest + i) % log->capacity];
}

static uint64_t time_of(const struct limit_log *log, uint32_t i)
{
    uint64_t oldest = (uint64_t)log->next + log->capacity - log->count;
    return log->times[(oldest + i) % log->capacity];
}

/* How many entries are of `time` or before. */
static uint32_t until(const struct limit_log *log, uint64_t time)
{
    uint32_t low = 0;
    uint32_t high = log->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (time_of(log, middle) <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The log as of a time. */
struct view {
    uint64_t time;    /* now, or the key's clock where now is late */
    uint32_t expired; /* entries from the oldest on that no longer count */
    uint32_t live;
};

static struct view view_at(const struct limit *limit, const struct limit_log *log, uint64_t now)
{
    if (limit__set_back(limit, log->latest, now))
        return (struct view){.time = now, .expired = log->count};
    struct view view = {.time = limit__max(now, log->latest)};
    if (view.time >= limit->window)
        view.expired = until(log, view.time - limit->window);
    view.live = log->count - view.expired;
    return view;
}

static bool usable(const struct limit *limit, const struct limit_log *log)
{
    return log && log->capacity >= limit->units;
}

static struct limit_result peek(const struct limit *limit, const struct limit_state *state,
                                uint64_t now, uint64_t wanted)
{
    const struct limit_log *log = state->log;
    if (!usable(limit, log))
        return (struct limit_result){.retry_after = LIMIT_NEVER};
    struct view view = view_at(limit, log, now);
    uint64_t available = limit->units > view.live ? limit->units - view.live : 0;
    struct limit_result result = limit__grant(limit->units, available, wanted);
    if (result.granted < wanted && !result.retry_after) {
        /* As many of the oldest must go as are too many; there are that many, as wanted <= units.
         */
        uint32_t leaving = view.live - (uint32_t)(limit->units - wanted);
        uint64_t last = time_of(log, view.expired + leaving - 1);
        result.retry_after = last + limit->window - view.time;
    }
    if (result.granted)
        result.reset_after = limit->window;
    else if (view.live)
        result.reset_after = time_of(log, log->count - 1) + limit->window - view.time;
    return result;
}

static void charge(const struct limit *limit, struct limit_state *state, uint64_t now,
                   uint64_t granted)
{
    struct limit_log *log = state->log;
    struct view view = view_at(limit, log, now);
    log->count = view.live;
    log->latest = view.time;
    for (; granted; granted--) {
        log->times[log->next] = view.time;
        log->next = log->next + 1 < log->capacity ? log->next + 1 : 0;
        log->count++;
    }
}

/* Never over-admits: the entries removed are of taken_at or before, and the units given back were
 * entered at taken_at or, when late, after it. So for any time x the log loses no more entries
 * newer than x than the true history does, and the log never has fewer live entries than that
 * history, now or later. That stays true when the entry removed is another's of the same time or an
 * older one, and when that other later gives back in turn. */
static void give(const struct limit *limit, struct limit_state *state, uint64_t now,
                 uint64_t taken_at, uint64_t units)
{
    struct limit_log *log = state->log;
    if (!usable(limit, log))
        return;
    struct view view = view_at(limit, log, now);
    uint32_t end = until(log, taken_at);
    if (taken_at > view.time || end <= view.expired)
        return;
    uint32_t removed = (uint32_t)limit__min(units, end - view.expired);
    for (uint32_t i = end; i < log->count; i++)
        *entry(log, i - removed) = time_of(log, i);
    log->count -= removed;
    log->next = (uint32_t)(((uint64_t)log->next + log->capacity - removed) % log->capacity);
}

static const char *check(const struct limit *limit)
{
    if (limit->units > LIMIT_LOG_UNITS_MAX)
        return "a limit of at most 10000 units for a sliding-log, which keeps the time of each";
    return NULL;
}

const struct limit__algorithm limit__sliding_log = {
    .name = "sliding-log",
    .check = check,
    .peek = peek,
    .charge = charge,
    .give = give,
};

size_t limit_log_size(const struct limit *limit)
{
    if (limit->algorithm != LIMIT_SLIDING_LOG || limit->units == 0)
        return 0;
    return sizeof(struct limit_log) + (size_t)limit->units * sizeof(uint64_t);
}

void limit_log_copy(struct limit_log *to, const struct limit_log *from)
{
    uint32_t count = from->count < to->capacity ? from->count : to->capacity;
    for (uint32_t i = 0; i < count; i++)
        to->times[i] = time_of(from, from->count - count + i);
    to->count = count;
    to->next = count < to->capacity ? count : 0;
    to->latest = from->latest;
}
