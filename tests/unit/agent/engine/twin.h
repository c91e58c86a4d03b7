/* An engine and a candidate that is compared with it, each over a store that does as it is told. */
#pragma once

#include "agent/engine/comparison.h"
#include "bench.h"

struct twin {
    struct bench *bench;         /* the rules in force */
    struct scripted_store store; /* the candidate's */
    struct comparison_rules rules;
    struct comparison_counters counters;
    struct comparison *comparison; /* NULL: there is none any more */
};

static inline struct twin *twin_open(const char *active, const char *candidate, size_t max_pending)
{
    struct twin *twin = calloc(1, sizeof(*twin));
    struct ruleset *rules = load(candidate);
    twin->bench = bench_with(active, 100);
    scripted_open(&twin->store);
    comparison_rules_open(&twin->rules);
    twin->comparison = comparison_create(&(struct comparison_options){
        .engine = {.store = &twin->store.store, .max_pending = max_pending, .rules = rules},
        .counters = &twin->counters,
        .rules = &twin->rules,
    });
    ruleset_release(rules);
    engine_compare(twin->bench->engine, twin->comparison);
    return twin;
}

/* What becomes of it when the rules have no candidate any more. */
static inline void twin_remove(struct twin *twin)
{
    engine_compare(twin->bench->engine, NULL);
    comparison_end(twin->comparison);
    while (twin->store.count)
        scripted_answer(&twin->store, 0, NOW);
    comparison_free(twin->comparison);
    twin->comparison = NULL;
}

static inline void twin_close(struct twin *twin)
{
    if (twin->comparison)
        twin_remove(twin);
    bench_close(twin->bench);
    comparison_rules_close(&twin->rules);
    scripted_close(&twin->store);
    free(twin);
}

static inline uint64_t differences_by(struct twin *twin, enum comparison_side side,
                                      const char *rule)
{
    uint32_t count = atomic_load(&twin->rules.count);
    size_t index = comparison_rules_index(&twin->rules, side, slice_of_string(rule));
    return index < count ? counter_read(&twin->counters.differences[index]) : 0;
}

/* How often both allow, only the candidate refuses, only those in force do, and both do. */
static inline void expect_counts(struct twin *twin, uint64_t both_allow, uint64_t candidate_refuses,
                                 uint64_t active_refuses, uint64_t both_refuse)
{
    ck_assert_uint_eq(counter_read(&twin->counters.decisions[1][1]), both_allow);
    ck_assert_uint_eq(counter_read(&twin->counters.decisions[1][0]), candidate_refuses);
    ck_assert_uint_eq(counter_read(&twin->counters.decisions[0][1]), active_refuses);
    ck_assert_uint_eq(counter_read(&twin->counters.decisions[0][0]), both_refuse);
}

static inline void expect_skipped(struct twin *twin, uint64_t pending, uint64_t memory,
                                  uint64_t ended)
{
    ck_assert_uint_eq(counter_read(&twin->counters.skipped[COMPARISON_PENDING]), pending);
    ck_assert_uint_eq(counter_read(&twin->counters.skipped[COMPARISON_MEMORY]), memory);
    ck_assert_uint_eq(counter_read(&twin->counters.skipped[COMPARISON_ENDED]), ended);
}
