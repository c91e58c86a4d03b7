#include <math.h>
#include <md5.h>

#include "agent/store/ketama.h"
#include "main.h"
#include "random.h"

#define KEYS 1000000

/* ---- servers and keys to test with --------------------------------------------------------- */

/* A list of servers, with its names. */
struct servers {
    size_t count;
    struct ketama_server list[KETAMA_SERVERS_MAX + 1];
    char names[KETAMA_SERVERS_MAX + 1][64];
};

/* prefix, 1..count, suffix; the weights repeat. */
static struct servers *servers_of(const char *prefix, const char *suffix, size_t count,
                                  const uint32_t *weights, size_t weights_count)
{
    struct servers *servers = calloc(1, sizeof(*servers));
    ck_assert_ptr_nonnull(servers);
    servers->count = count;
    for (size_t i = 0; i < count; i++) {
        int size = snprintf(servers->names[i], sizeof(servers->names[i]), "%s%zu%s", prefix, i + 1,
                            suffix);
        servers->list[i].name = slice_of(servers->names[i], (size_t)size);
        servers->list[i].weight = weights[i % weights_count];
    }
    return servers;
}

static struct servers *equal_servers(size_t count)
{
    static const uint32_t one = 1;
    return servers_of("redis-", ":6379", count, &one, 1);
}

static struct ketama *made(const struct servers *servers)
{
    struct ketama *ketama;
    ck_assert_int_eq(ketama_create(servers->list, servers->count, &ketama), ERROR_NONE);
    ck_assert_ptr_nonnull(ketama);
    return ketama;
}

/* The keys are the decimal numbers from 0; libketama's own test has the same. */
static struct slice key_of(unsigned number, char text[12])
{
    return slice_of(text, (size_t)snprintf(text, 12, "%u", number));
}

/* The hashes of keys 0..KEYS - 1. */
static uint32_t *hashes_of_keys(void)
{
    uint32_t *hashes = calloc(KEYS, sizeof(*hashes));
    ck_assert_ptr_nonnull(hashes);
    for (unsigned i = 0; i < KEYS; i++) {
        char text[12];
        hashes[i] = ketama_hash(key_of(i, text));
    }
    return hashes;
}

/* How many points each server has. */
static void count_points(const struct ketama *ketama, unsigned points[KETAMA_SERVERS_MAX])
{
    memset(points, 0, KETAMA_SERVERS_MAX * sizeof(*points));
    for (size_t i = 0; i < ketama->count; i++)
        points[ketama->points[i].server]++;
}

/* ---- published vectors --------------------------------------------------------------------- */

START_TEST(hash_is_the_beginning_of_md5)
{
    /* The first bytes of RFC 1321's test suite, and what libketama's own test expects of "test". */
    ck_assert_uint_eq(ketama_hash(SLICE("")), 0xd98c1dd4);
    ck_assert_uint_eq(ketama_hash(slice_of(NULL, 0)), 0xd98c1dd4);
    ck_assert_uint_eq(ketama_hash(SLICE("a")), 0xb975c10c);
    ck_assert_uint_eq(ketama_hash(SLICE("message digest")), 0x7d696bf9);
    ck_assert_uint_eq(ketama_hash(SLICE("test")), 3446378249);
}
END_TEST

/* libketama, libketama/test.sh: ketama_test prints an empty line, then hash, point and server of
 * each of a million keys; the MD5 of all that is given there. */
START_TEST(a_million_keys_are_where_libketama_puts_them)
{
    static const uint32_t weights[] = {600, 300, 200, 350, 1000, 800, 950, 100};
    struct servers *servers = servers_of("10.0.1.", ":11211", 8, weights, 8);
    struct ketama *ketama = made(servers);
    MD5_CTX md5;
    MD5Init(&md5);
    MD5Update(&md5, (const uint8_t *)"\n", 1);
    for (unsigned i = 0; i < KEYS; i++) {
        char text[12];
        uint32_t hash = ketama_hash(key_of(i, text));
        const struct ketama_point *point = ketama_at(ketama, hash);
        char line[128];
        int size = snprintf(line, sizeof(line), "%u %u %s\n", hash, point->at,
                            servers->names[point->server]);
        MD5Update(&md5, (const uint8_t *)line, (size_t)size);
    }
    char digest[MD5_DIGEST_STRING_LENGTH];
    ck_assert_str_eq(MD5End(&md5, digest), "5672b131391f5aa2b280936aec1eea74");
    ketama_free(ketama);
    free(servers);
}
END_TEST

