#include <stdio.h>

#include "bench.h"
#include "main.h"

static const char rules_text[] =
    "listen: tcp://127.0.0.1:0\n"
    "defaults: { algorithm: fixed-window }\n"
    "rules:\n"
    "  - name: probes\n"
    "    match: { path: /health }\n"
    "    action: allow\n"
    "  - name: login\n"
    "    match: { path: { prefix: /login } }\n"
    "    key: src\n"
    "    limits: { limit: 2, window: 1h }\n"
    "    on_store_error: deny\n"
    "  - name: client\n"
    "    match: { path: { prefix: / } }\n"
    "    key: src\n"
    "    limits: [ { limit: 5, window: 1h }, { limit: 9, window: 1d } ]\n"
    "    on_store_error: allow\n"
    "  - name: other\n"
    "    message: other\n"
    "    key: token\n"
    "    limits: { limit: 1, window: 1h }\n";

static struct bench *bench_open(size_t max_pending)
{
    return bench_with(rules_text, max_pending);
}

/* ---- answers ------------------------------------------------------------------------------- */

/* NOW is 6 min 40 s into an hour. */
START_TEST(the_strictest_limit_is_reported)
{
    struct bench *bench = bench_open(10);
    expect(bench, "/login", 1,
           "allow=true deny=false rule=login source=memory limit=2 remaining=1 reset=3200 "
           "ratelimit=\"login\";r=1;t=3200 ratelimit_policy=\"login\";q=2;w=3600");
    expect(bench, "/x", 1,
           "allow=true deny=false rule=client source=memory limit=5 remaining=3 reset=3200 "
           "ratelimit=\"client-1h\";r=3;t=3200 ratelimit_policy=\"client-1h\";q=5;w=3600");
    request(bench, "/login", 1, 1);
    next_answer(bench, 1);
    expect(bench, "/login", 1,
           "allow=false deny=true retry_after=3200 retry_at=1750003200 rule=login source=memory "
           "limit=2 remaining=0 reset=3200 ratelimit=\"login\";r=0;t=3200 "
           "ratelimit_policy=\"login\";q=2;w=3600");
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->refused), 1);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->allowed), 3);
    bench_close(bench);
}
END_TEST

START_TEST(what_one_limit_refuses_is_charged_to_none)
{
    struct bench *bench = bench_open(10);
    for (int i = 0; i < 20; i++) { /* two pass, the others cost nothing */
        request(bench, "/login", 1, 1);
        next_answer(bench, 1);
    }
    for (int i = 0; i < 3; i++) {
        request(bench, "/x", 1, 1);
        ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "allow=true"));
    }
    request(bench, "/x", 1, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "deny=true"));
    bench_close(bench);
}
END_TEST

START_TEST(without_a_limit_a_request_is_allowed)
{
    struct bench *bench = bench_open(10);
    expect(bench, "/health", 1, "allow=true deny=false rule=probes");
    expect(bench, "relative", 1, "allow=true deny=false");
    const struct engine_counters *counters = engine_counters(bench->engine);
    ck_assert_uint_eq(counter_read(&counters->bypassed), 1);
    ck_assert_uint_eq(counter_read(&counters->unmatched), 1);
    bench_close(bench);
}
END_TEST

START_TEST(a_rule_without_its_key_does_not_apply_and_is_counted)
{
    struct bench *bench = bench_open(10);
    uint8_t bytes[64];
    struct writer w = writer_open(bytes, sizeof(bytes));
    spop_write_message(&w, SLICE("other"), 0);
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
    ck_assert_str_eq(next_answer(bench, 1), "allow=true deny=false");
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->key_absent), 1);
    bench_close(bench);
}
END_TEST

START_TEST(several_messages_are_one_decision)
{
    struct bench *bench = bench_open(10);
    struct value token = {.type = VALUE_STRING, .bytes = SLICE("t")};
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "first", "/x", 1);
    spop_write_message(&w, SLICE("other"), 1);
    spop_write_argument(&w, SLICE("token"), &token);
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "allow=true deny=false rule=other"));
    ck_assert_int_eq(notify(bench, writer_slice(&w), 2), ENGINE_ANSWERED);
    ck_assert_ptr_nonnull(
        strstr(next_answer(bench, 2), "deny=true retry_after=3200 retry_at=1750003200 rule=other"));
    /* The second was charged to neither. */
    request(bench, "/x", 1, 3);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 3), "remaining=3"));
    bench_close(bench);
}
END_TEST

