/* What nodes of a cluster and Sentinels say, and anything else that may be said in their place.
 *
 * recorded/ holds replies of real servers, as they came: SERVER-COMMAND-STATE.resp. The clusters
 * had three primaries and three replicas with a node time-out of a second:
 *   alone             a single node that no other has met, without slots
 *   healthy           formed by redis-cli --cluster create
 *   prefer-hostname   one node announces redis-0.example, and the node that was asked prefers names
 *   unknown-endpoint  ... prefers to say none
 *   slotless          a fourth primary, without slots
 *   failing           the third primary killed, not yet held for failed by all
 *   failed-over       its replica in its place
 *   both-ports        three primaries with a port for TLS beside the other
 */
#include <stdio.h>
#include <strings.h>

#include "agent/store/resp.h"
#include "agent/store/topology_parts.h"
#include "main.h"
#include "random.h"

#define REPLY_MAX (4u << 20)

/* ---- replies ------------------------------------------------------------------------------- */

static redisReply *parse(struct slice text)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    ck_assert_int_eq(redisReaderFeed(reader, (const char *)text.data, text.size), REDIS_OK);
    ck_assert_msg(redisReaderGetReply(reader, &reply) == REDIS_OK, "%s", reader->errstr);
    ck_assert_ptr_nonnull(reply);
    redisReaderFree(reader);
    return reply;
}

static redisReply *recorded(const char *server, const char *what)
{
    char path[512];
    static uint8_t text[8192];
    snprintf(path, sizeof(path), RECORDED "/%s-%s.resp", server, what);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    size_t size = fread(text, 1, sizeof(text), file);
    ck_assert_uint_lt(size, sizeof(text));
    fclose(file);
    return parse(slice_of(text, size));
}

/* Whatever is accepted is a view that can be published. */
static void check_view(const struct topology__view *view)
{
    unsigned served = 0;
    ck_assert_uint_le(view->count, TOPOLOGY_SHARDS_MAX);
    for (size_t i = 0; i < view->count; i++) {
        const struct topology__server *server = &view->servers[i];
        ck_assert(topology__is_host(slice_of_string(server->host)));
        ck_assert_uint_gt(server->port, 0);
        if (i == 0)
            continue;
        int order = strcasecmp(server[-1].host, server->host);
        ck_assert(order < 0 || (order == 0 && server[-1].port < server->port));
    }
    for (size_t i = 0; i < SLOTS_COUNT; i++) {
        if (view->slots[i] >= view->count && view->slots[i] != TOPOLOGY_NOWHERE)
            ck_abort_msg("slot %zu is of server %u", i, view->slots[i]);
        served += view->slots[i] != TOPOLOGY_NOWHERE;
    }
    ck_assert_uint_eq(view->slots_served, served);
}

static struct topology__view view;

static enum error read_reply(const redisReply *reply, bool shards, bool tls)
{
    struct slice asked = SLICE("seed.example");
    enum error error = shards ? topology__read_shards(reply, asked, tls, &view)
                              : topology__read_slots(reply, asked, &view);
    if (!error)
        check_view(&view);
    return error;
}

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
    redisReply *reply = recorded(server->name, what);
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
    redisReply *reply = parse(writer_slice(w));
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

/* ---- anything in their place --------------------------------------------------------------- */

/* A copy whose every piece has its own size, so that a sanitizer sees a read past it. */
static redisReply *copy_of(const redisReply *reply)
{
    redisReply *copy = calloc(1, sizeof(*copy));
    *copy = *reply;
    copy->str = NULL;
    copy->element = NULL;
    if (reply->str) {
        copy->str = malloc((size_t)reply->len + 1);
        memcpy(copy->str, reply->str, (size_t)reply->len + 1);
    }
    if (reply->elements)
        copy->element = malloc(reply->elements * sizeof(*copy->element));
    for (size_t i = 0; i < reply->elements; i++)
        copy->element[i] = copy_of(reply->element[i]);
    return copy;
}

static void free_copy(redisReply *copy)
{
    for (size_t i = 0; i < copy->elements; i++)
        free_copy(copy->element[i]);
    free(copy->element);
    free(copy->str);
    free(copy);
}

