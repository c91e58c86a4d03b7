/* How often each key comes, against how often it should. */
#include <math.h>

#include "agent/bench/keys.h"
#include "main.h"

#define DRAWS 400000
#define KEYS  50

static uint64_t seen[KEYS];

static void draw(enum bench_order order, double exponent)
{
    struct bench_keys keys;
    bench_keys_open(&keys, order, KEYS, exponent, 1);
    for (size_t i = 0; i < KEYS; i++)
        seen[i] = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t key = bench_keys_next(&keys);
        UNIT_ASSERT(key < KEYS);
        seen[key]++;
    }
}

/* The seed is fixed, so this passes always or never: six standard deviations are for whoever
 * changes the seed. */
static void expect_shares(double exponent)
{
    double sum = 0;
    for (size_t i = 1; i <= KEYS; i++)
        sum += pow((double)i, -exponent);
    for (size_t i = 0; i < KEYS; i++) {
        double share = pow((double)(i + 1), -exponent) / sum;
        double expected = share * DRAWS;
        double deviation = sqrt(expected * (1 - share));
        ck_assert_double_le(fabs((double)seen[i] - expected), 6 * deviation + 1);
    }
}

START_TEST(uniform_keys_come_equally_often)
{
    draw(BENCH_UNIFORM, 0);
    expect_shares(0);
}
END_TEST

START_TEST(zipf_keys_come_by_their_rank)
{
    static const double exponents[] = {0.5, 0.99, 1, 1.0000000001, 1.2, 2, 10};
    for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
        draw(BENCH_ZIPF, exponents[i]);
        expect_shares(exponents[i]);
    }
}
END_TEST

START_TEST(keys_in_turn_come_in_turn)
{
    struct bench_keys keys;
    bench_keys_open(&keys, BENCH_IN_TURN, 3, 0, 7);
    for (uint64_t i = 0; i < 9; i++)
        ck_assert_uint_eq(bench_keys_next(&keys), i % 3);
}
END_TEST

START_TEST(one_key_is_always_that)
{
    struct bench_keys keys;
    for (enum bench_order order = BENCH_UNIFORM; order <= BENCH_IN_TURN; order++) {
        bench_keys_open(&keys, order, 1, 1.1, 1);
        for (int i = 0; i < 1000; i++)
            ck_assert_uint_eq(bench_keys_next(&keys), 0);
    }
}
END_TEST

START_TEST(as_many_keys_as_there_may_be)
{
    struct bench_keys keys;
    uint64_t largest = 0;
    for (enum bench_order order = BENCH_UNIFORM; order <= BENCH_ZIPF; order++) {
        bench_keys_open(&keys, order, BENCH_KEYS_MAX, 0.01, 1);
        for (int i = 0; i < 10000; i++) {
            uint64_t key = bench_keys_next(&keys);
            ck_assert_uint_lt(key, BENCH_KEYS_MAX);
            largest = key > largest ? key : largest;
        }
        ck_assert_uint_gt(largest, BENCH_KEYS_MAX / 2);
    }
}
END_TEST

START_TEST(a_seed_gives_the_same_keys_again)
{
    struct bench_keys a;
    struct bench_keys b;
    struct bench_keys other;
    int same = 0;
    bench_keys_open(&a, BENCH_ZIPF, 1000000, 0.5, 5);
    bench_keys_open(&b, BENCH_ZIPF, 1000000, 0.5, 5);
    bench_keys_open(&other, BENCH_ZIPF, 1000000, 0.5, 6);
    for (int i = 0; i < 1000; i++) {
        uint64_t key = bench_keys_next(&a);
        ck_assert_uint_eq(key, bench_keys_next(&b));
        same += key == bench_keys_next(&other);
    }
    ck_assert_int_lt(same, 10);
}
END_TEST

UNIT_MAIN("bench keys", uniform_keys_come_equally_often, zipf_keys_come_by_their_rank,
          keys_in_turn_come_in_turn, one_key_is_always_that, as_many_keys_as_there_may_be,
          a_seed_gives_the_same_keys_again)
