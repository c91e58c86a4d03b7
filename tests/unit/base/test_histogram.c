#include "base/base.h"
#include "main.h"

/* Which count a duration goes to. */
static size_t bucket_of(uint64_t duration)
{
    struct histogram histogram = {0};
    histogram_add(&histogram, duration, 1);
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        if (counter_read(&histogram.counts[i]))
            return i;
    ck_abort_msg("not counted");
}

START_TEST(a_duration_belongs_to_the_least_bound_that_it_does_not_exceed)
{
    ck_assert_uint_eq(bucket_of(0), 0);
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        ck_assert_uint_eq(bucket_of(histogram_bounds[i]), i);
        ck_assert_uint_eq(bucket_of(histogram_bounds[i] + 1), i + 1);
    }
    ck_assert_uint_eq(bucket_of(UINT64_MAX), HISTOGRAM_BOUNDS);
}
END_TEST

START_TEST(bounds_ascend_by_2_or_2_and_a_half)
{
    for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++) {
        uint64_t twice = 2 * (uint64_t)histogram_bounds[i];
        ck_assert(twice == 4 * (uint64_t)histogram_bounds[i - 1] ||
                  twice == 5 * (uint64_t)histogram_bounds[i - 1]);
    }
}
END_TEST

START_TEST(many_at_once_are_as_many_one_by_one)
{
    struct histogram at_once = {0};
    struct histogram singly = {0};
    histogram_add(&at_once, 70, 1000);
    histogram_add(&at_once, 3000000, 2);
    for (int i = 0; i < 1000; i++)
        histogram_add(&singly, 70, 1);
    histogram_add(&singly, 3000000, 1);
    histogram_add(&singly, 3000000, 1);
    ck_assert_mem_eq(&at_once, &singly, sizeof(at_once));
    ck_assert_uint_eq(counter_read(&at_once.sum), 6070000);
}
END_TEST

START_TEST(merging_adds)
{
    struct histogram a = {0};
    struct histogram b = {0};
    struct histogram both = {0};
    for (uint64_t duration = 1; duration < 3000000; duration = 3 * duration / 2 + 1) {
        histogram_add(duration % 2 ? &a : &b, duration, duration % 5);
        histogram_add(&both, duration, duration % 5);
    }
    struct histogram sum = {0};
    histogram_merge(&sum, &a);
    histogram_merge(&sum, &b);
    ck_assert_mem_eq(&sum, &both, sizeof(sum));
}
END_TEST

UNIT_MAIN("histogram", a_duration_belongs_to_the_least_bound_that_it_does_not_exceed,
          bounds_ascend_by_2_or_2_and_a_half, many_at_once_are_as_many_one_by_one, merging_adds)
