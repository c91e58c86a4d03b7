#include <stdio.h>

#include "main.h"
#include "twin.h"

#define HEAD                                                                                       \
    "listen: tcp://127.0.0.1:0\n"                                                                  \
    "answer: [ rule, remaining ]\n"                                                                \
    "defaults: { algorithm: fixed-window }\n"                                                      \
    "rules:\n"

/* One limit of each address: so many in an hour. */
#define RULES(name, limit)                                                                         \
    HEAD "  - { name: " name ", key: src, limits: { limit: " limit ", window: 1h } }\n"

/* Answers those in force that wait; what is said isn't looked at. */
static void answer_all(struct twin *twin)
{
    struct bench *bench = twin->bench;
    while (bench->store.count)
        scripted_answer(&bench->store, 0, NOW);
    bench->writer = writer_open(bench->output, sizeof(bench->output));
}

/* A request by 192.0.2.N that is answered at once. */
static const char *ask(struct twin *twin, uint8_t client)
{
    ck_assert_int_eq(request(twin->bench, "/x", client, 1), ENGINE_ANSWERED);
    return next_answer(twin->bench, 1);
}

static bool allows(const char *answer)
{
    return strstr(answer, "allow=true") != NULL;
}

/* ---- both answer at once ------------------------------------------------------------------- */

START_TEST(what_the_candidate_refuses_is_counted_and_passes)
{
    struct twin *twin = twin_open(RULES("old", "3"), RULES("new", "1"), 10);
    for (int i = 2; i >= 0; i--) {
        char answer[100];
        snprintf(answer, sizeof(answer), "allow=true deny=false rule=old remaining=%d", i);
        ck_assert_str_eq(ask(twin, 1), answer);
    }
    expect_counts(twin, 1, 2, 0, 0);
    ck_assert_str_eq(ask(twin, 1), "allow=false deny=true rule=old remaining=0");
    expect_counts(twin, 1, 2, 0, 1);
    ck_assert_uint_eq(differences_by(twin, COMPARISON_CANDIDATE, "new"), 2);
    ck_assert_uint_eq(differences_by(twin, COMPARISON_ACTIVE, "old"), 0);
    expect_skipped(twin, 0, 0, 0);
    twin_close(twin);
}
END_TEST

START_TEST(what_the_candidate_would_allow_is_refused_all_the_same)
{
    struct twin *twin = twin_open(RULES("old", "1"), RULES("new", "3"), 10);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(allows(ask(twin, 1)), i == 0);
    expect_counts(twin, 1, 0, 2, 2);
    ck_assert_uint_eq(differences_by(twin, COMPARISON_ACTIVE, "old"), 2);
    ck_assert_uint_eq(differences_by(twin, COMPARISON_CANDIDATE, "new"), 0);
    twin_close(twin);
}
END_TEST

/* The engine's own counters, and its store, are as without a candidate. */
START_TEST(the_rules_in_force_count_nothing_of_it)
{
    struct twin *twin = twin_open(RULES("old", "3"), RULES("old", "1"), 10);
    const struct engine_counters *counters = engine_counters(twin->bench->engine);
    for (int i = 0; i < 5; i++)
        ask(twin, 1);
    ck_assert_uint_eq(counter_read(&counters->allowed), 3);
    ck_assert_uint_eq(counter_read(&counters->refused), 2);
    ck_assert_uint_eq(counter_read(&counters->pending), 0);
    expect_counts(twin, 1, 2, 0, 2);
    ck_assert_uint_eq(twin->bench->answered, 0);
    twin_close(twin);
}
END_TEST

START_TEST(rules_without_a_limit_are_compared_too)
{
    struct twin *twin =
        twin_open(HEAD "  - { name: open, action: allow }\n",
                  HEAD "  - { name: closed, match: { path: /closed }, action: deny }\n", 10);
    expect(twin->bench, "/x", 1, "allow=true deny=false rule=open");
    expect(twin->bench, "/closed", 1, "allow=true deny=false rule=open");
    expect_counts(twin, 1, 1, 0, 0);
    ck_assert_uint_eq(differences_by(twin, COMPARISON_CANDIDATE, "closed"), 1);
    twin_close(twin);
}
END_TEST

