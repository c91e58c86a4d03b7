/* Looks at what limits stand at, and resets of a subject. */
#include <stdio.h>

#include "agent/engine/inquiry.h"
#include "bench.h"
#include "main.h"

#define HEAD                                                                                       \
    "listen: tcp://127.0.0.1:0\n"                                                                  \
    "answer: [ rule, remaining ]\n"                                                                \
    "defaults: { algorithm: token-bucket }\n"                                                      \
    "rules:\n"

#define RULES                                                                                      \
    HEAD "  - { name: open, match: { path: /health }, action: allow }\n"                           \
         "  - { name: login, match: { path: { prefix: /login } }, key: src,\n"                     \
         "      limits: { limit: 3, window: 1m } }\n"                                              \
         "  - { name: client, key: src, mode: shadow,\n"                                           \
         "      tiers: { by: path, default: { limit: 5, window: 1m },\n"                           \
         "               /big: { limit: 50, window: 1h } } }\n"

struct look {
    struct inquiry inquiry; /* first */
    uint8_t payload[512];
    size_t answered;
};

static void answered(struct inquiry *inquiry)
{
    ((struct look *)inquiry)->answered++;
}

/* The caller closes and frees it. */
static struct look *ask(struct bench *bench, enum inquiry_kind kind, const char *rule,
                        const char *path)
{
    struct look *look = calloc(1, sizeof(*look));
    struct writer w = writer_open(look->payload, sizeof(look->payload));
    write_request(&w, "sluice-request", path, 1);
    look->inquiry.kind = kind;
    look->inquiry.payload = writer_slice(&w);
    look->inquiry.rule = slice_of_string(rule);
    look->inquiry.answered = answered;
    engine_inquire(bench->engine, &look->inquiry, bench->now);
    return look;
}

static void close_look(struct look *look)
{
    ck_assert_uint_eq(look->answered, 1);
    inquiry_close(&look->inquiry);
    free(look);
}

/* "RULE/LIMIT SUBJECT REMAINING", with "!" where it refuses; with ", " between them. */
static const char *findings_of(const struct look *look)
{
    static char text[1024];
    struct writer w = writer_open(text, sizeof(text) - 1);
    ck_assert_uint_eq(look->answered, 1);
    ck_assert_int_eq(look->inquiry.outcome, INQUIRY_DONE);
    for (size_t i = 0; i < look->inquiry.count; i++) {
        const struct inquiry_finding *finding = &look->inquiry.findings[i];
        writer_bytes(&w, i ? SLICE(", ") : SLICE(""));
        writer_bytes(&w, finding->limit->rule->name);
        writer_uint8(&w, '/');
        writer_bytes(&w, finding->limit->name);
        writer_uint8(&w, ' ');
        writer_bytes(&w, slice_of_string(finding->subject));
        writer_uint8(&w, ' ');
        writer_decimal(&w, finding->result.remaining);
        writer_bytes(&w, finding->is_refusal ? SLICE("!") : SLICE(""));
    }
    text[writer_size(&w)] = 0;
    return text;
}

static void expect_findings(struct bench *bench, const char *rule, const char *path,
                            const char *expected)
{
    struct look *look = ask(bench, INQUIRY_LOOK, rule, path);
    ck_assert_str_eq(findings_of(look), expected);
    close_look(look);
}

static void expect_outcome(struct bench *bench, const char *rule, const char *path,
                           enum inquiry_outcome outcome)
{
    struct look *look = ask(bench, INQUIRY_LOOK, rule, path);
    ck_assert_int_eq(look->inquiry.outcome, outcome);
    ck_assert_uint_eq(look->inquiry.count, 0);
    close_look(look);
}

/* ---- looking ------------------------------------------------------------------------------- */

