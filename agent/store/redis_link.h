/* One worker's pipelined connection to one Redis server: connects, says who it is, makes sure that
 * the server serves, measures its clock, reconnects. One thread's, the loop's.
 *
 * A breaker decides when to connect again. While it is closed, a lost connection is replaced after
 * a short jittered rest; when it is open, the next attempt is its probe: the connection counts as
 * up, and the breaker closes, only once the server has answered the greeting: AUTH, ROLE where a
 * primary is wanted, PING, which a server that is loading its data or a replica that has lost its
 * primary refuses, then TIME. Of these an ACL user needs AUTH and TIME; where the others are
 * forbidden to it, what they would have shown is found out by the first command. Why a server isn't
 * up is logged once for each reason.
 */
#pragma once

#include <ev.h>
#include <hiredis/async.h>

#include "agent/store/breaker.h"
#include "agent/store/redis_access.h"
#include "base/base.h"

/* The server's clock is read this often. */
#define REDIS_LINK_CLOCK_PERIOD UINT64_C(5000000)

struct redis_link_options {
    struct ev_loop *loop;
    const uint64_t *now; /* the loop's time, microseconds since the epoch */
    const char *host;    /* a numeric address, or a unix socket's path with port 0; empty where the
                          * name doesn't resolve: every attempt fails */
    int port;
    const char *name;                  /* for the log and the certificate, see redis_access.h */
    const struct redis_access *access; /* outlives the link */
    uint64_t patience; /* for being connected and greeted, and for a clock reading; microseconds,
                        * looked at every 20 ms */
    bool primary;      /* a server that says it is a replica is none */
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
    struct counter connects;                /* that came up */
    struct counter failures;                /* of attempts, commands and connections */
    struct counter opened;                  /* times that the breaker opened */
    struct counter entered[BREAKER_PHASES]; /* times that it went to each phase */
    struct counter commands;
    struct counter phase;        /* enum redis_link_phase */
    struct counter breaker;      /* enum breaker_phase */
    struct counter clock_offset; /* the server's clock less ours, microseconds, as int64_t */
    struct counter round_trip;   /* the last clock reading's, microseconds */
    struct histogram
        answers; /* how long the commands that redis_link_time_answer was told of took */
};

struct redis_link;

/* Starts connecting at once. The strings are copied. NULL when out of memory. */
struct redis_link *redis_link_open(const struct redis_link_options *options);

/* Calls the callbacks of what is under way with a NULL reply, then frees. Not to be called from a
 * callback of the link's own. Accepts NULL. */
void redis_link_close(struct redis_link *link);

bool redis_link_is_up(const struct redis_link *link);

/* The number of the present connection, or of the last: one more each time it comes up; 0 before
 * the first. */
uint64_t redis_link_session(const struct redis_link *link);

enum breaker_phase redis_link_breaker(const struct redis_link *link);

/* Queues one command, in Redis's protocol. answered (NULL: nobody cares) gets the reply, which is
 * freed after it, or NULL when the connection was lost. False, and never called, when the link is
 * down. */
bool redis_link_send(struct redis_link *link, struct slice command, redisCallbackFn *answered,
                     void *context);

/* A command that was sent when it was asked_at (the loop's time) has been answered. */
void redis_link_time_answer(struct redis_link *link, uint64_t asked_at);

/* The caller has seen a sign of ill health (no answer in time, an error reply). drop: the
 * connection itself is of no more use. */
void redis_link_failed(struct redis_link *link, bool drop, const char *why);

/* Whether a reply says that its connection is of no more use: that of a replica, of a server that
 * is loading its data, one that doesn't know us (any more), or that couldn't follow the protocol.
 * Then redis_link_failed(link, true, reply->str) finds a better one. Accepts NULL. */
bool redis_link_is_fatal(const redisReply *reply);

/* The server's time when ours is *now. Valid once the link has been up. */
uint64_t redis_link_time(const struct redis_link *link);

/* Thread-safe, both. What was wrong last, whether or not it is over; unchanged: nothing yet. */
void redis_link_last_error(struct redis_link *link, char why[REDIS_WHY_MAX]);
const struct redis_link_counters *redis_link_counters(const struct redis_link *link);
