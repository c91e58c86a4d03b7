#include <stdio.h>

#include "agent/engine/fallback.h"
#include "bench.h"
#include "main.h"

static const char rules_text[] = "listen: tcp://127.0.0.1:0\n"
                                 "answer: [ retry_after, source, remaining ]\n"
                                 "defaults: { algorithm: fixed-window, on_store_error: local }\n"
                                 "rules:\n"
                                 "  - name: login\n"
                                 "    match: { path: { prefix: /login } }\n"
                                 "    key: src\n"
                                 "    limits: { limit: 2, window: 1h }\n"
                                 "  - name: client\n"
                                 "    key: src\n"
                                 "    limits: { limit: 30, window: 1h }\n";

/* ---- what is the local store's ------------------------------------------------------------- */

START_TEST(the_limit_is_divided_by_the_agents)
{
    struct bench *bench = bench_shared(rules_text, 10, 4);
    bench->store.broken = STORE_UNAVAILABLE;
    for (int left = 6; left >= 0; left--) { /* 30 / 4 = 7 */
        char answer[64];
        snprintf(answer, sizeof(answer), "allow=true deny=false source=fallback remaining=%d",
                 left);
        expect(bench, "/x", 1, answer);
    }
    expect(bench, "/x", 1, "allow=false deny=true retry_after=3200 source=fallback remaining=0");
    expect(bench, "/x", 2, "allow=true deny=false source=fallback remaining=6");
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->fallback_units), 8);
    bench_close(bench);
}
END_TEST

START_TEST(an_agent_has_at_least_one_unit)
{
    struct bench *bench = bench_shared(rules_text, 10, 100);
    bench->store.broken = STORE_LATE;
    expect(bench, "/x", 1, "allow=true deny=false source=fallback remaining=0");
    expect(bench, "/x", 1, "allow=false deny=true retry_after=3200 source=fallback remaining=0");
    bench_close(bench);
}
END_TEST

/* 15 of 30 are in use: of its 7 this agent has 3 left, for its part of 15 is rounded up. */
START_TEST(it_goes_on_from_what_was_known)
{
    struct bench *bench = bench_shared(rules_text, 10, 4);
    bench->store.broken = STORE_UNAVAILABLE;
    bench->store.known = 15;
    for (int left = 2; left >= 0; left--) {
        char answer[64];
        snprintf(answer, sizeof(answer), "allow=true deny=false source=fallback remaining=%d",
                 left);
        expect(bench, "/x", 1, answer);
    }
    expect(bench, "/x", 1, "allow=false deny=true retry_after=3200 source=fallback remaining=0");
    bench->store.known = 0; /* what it has let through itself isn't forgotten */
    expect(bench, "/x", 1, "allow=false deny=true retry_after=3200 source=fallback remaining=0");
    bench_close(bench);
}
END_TEST

START_TEST(what_one_local_limit_refuses_is_charged_to_none)
{
    struct bench *bench = bench_shared(rules_text, 10, 2);
    bench->store.broken = STORE_UNAVAILABLE;
    expect(bench, "/login", 1, "allow=true deny=false source=fallback remaining=0");
    for (int i = 0; i < 20; i++)
        expect(bench, "/login", 1,
               "allow=false deny=true retry_after=3200 source=fallback remaining=0");
    expect(bench, "/x", 1, "allow=true deny=false source=fallback remaining=13");
    bench_close(bench);
}
END_TEST

START_TEST(every_share_is_a_limit)
{
    static const unsigned sharers[] = {1, 2, 3, 7, 100, 100000, UINT32_MAX};
    static const uint64_t numbers[] = {1, 2, 5, 999, LIMIT_LOG_UNITS_MAX, LIMIT_UNITS_MAX};
    static const uint64_t windows[] = {LIMIT_WINDOW_MIN, 60 * SECOND, LIMIT_WINDOW_MAX};
    size_t checked = 0;
    for (int algorithm = 0; algorithm < LIMIT_ALGORITHMS; algorithm++)
        for (size_t u = 0; u < 6; u++)
            for (size_t b = 0; b < 6; b++)
                for (size_t w = 0; w < 3; w++)
                    for (size_t s = 0; s < 7; s++) {
                        struct limit limit = {(enum limit_algorithm)algorithm, numbers[u],
                                              windows[w], numbers[b]};
                        if (limit_check(&limit))
                            continue;
                        struct limit share = fallback_share(&limit, sharers[s]);
                        ck_assert_ptr_null(limit_check(&share));
                        ck_assert_uint_ge(share.units, 1);
                        ck_assert_uint_le(share.units, limit.units);
                        ck_assert(limit_capacity(&share) == 1 ||
                                  limit_capacity(&share) <= limit_capacity(&limit) / sharers[s] ||
                                  share.burst == share.units);
                        checked++;
                    }
    ck_assert_uint_gt(checked, 500);
}
END_TEST

