#include "key.h"

static const struct limit ten_a_second = {LIMIT_SLIDING_WINDOW, 10, 1000000, 0};

START_TEST(the_previous_window_weighs_less_and_less)
{
    struct key key = key_open(ten_a_second);
    expect_take(&key, EPOCH_DAY + 999999, 10, 10, 0, 0, 1000001);
    uint64_t next = EPOCH_DAY + 1000000;
    /* Its 10 weigh 10 x 0.9 = 9 from 100 ms on, and not a microsecond before. */
    expect_take(&key, next, 1, 0, 0, 100000, 1000000);
    expect_take(&key, next + 99999, 1, 0, 0, 1, 900001);
    expect_take(&key, next + 100000, 1, 1, 0, 0, 1900000);
    /* 10 x 0.5 + 1: four more, and for five another 100 ms. */
    expect_take(&key, next + 500000, 5, 4, 0, 100000, 1500000);
    key_give(&key, next + 500000, next + 500000, 4);
    expect_take(&key, next + 600000, 5, 5, 0, 0, 1400000);
}
END_TEST

START_TEST(weights_that_are_not_whole)
{
    /* 7 of 10 in the window before: 7 x (1000 - e) / 1000. */
    struct key key = key_open((struct limit){LIMIT_SLIDING_WINDOW, 10, 1000, 0});
    key_take(&key, EPOCH_DAY, 7);
    uint64_t next = EPOCH_DAY + 1000;
    ck_assert_uint_eq(key_peek(&key, next, 9).granted, 3);
    ck_assert_uint_eq(key_peek(&key, next + 1, 9).granted, 3); /* 6.993 weighs as 7 */
    /* A 4th: 7 (1000 - e) <= 6000 from e = 142.86 on. */
    ck_assert_uint_eq(key_peek(&key, next, 4).retry_after, 143);
    ck_assert_uint_eq(key_peek(&key, next + 142, 4).granted, 3);
    ck_assert_uint_eq(key_peek(&key, next + 143, 4).granted, 4);
    /* All 10 fit only when nothing is left of the 7. */
    ck_assert_uint_eq(key_peek(&key, next, 10).retry_after, 1000);
    ck_assert_uint_eq(key_peek(&key, next + 999, 10).granted, 9);
    ck_assert_uint_eq(key_peek(&key, next + 1000, 10).granted, 10);
}
END_TEST

START_TEST(retry_in_this_window_the_next_or_the_one_after)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 8);
    uint64_t next = EPOCH_DAY + 1000000;
    key_take(&key, next, 2); /* previous 8, current 2: full */
    /* 3 more fit here when the 8 weigh 5: at 375 ms. */
    expect_peek(&key, next, 3, 0, 0, 375000, 2000000);
    /* 8 more when they weigh nothing, which is where the next window begins. */
    expect_peek(&key, next, 8, 0, 0, 1000000, 2000000);
    /* 9 more when the 2 weigh 1, half way through the next window. */
    expect_peek(&key, next, 9, 0, 0, 1500000, 2000000);
    /* 10 when the 2 are gone as well, two windows from here. */
    expect_peek(&key, next + 250000, 10, 2, 0, 1750000, 1750000);
}
END_TEST

START_TEST(more_than_a_window_of_silence_forgets_both)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY + 500000, 10);
    expect_peek(&key, EPOCH_DAY + 1999999, 10, 9, 0, 1, 2000000 - 999999);
    expect_take(&key, EPOCH_DAY + 2000000, 10, 10, 0, 0, 2000000);
    expect_take(&key, EPOCH_DAY + 9000000, 10, 10, 0, 0, 2000000);
}
END_TEST

START_TEST(reset_only_when_neither_has_weight)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 1);
    uint64_t next = EPOCH_DAY + 1000000;
    ck_assert_uint_eq(limit_peek(&key.limit, &key.state, next + 999999, 11).granted, 9);
    /* Nothing granted: what is left is the previous window's. */
    key.limit.units = 1;
    expect_peek(&key, next + 250000, 1, 0, 0, 750000, 750000);
    expect_peek(&key, next + 1000000, 1, 1, 0, 0, 2000000);
}
END_TEST

START_TEST(the_trailing_window_that_sees_nearly_twice_the_limit)
{
    struct key key = key_open(ten_a_second);
    uint64_t next = EPOCH_DAY + 1000000;
    uint64_t admitted = key_take(&key, next - 1, 10).granted;
    /* The trailing window that ends here still holds all ten. */
    for (uint64_t now = next; now <= next + 999998; now++)
        admitted += key_take(&key, now, 1).granted;
    ck_assert_uint_eq(admitted, 10 + 10 * (UINT64_C(1000000) - 2) / 1000000);
    ck_assert_uint_eq(admitted, 19);
}
END_TEST

