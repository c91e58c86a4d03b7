#include <inttypes.h>

#include "random.h"
#include "redis_limits.h"

/* ---- replies ------------------------------------------------------------------------------- */

static const struct redis_limit_reply nil = {.type = REDIS_LIMIT_REPLY_NIL};
static const struct redis_limit_reply made = {.type = REDIS_LIMIT_REPLY_TEXT,
                                              .text = {(const uint8_t *)"OK", 2}};
static const struct redis_limit_reply no_room = {.type = REDIS_LIMIT_REPLY_ERROR,
                                                 .text = {(const uint8_t *)"OOM", 3}};
static const struct redis_limit_reply no_script = {
    .type = REDIS_LIMIT_REPLY_ERROR, .text = {(const uint8_t *)"NOSCRIPT No matching script", 27}};

static struct redis_limit_reply number(int64_t n)
{
    return (struct redis_limit_reply){.type = REDIS_LIMIT_REPLY_INTEGER, .integer = n};
}

static struct redis_limit_reply text(const char *t)
{
    return (struct redis_limit_reply){.type = REDIS_LIMIT_REPLY_TEXT, .text = slice_of_string(t)};
}

static struct redis_limit_outcome read_take(int line, const struct redis_limit_request *request,
                                            enum redis_limit_status expected,
                                            const struct redis_limit_reply *replies, size_t count)
{
    struct redis_limit_outcome outcome;
    memset(&outcome, 0xff, sizeof(outcome));
    enum redis_limit_status status = redis_limit_read_take(request, replies, count, &outcome);
    ck_assert_msg(status == expected, "line %d: status %d, expected %d", line, (int)status,
                  (int)expected);
    return outcome;
}

#define READ(request, status, ...)                                                                 \
    read_take(__LINE__, (request), REDIS_LIMIT_##status,                                           \
              (const struct redis_limit_reply[]){__VA_ARGS__},                                     \
              sizeof((const struct redis_limit_reply[]){__VA_ARGS__}) /                            \
                  sizeof(struct redis_limit_reply))

static void expect_outcome(int line, const struct redis_limit_outcome *o, uint64_t surplus,
                           struct limit_result expected)
{
    struct limit_result r = o->result;
    ck_assert_msg(r.granted == expected.granted && r.remaining == expected.remaining &&
                      r.retry_after == expected.retry_after &&
                      r.reset_after == expected.reset_after && o->surplus == surplus,
                  "line %d: surplus %" PRIu64 ", granted %" PRIu64 ", remaining %" PRIu64
                  ", retry %" PRIu64 ", reset %" PRIu64,
                  line, o->surplus, r.granted, r.remaining, r.retry_after, r.reset_after);
}

/* EXPECT(outcome, surplus, granted, remaining, retry_after, reset_after) */
#define EXPECT(outcome, surplus, ...)                                                              \
    expect_outcome(__LINE__, &(outcome), (surplus), (struct limit_result){__VA_ARGS__})

START_TEST(tickets_of_a_fixed_window)
{
    uint64_t now = START + 20 * SECOND;
    struct redis_limit_request request = request_of(&fixed, now, 4);
    struct redis_limit_outcome o = READ(&request, ANSWERED, number(4 + 1));
    EXPECT(o, 0, 4, 5, 0, 40 * SECOND);
    ck_assert_uint_eq(o.taken_at, now);
    ck_assert(!o.repair.needed);
    o = READ(&request, ANSWERED, number(10));
    EXPECT(o, 0, 4, 0, 0, 40 * SECOND);
    o = READ(&request, ANSWERED, number(11));
    EXPECT(o, 1, 3, 0, 40 * SECOND, 40 * SECOND);
    o = READ(&request, ANSWERED, number(14));
    EXPECT(o, 4, 0, 0, 40 * SECOND, 40 * SECOND);
    o = READ(&request, ANSWERED, number(INT64_MAX));
    EXPECT(o, 4, 0, 0, 40 * SECOND, 40 * SECOND);
    request.units = 11;
    o = READ(&request, ANSWERED, number(10 + 1));
    EXPECT(o, 1, 9, 0, LIMIT_NEVER, 40 * SECOND);
}
END_TEST