/* The n-th reply of a tree, itself the first; NULL past the last, with *n less the tree's size. */
static redisReply *nth(redisReply *reply, size_t *n)
{
    if (*n == 0)
        return reply;
    (*n)--;
    for (size_t i = 0; i < reply->elements; i++) {
        redisReply *found = nth(reply->element[i], n);
        if (found)
            return found;
    }
    return NULL;
}

static void drop_elements(redisReply *reply, size_t left)
{
    while (reply->elements > left)
        free_copy(reply->element[--reply->elements]);
    if (!left) {
        free(reply->element);
        reply->element = NULL;
    }
}

/* As hiredis makes a reply of that type. */
static void become(redisReply *reply, int type, const char *string, long long number)
{
    drop_elements(reply, 0);
    free(reply->str);
    reply->str = NULL;
    reply->len = 0;
    reply->type = type;
    reply->integer = number;
    if (type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS || type == REDIS_REPLY_ERROR) {
        reply->str = strdup(string);
        reply->len = strlen(string);
    }
}

static const struct {
    int type;
    const char *string;
    long long number;
} others[] = {
    {REDIS_REPLY_ARRAY, NULL, 0},           {REDIS_REPLY_NIL, NULL, 0},
    {REDIS_REPLY_INTEGER, NULL, 0},         {REDIS_REPLY_INTEGER, NULL, -1},
    {REDIS_REPLY_INTEGER, NULL, 16384},     {REDIS_REPLY_INTEGER, NULL, INT64_MAX},
    {REDIS_REPLY_INTEGER, NULL, INT64_MIN}, {REDIS_REPLY_STRING, "", 0},
    {REDIS_REPLY_STRING, "?", 0},           {REDIS_REPLY_STRING, "master", 0},
    {REDIS_REPLY_STRING, "nodes", 0},       {REDIS_REPLY_STRING, "18446744073709551616", 0},
    {REDIS_REPLY_STATUS, "OK", 0},          {REDIS_REPLY_ERROR, "ERR no", 0},
};

#define OTHERS (sizeof(others) / sizeof(others[0]))

static const char *const kinds[] = {"shards-failed-over", "shards-both-ports",
                                    "shards-unknown-endpoint", "slots-prefer-hostname",
                                    "slots-failed-over"};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void read_either_way(const redisReply *reply)
{
    read_reply(reply, true, false);
    read_reply(reply, true, true);
    read_reply(reply, false, false);
}

/* Each reply in the tree, in turn, is something else, or ends early. */
START_TEST(every_part_may_be_something_else)
{
    for (size_t i = 0; i < SERVERS * KINDS; i++) {
        redisReply *real = recorded(servers[i / KINDS].name, kinds[i % KINDS]);
        for (size_t part = 0;; part++) {
            size_t n = part;
            if (!nth(real, &n))
                break;
            for (size_t other = 0; other < OTHERS; other++) {
                redisReply *copy = copy_of(real);
                n = part;
                become(nth(copy, &n), others[other].type, others[other].string,
                       others[other].number);
                read_either_way(copy);
                free_copy(copy);
            }
            n = part;
            for (size_t left = nth(real, &n)->elements; left-- > 0;) {
                redisReply *copy = copy_of(real);
                n = part;
                drop_elements(nth(copy, &n), left);
                read_either_way(copy);
                free_copy(copy);
            }
        }
        freeReplyObject(real);
    }
}
END_TEST

static void mutate(struct random *random, redisReply *tree)
{
    size_t n = (size_t)random_below(random, 120);
    redisReply *part = nth(tree, &n);
    if (!part)
        return;
    size_t other = (size_t)random_below(random, OTHERS);
    switch (random_below(random, 4)) {
    case 0:
        become(part, others[other].type, others[other].string, others[other].number);
        break;
    case 1:
        if (part->elements)
            drop_elements(part, (size_t)random_below(random, part->elements));
        break;
    case 2: /* changed in its place */
        if (part->type == REDIS_REPLY_INTEGER)
            part->integer ^= (long long)random_below(random, 8);
        else if (part->str && part->len)
            part->str[random_below(random, (uint64_t)part->len)] = (char)random_below(random, 256);
        break;
    default: /* two parts change places */
        if (part->elements > 1) {
            size_t a = (size_t)random_below(random, part->elements);
            size_t b = (size_t)random_below(random, part->elements);
            redisReply *swapped = part->element[a];
            part->element[a] = part->element[b];
            part->element[b] = swapped;
        }
    }
}

