/* Subjects that are refused so often that they are refused for long. */
#include <stdio.h>

#include "bench.h"
#include "main.h"

#define MINUTE (60 * SECOND)

#define HEAD                                                                                       \
    "listen: tcp://127.0.0.1:0\n"                                                                  \
    "answer: [ rule, limit, retry_after, remaining, shadow ]\n"                                    \
    "defaults: { algorithm: token-bucket }\n"                                                      \
    "rules:\n"

#define PENALTY "penalty: { after: 3, within: 1m, for: 10m }"

/* 2 at once and 1 in 30 s. */
#define LOGIN                                                                                      \
    HEAD "  - { name: login, match: { path: { prefix: /login } }, key: src,\n"                     \
         "      limits: { limit: 2, window: 1m }, " PENALTY " }\n"

#define REFUSED "allow=false deny=true retry_after=30 rule=login limit=2 remaining=0"

/* What a mark answers with: it is told as a limit of 1 that comes free when the penalty ends. */
static const char *penalised(int seconds)
{
    static char text[128];
    snprintf(text, sizeof(text),
             "allow=false deny=true retry_after=%d rule=login limit=1 remaining=0", seconds);
    return text;
}

static uint64_t penalties(const struct bench *bench)
{
    return counter_read(&engine_counters(bench->engine)->penalties);
}

static void ask(struct bench *bench, uint8_t client, size_t times)
{
    for (size_t i = 0; i < times; i++)
        request(bench, "/login", client, 1), next_answer(bench, 1);
}

/* ---- when it begins and ends --------------------------------------------------------------- */

START_TEST(a_subject_refused_too_often_is_refused_for_long)
{
    struct bench *bench = bench_with(LOGIN, 10);
    expect(bench, "/login", 1, "allow=true deny=false rule=login limit=2 remaining=1");
    expect(bench, "/login", 1, "allow=true deny=false rule=login limit=2 remaining=0");
    for (int i = 0; i < 4; i++) { /* three are counted, the fourth is one too many */
        ck_assert_uint_eq(penalties(bench), 0);
        expect(bench, "/login", 1, REFUSED);
    }
    ck_assert_uint_eq(penalties(bench), 1);
    expect(bench, "/login", 1, penalised(600));
    /* Others aren't, and this rule alone refuses. */
    expect(bench, "/login", 2, "allow=true deny=false rule=login limit=2 remaining=1");
    expect(bench, "/other", 1, "allow=true deny=false");
    bench_close(bench);
}
END_TEST

START_TEST(a_penalty_ends_however_often_is_asked_meanwhile)
{
    struct bench *bench = bench_with(LOGIN, 10);
    ask(bench, 1, 6);
    bench->now = NOW + 4 * MINUTE;
    for (int i = 0; i < 20; i++)
        expect(bench, "/login", 1, penalised(360));
    bench->now = NOW + 10 * MINUTE - 1;
    expect(bench, "/login", 1, penalised(1));
    bench->now = NOW + 10 * MINUTE;
    expect(bench, "/login", 1, "allow=true deny=false rule=login limit=2 remaining=1");
    /* And what it was refused before counts no more. */
    expect(bench, "/login", 1, "allow=true deny=false rule=login limit=2 remaining=0");
    for (int i = 0; i < 3; i++)
        expect(bench, "/login", 1, REFUSED);
    ck_assert_uint_eq(penalties(bench), 1);
    expect(bench, "/login", 1, REFUSED);
    ck_assert_uint_eq(penalties(bench), 2);
    expect(bench, "/login", 1, penalised(600));
    bench_close(bench);
}
END_TEST

START_TEST(refusals_far_apart_bring_no_penalty)
{
    struct bench *bench = bench_with(LOGIN, 10);
    ask(bench, 1, 2);
    for (int i = 0; i < 20; i++) {
        ask(bench, 1, 2); /* every 30 s one passes and one is refused */
        bench->now += 30 * SECOND;
    }
    ck_assert_uint_ge(counter_read(&engine_counters(bench->engine)->refused), 20);
    ck_assert_uint_eq(penalties(bench), 0);
    bench_close(bench);
}
END_TEST