/* libketama, python_ketama/tests.py. */
START_TEST(two_servers_are_those_of_libketama)
{
    const struct ketama_server servers[] = {{SLICE("127.0.0.1:11211"), 600},
                                            {SLICE("127.0.0.1:11212"), 400}};
    struct ketama *ketama;
    ck_assert_int_eq(ketama_create(servers, 2, &ketama), ERROR_NONE);
    ck_assert_uint_eq(ketama->count, 320);
    ck_assert_uint_eq(ketama_at(ketama, ketama_hash(SLICE("test")))->at, 3454255383);
    ck_assert_uint_eq(ketama_find(ketama, SLICE("test")), 0);
    ketama_free(ketama);
}
END_TEST

/* ---- against another implementation -------------------------------------------------------- */

/* Made with libmemcached 1.1.4: MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED set, the servers added with
 * memcached_server_add_with_weight in this order, memcached_generate_hash asked for the keys "0",
 * "1" ... "999999". libmemcached leaves port 11211 out of a server's name. */
static const struct {
    const char *prefix; /* of the name, before 1, 2 ... */
    const char *suffix;
    size_t count;
    uint32_t weights[8];
    size_t weights_count;
    unsigned servers[20]; /* of keys "0" to "19" */
    uint64_t sum;         /* over all keys: sum = sum * 31 + server */
} vectors[] = {
    {"redis-",
     ":7000",
     3,
     {1},
     1,
     {2, 2, 1, 2, 0, 2, 1, 2, 2, 0, 0, 1, 0, 2, 2, 2, 2, 1, 2, 2},
     UINT64_C(3892756326388338063)},
    {"10.0.0.",
     ":6379",
     10,
     {1},
     1,
     {2, 9, 5, 9, 7, 3, 2, 0, 9, 7, 8, 1, 4, 8, 7, 3, 3, 8, 5, 0},
     UINT64_C(6692175311815113511)},
    {"cache-",
     ".example:6380",
     5,
     {1, 2, 3, 4, 5},
     5,
     {4, 2, 1, 4, 3, 4, 4, 4, 3, 1, 4, 4, 3, 2, 3, 4, 2, 2, 4, 3},
     UINT64_C(14778483458962016755)},
    {"10.0.1.",
     "",
     8,
     {600, 300, 200, 350, 1000, 800, 950, 100},
     8,
     {4, 4, 6, 0, 3, 0, 6, 6, 4, 7, 5, 6, 4, 6, 6, 0, 3, 0, 6, 4},
     UINT64_C(92218636783299150)},
    {"node",
     ":26379",
     60,
     {1},
     1,
     {44, 6, 36, 25, 8, 23, 12, 42, 51, 22, 53, 38, 54, 44, 1, 44, 48, 41, 53, 31},
     UINT64_C(6718642261762109692)},
    {"192.0.2.",
     ":7001",
     40,
     {10, 20, 70},
     3,
     {13, 35, 23, 19, 16, 38, 11, 26, 5, 29, 38, 11, 1, 17, 11, 10, 35, 38, 29, 24},
     UINT64_C(3517294673022987494)},
};

START_TEST(a_million_keys_are_where_libmemcached_puts_them)
{
    uint32_t *hashes = hashes_of_keys();
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct servers *servers = servers_of(vectors[i].prefix, vectors[i].suffix, vectors[i].count,
                                             vectors[i].weights, vectors[i].weights_count);
        struct ketama *ketama = made(servers);
        for (unsigned key = 0; key < 20; key++) {
            char text[12];
            ck_assert_msg(ketama_find(ketama, key_of(key, text)) == vectors[i].servers[key],
                          "vector %zu, key %u", i, key);
        }
        uint64_t sum = 0;
        for (size_t key = 0; key < KEYS; key++)
            sum = sum * 31 + ketama_at(ketama, hashes[key])->server;
        ck_assert_msg(sum == vectors[i].sum, "vector %zu: sum is %" PRIu64, i, sum);
        ketama_free(ketama);
        free(servers);
    }
    free(hashes);
}
END_TEST

/* ---- points -------------------------------------------------------------------------------- */

