#include <stdio.h>

#include "bench.h"
#include "main.h"

#define HEAD                                                                                       \
    "listen: tcp://127.0.0.1:0\n"                                                                  \
    "answer: [ rule, retry_after, delay_ms, remaining, shadow ]\n"                                 \
    "defaults: { algorithm: fixed-window }\n"                                                      \
    "rules:\n"

/* ---- shadow -------------------------------------------------------------------------------- */

START_TEST(a_shadow_says_what_it_would_have_refused)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: trial, key: src, limits: { limit: 1, window: 1h }, mode: shadow }\n"
             "  - { name: real, key: src, limits: { limit: 3, window: 1h } }\n",
        10);
    expect(bench, "/x", 1, "allow=true deny=false rule=real remaining=2");
    expect(bench, "/x", 1, "allow=true deny=false rule=real remaining=1 shadow=trial");
    expect(bench, "/x", 1, "allow=true deny=false rule=real remaining=0 shadow=trial");
    expect(bench, "/x", 1,
           "allow=false deny=true retry_after=3200 rule=real remaining=0 shadow=trial");
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->shadow_refused), 3);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->refused), 1);
    bench_close(bench);
}
END_TEST

/* What a shadow grants a request that another rule refuses goes back; so does a part that is of no
 * use to one that passes. */
START_TEST(a_shadow_is_charged_what_it_grants_and_no_more)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: real, match: { path: /x }, key: src, limits: { limit: 1, window: 1h } }\n"
             "  - { name: trial, key: src, limits: { limit: 5, window: 1h }, cost: 2, mode: shadow "
             "}\n",
        10);
    expect(bench, "/x", 1, "allow=true deny=false rule=real remaining=0");
    for (int i = 0; i < 9; i++)
        expect(bench, "/x", 1, "allow=false deny=true retry_after=3200 rule=real remaining=0");
    expect(bench, "/y", 1, "allow=true deny=false"); /* 4 of 5 */
    for (int i = 0; i < 3; i++)
        expect(bench, "/y", 1, "allow=true deny=false shadow=trial");
    bench_close(bench);
}
END_TEST

/* ---- delay --------------------------------------------------------------------------------- */

/* 10 a second, 2 at once, and 300 ms more: 5 in all. */
START_TEST(what_is_above_the_rate_is_held_back_and_then_refused)
{
    struct bench *bench =
        bench_with(HEAD "  - { name: shape, key: src, mode: delay, max_delay: 300ms, limits: { "
                        "algorithm: token-bucket, limit: 10, window: 1s, burst: 2 } }\n",
                   10);
    expect(bench, "/x", 1, "allow=true deny=false rule=shape remaining=1");
    expect(bench, "/x", 1, "allow=true deny=false rule=shape remaining=0");
    expect(bench, "/x", 1, "allow=true deny=false delay_ms=100 rule=shape remaining=0");
    expect(bench, "/x", 1, "allow=true deny=false delay_ms=200 rule=shape remaining=0");
    expect(bench, "/x", 1, "allow=true deny=false delay_ms=300 rule=shape remaining=0");
    expect(bench, "/x", 1, "allow=false deny=true retry_after=1 rule=shape remaining=0");
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->delayed), 3);
    bench_close(bench);
}
END_TEST

/* ---- rules that decide alone --------------------------------------------------------------- */

START_TEST(a_rule_may_refuse_without_a_limit)
{
    struct bench *bench =
        bench_with(HEAD "  - { name: first, key: src, limits: { limit: 5, window: 1h } }\n"
                        "  - { name: closed, match: { path: /closed }, action: deny }\n",
                   10);
    expect(bench, "/closed", 1, "allow=false deny=true rule=closed");
    expect(bench, "/x", 1, "allow=true deny=false rule=first remaining=4"); /* it cost nothing */
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->refused), 1);
    bench_close(bench);
}
END_TEST

UNIT_MAIN("roles", a_shadow_says_what_it_would_have_refused,
          a_shadow_is_charged_what_it_grants_and_no_more,
          what_is_above_the_rate_is_held_back_and_then_refused, a_rule_may_refuse_without_a_limit)