/* A rule in shadow refuses nothing, in a candidate either. */
START_TEST(a_shadow_is_no_refusal)
{
    struct twin *twin = twin_open(
        RULES("old", "9"),
        HEAD "  - { name: new, key: src, limits: { limit: 1, window: 1h }, mode: shadow }\n", 10);
    for (int i = 0; i < 5; i++)
        ck_assert_str_ne(ask(twin, 1), "");
    expect_counts(twin, 5, 0, 0, 0);
    twin_close(twin);
}
END_TEST

START_TEST(a_malformed_notify_costs_neither_anything)
{
    struct twin *twin = twin_open(RULES("old", "3"), RULES("new", "1"), 10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "sluice-request", "/x", 1);
    struct slice whole = writer_slice(&w);
    for (size_t size = 1; size < whole.size; size++)
        ck_assert_int_eq(notify(twin->bench, slice_of(whole.data, size), 1), ENGINE_MALFORMED);
    expect_counts(twin, 0, 0, 0, 0);
    expect_skipped(twin, 0, 0, 0);
    ck_assert_str_eq(twin->store.last_key, "");
    /* Its one unit is still there. */
    ask(twin, 1);
    expect_counts(twin, 1, 0, 0, 0);
    twin_close(twin);
}
END_TEST

/* ---- one or both wait ---------------------------------------------------------------------- */

START_TEST(a_candidate_that_waits_keeps_nobody_waiting)
{
    struct twin *twin = twin_open(RULES("old", "9"), RULES("new", "1"), 10);
    twin->store.defer = true;
    ck_assert(allows(ask(twin, 1)));
    ck_assert(allows(ask(twin, 1)));
    expect_counts(twin, 0, 0, 0, 0);
    ck_assert_uint_eq(comparison_pending(twin->comparison), 2);
    scripted_answer(&twin->store, 0, NOW);
    expect_counts(twin, 1, 0, 0, 0);
    scripted_answer(&twin->store, 0, NOW);
    expect_counts(twin, 1, 1, 0, 0);
    ck_assert_uint_eq(differences_by(twin, COMPARISON_CANDIDATE, "new"), 1);
    ck_assert_uint_eq(twin->bench->answered, 0);
    twin_close(twin);
}
END_TEST

START_TEST(a_candidate_that_answers_first_waits_for_the_other)
{
    struct twin *twin = twin_open(RULES("old", "1"), RULES("new", "9"), 10);
    twin->bench->store.defer = true;
    for (uint64_t i = 0; i < 2; i++)
        ck_assert_int_eq(request(twin->bench, "/x", 1, i), ENGINE_PENDING);
    expect_counts(twin, 0, 0, 0, 0);
    scripted_answer(&twin->bench->store, 0, NOW);
    expect_counts(twin, 1, 0, 0, 0);
    scripted_answer(&twin->bench->store, 0, NOW);
    expect_counts(twin, 1, 0, 1, 0);
    ck_assert_uint_eq(differences_by(twin, COMPARISON_ACTIVE, "old"), 1);
    ck_assert_uint_eq(twin->bench->answered, 2);
    twin_close(twin);
}
END_TEST

/* Each answer meets its own, in whatever order they come. */
START_TEST(answers_are_paired_in_any_order)
{
    static const char rules[] = HEAD
        "  - { name: none, match: { path: /no }, key: src, limits: { limit: 0, window: 1h } }\n"
        "  - { name: some, key: src, limits: { limit: 1000, window: 1h } }\n";
    struct twin *twin = twin_open(rules, rules, 100);
    const char *const paths[] = {"/x", "/no", "/no", "/x", "/x", "/no"};
    twin->bench->store.defer = twin->store.defer = true;
    for (uint64_t i = 0; i < 6; i++)
        ck_assert_int_eq(request(twin->bench, paths[i], 1, i), ENGINE_PENDING);
    for (size_t i = 0; twin->bench->store.count || twin->store.count; i++) {
        struct scripted_store *store = i * 7 % 3 == 0 ? &twin->store : &twin->bench->store;
        if (!store->count)
            store = store == &twin->store ? &twin->bench->store : &twin->store;
        scripted_answer(store, i * 5 % store->count, NOW);
    }
    expect_counts(twin, 3, 0, 0, 3);
    ck_assert_uint_eq(twin->bench->answered, 6);
    twin_close(twin);
}
END_TEST

