#include "agent/connection_bench.h"
#include "agent/latency.h"
#include "main.h"

static uint64_t total(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += counter_read(&histogram->counts[i]);
    return count;
}

/* ---- a turn -------------------------------------------------------------------------------- */

START_TEST(each_is_counted_from_its_beginning)
{
    struct latency latency = {0};
    for (int i = 0; i < 10; i++)
        latency_note(&latency, START);
    latency_note(&latency, START - 1000);
    latency_note(&latency, START - 1000);
    latency_note(&latency, START);
    latency_end_turn(&latency, START + 8);
    const struct histogram *durations = &latency.durations;
    ck_assert_uint_eq(total(durations), 13);
    ck_assert_uint_eq(counter_read(&durations->sum), UINT64_C(11) * 8 + UINT64_C(2) * 1008);
    ck_assert_uint_eq(counter_read(&durations->counts[1]), 11); /* to 10 us */
    ck_assert_uint_eq(counter_read(&durations->counts[8]), 2);  /* to 2 ms */
    latency_end_turn(&latency, START + SECOND);
    ck_assert_uint_eq(total(durations), 13);
}
END_TEST

START_TEST(more_beginnings_than_are_told_apart_are_all_counted)
{
    struct latency latency = {0};
    const uint64_t many = 3 * (uint64_t)LATENCY_BEGINNINGS;
    for (uint64_t i = 0; i < many; i++)
        latency_note(&latency, START + i);
    ck_assert_uint_eq(latency.count, LATENCY_BEGINNINGS);
    latency_end_turn(&latency, START + SECOND);
    ck_assert_uint_eq(total(&latency.durations), many);
}
END_TEST

START_TEST(a_clock_that_was_read_before_makes_no_time_of_years)
{
    struct latency latency = {0};
    latency_note(&latency, START);
    latency_end_turn(&latency, START - 1);
    ck_assert_uint_eq(counter_read(&latency.durations.counts[0]), 1);
    ck_assert_uint_eq(counter_read(&latency.durations.sum), 0);
}
END_TEST

/* ---- of connections ------------------------------------------------------------------------ */

START_TEST(answers_are_noted_when_they_are_written)
{
    struct bench *bench = bench_open("");
    struct latency *latency = &bench->host.latency;
    struct peer *peer = peer_open(bench);
    say_hello(bench, peer);
    ck_assert_uint_eq(latency->count, 0);
    ask(bench, peer, 1, 20);
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 20);
    latency_end_turn(latency, START + 7);
    ck_assert_uint_eq(total(&latency->durations), 20);
    ck_assert_uint_eq(counter_read(&latency->durations.sum), UINT64_C(20) * 7);

    /* Those that wait are counted from when they were asked. */
    bench->store.defer = true;
    ask(bench, peer, 21, 25);
    converse(bench, peer);
    ck_assert_uint_eq(latency->count, 0);
    bench->host.now += 3000;
    while (bench->store.count)
        scripted_answer(&bench->store, 0, bench->host.now);
    turn(bench);
    latency_end_turn(latency, START + 3000 + 5);
    ck_assert_uint_eq(total(&latency->durations), 25);
    ck_assert_uint_eq(counter_read(&latency->durations.sum), UINT64_C(20) * 7 + UINT64_C(5) * 3005);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

UNIT_MAIN("latency", each_is_counted_from_its_beginning,
          more_beginnings_than_are_told_apart_are_all_counted,
          a_clock_that_was_read_before_makes_no_time_of_years,
          answers_are_noted_when_they_are_written)