START_TEST(points_are_in_order_and_found_from_every_side)
{
    struct servers *servers = equal_servers(7);
    struct ketama *ketama = made(servers);
    const struct ketama_point *points = ketama->points;
    size_t last = ketama->count - 1;
    for (size_t i = 0; i <= last; i++) {
        /* No two of these points share a place. */
        if (i > 0)
            ck_assert_uint_lt(points[i - 1].at, points[i].at);
        ck_assert_ptr_eq(ketama_at(ketama, points[i].at), &points[i]);
        ck_assert_ptr_eq(ketama_at(ketama, points[i].at + 1), &points[i == last ? 0 : i + 1]);
        if (points[i].at - 1 != points[i == 0 ? last : i - 1].at)
            ck_assert_ptr_eq(ketama_at(ketama, points[i].at - 1), &points[i]);
    }
    ck_assert_ptr_eq(ketama_at(ketama, 0), &points[0]);
    ck_assert_ptr_eq(ketama_at(ketama, UINT32_MAX), &points[0]);
    ketama_free(ketama);
    free(servers);
}
END_TEST

/* Every server of an equal weight has 160 points, but where libketama's floats say 156. */
START_TEST(equal_servers_have_160_points_each)
{
    static const size_t short_of[] = {61, 122, 237, 953};
    size_t next = 0;
    for (size_t count = 1; count <= KETAMA_SERVERS_MAX; count++) {
        bool is_short = next < sizeof(short_of) / sizeof(short_of[0]) && count == short_of[next];
        next += is_short;
        /* All of them would take long. */
        if (count > 64 && !is_short && count != KETAMA_SERVERS_MAX)
            continue;
        struct servers *servers = equal_servers(count);
        struct ketama *ketama = made(servers);
        ck_assert_uint_eq(ketama->count, count * (is_short ? 156 : 160));
        unsigned points[KETAMA_SERVERS_MAX];
        count_points(ketama, points);
        for (size_t i = 0; i < count; i++)
            ck_assert_uint_eq(points[i], is_short ? 156 : 160);
        ketama_free(ketama);
        free(servers);
    }
}
END_TEST

START_TEST(weights_count_by_their_ratio)
{
    struct servers *servers = equal_servers(KETAMA_SERVERS_MAX);
    struct ketama *ones = made(servers);
    for (size_t i = 0; i < servers->count; i++)
        servers->list[i].weight = UINT32_MAX;
    struct ketama *largest = made(servers);
    ck_assert_uint_eq(ones->count, largest->count);
    ck_assert_int_eq(memcmp(ones->points, largest->points, ones->count * sizeof(ones->points[0])),
                     0);
    ketama_free(ones);
    ketama_free(largest);
    free(servers);
}
END_TEST

/* By the header: below 1/40 of the average weight there is no point. */
START_TEST(a_very_light_server_has_no_keys)
{
    const struct ketama_server servers[] = {{SLICE("light"), 1}, {SLICE("heavy"), 99}};
    struct ketama *ketama;
    ck_assert_int_eq(ketama_create(servers, 2, &ketama), ERROR_NONE);
    ck_assert_uint_eq(ketama->count, 316); /* 4 * 79: 99 / 100 * 40 * 2 is 79.2 */
    for (size_t i = 0; i < ketama->count; i++)
        ck_assert_uint_eq(ketama->points[i].server, 1);
    ketama_free(ketama);
}
END_TEST

START_TEST(heavier_servers_have_more_keys)
{
    static const uint32_t weights[] = {600, 300, 200, 350, 1000, 800, 950, 100};
    const double total = 4300;
    struct servers *servers = servers_of("10.0.1.", ":11211", 8, weights, 8);
    struct ketama *ketama = made(servers);
    unsigned points[KETAMA_SERVERS_MAX];
    count_points(ketama, points);
    unsigned keys[8] = {0};
    for (unsigned i = 0; i < KEYS; i++) {
        char text[12];
        keys[ketama_find(ketama, key_of(i, text))]++;
    }
    for (size_t i = 0; i < 8; i++) {
        double digests = weights[i] / total * 40 * 8;
        ck_assert_uint_eq(points[i] % 4, 0);
        ck_assert_double_le(points[i] / 4.0, digests);
        ck_assert_double_gt(points[i] / 4.0, digests - 1);
        /* With P of N random points a server's part of the circle is distributed as
         * Beta(P, N - P); four of its standard deviations. Sampling adds next to nothing. */
        double mean = points[i] / (double)ketama->count;
        double deviation = sqrt(mean * (1 - mean) / ((double)ketama->count + 1));
        ck_assert_double_eq_tol(keys[i] / (double)KEYS, mean, 4 * deviation);
    }
    ketama_free(ketama);
    free(servers);
}
END_TEST

