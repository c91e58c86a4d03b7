/* One worker's pipelined connection to one Redis server: connects, says who it is, measures the
 * server's clock, reconnects. One thread's, the loop's.
 *
 * A breaker decides when to connect again. While it is closed, a lost connection is replaced after
 * a short jittered rest; when it is open, the next attempt is its probe: the connection counts as
 * up, and the breaker closes, only once the server has answered.
 */
#pragma once

#include <ev.h>
#include <hiredis/async.h>

#include "agent/store/breaker.h"
#include "base/base.h"

/* A server that doesn't answer its greeting, or a clock reading, for this long is given up
 * (microseconds). */
#define REDIS_LINK_PATIENCE UINT64_C(1000000)

/* The server's clock is read this often. */
#define REDIS_LINK_CLOCK_PERIOD UINT64_C(5000000)

struct redis_link_options {
    struct ev_loop *loop;
    const uint64_t *now; /* the loop's time, microseconds since the epoch */
    const char *host;    /* a numeric address, or a unix socket's path with port 0 */
    int port;
    const char *user; /* NULL: none; NULL user with a password is Redis's default user */
    const char *password;
    struct breaker_settings breaker;
    void (*changed)(void *context); /* told when it has gone up or down */
    void *context;
};

enum redis_link_phase {
    REDIS_LINK_DOWN,     /* resting until the next attempt */
    REDIS_LINK_GREETING, /* connecting, or waiting for the answer to the greeting */
    REDIS_LINK_UP,
};

struct redis_link_counters {
    struct counter connects; /* that came up */
    struct counter failures; /* of attempts, commands and connections */
    struct counter opened;   /* times that the breaker opened */
    struct counter commands;
    struct counter phase;        /* enum redis_link_phase */
    struct counter breaker;      /* enum breaker_phase */
    struct counter clock_offset; /* the server's clock less ours, microseconds, as int64_t */
    struct counter round_trip;   /* the last clock reading's, microseconds */
};

struct redis_link;

/* Starts connecting at once. The strings are copied. NULL when out of memory. */
struct redis_link *redis_link_open(const struct redis_link_options *options);

/* Calls the callbacks of what is under way with a NULL reply, then frees. Not to be called from a
 * callback of the link's own. Accepts NULL. */
void redis_link_close(struct redis_link *link);

bool redis_link_is_up(const struct redis_link *link);

/* Queues one command, in Redis's protocol. answered (NULL: nobody cares) gets the reply, which is
 * freed after it, or NULL when the connection was lost. False, and never called, when the link is
 * down. */
bool redis_link_send(struct redis_link *link, struct slice command, redisCallbackFn *answered,
                     void *context);

/* The caller has seen a sign of ill health (no answer in time, an error reply). drop: the
 * connection itself is of no more use. */
void redis_link_failed(struct redis_link *link, bool drop, const char *why);

/* The server's time when ours is *now. Valid once the link has been up. */
uint64_t redis_link_time(const struct redis_link *link);

/* Thread-safe. */
const struct redis_link_counters *redis_link_counters(const struct redis_link *link);
