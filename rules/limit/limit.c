#include "rules/limit/algorithm.h"

static const struct limit__algorithm *const algorithms[LIMIT_ALGORITHMS] = {
    [LIMIT_FIXED_WINDOW] = &limit__fixed_window,
    [LIMIT_SLIDING_WINDOW] = &limit__sliding_window,
    [LIMIT_TOKEN_BUCKET] = &limit__token_bucket,
    [LIMIT_SLIDING_LOG] = &limit__sliding_log,
};

const char *limit_algorithm_name(enum limit_algorithm algorithm)
{
    return algorithm < LIMIT_ALGORITHMS ? algorithms[algorithm]->name : "unknown";
}

enum limit_algorithm limit_algorithm_parse(struct slice word)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++)
        if (slice_equal(word, slice_of_string(algorithms[i]->name)))
            return (enum limit_algorithm)i;
    return LIMIT_ALGORITHMS;
}

const char *limit_check(const struct limit *limit)
{
    if (limit->algorithm >= LIMIT_ALGORITHMS)
        return "one of the algorithms";
    if (limit->units > LIMIT_UNITS_MAX)
        return "a limit of at most 1000000000 units";
    if (limit->window < LIMIT_WINDOW_MIN || limit->window > LIMIT_WINDOW_MAX)
        return "a window from 1ms to 366d";
    const struct limit__algorithm *algorithm = algorithms[limit->algorithm];
    return algorithm->check ? algorithm->check(limit) : NULL;
}

uint64_t limit_capacity(const struct limit *limit)
{
    const struct limit__algorithm *algorithm = algorithms[limit->algorithm];
    if (limit->units == 0 || !algorithm->capacity)
        return limit->units;
    return algorithm->capacity(limit);
}

struct limit_result limit_peek(const struct limit *limit, const struct limit_state *state,
                               uint64_t now, uint64_t wanted)
{
    if (limit->units == 0)
        return (struct limit_result){.retry_after = LIMIT_NEVER};
    return algorithms[limit->algorithm]->peek(limit, state, now, wanted);
}

struct limit_result limit_take(const struct limit *limit, struct limit_state *state, uint64_t now,
                               uint64_t wanted)
{
    struct limit_result result = limit_peek(limit, state, now, wanted);
    if (result.granted)
        algorithms[limit->algorithm]->charge(limit, state, now, result.granted);
    return result;
}

void limit_give(const struct limit *limit, struct limit_state *state, uint64_t now,
                uint64_t taken_at, uint64_t units)
{
    if (limit->units && units)
        algorithms[limit->algorithm]->give(limit, state, now, taken_at, units);
}
