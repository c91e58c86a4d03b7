#include <pthread.h>

#include "agent/store/store.h"
#include "main.h"
#include "random.h"

#define SECOND UINT64_C(1000000)
#define START  (UINT64_C(1750000000) * SECOND) /* a whole number of minutes */

/* How long a key is kept past its time. */
#define KEPT SECOND

static const struct limit per_minute = {LIMIT_FIXED_WINDOW, 1000, 60 * SECOND, 0};

static struct hash128 key_of(uint64_t number)
{
    return hash128(slice_of(&number, sizeof(number)), 1);
}

static enum store_status take(struct store *store, uint64_t key, const struct limit *limit,
                              uint64_t now, struct store_take *taken)
{
    *taken = (struct store_take){.key = key_of(key), .limit = limit, .wanted = 1};
    return store_take(store, taken, now);
}

/* What one take is granted; the take must be answered. */
static uint64_t grant(struct store *store, uint64_t key, const struct limit *limit, uint64_t now)
{
    struct store_take taken;
    ck_assert_int_eq(take(store, key, limit, now, &taken), STORE_ANSWERED);
    return taken.result.granted;
}

static struct store_statistics statistics_of(struct store *store)
{
    struct store_statistics statistics;
    store_statistics(store, &statistics);
    return statistics;
}

/* ---- counting ------------------------------------------------------------------------------ */

struct hammer {
    struct store *store;
    uint64_t granted;
};

static void *hammer(void *argument)
{
    struct hammer *h = argument;
    for (uint64_t i = 0; i < 20000; i++) {
        h->granted += grant(h->store, 7, &per_minute, START + i);
        /* Others come meanwhile, for which there are ever more cells. */
        store_expect(h->store, key_of(1000 + i));
        grant(h->store, 1000 + i, &per_minute, START + i);
    }
    return NULL;
}

START_TEST(threads_share_one_limit_exactly)
{
    struct store *store = store_memory_create(100000, 0);
    pthread_t threads[4];
    struct hammer hammers[4];
    uint64_t granted = 0;
    for (int i = 0; i < 4; i++) {
        hammers[i] = (struct hammer){store, 0};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        granted += hammers[i].granted;
    }
    ck_assert_uint_eq(granted, 1000);
    store_free(store);
}
END_TEST

START_TEST(what_is_given_back_can_be_taken_again)
{
    struct limit two = {LIMIT_FIXED_WINDOW, 2, 60 * SECOND, 0};
    struct store *store = store_memory_create(10, 0);
    struct store_take taken;
    ck_assert_int_eq(take(store, 1, &two, START, &taken), STORE_ANSWERED);
    ck_assert_uint_eq(grant(store, 1, &two, START), 1);
    ck_assert_uint_eq(grant(store, 1, &two, START), 0);
    store_give(store, &taken, 1, START);
    ck_assert_uint_eq(grant(store, 1, &two, START), 1);
    ck_assert_uint_eq(grant(store, 1, &two, START), 0);
    /* Of a key that is no longer there: nothing happens. */
    taken.key = key_of(99);
    store_give(store, &taken, 1, START);
    ck_assert_uint_eq(statistics_of(store).keys, 1);
    store_free(store);
}
END_TEST

START_TEST(a_limit_of_zero_keeps_no_key)
{
    struct limit none = {LIMIT_TOKEN_BUCKET, 0, SECOND, 0};
    struct store *store = store_memory_create(1, 0);
    for (uint64_t key = 0; key < 10; key++)
        ck_assert_uint_eq(grant(store, key, &none, START), 0);
    ck_assert_uint_eq(statistics_of(store).keys, 0);
    store_free(store);
}
END_TEST

/* ---- room ---------------------------------------------------------------------------------- */

static void fill(struct store *store, uint64_t keys, uint64_t now)
{
    for (uint64_t key = 0; key < keys; key++)
        ck_assert_uint_eq(grant(store, key, &per_minute, now), 1);
}

/* For a table of one stripe, and for one of many. */
static void check_full(uint64_t max_keys)
{
    struct store *store = store_memory_create(max_keys, 0);
    struct store_take taken;
    fill(store, max_keys, START);
    ck_assert_uint_eq(statistics_of(store).keys, max_keys);

    ck_assert_int_eq(take(store, max_keys, &per_minute, START, &taken), STORE_FULL);
    ck_assert_uint_eq(statistics_of(store).full_total, 1);
    /* Those that are there go on being counted. */
    ck_assert_int_eq(take(store, 0, &per_minute, START, &taken), STORE_ANSWERED);
    ck_assert_uint_eq(taken.result.remaining, 998);

    /* Once the window is over there is room again, and never for more than max_keys. */
    uint64_t later = START + 60 * SECOND + KEPT;
    for (uint64_t key = 0; key < max_keys; key++)
        ck_assert_uint_eq(grant(store, 1000000 + key, &per_minute, later), 1);
    ck_assert_int_eq(take(store, 0, &per_minute, later, &taken), STORE_FULL);
    ck_assert_uint_eq(statistics_of(store).keys, max_keys);
    store_free(store);
}

