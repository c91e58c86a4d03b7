#include "server.h"

#include <inttypes.h>
#include <stdarg.h>

#include "agent/store/redis_reply.h"

const char *server_key(const struct limit *limit, const char *key, uint64_t time,
                       char name[SERVER_KEY_MAX])
{
    switch (limit->algorithm) {
    case LIMIT_TOKEN_BUCKET:
        snprintf(name, SERVER_KEY_MAX, "%s:bucket", key);
        break;
    case LIMIT_SLIDING_LOG:
        snprintf(name, SERVER_KEY_MAX, "%s:log", key);
        break;
    default:
        snprintf(name, SERVER_KEY_MAX, "%s:%" PRIu64, key, time / limit->window);
        break;
    }
    return name;
}

void server_open(struct server *server, const char *address)
{
    *server = (struct server){0};
    const char *colon = strrchr(address, ':');
    if (address[0] == '/' || !colon) {
        server->redis = redisConnectUnix(address);
    } else {
        char host[256];
        snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
        server->redis = redisConnect(host, (int)strtol(colon + 1, NULL, 10));
    }
    if (!server->redis || server->redis->err)
        fail("%s: %s", address, server->redis ? server->redis->errstr : "out of memory");
}

static void forget_replies(struct server *server)
{
    for (size_t i = 0; i < REDIS_LIMIT_COMMANDS; i++) {
        if (server->raw[i])
            freeReplyObject(server->raw[i]);
        server->raw[i] = NULL;
    }
}

void server_close(struct server *server)
{
    forget_replies(server);
    redisFree(server->redis);
}

int64_t server_ask(struct server *server, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(server->redis, format, arguments);
    va_end(arguments);
    if (!reply)
        fail("%s: %s", format, server->redis->errstr);
    int64_t number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : INT64_MIN;
    freeReplyObject(reply);
    return number;
}

uint64_t server_time(struct server *server)
{
    redisReply *reply = redisCommand(server->redis, "TIME");
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        fail("the server doesn't tell the time");
    uint64_t time = strtoull(reply->element[0]->str, NULL, 10) * 1000000 +
                    strtoull(reply->element[1]->str, NULL, 10);
    freeReplyObject(reply);
    return time;
}

/* Sends all in one go and waits for the replies. */
static void call(struct server *server, const struct writer *w,
                 const struct redis_limit_commands *commands)
{
    if (w->error)
        fail("commands don't fit %zu bytes", sizeof(server->buffer));
    forget_replies(server);
    for (size_t i = 0; i < commands->count; i++) {
        struct slice command = commands->command[i];
        if (redisAppendFormattedCommand(server->redis, (const char *)command.data, command.size))
            fail("%s", server->redis->errstr);
    }
    for (size_t i = 0; i < commands->count; i++) {
        void *reply;
        if (redisGetReply(server->redis, &reply))
            fail("%s", server->redis->errstr);
        server->raw[i] = reply;
        server->replies[i] = redis_limit_reply_of(reply);
    }
}

static void repair(struct server *server, const struct redis_limit_request *request,
                   const struct redis_limit_repair *wanted)
{
    struct writer w = writer_open(server->buffer, sizeof(server->buffer));
    struct redis_limit_commands commands = redis_limit_write_repair(&w, request, wanted);
    call(server, &w, &commands);
}

static enum redis_limit_status take_once(struct server *server,
                                         const struct redis_limit_request *request,
                                         struct redis_limit_outcome *outcome)
{
    struct writer w = writer_open(server->buffer, sizeof(server->buffer));
    struct redis_limit_commands commands = redis_limit_write_take(&w, request);
    call(server, &w, &commands);
    return redis_limit_read_take(request, server->replies, commands.count, outcome);
}

static enum redis_limit_status give_once(struct server *server,
                                         const struct redis_limit_request *request,
                                         struct redis_limit_repair *wanted)
{
    struct writer w = writer_open(server->buffer, sizeof(server->buffer));
    struct redis_limit_commands commands = redis_limit_write_give(&w, request);
    call(server, &w, &commands);
    return redis_limit_read_give(request, server->replies, commands.count, wanted);
}

enum redis_limit_status server_give(struct server *server, struct redis_limit_request request)
{
    struct redis_limit_repair wanted;
    enum redis_limit_status status = give_once(server, &request, &wanted);
    if (status == REDIS_LIMIT_NO_SCRIPT) {
        request.whole_script = true;
        server->whole_scripts++;
        status = give_once(server, &request, &wanted);
    }
    repair(server, &request, &wanted);
    return status;
}

enum redis_limit_status server_take(struct server *server, struct redis_limit_request request,
                                    struct redis_limit_outcome *outcome)
{
    enum redis_limit_status status = take_once(server, &request, outcome);
    if (status == REDIS_LIMIT_NO_SCRIPT) {
        request.whole_script = true;
        server->whole_scripts++;
        status = take_once(server, &request, outcome);
    }
    repair(server, &request, &outcome->repair);
    if (outcome->surplus) {
        request.units = outcome->surplus;
        request.taken_at = outcome->taken_at;
        request.whole_script = false;
        server_give(server, request);
    }
    return status;
}
