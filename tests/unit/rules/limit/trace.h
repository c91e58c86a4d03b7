/* Random limits and random, boundary-seeking traces of takes. */
#pragma once

#include "random.h"
#include "rules/limit/limit.h"

/* In range; small for the most part, so that boundaries are met often, and now and then as large as
 * can be. */
struct limit trace_limit(struct random *random, enum limit_algorithm algorithm);

/* Somewhere to start: at the epoch, near it, today, and near the end of time. */
uint64_t trace_start(struct random *random);

/* How long to the next take: often none, to the edge of a window, or what the last answer said. */
uint64_t trace_gap(struct random *random, const struct limit *limit, uint64_t now,
                   const struct limit_result *last);

/* How many units to want: 1 for the most part, up to one more than can ever be had. */
uint64_t trace_wanted(struct random *random, const struct limit *limit);