START_TEST(any_number_of_parts_may_be_something_else)
{
    struct random random = random_open("any_number_of_parts_may_be_something_else");
    for (size_t i = 0; i < SERVERS * KINDS; i++) {
        redisReply *real = recorded(servers[i / KINDS].name, kinds[i % KINDS]);
        for (unsigned round = 0; round < 300; round++) {
            redisReply *copy = copy_of(real);
            for (uint64_t changes = 1 + random_below(&random, 8); changes > 0; changes--)
                mutate(&random, copy);
            read_either_way(copy);
            free_copy(copy);
        }
        freeReplyObject(real);
    }
}
END_TEST

/* ---- the others ---------------------------------------------------------------------------- */

static uint64_t epoch_of(const char *info)
{
    struct writer w = begin_reply();
    text(&w, info);
    redisReply *reply = parse(writer_slice(&w));
    uint64_t epoch = topology__read_epoch(reply);
    freeReplyObject(reply);
    return epoch;
}

START_TEST(the_epoch_of_a_configuration)
{
    ck_assert_uint_eq(epoch_of("cluster_state:ok\r\ncluster_current_epoch:6\r\ncluster_my_epoch:1"),
                      6);
    ck_assert_uint_eq(epoch_of("cluster_current_epoch:18446744073709551615"), UINT64_MAX);
    ck_assert_uint_eq(epoch_of("cluster_current_epoch:18446744073709551616"), 0);
    ck_assert_uint_eq(epoch_of("cluster_current_epoch:"), 0);
    ck_assert_uint_eq(epoch_of("cluster_current_epoch:x"), 0);
    ck_assert_uint_eq(epoch_of(""), 0);
    redisReply *error = parse(SLICE("-NOPERM no\r\n"));
    ck_assert_uint_eq(topology__read_epoch(error), 0);
    freeReplyObject(error);
}
END_TEST

static enum error master_of(struct slice resp, struct topology__server *server)
{
    redisReply *reply = parse(resp);
    enum error error = topology__read_master(reply, server);
    freeReplyObject(reply);
    return error;
}

START_TEST(the_master_as_a_sentinel_says_it)
{
    struct topology__server server;
    ck_assert_int_eq(master_of(SLICE("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n"), &server),
                     ERROR_NONE);
    ck_assert_str_eq(server.host, "127.0.0.1");
    ck_assert_uint_eq(server.port, 6379);
    static const struct {
        struct slice resp;
        enum error error;
    } wrong[] = {
        {{(const uint8_t *)"*-1\r\n", 5}, ERROR_MALFORMED},
        {{(const uint8_t *)"$-1\r\n", 5}, ERROR_MALFORMED},
        {{(const uint8_t *)"*0\r\n", 4}, ERROR_MALFORMED},
        {{(const uint8_t *)"-ERR\r\n", 6}, ERROR_MALFORMED},
        {{(const uint8_t *)"*1\r\n$1\r\na\r\n", 11}, ERROR_MALFORMED},
        {{(const uint8_t *)"*2\r\n$0\r\n\r\n:1\r\n", 14}, ERROR_MALFORMED},
        {{(const uint8_t *)"*2\r\n:1\r\n:1\r\n", 12}, ERROR_MALFORMED},
        {{(const uint8_t *)"*2\r\n$1\r\na\r\n:0\r\n", 15}, ERROR_RANGE},
        {{(const uint8_t *)"*2\r\n$1\r\na\r\n$1\r\nb\r\n", 18}, ERROR_RANGE},
        {{(const uint8_t *)"*2\r\n$1\r\na\r\n*0\r\n", 15}, ERROR_RANGE},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(master_of(wrong[i].resp, &server) == wrong[i].error, "case %zu", i);
}
END_TEST

UNIT_MAIN("topology_view", real_clusters_are_understood, a_primary_without_slots_is_a_shard,
          a_failed_primary_serves_nothing_and_is_replaced,
          the_port_for_tls_is_taken_where_tls_is_wanted, numbers_have_their_range, hosts_are_hosts,
          so_many_shards_and_no_more, a_slot_has_one_server_and_a_server_is_said_once,
          of_two_primaries_of_a_shard_the_first_that_serves_has_the_slots,
          a_shard_without_a_primary_serves_nothing, every_part_may_be_something_else,
          any_number_of_parts_may_be_something_else, the_epoch_of_a_configuration,
          the_master_as_a_sentinel_says_it)
