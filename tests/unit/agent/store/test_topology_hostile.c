/* Anything in the place of what nodes of a cluster say, and what else is asked of servers. */
#include <stdio.h>

#include "agent/store/resp.h"
#include "main.h"
#include "random.h"
#include "view_bench.h"

/* ---- anything in their place --------------------------------------------------------------- */

/* A copy whose every piece has its own size, so that a sanitizer sees a read past it. */
static redisReply *copy_of(const redisReply *reply)
{
    redisReply *copy = calloc(1, sizeof(*copy));
    *copy = *reply;
    copy->str = NULL;
    if (reply->str) {
        copy->str = malloc((size_t)reply->len + 1);
        memcpy(copy->str, reply->str, (size_t)reply->len + 1);
    }
    copy->element = calloc(reply->elements, sizeof(void *));
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
    if (!reply || *n == 0)
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

static const char *const servers[] = {"redis-7.0", "redis-8", "valkey-9"};

#define SERVERS (sizeof(servers) / sizeof(servers[0]))

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
        redisReply *real = recorded_reply(servers[i / KINDS], kinds[i % KINDS]);
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
        redisReply *real = recorded_reply(servers[i / KINDS], kinds[i % KINDS]);
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
    uint8_t buffer[256];
    struct writer w = writer_open(buffer, sizeof(buffer));
    resp_text(&w, slice_of_string(info));
    redisReply *reply = parse_reply(writer_slice(&w));
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
    redisReply *error = parse_reply(SLICE("-NOPERM no\r\n"));
    ck_assert_uint_eq(topology__read_epoch(error), 0);
    freeReplyObject(error);
}
END_TEST

static enum error master_of(struct slice resp, struct topology__server *server)
{
    redisReply *reply = parse_reply(resp);
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

UNIT_MAIN("topology_hostile", every_part_may_be_something_else,
          any_number_of_parts_may_be_something_else, the_epoch_of_a_configuration,
          the_master_as_a_sentinel_says_it)
