#include "agent/store/redis_parts.h"

static void forget(struct store_redis *redis, struct redis_cell *cell)
{
    cell_forget(&cell->cell);
    cell->first_at = 0;
    cell->previous = 0;
    cell->given = 0;
    if (cell->in_leases) {
        cell->in_leases = false;
        TAILQ_REMOVE(&redis->leases, cell, of_leases);
    }
}

enum store_status redis__reset(struct store *store, struct store_take *take, uint64_t now)
{
    struct store_redis *redis = redis__of(store);
    struct redis_cell *cell = redis__cell(redis, take);
    struct redis_shard *shard = cell ? redis__place(redis, cell) : NULL;
    (void)now;
    take->source = STORE_SOURCE_REDIS;
    if (take->limit->units == 0)
        return STORE_ANSWERED; /* nothing is kept of it */
    if (!cell)
        return STORE_FULL;
    if (redis->cancelled || !redis_shard_is_up(shard))
        return STORE_UNAVAILABLE;
    struct redis_call *call = redis_call_new(&redis->calls, REDIS_CALL_RESET, cell, take->limit);
    if (!call)
        return STORE_UNAVAILABLE;
    call->reset = take;
    call->request.now = redis_shard_time(shard);
    if (redis_call_begin(call, shard))
        return STORE_PENDING;
    redis_call_free(call);
    return STORE_UNAVAILABLE;
}

void redis__forget(struct store *store, const struct store_take *take)
{
    struct store_redis *redis = redis__of(store);
    struct redis_cell *cell = redis_cells_find(&redis->cells, take->key);
    if (cell)
        forget(redis, cell);
}

void redis__reset_done(struct store_redis *redis, struct redis_call *call)
{
    bool done = !call->lost;
    for (size_t i = 0; i < call->count; i++)
        done = done && call->replies[i].type == REDIS_LIMIT_REPLY_INTEGER;
    /* Of one that is half done too, what was known is no longer so. */
    forget(redis, call->cell);
    call->reset->answered(call->reset, done ? STORE_ANSWERED : STORE_UNAVAILABLE);
}