/* ---- what counts as a refusal -------------------------------------------------------------- */

START_TEST(only_refusals_of_the_rule_itself_count)
{
    struct bench *bench = bench_with(
        LOGIN "  - { name: all, match: { path: { prefix: /login/x } }, key: [], limits: { limit: 0,"
              " window: 1s } }\n"
              "  - { name: closed, match: { path: /login/y }, action: deny }\n",
        10);
    for (int i = 0; i < 20; i++) {
        request(bench, "/login/x", 1, 1);
        ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "deny=true retry_after=1 rule=all"));
        expect(bench, "/login/y", 1, "allow=false deny=true rule=closed");
    }
    ck_assert_uint_eq(penalties(bench), 0);
    expect(bench, "/login", 1, "allow=true deny=false rule=login limit=2 remaining=1");
    bench_close(bench);
}
END_TEST

START_TEST(a_refusal_by_any_of_its_limits_counts_once)
{
    struct bench *bench =
        bench_with(HEAD "  - { name: login, key: src, " PENALTY ",\n"
                        "      limits: [ { limit: 2, window: 1m }, { limit: 2, window: 2m } ] }\n",
                   10);
    ask(bench, 1, 2 + 3);
    expect(bench, "/login", 1,
           "allow=false deny=true retry_after=60 rule=login limit=2 remaining=0");
    expect(bench, "/login", 1, penalised(600));
    bench_close(bench);
}
END_TEST

START_TEST(a_refused_cost_counts_as_one)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: login, key: src, cost: 2, limits: { limit: 2, window: 1m }, " PENALTY
             " }\n",
        10);
    ask(bench, 1, 1 + 3);
    ck_assert_uint_eq(penalties(bench), 0);
    ask(bench, 1, 1);
    ck_assert_uint_eq(penalties(bench), 1);
    expect(bench, "/login", 1, penalised(600));
    bench_close(bench);
}
END_TEST

START_TEST(what_a_shadow_would_refuse_is_not_penalised)
{
    struct bench *bench =
        bench_with(HEAD "  - { name: login, key: src, mode: shadow, limits: { limit: 1, window: 1h "
                        "}, " PENALTY " }\n",
                   10);
    expect(bench, "/", 1, "allow=true deny=false");
    for (int i = 0; i < 20; i++)
        expect(bench, "/", 1, "allow=true deny=false shadow=login");
    ck_assert_uint_eq(penalties(bench), 0);
    bench_close(bench);
}
END_TEST

/* Who is of the part is penalised, and who isn't never is. */
START_TEST(only_subjects_for_whom_the_rule_is_enforced_are_penalised)
{
    struct bench *bench =
        bench_with(HEAD "  - { name: login, key: src, enforce: 50%, limits: { limit: 1, window: 1m "
                        "}, " PENALTY " }\n",
                   10);
    size_t enforced = 0;
    for (uint8_t client = 1; client <= 100; client++) {
        ask(bench, client, 5);
        request(bench, "/", client, 1);
        const char *answer = next_answer(bench, 1);
        if (!strstr(answer, "deny=true")) {
            ck_assert_str_eq(answer, "allow=true deny=false shadow=login");
            continue;
        }
        ck_assert_str_eq(answer, penalised(600));
        enforced++;
    }
    ck_assert_uint_eq(penalties(bench), enforced);
    ck_assert_uint_ge(enforced, 30);
    ck_assert_uint_le(enforced, 70);
    bench_close(bench);
}
END_TEST