START_TEST(a_full_store_says_so)
{
    check_full(1);
    check_full(100);
}
END_TEST

START_TEST(a_full_store_of_many_stripes_says_so)
{
    struct store *store = store_memory_create(50000, 0);
    struct store_take taken;
    fill(store, 50000, START);
    ck_assert_int_eq(take(store, 50000, &per_minute, START, &taken), STORE_FULL);
    ck_assert_uint_eq(statistics_of(store).keys, 50000);
    store_free(store);
}
END_TEST

START_TEST(upkeep_takes_out_what_has_expired_and_nothing_else)
{
    struct limit hour = {LIMIT_FIXED_WINDOW, 5, 3600 * SECOND, 0};
    struct store *store = store_memory_create(20000, 0);
    fill(store, 10000, START);
    for (uint64_t key = 0; key < 100; key++)
        ck_assert_uint_eq(grant(store, 500000 + key, &hour, START), 1);
    for (int i = 0; i < 2000; i++)
        store_upkeep(store, START + 60 * SECOND + KEPT);
    ck_assert_uint_eq(statistics_of(store).keys, 100);
    ck_assert_uint_eq(statistics_of(store).reclaimed, 10000);
    for (uint64_t key = 0; key < 100; key++) {
        struct store_take taken;
        take(store, 500000 + key, &hour, START + 62 * SECOND, &taken);
        ck_assert_uint_eq(taken.result.remaining, 3);
    }
    store_free(store);
}
END_TEST

START_TEST(a_thread_with_a_late_clock_finds_what_it_counted)
{
    struct limit one = {LIMIT_FIXED_WINDOW, 1, 60 * SECOND, 0};
    struct store *store = store_memory_create(1, 0);
    struct store_take taken;
    uint64_t end = START + 60 * SECOND;
    ck_assert_uint_eq(grant(store, 1, &one, end - 1000), 1);
    for (int i = 0; i < 2000; i++)
        store_upkeep(store, end + 1000);
    ck_assert_int_eq(take(store, 2, &one, end + 1000, &taken), STORE_FULL);
    ck_assert_uint_eq(grant(store, 1, &one, end - 500), 0);
    store_free(store);
}
END_TEST

START_TEST(the_most_keys_that_can_be_asked_for)
{
    ck_assert_ptr_null(store_memory_create(UINT64_MAX, 0));
}
END_TEST

/* ---- the table against a model ------------------------------------------------------------- */

#define MODEL_KEYS 3000

/* Fixed windows of several lengths, so that cells expire at all times; the model keeps each key's
 * window and count apart. */
START_TEST(a_table_that_comes_and_goes_counts_like_a_plain_array)
{
    static uint64_t window_of[MODEL_KEYS];
    static uint64_t count_of[MODEL_KEYS];
    struct random random = random_open("table");
    struct store *store = store_memory_create(MODEL_KEYS, 0);
    uint64_t now = START;
    for (int i = 0; i < 400000; i++) {
        uint64_t key = random_below(&random, MODEL_KEYS);
        struct limit limit = {LIMIT_FIXED_WINDOW, 5, (1 + key % 7) * SECOND, 0};
        uint64_t window = now / limit.window + 1;
        if (window_of[key] != window)
            count_of[key] = 0;
        window_of[key] = window;
        uint64_t expected = count_of[key] < 5 ? 1 : 0;
        count_of[key] += expected;
        ck_assert_uint_eq(grant(store, key, &limit, now), expected);
        now += random_below(&random, 2000);
        if (i % 50 == 0)
            store_upkeep(store, now);
    }
    ck_assert_uint_gt(statistics_of(store).reclaimed, MODEL_KEYS);
    store_free(store);
}
END_TEST

/* A key whose place in a table of one stripe is the last but `from_end`, or close to it: the places
 * that follow are the first ones. */
static struct hash128 key_near_end(uint64_t number, uint64_t from_end)
{
    return (struct hash128){(UINT32_MAX - (from_end << 24)) << 32 | number, number << 8};
}

#define END_KEYS 40

