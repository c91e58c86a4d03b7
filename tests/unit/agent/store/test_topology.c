#include <pthread.h>
#include <stdio.h>

#include "agent/store/topology.h"
#include "main.h"

static struct topology_shard shard_of(const char *name, const char *address, uint16_t port)
{
    struct topology_shard shard = {.port = port, .weight = 1};
    snprintf(shard.name, sizeof(shard.name), "%s", name);
    snprintf(shard.address, sizeof(shard.address), "%s", address);
    return shard;
}

static struct topology *made(enum topology_placement placement, const struct topology_shard *shards,
                             size_t count, const uint16_t *slots)
{
    struct topology *topology;
    ck_assert_int_eq(topology_create(placement, shards, count, slots, &topology), ERROR_NONE);
    return topology;
}

static enum error refusal(enum topology_placement placement, const struct topology_shard *shards,
                          size_t count, const uint16_t *slots)
{
    struct topology *topology = (struct topology *)1;
    enum error error = topology_create(placement, shards, count, slots, &topology);
    if (error)
        ck_assert_ptr_null(topology);
    else
        topology_release(topology);
    return error;
}

static void fill(uint16_t slots[SLOTS_COUNT], uint16_t with)
{
    for (size_t i = 0; i < SLOTS_COUNT; i++)
        slots[i] = with;
}

/* redis-0:7000, redis-1:7000 ... */
static void name_shards(struct topology_shard *shards, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "redis-%zu:7000", i);
        shards[i] = shard_of(name, "", 7000);
    }
}

/* ---- placing ------------------------------------------------------------------------------- */

START_TEST(one_shard_has_every_key)
{
    struct topology_shard shard = shard_of("unix:///run/redis.sock", "/run/redis.sock", 0);
    struct topology *topology = made(TOPOLOGY_ONE, &shard, 1, NULL);
    ck_assert_int_eq(topology_place(topology, SLICE("sluice:{a}:b")), 0);
    ck_assert_int_eq(topology_place(topology, SLICE("")), 0);
    ck_assert_int_eq(topology_place(topology, slice_of(NULL, 0)), 0);
    topology_release(topology);
}
END_TEST

/* The vectors are test_ketama's: this is about what of a key is hashed. */
START_TEST(ketama_places_by_the_hash_tag)
{
    struct topology_shard shards[2] = {shard_of("127.0.0.1:11211", "127.0.0.1", 11211),
                                       shard_of("127.0.0.1:11212", "127.0.0.1", 11212)};
    shards[0].weight = 600;
    shards[1].weight = 400;
    struct topology *topology = made(TOPOLOGY_KETAMA, shards, 2, NULL);
    bool both[2] = {false, false};
    for (unsigned i = 0; i < 1000; i++) {
        char tag[16];
        char key[64];
        snprintf(tag, sizeof(tag), "%u", i);
        size_t expected = ketama_find(topology->ketama, slice_of_string(tag));
        both[expected] = true;
        ck_assert_int_eq(topology_place(topology, slice_of_string(tag)), (int)expected);
        for (unsigned n = 0; n < 3; n++) {
            snprintf(key, sizeof(key), "sluice:{%s}:rule:%u", tag, n);
            ck_assert_int_eq(topology_place(topology, slice_of_string(key)), (int)expected);
        }
    }
    ck_assert(both[0] && both[1]);
    ck_assert_int_eq(topology_place(topology, SLICE("{test}")), 0); /* libketama's own vector */
    topology_release(topology);
}
END_TEST

START_TEST(slots_place_by_the_table)
{
    struct topology_shard shards[3];
    uint16_t slots[SLOTS_COUNT];
    name_shards(shards, 3);
    fill(slots, TOPOLOGY_NOWHERE);
    /* CLUSTER KEYSLOT foo, hello. */
    slots[12182] = 2;
    slots[866] = 0;
    struct topology *topology = made(TOPOLOGY_SLOTS, shards, 3, slots);
    ck_assert_uint_eq(topology->slots_served, 2);
    ck_assert_int_eq(topology_place(topology, SLICE("foo")), 2);
    ck_assert_int_eq(topology_place(topology, SLICE("a{foo}b")), 2);
    ck_assert_int_eq(topology_place(topology, SLICE("hello")), 0);
    ck_assert_int_eq(topology_place(topology, SLICE("bar")), -1);
    topology_release(topology);
}
END_TEST

/* ---- finding by name ----------------------------------------------------------------------- */