START_TEST(tickets_of_a_sliding_window)
{
    uint64_t now = START + 15 * SECOND;
    struct redis_limit_request request = request_of(&sliding, now, 2);
    request.first = true;
    /* 8 * 45 / 60 = 6 of the window before; 1 of this one. */
    struct redis_limit_outcome o = READ(&request, ANSWERED, text("8"), nil, number(2 + 1));
    EXPECT(o, 0, 2, 1, 0, 105 * SECOND);
    ck_assert_uint_eq(o.previous, 8);
    o = READ(&request, ANSWERED, nil, made, number(2));
    EXPECT(o, 0, 2, 8, 0, 105 * SECOND);
    ck_assert_uint_eq(o.previous, 0);
    request.first = false;
    request.previous = 8;
    o = READ(&request, ANSWERED, number(2 + 3));
    EXPECT(o, 1, 1, 0, 150 * SECOND / 10 / 2, 105 * SECOND);
    ck_assert_uint_eq(o.previous, 8);
}
END_TEST

/* Whoever hammers on a refusal has tickets under way that are given back. Were they counted, here
 * or in the window after, the refusal would last longer the more of them there are. */
START_TEST(a_surplus_under_way_prolongs_nothing)
{
    struct redis_limit_request request = request_of(&sliding, START + 15 * SECOND, 1);
    struct redis_limit_outcome full = READ(&request, ANSWERED, number(10 + 1));
    struct redis_limit_outcome over = READ(&request, ANSWERED, number(1000000 + 1));
    EXPECT(over, 1, 0, 0, full.result.retry_after, full.result.reset_after);
    ck_assert_uint_eq(full.result.retry_after, 45 * SECOND + 6 * SECOND);
    request.first = true;
    full = READ(&request, ANSWERED, text("10"), nil, number(1));
    over = READ(&request, ANSWERED, text("1000000"), nil, number(1));
    EXPECT(over, 0, 1, 1, 0, full.result.reset_after);
    EXPECT(full, 0, 1, 1, 0, full.result.reset_after);
}
END_TEST

START_TEST(a_counter_made_anew_gets_a_time_to_live)
{
    struct redis_limit_request request = request_of(&fixed, START + 20 * SECOND, 4);
    struct redis_limit_outcome o = READ(&request, ANSWERED, number(4));
    EXPECT(o, 0, 4, 6, 0, 40 * SECOND);
    expect_repair(__LINE__, &request, &o.repair, "PEXPIRE s{a}:r:29166667 41000");
    request.first = true;
    o = READ(&request, ANSWERED, made, number(4));
    ck_assert(!o.repair.needed);
    o = READ(&request, ANSWERED, nil, number(4 + 1));
    ck_assert(!o.repair.needed);
    o = READ(&request, ANSWERED, nil, number(4)); /* expired between the two commands */
    ck_assert(o.repair.needed);
    o = READ(&request, ANSWERED, no_room, number(4 + 1)); /* it may have been made by INCRBY */
    ck_assert(o.repair.needed);
    EXPECT(o, 0, 4, 5, 0, 40 * SECOND);
}
END_TEST

START_TEST(a_give_to_a_lost_counter_is_taken_back)
{
    struct redis_limit_request request = request_of(&fixed, START + 20 * SECOND, 4);
    request.taken_at = START + 10 * SECOND;
    struct redis_limit_repair repair;
    struct redis_limit_reply reply = number(0);
    ck_assert_int_eq(redis_limit_read_give(&request, &reply, 1, &repair), REDIS_LIMIT_ANSWERED);
    expect_repair(__LINE__, &request, &repair, "");
    reply = number(-1);
    ck_assert_int_eq(redis_limit_read_give(&request, &reply, 1, &repair), REDIS_LIMIT_ANSWERED);
    expect_repair(__LINE__, &request, &repair,
                  "INCRBY s{a}:r:29166667 1; PEXPIRE s{a}:r:29166667 41000");
    reply = number(INT64_MIN);
    ck_assert_int_eq(redis_limit_read_give(&request, &reply, 1, &repair), REDIS_LIMIT_ANSWERED);
    expect_repair(__LINE__, &request, &repair,
                  "INCRBY s{a}:r:29166667 4; PEXPIRE s{a}:r:29166667 41000");
    request.now = START + 10 * MINUTE; /* it took its time */
    expect_repair(__LINE__, &request, &repair,
                  "INCRBY s{a}:r:29166667 4; PEXPIRE s{a}:r:29166667 1000");
    ck_assert_int_eq(redis_limit_read_give(&request, &no_room, 1, &repair), REDIS_LIMIT_FAILED);
    ck_assert(!repair.needed);
}
END_TEST

