/* What nodes of a cluster say of it. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/store/resp.h"
#include "main.h"
#include "view_bench.h"

#define REPLY_MAX (4u << 20)

/* "HOST:PORT=FIRST-LAST ..." with each server's first and last slot, or "-". */
static const char *text_of_view(unsigned first_port)
{
    static char text[4096];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < view.count; i++) {
        unsigned first = SLOTS_COUNT;
        unsigned last = 0;
        for (unsigned slot = 0; slot < SLOTS_COUNT; slot++) {
            if (view.slots[slot] != i)
                continue;
            first = first < slot ? first : slot;
            last = slot;
        }
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s:%d=", i ? " " : "",
                                 view.servers[i].host, view.servers[i].port - (int)first_port);
        if (first == SLOTS_COUNT)
            size += (size_t)snprintf(text + size, sizeof(text) - size, "-");
        else
            size += (size_t)snprintf(text + size, sizeof(text) - size, "%u-%u", first, last);
    }
    return text;
}

/* ---- real servers -------------------------------------------------------------------------- */

static const struct server {
    const char *name;
    unsigned port;  /* its first node's, but for both-ports */
    int promoted;   /* the node that took over from the third */
    bool tells_tls; /* says a port for TLS that the bus doesn't use */
} servers[] = {
    {"redis-7.0", 42000, 5, false},
    {"redis-8", 42100, 3, true},
    {"valkey-9", 42200, 4, true},
};

#define SERVERS (sizeof(servers) / sizeof(servers[0]))

static void expect(const struct server *server, const char *what, bool tls, unsigned first_port,
                   unsigned served, const char *expected)
{
    redisReply *reply = recorded_reply(server->name, what);
    ck_assert_int_eq(read_reply(reply, strncmp(what, "shards", 6) == 0, tls), ERROR_NONE);
    const char *text = text_of_view(first_port);
    ck_assert_msg(strcmp(text, expected) == 0, "%s %s: %s, expected %s", server->name, what, text,
                  expected);
    ck_assert_uint_eq(view.slots_served, served);
    freeReplyObject(reply);
}

#define LOCAL(node, slots) "127.0.0.1:" node "=" slots

START_TEST(real_clusters_are_understood)
{
    static const char healthy[] =
        LOCAL("0", "0-5460") " " LOCAL("1", "5461-10922") " " LOCAL("2", "10923-16383");
    static const char named[] =
        LOCAL("1", "5461-10922") " " LOCAL("2", "10923-16383") " "
                                                               "redis-0.example:0=0-5460";
    static const char asked[] = "seed.example:0=0-5460 seed.example:1=5461-10922 "
                                "seed.example:2=10923-16383";
    for (const struct server *s = servers; s < servers + SERVERS; s++) {
        expect(s, "shards-alone", false, s->port, 0, "seed.example:0=-");
        expect(s, "shards-healthy", false, s->port, SLOTS_COUNT, healthy);
        expect(s, "shards-prefer-hostname", false, s->port, SLOTS_COUNT, named);
        expect(s, "shards-unknown-endpoint", false, s->port, SLOTS_COUNT, asked);
        expect(s, "slots-healthy", false, s->port, SLOTS_COUNT, healthy);
        expect(s, "slots-prefer-hostname", false, s->port, SLOTS_COUNT, named);
        expect(s, "slots-unknown-endpoint", false, s->port, SLOTS_COUNT, asked);
    }
}
END_TEST

START_TEST(a_primary_without_slots_is_a_shard)
{
    for (const struct server *s = servers; s < servers + SERVERS; s++)
        expect(s, "shards-slotless", false, s->port, SLOTS_COUNT,
               LOCAL("0", "0-5460") " " LOCAL("1", "5461-10922") " " LOCAL(
                   "2", "10923-16383") " " LOCAL("6", "-"));
}
END_TEST

START_TEST(a_failed_primary_serves_nothing_and_is_replaced)
{
    for (const struct server *s = servers; s < servers + SERVERS; s++) {
        char shards[256];
        char slots[256];
        snprintf(shards, sizeof(shards),
                 LOCAL("0", "0-5460") " " LOCAL("1", "5461-10922") " " LOCAL(
                     "%d", "10923-16383") " " LOCAL("6", "-"),
                 s->promoted);
        snprintf(slots, sizeof(slots),
                 LOCAL("0", "0-5460") " " LOCAL("1", "5461-10922") " " LOCAL("%d", "10923-16383"),
                 s->promoted);
        expect(s, "shards-failed-over", false, s->port, SLOTS_COUNT, shards);
        expect(s, "slots-failed-over", false, s->port, SLOTS_COUNT, slots);
    }
}
END_TEST

