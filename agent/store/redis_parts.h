/* What the Redis store is made of. Internal to redis.c and redis_reset.c. */
#pragma once

#include "agent/store/redis.h"

struct store_redis {
    struct store store; /* first */
    struct store_redis_options options;
    struct redis_shards shards;
    struct redis_calls calls;
    struct redis_cells cells;
    struct redis_cell_list turn;   /* something of theirs is to be sent at the end of the turn */
    struct redis_cell_list leases; /* those that hold one */
    struct store_takes waiting;    /* all that are pending, the earliest deadline first */
    bool cancelled;
    ev_prepare end_of_turn;
    ev_timer deadline;
    ev_timer upkeep;
    struct store_redis_counters counters;
};

static inline struct store_redis *redis__of(struct store *store)
{
    return (struct store_redis *)store;
}

static inline uint64_t redis__now(const struct store_redis *redis)
{
    return *redis->options.now;
}

/* The cell's shard by the present topology; NULL where nobody serves it. */
struct redis_shard *redis__place(struct store_redis *redis, struct redis_cell *cell);

/* The cell of a take's key, made where there was none; NULL: there is no room for it. */
struct redis_cell *redis__cell(struct store_redis *redis, const struct store_take *take);

/* ---- redis_reset.c ------------------------------------------------------------------------- */

/* The operations, and what is to be done when a call of kind REDIS_CALL_RESET is over. */
enum store_status redis__reset(struct store *store, struct store_take *take, uint64_t now);
void redis__forget(struct store *store, const struct store_take *take);
void redis__reset_done(struct store_redis *redis, struct redis_call *call);
