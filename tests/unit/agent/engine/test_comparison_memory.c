/* A candidate needs no memory once as many decisions have waited as ever will; and where it needs
 * some that isn't there, only the comparison is lost. */
#include "allocations.h"
#include "main.h"
#include "twin.h"

/* Allocations while armed, and how many of them still succeed. */
static bool armed;
static size_t count;
static size_t left;

static bool fails(void)
{
    count += armed;
    return armed && count > left;
}

static const char old_rules[] =
    "listen: tcp://127.0.0.1:0\n"
    "rules: [ { name: old, key: src, limits: { limit: 100000, window: 1h } } ]\n";
static const char new_rules[] =
    "listen: tcp://127.0.0.1:0\n"
    "rules: [ { name: new, key: src, limits: { limit: 2, window: 1h } } ]\n";

/* Check allocates too: what is armed is what the engines do alone. */
static void ask(struct twin *twin, uint8_t client)
{
    armed = true;
    enum engine_outcome outcome = request(twin->bench, "/x", client, 1);
    armed = false;
    ck_assert_int_eq(outcome, ENGINE_ANSWERED);
    ck_assert_ptr_nonnull(strstr(next_answer(twin->bench, 1), "allow=true"));
}

static void answer_candidate(struct twin *twin)
{
    struct scripted_store *store = &twin->store;
    while (store->count) {
        struct store_take *take = store->waiting[0];
        store->count--;
        memmove(store->waiting, store->waiting + 1, store->count * sizeof(struct store_take *));
        armed = true;
        take->answered(take, store_take(store->memory, take, NOW));
        armed = false;
    }
}

START_TEST(nothing_is_allocated_once_it_is_warm)
{
    struct twin *twin = twin_open(old_rules, new_rules, 100);
    twin->store.defer = true;
    left = SIZE_MAX;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 10; i++)
            ask(twin, 1);
        answer_candidate(twin);
        if (round == 0)
            ck_assert_uint_gt(count, 0);
        else
            ck_assert_uint_eq(count, 0);
        count = 0;
    }
    expect_counts(twin, 2, 998, 0, 0);
    twin_close(twin);
}
END_TEST

/* Allocations beyond so many fail. */
static void ask_without_memory(size_t allocations)
{
    struct twin *twin = twin_open(old_rules, new_rules, 100);
    left = SIZE_MAX;
    ask(twin, 9); /* those in force are warm then, and one pair is */
    twin->store.defer = true;
    left = allocations;
    count = 0;
    for (int i = 0; i < 5; i++)
        ask(twin, 1);
    size_t compared = twin->store.count;
    answer_candidate(twin);
    ck_assert(allocations ? compared >= 1 : compared == 1);
    expect_counts(twin, compared < 2 ? 1 + compared : 3, compared < 2 ? 0 : compared - 2, 0, 0);
    expect_skipped(twin, 0, 5 - compared, 0);
    twin_close(twin);
}

START_TEST(without_memory_only_the_comparison_is_lost)
{
    size_t allocations = 0;
    do
        ask_without_memory(allocations);
    while (count > allocations++);
    ck_assert_uint_ge(allocations, 8); /* a pair and a decision, four times */
}
END_TEST

UNIT_MAIN("comparison_memory", nothing_is_allocated_once_it_is_warm,
          without_memory_only_the_comparison_is_lost)