START_TEST(too_many_that_wait_are_not_compared)
{
    struct twin *twin = twin_open(RULES("old", "99"), RULES("new", "99"), 3);
    twin->store.defer = true;
    for (int i = 0; i < 5; i++)
        ck_assert(allows(ask(twin, 1)));
    expect_skipped(twin, 2, 0, 0);
    ck_assert_uint_eq(twin->store.count, 3);
    scripted_answer(&twin->store, 0, NOW);
    ck_assert(allows(ask(twin, 1)));
    expect_skipped(twin, 2, 0, 0);
    while (twin->store.count)
        scripted_answer(&twin->store, 0, NOW);
    expect_counts(twin, 4, 0, 0, 0);
    twin_close(twin);
}
END_TEST

/* Those that wait for the rules in force are bounded likewise. */
START_TEST(too_many_that_wait_for_the_rules_in_force_are_not_compared)
{
    struct twin *twin = twin_open(RULES("old", "99"), RULES("new", "99"), 3);
    twin->bench->store.defer = true;
    for (uint64_t i = 0; i < 5; i++)
        ck_assert_int_eq(request(twin->bench, "/x", 1, i), ENGINE_PENDING);
    expect_skipped(twin, 2, 0, 0);
    answer_all(twin);
    expect_counts(twin, 3, 0, 0, 0);
    ck_assert_uint_eq(twin->bench->answered, 5);
    twin_close(twin);
}
END_TEST

START_TEST(a_store_that_fails_the_candidate_fails_nobody_else)
{
    struct twin *twin = twin_open(
        RULES("old", "99"),
        HEAD "  - { name: new, key: src, limits: { limit: 99, window: 1h }, on_store_error: deny "
             "}\n",
        3);
    static const enum store_status statuses[] = {STORE_FULL, STORE_UNAVAILABLE, STORE_LATE};
    for (size_t i = 0; i < 3; i++) {
        twin->store.broken = statuses[i];
        ck_assert(allows(ask(twin, 1)));
        ck_assert_uint_eq(counter_read(&twin->counters.fallbacks), i + 1);
    }
    expect_counts(twin, 0, 3, 0, 0);
    const struct engine_counters *counters = engine_counters(twin->bench->engine);
    ck_assert_uint_eq(counter_read(&counters->store_full), 0);
    ck_assert_uint_eq(counter_read(&counters->store_unavailable), 0);
    ck_assert_uint_eq(counter_read(&counters->store_late), 0);
    twin_close(twin);
}
END_TEST

/* ---- reloads ------------------------------------------------------------------------------- */

static void use(struct twin *twin, bool candidate, const char *text)
{
    struct ruleset *rules = load(text);
    if (candidate)
        ck_assert(comparison_use(twin->comparison, rules));
    else
        ck_assert(engine_use(twin->bench->engine, rules));
    ruleset_release(rules);
}

