#include "key.h"

static const struct limit five_a_second = {LIMIT_FIXED_WINDOW, 5, 1000000, 0};

START_TEST(counts_up_to_the_limit_in_a_window)
{
    struct key key = key_open(five_a_second);
    expect_take(&key, EPOCH_DAY + 100, 1, 1, 4, 0, 999900);
    expect_take(&key, EPOCH_DAY + 200, 3, 3, 1, 0, 999800);
    expect_take(&key, EPOCH_DAY + 200, 2, 1, 0, 999800, 999800);
    expect_take(&key, EPOCH_DAY + 300, 1, 0, 0, 999700, 999700);
    expect_take(&key, EPOCH_DAY + 300, 6, 0, 0, LIMIT_NEVER, 999700);
}
END_TEST

START_TEST(a_window_ends_where_the_next_begins)
{
    struct key key = key_open(five_a_second);
    expect_take(&key, EPOCH_DAY, 5, 5, 0, 0, 1000000);
    expect_take(&key, EPOCH_DAY + 999999, 1, 0, 0, 1, 1);
    expect_take(&key, EPOCH_DAY + 1000000, 5, 5, 0, 0, 1000000);
    expect_take(&key, EPOCH_DAY + 9999999, 5, 5, 0, 0, 1);
    expect_take(&key, EPOCH_DAY + 10000000, 5, 5, 0, 0, 1000000);
}
END_TEST

START_TEST(the_epoch_itself)
{
    struct key key = key_open(five_a_second);
    expect_peek(&key, 0, 5, 5, 0, 0, 1000000);
    expect_take(&key, 0, 5, 5, 0, 0, 1000000);
    expect_take(&key, 999999, 1, 0, 0, 1, 1);
    expect_take(&key, 1000000, 1, 1, 4, 0, 1000000);
}
END_TEST

START_TEST(the_largest_limit)
{
    struct key key =
        key_open((struct limit){LIMIT_FIXED_WINDOW, LIMIT_UNITS_MAX, LIMIT_WINDOW_MAX, 0});
    uint64_t start = UINT64_C(145000) * LIMIT_WINDOW_MAX; /* nearly 2^62 */
    expect_take(&key, start, UINT64_MAX, LIMIT_UNITS_MAX, 0, LIMIT_NEVER, LIMIT_WINDOW_MAX);
    expect_take(&key, start + 1, 1, 0, 0, LIMIT_WINDOW_MAX - 1, LIMIT_WINDOW_MAX - 1);
    expect_take(&key, start + LIMIT_WINDOW_MAX, 1, 1, LIMIT_UNITS_MAX - 1, 0, LIMIT_WINDOW_MAX);
}
END_TEST

START_TEST(given_back_while_the_window_lasts)
{
    struct key key = key_open(five_a_second);
    key_take(&key, EPOCH_DAY + 10, 5);
    key_give(&key, EPOCH_DAY + 999999, EPOCH_DAY + 10, 2);
    expect_peek(&key, EPOCH_DAY + 999999, 3, 2, 0, 1, 1);
    /* The next window's count takes nothing of it. */
    key_take(&key, EPOCH_DAY + 1000000, 5);
    key_give(&key, EPOCH_DAY + 1000000, EPOCH_DAY + 10, 3);
    expect_peek(&key, EPOCH_DAY + 1000000, 1, 0, 0, 1000000, 1000000);
    /* Nor does giving back between the windows change what comes. */
    key_give(&key, EPOCH_DAY + 3000000, EPOCH_DAY + 1000000, 1);
    expect_take(&key, EPOCH_DAY + 3000000, 6, 5, 0, LIMIT_NEVER, 1000000);
}
END_TEST

START_TEST(given_back_to_the_last_unit)
{
    struct key key = key_open(five_a_second);
    key_take(&key, EPOCH_DAY + 10, 2);
    key_give(&key, EPOCH_DAY + 20, EPOCH_DAY + 10, 2);
    struct limit_result nothing_taken = key_peek(&key, EPOCH_DAY + 20, 6);
    ck_assert_uint_eq(nothing_taken.granted, 5);
    ck_assert_uint_eq(key.state.fixed.count, 0);
}
END_TEST

START_TEST(late_takes_count_in_the_window_that_has_begun)
{
    struct key key = key_open(five_a_second);
    expect_take(&key, EPOCH_DAY, 3, 3, 2, 0, 1000000);
    expect_take(&key, EPOCH_DAY - 1, 1, 1, 1, 0, 1000000);
    expect_take(&key, EPOCH_DAY - 500000, 2, 1, 0, 1000000, 1000000);
    expect_take(&key, EPOCH_DAY - LIMIT_LATE_MAX, 1, 0, 0, 1000000, 1000000);
    expect_take(&key, EPOCH_DAY + 1000000, 6, 5, 0, LIMIT_NEVER, 1000000);
}
END_TEST

START_TEST(a_clock_set_back_starts_anew)
{
    struct key key = key_open(five_a_second);
    key_take(&key, EPOCH_DAY, 5);
    uint64_t now = EPOCH_DAY - LIMIT_LATE_MAX - 1;
    expect_take(&key, now, 1, 1, 4, 0, 1);
    expect_take(&key, now + 1, 6, 5, 0, LIMIT_NEVER, 1000000);

    /* The longer of a minute and a window is late. */
    key = key_open((struct limit){LIMIT_FIXED_WINDOW, 1, 3600000000, 0});
    key_take(&key, EPOCH_DAY, 1);
    expect_peek(&key, EPOCH_DAY - 3600000000, 1, 0, 0, 3600000000, 3600000000);
    expect_peek(&key, EPOCH_DAY - 3600000001, 1, 1, 0, 0, 1);
}
END_TEST

START_TEST(a_reload_that_lowers_or_raises_the_limit)
{
    struct key key = key_open(five_a_second);
    key_take(&key, EPOCH_DAY, 5);
    key.limit.units = 3;
    expect_take(&key, EPOCH_DAY, 1, 0, 0, 1000000, 1000000);
    expect_take(&key, EPOCH_DAY + 1000000, 4, 3, 0, LIMIT_NEVER, 1000000);
    key.limit.units = 10;
    expect_take(&key, EPOCH_DAY + 1000000, 8, 7, 0, 1000000, 1000000);
}
END_TEST

UNIT_MAIN("fixed_window", counts_up_to_the_limit_in_a_window, a_window_ends_where_the_next_begins,
          the_epoch_itself, the_largest_limit, given_back_while_the_window_lasts,
          given_back_to_the_last_unit, late_takes_count_in_the_window_that_has_begun,
          a_clock_set_back_starts_anew, a_reload_that_lowers_or_raises_the_limit)
