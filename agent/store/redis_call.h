/* One request of redis_limit.h on its way: its commands are sent on a shard's connection, redirects
 * of a cluster are followed command by command, the replies are collected. One thread's.
 *
 * Each command of a request is of one key, so that one may be redirected while another isn't: in
 * the middle of a slot's migration, those whose key has gone are asked for at the slot's new place.
 * Done all at once they would miss the counter that is still at the old one.
 */
#pragma once

#include "agent/store/redis_cells.h"
#include "agent/store/redis_limit.h"
#include "agent/store/redis_shards.h"

/* A command is redirected, or sent again since it was told to, at most this often. */
#define REDIS_CALL_REDIRECTS 5
#define REDIS_CALL_REPEATS   16

/* Calls whose commands wait to be sent again are looked at this often (microseconds). */
#define REDIS_CALL_REST UINT64_C(2000)

enum redis_call_kind {
    REDIS_CALL_TAKE,
    REDIS_CALL_GIVE,
    REDIS_CALL_REPAIR,
    REDIS_CALL_RESET,
};

/* A reply as it is kept until all are there: an error's or a text's first bytes. */
#define REDIS_CALL_TEXT 64

struct redis_call;
struct redis_calls;

struct redis_command {
    struct redis_call *call;
    struct redis_shard *shard; /* that it was sent to */
    uint64_t sent_at;          /* the loop's time */
    bool again;                /* it waits to be sent once more */
    char text[REDIS_CALL_TEXT];
};

struct redis_call {
    struct redis_calls *calls;
    enum redis_call_kind kind;
    struct redis_cell *cell;
    struct limit limit; /* request.limit points here */
    struct redis_limit_request request;
    struct redis_limit_repair repair;
    struct store_take *reset; /* RESET: whoever is told */
    uint64_t session;         /* of the connection that the last command was sent on */
    size_t count;             /* commands */
    size_t answered;
    unsigned redirects;
    unsigned repeats;
    bool redirected; /* and that couldn't be followed */
    bool lost;       /* a connection was, with a reply that hadn't come */
    struct redis_limit_reply replies[REDIS_LIMIT_COMMANDS];
    struct redis_command commands[REDIS_LIMIT_COMMANDS];
    TAILQ_ENTRY(redis_call) of_list; /* of spare ones, or of those to be sent again */
};

TAILQ_HEAD(redis_call_list, redis_call);

struct redis_call_counters {
    struct counter takes; /* calls */
    struct counter gives;
    struct counter repairs;
    struct counter resets;
    struct counter moved;    /* commands that were redirected, and why */
    struct counter asked;    /* ASK */
    struct counter repeated; /* TRYAGAIN, or a script that had to be sent whole */
    struct counter errors;   /* other error replies */
};

struct redis_calls {
    struct redis_shards *shards;
    /* A call is over: all of its replies are there, or won't come (call->lost). May begin it
     * again; otherwise gives it back with redis_call_free. */
    void (*done)(void *context, struct redis_call *call);
    void (*moved)(void *context); /* the topology is old */
    void *context;
    struct redis_call_list spare;
    struct redis_call_list again;
    uint64_t again_at;
    struct redis_call_counters counters;
    uint8_t
        scratch[REDIS_LIMIT_ROOM + REDIS_LIMIT_SCRIPT_ROOM + REDIS_LIMIT_COMMANDS * REDIS_KEY_MAX];
};

void redis_calls_open(struct redis_calls *calls);

/* No call may be under way. */
void redis_calls_close(struct redis_calls *calls);

/* A call for a cell, which is busy until the call is freed. NULL when out of memory. The request's
 * key and limit are filled in. */
struct redis_call *redis_call_new(struct redis_calls *calls, enum redis_call_kind kind,
                                  struct redis_cell *cell, const struct limit *limit);
void redis_call_free(struct redis_call *call);

/* Sends it, or sends it once more. False when it can't be, or has nothing to send: `done` isn't
 * called then. */
bool redis_call_begin(struct redis_call *call, struct redis_shard *shard);

/* Sends again what was told to wait; to be called every REDIS_CALL_REST or so while there is any.
 */
void redis_calls_repeat(struct redis_calls *calls);

/* Those that wait to be sent again are over, as if their connection were lost. */
void redis_calls_cancel(struct redis_calls *calls);
