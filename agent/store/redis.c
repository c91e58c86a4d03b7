#include "agent/store/redis_parts.h"

#include <stdlib.h>

/* Leases that are over are given back, and keys that no longer count are forgotten, this often
 * (seconds). */
#define UPKEEP_PERIOD 0.02

static void touch(struct store_redis *redis, struct redis_cell *cell)
{
    if (cell->in_turn)
        return;
    cell->in_turn = true;
    TAILQ_INSERT_TAIL(&redis->turn, cell, of_turn);
}

struct redis_shard *redis__place(struct store_redis *redis, struct redis_cell *cell)
{
    const struct topology *topology = redis->shards.topology;
    uint64_t version = topology ? topology->version : 0;
    if (cell->placed != version) {
        cell->placed = version;
        cell->shard = redis_shards_place(&redis->shards, redis_cell_key(cell));
    }
    return version ? cell->shard : NULL;
}

/* ---- answering ----------------------------------------------------------------------------- */

static void answer(struct store_redis *redis, struct store_take *take, enum store_status status)
{
    TAILQ_REMOVE(&redis->waiting, take, pending.by_deadline);
    if (status == STORE_UNAVAILABLE)
        counter_add(&redis->counters.unavailable, 1);
    else if (status == STORE_LATE)
        counter_add(&redis->counters.late, 1);
    take->answered(take, status);
}

/* The callbacks may take and give, of the same key too. */
static void answer_all(struct store_redis *redis, struct store_takes *takes,
                       enum store_status status, uint64_t session)
{
    struct store_take *take;
    while ((take = TAILQ_FIRST(takes)) != NULL) {
        TAILQ_REMOVE(takes, take, pending.of_key);
        take->ticket = session;
        answer(redis, take, status);
    }
}

static void fail_batch(struct store_redis *redis, struct redis_cell *cell)
{
    struct store_takes failed = TAILQ_HEAD_INITIALIZER(failed);
    cell_fail(&cell->cell, &failed);
    answer_all(redis, &failed, STORE_UNAVAILABLE, 0);
}

/* ---- giving back --------------------------------------------------------------------------- */

static void send_given(struct store_redis *redis, struct redis_cell *cell)
{
    uint64_t units = cell->given;
    struct redis_shard *shard = redis__place(redis, cell);
    cell->given = 0;
    if (units == 0)
        return;
    /* Of what was charged before the connection was lost, the server may know nothing any more. */
    bool possible = redis_shard_is_up(shard) && shard->session == cell->given_session;
    struct redis_call *call =
        possible ? redis_call_new(&redis->calls, REDIS_CALL_GIVE, cell, &cell->given_limit) : NULL;
    if (call) {
        call->request.units = units;
        call->request.taken_at = cell->given_taken_at;
        call->request.now = redis_shard_time(shard);
        if (redis_call_begin(call, shard)) {
            counter_add(&redis->counters.units_back, units);
            return;
        }
        redis_call_free(call);
    }
    counter_add(&redis->counters.units_dropped, units);
}

/* Units go back at the end of the turn, those of one time in one command. */
static void give_back(struct store_redis *redis, struct redis_cell *cell, const struct limit *limit,
                      uint64_t units, uint64_t taken_at, uint64_t session)
{
    if (units == 0)
        return;
    if (cell->given && (cell->given_taken_at != taken_at || cell->given_session != session))
        send_given(redis, cell);
    cell->given += units;
    cell->given_taken_at = taken_at;
    cell->given_session = session;
    cell->given_limit = *limit;
    touch(redis, cell);
}

static void end_lease(struct store_redis *redis, struct redis_cell *cell, bool anyway)
{
    uint64_t units = cell_end_lease(&cell->cell, redis__now(redis), anyway);
    counter_add(&redis->counters.units_unspent, units);
    if (units)
        give_back(redis, cell, &cell->cell.lease_limit, units, cell->cell.lease_taken_at,
                  cell->lease_session);
    if (!cell->cell.leased && cell->in_leases) {
        cell->in_leases = false;
        TAILQ_REMOVE(&redis->leases, cell, of_leases);
    }
}

static void begin_lease(struct store_redis *redis, struct redis_cell *cell, uint64_t session)
{
    cell->lease_session = session;
    counter_add(&redis->counters.units_ahead, cell->cell.leased);
    if (cell->in_leases)
        return;
    cell->in_leases = true;
    TAILQ_INSERT_TAIL(&redis->leases, cell, of_leases);
}

