#include <stdlib.h>

#include "measure.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t measure_bound(const struct limit *limit)
{
    switch (limit->algorithm) {
    case LIMIT_FIXED_WINDOW:
        return 2 * limit->units;
    case LIMIT_SLIDING_WINDOW:
        return limit->units + limit->units * (limit->window - 2) / limit->window;
    case LIMIT_TOKEN_BUCKET:
        /* The first and the last of a trailing window are less than a window apart. */
        return limit->burst + limit->units * (limit->window - 1) / limit->window;
    default:
        return limit->units;
    }
}

/* ---- the promises, each over the times at which one key was admitted a unit ---------------- */

static uint64_t fixed_window_excess(const struct limit *limit, const uint64_t *times, size_t count)
{
    uint64_t most = 0;
    uint64_t current = 0;
    for (size_t i = 0; i < count; i++) {
        bool same = i && times[i] / limit->window == times[i - 1] / limit->window;
        current = same ? current + 1 : 1;
        most = larger(most, current);
    }
    return most > limit->units ? most - limit->units : 0;
}

/* The estimate at each unit admitted, that one included, in units x window. */
static uint64_t sliding_window_excess(const struct limit *limit, const uint64_t *times,
                                      size_t count)
{
    uint64_t window = limit->window;
    uint64_t most = 0;
    uint64_t current = 0;
    uint64_t previous = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t moved = i ? times[i] / window - times[i - 1] / window : 0;
        if (moved) {
            previous = moved == 1 ? current : 0;
            current = 0;
        }
        current++;
        most = larger(most, previous * (window - times[i] % window) + current * window);
    }
    uint64_t allowed = limit->units * window;
    return most > allowed ? (most - allowed + window - 1) / window : 0;
}

/* Units i..j are j - i + 1 in a span of times[j] - times[i]. Over all pairs at once: the largest of
 * (j + 1) * window - times[j] * units less the smallest of i * window - times[i] * units. */
static uint64_t token_bucket_excess(const struct limit *limit, const uint64_t *times, size_t count)
{
    int64_t window = (int64_t)limit->window;
    int64_t most = 0;
    int64_t least_before = INT64_MAX;
    for (size_t i = 0; i < count; i++) {
        int64_t refilled = (int64_t)((times[i] - times[0]) * limit->units);
        int64_t before = (int64_t)i * window - refilled;
        least_before = before < least_before ? before : least_before;
        int64_t over = before + window - least_before - (int64_t)limit->burst * window;
        most = over > most ? over : most;
    }
    return (uint64_t)((most + window - 1) / window);
}

static uint64_t own_excess(const struct limit *limit, const uint64_t *times, size_t count)
{
    switch (limit->algorithm) {
    case LIMIT_FIXED_WINDOW:
        return fixed_window_excess(limit, times, count);
    case LIMIT_SLIDING_WINDOW:
        return sliding_window_excess(limit, times, count);
    case LIMIT_TOKEN_BUCKET:
        return token_bucket_excess(limit, times, count);
    default:
        return 0; /* the trailing window is all that it promises */
    }
}

/* ---- the log ------------------------------------------------------------------------------- */

/* Decisions of one key, in order; `times` has room for as many. */
static void measure_key(const struct limit *limit, const struct decision *decisions, size_t count,
                        uint64_t *times, struct measure *m)
{
    size_t admitted = 0;
    size_t oldest = 0; /* of those in the trailing window */
    for (size_t i = 0; i < count; i++) {
        const struct decision *d = &decisions[i];
        while (oldest < admitted && d->time - times[oldest] >= limit->window)
            oldest++;
        bool fits = admitted - oldest < limit->units;
        m->wrong_allows += d->allowed && !fits;
        m->wrong_denies += !d->allowed && fits;
        if (d->allowed)
            times[admitted++] = d->time;
        m->peak = larger(m->peak, admitted - oldest);
    }
    m->allowed += admitted;
    m->excess = larger(m->excess, own_excess(limit, times, admitted));
}

static int by_key(const void *left, const void *right)
{
    const struct decision *a = left;
    const struct decision *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

struct measure measure(const struct limit *limit, struct decision *decisions, size_t count)
{
    struct measure m = {.decisions = count};
    uint64_t *times = calloc(count, sizeof(*times));
    if (!times)
        abort();
    qsort(decisions, count, sizeof(*decisions), by_key);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i; end < count && decisions[end].key == decisions[i].key;)
            end++;
        measure_key(limit, &decisions[i], end - i, times, &m);
    }
    free(times);
    uint64_t bound = measure_bound(limit);
    m.excess = larger(m.excess, m.peak > bound ? m.peak - bound : 0);
    return m;
}
