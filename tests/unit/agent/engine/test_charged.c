/* Rules that are checked at one message and charged at another. */
#include "bench.h"
#include "main.h"

#define HEAD                                                                                       \
    "listen: tcp://127.0.0.1:0\n"                                                                  \
    "answer: [ rule, retry_after, remaining, shadow ]\n"                                           \
    "defaults: { algorithm: fixed-window, message: sluice-request }\n"                             \
    "rules:\n"

#define FAILED_LOGINS "charge: { message: response, match: { status: { in: [ 401, 403 ] } } }"

/* A response with its status and its size, to a client of 192.0.2.0/24 (0: the message says
 * nothing of it). No response is ever refused, and nothing more is said of one. */
static void respond_in(struct bench *bench, uint8_t client, int64_t status, int64_t size,
                       enum engine_outcome outcome)
{
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    struct value src = {.type = VALUE_IPV4, .address = {192, 0, 2, client}};
    struct value none = {.type = VALUE_NULL};
    struct value code = {.type = VALUE_INT32, .integer = status};
    struct value units = {.type = VALUE_INT64, .integer = size};
    spop_write_message(&w, SLICE("response"), 3);
    spop_write_argument(&w, SLICE("src"), client ? &src : &none);
    spop_write_argument(&w, SLICE("status"), &code);
    spop_write_argument(&w, SLICE("size"), &units);
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), outcome);
    if (outcome == ENGINE_ANSWERED)
        ck_assert_str_eq(next_answer(bench, 1), "allow=true deny=false");
}

static void respond(struct bench *bench, uint8_t client, int64_t status)
{
    respond_in(bench, client, status, 1, ENGINE_ANSWERED);
}

/* ---- what is charged ----------------------------------------------------------------------- */

START_TEST(only_what_the_response_says_is_charged)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: login, key: src, limits: { limit: 2, window: 1h }, " FAILED_LOGINS " }\n",
        10);
    for (int i = 0; i < 5; i++) {
        expect(bench, "/login", 1, "allow=true deny=false rule=login remaining=2");
        respond(bench, 1, 200);
    }
    respond(bench, 1, 401);
    expect(bench, "/login", 1, "allow=true deny=false rule=login remaining=1");
    respond(bench, 1, 403);
    expect(bench, "/login", 1, "allow=false deny=true retry_after=3200 rule=login remaining=0");
    respond(bench, 1, 401); /* of a request that was under way */
    expect(bench, "/login", 1, "allow=false deny=true retry_after=3200 rule=login remaining=0");
    expect(bench, "/login", 2, "allow=true deny=false rule=login remaining=2");
    bench_close(bench);
}
END_TEST

START_TEST(a_request_without_a_response_is_not_charged)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: login, key: src, limits: { limit: 1, window: 1h }, " FAILED_LOGINS " }\n",
        10);
    struct store_statistics statistics;
    for (int i = 0; i < 20; i++)
        expect(bench, "/login", 1, "allow=true deny=false rule=login remaining=1");
    store_statistics(bench->store.memory, &statistics);
    ck_assert_uint_eq(statistics.keys, 0);
    /* A response that doesn't say whose it is, is counted as such. */
    respond(bench, 0, 401);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->key_absent), 1);
    expect(bench, "/login", 1, "allow=true deny=false rule=login remaining=1");
    bench_close(bench);
}
END_TEST

START_TEST(no_response_is_refused)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: closed, key: src, limits: { limit: 0, window: 1h }, " FAILED_LOGINS " }\n"
             "  - { name: all, key: [], limits: { limit: 1, window: 1h }, " FAILED_LOGINS " }\n",
        10);
    for (int i = 0; i < 3; i++)
        respond(bench, 1, 401);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->refused), 0);
    expect(bench, "/login", 2, "allow=false deny=true retry_after=3600 rule=closed remaining=0");
    bench_close(bench);
}
END_TEST

/* ---- costs --------------------------------------------------------------------------------- */

#define BYTES                                                                                      \
    HEAD "  - { name: bytes, key: src, limits: { limit: 100, window: 1h }, cost: { arg: size }, "  \
         "charge: { message: response } }\n"

START_TEST(a_response_is_charged_what_it_says_that_it_cost)
{
    struct bench *bench = bench_with(BYTES, 10);
    respond_in(bench, 1, 200, 30, ENGINE_ANSWERED);
    expect(bench, "/", 1, "allow=true deny=false rule=bytes remaining=70");
    respond_in(bench, 1, 200, 60, ENGINE_ANSWERED);
    expect(bench, "/", 1, "allow=true deny=false rule=bytes remaining=10");
    /* More than is left: it has been sent, so what is left is used up. */
    respond_in(bench, 1, 200, 30, ENGINE_ANSWERED);
    expect(bench, "/", 1, "allow=false deny=true retry_after=3200 rule=bytes remaining=0");
    /* More than there ever is. */
    respond_in(bench, 2, 200, 1000, ENGINE_ANSWERED);
    expect(bench, "/", 2, "allow=false deny=true retry_after=3200 rule=bytes remaining=0");
    bench_close(bench);
}
END_TEST