START_TEST(a_look_charges_and_counts_nothing)
{
    struct bench *bench = bench_with(RULES, 10);
    for (int i = 0; i < 10; i++)
        expect_findings(bench, "", "/login",
                        "login/login 192.0.2.1 3, client/client-1m 192.0.2.1 5");
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->allowed), 0);
    expect(bench, "/login", 1, "allow=true deny=false rule=login remaining=2");
    expect_findings(bench, "", "/login", "login/login 192.0.2.1 2, client/client-1m 192.0.2.1 4");
    expect(bench, "/login", 1, "allow=true deny=false rule=login remaining=1");
    expect(bench, "/login", 1, "allow=true deny=false rule=login remaining=0");
    expect_findings(bench, "", "/login", "login/login 192.0.2.1 0!, client/client-1m 192.0.2.1 2");
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->refused), 0);
    bench_close(bench);
}
END_TEST

START_TEST(a_look_tells_the_answer_that_would_be_given)
{
    struct bench *bench = bench_with(RULES, 10);
    struct look *look = ask(bench, INQUIRY_LOOK, "", "/login");
    struct cursor c = cursor_open(slice_of(look->inquiry.answer, look->inquiry.answer_size));
    struct spop_action action;
    ck_assert(spop_next_action(&c, &action));
    ck_assert(slice_equal(action.name, SLICE("allow")));
    ck_assert(action.value.boolean);
    close_look(look);
    bench_close(bench);
}
END_TEST

START_TEST(one_rule_is_asked_whether_or_not_it_matches)
{
    struct bench *bench = bench_with(RULES, 10);
    expect_findings(bench, "login", "/elsewhere", "login/login 192.0.2.1 3");
    expect_findings(bench, "client", "/big", "client/client-1h 192.0.2.1 50");
    expect_outcome(bench, "nobody", "/", INQUIRY_NO_RULE);
    expect_outcome(bench, "open", "/", INQUIRY_NO_LIMIT);
    bench_close(bench);
}
END_TEST

START_TEST(what_is_malformed_is_said_to_be)
{
    struct bench *bench = bench_with(RULES, 10);
    struct look look = {.inquiry = {.payload = SLICE("\xff\xff\xff"), .answered = answered}};
    engine_inquire(bench->engine, &look.inquiry, bench->now);
    ck_assert_uint_eq(look.answered, 1);
    ck_assert_int_eq(look.inquiry.outcome, INQUIRY_MALFORMED);
    bench_close(bench);
}
END_TEST

START_TEST(a_look_waits_for_the_store)
{
    struct bench *bench = bench_with(RULES, 10);
    bench->store.defer = true;
    struct look *look = ask(bench, INQUIRY_LOOK, "", "/login");
    ck_assert_uint_eq(look->answered, 0);
    ck_assert_uint_eq(engine_pending(bench->engine), 0); /* no request waits */
    /* Rules that come meanwhile change nothing of it. */
    struct ruleset *rules =
        load(HEAD "  - { name: other, key: src, limits: { limit: 1, window: 1m } }\n");
    ck_assert(engine_use(bench->engine, rules));
    ruleset_release(rules);
    while (bench->store.count)
        scripted_answer(&bench->store, 0, bench->now);
    ck_assert_str_eq(findings_of(look), "login/login 192.0.2.1 3, client/client-1m 192.0.2.1 5");
    close_look(look);
    bench_close(bench);
}
END_TEST

START_TEST(what_stands_in_for_the_store_is_told)
{
    struct bench *bench = bench_shared(RULES, 10, 3);
    bench->store.broken = STORE_UNAVAILABLE;
    struct look *look = ask(bench, INQUIRY_LOOK, "login", "/");
    ck_assert_str_eq(findings_of(look), "login/login 192.0.2.1 1");
    ck_assert_int_eq(look->inquiry.findings[0].status, STORE_UNAVAILABLE);
    ck_assert_int_eq(look->inquiry.findings[0].source, STORE_SOURCE_FALLBACK);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->store_unavailable), 0);
    close_look(look);
    bench_close(bench);
}
END_TEST

/* More limits apply than are told of. */
START_TEST(findings_are_bounded)
{
    char text[8192] = HEAD;
    for (int i = 0; i < INQUIRY_FINDINGS_MAX + 3; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "  - { name: r%d, key: src, limits: { limit: 1, window: 1m } }\n", i);
    struct bench *bench = bench_with(text, 10);
    struct look *look = ask(bench, INQUIRY_LOOK, "", "/");
    ck_assert_uint_eq(look->inquiry.count, INQUIRY_FINDINGS_MAX);
    ck_assert_uint_eq(look->inquiry.omitted, 3);
    close_look(look);
    bench_close(bench);
}
END_TEST

