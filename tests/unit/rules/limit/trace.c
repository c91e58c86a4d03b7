#include "trace.h"

static uint64_t random_between(struct random *random, uint64_t least, uint64_t most)
{
    return least + random_below(random, most - least + 1);
}

struct limit trace_limit(struct random *random, enum limit_algorithm algorithm)
{
    struct limit limit = {
        .algorithm = algorithm,
        .units = random_between(random, 1, 12),
        .window = random_between(random, LIMIT_WINDOW_MIN, 4 * LIMIT_WINDOW_MIN),
        .burst = random_between(random, 1, 15),
    };
    switch (random_below(random, 8)) {
    case 0:
        limit.window = LIMIT_WINDOW_MIN;
        break;
    case 1:
        limit.units = limit.burst = random_between(random, 1, 2);
        break;
    case 2:
        limit.window = LIMIT_WINDOW_MAX;
        limit.units = algorithm == LIMIT_SLIDING_LOG ? 50 : LIMIT_UNITS_MAX;
        limit.burst = LIMIT_UNITS_MAX;
        break;
    case 3:
        limit.units = 0;
        break;
    default:
        break;
    }
    return limit;
}

uint64_t trace_start(struct random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return 0;
    case 1:
        return random_below(random, 10 * LIMIT_WINDOW_MIN);
    case 2:
        return (UINT64_C(1) << 62) - 4096 * LIMIT_WINDOW_MAX;
    default:
        return UINT64_C(1700000000000000) + random_below(random, UINT64_C(1000000000000));
    }
}

uint64_t trace_gap(struct random *random, const struct limit *limit, uint64_t now,
                   const struct limit_result *last)
{
    uint64_t to_edge = limit->window - now % limit->window;
    switch (random_below(random, 10)) {
    case 0:
    case 1:
    case 2:
        return 0;
    case 3:
        return to_edge - random_below(random, 2);
    case 4:
        return last->retry_after == LIMIT_NEVER ? 1 : last->retry_after;
    case 5:
        return last->reset_after - (last->reset_after ? random_below(random, 2) : 0);
    case 6:
        return random_below(random, 3 * limit->window);
    default:
        return random_below(random, limit->window / (limit->units + 1) + 2);
    }
}

uint64_t trace_wanted(struct random *random, const struct limit *limit)
{
    uint64_t capacity = limit_capacity(limit);
    switch (random_below(random, 6)) {
    case 0:
        return random_between(random, 1, capacity + 1);
    case 1:
        return capacity + random_below(random, 2) + (capacity == 0);
    case 2:
        return capacity / 2 + 1;
    default:
        return 1;
    }
}