/* Redis 7.0 says the port for TLS only where the nodes use it among themselves. */
START_TEST(the_port_for_tls_is_taken_where_tls_is_wanted)
{
    static const char all[] =
        LOCAL("0", "0-5460") " " LOCAL("1", "5461-10922") " " LOCAL("2", "10923-16383");
    for (const struct server *s = servers; s < servers + SERVERS; s++) {
        expect(s, "shards-both-ports", false, s->port + 50, SLOTS_COUNT, all);
        expect(s, "shards-both-ports", true, s->port + (s->tells_tls ? 70 : 50), SLOTS_COUNT, all);
    }
}
END_TEST

/* ---- replies made up ----------------------------------------------------------------------- */

static uint8_t made_text[REPLY_MAX];

static struct writer begin_reply(void)
{
    return writer_open(made_text, sizeof(made_text));
}

static enum error read_made(const struct writer *w, bool shards, bool tls)
{
    ck_assert_int_eq(w->error, ERROR_NONE);
    redisReply *reply = parse_reply(writer_slice(w));
    enum error error = read_reply(reply, shards, tls);
    freeReplyObject(reply);
    return error;
}

static void text(struct writer *w, const char *s)
{
    resp_text(w, slice_of_string(s));
}

static void integer(struct writer *w, int64_t number)
{
    char line[32];
    int size = snprintf(line, sizeof(line), ":%" PRId64 "\r\n", number);
    writer_bytes(w, slice_of(line, (size_t)size));
}

static void node(struct writer *w, struct slice host, int64_t port, const char *role,
                 const char *health)
{
    resp_array(w, 8);
    text(w, "endpoint");
    resp_text(w, host);
    text(w, "port");
    integer(w, port);
    text(w, "role");
    text(w, role);
    text(w, "health");
    text(w, health);
}

/* A shard of one primary; its nodes may go on. */
static void shard(struct writer *w, int64_t first, int64_t last, size_t nodes, struct slice host,
                  int64_t port)
{
    resp_array(w, 4);
    text(w, "slots");
    resp_array(w, 2);
    integer(w, first);
    integer(w, last);
    text(w, "nodes");
    resp_array(w, nodes);
    node(w, host, port, "master", "online");
}

static enum error read_one(int64_t first, int64_t last, struct slice host, int64_t port)
{
    struct writer w = begin_reply();
    resp_array(&w, 1);
    shard(&w, first, last, 1, host, port);
    enum error by_shards = read_made(&w, true, false);
    w = begin_reply();
    resp_array(&w, 1);
    resp_array(&w, 3);
    integer(&w, first);
    integer(&w, last);
    resp_array(&w, 2);
    resp_text(&w, host);
    integer(&w, port);
    enum error by_slots = read_made(&w, false, false);
    ck_assert_int_eq(by_shards, by_slots);
    return by_slots;
}