START_TEST(the_largest_limit)
{
    struct key key =
        key_open((struct limit){LIMIT_SLIDING_WINDOW, LIMIT_UNITS_MAX, LIMIT_WINDOW_MAX, 0});
    uint64_t start = UINT64_C(145000) * LIMIT_WINDOW_MAX; /* nearly 2^62 */
    expect_take(&key, start, LIMIT_UNITS_MAX, LIMIT_UNITS_MAX, 0, 0, 2 * LIMIT_WINDOW_MAX);
    uint64_t next = start + LIMIT_WINDOW_MAX;
    /* A unit weighs less after window / units = 31,622.4 us. */
    expect_peek(&key, next, 1, 0, 0, 31623, LIMIT_WINDOW_MAX);
    expect_peek(&key, next + 31622, 1, 0, 0, 1, LIMIT_WINDOW_MAX - 31622);
    expect_peek(&key, next + 31623, 1, 1, 0, 0, 2 * LIMIT_WINDOW_MAX - 31623);
    expect_peek(&key, next + LIMIT_WINDOW_MAX / 2, UINT64_MAX, LIMIT_UNITS_MAX / 2, 0, LIMIT_NEVER,
                LIMIT_WINDOW_MAX / 2 * 3);
}
END_TEST

START_TEST(given_back_to_the_window_it_was_taken_in)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 6);
    uint64_t next = EPOCH_DAY + 1000000;
    key_take(&key, next, 4);
    key_give(&key, next, EPOCH_DAY, 2); /* previous 4, current 4 */
    expect_peek(&key, next, 3, 2, 0, 250000, 2000000);
    key_give(&key, next + 10, next, 3); /* previous 4, current 1 */
    expect_peek(&key, next + 10, 6, 5, 0, 250000 - 10, 2000000 - 10);
    key_give(&key, next + 10, EPOCH_DAY - 1, 1); /* a window that has no weight */
    expect_peek(&key, next + 10, 6, 5, 0, 250000 - 10, 2000000 - 10);
    /* Two windows on, the state still stands in the one of its last take. */
    key_give(&key, next + 2000000, next, 1);
    expect_peek(&key, next + 2000000, 10, 10, 0, 0, 2000000);
}
END_TEST

START_TEST(late_takes_count_in_the_window_that_has_begun)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY - 1000000, 5);
    key_take(&key, EPOCH_DAY + 500000, 1);
    /* Within the window, as it stands: the 5 weigh 4. */
    expect_peek(&key, EPOCH_DAY + 200000, 9, 5, 0, 800000, 1800000);
    /* Before the window: at its start. */
    expect_peek(&key, EPOCH_DAY - 1, 9, 4, 0, 1000000, 2000000);
    expect_take(&key, EPOCH_DAY - LIMIT_LATE_MAX, 4, 4, 0, 0, 2000000);
    expect_take(&key, EPOCH_DAY, 1, 0, 0, 200000, 2000000);
}
END_TEST

START_TEST(a_clock_set_back_starts_anew)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 10);
    expect_take(&key, EPOCH_DAY - LIMIT_LATE_MAX - 1, 10, 10, 0, 0, 1000001);
}
END_TEST

START_TEST(a_reload_that_lowers_or_raises_the_limit)
{
    struct key key = key_open(ten_a_second);
    key_take(&key, EPOCH_DAY, 10);
    key.limit.units = 4;
    /* All of the next window but the last 3/10 is needed for the 10 to weigh 3. */
    expect_take(&key, EPOCH_DAY, 1, 0, 0, 1700000, 2000000);
    expect_take(&key, EPOCH_DAY + 1000000, 1, 0, 0, 700000, 1000000);
    expect_take(&key, EPOCH_DAY + 1700000, 1, 1, 0, 0, 1300000);
    key.limit.units = 20;
    expect_take(&key, EPOCH_DAY + 1700000, 20, 16, 0, 1300000, 1300000);
}
END_TEST

UNIT_MAIN("sliding_window", the_previous_window_weighs_less_and_less, weights_that_are_not_whole,
          retry_in_this_window_the_next_or_the_one_after,
          more_than_a_window_of_silence_forgets_both, reset_only_when_neither_has_weight,
          the_trailing_window_that_sees_nearly_twice_the_limit, the_largest_limit,
          given_back_to_the_window_it_was_taken_in, late_takes_count_in_the_window_that_has_begun,
          a_clock_set_back_starts_anew, a_reload_that_lowers_or_raises_the_limit)