START_TEST(who_has_no_limit_has_no_penalty)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: login, key: src, limits: { limit: 0, window: 30s }, " PENALTY ",\n"
             "      overrides: [ { key: [ 192.0.2.1 ], limits: unlimited } ] }\n",
        10);
    for (int i = 0; i < 20; i++)
        expect(bench, "/", 1, "allow=true deny=false rule=login");
    for (int i = 0; i < 4; i++)
        expect(bench, "/", 2,
               "allow=false deny=true retry_after=30 rule=login limit=0 remaining=0");
    ck_assert_uint_eq(penalties(bench), 1);
    bench_close(bench);
}
END_TEST

/* ---- what the others are told and charged -------------------------------------------------- */

/* A mark that isn't set is nobody's limit: it isn't told of. */
START_TEST(a_penalty_that_is_not_imposed_is_not_reported)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: many, key: src, limits: { limit: 1000, window: 1h }, " PENALTY " }\n",
        10);
    for (int left = 999; left > 990; left--) {
        char answer[128];
        snprintf(answer, sizeof(answer), "allow=true deny=false rule=many limit=1000 remaining=%d",
                 left);
        expect(bench, "/", 1, answer);
    }
    bench_close(bench);
}
END_TEST

START_TEST(what_a_penalty_refuses_is_charged_to_nobody)
{
    struct bench *bench =
        bench_with(LOGIN "  - { name: client, key: src, limits: { limit: 5, window: 1h } }\n", 10);
    ask(bench, 1, 6 + 20);
    expect(bench, "/other", 1, "allow=true deny=false rule=client limit=5 remaining=2");
    bench_close(bench);
}
END_TEST

START_TEST(charge_denied_charges_what_a_penalty_refuses)
{
    struct bench *bench = bench_with(
        LOGIN "  - { name: client, key: src, limits: { limit: 50, window: 1h }, charge_denied: "
              "true }\n",
        10);
    ask(bench, 1, 6 + 20);
    expect(bench, "/other", 1, "allow=true deny=false rule=client limit=50 remaining=23");
    bench_close(bench);
}
END_TEST

/* Failed log-ins alone are charged, and those who go on trying are shut out. */
START_TEST(a_rule_that_is_charged_later_may_penalise)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: login, message: sluice-request, key: src, limits: { limit: 1, window: 1h "
             "}, " PENALTY ", charge: { message: response } }\n",
        10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "response", "/", 1);
    ask(bench, 1, 20);
    ck_assert_uint_eq(penalties(bench), 0);
    for (int i = 0; i < 20; i++) { /* responses are never refused, so they never count */
        ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
        ck_assert_str_eq(next_answer(bench, 1), "allow=true deny=false");
    }
    ck_assert_uint_eq(penalties(bench), 0);
    ask(bench, 1, 3);
    ck_assert_uint_eq(penalties(bench), 0);
    ask(bench, 1, 1);
    ck_assert_uint_eq(penalties(bench), 1);
    ask(bench, 1, 1);
    bench->now = NOW + 5 * MINUTE;
    expect(bench, "/", 1, "allow=false deny=true retry_after=3300 rule=login limit=1 remaining=0");
    bench_close(bench);
}
END_TEST

/* ---- a store that answers later, or not ---------------------------------------------------- */

static const char *ask_later(struct bench *bench, uint8_t client)
{
    ck_assert_int_eq(request(bench, "/login", client, 1), ENGINE_PENDING);
    while (bench->store.count)
        scripted_answer(&bench->store, 0, bench->now);
    return next_answer(bench, 1);
}

START_TEST(penalties_are_counted_beside_decisions_that_wait)
{
    struct bench *bench = bench_with(LOGIN, 10);
    bench->store.defer = true;
    for (int i = 0; i < 2; i++)
        ask_later(bench, 1);
    for (int i = 0; i < 4; i++)
        ck_assert_str_eq(ask_later(bench, 1), REFUSED);
    ck_assert_str_eq(ask_later(bench, 1), penalised(600));
    ck_assert_uint_eq(penalties(bench), 1);
    bench_close(bench);
}
END_TEST