START_TEST(a_charge_takes_what_is_left)
{
    struct bench *bench = bench_with(BYTES, 10);
    bench->store.defer = true;
    respond_in(bench, 1, 200, 1000, ENGINE_PENDING);
    ck_assert_uint_eq(bench->store.count, 1);
    ck_assert(bench->store.waiting[0]->partial);
    ck_assert_uint_eq(bench->store.waiting[0]->wanted, 100); /* more there never is */
    scripted_answer(&bench->store, 0, NOW);
    ck_assert_str_eq(next_answer(bench, 1), "allow=true deny=false");
    ck_assert_int_eq(request(bench, "/", 1, 1), ENGINE_PENDING);
    ck_assert(!bench->store.waiting[0]->partial);
    ck_assert(bench->store.waiting[0]->probe);
    scripted_answer(&bench->store, 0, NOW);
    next_answer(bench, 1);
    bench_close(bench);
}
END_TEST

/* ---- with other rules ---------------------------------------------------------------------- */

START_TEST(a_check_and_its_charge_are_apart_from_other_limits)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: login, key: src, limits: { limit: 3, window: 1h }, " FAILED_LOGINS " }\n"
             "  - { name: client, key: src, limits: { limit: 2, window: 1h } }\n",
        10);
    expect(bench, "/", 1, "allow=true deny=false rule=client remaining=1");
    respond(bench, 1, 401);
    respond(bench, 1, 401);
    respond(bench, 1, 401);
    /* What the check refuses is charged to nobody, as ever. */
    for (int i = 0; i < 5; i++)
        expect(bench, "/", 1, "allow=false deny=true retry_after=3200 rule=login remaining=0");
    expect(bench, "/", 2, "allow=true deny=false rule=client remaining=1");
    expect(bench, "/", 2, "allow=true deny=false rule=client remaining=0");
    expect(bench, "/", 2, "allow=false deny=true retry_after=3200 rule=client remaining=0");
    /* And what another refuses is charged to those that want it, not at the check. */
    respond(bench, 2, 200);
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->refused), 6);
    bench_close(bench);
}
END_TEST

START_TEST(of_several_limits_each_is_charged_what_it_has)
{
    struct bench *bench =
        bench_with(HEAD "  - name: login\n"
                        "    key: src\n"
                        "    limits: [ { limit: 2, window: 1h }, { limit: 5, window: 1d } ]\n"
                        "    " FAILED_LOGINS "\n",
                   10);
    for (int i = 0; i < 4; i++)
        respond(bench, 1, 401);
    /* The first is full after two of them; the second had all four. */
    expect(bench, "/", 1, "allow=false deny=true retry_after=3200 rule=login remaining=0");
    respond(bench, 1, 401);
    expect(bench, "/", 1, "allow=false deny=true retry_after=32000 rule=login remaining=0");
    bench_close(bench);
}
END_TEST

START_TEST(a_shadow_is_charged_and_refuses_nobody)
{
    struct bench *bench =
        bench_with(HEAD "  - { name: trial, mode: shadow, key: src, limits: { limit: 1, window: 1h "
                        "}, " FAILED_LOGINS " }\n",
                   10);
    expect(bench, "/", 1, "allow=true deny=false");
    respond(bench, 1, 401);
    expect(bench, "/", 1, "allow=true deny=false shadow=trial");
    expect(bench, "/", 2, "allow=true deny=false");
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->shadow_refused), 1);
    bench_close(bench);
}
END_TEST

/* Of 100 subjects about half are held to it, and those that are not are charged all the same. */
START_TEST(a_part_of_the_subjects_is_refused_and_all_are_charged)
{
    struct bench *bench =
        bench_with(HEAD "  - { name: half, enforce: 50%, key: src, limits: { limit: 1, window: 1h "
                        "}, " FAILED_LOGINS " }\n",
                   10);
    size_t refused = 0;
    size_t shadowed = 0;
    for (uint8_t client = 1; client <= 100; client++) {
        request(bench, "/", client, 1);
        ck_assert_ptr_nonnull(strstr(next_answer(bench, 1), "allow=true deny=false"));
        respond(bench, client, 401);
        for (int again = 0; again < 2; again++) {
            request(bench, "/", client, 1);
            const char *answer = next_answer(bench, 1);
            refused += strstr(answer, "deny=true") != NULL;
            shadowed += strstr(answer, "allow=true deny=false shadow=half") != NULL;
        }
    }
    ck_assert_uint_eq(refused + shadowed, 200);
    ck_assert_uint_eq(refused % 2, 0);
    ck_assert_uint_ge(refused, 60);
    ck_assert_uint_le(refused, 140);
    bench_close(bench);
}
END_TEST