START_TEST(replies_of_a_window_that_make_no_sense)
{
    struct redis_limit_request request = request_of(&sliding, START, 4);
    request.first = true;
    struct redis_limit_outcome o = READ(&request, FAILED, nil, made, no_room);
    EXPECT(o, 0, 0, 0, 0, 0);
    o = READ(&request, FAILED, nil, made, text("4"));
    EXPECT(o, 0, 0, 0, 0, 0);
    o = READ(&request, FAILED, made, number(4));
    EXPECT(o, 0, 0, 0, 0, 0);
    o = READ(&request, FAILED, nil, nil, made, number(4));
    EXPECT(o, 0, 0, 0, 0, 0);
    o = read_take(__LINE__, &request, REDIS_LIMIT_FAILED, NULL, 0);
    EXPECT(o, 0, 0, 0, 0, 0);
    /* Tickets were drawn, so they are to be given back, though the answer isn't known. */
    o = READ(&request, FAILED, no_room, made, number(4));
    EXPECT(o, 4, 0, 0, 0, 0);
    ck_assert_uint_eq(o.taken_at, START);
    static const char *const counts[] = {"", "-1", "1.5", "99999999999999999999", "1 "};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        o = READ(&request, FAILED, text(counts[i]), made, number(4));
        EXPECT(o, 4, 0, 0, 0, 0);
    }
    o = READ(&request, FAILED, nil, nil, number(3));
    EXPECT(o, 4, 0, 0, 0, 0);
    o = READ(&request, FAILED, nil, nil, number(INT64_MIN));
    EXPECT(o, 4, 0, 0, 0, 0);
    o = READ(&request, FAILED, number(1), made, number(4)); /* GET never says that */
    EXPECT(o, 4, 0, 0, 0, 0);
}
END_TEST

static struct redis_limit_reply numbers(size_t count, const int64_t *n)
{
    struct redis_limit_reply reply = {.type = REDIS_LIMIT_REPLY_NUMBERS, .count = count};
    memcpy(reply.numbers, n, count * sizeof(*n));
    return reply;
}

#define NUMBERS(...)                                                                               \
    numbers(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                              \
            (const int64_t[]){__VA_ARGS__})

START_TEST(answers_of_the_bucket)
{
    const int64_t now = (int64_t)START;
    struct redis_limit_request request = request_of(&bucket, 0, 4);
    /* now, granted, arrival, fraction, latest: a unit is refilled in 6 s. */
    struct redis_limit_outcome o = READ(&request, ANSWERED, NUMBERS(now, 4, 0, 0, 0));
    EXPECT(o, 0, 4, 1, 0, 24 * SECOND);
    ck_assert_uint_eq(o.taken_at, START);
    o = READ(&request, ANSWERED, NUMBERS(now, 1, now + 24000000, 0, now));
    EXPECT(o, 0, 1, 0, 18 * SECOND, 30 * SECOND);
    o = READ(&request, ANSWERED, NUMBERS(now, 0, now + 24000000, 1, now));
    EXPECT(o, 0, 0, 0, 18 * SECOND + 1, 24 * SECOND + 1);
}
END_TEST