/* ---- adding and removing ------------------------------------------------------------------- */

/* Adding to N servers one more: of a million keys about 1 / (N + 1) move, all of them to the new
 * one. The same read backwards is its removal: its keys move, and no others. The new server has 160
 * of 160 * (N + 1) random points, so its part is distributed as Beta(160, 160 * N), whose standard
 * deviation is 6 % (N = 1) to 8 % (large N) of the mean; three of them are allowed. */
START_TEST(an_added_server_takes_its_part_and_nothing_else_moves)
{
    static const size_t counts[] = {1, 2, 3, 5, 10, 24, 50, 99};
    uint32_t *hashes = hashes_of_keys();
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        size_t count = counts[i];
        struct servers *servers = equal_servers(count + 1);
        struct ketama *after = made(servers);
        servers->count--;
        struct ketama *before = made(servers);
        unsigned moved = 0;
        unsigned elsewhere = 0;
        for (size_t key = 0; key < KEYS; key++) {
            size_t from = ketama_at(before, hashes[key])->server;
            size_t to = ketama_at(after, hashes[key])->server;
            moved += from != to;
            elsewhere += from != to && to != count;
        }
        ck_assert_uint_eq(elsewhere, 0);
        double expected = 1 / ((double)count + 1);
        double deviation = sqrt(expected * (1 - expected) / (160 * ((double)count + 1) + 1));
        printf("%zu servers and one more: %.4f of the keys move, expected %.4f +- %.4f\n", count,
               moved / (double)KEYS, expected, deviation);
        ck_assert_double_eq_tol(moved / (double)KEYS, expected, 3 * deviation);
        ketama_free(before);
        ketama_free(after);
        free(servers);
    }
    free(hashes);
}
END_TEST

/* Whichever is removed, its keys go to the others, and the others keep theirs. */
START_TEST(a_removed_server_leaves_the_others_keys_where_they_are)
{
    uint32_t *hashes = hashes_of_keys();
    struct servers *servers = equal_servers(6);
    struct ketama *before = made(servers);
    for (size_t removed = 0; removed < 6; removed++) {
        struct servers *rest = equal_servers(6);
        memmove(&rest->list[removed], &rest->list[removed + 1],
                (5 - removed) * sizeof(rest->list[0]));
        rest->count = 5;
        struct ketama *after = made(rest);
        bool took_over[6] = {false};
        unsigned strayed = 0;
        for (size_t key = 0; key < KEYS; key++) {
            size_t from = ketama_at(before, hashes[key])->server;
            size_t to = ketama_at(after, hashes[key])->server;
            to += to >= removed;
            if (from == removed)
                took_over[to] = true;
            else
                strayed += from != to;
        }
        ck_assert_uint_eq(strayed, 0);
        for (size_t i = 0; i < 6; i++)
            ck_assert_int_eq(took_over[i], i != removed);
        ketama_free(after);
        free(rest);
    }
    ketama_free(before);
    free(servers);
    free(hashes);
}
END_TEST

/* ---- the order of the list ----------------------------------------------------------------- */

START_TEST(the_order_of_the_list_does_not_matter)
{
    struct random random = random_open("the_order_of_the_list_does_not_matter");
    static const uint32_t weights[] = {5, 1, 3};
    struct servers *servers = servers_of("redis-", ":6379", 30, weights, 3);
    struct ketama *ketama = made(servers);
    struct servers *shuffled = servers_of("redis-", ":6379", 30, weights, 3);
    for (size_t i = shuffled->count - 1; i > 0; i--) {
        size_t other = random_below(&random, i + 1);
        struct ketama_server server = shuffled->list[i];
        shuffled->list[i] = shuffled->list[other];
        shuffled->list[other] = server;
    }
    struct ketama *same = made(shuffled);
    ck_assert_uint_eq(same->count, ketama->count);
    for (size_t i = 0; i < ketama->count; i++) {
        ck_assert_uint_eq(same->points[i].at, ketama->points[i].at);
        ck_assert(slice_equal(shuffled->list[same->points[i].server].name,
                              servers->list[ketama->points[i].server].name));
    }
    ketama_free(same);
    ketama_free(ketama);
    free(shuffled);
    free(servers);
}
END_TEST

