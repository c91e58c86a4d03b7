/* Which keys a worker knows of, and which it forgets to make room. */
#include "agent/store/redis_cells.h"
#include "main.h"
#include "random.h"

#define MAX  64
#define MANY 3000

static struct hash128 hash_of(uint64_t key)
{
    return hash128(slice_of(&key, sizeof(key)), 1);
}

static struct redis_cell *add(struct redis_cells *cells, uint64_t key, bool *evicted)
{
    return redis_cells_add(cells, hash_of(key), SLICE("key"), evicted);
}

/* Also while buckets are taken in use, on both sides of each power of two. */
START_TEST(what_is_added_is_found)
{
    struct redis_cells cells;
    bool evicted;
    ck_assert(redis_cells_open(&cells, MANY));
    for (uint64_t key = 0; key < MANY; key++) {
        ck_assert_ptr_null(redis_cells_find(&cells, hash_of(key)));
        struct redis_cell *cell = add(&cells, key, &evicted);
        ck_assert_ptr_nonnull(cell);
        ck_assert(!evicted);
        for (uint64_t back = 0; back <= key && back < 300; back++)
            UNIT_ASSERT(redis_cells_find(&cells, hash_of(key - back)) != NULL);
        ck_assert_ptr_eq(redis_cells_find(&cells, hash_of(key)), cell);
    }
    for (uint64_t key = 0; key < MANY; key++)
        ck_assert_ptr_nonnull(redis_cells_find(&cells, hash_of(key)));
    ck_assert_uint_eq(cells.count, MANY);
    ck_assert_uint_eq(cells.buckets_used, (size_t)2 * MANY);
    redis_cells_close(&cells);
}
END_TEST

/* Whatever was learnt of them was over long ago: all go, a piece of the table at a time. */
START_TEST(what_counts_for_nothing_is_swept)
{
    struct redis_cells cells;
    bool evicted;
    ck_assert(redis_cells_open(&cells, MANY));
    for (uint64_t key = 0; key < MANY; key++)
        add(&cells, key, &evicted)->busy = key == 7;
    for (int sweep = 0; sweep < 600; sweep++)
        redis_cells_sweep(&cells, UINT64_MAX / 2);
    ck_assert_uint_eq(cells.count, 1);
    ck_assert_ptr_nonnull(redis_cells_find(&cells, hash_of(7)));
    redis_cells_close(&cells);
}
END_TEST

/* Keys of which some are used always and the others once: the table holds those, whatever comes. */
START_TEST(what_is_used_is_not_forgotten)
{
    struct random random = random_open("what_is_used_is_not_forgotten");
    struct redis_cells cells;
    bool evicted;
    uint64_t next = MAX;
    ck_assert(redis_cells_open(&cells, MAX));
    for (uint64_t key = 0; key < MAX / 2; key++)
        ck_assert_ptr_nonnull(add(&cells, key, &evicted));
    for (int round = 0; round < 10000; round++) {
        for (uint64_t key = 0; key < MAX / 2; key++)
            UNIT_ASSERT(redis_cells_find(&cells, hash_of(key)) != NULL);
        for (uint64_t more = random_below(&random, MAX / 4); more > 0; more--)
            UNIT_ASSERT(add(&cells, next++, &evicted) != NULL);
        UNIT_ASSERT(cells.count <= MAX);
    }
    ck_assert_uint_eq(cells.count, MAX);
    redis_cells_close(&cells);
}
END_TEST

static bool is_known(const struct redis_cells *cells, const struct redis_cell *wanted)
{
    const struct redis_cell *cell;
    TAILQ_FOREACH(cell, &cells->by_use, by_use)
    {
        if (cell == wanted)
            return true;
    }
    return false;
}

/* However many others came between its first use and its last one: three quarters of the table come
 * behind that before it goes. */
START_TEST(the_one_forgotten_was_not_used_for_long)
{
    struct redis_cells cells;
    bool evicted;
    for (uint64_t between = 0; between < MAX; between++) {
        uint64_t key = 0;
        ck_assert(redis_cells_open(&cells, MAX));
        while (key < MAX)
            add(&cells, key++, &evicted);
        uint64_t ours = key;
        const struct redis_cell *cell = add(&cells, key++, &evicted);
        for (uint64_t i = 0; i < between; i++)
            add(&cells, key++, &evicted);
        ck_assert_ptr_eq(redis_cells_find(&cells, hash_of(ours)), cell);
        uint64_t behind = 0;
        while (is_known(&cells, cell) && behind <= MAX) {
            add(&cells, key++, &evicted);
            behind++;
        }
        ck_assert_uint_ge(behind, MAX * 3 / 4 - 1);
        ck_assert_uint_le(behind, MAX + 1);
        redis_cells_close(&cells);
    }
}
END_TEST

START_TEST(what_is_in_use_is_not_forgotten)
{
    struct redis_cells cells;
    bool evicted;
    ck_assert(redis_cells_open(&cells, MAX));
    for (uint64_t key = 0; key < MAX; key++)
        add(&cells, key, &evicted)->busy = key != 5;
    ck_assert_ptr_nonnull(add(&cells, MAX, &evicted));
    ck_assert(evicted);
    ck_assert_ptr_null(redis_cells_find(&cells, hash_of(5)));
    redis_cells_find(&cells, hash_of(MAX))->busy = 1;
    ck_assert_ptr_null(add(&cells, MAX + 1, &evicted));
    ck_assert(!evicted);
    redis_cells_close(&cells);
}
END_TEST

START_TEST(a_table_of_one)
{
    struct redis_cells cells;
    bool evicted;
    ck_assert(redis_cells_open(&cells, 1));
    for (uint64_t key = 0; key < 100; key++) {
        ck_assert_ptr_nonnull(add(&cells, key, &evicted));
        ck_assert(evicted == (key > 0));
        ck_assert_ptr_nonnull(redis_cells_find(&cells, hash_of(key)));
    }
    ck_assert_uint_eq(cells.count, 1);
    redis_cells_close(&cells);
}
END_TEST

/* By a number of 64 bits, so that a refusal reads one cache line. */
START_TEST(limits_that_differ_in_anything_are_told_apart)
{
    const struct limit limit = {LIMIT_TOKEN_BUCKET, 10, 60, 10};
    const struct limit others[] = {{LIMIT_SLIDING_LOG, 10, 60, 10},
                                   {LIMIT_TOKEN_BUCKET, 11, 60, 10},
                                   {LIMIT_TOKEN_BUCKET, 10, 61, 10},
                                   {LIMIT_TOKEN_BUCKET, 10, 60, 11},
                                   {LIMIT_TOKEN_BUCKET, 60, 10, 10}};
    struct cell cell;
    struct store_take take = {.limit = &limit, .wanted = 1};
    struct store_takes answered = TAILQ_HEAD_INITIALIZER(answered);
    cell_open(&cell);
    cell_join(&cell, &take);
    ck_assert(cell_begin(&cell, 1, 1));
    cell_settle(&cell, &(struct redis_limit_outcome){.result = {.granted = 1}}, 1, &answered);
    ck_assert(cell_is_under(&cell, &limit));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert(!cell_is_under(&cell, &others[i]));
}
END_TEST

UNIT_MAIN("redis cells", what_is_added_is_found, what_counts_for_nothing_is_swept,
          what_is_used_is_not_forgotten, the_one_forgotten_was_not_used_for_long,
          what_is_in_use_is_not_forgotten, a_table_of_one,
          limits_that_differ_in_anything_are_told_apart)
