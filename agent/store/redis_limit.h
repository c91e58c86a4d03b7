/* The four limits on Redis: which commands a take or a give of one key is, and what their replies
 * mean. Pure: bytes are written and replies are read here, but sent and received elsewhere.
 *
 * Each answer is that of limit_take on the state that Redis had:
 *
 *   fixed-window, sliding-window: a counter for each window, <key>:<index>, where index is the time
 *     since the epoch divided by the window. INCRBY draws tickets, and its reply tells how many
 * were drawn before. Tickets that the limit doesn't grant are the surplus, which goes back by
 * DECRBY. So a counter is never less than what was granted of it, and more only while a surplus is
 *     under way. What a counter has above the limit therefore doesn't count. (Where a limit has
 * been lowered, that forgets units which the state in memory would go on counting.) token-bucket,
 * sliding-log: one value, <key>:bucket or <key>:log, that a script reads and writes on the server's
 * own clock.
 *
 * Where this is not what the state in memory does:
 * - The windows go by the caller's idea of the server's clock. Where two agents' ideas differ by d,
 *   one may take from a window until d after the other has left it: never more than the limit from
 *   one window, but a sliding window's estimate lacks what came after the count was read, until it
 *   is read once more (redis_limit_first).
 * - A time before the one before it is not late, but is of the window that it falls into. The
 * caller keeps `now` from going back.
 * - A window of another length has other counters: a reload that changes it begins anew.
 * - State that Redis loses (a restart without persistence, a failover ahead of replication, an
 *   eviction) admits the capacity at most once more each time.
 *
 * Where Redis is a cluster, the key must hold a hash tag: one take may be of two counters. Needs
 * Redis 7.0 or Valkey: the scripts begin with #!lua, so that a replica refuses them and doesn't
 * answer from what it once knew.
 *
 * Thread-safe. No allocation.
 */
#pragma once

#include "rules/limit/limit.h"

/* A key outlives what it counts by this much (microseconds), for agents whose clocks are behind. */
#define REDIS_LIMIT_SLACK UINT64_C(1000000)

/* At most this many commands a request. */
#define REDIS_LIMIT_COMMANDS 3

/* The bytes of all commands of a request are at most this and REDIS_LIMIT_COMMANDS times its key;
 * those with the whole script: */
#define REDIS_LIMIT_ROOM        400
#define REDIS_LIMIT_SCRIPT_ROOM 8192

/* One take or give, from the writing of its commands to the reading of their replies. */
struct redis_limit_request {
    const struct limit *limit; /* has passed limit_check; a give's is that of its take */
    struct slice key;
    uint64_t units; /* wanted; 0 only asks, and leaves all as it is; or given back */

    /* The windows: the server's time, microseconds since the epoch, below 2^62. */
    uint64_t now;

    /* A take from a window: whether it is this agent's first (redis_limit_first). If not and the
     * window slides, previous is what the first one's outcome said. */
    bool first;
    uint64_t previous;

    uint64_t taken_at; /* a give: what its take's outcome said */
    bool whole_script; /* send the script itself, as is asked for by REDIS_LIMIT_NO_SCRIPT */
    uint64_t test_now; /* for tests: a script's time, below 2^52; 0 is the server's own */
};

/* Each is one command, in the writer's buffer; to be sent in this order on one connection. */
struct redis_limit_commands {
    size_t count; /* 0: nothing to send, or the writer has no room (see its error) */
    struct slice command[REDIS_LIMIT_COMMANDS];
};

/* The reply to one command. */
enum redis_limit_reply_type {
    REDIS_LIMIT_REPLY_NIL,
    REDIS_LIMIT_REPLY_INTEGER,
    REDIS_LIMIT_REPLY_TEXT,    /* a status or a string */
    REDIS_LIMIT_REPLY_NUMBERS, /* an array of integers, at most REDIS_LIMIT_NUMBERS */
    REDIS_LIMIT_REPLY_ERROR,
    REDIS_LIMIT_REPLY_OTHER, /* whatever else */
};

#define REDIS_LIMIT_NUMBERS 7

struct redis_limit_reply {
    enum redis_limit_reply_type type;
    int64_t integer;   /* INTEGER */
    struct slice text; /* TEXT, ERROR */
    size_t count;      /* NUMBERS */
    int64_t numbers[REDIS_LIMIT_NUMBERS];
};

enum redis_limit_status {
    REDIS_LIMIT_ANSWERED,
    REDIS_LIMIT_NO_SCRIPT, /* nothing was done: write the request again, with whole_script */
    REDIS_LIMIT_FAILED,    /* an error reply, or one that makes no sense: no answer is to be had */
};

/* A counter that may lack its time to live, or have had more taken out than was in it: it was lost
 * and has been made anew. Whoever notices puts it right with redis_limit_write_repair. */
struct redis_limit_repair {
    bool needed;
    uint64_t at;    /* a time in its window */
    uint64_t units; /* to be put in again */
};

struct redis_limit_outcome {
    /* When ANSWERED. Where nothing was wanted: what remains, and the rest as of a take of one unit.
     */
    struct limit_result result;
    uint64_t
        next_after;    /* microseconds until one more unit could be had; 0 when something remains */
    uint64_t taken_at; /* what a give of it needs; known whenever surplus is not 0 */
    /* Units, besides those granted, that were drawn and are to be given back at once; whatever the
     * status. */
    uint64_t surplus;
    uint64_t previous; /* a sliding window: to be kept while redis_limit_first says false */
    struct redis_limit_repair repair;
};

/* Whether a take at `now` has to be told that it is the first, where the last one of this key and
 * limit that was so told and ANSWERED was at `last` (0: none): because it is in another window; or
 * because a sliding window was entered so lately then that takes from the one before may have been
 * under way. Always after a connection was lost: it may have been with the server's memory. */
bool redis_limit_first(const struct limit *limit, uint64_t last, uint64_t now);

struct redis_limit_commands redis_limit_write_take(struct writer *w,
                                                   const struct redis_limit_request *request);

/* The replies to all commands of a take, in order; where one says MOVED or ASK, the caller follows
 * that first, with all of them. A result that is ANSWERED grants no more than
 * the limit allows on any state, whatever the replies. */
enum redis_limit_status redis_limit_read_take(const struct redis_limit_request *request,
                                              const struct redis_limit_reply *replies, size_t count,
                                              struct redis_limit_outcome *outcome);

/* Gives back units of an outcome, granted or surplus, as limit_give does: what can't admit too
 * many. Of a window that has passed that is none, and no command. Not to be sent again when its
 * reply is lost, for it may have been done; and not after the connection of its take was lost. */
struct redis_limit_commands redis_limit_write_give(struct writer *w,
                                                   const struct redis_limit_request *request);
enum redis_limit_status redis_limit_read_give(const struct redis_limit_request *request,
                                              const struct redis_limit_reply *replies, size_t count,
                                              struct redis_limit_repair *repair);

/* Deletes what is kept of a request's limit and key, as of its now: of a window that, and the one
 * before it, which a sliding window counts too. What its replies are doesn't matter, if none is an
 * error. */
struct redis_limit_commands redis_limit_write_reset(struct writer *w,
                                                    const struct redis_limit_request *request);

/* Of the limit, key and now of a request; what its replies are doesn't matter. */
struct redis_limit_commands redis_limit_write_repair(struct writer *w,
                                                     const struct redis_limit_request *request,
                                                     const struct redis_limit_repair *repair);
