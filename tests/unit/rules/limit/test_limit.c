#include "key.h"

/* What holds for every algorithm, and what limits are in range. */

static struct limit limit_of(enum limit_algorithm algorithm, uint64_t units)
{
    return (struct limit){
        .algorithm = algorithm, .units = units, .window = 1000000, .burst = units};
}

START_TEST(names_and_back)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++) {
        const char *name = limit_algorithm_name((enum limit_algorithm)i);
        ck_assert_int_eq(limit_algorithm_parse(slice_of_string(name)), i);
    }
    ck_assert_str_eq(limit_algorithm_name(LIMIT_FIXED_WINDOW), "fixed-window");
    ck_assert_str_eq(limit_algorithm_name(LIMIT_SLIDING_WINDOW), "sliding-window");
    ck_assert_str_eq(limit_algorithm_name(LIMIT_TOKEN_BUCKET), "token-bucket");
    ck_assert_str_eq(limit_algorithm_name(LIMIT_SLIDING_LOG), "sliding-log");
    ck_assert_str_eq(limit_algorithm_name(LIMIT_ALGORITHMS), "unknown");
    ck_assert_int_eq(limit_algorithm_parse(SLICE("token-bucket ")), LIMIT_ALGORITHMS);
    ck_assert_int_eq(limit_algorithm_parse(SLICE("token")), LIMIT_ALGORITHMS);
    ck_assert_int_eq(limit_algorithm_parse(SLICE("")), LIMIT_ALGORITHMS);
}
END_TEST

START_TEST(ranges)
{
    static const struct {
        struct limit limit;
        bool in_range;
    } cases[] = {
        {{LIMIT_FIXED_WINDOW, 0, LIMIT_WINDOW_MIN, 0}, true},
        {{LIMIT_FIXED_WINDOW, LIMIT_UNITS_MAX, LIMIT_WINDOW_MAX, 0}, true},
        {{LIMIT_FIXED_WINDOW, LIMIT_UNITS_MAX + 1, LIMIT_WINDOW_MAX, 0}, false},
        {{LIMIT_FIXED_WINDOW, 1, LIMIT_WINDOW_MIN - 1, 0}, false},
        {{LIMIT_FIXED_WINDOW, 1, LIMIT_WINDOW_MAX + 1, 0}, false},
        {{LIMIT_FIXED_WINDOW, 1, 0, 0}, false},
        {{LIMIT_FIXED_WINDOW, 1, LIMIT_WINDOW_MIN, UINT64_MAX}, true}, /* burst is unused */
        {{LIMIT_SLIDING_WINDOW, LIMIT_UNITS_MAX, LIMIT_WINDOW_MIN, 0}, true},
        {{LIMIT_SLIDING_WINDOW, UINT64_MAX, LIMIT_WINDOW_MIN, 0}, false},
        {{LIMIT_SLIDING_LOG, LIMIT_LOG_UNITS_MAX, LIMIT_WINDOW_MAX, 0}, true},
        {{LIMIT_SLIDING_LOG, LIMIT_LOG_UNITS_MAX + 1, LIMIT_WINDOW_MAX, 0}, false},
        {{LIMIT_TOKEN_BUCKET, 1, LIMIT_WINDOW_MIN, 0}, false},
        {{LIMIT_TOKEN_BUCKET, 0, LIMIT_WINDOW_MIN, 0}, true},
        {{LIMIT_TOKEN_BUCKET, 0, LIMIT_WINDOW_MIN, LIMIT_UNITS_MAX + 1}, false},
        {{LIMIT_TOKEN_BUCKET, 1, LIMIT_WINDOW_MIN, LIMIT_UNITS_MAX}, true},
        {{LIMIT_TOKEN_BUCKET, 1, LIMIT_WINDOW_MIN, LIMIT_UNITS_MAX + 1}, false},
        {{LIMIT_TOKEN_BUCKET, LIMIT_UNITS_MAX, LIMIT_WINDOW_MAX, LIMIT_UNITS_MAX}, true},
        /* A burst of more than 366 days' worth. */
        {{LIMIT_TOKEN_BUCKET, 1, LIMIT_WINDOW_MAX, 1}, true},
        {{LIMIT_TOKEN_BUCKET, 1, LIMIT_WINDOW_MAX, 2}, false},
        {{LIMIT_TOKEN_BUCKET, 10, LIMIT_WINDOW_MAX, 11}, false},
        {{LIMIT_TOKEN_BUCKET, 3, LIMIT_WINDOW_MAX / 2, 6}, true},
        {{LIMIT_TOKEN_BUCKET, 3, LIMIT_WINDOW_MAX / 2, 7}, false},
        {{LIMIT_ALGORITHMS, 1, LIMIT_WINDOW_MIN, 1}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *expected = limit_check(&cases[i].limit);
        ck_assert_msg(!expected == cases[i].in_range, "case %zu: %s", i,
                      expected ? expected : "in range");
    }
}
END_TEST

START_TEST(capacities)
{
    struct limit limit = {LIMIT_TOKEN_BUCKET, 10, 1000, 30};
    ck_assert_uint_eq(limit_capacity(&limit), 30);
    limit.units = 0; /* a bucket that never refills is never filled either */
    ck_assert_uint_eq(limit_capacity(&limit), 0);
    limit = (struct limit){LIMIT_SLIDING_WINDOW, 10, 1000, 30};
    ck_assert_uint_eq(limit_capacity(&limit), 10);
}
END_TEST

START_TEST(log_sizes)
{
    struct limit limit = limit_of(LIMIT_SLIDING_LOG, 10);
    ck_assert_uint_eq(limit_log_size(&limit), sizeof(struct limit_log) + 80);
    limit.units = 0;
    ck_assert_uint_eq(limit_log_size(&limit), 0);
    limit = limit_of(LIMIT_TOKEN_BUCKET, 10);
    ck_assert_uint_eq(limit_log_size(&limit), 0);
    ck_assert_uint_eq(sizeof(struct limit_state), 24);
}
END_TEST

START_TEST(limit_0_always_refuses)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++) {
        struct key key = key_open(limit_of((enum limit_algorithm)i, 0));
        expect_take(&key, 0, 1, 0, 0, LIMIT_NEVER, 0);
        expect_take(&key, EPOCH_DAY, UINT64_MAX, 0, 0, LIMIT_NEVER, 0);
        expect_peek(&key, EPOCH_DAY, 1, 0, 0, LIMIT_NEVER, 0);
        key_give(&key, EPOCH_DAY, EPOCH_DAY, 1);
        expect_take(&key, EPOCH_DAY, 1, 0, 0, LIMIT_NEVER, 0);
        key_close(&key);
    }
}
END_TEST

