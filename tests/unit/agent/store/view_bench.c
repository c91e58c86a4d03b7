#include <check.h>
#include <stdio.h>
#include <strings.h>

#include "view_bench.h"

struct topology__view view;

redisReply *parse_reply(struct slice text)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    ck_assert_int_eq(redisReaderFeed(reader, (const char *)text.data, text.size), REDIS_OK);
    ck_assert_msg(redisReaderGetReply(reader, &reply) == REDIS_OK, "%s", reader->errstr);
    ck_assert_ptr_nonnull(reply);
    redisReaderFree(reader);
    return reply;
}

redisReply *recorded_reply(const char *server, const char *what)
{
    char path[512];
    static uint8_t text[8192];
    snprintf(path, sizeof(path), RECORDED "/%s-%s.resp", server, what);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    size_t size = fread(text, 1, sizeof(text), file);
    ck_assert_uint_lt(size, sizeof(text));
    fclose(file);
    return parse_reply(slice_of(text, size));
}

/* Whatever is accepted is a view that can be published. */
static void check_view(void)
{
    unsigned served = 0;
    ck_assert_uint_le(view.count, TOPOLOGY_SHARDS_MAX);
    for (size_t i = 0; i < view.count; i++) {
        const struct topology__server *server = &view.servers[i];
        ck_assert(topology__is_host(slice_of_string(server->host)));
        ck_assert_uint_gt(server->port, 0);
        if (i == 0)
            continue;
        int order = strcasecmp(server[-1].host, server->host);
        ck_assert(order < 0 || (order == 0 && server[-1].port < server->port));
    }
    for (size_t i = 0; i < SLOTS_COUNT; i++) {
        if (view.slots[i] >= view.count && view.slots[i] != TOPOLOGY_NOWHERE)
            ck_abort_msg("slot %zu is of server %u", i, view.slots[i]);
        served += view.slots[i] != TOPOLOGY_NOWHERE;
    }
    ck_assert_uint_eq(view.slots_served, served);
}

enum error read_reply(const redisReply *reply, bool shards, bool tls)
{
    struct slice asked = SLICE("seed.example");
    enum error error = shards ? topology__read_shards(reply, asked, tls, &view)
                              : topology__read_slots(reply, asked, &view);
    if (!error)
        check_view();
    return error;
}