START_TEST(redirects_are_found)
{
    struct topology_shard shards[] = {
        shard_of("10.0.0.1:7000", "10.0.0.1", 7000),
        shard_of("10.0.0.1:7001", "10.0.0.1", 7001),
        shard_of("[2001:db8::1]:7000", "2001:db8::1", 7000),
        shard_of("Redis-3.example:7000", "10.0.0.3", 7000),
        shard_of("redis-4.example:7000", "", 7000),
    };
    uint16_t slots[SLOTS_COUNT];
    fill(slots, 0);
    struct topology *topology = made(TOPOLOGY_SLOTS, shards, 5, slots);
    static const struct {
        const char *name;
        int from;
        int found;
    } cases[] = {
        {"10.0.0.1:7000", -1, 0},
        {"10.0.0.1:7001", -1, 1},
        {"10.0.0.1:7002", -1, -1},
        {"2001:db8::1:7000", -1, 2}, /* as Redis writes it */
        {"[2001:db8::1]:7000", -1, 2},
        {"2001:db8::2:7000", -1, -1},
        {"redis-3.EXAMPLE:7000", -1, 3},
        {"10.0.0.3:7000", -1, 3}, /* by its address */
        {"redis-4.example:7000", -1, 4},
        {"redis-4.exampl:7000", -1, -1},
        {"redis-4.example2:7000", -1, -1},
        {":7001", 0, 1}, /* the host of who said it */
        {":7000", 1, 0},
        {":7002", 0, -1},
        {":7000", 2, 2},
        {":7000", 3, 3},
        {":7000", 4, -1}, /* whose address isn't known */
        {":7000", -1, -1},
        {":7000", 5, -1},
        {":7000", INT32_MAX, -1},
        {"?:7000", 0, -1},
        {"", 0, -1},
        {":", 0, -1},
        {"7000", 0, -1},
        {"10.0.0.1", 0, -1},
        {"10.0.0.1:", 0, -1},
        {"10.0.0.1:0", 0, -1},
        {"10.0.0.1:72536", 0, -1}, /* 65536 + 7000 */
        {"10.0.0.1:-7000", 0, -1},
        {"10.0.0.1: 7000", 0, -1},
        {"10.0.0.1:18446744073709558616", 0, -1}, /* 2^64 + 7000 */
        {"[]:7000", 0, 0},
        {"[:7000", 0, -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(topology_find(topology, slice_of_string(cases[i].name), cases[i].from) ==
                          cases[i].found,
                      "\"%s\" from %d", cases[i].name, cases[i].from);
    ck_assert_int_eq(topology_find(topology, slice_of(NULL, 0), 0), -1);
    topology_release(topology);
}
END_TEST

START_TEST(a_unix_socket_is_no_redirects_aim)
{
    struct topology_shard shard = shard_of("unix:///run/redis:0", "/run/redis:0", 0);
    struct topology *topology = made(TOPOLOGY_ONE, &shard, 1, NULL);
    ck_assert_int_eq(topology_find(topology, SLICE("unix:///run/redis:0"), 0), -1);
    ck_assert_int_eq(topology_find(topology, SLICE(":0"), 0), -1);
    ck_assert_uint_eq(topology_host(&topology->shards[0]).size, 0);
    topology_release(topology);
}
END_TEST

START_TEST(the_host_of_a_name)
{
    struct topology_shard v6 = shard_of("[2001:db8::1]:7000", "", 7000);
    struct topology_shard name = shard_of("redis-1:7000", "", 7000);
    ck_assert(slice_equal(topology_host(&v6), SLICE("2001:db8::1")));
    ck_assert(slice_equal(topology_host(&name), SLICE("redis-1")));
}
END_TEST

/* ---- comparing ----------------------------------------------------------------------------- */

START_TEST(only_the_version_may_differ)
{
    struct topology_shard shards[2];
    uint16_t slots[SLOTS_COUNT];
    name_shards(shards, 2);
    fill(slots, 1);
    struct topology *first = made(TOPOLOGY_SLOTS, shards, 2, slots);
    struct topology *same = made(TOPOLOGY_SLOTS, shards, 2, slots);
    same->version = 7;
    ck_assert(topology_equal(first, same));
    for (int change = 0; change < 7; change++) {
        struct topology_shard others[2] = {shards[0], shards[1]};
        uint16_t other_slots[SLOTS_COUNT];
        fill(other_slots, 1);
        if (change == 0)
            others[1].name[0] = 'R';
        else if (change == 1)
            others[1].address[0] = '1';
        else if (change == 2)
            others[1].port++;
        else if (change == 3)
            others[1].weight++;
        else if (change == 4)
            other_slots[SLOTS_COUNT - 1] = 0;
        if (change == 6)
            fill(other_slots, 0);
        struct topology *other = made(change == 5 ? TOPOLOGY_KETAMA : TOPOLOGY_SLOTS, others,
                                      change == 6 ? 1 : 2, other_slots);
        ck_assert_msg(!topology_equal(first, other), "change %d", change);
        topology_release(other);
    }
    topology_release(first);
    topology_release(same);
}
END_TEST

/* ---- holding ------------------------------------------------------------------------------- */

#define HOLDERS 4

static void *hold_and_release(void *context)
{
    struct topology *topology = context;
    for (int i = 0; i < 10000; i++) {
        struct topology *held = topology_hold(topology);
        if (topology_place(held, SLICE("key")) != 0)
            abort();
        topology_release(held);
    }
    topology_release(topology);
    return NULL;
}

/* Who frees too early or never is found by the sanitizers. */
START_TEST(the_last_holder_frees)
{
    struct topology_shard shard = shard_of("redis-1:6379", "10.0.0.1", 6379);
    struct topology *topology = made(TOPOLOGY_KETAMA, &shard, 1, NULL);
    pthread_t threads[HOLDERS];
    for (int i = 0; i < HOLDERS; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, hold_and_release, topology_hold(topology)), 0);
    topology_release(topology);
    for (int i = 0; i < HOLDERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_ptr_null(topology_hold(NULL));
    topology_release(NULL);
}
END_TEST

/* ---- bounds -------------------------------------------------------------------------------- */

START_TEST(what_is_no_topology_is_refused)
{
    static struct topology_shard shards[TOPOLOGY_SHARDS_MAX + 1];
    uint16_t slots[SLOTS_COUNT];
    name_shards(shards, TOPOLOGY_SHARDS_MAX + 1);
    fill(slots, TOPOLOGY_SHARDS_MAX - 1);
    static const enum topology_placement all[] = {TOPOLOGY_ONE, TOPOLOGY_KETAMA, TOPOLOGY_SLOTS};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(refusal(all[i], shards, 0, slots), ERROR_RANGE);
        ck_assert_int_eq(refusal(all[i], shards, TOPOLOGY_SHARDS_MAX + 1, slots), ERROR_RANGE);
        ck_assert_int_eq(refusal(all[i], shards, TOPOLOGY_SHARDS_MAX, slots),
                         all[i] == TOPOLOGY_ONE ? ERROR_RANGE : ERROR_NONE);
    }
    slots[5] = TOPOLOGY_SHARDS_MAX;
    ck_assert_int_eq(refusal(TOPOLOGY_SLOTS, shards, TOPOLOGY_SHARDS_MAX, slots), ERROR_RANGE);
    fill(slots, TOPOLOGY_NOWHERE);
    ck_assert_int_eq(refusal(TOPOLOGY_SLOTS, shards, 1, slots), ERROR_NONE);

    shards[1].weight = 0;
    ck_assert_int_eq(refusal(TOPOLOGY_KETAMA, shards, 2, NULL), ERROR_RANGE);
    shards[1].weight = 1;
    snprintf(shards[1].name, sizeof(shards[1].name), "REDIS-0:7000");
    ck_assert_int_eq(refusal(TOPOLOGY_KETAMA, shards, 2, NULL), ERROR_MALFORMED);
    ck_assert_int_eq(refusal(TOPOLOGY_SLOTS, shards, 2, slots), ERROR_MALFORMED);
    shards[1].name[0] = '\0';
    ck_assert_int_eq(refusal(TOPOLOGY_KETAMA, shards, 2, NULL), ERROR_MALFORMED);
}
END_TEST

START_TEST(the_longest_names_fit)
{
    struct topology_shard shard = {.port = 65535, .weight = 1};
    char host[ENDPOINT_HOST_MAX + 1];
    char redirect[ENDPOINT_HOST_MAX + 8];
    memset(host, 'h', ENDPOINT_HOST_MAX);
    host[ENDPOINT_HOST_MAX] = '\0';
    ck_assert_uint_eq((size_t)snprintf(shard.name, sizeof(shard.name), "[%s]:65535", host),
                      TOPOLOGY_NAME_MAX);
    snprintf(redirect, sizeof(redirect), "%s:65535", host);
    struct topology *topology = made(TOPOLOGY_KETAMA, &shard, 1, NULL);
    ck_assert_int_eq(topology_find(topology, slice_of_string(redirect), -1), 0);
    topology_release(topology);
}
END_TEST

UNIT_MAIN("topology", one_shard_has_every_key, ketama_places_by_the_hash_tag,
          slots_place_by_the_table, redirects_are_found, a_unix_socket_is_no_redirects_aim,
          the_host_of_a_name, only_the_version_may_differ, the_last_holder_frees,
          what_is_no_topology_is_refused, the_longest_names_fit)
