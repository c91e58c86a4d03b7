/* A connection to a real Redis server, for tests: whatever goes wrong with it ends the program. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "agent/store/redis_limit.h"

/* Says what was wrong, as printf does, and ends the program. */
#define fail(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        exit(EXIT_FAILURE);                                                                        \
    } while (0)

struct server {
    redisContext *redis;
    /* Where commands are written, and the replies to those sent last. */
    uint8_t buffer[REDIS_LIMIT_SCRIPT_ROOM + 1024];
    redisReply *raw[REDIS_LIMIT_COMMANDS];
    struct redis_limit_reply replies[REDIS_LIMIT_COMMANDS];
    uint64_t whole_scripts; /* how often the server didn't know a script */
};

/* The whole name of the key that a take at `time` is of. Returns name. */
#define SERVER_KEY_MAX 128
const char *server_key(const struct limit *limit, const char *key, uint64_t time,
                       char name[SERVER_KEY_MAX]);

/* HOST:PORT, or a unix socket's path. */
void server_open(struct server *server, const char *address);
void server_close(struct server *server);

/* The integer that a command answers with, or what an error or anything else is counted as here:
 * INT64_MIN. Formats as redisCommand does. */
int64_t server_ask(struct server *server, const char *format, ...);

/* Microseconds since the epoch, by the server. */
uint64_t server_time(struct server *server);

/* A take or give with all that follows: a script that the server doesn't know is sent whole,
 * surplus is given back, and what needs repair is repaired. */
enum redis_limit_status server_take(struct server *server, struct redis_limit_request request,
                                    struct redis_limit_outcome *outcome);

enum redis_limit_status server_give(struct server *server, struct redis_limit_request request);