START_TEST(a_run_of_cells_goes_on_at_the_table_s_start)
{
    struct random random = random_open("end");
    struct store *store = store_memory_create(100, 0);
    uint64_t window_of[END_KEYS] = {0};
    uint64_t count_of[END_KEYS] = {0};
    uint64_t now = START;
    for (int i = 0; i < 200000; i++) {
        uint64_t key = random_below(&random, END_KEYS);
        struct limit limit = {LIMIT_FIXED_WINDOW, 5, (1 + key % 7) * SECOND, 0};
        struct store_take taken = {.key = key_near_end(key, key % 3), .limit = &limit, .wanted = 1};
        uint64_t window = now / limit.window + 1;
        if (window_of[key] != window)
            count_of[key] = 0;
        window_of[key] = window;
        uint64_t expected = count_of[key] < 5 ? 1 : 0;
        count_of[key] += expected;
        ck_assert_int_eq(store_take(store, &taken, now), STORE_ANSWERED);
        ck_assert_uint_eq(taken.result.granted, expected);
        now += random_below(&random, 100000);
        /* Every cell is looked at, so that each that has expired goes at once. */
        for (int call = 0; i % 20 == 0 && call < 300; call++)
            store_upkeep(store, now);
    }
    store_free(store);
}
END_TEST

/* All in one stripe, the first and the last places crowded most. */
START_TEST(counts_stay_while_a_stripe_gets_more_cells)
{
    struct random random = random_open("wider");
    struct store *store = store_memory_create(1000, 0);
    static struct hash128 keys[1000];
    static uint64_t counts[1000];
    for (size_t i = 0; i < 1000; i++) {
        uint64_t place = random_below(&random, 1u << 16) << (i % 3 ? 16 : 4);
        keys[i] = (struct hash128){(i % 2 ? place : UINT32_MAX - place) << 32 | i, 0};
        for (int again = 0; again < 50; again++) {
            size_t at = again ? random_below(&random, i + 1) : i;
            struct store_take taken = {.key = keys[at], .limit = &per_minute, .wanted = 1};
            ck_assert_int_eq(store_take(store, &taken, START), STORE_ANSWERED);
            ck_assert_uint_eq(taken.result.remaining, 1000 - ++counts[at]);
        }
        ck_assert_uint_eq(statistics_of(store).keys, i + 1);
    }
    store_free(store);
}
END_TEST

/* Hashes spread keys over the stripes; were they all in one, it would be full before the store. */
START_TEST(a_full_stripe_says_so)
{
    struct store *store = store_memory_create(50000, 0);
    struct store_take taken = {.limit = &per_minute, .wanted = 1};
    uint64_t count = 0;
    do {
        taken.key = (struct hash128){count << 40 | count, 0};
        count++;
    } while (store_take(store, &taken, START) == STORE_ANSWERED);
    ck_assert_uint_gt(count, 50000 / 64);
    ck_assert_uint_lt(count, 50000);
    ck_assert_uint_eq(statistics_of(store).keys, count - 1);
    /* Others are as they were. */
    taken.key = (struct hash128){1, 1};
    ck_assert_int_eq(store_take(store, &taken, START), STORE_ANSWERED);
    taken.key = (struct hash128){0, 0};
    ck_assert_int_eq(store_take(store, &taken, START), STORE_ANSWERED);
    ck_assert_uint_eq(taken.result.remaining, 998);
    store_free(store);
}
END_TEST

/* ---- sliding logs -------------------------------------------------------------------------- */

START_TEST(logs_are_bounded_in_bytes)
{
    struct limit log = {LIMIT_SLIDING_LOG, 100, 10 * SECOND, 0};
    size_t each = limit_log_size(&log);
    struct store *store = store_memory_create(1000, 3 * each);
    struct store_take taken;
    for (uint64_t key = 0; key < 3; key++)
        ck_assert_uint_eq(grant(store, key, &log, START), 1);
    ck_assert_int_eq(take(store, 3, &log, START, &taken), STORE_FULL);
    ck_assert_uint_eq(statistics_of(store).log_bytes, 3 * each);
    for (int i = 0; i < 2000; i++)
        store_upkeep(store, START + 10 * SECOND + KEPT);
    ck_assert_uint_eq(statistics_of(store).log_bytes, 0);
    ck_assert_uint_eq(grant(store, 3, &log, START + 10 * SECOND + KEPT), 1);
    store_free(store);
}
END_TEST

