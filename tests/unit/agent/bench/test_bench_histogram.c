/* Percentiles against those of the durations themselves, sorted. */
#include "agent/bench/histogram.h"
#include "main.h"
#include "random.h"

#define DURATIONS 20000

static struct bench_histogram histogram;

static void forget(void)
{
    histogram = (struct bench_histogram){0};
}

START_TEST(nothing_is_zero)
{
    forget();
    ck_assert_uint_eq(bench_histogram_percentile(&histogram, 99000), 0);
    ck_assert_uint_eq(histogram.longest, 0);
}
END_TEST

START_TEST(short_durations_are_exact)
{
    for (uint64_t duration = 0; duration < BENCH_HISTOGRAM_EXACT; duration++) {
        forget();
        bench_histogram_add(&histogram, duration);
        bench_histogram_add(&histogram, 100000);
        ck_assert_uint_eq(bench_histogram_percentile(&histogram, 50000), duration);
    }
}
END_TEST

/* On both sides of every power of two, where buckets change their width. */
START_TEST(each_duration_is_told_within_the_precision)
{
    for (unsigned bit = 8; bit < BENCH_HISTOGRAM_BITS; bit++) {
        for (int64_t off = -3; off <= 3; off++) {
            uint64_t duration = (uint64_t)((INT64_C(1) << bit) + off);
            forget();
            bench_histogram_add(&histogram, duration);
            bench_histogram_add(&histogram, UINT64_C(1) << 41);
            uint64_t told = bench_histogram_percentile(&histogram, 50000);
            ck_assert_uint_ge(told, duration);
            ck_assert_uint_le(told - duration, duration / BENCH_HISTOGRAM_SUB);
        }
    }
}
END_TEST

START_TEST(what_is_too_long_is_told_as_the_longest)
{
    forget();
    bench_histogram_add(&histogram, 5);
    bench_histogram_add(&histogram, UINT64_MAX / 2);
    ck_assert_uint_eq(bench_histogram_percentile(&histogram, 50000), 5);
    ck_assert_uint_eq(bench_histogram_percentile(&histogram, 100000), UINT64_MAX / 2);
    ck_assert_uint_eq(histogram.longest, UINT64_MAX / 2);
}
END_TEST

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a;
    uint64_t second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

START_TEST(percentiles_are_those_of_the_durations)
{
    static const uint32_t shares[] = {1, 50000, 90000, 99000, 99900, 99990, 100000};
    static uint64_t durations[DURATIONS];
    struct random random = random_open("percentiles_are_those_of_the_durations");
    uint64_t sum = 0;
    forget();
    for (size_t i = 0; i < DURATIONS; i++) {
        durations[i] = random_next(&random) >> (24 + random_below(&random, 40));
        sum += durations[i];
        bench_histogram_add(&histogram, durations[i]);
    }
    qsort(durations, DURATIONS, sizeof(durations[0]), compare);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        size_t rank = ((size_t)DURATIONS * shares[i] + 99999) / 100000;
        uint64_t real = durations[rank - 1];
        uint64_t told = bench_histogram_percentile(&histogram, shares[i]);
        ck_assert_uint_ge(told, real);
        ck_assert_uint_le(told - real, real / BENCH_HISTOGRAM_SUB);
    }
    ck_assert_uint_eq(histogram.total, DURATIONS);
    ck_assert_uint_eq(histogram.sum, sum);
    ck_assert_uint_eq(histogram.longest, durations[DURATIONS - 1]);
}
END_TEST

UNIT_MAIN("bench histogram", nothing_is_zero, short_durations_are_exact,
          each_duration_is_told_within_the_precision, what_is_too_long_is_told_as_the_longest,
          percentiles_are_those_of_the_durations)
