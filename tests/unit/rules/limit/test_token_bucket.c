#include "key.h"

/* A unit every 100 ms, up to 3 at once. */
static const struct limit ten_a_second = {LIMIT_TOKEN_BUCKET, 10, 1000000, 3};

START_TEST(a_burst_and_then_the_rate)
{
    struct key key = key_open(ten_a_second);
    expect_take(&key, EPOCH_DAY, 1, 1, 2, 0, 100000);
    expect_take(&key, EPOCH_DAY, 3, 2, 0, 100000, 300000);
    expect_take(&key, EPOCH_DAY, 1, 0, 0, 100000, 300000);
    expect_take(&key, EPOCH_DAY + 99999, 1, 0, 0, 1, 200001);
    expect_take(&key, EPOCH_DAY + 100000, 1, 1, 0, 0, 300000);
    expect_take(&key, EPOCH_DAY + 350000, 3, 2, 0, 50000, 250000);
    expect_take(&key, EPOCH_DAY + 350000, 4, 0, 0, LIMIT_NEVER, 250000);
}
END_TEST

START_TEST(it_never_holds_more_than_the_burst)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 3);
    expect_peek(&key, EPOCH_DAY + 299999, 3, 2, 0, 1, 200001);
    expect_peek(&key, EPOCH_DAY + 300000, 3, 3, 0, 0, 300000);
    expect_take(&key, EPOCH_DAY + 86400000000, 4, 3, 0, LIMIT_NEVER, 300000);
}
END_TEST

START_TEST(burst_1_spaces_units_evenly)
{
    struct key key = key_open((struct limit){LIMIT_TOKEN_BUCKET, 10, 1000000, 1});
    expect_take(&key, EPOCH_DAY, 1, 1, 0, 0, 100000);
    expect_take(&key, EPOCH_DAY + 99999, 1, 0, 0, 1, 1);
    expect_take(&key, EPOCH_DAY + 100000, 1, 1, 0, 0, 100000);
    expect_take(&key, EPOCH_DAY + 100000, 2, 0, 0, LIMIT_NEVER, 100000);
}
END_TEST

/* A unit takes 333 1/3 us: were any of it rounded, this would be off by a second in the end. */
START_TEST(refill_does_not_drift)
{
    struct key key = key_open((struct limit){LIMIT_TOKEN_BUCKET, 3, 1000, 2});
    ck_assert_uint_eq(key_take(&key, EPOCH_DAY, 2).granted, 2);
    uint64_t early = 0;
    uint64_t in_time = 0;
    for (uint64_t i = 1; i <= 3000000; i++) {
        uint64_t now = EPOCH_DAY + (i * 1000 + 2) / 3;
        early += key_take(&key, now - 1, 1).granted;
        in_time += key_take(&key, now, 1).granted;
    }
    ck_assert_uint_eq(early, 0);
    ck_assert_uint_eq(in_time, 3000000);
}
END_TEST

START_TEST(refill_does_not_drift_while_in_use)
{
    /* Never idle, so nothing at all is lost: in 3 s 9,000 units and the burst, to the unit. */
    struct key key = key_open((struct limit){LIMIT_TOKEN_BUCKET, 3, 1000, 2});
    uint64_t granted = 0;
    for (uint64_t t = 0; t <= 3000000; t += 250)
        granted += key_take(&key, EPOCH_DAY + t, 2).granted;
    ck_assert_uint_eq(granted, 9000 + 2);
}
END_TEST

START_TEST(the_largest_limit)
{
    struct limit limit = {LIMIT_TOKEN_BUCKET, LIMIT_UNITS_MAX, LIMIT_WINDOW_MAX, LIMIT_UNITS_MAX};
    struct key key = key_open(limit);
    uint64_t now = (UINT64_C(1) << 62) - LIMIT_WINDOW_MAX;
    expect_take(&key, now, UINT64_MAX, LIMIT_UNITS_MAX, 0, LIMIT_NEVER, LIMIT_WINDOW_MAX);
    /* A unit is 31,622.4 us. */
    expect_take(&key, now, 1, 0, 0, 31623, LIMIT_WINDOW_MAX);
    expect_take(&key, now, 5, 0, 0, 158112, LIMIT_WINDOW_MAX);
    expect_take(&key, now + 158111, 5, 4, 0, 1, LIMIT_WINDOW_MAX - 158111 + 126490);
    expect_take(&key, now + 158112, 1, 1, 0, 0, LIMIT_WINDOW_MAX);
    expect_take(&key, now + 158112, LIMIT_UNITS_MAX, 0, 0, LIMIT_WINDOW_MAX, LIMIT_WINDOW_MAX);

    /* The fastest rate: a million units a microsecond. */
    key = key_open((struct limit){LIMIT_TOKEN_BUCKET, LIMIT_UNITS_MAX, 1000, LIMIT_UNITS_MAX});
    key_take(&key, now, LIMIT_UNITS_MAX);
    expect_take(&key, now, 1, 0, 0, 1, 1000);
    expect_take(&key, now + 1, 1000001, 1000000, 0, 1, 1000);
}
END_TEST

