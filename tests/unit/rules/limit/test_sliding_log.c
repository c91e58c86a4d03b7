#include "key.h"

static const struct limit three_a_second = {LIMIT_SLIDING_LOG, 3, 1000000, 0};

START_TEST(a_unit_counts_for_exactly_a_window)
{
    struct key key = key_open(three_a_second);
    expect_take(&key, EPOCH_DAY + 100, 1, 1, 2, 0, 1000000);
    expect_take(&key, EPOCH_DAY + 200, 1, 1, 1, 0, 1000000);
    expect_take(&key, EPOCH_DAY + 300, 2, 1, 0, 999800, 1000000);
    expect_take(&key, EPOCH_DAY + 1000099, 1, 0, 0, 1, 201);
    expect_take(&key, EPOCH_DAY + 1000100, 1, 1, 0, 0, 1000000);
    expect_take(&key, EPOCH_DAY + 1000200, 2, 1, 0, 100, 1000000);
    expect_take(&key, EPOCH_DAY + 9000000, 4, 3, 0, LIMIT_NEVER, 1000000);
    key_close(&key);
}
END_TEST

START_TEST(retry_waits_for_as_many_of_the_oldest_as_are_needed)
{
    struct key key = key_open(three_a_second);
    key_take(&key, EPOCH_DAY, 1);
    key_take(&key, EPOCH_DAY + 10, 1);
    key_take(&key, EPOCH_DAY + 20, 1);
    expect_peek(&key, EPOCH_DAY + 30, 1, 0, 0, 999970, 999990);
    expect_peek(&key, EPOCH_DAY + 30, 2, 0, 0, 999980, 999990);
    expect_peek(&key, EPOCH_DAY + 30, 3, 0, 0, 999990, 999990);
    expect_peek(&key, EPOCH_DAY + 30, 4, 0, 0, LIMIT_NEVER, 999990);
    key_close(&key);
}
END_TEST

START_TEST(the_epoch_itself)
{
    struct key key = key_open(three_a_second);
    expect_take(&key, 0, 3, 3, 0, 0, 1000000);
    expect_take(&key, 999999, 1, 0, 0, 1, 1);
    expect_take(&key, 1000000, 1, 1, 2, 0, 1000000);
    key_close(&key);
}
END_TEST

START_TEST(the_ring_goes_round)
{
    struct key key = key_open(three_a_second);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t now = EPOCH_DAY + i * 400000;
        ck_assert_uint_eq(key_take(&key, now, 1).granted, 1); /* 2.5 a second */
        ck_assert_uint_eq(key_peek(&key, now, 3).granted, i == 0 ? 2 : i == 1 ? 1 : 0);
    }
    key_close(&key);
}
END_TEST

START_TEST(the_largest_log)
{
    struct key key =
        key_open((struct limit){LIMIT_SLIDING_LOG, LIMIT_LOG_UNITS_MAX, LIMIT_WINDOW_MAX, 0});
    uint64_t now = (UINT64_C(1) << 62) - 2 * LIMIT_WINDOW_MAX;
    uint64_t half = LIMIT_LOG_UNITS_MAX / 2;
    expect_take(&key, now, half, half, half, 0, LIMIT_WINDOW_MAX);
    expect_take(&key, now + 1, UINT64_MAX, half, 0, LIMIT_NEVER, LIMIT_WINDOW_MAX);
    expect_take(&key, now + 1, half + 1, 0, 0, LIMIT_WINDOW_MAX, LIMIT_WINDOW_MAX);
    expect_take(&key, now + 1, half, 0, 0, LIMIT_WINDOW_MAX - 1, LIMIT_WINDOW_MAX);
    expect_take(&key, now + LIMIT_WINDOW_MAX, half, half, 0, 0, LIMIT_WINDOW_MAX);
    key_close(&key);
}
END_TEST

START_TEST(without_room_for_its_limit_it_grants_nothing)
{
    struct limit_state state = {0};
    struct limit_result nothing = {.retry_after = LIMIT_NEVER};
    expect_result(__LINE__, limit_take(&three_a_second, &state, EPOCH_DAY, 1), nothing);
    limit_give(&three_a_second, &state, EPOCH_DAY, EPOCH_DAY, 1);

    struct key key = key_open(three_a_second);
    ck_assert_uint_eq(key_take(&key, EPOCH_DAY, 2).granted, 2);
    key.limit.units = 4;
    expect_result(__LINE__, key_take(&key, EPOCH_DAY, 1), nothing);
    key_give(&key, EPOCH_DAY, EPOCH_DAY, 1);

    /* With room again, it goes on where it was. */
    struct limit_log *small = key.log;
    key_use_log(&key, key_new_log(&key.limit));
    limit_log_copy(key.log, small);
    free(small);
    expect_take(&key, EPOCH_DAY, 3, 2, 0, 1000000, 1000000);
    key_close(&key);
}
END_TEST

START_TEST(copies_keep_the_newest)
{
    struct key key = key_open(three_a_second);
    for (uint64_t i = 0; i < 4; i++) /* the ring goes round: 0.4, 0.8 and 1.2 s are left */
        key_take(&key, EPOCH_DAY + 400000 * i, 1);
    struct limit_log *old = key.log;

    key.limit.units = 5;
    key_use_log(&key, key_new_log(&key.limit));
    limit_log_copy(key.log, old);
    expect_take(&key, EPOCH_DAY + 1300000, 3, 2, 0, 100000, 1000000);
    key_close(&key);

    key.limit.units = 2;
    key_use_log(&key, key_new_log(&key.limit));
    limit_log_copy(key.log, old);
    expect_take(&key, EPOCH_DAY + 1300000, 1, 0, 0, 500000, 900000);
    expect_take(&key, EPOCH_DAY + 1800000, 2, 1, 0, 400000, 1000000);
    free(old);
    key_close(&key);
}
END_TEST

