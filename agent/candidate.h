/* A worker's candidate: its engine and stores, and the comparison with the rules in force
 * (engine/comparison.h). It is there only while the rules have a candidate. One thread's, the
 * worker's, but for the counters.
 *
 * The stores are the candidate's own: whatever a rewrite does to them (too many keys, commands that
 * Redis refuses it), the rules in force must not feel it.
 */
#pragma once

#include "agent/engine/comparison.h"
#include "agent/engine/engine.h"
#include "agent/store/redis.h"
#include "agent/store/store.h"

struct candidate_options {
    struct engine_options engine;     /* the worker's engine's, but for stores and rules */
    struct store_redis_options redis; /* the worker's; watch NULL: counters aren't shared */
    /* Outlive the candidate. The memory store is there before rules with a candidate are. */
    struct store *const *memory;
    struct comparison_rules *rules;
};

struct candidate {
    struct candidate_options options;
    struct comparison *comparison; /* NULL: there is no candidate */
    struct store *redis;           /* NULL: counters aren't shared, or there is no candidate */
    struct comparison_counters counters;
};

/* From now on these rules are compared with those of the active engine; NULL: none are, and what
 * was under way is dropped. Where memory is short for them, which is logged, none are either. */
void candidate_use(struct candidate *candidate, struct engine *active, struct ruleset *rules);

/* The topology may have changed. */
void candidate_follow(struct candidate *candidate);
