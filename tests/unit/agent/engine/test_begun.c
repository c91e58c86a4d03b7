/* Several requests that are read before the store is asked about the first of them. */
#include <stdio.h>

#include "agent/engine/decision.h"
#include "bench.h"
#include "main.h"

static const char rules_text[] =
    "listen: tcp://127.0.0.1:0\n"
    "rules:\n"
    "  - { name: client, key: [ src, path ],\n"
    "      limits: [ { limit: 5, window: 1h }, { limit: 9, window: 1d } ] }\n"
    "  - { name: path, key: { arg: path, segments: 1 }, limits: { limit: 100, window: 1h } }\n";

#define KEYS_MAX 100

static char keys[KEYS_MAX][512];
static size_t key_count;

static enum store_status recording_take(struct store *store, struct store_take *take, uint64_t now)
{
    struct scripted_store *scripted = (struct scripted_store *)store;
    enum store_status status = scripted_operations.take(store, take, now);
    ck_assert_uint_lt(key_count, KEYS_MAX);
    memcpy(keys[key_count++], scripted->last_key, sizeof(keys[0]));
    return status;
}

static void expect_nothing(struct store *store, struct hash128 key)
{
    (void)store;
    (void)key;
}

/* Of a store that fetches what is expected: only that is asked later. */
static struct bench *bench_open(struct store_operations *operations)
{
    struct bench *bench = bench_with(rules_text, 100);
    *operations = scripted_operations;
    operations->take = recording_take;
    operations->expect = expect_nothing;
    bench->store.store.operations = operations;
    key_count = 0;
    return bench;
}

static void begin(struct bench *bench, struct slice payload)
{
    struct spop_frame frame = {.type = SPOP_FRAME_NOTIFY,
                               .flags = SPOP_FLAG_FIN,
                               .stream_id = 3,
                               .frame_id = 1,
                               .payload = payload};
    enum engine_outcome outcome = engine_begin(bench->engine, &bench->client, &frame, bench->now);
    ck_assert_int_eq(outcome, ENGINE_PENDING);
}

static void expect_keys(size_t first, unsigned client, const char *path)
{
    const char *const limits[] = {"client:sliding-window-1h", "client:sliding-window-1d"};
    char expected[80];
    for (size_t i = 0; i < 2; i++) {
        snprintf(expected, sizeof(expected), "{192.0.2.%u,=%s}:%s", client, path, limits[i]);
        ck_assert_str_eq(keys[first + i], expected);
    }
    snprintf(expected, sizeof(expected), "{=%s}:path:sliding-window-1h", path);
    ck_assert_str_eq(keys[first + 2], expected);
}

START_TEST(each_is_asked_about_by_its_own_values)
{
    struct store_operations operations;
    struct bench *bench = bench_open(&operations);
    static uint8_t bytes[ENGINE_AHEAD + 1][256];
    char path[16];
    for (uint8_t i = 0; i <= ENGINE_AHEAD; i++) {
        struct writer w = writer_open(bytes[i], sizeof(bytes[i]));
        snprintf(path, sizeof(path), "/p%u", i);
        write_request(&w, "sluice-request", path, i);
        begin(bench, writer_slice(&w));
        ck_assert_uint_eq(key_count, i < ENGINE_AHEAD ? 0 : (size_t)3 * ENGINE_AHEAD);
    }
    engine_finish(bench->engine);
    ck_assert_uint_eq(bench->answered, ENGINE_AHEAD + 1);
    ck_assert_uint_eq(key_count, (size_t)3 * (ENGINE_AHEAD + 1));
    for (uint8_t i = 0; i <= ENGINE_AHEAD; i++) {
        snprintf(path, sizeof(path), "/p%u", i);
        expect_keys((size_t)3 * i, i, path);
    }
    bench_close(bench);
}
END_TEST

START_TEST(each_message_of_a_frame_has_its_own_values)
{
    struct store_operations operations;
    struct bench *bench = bench_open(&operations);
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "sluice-request", "/a", 1);
    write_request(&w, "sluice-request", "/b", 2);
    begin(bench, writer_slice(&w));
    engine_finish(bench->engine);
    ck_assert_uint_eq(key_count, 6);
    expect_keys(0, 1, "/a");
    expect_keys(3, 2, "/b");
    bench_close(bench);
}
END_TEST

UNIT_MAIN("begun", each_is_asked_about_by_its_own_values,
          each_message_of_a_frame_has_its_own_values)