START_TEST(answers_of_the_log)
{
    const int64_t now = (int64_t)START;
    struct redis_limit_request request = request_of(&log_of_10, 0, 4);
    /* now, granted, latest, live, leaving, newest, next */
    struct redis_limit_outcome o = READ(&request, ANSWERED, NUMBERS(now, 4, 0, 0, 0, 0, 0));
    EXPECT(o, 0, 4, 6, 0, MINUTE);
    ck_assert_uint_eq(o.taken_at, START);
    o = READ(&request, ANSWERED, NUMBERS(now, 1, now, 9, now - 50000000, now, now - 55000000));
    EXPECT(o, 0, 1, 0, 10 * SECOND, MINUTE);
    ck_assert_uint_eq(o.next_after, 5 * SECOND);
    o = READ(&request, ANSWERED, NUMBERS(now, 0, now, 10, now - 50000000, now - 1, now - 55000000));
    EXPECT(o, 0, 0, 0, 10 * SECOND, MINUTE - 1);
    request.units = 11;
    o = READ(&request, ANSWERED, NUMBERS(now, 1, now, 9, now - 50000000, now, now - 55000000));
    EXPECT(o, 0, 1, 0, LIMIT_NEVER, MINUTE);
}
END_TEST

START_TEST(a_script_that_is_not_known)
{
    struct redis_limit_request request = request_of(&bucket, 0, 4);
    struct redis_limit_repair repair;
    struct redis_limit_outcome o = READ(&request, NO_SCRIPT, no_script);
    EXPECT(o, 0, 0, 0, 0, 0);
    ck_assert_int_eq(redis_limit_read_give(&request, &no_script, 1, &repair),
                     REDIS_LIMIT_NO_SCRIPT);
    struct redis_limit_reply done = number(1);
    ck_assert_int_eq(redis_limit_read_give(&request, &done, 1, &repair), REDIS_LIMIT_ANSWERED);
    ck_assert_int_eq(redis_limit_read_give(&request, &no_room, 1, &repair), REDIS_LIMIT_FAILED);
    ck_assert(!repair.needed);
    request.limit = &log_of_10;
    o = READ(&request, NO_SCRIPT, no_script);
    EXPECT(o, 0, 0, 0, 0, 0);
    request.limit = &fixed; /* no script of ours */
    o = READ(&request, FAILED, no_script);
    EXPECT(o, 0, 0, 0, 0, 0);
}
END_TEST

START_TEST(replies_of_a_script_that_make_no_sense)
{
    const int64_t now = (int64_t)START;
    struct redis_limit_request request = request_of(&bucket, 0, 4);
    READ(&request, FAILED, no_room);
    READ(&request, FAILED, number(4));
    READ(&request, FAILED, NUMBERS(now, 4, 0, 0, 0), NUMBERS(now, 4, 0, 0, 0));
    read_take(__LINE__, &request, REDIS_LIMIT_FAILED, NULL, 0);
    READ(&request, FAILED, NUMBERS(now, 4, 0, 0));
    READ(&request, FAILED, NUMBERS(now, 4, 0, 0, 0, 0));
    READ(&request, FAILED, NUMBERS(now, 3, 0, 0, 0));
    READ(&request, FAILED, NUMBERS(now, 5, 0, 0, 0));
    READ(&request, FAILED, NUMBERS(now, 4, -1, 0, 0));
    READ(&request, FAILED, NUMBERS(INT64_C(1) << 52, 4, 0, 0, 0));
    request.limit = &log_of_10;
    READ(&request, FAILED, NUMBERS(now, 4, 0, 0, 0));
    READ(&request, FAILED, NUMBERS(now, 5, 0, 0, 0, 0, now));
    READ(&request, FAILED, NUMBERS(now, 4, 0, -1, 0, 0, now));
    READ(&request, FAILED, NUMBERS(now, 0, now, 10001, now, now, now));
    READ(&request, FAILED, NUMBERS(now, 0, now, 10, now + 1, now, now)); /* leaves too late */
    READ(&request, FAILED, NUMBERS(now, 0, now, 10, now - 60000000, now, now)); /* is gone */
    READ(&request, FAILED, NUMBERS(now, 0, now, 10, now, now - 60000000, now)); /* so is this */
    READ(&request, FAILED, NUMBERS(now, 1, now, 9, 0, now, now));               /* which leaves? */
    READ(&request, FAILED,
         NUMBERS(now, 3, now + 60000001, 7, now, now + 1, now));      /* of the future */
    READ(&request, FAILED, NUMBERS(now, 1, now, 9, now - 1, now, 0)); /* and next? */
    READ(&request, FAILED, NUMBERS(now, 1, now, 9, now - 1, now, now - 60000000));
}
END_TEST

