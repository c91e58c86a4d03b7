#include <stdio.h>

#include "agent/engine/rule_counters.h"
#include "bench.h"
#include "main.h"

#define HEAD                                                                                       \
    "listen: tcp://127.0.0.1:0\n"                                                                  \
    "defaults: { algorithm: fixed-window }\n"                                                      \
    "rules:\n"
#define PROBES  "  - { name: probes, match: { path: /health }, action: allow }\n"
#define BLOCKED "  - { name: blocked, match: { path: /blocked }, action: deny }\n"
#define TRIAL   "  - { name: trial, key: src, limits: { limit: 1, window: 1h }, mode: shadow }\n"
#define CLIENT                                                                                     \
    "  - { name: client, key: src, limits: [ { limit: 3, window: 1h }, { limit: 9, window: 1d } "  \
    "] }\n"

/* "allowed refused shadow" of a rule; "none" where no rule has the name. */
static const char *counts(struct engine *engine, const char *name)
{
    static char text[128];
    struct rule_counters *counters = engine_rule_counters(engine);
    const struct rules_set *set = counters->rules->set;
    snprintf(text, sizeof(text), "none");
    for (size_t i = 0; i < set->rule_count; i++)
        if (slice_equal(set->rules[i].name, slice_of_string(name)))
            snprintf(text, sizeof(text), "%d %d %d",
                     (int)counter_read(&counters->counts[i].by[RULE_OUTCOME_ALLOWED]),
                     (int)counter_read(&counters->counts[i].by[RULE_OUTCOME_REFUSED]),
                     (int)counter_read(&counters->counts[i].by[RULE_OUTCOME_SHADOW]));
    rule_counters_release(counters);
    return text;
}

static void ask(struct bench *bench, const char *path, int times)
{
    for (int i = 0; i < times; i++) {
        ck_assert_int_eq(request(bench, path, 1, 1), ENGINE_ANSWERED);
        next_answer(bench, 1);
    }
}

START_TEST(each_rule_counts_what_it_says_of_a_decision_once)
{
    struct bench *bench = bench_with(HEAD PROBES BLOCKED TRIAL CLIENT, 10);
    ask(bench, "/x", 5);
    ask(bench, "/health", 2);
    ask(bench, "/blocked", 1);
    ck_assert_str_eq(counts(bench->engine, "client"), "3 2 0");
    /* The last two were refused by another rule; it would have been, too. */
    ck_assert_str_eq(counts(bench->engine, "trial"), "1 0 4");
    ck_assert_str_eq(counts(bench->engine, "probes"), "2 0 0");
    ck_assert_str_eq(counts(bench->engine, "blocked"), "0 1 0");
    bench_close(bench);
}
END_TEST

static void use(struct bench *bench, const char *text)
{
    struct ruleset *rules = load(text);
    ck_assert(engine_use(bench->engine, rules));
    ruleset_release(rules);
}

START_TEST(counts_go_on_under_their_names)
{
    struct bench *bench = bench_with(HEAD PROBES TRIAL CLIENT, 10);
    ask(bench, "/x", 5);
    use(bench, HEAD CLIENT BLOCKED PROBES);
    ck_assert_str_eq(counts(bench->engine, "client"), "3 2 0");
    ck_assert_str_eq(counts(bench->engine, "blocked"), "0 0 0");
    ck_assert_str_eq(counts(bench->engine, "trial"), "none");
    ask(bench, "/x", 1);
    ck_assert_str_eq(counts(bench->engine, "client"), "3 3 0");
    use(bench, HEAD "  []\n");
    use(bench, HEAD PROBES TRIAL CLIENT);
    ck_assert_str_eq(counts(bench->engine, "client"), "0 0 0");
    bench_close(bench);
}
END_TEST

/* Whoever holds them may read them while the engine goes on with others. */
START_TEST(what_is_held_stays)
{
    struct bench *bench = bench_with(HEAD CLIENT, 10);
    ask(bench, "/x", 1);
    struct rule_counters *held = engine_rule_counters(bench->engine);
    use(bench, HEAD TRIAL);
    bench_close(bench);
    ck_assert_uint_eq(counter_read(&held->counts[0].by[RULE_OUTCOME_ALLOWED]), 1);
    ck_assert(slice_equal(held->rules->set->rules[0].name, SLICE("client")));
    rule_counters_release(held);
}
END_TEST

/* A decision that was begun under other rules isn't counted under these, whose numbers differ. */
START_TEST(a_decision_that_outlives_its_rules_is_not_counted)
{
    struct bench *bench = bench_with(HEAD PROBES TRIAL CLIENT, 10);
    bench->store.defer = true;
    ck_assert_int_eq(request(bench, "/x", 1, 1), ENGINE_PENDING);
    use(bench, HEAD CLIENT);
    while (bench->store.count)
        scripted_answer(&bench->store, 0, NOW);
    next_answer(bench, 1);
    ck_assert_str_eq(counts(bench->engine, "client"), "0 0 0");
    bench_close(bench);
}
END_TEST

START_TEST(thousands_of_rules_are_found_by_name)
{
    enum {
        COUNT = 3000
    };
    static char text[2][COUNT * 80 + 200];
    for (int order = 0; order < 2; order++) {
        size_t at = (size_t)sprintf(text[order], HEAD);
        for (int i = 0; i < COUNT; i++) {
            int number = order ? COUNT - 1 - i : i;
            at += (size_t)sprintf(text[order] + at,
                                  "  - { name: r%d, match: { path: /%d }, action: allow }\n",
                                  number, number);
        }
    }
    struct bench *bench = bench_with(text[0], 10);
    char name[32];
    char expected[32];
    for (int i = 0; i < COUNT; i += 100) {
        snprintf(name, sizeof(name), "/%d", i);
        ask(bench, name, i / 100);
    }
    use(bench, text[1]);
    for (int i = 0; i < COUNT; i += 100) {
        snprintf(name, sizeof(name), "r%d", i);
        snprintf(expected, sizeof(expected), "%d 0 0", i / 100);
        ck_assert_str_eq(counts(bench->engine, name), expected);
    }
    bench_close(bench);
}
END_TEST

UNIT_MAIN("rule_counters", each_rule_counts_what_it_says_of_a_decision_once,
          counts_go_on_under_their_names, what_is_held_stays,
          a_decision_that_outlives_its_rules_is_not_counted, thousands_of_rules_are_found_by_name)