/* Nobody waits for a count: the decision is answered while it is under way. */
START_TEST(a_decision_does_not_wait_for_its_penalty)
{
    struct bench *bench = bench_with(LOGIN, 10);
    ask(bench, 1, 5);
    bench->store.defer = true;
    ck_assert_int_eq(request(bench, "/login", 1, 1), ENGINE_PENDING);
    ck_assert_uint_eq(bench->store.count, 2); /* the mark and the limit */
    scripted_answer(&bench->store, 0, NOW);
    scripted_answer(&bench->store, 0, NOW);
    ck_assert_str_eq(next_answer(bench, 1), REFUSED);
    ck_assert_uint_eq(engine_pending(bench->engine), 0);
    ck_assert_uint_eq(bench->store.count, 1); /* the count */
    ck_assert_str_eq(bench->store.last_key, "{192.0.2.1}:login:penalty-count-1m");
    scripted_answer(&bench->store, 0, NOW);
    ck_assert_uint_eq(bench->store.count, 1); /* the mark, to be set */
    ck_assert_str_eq(bench->store.last_key, "{192.0.2.1}:login:penalty-10m");
    ck_assert(!bench->store.waiting[0]->probe);
    scripted_answer(&bench->store, 0, NOW);
    ck_assert_uint_eq(penalties(bench), 1);
    bench_close(bench);
}
END_TEST

START_TEST(counts_under_way_are_bounded)
{
    struct bench *bench = bench_with(LOGIN, 3);
    for (uint8_t client = 1; client <= 5; client++)
        ask(bench, client, 2);
    for (uint8_t client = 1; client <= 5; client++) {
        bench->store.defer = true;
        request(bench, "/login", client, 1);
        size_t last = bench->store.count - 2;
        scripted_answer(&bench->store, last, NOW);
        scripted_answer(&bench->store, last, NOW);
        ck_assert_str_eq(next_answer(bench, 1), REFUSED);
        ck_assert_uint_eq(bench->store.count, client < 3 ? client : 3);
    }
    while (bench->store.count)
        scripted_answer(&bench->store, 0, NOW);
    bench_close(bench);
}
END_TEST

START_TEST(a_mark_is_asked_for_once_where_it_is_known_to_refuse)
{
    struct bench *bench = bench_with(LOGIN, 10);
    bench->store.refused_units = 1; /* the mark's */
    bench->store.defer = true;      /* whoever is asked would wait */
    expect(bench, "/login", 1,
           "allow=false deny=true retry_after=7 rule=login limit=1 remaining=0");
    bench_close(bench);
}
END_TEST

/* A mark never comes back, and neither does a question: what it was told may be remembered. */
START_TEST(a_mark_is_no_take_that_may_be_given_back)
{
    struct bench *bench = bench_with(LOGIN, 10);
    bench->store.defer = true;
    request(bench, "/login", 1, 1);
    ck_assert_uint_eq(bench->store.count, 2);
    ck_assert(bench->store.waiting[0]->probe);
    ck_assert(!bench->store.waiting[0]->returns);
    ck_assert(!bench->store.waiting[1]->probe);
    ck_assert(bench->store.waiting[1]->returns);
    scripted_answer(&bench->store, 0, NOW);
    scripted_answer(&bench->store, 0, NOW);
    next_answer(bench, 1);
    bench_close(bench);
}
END_TEST

START_TEST(without_a_store_none_is_imposed)
{
    struct bench *bench = bench_shared(LOGIN, 10, 1);
    bench->store.broken = STORE_UNAVAILABLE;
    ask(bench, 1, 2);
    for (int i = 0; i < 20; i++)
        expect(bench, "/login", 1, REFUSED);
    ck_assert_uint_eq(penalties(bench), 0);
    bench->store.broken = STORE_ANSWERED;
    expect(bench, "/login", 1, "allow=true deny=false rule=login limit=2 remaining=1");
    bench_close(bench);
}
END_TEST