START_TEST(given_back_what_it_has_not_refilled_meanwhile)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 3);
    key_give(&key, EPOCH_DAY, EPOCH_DAY, 1);
    expect_peek(&key, EPOCH_DAY, 3, 1, 0, 200000, 300000);
    /* 150 ms after five were taken three and a half are missing. Of three given back one and a half
     * were refilled meanwhile, so two are missing yet. */
    key = key_open((struct limit){LIMIT_TOKEN_BUCKET, 10, 1000000, 10});
    key_take(&key, EPOCH_DAY, 5);
    key_give(&key, EPOCH_DAY + 150000, EPOCH_DAY, 3);
    expect_peek(&key, EPOCH_DAY + 150000, 10, 8, 0, 200000, 1000000);
    key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 3);
    key_give(&key, EPOCH_DAY + 200000, EPOCH_DAY, 2); /* all of it refilled */
    expect_peek(&key, EPOCH_DAY + 200000, 3, 2, 0, 100000, 300000);
    key_give(&key, EPOCH_DAY + 200000, EPOCH_DAY, 3); /* 1 of 3 is left to give */
    expect_peek(&key, EPOCH_DAY + 200000, 3, 3, 0, 0, 300000);
}
END_TEST

/* One thread takes at t, another whose clock is ahead takes all that has been refilled since; then
 * the first gives back, at t as it sees it. What it had was refilled long since. */
START_TEST(giving_back_late_is_not_a_refill)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 1);
    ck_assert_uint_eq(key_take(&key, EPOCH_DAY + 100000, 3).granted, 3);
    key_give(&key, EPOCH_DAY, EPOCH_DAY, 1);
    expect_peek(&key, EPOCH_DAY + 100000, 1, 0, 0, 100000, 300000);
}
END_TEST

START_TEST(late_takes_are_taken_at_the_latest)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 2);
    expect_take(&key, EPOCH_DAY - 50000, 2, 1, 0, 100000, 300000);
    expect_take(&key, EPOCH_DAY - LIMIT_LATE_MAX, 1, 0, 0, 100000, 300000);
    expect_take(&key, EPOCH_DAY + 99999, 1, 0, 0, 1, 200001);
    expect_take(&key, EPOCH_DAY + 100000, 1, 1, 0, 0, 300000);
}
END_TEST

START_TEST(a_clock_set_back_starts_anew)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 3);
    uint64_t now = EPOCH_DAY - LIMIT_LATE_MAX - 1;
    key_give(&key, now, now, 3); /* nothing is known that could be given back to */
    expect_peek(&key, EPOCH_DAY, 1, 0, 0, 100000, 300000);
    expect_take(&key, now, 4, 3, 0, LIMIT_NEVER, 300000);
    expect_take(&key, now + 100000, 1, 1, 0, 0, 300000);
}
END_TEST

START_TEST(a_reload_that_changes_burst_or_rate)
{
    struct key key = key_open((struct limit){LIMIT_TOKEN_BUCKET, 10, 1000000, 100});
    key_take(&key, EPOCH_DAY, 100); /* full again in 10 s */
    key.limit.burst = 3;
    /* As if it had been emptied at the last take: never longer than a burst of 3 can take. */
    expect_take(&key, EPOCH_DAY, 3, 0, 0, 300000, 300000);
    expect_take(&key, EPOCH_DAY + 100000, 1, 1, 0, 0, 300000);
    expect_take(&key, EPOCH_DAY + 400000, 4, 3, 0, LIMIT_NEVER, 300000);
    key.limit.units = 1; /* 300 ms of debt are less than a unit now */
    expect_take(&key, EPOCH_DAY + 400000, 3, 2, 0, 300000, 2300000);
    key.limit.units = 100;
    expect_take(&key, EPOCH_DAY + 400000, 3, 0, 0, 30000, 30000);
    /* A fraction that was of more units than there are now is less than a microsecond. */
    key.state.bucket.fraction = UINT64_MAX;
    key.state.bucket.arrival = key.state.bucket.latest;
    expect_take(&key, EPOCH_DAY + 400000, 3, 2, 0, 1, 20001);
}
END_TEST

UNIT_MAIN("token_bucket", a_burst_and_then_the_rate, it_never_holds_more_than_the_burst,
          burst_1_spaces_units_evenly, refill_does_not_drift, refill_does_not_drift_while_in_use,
          the_largest_limit, given_back_what_it_has_not_refilled_meanwhile,
          giving_back_late_is_not_a_refill, late_takes_are_taken_at_the_latest,
          a_clock_set_back_starts_anew, a_reload_that_changes_burst_or_rate)