START_TEST(two_messages_take_twice_from_a_limit_of_both)
{
    struct bench *bench = bench_open(10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "first", "/x", 1);
    write_request(&w, "second", "/x", 1);
    for (int left = 3; left >= 1; left -= 2) {
        char expected[32];
        snprintf(expected, sizeof(expected), "limit=5 remaining=%d ", left);
        ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
        ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), expected));
    }
    /* One is left, but not two: neither is charged, and one request alone still passes. */
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "deny=true"));
    request(bench, "/x", 1, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "allow=true"));
    request(bench, "/x", 1, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "deny=true"));
    bench_close(bench);
}
END_TEST

START_TEST(one_message_that_is_let_through_does_not_excuse_another)
{
    struct bench *bench = bench_open(10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "first", "/health", 1);
    write_request(&w, "second", "/login", 1);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
        ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "allow=true deny=false rule=login"));
    }
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "deny=true"));
    bench_close(bench);
}
END_TEST

START_TEST(messages_of_a_notify_are_bounded)
{
    struct bench *bench = bench_open(10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    for (int i = 0; i < ENGINE_MESSAGES_MAX; i++)
        spop_write_message(&w, SLICE("m"), 0);
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
    ck_assert_str_eq(next_answer(bench, 1), "allow=true deny=false");
    spop_write_message(&w, SLICE("m"), 0);
    ck_assert_int_eq(notify(bench, writer_slice(&w), 2), ENGINE_MALFORMED);
    bench_close(bench);
}
END_TEST

#define MANY_RULES 10000

/* All apply to every request; the last is the strictest. */
START_TEST(ten_thousand_limits_are_one_decision)
{
    static char text[MANY_RULES * 80];
    int size = snprintf(text, sizeof(text), "listen: tcp://127.0.0.1:0\nrules:\n");
    for (int i = MANY_RULES; i; i--)
        size += snprintf(text + size, sizeof(text) - (size_t)size,
                         " - { name: r%d, key: src, limits: { limit: %d, window: 1d } }\n", i, i);
    struct bench *bench = bench_with(text, 10);
    request(bench, "/x", 1, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "allow=true deny=false rule=r1 "));
    for (int i = 0; i < 3; i++) { /* refused by the last, and charged to none before it */
        request(bench, "/x", 1, 1);
        ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "rule=r1 "));
    }
    struct engine_counters const *counters = engine_counters(bench->engine);
    ck_assert_uint_eq(counter_read(&counters->refused), 3);
    ck_assert_uint_eq(counter_read(&counters->store_full), 0);
    bench_close(bench);
}
END_TEST

/* The longest names that a file can have, and the largest numbers. */
START_TEST(the_longest_answer_fits)
{
    char name[RULES_NAME_MAX + 1] = {0};
    char text[1024];
    memset(name, 'n', RULES_NAME_MAX);
    snprintf(text, sizeof(text),
             "listen: tcp://127.0.0.1:0\n"
             "rules: [ { name: %s, key: src, limits: { limit: 1000000000, window: 366d } } ]\n",
             name);
    struct bench *bench = bench_with(text, 10);
    request(bench, "/x", 1, UINT64_MAX);
    size_t size = writer_size(&bench->writer);
    ck_assert_uint_gt(size, 3 * (size_t)RULES_NAME_MAX);
    ck_assert_uint_le(size, ENGINE_ANSWER_MAX);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, UINT64_MAX), ";q=1000000000;w=31622400"));
    bench_close(bench);
}
END_TEST

/* Of the window's end, and of a limit that never admits. */
START_TEST(no_retry_comes_too_early)
{
    struct bench *bench = bench_with(
        "listen: tcp://127.0.0.1:0\n"
        "answer: [ retry_after, reset, ratelimit ]\n"
        "defaults: { algorithm: fixed-window }\n"
        "rules: \n"
        " - { name: a, match: { path: /a }, key: src, limits: { limit: 1, window: 1ms } }\n"
        " - { name: b, match: { path: /b }, key: src, limits: { limit: 1, window: 1s } }\n"
        " - { name: z, match: { path: /z }, key: src, limits: { limit: 0, window: 90s } }\n",
        10);
    expect(bench, "/a", 1, "allow=true deny=false reset=1 ratelimit=\"a\";r=0;t=1");
    expect(bench, "/a", 1, "allow=false deny=true retry_after=1 reset=1 ratelimit=\"a\";r=0;t=1");
    expect(bench, "/b", 1, "allow=true deny=false reset=1 ratelimit=\"b\";r=0;t=1");
    expect(bench, "/b", 1, "allow=false deny=true retry_after=1 reset=1 ratelimit=\"b\";r=0;t=1");
    expect(bench, "/z", 1, "allow=false deny=true retry_after=90 reset=0 ratelimit=\"z\";r=0;t=90");
    bench_close(bench);
}
END_TEST