/* ---- what Redis may charge yet ------------------------------------------------------------- */

START_TEST(a_late_take_that_is_let_through_stays_charged)
{
    struct bench *bench = bench_shared(rules_text, 10, 1);
    bench->store.broken = STORE_LATE;
    expect(bench, "/x", 1, "allow=true deny=false source=fallback remaining=29");
    ck_assert_uint_eq(bench->store.withdrawn, 0);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->store_late), 1);
    bench_close(bench);
}
END_TEST

START_TEST(late_takes_of_a_refused_request_are_withdrawn)
{
    struct bench *bench = bench_shared(rules_text, 10, 1);
    bench->store.broken = STORE_LATE;
    for (int i = 0; i < 2; i++)
        request(bench, "/login", 1, 1), next_answer(bench, 1);
    expect(bench, "/login", 1,
           "allow=false deny=true retry_after=3200 source=fallback remaining=0");
    ck_assert_uint_eq(bench->store.withdrawn, 2);
    bench_close(bench);
}
END_TEST

/* ---- what needs not be asked --------------------------------------------------------------- */

START_TEST(where_one_limit_is_known_to_refuse_none_is_asked)
{
    struct bench *bench = bench_shared(rules_text, 10, 1);
    bench->store.refused_units = 2;
    bench->store.defer = true; /* whoever is asked would wait */
    expect(bench, "/login", 1,
           "allow=false deny=true retry_after=7 source=denied-cache remaining=0");
    bench->store.refused_units = 0;
    bench->store.defer = false;
    expect(bench, "/x", 1, "allow=true deny=false source=memory remaining=29");
    bench_close(bench);
}
END_TEST

START_TEST(a_rule_may_charge_what_is_refused)
{
    static const char text[] =
        "listen: tcp://127.0.0.1:0\n"
        "answer: [ remaining ]\n"
        "defaults: { algorithm: fixed-window }\n"
        "rules:\n"
        "  - { name: a, match: { path: /a }, key: src, limits: { limit: 1, window: 1h } }\n"
        "  - { name: b, key: src, limits: { limit: 30, window: 1h }, charge_denied: true }\n";
    struct bench *bench = bench_with(text, 10);
    expect(bench, "/a", 1, "allow=true deny=false remaining=0");
    for (int i = 0; i < 4; i++)
        expect(bench, "/a", 1, "allow=false deny=true remaining=0");
    expect(bench, "/x", 1, "allow=true deny=false remaining=24");
    bench->store.refused_units = 1; /* also where the refusal is known beforehand */
    request(bench, "/a", 1, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "deny=true"));
    bench->store.refused_units = 0;
    expect(bench, "/x", 1, "allow=true deny=false remaining=22");
    bench_close(bench);
}
END_TEST

START_TEST(a_store_that_others_read_is_told_the_key)
{
    struct bench *bench = bench_shared(rules_text, 10, 1);
    request(bench, "/x", 7, 1);
    next_answer(bench, 1);
    ck_assert_str_eq(bench->store.last_key, "{192.0.2.7}:client:fixed-window-1h");
    bench_close(bench);
}
END_TEST

UNIT_MAIN("fallback", the_limit_is_divided_by_the_agents, an_agent_has_at_least_one_unit,
          it_goes_on_from_what_was_known, what_one_local_limit_refuses_is_charged_to_none,
          every_share_is_a_limit, a_late_take_that_is_let_through_stays_charged,
          late_takes_of_a_refused_request_are_withdrawn,
          where_one_limit_is_known_to_refuse_none_is_asked, a_rule_may_charge_what_is_refused,
          a_store_that_others_read_is_told_the_key)