static void redis_give(struct store *store, const struct store_take *take, uint64_t units,
                       uint64_t now)
{
    struct store_redis *redis = redis__of(store);
    struct redis_cell *cell = redis_cells_find(&redis->cells, take->key);
    (void)now;
    if (!cell || redis->cancelled) {
        counter_add(&redis->counters.units_dropped, units);
        return;
    }
    cell_forget_denial(&cell->cell);
    give_back(redis, cell, take->limit, units, take->taken_at, take->ticket);
}

static void redis_withdraw(struct store *store, const struct store_take *take)
{
    struct redis_cell *cell = redis_cells_find(&redis__of(store)->cells, take->key);
    if (cell)
        cell_withdraw(&cell->cell, take);
}

/* ---- asking -------------------------------------------------------------------------------- */

static void begin_take(struct store_redis *redis, struct redis_cell *cell)
{
    struct redis_shard *shard = redis__place(redis, cell);
    unsigned sharers = topology_watch_agents(redis->options.watch) * redis->options.workers;
    while (cell_begin(&cell->cell, redis__now(redis), sharers)) {
        const struct cell_batch *batch = &cell->cell.batch;
        struct redis_call *call =
            redis_shard_is_up(shard)
                ? redis_call_new(&redis->calls, REDIS_CALL_TAKE, cell, &batch->limit)
                : NULL;
        if (call) {
            uint64_t known = cell->session == shard->session ? cell->first_at : 0;
            call->request.units = batch->units;
            call->request.now = redis_shard_time(shard);
            call->request.first = redis_limit_first(&call->limit, known, call->request.now);
            call->request.previous = cell->previous;
            if (redis_call_begin(call, shard))
                return;
            redis_call_free(call);
        }
        fail_batch(redis, cell);
    }
}

/* Takes that a failing callback adds meanwhile are of this turn too. */
static void on_end_of_turn(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct store_redis *redis = watcher->data;
    struct redis_cell *cell;
    (void)loop;
    (void)events;
    while ((cell = TAILQ_FIRST(&redis->turn)) != NULL) {
        TAILQ_REMOVE(&redis->turn, cell, of_turn);
        cell->in_turn = false;
        send_given(redis, cell);
        begin_take(redis, cell);
    }
    counter_set(&redis->counters.keys, redis->cells.count);
}

/* ---- replies ------------------------------------------------------------------------------- */

static void repair(struct store_redis *redis, const struct redis_call *call,
                   const struct redis_limit_repair *needed)
{
    struct redis_shard *shard = redis__place(redis, call->cell);
    if (!needed->needed || !redis_shard_is_up(shard))
        return;
    struct redis_call *mending =
        redis_call_new(&redis->calls, REDIS_CALL_REPAIR, call->cell, &call->limit);
    if (!mending)
        return;
    mending->request.now = call->request.now;
    mending->repair = *needed;
    if (!redis_call_begin(mending, shard))
        redis_call_free(mending);
}

/* One failure of a server in a period, however many takes it shows in: what is short is no more of
 * a busy server than of an idle one. */
static void count_once(struct store_redis *redis, struct redis_shard *shard, uint64_t period,
                       const char *why)
{
    uint64_t now = redis__now(redis);
    if (!redis_shard_is_up(shard) || now - shard->failed_at < period)
        return;
    shard->failed_at = now;
    redis_link_failed(shard->link, false, why);
}

/* What the server said in place of an answer counts against it. Where it redirects to nobody that
 * is known, that is looked for: so it counts once in the time of a look. */
static void count_against(struct store_redis *redis, struct redis_call *call)
{
    struct redis_shard *shard = redis__place(redis, call->cell);
    char why[REDIS_CALL_TEXT + 1] = "a reply made no sense";
    for (size_t i = 0; i < call->count; i++) {
        const struct redis_limit_reply *reply = &call->replies[i];
        if (reply->type == REDIS_LIMIT_REPLY_ERROR) {
            memcpy(why, reply->text.data, reply->text.size);
            why[reply->text.size] = '\0';
        }
    }
    if (call->redirected)
        count_once(redis, shard, TOPOLOGY_REFRESH_PERIOD, why);
    else if (shard)
        redis_link_failed(shard->link, false, why);
}