/* NOW is 17 us past a full second. */
START_TEST(when_to_retry_is_told_by_the_systems_clock)
{
    struct bench *bench =
        bench_with("listen: tcp://127.0.0.1:0\n"
                   "answer: retry_at\n"
                   "defaults: { algorithm: sliding-log }\n"
                   "rules: [ { name: a, key: src, limits: { limit: 1, window: 10s } } ]\n",
                   10);
    expect(bench, "/", 1, "allow=true deny=false");
    expect(bench, "/", 1, "allow=false deny=true retry_at=1750000011");
    bench->wall_ahead = -17; /* as exactly as can be */
    expect(bench, "/", 1, "allow=false deny=true retry_at=1750000010");
    bench->wall_ahead = 3600 * (int64_t)SECOND;
    expect(bench, "/", 1, "allow=false deny=true retry_at=1750003611");
    bench->wall_ahead = -3600 * (int64_t)SECOND;
    expect(bench, "/", 1, "allow=false deny=true retry_at=1749996411");
    /* Later, it is still the same time. */
    bench->now += 9 * SECOND;
    expect(bench, "/", 1, "allow=false deny=true retry_at=1749996411");
    bench->now += SECOND;
    expect(bench, "/", 1, "allow=true deny=false");
    bench_close(bench);
}
END_TEST

START_TEST(a_notify_that_ends_in_rubbish_is_charged_to_none)
{
    struct bench *bench = bench_open(10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "sluice-request", "/x", 1);
    for (size_t size = 1; size < writer_size(&w); size++)
        ck_assert_int_eq(notify(bench, slice_of(bytes, size), 1), ENGINE_MALFORMED);
    ck_assert_uint_eq(writer_size(&bench->writer), 0);
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "remaining=4"));
    bench_close(bench);
}
END_TEST

START_TEST(a_small_frame_loses_the_last_variables)
{
    struct bench *bench = bench_open(10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "sluice-request", "/x", 1);
    struct spop_frame frame = {.stream_id = 3, .frame_id = 1, .payload = writer_slice(&w)};
    size_t before = ENGINE_ANSWER_MAX;
    for (uint32_t most = 256; most >= 60; most -= 4) {
        engine_notify(bench->engine, &bench->client, &frame, NOW, most, &bench->writer);
        size_t size = writer_size(&bench->writer);
        ck_assert_uint_le(size, most + SPOP_LENGTH_SIZE);
        ck_assert_uint_le(size, before + 40); /* a refusal may have come, which says more */
        before = size;
        const char *answer = next_answer(bench, 1);
        ck_assert_ptr_nonnull(strstr(answer, "allow="));
        ck_assert_ptr_nonnull(strstr(answer, "deny="));
    }
    bench_close(bench);
}
END_TEST

/* ---- stores that are full, away, or slow ---------------------------------------------------- */

START_TEST(a_store_that_fails_is_answered_by_the_rule)
{
    struct bench *bench = bench_open(10);
    const struct engine_counters *counters = engine_counters(bench->engine);
    bench->store.broken = STORE_FULL;
    request(bench, "/x", 1, 1);
    ck_assert_ptr_nonnull(
        strstr(next_answer(bench, 1), "allow=true deny=false rule=client source=fallback"));
    ck_assert_uint_eq(counter_read(&counters->store_full), 2);
    bench->store.broken = STORE_UNAVAILABLE;
    request(bench, "/login", 1, 1);
    ck_assert_ptr_nonnull(
        strstr(next_answer(bench, 1),
               "deny=true retry_after=1 retry_at=1750000002 rule=login source=fallback"));
    ck_assert_uint_eq(counter_read(&counters->store_unavailable), 3);

    bench->store.broken = STORE_ANSWERED; /* none of it was charged */
    request(bench, "/login", 1, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "remaining=1"));
    bench_close(bench);
}
END_TEST

