#include "bench.h"
#include "main.h"

static const char rules_text[] =
    "listen: tcp://127.0.0.1:0\n"
    "rules:\n"
    "  - { name: probes, match: { path: /health }, action: allow }\n"
    "  - { name: hidden, match: { path: /.git }, action: deny }\n"
    "  - { name: slow, match: { path: { regex: '(?:a+)+[bc]' } }, action: deny }\n"
    "  - name: client\n"
    "    match: { path: { prefix: /api } }\n"
    "    key: src\n"
    "    limits: [ { limit: 2, window: 1h } ]\n"
    "    on_store_error: deny\n";

static uint64_t by_source(const struct bench *bench, size_t source, bool allowed)
{
    return counter_read(&engine_counters(bench->engine)->by_source[source][allowed]);
}

START_TEST(every_decision_has_one_source)
{
    struct bench *bench = bench_with(rules_text, 10);
    for (int i = 0; i < 5; i++)
        request(bench, "/api", 1, 1);
    request(bench, "/health", 1, 1);
    request(bench, "/.git", 1, 1);
    request(bench, "/none", 1, 1);
    bench->store.broken = STORE_UNAVAILABLE;
    request(bench, "/api", 2, 1);
    ck_assert_uint_eq(by_source(bench, STORE_SOURCE_MEMORY, true), 2);
    ck_assert_uint_eq(by_source(bench, STORE_SOURCE_MEMORY, false), 3);
    ck_assert_uint_eq(by_source(bench, STORE_SOURCE_FALLBACK, false), 1);
    ck_assert_uint_eq(by_source(bench, STORE_SOURCES, true), 2);
    ck_assert_uint_eq(by_source(bench, STORE_SOURCES, false), 1);
    uint64_t all = 0;
    for (size_t i = 0; i <= STORE_SOURCES; i++)
        all += by_source(bench, i, true) + by_source(bench, i, false);
    const struct engine_counters *counters = engine_counters(bench->engine);
    ck_assert_uint_eq(all, counter_read(&counters->allowed) + counter_read(&counters->refused));
    bench_close(bench);
}
END_TEST

/* One whose text is too long to be looked at. */
static void overrun(struct bench *bench)
{
    static uint8_t bytes[4 * RULES_REGEX_TEXT_MAX];
    static char path[RULES_REGEX_TEXT_MAX + 2];
    struct writer w = writer_open(bytes, sizeof(bytes));
    memset(path, 'a', sizeof(path) - 1);
    write_request(&w, "m", path, 1);
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
}

/* Also those of a rule set that is no longer in force. */
START_TEST(regular_expressions_that_are_given_up_are_counted)
{
    struct bench *bench = bench_with(rules_text, 10);
    struct ruleset *next = load(rules_text);
    const struct engine_counters *counters = engine_counters(bench->engine);
    request(bench, "a", 1, 1);
    ck_assert_uint_eq(counter_read(&counters->regex_overruns), 0);
    overrun(bench);
    overrun(bench);
    ck_assert_uint_eq(counter_read(&counters->regex_overruns), 2);
    ck_assert(engine_use(bench->engine, next));
    overrun(bench);
    ck_assert_uint_eq(counter_read(&counters->regex_overruns), 3);
    ruleset_release(next);
    bench_close(bench);
}
END_TEST

UNIT_MAIN("counts", every_decision_has_one_source,
          regular_expressions_that_are_given_up_are_counted)
