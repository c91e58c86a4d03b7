/* When requests are due, and what an agent that stalls does to their times. */
#include "agent/bench/histogram.h"
#include "agent/bench/schedule.h"
#include "main.h"

#define SECOND      UINT64_C(1000000000)
#define MILLISECOND UINT64_C(1000000)
#define BEGAN       (12345 * SECOND)

START_TEST(a_closed_loop_is_due_at_once_until_it_ends)
{
    struct bench_schedule schedule = {.began_at = BEGAN, .ends_at = BEGAN + SECOND};
    uint64_t due;
    ck_assert(bench_schedule_take(&schedule, BEGAN, &due));
    ck_assert_uint_eq(due, BEGAN);
    ck_assert(bench_schedule_take(&schedule, BEGAN + SECOND - 1, &due));
    ck_assert_uint_eq(due, BEGAN + SECOND - 1);
    ck_assert(!bench_schedule_take(&schedule, BEGAN + SECOND, &due));
    ck_assert_uint_eq(bench_schedule_next(&schedule, BEGAN + SECOND), BENCH_NEVER);
    ck_assert_uint_eq(schedule.asked, 2);
}
END_TEST

START_TEST(no_more_than_were_to_be)
{
    static const uint64_t rates[] = {0, 1000};
    for (size_t i = 0; i < 2; i++) {
        struct bench_schedule schedule = {
            .rate = rates[i], .count = 3, .began_at = BEGAN, .ends_at = BENCH_NEVER};
        uint64_t due;
        for (int taken = 0; taken < 3; taken++)
            ck_assert(bench_schedule_take(&schedule, BEGAN + SECOND, &due));
        ck_assert(!bench_schedule_take(&schedule, BEGAN + SECOND, &due));
        ck_assert_uint_eq(schedule.asked, 3);
    }
}
END_TEST

/* Without drift: the millionth is due where it should be, also for rates that no second divides. */
START_TEST(an_open_loop_keeps_its_rate)
{
    static const uint64_t rates[] = {1, 3, 999983, BENCH_RATE_MAX};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct bench_schedule schedule = {
            .rate = rates[i], .began_at = BEGAN, .ends_at = BENCH_NEVER};
        ck_assert_uint_eq(bench_schedule_next(&schedule, BEGAN), BEGAN);
        schedule.asked = rates[i] * 86400;
        ck_assert_uint_eq(bench_schedule_next(&schedule, BEGAN), BEGAN + 86400 * SECOND);
        schedule.asked = rates[i] * 7 + rates[i] / 2;
        ck_assert_uint_eq(bench_schedule_next(&schedule, BEGAN),
                          BEGAN + 7 * SECOND + rates[i] / 2 * SECOND / rates[i]);
    }
}
END_TEST

START_TEST(nothing_is_due_before_its_time_or_after_the_end)
{
    struct bench_schedule schedule = {.rate = 10, .began_at = BEGAN, .ends_at = BEGAN + SECOND};
    uint64_t due;
    ck_assert(bench_schedule_take(&schedule, BEGAN, &due));
    ck_assert(!bench_schedule_take(&schedule, BEGAN + 100 * MILLISECOND - 1, &due));
    /* Late, those of before the end are due all the same. */
    for (int i = 1; i < 10; i++) {
        ck_assert(bench_schedule_take(&schedule, BEGAN + 5 * SECOND, &due));
        ck_assert_uint_eq(due, BEGAN + (uint64_t)i * 100 * MILLISECOND);
    }
    ck_assert(!bench_schedule_take(&schedule, BEGAN + 5 * SECOND, &due));
}
END_TEST

/* An agent that answers within ten microseconds, but for a second in which it does nothing; one
 * request in flight. */
static void run_against_a_stall(uint64_t rate, struct bench_histogram *latency)
{
    struct bench_schedule schedule = {
        .rate = rate, .began_at = BEGAN, .ends_at = BEGAN + 10 * SECOND};
    uint64_t now = BEGAN;
    uint64_t due;
    while ((due = bench_schedule_next(&schedule, now)) != BENCH_NEVER) {
        now = due > now ? due : now;
        UNIT_ASSERT(bench_schedule_take(&schedule, now, &due));
        bool stalled = now >= BEGAN + 4 * SECOND && now < BEGAN + 5 * SECOND;
        now = stalled ? BEGAN + 5 * SECOND : now + 10000;
        bench_histogram_add(latency, now - due);
    }
}

START_TEST(a_stall_shows_in_an_open_loop)
{
    static struct bench_histogram latency;
    run_against_a_stall(1000, &latency);
    /* A thousand of the ten thousand came in that second, and waited half of it on average. */
    ck_assert_uint_eq(latency.total, 10000);
    ck_assert_uint_le(bench_histogram_percentile(&latency, 89000), 20000);
    ck_assert_uint_ge(bench_histogram_percentile(&latency, 95000), 400 * MILLISECOND);
    ck_assert_uint_ge(bench_histogram_percentile(&latency, 99900), 980 * MILLISECOND);
    ck_assert_uint_ge(latency.sum, 490 * SECOND);
}
END_TEST

START_TEST(and_hides_in_a_closed_one)
{
    static struct bench_histogram latency;
    run_against_a_stall(0, &latency);
    ck_assert_uint_ge(latency.longest, SECOND);
    ck_assert_uint_le(bench_histogram_percentile(&latency, 99990), 20000);
}
END_TEST

UNIT_MAIN("bench schedule", a_closed_loop_is_due_at_once_until_it_ends, no_more_than_were_to_be,
          an_open_loop_keeps_its_rate, nothing_is_due_before_its_time_or_after_the_end,
          a_stall_shows_in_an_open_loop, and_hides_in_a_closed_one)