/* ---- any replies at all -------------------------------------------------------------------- */

static int64_t random_number(struct random *random)
{
    switch (random_below(random, 5)) {
    case 0:
        return (int64_t)random_below(random, 16) - 2;
    case 1:
        return (int64_t)(START + random_below(random, 4 * MINUTE)) - (int64_t)(2 * MINUTE);
    case 2:
        return INT64_MAX - (int64_t)random_below(random, 3);
    case 3:
        return INT64_MIN + (int64_t)random_below(random, 3);
    default:
        return (int64_t)(random_next(random) >> random_below(random, 64));
    }
}

static struct redis_limit_reply random_reply(struct random *random)
{
    static const char *const texts[] = {"OK", "7", "NOSCRIPT", "-1", "99999999999999999999", ""};
    struct redis_limit_reply reply = {
        .type = (enum redis_limit_reply_type)random_below(random, REDIS_LIMIT_REPLY_OTHER + 1),
        .integer = random_number(random),
        .text = slice_of_string(texts[random_below(random, sizeof(texts) / sizeof(texts[0]))]),
        .count = random_below(random, 3) ? 5 + random_below(random, 3)
                                         : random_below(random, REDIS_LIMIT_NUMBERS + 1),
    };
    for (size_t i = 0; i < reply.count; i++)
        reply.numbers[i] = random_number(random);
    return reply;
}

START_TEST(no_replies_grant_more_than_the_limit)
{
    struct random random = random_open("no_replies_grant_more_than_the_limit");
    static const struct limit *const limits[] = {&fixed, &sliding, &bucket, &log_of_10};
    uint64_t answered = 0;
    for (int i = 0; i < 2000000; i++) {
        const struct limit *limit = limits[i % 4];
        struct redis_limit_request request =
            request_of(limit, START + random_below(&random, MINUTE), 1 + random_below(&random, 12));
        request.first = random_below(&random, 2);
        request.previous = (uint64_t)random_number(&random);
        request.taken_at = START;
        struct redis_limit_reply replies[4];
        size_t count = random_below(&random, 5);
        for (size_t n = 0; n < count; n++)
            replies[n] = random_reply(&random);
        struct redis_limit_outcome o;
        enum redis_limit_status status = redis_limit_read_take(&request, replies, count, &o);
        struct limit_result r = o.result;
        bool sane = r.granted <= request.units && o.surplus <= request.units - r.granted &&
                    r.granted + r.remaining <= limit_capacity(limit) &&
                    (r.retry_after <= 2 * limit->window || r.retry_after == LIMIT_NEVER) &&
                    r.reset_after <= 2 * limit->window;
        if (status != REDIS_LIMIT_ANSWERED)
            sane = sane && r.granted == 0;
        else if (r.granted < request.units)
            sane = sane && r.retry_after > 0;
        if (!sane)
            ck_abort_msg("step %d: granted %" PRIu64 ", remaining %" PRIu64 ", surplus %" PRIu64
                         ", retry %" PRIu64 ", reset %" PRIu64,
                         i, r.granted, r.remaining, o.surplus, r.retry_after, r.reset_after);
        answered += status == REDIS_LIMIT_ANSWERED;
        struct redis_limit_repair repair;
        redis_limit_read_give(&request, replies, count, &repair);
        if (repair.units > request.units)
            ck_abort_msg("step %d: a repair of %" PRIu64 " units", i, repair.units);
    }
    ck_assert_uint_gt(answered, 1000);
}
END_TEST

UNIT_MAIN("redis_replies", tickets_of_a_fixed_window, tickets_of_a_sliding_window,
          a_surplus_under_way_prolongs_nothing, a_counter_made_anew_gets_a_time_to_live,
          a_give_to_a_lost_counter_is_taken_back, replies_of_a_window_that_make_no_sense,
          answers_of_the_bucket, answers_of_the_log, a_script_that_is_not_known,
          replies_of_a_script_that_make_no_sense, no_replies_grant_more_than_the_limit)