START_TEST(a_key_that_takes_the_place_of_an_expired_one_takes_its_log_along)
{
    struct limit log = {LIMIT_SLIDING_LOG, 100, 10 * SECOND, 0};
    size_t each = limit_log_size(&log);
    struct store *store = store_memory_create(100, 2 * each);
    struct store_take taken = {.limit = &log, .wanted = 1};
    for (uint64_t i = 0; i < 10; i++) { /* the same place each time */
        taken.key = key_near_end(i, 0);
        ck_assert_int_eq(store_take(store, &taken, START + i * (10 * SECOND + KEPT)),
                         STORE_ANSWERED);
        ck_assert_uint_eq(taken.result.granted, 1);
        ck_assert_uint_eq(statistics_of(store).log_bytes, each);
        ck_assert_uint_eq(statistics_of(store).keys, 1);
    }
    store_free(store);
}
END_TEST

START_TEST(a_log_goes_on_when_its_limit_is_changed)
{
    struct limit small = {LIMIT_SLIDING_LOG, 3, 10 * SECOND, 0};
    struct limit large = {LIMIT_SLIDING_LOG, 5, 10 * SECOND, 0};
    struct store *store = store_memory_create(10, 1 << 20);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_uint_eq(grant(store, 1, &small, START + i * SECOND), 1);
    ck_assert_uint_eq(grant(store, 1, &small, START + 3 * SECOND), 0);
    ck_assert_uint_eq(grant(store, 1, &large, START + 3 * SECOND), 1);
    ck_assert_uint_eq(grant(store, 1, &large, START + 4 * SECOND), 1);
    ck_assert_uint_eq(grant(store, 1, &large, START + 4 * SECOND), 0);
    /* The first of the small limit's three is over, the others still count. */
    ck_assert_uint_eq(grant(store, 1, &large, START + 10 * SECOND), 1);
    ck_assert_uint_eq(grant(store, 1, &large, START + 10 * SECOND), 0);
    /* And back: five in the last ten seconds are more than three. */
    ck_assert_uint_eq(grant(store, 1, &small, START + 11 * SECOND), 0);
    store_free(store);
}
END_TEST

/* ---- raising ------------------------------------------------------------------------------- */

static const struct limit ten_of_each_kind[] = {
    {LIMIT_FIXED_WINDOW, 10, 60 * SECOND, 0},
    {LIMIT_SLIDING_WINDOW, 10, 60 * SECOND, 0},
    {LIMIT_TOKEN_BUCKET, 10, 60 * SECOND, 10},
    {LIMIT_SLIDING_LOG, 10, 60 * SECOND, 0},
};

#define KINDS (sizeof(ten_of_each_kind) / sizeof(ten_of_each_kind[0]))

static void raise_to(struct store *store, uint64_t key, const struct limit *limit, uint64_t used,
                     uint64_t now)
{
    struct store_take take = {.key = key_of(key), .limit = limit};
    store_memory_raise(store, &take, used, now);
}

/* What is left after one more take. */
static uint64_t left_after_one(struct store *store, uint64_t key, const struct limit *limit,
                               uint64_t now)
{
    struct store_take taken;
    ck_assert_int_eq(take(store, key, limit, now, &taken), STORE_ANSWERED);
    ck_assert_uint_eq(taken.result.granted, 1);
    return taken.result.remaining;
}

START_TEST(what_is_known_from_elsewhere_is_charged_once)
{
    for (size_t i = 0; i < KINDS; i++) {
        const struct limit *limit = &ten_of_each_kind[i];
        struct store *store = store_memory_create(10, 1 << 20);
        raise_to(store, 1, limit, 4, START);
        raise_to(store, 1, limit, 4, START);
        raise_to(store, 1, limit, 3, START);
        ck_assert_uint_eq(left_after_one(store, 1, limit, START), 5);
        raise_to(store, 1, limit, 4, START); /* 5 are in use already */
        ck_assert_uint_eq(left_after_one(store, 1, limit, START), 4);
        raise_to(store, 1, limit, 8, START);
        ck_assert_uint_eq(left_after_one(store, 1, limit, START), 1);
        store_free(store);
    }
}
END_TEST

START_TEST(no_more_is_charged_than_there_can_be)
{
    struct limit none = {LIMIT_FIXED_WINDOW, 0, 60 * SECOND, 0};
    for (size_t i = 0; i < KINDS; i++) {
        const struct limit *limit = &ten_of_each_kind[i];
        struct store *store = store_memory_create(10, 1 << 20);
        raise_to(store, 1, limit, 0, START);
        raise_to(store, 1, &none, 5, START);
        ck_assert_uint_eq(statistics_of(store).keys, 0);
        raise_to(store, 1, limit, UINT64_MAX, START);
        ck_assert_uint_eq(statistics_of(store).keys, 1);
        ck_assert_uint_eq(grant(store, 1, limit, START), 0);
        /* All is free when it would be, had it been taken: not later. */
        ck_assert_uint_eq(left_after_one(store, 1, limit, START + 120 * SECOND), 9);
        store_free(store);
    }
}
END_TEST