static void settle(struct store_redis *redis, struct redis_call *call,
                   const struct redis_limit_outcome *outcome)
{
    struct redis_cell *cell = call->cell;
    struct store_takes answered = TAILQ_HEAD_INITIALIZER(answered);
    if (call->request.first)
        cell->first_at = call->request.now;
    else if (cell->session != call->session)
        cell->first_at = 0;
    cell->session = call->session;
    cell->previous = outcome->previous;
    uint64_t held = cell->cell.leased;
    uint64_t back = cell_settle(&cell->cell, outcome, redis__now(redis), &answered);
    give_back(redis, cell, &call->limit, back, outcome->taken_at, call->session);
    if (cell->cell.leased > held)
        begin_lease(redis, cell, call->session);
    answer_all(redis, &answered, STORE_ANSWERED, call->session);
}

static void take_done(struct store_redis *redis, struct redis_call *call)
{
    struct redis_cell *cell = call->cell;
    struct redis_limit_outcome outcome = {0};
    enum redis_limit_status status = REDIS_LIMIT_FAILED;
    if (!call->lost)
        status = redis_limit_read_take(&call->request, call->replies, call->count, &outcome);
    if (status == REDIS_LIMIT_ANSWERED) {
        repair(redis, call, &outcome.repair);
        settle(redis, call, &outcome);
    } else {
        /* What was drawn before another command failed. */
        give_back(redis, cell, &call->limit, outcome.surplus, outcome.taken_at, call->session);
        fail_batch(redis, cell);
        if (!call->lost)
            count_against(redis, call);
    }
    if (!TAILQ_EMPTY(&cell->cell.waiting))
        touch(redis, cell);
}

static void give_done(struct store_redis *redis, struct redis_call *call)
{
    struct redis_limit_repair needed = {0};
    if (call->lost || redis_limit_read_give(&call->request, call->replies, call->count, &needed) ==
                          REDIS_LIMIT_FAILED)
        counter_add(&redis->counters.units_dropped, call->request.units);
    repair(redis, call, &needed);
}

/* A script that the server doesn't know did nothing: it is sent whole. */
static bool send_whole(struct store_redis *redis, struct redis_call *call)
{
    if (call->lost || call->request.whole_script || call->count != 1 ||
        call->replies[0].type != REDIS_LIMIT_REPLY_ERROR ||
        !slice_has_prefix(call->replies[0].text, SLICE("NOSCRIPT")))
        return false;
    struct redis_shard *shard = redis__place(redis, call->cell);
    call->request.whole_script = true;
    counter_add(&redis->calls.counters.repeated, 1);
    return redis_shard_is_up(shard) && redis_call_begin(call, shard);
}

static void call_done(void *context, struct redis_call *call)
{
    struct store_redis *redis = context;
    if (call->kind != REDIS_CALL_REPAIR && send_whole(redis, call))
        return;
    if (call->kind == REDIS_CALL_TAKE)
        take_done(redis, call);
    else if (call->kind == REDIS_CALL_GIVE)
        give_done(redis, call);
    else if (call->kind == REDIS_CALL_RESET)
        redis__reset_done(redis, call);
    redis_call_free(call);
}