/* Both of these have a point at 0x8d487ad5. */
START_TEST(the_lesser_name_has_a_place_that_two_want)
{
    const struct ketama_server lesser = {SLICE("redis-235:6379"), 1};
    const struct ketama_server greater = {SLICE("redis-385:6379"), 1};
    for (int order = 0; order < 2; order++) {
        const struct ketama_server servers[] = {order ? greater : lesser, order ? lesser : greater};
        struct ketama *ketama;
        ck_assert_int_eq(ketama_create(servers, 2, &ketama), ERROR_NONE);
        const struct ketama_point *point = ketama_at(ketama, 0x8d487ad5);
        ck_assert_uint_eq(point[0].at, 0x8d487ad5);
        ck_assert_uint_eq(point[1].at, 0x8d487ad5);
        ck_assert(slice_equal(servers[point[0].server].name, lesser.name));
        ck_assert(slice_equal(servers[point[1].server].name, greater.name));
        ketama_free(ketama);
    }
}
END_TEST

/* ---- bounds -------------------------------------------------------------------------------- */

static enum error refusal(const struct ketama_server *servers, size_t count)
{
    struct ketama *ketama = (struct ketama *)1;
    enum error error = ketama_create(servers, count, &ketama);
    if (error)
        ck_assert_ptr_null(ketama);
    else
        ketama_free(ketama);
    return error;
}

START_TEST(what_is_no_list_of_servers_is_refused)
{
    const struct ketama_server good = {SLICE("a"), 1};
    const struct ketama_server weightless[] = {good, {SLICE("b"), 0}};
    const struct ketama_server nameless[] = {good, {SLICE(""), 1}};
    const struct ketama_server twice[] = {good, {SLICE("b"), 1}, {SLICE("a"), 2}};
    ck_assert_int_eq(refusal(&good, 1), ERROR_NONE);
    ck_assert_int_eq(refusal(&good, 0), ERROR_RANGE);
    ck_assert_int_eq(refusal(weightless, 2), ERROR_RANGE);
    ck_assert_int_eq(refusal(nameless, 2), ERROR_MALFORMED);
    ck_assert_int_eq(refusal(twice, 3), ERROR_MALFORMED);
    ketama_free(NULL);
}
END_TEST

START_TEST(there_may_be_so_many_servers_and_no_more)
{
    struct servers *servers = equal_servers(KETAMA_SERVERS_MAX + 1);
    ck_assert_int_eq(refusal(servers->list, KETAMA_SERVERS_MAX), ERROR_NONE);
    ck_assert_int_eq(refusal(servers->list, KETAMA_SERVERS_MAX + 1), ERROR_RANGE);
    free(servers);
}
END_TEST

/* A name is any bytes, of any length. */
START_TEST(names_may_be_long_and_binary)
{
    static char name[100000];
    memset(name, 'x', sizeof(name));
    name[50000] = '\0';
    const struct ketama_server servers[] = {{slice_of(name, sizeof(name)), 1},
                                            {slice_of(name, sizeof(name) - 1), 1}};
    struct ketama *ketama;
    ck_assert_int_eq(ketama_create(servers, 2, &ketama), ERROR_NONE);
    ck_assert_uint_eq(ketama->count, 320);
    ketama_free(ketama);
}
END_TEST

UNIT_MAIN("ketama", hash_is_the_beginning_of_md5, a_million_keys_are_where_libketama_puts_them,
          two_servers_are_those_of_libketama, a_million_keys_are_where_libmemcached_puts_them,
          points_are_in_order_and_found_from_every_side, equal_servers_have_160_points_each,
          weights_count_by_their_ratio, a_very_light_server_has_no_keys,
          heavier_servers_have_more_keys, an_added_server_takes_its_part_and_nothing_else_moves,
          a_removed_server_leaves_the_others_keys_where_they_are,
          the_order_of_the_list_does_not_matter, the_lesser_name_has_a_place_that_two_want,
          what_is_no_list_of_servers_is_refused, there_may_be_so_many_servers_and_no_more,
          names_may_be_long_and_binary)