/* The names that are counted are those of rules that are gone by then. */
START_TEST(pairs_that_wait_end_by_the_rules_they_began_with)
{
    struct twin *twin = twin_open(RULES("old", "1"), RULES("new", "9"), 10);
    twin->bench->store.defer = twin->store.defer = true;
    for (uint64_t i = 0; i < 2; i++)
        ck_assert_int_eq(request(twin->bench, "/x", 1, i), ENGINE_PENDING);
    use(twin, true, RULES("newer", "9"));
    use(twin, false, RULES("older", "9"));
    answer_all(twin);
    while (twin->store.count)
        scripted_answer(&twin->store, 0, NOW);
    expect_counts(twin, 1, 0, 1, 0);
    ck_assert_uint_eq(differences_by(twin, COMPARISON_ACTIVE, "old"), 1);
    twin->bench->store.defer = twin->store.defer = false;
    for (int i = 0; i < 10; i++)
        ask(twin, 2);
    /* Both admit 9 now. */
    expect_counts(twin, 10, 0, 1, 1);
    twin_close(twin);
}
END_TEST

START_TEST(a_candidate_is_taken_away_while_pairs_wait)
{
    struct twin *twin = twin_open(RULES("old", "9"), RULES("new", "1"), 10);
    twin->store.defer = true;
    ask(twin, 1);
    ask(twin, 1); /* these two wait for the candidate */
    twin->store.defer = false;
    twin->bench->store.defer = true;
    for (uint64_t i = 0; i < 3; i++) /* and these for the rules in force */
        ck_assert_int_eq(request(twin->bench, "/x", 2, i), ENGINE_PENDING);
    twin_remove(twin);
    expect_skipped(twin, 0, 0, 5);
    answer_all(twin);
    ck_assert_uint_eq(twin->bench->answered, 3);
    expect_counts(twin, 0, 0, 0, 0);
    twin->bench->store.defer = false;
    ck_assert(allows(ask(twin, 1))); /* without one */
    twin_close(twin);
}
END_TEST

/* ---- whom it says -------------------------------------------------------------------------- */

/* The store is told whom the candidate counts, under names that are the candidate's. */
START_TEST(whom_the_candidate_counts_is_written)
{
    struct twin *twin = twin_open(RULES("old", "9"), RULES("new", "9"), 10);
    ask(twin, 7);
    ck_assert_str_eq(twin->store.last_key, "{192.0.2.7}:new:fixed-window-1h");
    ck_assert_str_eq(twin->bench->store.last_key, "{192.0.2.7}:old:fixed-window-1h");
    twin_close(twin);
}
END_TEST

START_TEST(rules_beyond_the_bound_are_counted_together)
{
    struct comparison_rules *rules = calloc(1, sizeof(*rules));
    comparison_rules_open(rules);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COMPARISON_RULES_MAX; i++) {
            char name[RULES_NAME_MAX + 1];
            snprintf(name, sizeof(name), "%064zu", i / 2);
            ck_assert_uint_eq(
                comparison_rules_index(rules, (enum comparison_side)(i % 2), slice_of_string(name)),
                i);
        }
    }
    ck_assert_uint_eq(comparison_rules_index(rules, COMPARISON_ACTIVE, SLICE("x")),
                      COMPARISON_RULES_MAX);
    ck_assert_uint_eq(comparison_rules_index(rules, COMPARISON_CANDIDATE, SLICE("x")),
                      COMPARISON_RULES_MAX + 1);
    ck_assert_uint_eq(atomic_load(&rules->count), COMPARISON_RULES_MAX);
    comparison_rules_close(rules);
    free(rules);
}
END_TEST

UNIT_MAIN("comparison", what_the_candidate_refuses_is_counted_and_passes,
          what_the_candidate_would_allow_is_refused_all_the_same,
          the_rules_in_force_count_nothing_of_it, rules_without_a_limit_are_compared_too,
          a_shadow_is_no_refusal, a_malformed_notify_costs_neither_anything,
          a_candidate_that_waits_keeps_nobody_waiting,
          a_candidate_that_answers_first_waits_for_the_other, answers_are_paired_in_any_order,
          too_many_that_wait_are_not_compared,
          too_many_that_wait_for_the_rules_in_force_are_not_compared,
          a_store_that_fails_the_candidate_fails_nobody_else,
          pairs_that_wait_end_by_the_rules_they_began_with,
          a_candidate_is_taken_away_while_pairs_wait, whom_the_candidate_counts_is_written,
          rules_beyond_the_bound_are_counted_together)