START_TEST(a_reload_that_lowers_the_limit)
{
    struct key key = key_open(three_a_second);
    key_take(&key, EPOCH_DAY, 1);
    key_take(&key, EPOCH_DAY + 10, 1);
    key_take(&key, EPOCH_DAY + 20, 1);
    key.limit.units = 1; /* the ring stays larger */
    expect_take(&key, EPOCH_DAY + 20, 1, 0, 0, 1000000, 1000000);
    expect_take(&key, EPOCH_DAY + 1000019, 1, 0, 0, 1, 1);
    expect_take(&key, EPOCH_DAY + 1000020, 2, 1, 0, LIMIT_NEVER, 1000000);
    key_close(&key);
}
END_TEST

START_TEST(giving_back_takes_its_own_entries_out)
{
    struct key key = key_open(three_a_second);
    key_take(&key, EPOCH_DAY, 1);
    key_take(&key, EPOCH_DAY + 10, 1);
    key_take(&key, EPOCH_DAY + 20, 1);
    key_give(&key, EPOCH_DAY + 30, EPOCH_DAY + 10, 1); /* 0 and 20 are left */
    expect_peek(&key, EPOCH_DAY + 30, 2, 1, 0, 999970, 1000000);
    key_take(&key, EPOCH_DAY + 30, 1);
    expect_peek(&key, EPOCH_DAY + 30, 2, 0, 0, 999990, 1000000);
    /* An entry whose window has passed gives nothing back. */
    key_give(&key, EPOCH_DAY + 1000000, EPOCH_DAY, 1);
    expect_peek(&key, EPOCH_DAY + 1000000, 2, 1, 0, 20, 1000000);
    key_close(&key);
}
END_TEST

START_TEST(giving_back_across_the_end_of_the_ring)
{
    struct key key = key_open((struct limit){LIMIT_SLIDING_LOG, 5, 1000, 0});
    key_take(&key, EPOCH_DAY, 3);
    uint64_t now = EPOCH_DAY + 1000;
    key_take(&key, now, 1);
    key_take(&key, now + 1, 2); /* the second of them at the ring's start */
    key_take(&key, now + 2, 2);
    key_give(&key, now + 2, now + 1, 2);
    expect_peek(&key, now + 2, 3, 2, 0, 998, 1000);
    expect_peek(&key, now + 2, 5, 2, 0, 1000, 1000);
    key_take(&key, now + 3, 2);
    expect_peek(&key, now + 3, 1, 0, 0, 997, 1000);
    expect_peek(&key, now + 3, 2, 0, 0, 999, 1000);
    expect_peek(&key, now + 3, 4, 0, 0, 1000, 1000);
    key_close(&key);
}
END_TEST

/* A late take is entered at the key's clock, so its time is not in the log. What is taken out in
 * its stead expires sooner. */
START_TEST(giving_back_a_late_take_takes_out_an_older_entry_if_any)
{
    struct key key = key_open(three_a_second);
    key_take(&key, EPOCH_DAY, 1);
    key_take(&key, EPOCH_DAY + 50, 1);
    expect_take(&key, EPOCH_DAY + 20, 1, 1, 0, 0, 1000000); /* entered at 50 */
    key_give(&key, EPOCH_DAY + 20, EPOCH_DAY + 20, 1);      /* takes 0 out */
    expect_peek(&key, EPOCH_DAY + 60, 2, 1, 0, 999990, 1000000);
    key_give(&key, EPOCH_DAY + 20, EPOCH_DAY + 20, 1); /* nothing so old is left */
    expect_peek(&key, EPOCH_DAY + 60, 2, 1, 0, 999990, 1000000);
    key_close(&key);
}
END_TEST

START_TEST(late_takes_are_taken_at_the_latest)
{
    struct key key = key_open(three_a_second);
    key_take(&key, EPOCH_DAY, 2);
    expect_take(&key, EPOCH_DAY - 10, 2, 1, 0, 1000000, 1000000);
    expect_take(&key, EPOCH_DAY - LIMIT_LATE_MAX, 1, 0, 0, 1000000, 1000000);
    expect_take(&key, EPOCH_DAY + 999999, 1, 0, 0, 1, 1);
    expect_take(&key, EPOCH_DAY + 1000000, 1, 1, 2, 0, 1000000);
    key_close(&key);
}
END_TEST

START_TEST(a_clock_set_back_starts_anew)
{
    struct key key = key_open(three_a_second);
    key_take(&key, EPOCH_DAY, 3);
    uint64_t now = EPOCH_DAY - LIMIT_LATE_MAX - 1;
    expect_take(&key, now, 1, 1, 2, 0, 1000000);
    expect_take(&key, now + 999999, 4, 2, 0, LIMIT_NEVER, 1000000);
    expect_take(&key, now + 1000000, 4, 1, 0, LIMIT_NEVER, 1000000);
    key_close(&key);
}
END_TEST

UNIT_MAIN("sliding_log", a_unit_counts_for_exactly_a_window,
          retry_waits_for_as_many_of_the_oldest_as_are_needed, the_epoch_itself,
          the_ring_goes_round, the_largest_log, without_room_for_its_limit_it_grants_nothing,
          copies_keep_the_newest, a_reload_that_lowers_the_limit,
          giving_back_takes_its_own_entries_out, giving_back_across_the_end_of_the_ring,
          giving_back_a_late_take_takes_out_an_older_entry_if_any,
          late_takes_are_taken_at_the_latest, a_clock_set_back_starts_anew)