START_TEST(who_has_no_limit_is_not_charged)
{
    struct bench *bench =
        bench_with(HEAD "  - name: login\n"
                        "    key: src\n"
                        "    limits: { limit: 1, window: 1h }\n"
                        "    overrides: [ { key: [ 192.0.2.1 ], limits: unlimited } ]\n"
                        "    " FAILED_LOGINS "\n",
                   10);
    respond(bench, 1, 401);
    respond(bench, 1, 401);
    expect(bench, "/", 1, "allow=true deny=false rule=login");
    respond(bench, 2, 401);
    expect(bench, "/", 2, "allow=false deny=true retry_after=3200 rule=login remaining=0");
    bench_close(bench);
}
END_TEST

/* ---- both in one NOTIFY, and beside `action` ----------------------------------------------- */

START_TEST(a_charge_beside_a_refusal_stays)
{
    struct bench *bench = bench_with(
        HEAD "  - { name: login, key: src, limits: { limit: 3, window: 1h }, " FAILED_LOGINS " }\n"
             "  - { name: closed, message: response, match: { status: 403 }, action: deny }\n",
        10);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    struct value src = {.type = VALUE_IPV4, .address = {192, 0, 2, 1}};
    struct value code = {.type = VALUE_INT32, .integer = 403};
    for (int i = 0; i < 2; i++) { /* one request and one response */
        spop_write_message(&w, i ? SLICE("response") : SLICE("sluice-request"), 2);
        spop_write_argument(&w, SLICE("src"), &src);
        spop_write_argument(&w, SLICE("status"), &code);
    }
    ck_assert_int_eq(notify(bench, writer_slice(&w), 1), ENGINE_ANSWERED);
    ck_assert_str_eq(next_answer(bench, 1), "allow=false deny=true rule=closed");
    expect(bench, "/", 1, "allow=true deny=false rule=login remaining=2");
    bench_close(bench);
}
END_TEST

/* ---- where the store fails, and through a reload ------------------------------------------- */

START_TEST(the_agents_own_store_stands_in_for_checks_and_charges)
{
    struct bench *bench = bench_shared(
        HEAD "  - { name: login, key: src, limits: { limit: 4, window: 1h }, on_store_error: "
             "local, " FAILED_LOGINS " }\n",
        10, 2);
    bench->store.broken = STORE_UNAVAILABLE;
    expect(bench, "/", 1, "allow=true deny=false rule=login remaining=2"); /* 4 / 2 */
    respond(bench, 1, 401);
    expect(bench, "/", 1, "allow=true deny=false rule=login remaining=1");
    respond(bench, 1, 401);
    expect(bench, "/", 1, "allow=false deny=true retry_after=3200 rule=login remaining=0");
    /* Only charges let something through. */
    ck_assert_uint_eq(counter_read(&engine_counters(bench->engine)->fallback_units), 2);
    bench_close(bench);
}
END_TEST

START_TEST(no_late_charge_is_withdrawn)
{
    struct bench *bench = bench_shared(
        HEAD "  - { name: login, key: src, limits: { limit: 1, window: 1h }, " FAILED_LOGINS " }\n",
        10, 1);
    bench->store.broken = STORE_LATE;
    for (int i = 0; i < 3; i++)
        respond(bench, 1, 401);
    ck_assert_uint_eq(bench->store.withdrawn, 0);
    bench_close(bench);
}
END_TEST

START_TEST(a_reload_between_request_and_response)
{
    static const char text[] =
        HEAD "  - { name: login, key: src, limits: { limit: 2, window: 1h }, " FAILED_LOGINS " }\n";
    static const char raised[] =
        HEAD "  - { name: login, key: src, limits: { limit: 5, window: 1h }, " FAILED_LOGINS " }\n";
    struct bench *bench = bench_with(text, 10);
    struct ruleset *rules = load(raised);
    bench->store.defer = true;
    respond_in(bench, 1, 401, 1, ENGINE_PENDING);
    ck_assert(engine_use(bench->engine, rules));
    ruleset_release(rules); /* the first rules are the pending charge's alone */
    scripted_answer(&bench->store, 0, NOW);
    ck_assert_str_eq(next_answer(bench, 1), "allow=true deny=false");
    bench->store.defer = false;
    expect(bench, "/", 1, "allow=true deny=false rule=login remaining=4");
    bench_close(bench);
}
END_TEST

UNIT_MAIN("charged", only_what_the_response_says_is_charged,
          a_request_without_a_response_is_not_charged, no_response_is_refused,
          a_response_is_charged_what_it_says_that_it_cost, a_charge_takes_what_is_left,
          a_check_and_its_charge_are_apart_from_other_limits,
          of_several_limits_each_is_charged_what_it_has, a_shadow_is_charged_and_refuses_nobody,
          a_part_of_the_subjects_is_refused_and_all_are_charged, who_has_no_limit_is_not_charged,
          a_charge_beside_a_refusal_stays, the_agents_own_store_stands_in_for_checks_and_charges,
          no_late_charge_is_withdrawn, a_reload_between_request_and_response)