START_TEST(what_was_raised_comes_free_in_time)
{
    const struct limit *bucket = &ten_of_each_kind[2];
    struct store *store = store_memory_create(10, 0);
    raise_to(store, 1, bucket, 10, START);
    raise_to(store, 1, bucket, 7, START + 18 * SECOND); /* 3 have come free */
    ck_assert_uint_eq(left_after_one(store, 1, bucket, START + 18 * SECOND), 2);
    store_free(store);
}
END_TEST

START_TEST(a_log_is_raised_under_a_limit_that_was_changed)
{
    struct limit small = {LIMIT_SLIDING_LOG, 3, 10 * SECOND, 0};
    const struct limit *large = &ten_of_each_kind[3];
    struct store *store = store_memory_create(10, 1 << 20);
    ck_assert_uint_eq(grant(store, 1, &small, START), 1);
    raise_to(store, 1, large, 6, START);
    ck_assert_uint_eq(left_after_one(store, 1, large, START), 3);
    store_free(store);
}
END_TEST

/* Neither in the table nor, of a log, in memory. Whoever then takes is told so. */
START_TEST(a_key_that_has_no_room_is_not_raised)
{
    struct store *store = store_memory_create(1, 1);
    struct store_take taken;
    ck_assert_uint_eq(grant(store, 1, &per_minute, START), 1);
    raise_to(store, 2, &per_minute, 5, START);
    ck_assert_uint_eq(statistics_of(store).keys, 1);
    ck_assert_int_eq(take(store, 2, &per_minute, START, &taken), STORE_FULL);
    store_free(store);

    store = store_memory_create(10, 1);
    raise_to(store, 1, &ten_of_each_kind[3], 5, START);
    ck_assert_uint_eq(statistics_of(store).log_bytes, 0);
    ck_assert_int_eq(take(store, 1, &ten_of_each_kind[3], START, &taken), STORE_FULL);
    store_free(store);
}
END_TEST

START_TEST(a_key_that_is_reset_is_as_good_as_never_seen)
{
    struct store *store = store_memory_create(100, 1 << 20);
    for (size_t i = 0; i < sizeof(ten_of_each_kind) / sizeof(ten_of_each_kind[0]); i++) {
        const struct limit *limit = &ten_of_each_kind[i];
        struct store_take reset = {.key = key_of(i), .limit = limit};
        for (int j = 0; j < 10; j++)
            ck_assert_uint_eq(grant(store, i, limit, START), 1);
        ck_assert_uint_eq(grant(store, i, limit, START), 0);
        ck_assert_int_eq(store_reset(store, &reset, START), STORE_ANSWERED);
        ck_assert_uint_eq(statistics_of(store).keys, 0);
        ck_assert_uint_eq(statistics_of(store).log_bytes, 0);
        ck_assert_uint_eq(grant(store, i, limit, START), 1);
        ck_assert_int_eq(store_reset(store, &reset, START), STORE_ANSWERED);
        ck_assert_int_eq(store_reset(store, &reset, START), STORE_ANSWERED); /* there is none */
    }
    ck_assert_uint_eq(statistics_of(store).reclaimed, 0);
    store_free(store);
}
END_TEST

UNIT_MAIN("memory", threads_share_one_limit_exactly, what_is_given_back_can_be_taken_again,
          a_limit_of_zero_keeps_no_key, a_full_store_says_so, a_full_store_of_many_stripes_says_so,
          upkeep_takes_out_what_has_expired_and_nothing_else,
          a_thread_with_a_late_clock_finds_what_it_counted, the_most_keys_that_can_be_asked_for,
          a_table_that_comes_and_goes_counts_like_a_plain_array,
          a_run_of_cells_goes_on_at_the_table_s_start, counts_stay_while_a_stripe_gets_more_cells,
          a_full_stripe_says_so, logs_are_bounded_in_bytes,
          a_key_that_takes_the_place_of_an_expired_one_takes_its_log_along,
          a_log_goes_on_when_its_limit_is_changed, what_is_known_from_elsewhere_is_charged_once,
          no_more_is_charged_than_there_can_be, a_log_is_raised_under_a_limit_that_was_changed,
          a_key_that_has_no_room_is_not_raised, what_was_raised_comes_free_in_time,
          a_key_that_is_reset_is_as_good_as_never_seen)