START_TEST(one_that_is_known_goes_on_without_the_store)
{
    struct bench *bench = bench_shared(LOGIN, 10, 2);
    bench->store.broken = STORE_LATE;
    bench->store.known = 1; /* of the mark's one */
    expect(bench, "/login", 1, penalised(600));
    bench_close(bench);
}
END_TEST

START_TEST(on_store_error_allow_lets_pass_what_cannot_be_known)
{
    struct bench *bench = bench_shared(
        HEAD "  - { name: login, key: src, on_store_error: allow, limits: { limit: 2, window: 1m },"
             " " PENALTY " }\n",
        10, 1);
    ask(bench, 1, 6);
    expect(bench, "/login", 1, penalised(600));
    bench->store.broken = STORE_UNAVAILABLE;
    expect(bench, "/login", 1, "allow=true deny=false rule=login limit=2 remaining=2");
    bench->store.broken = STORE_ANSWERED;
    expect(bench, "/login", 1, penalised(600));
    bench_close(bench);
}
END_TEST

/* ---- reloads and garbage ------------------------------------------------------------------- */

START_TEST(a_reload_keeps_a_penalty_and_what_is_being_counted)
{
    struct bench *bench = bench_with(LOGIN, 10);
    struct ruleset *same = load(LOGIN);
    struct ruleset *without =
        load(HEAD "  - { name: login, key: src, limits: { limit: 2, window: 1m } }\n");
    ask(bench, 1, 5);
    bench->store.defer = true;
    request(bench, "/login", 1, 1);
    scripted_answer(&bench->store, 0, NOW);
    scripted_answer(&bench->store, 0, NOW);
    next_answer(bench, 1);
    ck_assert(engine_use(bench->engine, without)); /* the count is under way, and goes on */
    scripted_answer(&bench->store, 0, NOW);
    scripted_answer(&bench->store, 0, NOW);
    ck_assert_uint_eq(penalties(bench), 1);
    bench->store.defer = false;
    expect(bench, "/login", 1, REFUSED);
    ck_assert(engine_use(bench->engine, same));
    expect(bench, "/login", 1, penalised(600));
    ruleset_release(without);
    ruleset_release(same);
    bench_close(bench);
}
END_TEST

START_TEST(a_malformed_message_counts_nothing)
{
    struct bench *bench = bench_with(LOGIN, 10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    ask(bench, 1, 5);
    write_request(&w, "sluice-request", "/login", 1);
    writer_uint8(&w, 0xff); /* the name of a message that is longer than all there is */
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_MALFORMED);
    expect(bench, "/login", 1, REFUSED);
    expect(bench, "/login", 1, penalised(600));
    bench_close(bench);
}
END_TEST

UNIT_MAIN("penalty", a_subject_refused_too_often_is_refused_for_long,
          a_penalty_ends_however_often_is_asked_meanwhile, refusals_far_apart_bring_no_penalty,
          only_refusals_of_the_rule_itself_count, a_refusal_by_any_of_its_limits_counts_once,
          a_refused_cost_counts_as_one, what_a_shadow_would_refuse_is_not_penalised,
          only_subjects_for_whom_the_rule_is_enforced_are_penalised,
          who_has_no_limit_has_no_penalty, a_penalty_that_is_not_imposed_is_not_reported,
          what_a_penalty_refuses_is_charged_to_nobody, charge_denied_charges_what_a_penalty_refuses,
          a_rule_that_is_charged_later_may_penalise,
          penalties_are_counted_beside_decisions_that_wait,
          a_decision_does_not_wait_for_its_penalty, counts_under_way_are_bounded,
          a_mark_is_asked_for_once_where_it_is_known_to_refuse,
          a_mark_is_no_take_that_may_be_given_back, without_a_store_none_is_imposed,
          one_that_is_known_goes_on_without_the_store,
          on_store_error_allow_lets_pass_what_cannot_be_known,
          a_reload_keeps_a_penalty_and_what_is_being_counted, a_malformed_message_counts_nothing)