START_TEST(limit_1_admits_one_a_window)
{
    static const uint64_t reset[LIMIT_ALGORITHMS] = {
        [LIMIT_FIXED_WINDOW] = 1000000,
        [LIMIT_SLIDING_WINDOW] = 2000000,
        [LIMIT_TOKEN_BUCKET] = 1000000,
        [LIMIT_SLIDING_LOG] = 1000000,
    };
    for (int i = 0; i < LIMIT_ALGORITHMS; i++) {
        struct key key = key_open(limit_of((enum limit_algorithm)i, 1));
        uint64_t retry = reset[i]; /* after a whole window, the sliding one's weight is still 1 */
        expect_take(&key, EPOCH_DAY, 1, 1, 0, 0, reset[i]);
        expect_take(&key, EPOCH_DAY, 1, 0, 0, retry, reset[i]);
        expect_take(&key, EPOCH_DAY + retry - 1, 1, 0, 0, 1, reset[i] - retry + 1);
        expect_take(&key, EPOCH_DAY + retry, 1, 1, 0, 0, reset[i]);
        key_close(&key);
    }
}
END_TEST

START_TEST(more_than_can_ever_be_had_is_granted_in_part)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++) {
        struct key key = key_open(limit_of((enum limit_algorithm)i, 5));
        struct limit_result result = key_take(&key, EPOCH_DAY, 6);
        ck_assert_uint_eq(result.granted, 5);
        ck_assert_uint_eq(result.remaining, 0);
        ck_assert_uint_eq(result.retry_after, LIMIT_NEVER);
        ck_assert_uint_eq(key_take(&key, EPOCH_DAY, UINT64_MAX).retry_after, LIMIT_NEVER);
        ck_assert_uint_ne(key_take(&key, EPOCH_DAY, 5).retry_after, LIMIT_NEVER);
        key_close(&key);
    }
}
END_TEST

/* The wait that a partial grant is told is for all of what was wanted, given back what was not
 * enough. */
START_TEST(a_partial_grant_given_back)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++) {
        struct key key = key_open(limit_of((enum limit_algorithm)i, 5));
        ck_assert_uint_eq(key_take(&key, EPOCH_DAY, 3).granted, 3);
        struct key before = key_clone(&key);
        uint64_t now = EPOCH_DAY + 1000;
        struct limit_result part = key_take(&key, now, 4);
        ck_assert_uint_eq(part.granted, 2);
        ck_assert_uint_eq(key_peek(&key, now, 1).granted, 0);
        key_give(&key, now, now, 2);
        for (uint64_t n = 1; n <= 6; n++)
            expect_result(__LINE__, key_peek(&key, now, n), key_peek(&before, now, n));
        ck_assert_uint_lt(key_peek(&key, now + part.retry_after - 1, 4).granted, 4);
        ck_assert_uint_eq(key_peek(&key, now + part.retry_after, 4).granted, 4);
        key_close(&before);
        key_close(&key);
    }
}
END_TEST

START_TEST(giving_back_more_than_was_taken_is_harmless)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++) {
        struct key key = key_open(limit_of((enum limit_algorithm)i, 5));
        key_give(&key, EPOCH_DAY, EPOCH_DAY, 1);
        ck_assert_uint_eq(key_take(&key, EPOCH_DAY, 3).granted, 3);
        key_give(&key, EPOCH_DAY, EPOCH_DAY, UINT64_MAX);
        key_give(&key, EPOCH_DAY, EPOCH_DAY, 1);
        ck_assert_uint_eq(key_take(&key, EPOCH_DAY, 9).granted, 5);
        /* Of a time to come, which no take can have been. */
        key_give(&key, EPOCH_DAY, EPOCH_DAY + 10000000, 5);
        ck_assert_uint_eq(key_take(&key, EPOCH_DAY, 9).granted, 0);
        key_close(&key);
    }
}
END_TEST

UNIT_MAIN("limit", names_and_back, ranges, capacities, log_sizes, limit_0_always_refuses,
          limit_1_admits_one_a_window, more_than_can_ever_be_had_is_granted_in_part,
          a_partial_grant_given_back, giving_back_more_than_was_taken_is_harmless)