static void topology_is_old(void *context)
{
    struct store_redis *redis = context;
    topology_watch_refresh(redis->options.watch);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void arm(struct store_redis *redis)
{
    const struct store_take *first = TAILQ_FIRST(&redis->waiting);
    if (!first || ev_is_active(&redis->deadline))
        return;
    uint64_t now = redis__now(redis);
    uint64_t left = first->pending.deadline > now ? first->pending.deadline - now : 0;
    ev_timer_set(&redis->deadline, (double)left / 1e6, 0.);
    ev_timer_start(redis->options.loop, &redis->deadline);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct store_redis *redis = watcher->data;
    struct store_take *take;
    (void)loop;
    (void)events;
    while ((take = TAILQ_FIRST(&redis->waiting)) != NULL &&
           take->pending.deadline <= redis__now(redis)) {
        struct redis_cell *cell = take->pending.cell;
        cell_expire(&cell->cell, take);
        answer(redis, take, STORE_LATE);
        /* This may end all that is under way there, and answer it. */
        count_once(redis, redis__place(redis, cell), redis->options.settings->deadline,
                   "no answer within the deadline");
    }
    arm(redis);
}

/* Ends the leases that are over, and counts those that aren't. */
static void look_through_leases(struct store_redis *redis)
{
    struct redis_cell *cell = TAILQ_FIRST(&redis->leases);
    uint64_t leases = 0;
    uint64_t units = 0;
    while (cell) {
        struct redis_cell *next = TAILQ_NEXT(cell, of_leases);
        end_lease(redis, cell, false);
        leases += cell->cell.leased != 0;
        units += cell->cell.leased;
        cell = next;
    }
    counter_set(&redis->counters.leases, leases);
    counter_set(&redis->counters.leases_units, units);
}

static void on_upkeep(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct store_redis *redis = watcher->data;
    (void)loop;
    (void)events;
    look_through_leases(redis);
    redis_calls_repeat(&redis->calls);
    redis_shards_retire(&redis->shards, redis__now(redis));
    redis_cells_sweep(&redis->cells, redis__now(redis));
    counter_set(&redis->counters.keys, redis->cells.count);
}

/* ---- the operations ------------------------------------------------------------------------ */

static struct redis_cell *add_cell(struct store_redis *redis, const struct store_take *take)
{
    uint8_t text[REDIS_KEY_MAX];
    struct writer w = writer_open(text, sizeof(text));
    bool evicted;
    writer_bytes(&w, redis->options.settings->prefix);
    writer_uint8(&w, '{');
    take->write_subject(take, &w);
    writer_bytes(&w, SLICE("}:"));
    writer_bytes(&w, take->name);
    if (w.error)
        return NULL;
    struct redis_cell *cell = redis_cells_add(&redis->cells, take->key, writer_slice(&w), &evicted);
    counter_add(&redis->counters.evicted, evicted);
    /* No batch of a cell that was forgotten has the number of one of this. */
    if (cell)
        cell->cell.serial = redis__now(redis);
    return cell;
}

struct redis_cell *redis__cell(struct store_redis *redis, const struct store_take *take)
{
    struct redis_cell *cell = redis_cells_find(&redis->cells, take->key);
    return cell ? cell : add_cell(redis, take);
}

static void count_answered(struct store_redis *redis, const struct store_take *take)
{
    struct store_redis_counters *counters = &redis->counters;
    if (take->source == STORE_SOURCE_DENIED)
        counter_add(&counters->denied, 1);
    else if (take->source == STORE_SOURCE_LEASE)
        counter_add(&counters->leased, 1);
    else
        counter_add(&counters->unasked, 1);
}

static enum store_status redis_take(struct store *store, struct store_take *take, uint64_t now)
{
    struct store_redis *redis = redis__of(store);
    struct redis_cell *cell = redis__cell(redis, take);
    if (!cell) {
        counter_add(&redis->counters.full, 1);
        return STORE_FULL;
    }
    if (cell_answer(&cell->cell, take, now)) {
        if (take->source == STORE_SOURCE_LEASE)
            take->ticket = cell->lease_session;
        count_answered(redis, take);
        return STORE_ANSWERED;
    }
    if (redis->cancelled || !redis_shard_is_up(redis__place(redis, cell))) {
        counter_add(&redis->counters.unavailable, 1);
        return STORE_UNAVAILABLE;
    }
    if (cell->cell.leased && !cell_is_under(&cell->cell, take->limit))
        end_lease(redis, cell, true);
    counter_add(&redis->counters.asked, 1);
    take->pending.cell = cell;
    take->pending.deadline = now + redis->options.settings->deadline;
    TAILQ_INSERT_TAIL(&redis->waiting, take, pending.by_deadline);
    cell_join(&cell->cell, take);
    if (!cell->cell.batch.serial)
        touch(redis, cell);
    arm(redis);
    return STORE_PENDING;
}

static void redis_expect(struct store *store, struct hash128 key)
{
    redis_cells_expect(&redis__of(store)->cells, key);
}

static bool redis_refuses(struct store *store, struct store_take *take, uint64_t now)
{
    struct store_redis *redis = redis__of(store);
    const struct redis_cell *cell = redis_cells_find(&redis->cells, take->key);
    if (!cell || !cell_refuses(&cell->cell, take, now))
        return false;
    count_answered(redis, take);
    return true;
}

static uint64_t redis_known(struct store *store, const struct store_take *take, uint64_t now)
{
    struct store_redis *redis = redis__of(store);
    const struct redis_cell *cell = redis_cells_find(&redis->cells, take->key);
    return cell ? cell_known(&cell->cell, take->limit, now) : 0;
}

static void redis_statistics(struct store *store, struct store_statistics *statistics)
{
    const struct store_redis *redis = redis__of(store);
    *statistics = (struct store_statistics){
        .keys = counter_read(&redis->counters.keys),
        .max_keys = redis->cells.max,
        .reclaimed = counter_read(&redis->counters.evicted),
        .full_total = counter_read(&redis->counters.full),
    };
}

static void redis_free(struct store *store)
{
    struct store_redis *redis = redis__of(store);
    redis_shards_free(&redis->shards);
    redis_calls_close(&redis->calls);
    redis_cells_close(&redis->cells);
    free(redis);
}

static const struct store_operations redis_operations = {
    .name = "redis",
    .names_keys = true,
    .take = redis_take,
    .give = redis_give,
    .expect = redis_expect,
    .refuses = redis_refuses,
    .known = redis_known,
    .withdraw = redis_withdraw,
    .reset = redis__reset,
    .forget = redis__forget,
    .statistics = redis_statistics,
    .free = redis_free,
};

/* ---- life ---------------------------------------------------------------------------------- */

static void watch(struct store_redis *redis)
{
    struct ev_loop *loop = redis->options.loop;
    ev_prepare_init(&redis->end_of_turn, on_end_of_turn);
    ev_timer_init(&redis->deadline, on_deadline, 0., 0.);
    ev_timer_init(&redis->upkeep, on_upkeep, UPKEEP_PERIOD, UPKEEP_PERIOD);
    redis->end_of_turn.data = redis->deadline.data = redis->upkeep.data = redis;
    /* Before the connections' answers are written: some are given when nothing can be sent. */
    ev_set_priority(&redis->end_of_turn, EV_MAXPRI);
    ev_prepare_start(loop, &redis->end_of_turn);
    ev_timer_start(loop, &redis->upkeep);
}

struct store *store_redis_create(const struct store_redis_options *options)
{
    struct store_redis *redis = calloc(1, sizeof(*redis));
    if (!redis || !redis_cells_open(&redis->cells, options->max_keys)) {
        free(redis);
        return NULL;
    }
    redis->store.operations = &redis_operations;
    redis->options = *options;
    TAILQ_INIT(&redis->turn);
    TAILQ_INIT(&redis->leases);
    TAILQ_INIT(&redis->waiting);
    redis_shards_open(&redis->shards, &(struct redis_shards_options){
                                          .loop = options->loop,
                                          .now = options->now,
                                          .settings = options->settings,
                                          .access = options->access,
                                          .lost = topology_is_old,
                                          .context = redis,
                                      });
    redis->calls.shards = &redis->shards;
    redis->calls.done = call_done;
    redis->calls.moved = topology_is_old;
    redis->calls.context = redis;
    redis_calls_open(&redis->calls);
    watch(redis);
    store_redis_follow(&redis->store);
    return &redis->store;
}

void store_redis_follow(struct store *store)
{
    struct store_redis *redis = redis__of(store);
    struct topology *topology = topology_watch_hold(redis->options.watch);
    const struct topology *present = redis->shards.topology;
    if (!topology || redis->cancelled || (present && present->version == topology->version))
        topology_release(topology);
    else
        redis_shards_follow(&redis->shards, topology);
}

void store_redis_cancel(struct store *store)
{
    struct store_redis *redis = redis__of(store);
    struct redis_cell *cell;
    if (redis->cancelled)
        return;
    redis->cancelled = true;
    ev_prepare_stop(redis->options.loop, &redis->end_of_turn);
    ev_timer_stop(redis->options.loop, &redis->deadline);
    ev_timer_stop(redis->options.loop, &redis->upkeep);
    redis_calls_cancel(&redis->calls);
    redis_shards_close(&redis->shards);
    /* What had not been sent. */
    while ((cell = TAILQ_FIRST(&redis->turn)) != NULL) {
        TAILQ_REMOVE(&redis->turn, cell, of_turn);
        cell->in_turn = false;
        while (cell_begin(&cell->cell, redis__now(redis), 1))
            fail_batch(redis, cell);
    }
}

const struct store_redis_counters *store_redis_counters(const struct store *store)
{
    return &((const struct store_redis *)store)->counters;
}

const struct redis_call_counters *store_redis_calls(const struct store *store)
{
    return &((const struct store_redis *)store)->calls.counters;
}

void store_redis_look(struct store *store,
                      void (*see)(void *context, const struct topology_shard *server,
                                  struct redis_link *link),
                      void *context)
{
    redis_shards_look(&redis__of(store)->shards, see, context);
}
