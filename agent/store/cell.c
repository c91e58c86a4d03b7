#include "agent/store/cell.h"

static bool same_limit(const struct limit *a, const struct limit *b)
{
    return a->units == b->units && a->window == b->window && a->algorithm == b->algorithm &&
           a->burst == b->burst;
}

/* Of limits that differ in one member, never the same; of others, with the probability that two
 * hashes of 64 bits are. */
static uint64_t mark_of(const struct limit *limit)
{
    const uint64_t members[] = {limit->algorithm, limit->units, limit->window, limit->burst};
    uint64_t mark = 0;
    for (size_t i = 0; i < 4; i++) {
        mark = (mark ^ members[i]) * UINT64_C(0x9e3779b97f4a7c15);
        mark ^= mark >> 32;
    }
    return mark;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t until(uint64_t time, uint64_t now)
{
    return time > now ? time - now : 0;
}

static bool is_window(const struct limit *limit)
{
    return limit->algorithm == LIMIT_FIXED_WINDOW || limit->algorithm == LIMIT_SLIDING_WINDOW;
}

void cell_open(struct cell *cell)
{
    *cell = (struct cell){0};
    TAILQ_INIT(&cell->waiting);
    TAILQ_INIT(&cell->sent);
}

bool cell_is_under(const struct cell *cell, const struct limit *limit)
{
    return cell->limit_mark == mark_of(limit);
}

bool cell_is_idle(const struct cell *cell)
{
    return TAILQ_EMPTY(&cell->waiting) && !cell->batch.serial && !cell->leased;
}

/* ---- what is known ------------------------------------------------------------------------- */

bool cell_refuses(const struct cell *cell, struct store_take *take, uint64_t now)
{
    bool is_under = cell_is_under(cell, take->limit);
    bool never = take->wanted > limit_capacity(take->limit);
    if (!never && (cell->denied_until <= now || !is_under))
        return false;
    uint64_t reset_after = is_under ? until(cell->reset_at, now) : 0;
    uint64_t retry_after = never ? LIMIT_NEVER : cell->retry_at - now;
    if (take->wanted > 1 && reset_after > retry_after)
        retry_after = reset_after;
    take->result = (struct limit_result){.retry_after = retry_after, .reset_after = reset_after};
    take->source = never ? STORE_SOURCE_MEMORY : STORE_SOURCE_DENIED;
    return true;
}

/* Units that a take is charged. */
static uint64_t charge_of(const struct store_take *take)
{
    return take->probe ? 0 : take->wanted;
}

static bool spend_lease(struct cell *cell, struct store_take *take, uint64_t now)
{
    if (!take->leased || cell->leased < take->wanted || cell->lease_ends <= now ||
        !same_limit(&cell->lease_limit, take->limit))
        return false;
    cell->leased -= charge_of(take);
    take->result = (struct limit_result){
        .granted = take->wanted,
        .remaining = cell->leased + (cell_is_under(cell, take->limit) ? cell->remaining : 0),
        .reset_after = until(cell->reset_at, now),
    };
    take->taken_at = cell->lease_taken_at;
    take->source = STORE_SOURCE_LEASE;
    return true;
}

bool cell_answer(struct cell *cell, struct store_take *take, uint64_t now)
{
    if (cell_refuses(cell, take, now))
        return true;
    cell->demand += charge_of(take);
    return spend_lease(cell, take, now);
}

/* As if what was in use when it was told had been taken at once then, which is what is left of it
 * now or more. By Redis's clock, which the windows begin and end by. */
uint64_t cell_known(const struct cell *cell, const struct limit *limit, uint64_t now)
{
    uint64_t capacity = limit_capacity(limit);
    if (!cell->told_at || limit->units == 0)
        return 0;
    uint64_t total = limit_capacity(&cell->limit);
    uint64_t used = total > cell->remaining ? total - cell->remaining : 0;
    if (used > capacity)
        used = capacity;
    uint64_t elapsed = until(now, cell->told_at);
    if (limit->algorithm == LIMIT_SLIDING_LOG)
        return elapsed < limit->window ? used : 0;
    if (used == 0)
        return 0;
    struct limit_state state = {0};
    limit_take(limit, &state, cell->taken_at, used);
    struct limit_result seen = limit_peek(limit, &state, cell->taken_at + elapsed, 1);
    return capacity - seen.granted - seen.remaining;
}

void cell_forget_denial(struct cell *cell)
{
    cell->denied_until = 0;
}

void cell_forget(struct cell *cell)
{
    cell->told_at = 0;
    cell->remaining = 0;
    cell->denied_until = 0;
    cell->leased = 0;
    cell->batch.returns = true;
}

/* ---- going to Redis together --------------------------------------------------------------- */

void cell_join(struct cell *cell, struct store_take *take)
{
    take->pending.sent = false;
    TAILQ_INSERT_TAIL(&cell->waiting, take, pending.of_key);
}

uint64_t cell_lease_life(const struct limit *limit)
{
    return least(is_window(limit) ? CELL_LEASE_WINDOW_MAX : CELL_LEASE_MAX, limit->window / 10);
}

/* What will be asked for in a lease's life if as much is asked for as since the last batch, within
 * what may be held. What remains is as Redis said last: nothing is held of a key not known. */
static uint64_t units_ahead(const struct cell *cell, const struct limit *limit, uint64_t now,
                            unsigned sharers)
{
    if (!cell->told_at || cell->leased || !cell_is_under(cell, limit))
        return 0;
    uint64_t elapsed = until(now, cell->demand_since) + 1;
    uint64_t demand = least(cell->demand, LIMIT_UNITS_MAX);
    uint64_t expected = demand * cell_lease_life(limit) / elapsed;
    return least(expected, cell->remaining / CELL_LEASE_SHARE / sharers);
}

bool cell_begin(struct cell *cell, uint64_t now, unsigned sharers)
{
    struct store_take *take = TAILQ_FIRST(&cell->waiting);
    if (!take || cell->batch.serial)
        return false;
    bool leased = take->leased;
    cell->batch =
        (struct cell_batch){.serial = ++cell->serial, .limit = *take->limit, .begun_at = now};
    while (take && same_limit(take->limit, &cell->batch.limit)) {
        TAILQ_REMOVE(&cell->waiting, take, pending.of_key);
        TAILQ_INSERT_TAIL(&cell->sent, take, pending.of_key);
        take->pending.sent = true;
        cell->batch.units += charge_of(take);
        cell->batch.asks = cell->batch.asks || take->probe;
        cell->batch.returns = cell->batch.returns || take->returns || take->leased;
        take = TAILQ_FIRST(&cell->waiting);
    }
    if (leased)
        cell->batch.ahead = units_ahead(cell, &cell->batch.limit, now, sharers);
    cell->batch.units += cell->batch.ahead;
    cell->demand = 0;
    cell->demand_since = now;
    return true;
}

void cell_expire(struct cell *cell, struct store_take *take)
{
    if (take->pending.sent) {
        TAILQ_REMOVE(&cell->sent, take, pending.of_key);
        cell->batch.late += charge_of(take);
        take->ticket = cell->batch.serial;
    } else {
        TAILQ_REMOVE(&cell->waiting, take, pending.of_key);
        take->ticket = 0; /* it was never asked for */
    }
}

void cell_withdraw(struct cell *cell, const struct store_take *take)
{
    if (take->ticket && take->ticket == cell->batch.serial)
        cell->batch.late -= least(cell->batch.late, charge_of(take));
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void learn(struct cell *cell, const struct cell_batch *batch,
                  const struct redis_limit_outcome *outcome, uint64_t now)
{
    cell->limit = batch->limit;
    cell->limit_mark = mark_of(&batch->limit);
    cell->told_at = now;
    cell->taken_at = outcome->taken_at;
    cell->remaining = outcome->result.remaining;
    cell->reset_at = batch->begun_at + outcome->result.reset_after;
    cell->denied_until = 0;
}

/* Keeps of what nobody waits for as much as was taken ahead, if any of a lease's life is left. */
static uint64_t keep_lease(struct cell *cell, const struct cell_batch *batch, uint64_t left,
                           uint64_t taken_at, uint64_t now)
{
    uint64_t life = cell_lease_life(&batch->limit);
    if (is_window(&batch->limit))
        life = least(life, batch->limit.window - taken_at % batch->limit.window);
    uint64_t kept = least(left, batch->ahead);
    if (kept == 0 || cell->leased || batch->begun_at + life <= now)
        return 0;
    cell->leased = kept;
    cell->lease_limit = batch->limit;
    cell->lease_ends = batch->begun_at + life;
    cell->lease_taken_at = taken_at;
    return kept;
}

static void refuse(struct store_take *take, const struct redis_limit_outcome *outcome)
{
    const struct limit_result *told = &outcome->result;
    uint64_t retry_after = outcome->next_after;
    /* More than the next unit: when all of the batch could have been had, of which this one was a
     * part unless it only asked; or the key is new. */
    if (take->wanted > 1)
        retry_after = take->probe ? told->reset_after : least(told->retry_after, told->reset_after);
    take->result =
        (struct limit_result){.retry_after = retry_after, .reset_after = told->reset_after};
}

/* What a take gets of the units that are left, and of those that nobody asked for. */
static uint64_t share_of(const struct store_take *take, uint64_t left, uint64_t remaining)
{
    uint64_t available = take->probe ? left + remaining : left;
    if (take->wanted <= available)
        return take->wanted;
    return take->partial ? available : 0;
}

/* Hands out `left` units in order of arrival; what one can't use, the next may. Returns the rest.
 */
static uint64_t hand_out(struct store_takes *takes, uint64_t left,
                         const struct redis_limit_outcome *outcome)
{
    struct store_take *take;
    TAILQ_FOREACH(take, takes, pending.of_key)
    {
        take->source = STORE_SOURCE_REDIS;
        take->taken_at = outcome->taken_at;
        uint64_t granted = share_of(take, left, outcome->result.remaining);
        left -= take->probe ? 0 : granted;
        if (granted < take->wanted)
            refuse(take, outcome);
        else
            take->result = (struct limit_result){
                .remaining = outcome->result.remaining + left,
                .reset_after = outcome->result.reset_after,
            };
        take->result.granted = granted;
    }
    return left;
}

static void remember_denial(struct cell *cell, const struct cell_batch *batch, uint64_t next_after)
{
    uint64_t doubtful = least(CELL_LEASE_MAX, batch->limit.window / 10);
    uint64_t life = batch->returns ? least(next_after, doubtful) : next_after;
    cell->denied_until = batch->begun_at + life;
    cell->retry_at = batch->begun_at + next_after;
}

/* Those that wait would go to Redis to hear what has just been said, or while those that come after
 * them are answered by a lease. */
static void answer_waiting(struct cell *cell, uint64_t now, struct store_takes *answered)
{
    struct store_take *next;
    for (struct store_take *take = TAILQ_FIRST(&cell->waiting); take; take = next) {
        next = TAILQ_NEXT(take, pending.of_key);
        if (!cell_refuses(cell, take, now) && !spend_lease(cell, take, now))
            continue;
        TAILQ_REMOVE(&cell->waiting, take, pending.of_key);
        TAILQ_INSERT_TAIL(answered, take, pending.of_key);
    }
}

uint64_t cell_settle(struct cell *cell, const struct redis_limit_outcome *outcome, uint64_t now,
                     struct store_takes *answered)
{
    const struct cell_batch batch = cell->batch;
    cell->batch = (struct cell_batch){0};
    learn(cell, &batch, outcome, now);

    /* Those that are late came before all others of the batch. */
    uint64_t granted = outcome->result.granted;
    uint64_t left = granted - least(granted, batch.late);
    left = hand_out(&cell->sent, left, outcome);
    left -= keep_lease(cell, &batch, left, outcome->taken_at, now);
    bool refused = granted < batch.units || batch.asks;
    if (refused && cell->remaining == 0 && left == 0 && !cell->leased)
        remember_denial(cell, &batch, outcome->next_after);
    cell->remaining += left;
    TAILQ_CONCAT(answered, &cell->sent, pending.of_key);
    answer_waiting(cell, now, answered);
    return left + outcome->surplus;
}

void cell_fail(struct cell *cell, struct store_takes *failed)
{
    cell->batch = (struct cell_batch){0};
    TAILQ_CONCAT(failed, &cell->sent, pending.of_key);
}

uint64_t cell_end_lease(struct cell *cell, uint64_t now, bool anyway)
{
    if (!cell->leased || (!anyway && cell->lease_ends > now))
        return 0;
    uint64_t units = cell->leased;
    cell->leased = 0;
    return units;
}