/* ---- resetting ----------------------------------------------------------------------------- */

START_TEST(a_reset_subject_is_as_never_seen)
{
    struct bench *bench = bench_with(RULES, 10);
    for (int i = 0; i < 4; i++)
        request(bench, "/login", 1, 1), next_answer(bench, 1);
    request(bench, "/login", 2, 1), next_answer(bench, 1);
    close_look(ask(bench, INQUIRY_RESET, "login", "/"));
    expect_findings(bench, "login", "/", "login/login 192.0.2.1 3");
    /* Another rule's count, and another subject, stay. */
    expect_findings(bench, "client", "/", "client/client-1m 192.0.2.1 2");
    expect(bench, "/login", 2, "allow=true deny=false rule=login remaining=1");
    bench_close(bench);
}
END_TEST

START_TEST(a_reset_is_of_all_tiers)
{
    struct bench *bench = bench_with(RULES, 10);
    request(bench, "/big", 1, 1), next_answer(bench, 1);
    request(bench, "/", 1, 1), next_answer(bench, 1);
    close_look(ask(bench, INQUIRY_RESET, "client", "/"));
    expect_findings(bench, "client", "/big", "client/client-1h 192.0.2.1 50");
    expect_findings(bench, "client", "/", "client/client-1m 192.0.2.1 5");
    bench_close(bench);
}
END_TEST

START_TEST(a_reset_ends_a_penalty)
{
    struct bench *bench =
        bench_with(HEAD "  - { name: login, key: src, limits: { limit: 1, window: 1m },\n"
                        "      penalty: { after: 1, within: 1h, for: 1h } }\n",
                   10);
    for (int i = 0; i < 4; i++)
        request(bench, "/", 1, 1), next_answer(bench, 1);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->penalties), 1);
    expect_findings(bench, "login", "/",
                    "login/login-penalty 192.0.2.1 0!, login/login 192.0.2.1 0!");
    close_look(ask(bench, INQUIRY_RESET, "login", "/"));
    expect(bench, "/", 1, "allow=true deny=false rule=login remaining=0");
    /* The refusals before it are forgotten too. */
    request(bench, "/", 1, 1), next_answer(bench, 1);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->penalties), 1);
    bench_close(bench);
}
END_TEST

START_TEST(a_reset_is_of_what_stands_in_for_the_store_too)
{
    struct bench *bench = bench_shared(RULES, 10, 1);
    bench->store.broken = STORE_UNAVAILABLE;
    expect(bench, "/login", 1, "allow=true deny=false rule=login remaining=2");
    struct look *look = ask(bench, INQUIRY_RESET, "login", "/");
    ck_assert_int_eq(look->inquiry.findings[0].status, STORE_UNAVAILABLE);
    close_look(look);
    expect_findings(bench, "login", "/", "login/login 192.0.2.1 3");
    bench_close(bench);
}
END_TEST

START_TEST(forgetting_is_the_stores_own)
{
    struct bench *bench = bench_with(RULES, 10);
    request(bench, "/login", 1, 1), next_answer(bench, 1);
    close_look(ask(bench, INQUIRY_FORGET, "login", "/"));
    ck_assert_uint_eq(bench->store.forgotten, 1);
    expect_findings(bench, "login", "/", "login/login 192.0.2.1 2");
    bench_close(bench);
}
END_TEST

UNIT_MAIN("inquiry", a_look_charges_and_counts_nothing, a_look_tells_the_answer_that_would_be_given,
          one_rule_is_asked_whether_or_not_it_matches, what_is_malformed_is_said_to_be,
          a_look_waits_for_the_store, what_stands_in_for_the_store_is_told, findings_are_bounded,
          a_reset_subject_is_as_never_seen, a_reset_is_of_all_tiers, a_reset_ends_a_penalty,
          a_reset_is_of_what_stands_in_for_the_store_too, forgetting_is_the_stores_own)