START_TEST(numbers_have_their_range)
{
    struct slice host = SLICE("10.0.0.1");
    ck_assert_int_eq(read_one(0, 16383, host, 1), ERROR_NONE);
    ck_assert_int_eq(read_one(16383, 16383, host, 65535), ERROR_NONE);
    ck_assert_uint_eq(view.slots_served, 1);
    static const struct {
        int64_t first, last, port;
    } wrong[] = {
        {0, 16384, 7000},
        {16384, 16384, 7000},
        {-1, 5, 7000},
        {5, 4, 7000},
        {INT64_MIN, 5, 7000},
        {0, INT64_MAX, 7000},
        {65536, 65537, 7000},
        {0, 5, 0},
        {0, 5, -1},
        {0, 5, 65536},
        {0, 5, 65536 + 7000},
        {0, 5, INT64_MAX},
        {0, 5, INT64_MIN + 7000},
        {0, -1, 7000},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(read_one(wrong[i].first, wrong[i].last, host, wrong[i].port) == ERROR_RANGE,
                      "case %zu", i);
}
END_TEST

START_TEST(hosts_are_hosts)
{
    char longest[ENDPOINT_HOST_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    ck_assert_int_eq(read_one(0, 1, slice_of(longest, ENDPOINT_HOST_MAX), 7000), ERROR_NONE);
    ck_assert_int_eq(read_one(0, 1, slice_of(longest, ENDPOINT_HOST_MAX + 1), 7000),
                     ERROR_MALFORMED);
    static const char *const right[] = {"10.0.0.1",        "::1",     "2001:db8::1",
                                        "redis-1.example", "REDIS_1", "::ffff:10.0.0.1"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        ck_assert_msg(read_one(0, 1, slice_of_string(right[i]), 7000) == ERROR_NONE, "%s",
                      right[i]);
    static const struct slice wrong[] = {
        {(const uint8_t *)"a\0b", 3},  {(const uint8_t *)"a b", 3},
        {(const uint8_t *)"a\n", 2},   {(const uint8_t *)"/run/redis.sock", 15},
        {(const uint8_t *)"a:b", 3},   {(const uint8_t *)"10.0.0.1:7000", 13},
        {(const uint8_t *)"[::1]", 5}, {(const uint8_t *)"::1%lo", 6},
        {(const uint8_t *)"\xff", 1},  {(const uint8_t *)"\0", 1},
        {(const uint8_t *)"%s%n", 4},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(read_one(0, 1, wrong[i], 7000) == ERROR_MALFORMED, "case %zu", i);
    /* None at all: that which was asked. */
    ck_assert_int_eq(read_one(0, 1, SLICE(""), 7000), ERROR_NONE);
    ck_assert_str_eq(view.servers[0].host, "seed.example");
    ck_assert_int_eq(read_one(0, 1, SLICE("?"), 7000), ERROR_NONE);
    ck_assert_str_eq(view.servers[0].host, "seed.example");
}
END_TEST

static enum error read_many(size_t count)
{
    struct writer w = begin_reply();
    resp_array(&w, count);
    for (size_t i = 0; i < count; i++)
        shard(&w, (int64_t)i, (int64_t)i, 1, SLICE("10.0.0.1"), (int64_t)(7000 + i));
    return read_made(&w, true, false);
}

START_TEST(so_many_shards_and_no_more)
{
    ck_assert_int_eq(read_many(TOPOLOGY_SHARDS_MAX), ERROR_NONE);
    ck_assert_uint_eq(view.count, TOPOLOGY_SHARDS_MAX);
    ck_assert_int_eq(read_many(TOPOLOGY_SHARDS_MAX + 1), ERROR_RANGE);
    ck_assert_int_eq(read_many(0), ERROR_NONE);
    ck_assert_uint_eq(view.count, 0);
}
END_TEST

START_TEST(a_slot_has_one_server_and_a_server_is_said_once)
{
    for (int64_t second = 9; second <= 11; second++) {
        struct writer w = begin_reply();
        resp_array(&w, 2);
        shard(&w, 5, 10, 1, SLICE("10.0.0.1"), 7000);
        shard(&w, second, 20, 1, SLICE("10.0.0.2"), 7000);
        ck_assert_int_eq(read_made(&w, true, false), second == 11 ? ERROR_NONE : ERROR_MALFORMED);
    }
    struct writer w = begin_reply();
    resp_array(&w, 2);
    shard(&w, 5, 10, 1, SLICE("redis-1"), 7000);
    shard(&w, 11, 20, 1, SLICE("REDIS-1"), 7000);
    ck_assert_int_eq(read_made(&w, true, false), ERROR_MALFORMED);
}
END_TEST

/* An old primary that lives and a new one, in the moment when the old one doesn't know yet. */
START_TEST(of_two_primaries_of_a_shard_the_first_that_serves_has_the_slots)
{
    struct writer w = begin_reply();
    resp_array(&w, 1);
    resp_array(&w, 4);
    text(&w, "nodes"); /* whatever comes first */
    resp_array(&w, 4);
    node(&w, SLICE("10.0.0.4"), 7000, "slave", "online");
    node(&w, SLICE("10.0.0.3"), 7000, "master", "failed");
    node(&w, SLICE("10.0.0.2"), 7000, "master", "online");
    node(&w, SLICE("10.0.0.1"), 7000, "primary", "loading");
    text(&w, "slots");
    resp_array(&w, 2);
    text(&w, "7"); /* numbers may be strings */
    text(&w, "8");
    ck_assert_int_eq(read_made(&w, true, false), ERROR_NONE);
    ck_assert_str_eq(text_of_view(7000), "10.0.0.1:0=- 10.0.0.2:0=7-8");
}
END_TEST

/* The slots of a shard that nobody serves are nowhere, and must be slots nevertheless. */
START_TEST(a_shard_without_a_primary_serves_nothing)
{
    for (int64_t last = SLOTS_COUNT - 1; last <= SLOTS_COUNT; last++) {
        struct writer w = begin_reply();
        resp_array(&w, 1);
        resp_array(&w, 4);
        text(&w, "slots");
        resp_array(&w, 2);
        integer(&w, 0);
        integer(&w, last);
        text(&w, "nodes");
        resp_array(&w, 1);
        node(&w, SLICE("10.0.0.3"), 7000, "master", "fail");
        ck_assert_int_eq(read_made(&w, true, false), last < SLOTS_COUNT ? ERROR_NONE : ERROR_RANGE);
        if (last < SLOTS_COUNT)
            ck_assert_uint_eq(view.count + view.slots_served, 0);
    }
}
END_TEST

UNIT_MAIN("topology_view", real_clusters_are_understood, a_primary_without_slots_is_a_shard,
          a_failed_primary_serves_nothing_and_is_replaced,
          the_port_for_tls_is_taken_where_tls_is_wanted, numbers_have_their_range, hosts_are_hosts,
          so_many_shards_and_no_more, a_slot_has_one_server_and_a_server_is_said_once,
          of_two_primaries_of_a_shard_the_first_that_serves_has_the_slots,
          a_shard_without_a_primary_serves_nothing)