START_TEST(a_limit_of_0_refuses_without_its_store)
{
    struct bench *bench = bench_with("listen: tcp://127.0.0.1:0\n"
                                     "defaults: { on_store_error: allow }\n"
                                     "rules: [ { name: z, key: src, limits: { limit: 0, window: "
                                     "1s } } ]\n",
                                     10);
    bench->store.broken = STORE_UNAVAILABLE;
    request(bench, "/x", 1, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "allow=false deny=true"));
    bench_close(bench);
}
END_TEST

START_TEST(answers_go_out_as_they_come_in)
{
    struct bench *bench = bench_open(10);
    bench->store.defer = true;
    ck_assert_int_eq(request(bench, "/x", 1, 1), ENGINE_PENDING); /* two takes */
    ck_assert_int_eq(request(bench, "/x", 2, 2), ENGINE_PENDING); /* two more */
    ck_assert_uint_eq(engine_pending(bench->engine), 2);
    scripted_answer(&bench->store, 0, NOW);
    scripted_answer(&bench->store, 1, NOW);
    ck_assert_uint_eq(bench->answered, 0);
    scripted_answer(&bench->store, 1, NOW);
    ck_assert_uint_eq(bench->answered, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 2), "remaining=4"));
    scripted_answer(&bench->store, 0, NOW);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "remaining=4"));
    ck_assert_uint_eq(engine_pending(bench->engine), 0);
    bench_close(bench);
}
END_TEST

START_TEST(a_pending_refusal_gives_back_what_was_granted)
{
    struct bench *bench = bench_open(10);
    for (int i = 0; i < 2; i++) {
        request(bench, "/login", 1, 1);
        next_answer(bench, 1);
    }
    bench->store.defer = true;
    request(bench, "/login", 1, 9);
    while (bench->store.count)
        scripted_answer(&bench->store, bench->store.count - 1, NOW);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 9), "deny=true"));
    bench->store.defer = false;
    request(bench, "/x", 1, 1);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "remaining=2"));
    bench_close(bench);
}
END_TEST

START_TEST(no_more_than_max_pending_wait)
{
    struct bench *bench = bench_open(2);
    bench->store.defer = true;
    request(bench, "/x", 1, 1);
    request(bench, "/x", 1, 2);
    ck_assert_int_eq(request(bench, "/login", 1, 3), ENGINE_ANSWERED);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 3), "deny=true"));
    ck_assert_int_eq(request(bench, "/health", 1, 4), ENGINE_ANSWERED);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->pending_full), 1);
    next_answer(bench, 4);
    while (bench->store.count)
        scripted_answer(&bench->store, 0, NOW);
    ck_assert_uint_eq(bench->answered, 2);
    bench_close(bench);
}
END_TEST

START_TEST(a_pending_decision_ends_by_the_rules_it_began_with)
{
    struct bench *bench = bench_open(10);
    struct ruleset *next = load("listen: tcp://127.0.0.1:0\nanswer: [ rule ]\nrules: []\n");
    bench->store.defer = true;
    request(bench, "/login", 1, 1);
    ck_assert(engine_use(bench->engine, next));
    ruleset_release(next);
    expect(bench, "/login", 1, "allow=true deny=false");
    while (bench->store.count) /* the old set is read here, and freed after it */
        scripted_answer(&bench->store, 0, NOW);
    ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "rule=login source=memory"));
    bench_close(bench);
}
END_TEST

UNIT_MAIN("engine", the_strictest_limit_is_reported, what_one_limit_refuses_is_charged_to_none,
          without_a_limit_a_request_is_allowed,
          a_rule_without_its_key_does_not_apply_and_is_counted, several_messages_are_one_decision,
          two_messages_take_twice_from_a_limit_of_both,
          one_message_that_is_let_through_does_not_excuse_another, messages_of_a_notify_are_bounded,
          ten_thousand_limits_are_one_decision, the_longest_answer_fits, no_retry_comes_too_early,
          when_to_retry_is_told_by_the_systems_clock, a_limit_of_0_refuses_without_its_store,
          a_notify_that_ends_in_rubbish_is_charged_to_none, a_small_frame_loses_the_last_variables,
          a_store_that_fails_is_answered_by_the_rule, answers_go_out_as_they_come_in,
          a_pending_refusal_gives_back_what_was_granted, no_more_than_max_pending_wait,
          a_pending_decision_ends_by_the_rules_it_began_with)
