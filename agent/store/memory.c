#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>

#include "agent/store/store.h"

/* Open addressing with linear probing, in stripes. A cell whose key has expired stays in its place,
 * so that no probe is cut short, until a new key reuses it or the sweep takes it out (shifting what
 * follows back, so there are no tombstones).
 *
 * A stripe's cells are reserved for all keys that it may come to hold, and those in use are the
 * first of them, twice as many whenever they get crowded: a few keys spread over all would each
 * have a page of memory of its own, and a look at one would mostly miss the processor's caches. */

struct memory_cell {
    struct hash128 key;
    struct limit_state state;
    /* When the state is as good as never seen; 0 marks an empty cell. */
    uint64_t expires : 62;
    uint64_t has_log : 1; /* state.log is ours to free */
    uint64_t layout : 1;  /* the stripe's when it was put where it is */
};

static_assert(sizeof(struct memory_cell) == 48, "a cell is three quarters of a cache line");

#define EXPIRES_MAX (UINT64_MAX >> 2)

struct memory_stripe {
    alignas(64) pthread_mutex_t lock;
    struct memory_cell *cells;
    _Atomic size_t capacity;  /* cells in use, empty ones too; changed under the lock */
    size_t used;              /* cells that aren't empty */
    uint64_t layout : 1;      /* another each time that the cells in use become more */
    size_t hand;              /* where the sweep goes on */
    struct counter reclaimed; /* written under the lock, read without it */
    struct counter full_total;
};

#define STRIPES_BUSY  64 /* enough for threads not to wait for one another */
#define STRIPES_MAX   4096
#define KEYS_A_STRIPE 1024 /* fewer are not worth a stripe of their own */
#define KEYS_MOVED_MAX                                                                             \
    8192                    /* of a stripe, where STRIPES_MAX allows: all move while it is locked  \
                             */
#define CELLS_AT_FIRST  16  /* in use of a stripe */
#define SWEEP_PERIOD    600 /* calls of upkeep in which every cell is looked at once */
#define SWEEP_WHEN_FULL 256 /* cells looked at before a new key is turned away */

/* A key is kept this much longer than it counts: a worker reads its clock once a turn, so another's
 * may be ahead of it, and must not have taken away what it is about to ask. */
#define LATE_GRACE UINT64_C(1000000)

struct memory_store {
    struct store store;
    size_t stripe_count; /* a power of two */
    size_t cells_a_stripe;
    uint64_t max_keys;
    uint64_t log_memory;
    _Atomic uint64_t keys;
    _Atomic uint64_t log_bytes;
    struct memory_stripe *stripes;
};

static struct memory_store *memory_of(struct store *store)
{
    return (struct memory_store *)store;
}

static struct memory_stripe *stripe_of(struct memory_store *memory, struct hash128 key)
{
    return &memory->stripes[key.high & (memory->stripe_count - 1)];
}

/* Multiplying maps a hash to a range that need not be a power of two. */
static size_t home_of(const struct memory_stripe *stripe, struct hash128 key)
{
    size_t capacity = atomic_load_explicit(&stripe->capacity, memory_order_relaxed);
    return (size_t)(((key.low >> 32) * capacity) >> 32);
}

static size_t cell_after(const struct memory_stripe *stripe, size_t at)
{
    return at + 1 < atomic_load_explicit(&stripe->capacity, memory_order_relaxed) ? at + 1 : 0;
}

/* Stripes fill unevenly, by about the square root of their keys; with 40 % of the cells to spare
 * none is crowded before max_keys is reached, and probes stay short. */
static size_t cells_for(uint64_t keys)
{
    return (size_t)(keys + keys * 2 / 5 + 64);
}

static bool is_crowded(const struct memory_stripe *stripe)
{
    return stripe->used >= stripe->capacity / 7 * 5;
}

/* ---- logs ---------------------------------------------------------------------------------- */

static size_t log_bytes(const struct limit_log *log)
{
    return sizeof(*log) + (size_t)log->capacity * sizeof(log->times[0]);
}

static void drop_log(struct memory_store *memory, struct memory_cell *cell)
{
    if (!cell->has_log)
        return;
    atomic_fetch_sub(&memory->log_bytes, log_bytes(cell->state.log));
    free(cell->state.log);
    cell->state.log = NULL;
    cell->has_log = 0;
}

static struct limit_log *new_log(struct memory_store *memory, const struct limit *limit)
{
    size_t size = limit_log_size(limit);
    if (atomic_fetch_add(&memory->log_bytes, size) + size <= memory->log_memory) {
        struct limit_log *log = calloc(1, size);
        if (log) {
            log->capacity = (uint32_t)limit->units;
            return log;
        }
    }
    atomic_fetch_sub(&memory->log_bytes, size);
    return NULL;
}

/* Sees to it that a sliding log has the room its limit needs: the first time, and when a reload
 * has raised the limit. False when the memory for it isn't to be had. */
static bool prepare_log(struct memory_store *memory, struct memory_cell *cell,
                        const struct limit *limit)
{
    const struct limit_log *old = cell->has_log ? cell->state.log : NULL;
    if (old && old->capacity >= limit->units)
        return true;
    struct limit_log *log = new_log(memory, limit);
    if (!log)
        return false;
    if (old) {
        limit_log_copy(log, old);
        drop_log(memory, cell);
    }
    cell->state.log = log;
    cell->has_log = 1;
    return true;
}

/* ---- cells --------------------------------------------------------------------------------- */

/* Never earlier than it was: a thread whose clock reading is older must not make a live key look
 * expired. Never 0, which marks an empty cell. */
static void set_expiry(struct memory_cell *cell, uint64_t expires)
{
    if (cell->expires < expires)
        cell->expires = expires & EXPIRES_MAX;
    if (!cell->expires)
        cell->expires = 1;
}

/* Empties a cell and moves back those behind it that would no longer be found. */
static void remove_cell(struct memory_store *memory, struct memory_stripe *stripe, size_t hole)
{
    drop_log(memory, &stripe->cells[hole]);
    for (size_t at = cell_after(stripe, hole); stripe->cells[at].expires;
         at = cell_after(stripe, at)) {
        size_t home = home_of(stripe, stripe->cells[at].key);
        /* A cell whose home lies (cyclically) after the hole and up to itself stays. */
        bool stays = hole < at ? hole < home && home <= at : hole < home || home <= at;
        if (stays)
            continue;
        stripe->cells[hole] = stripe->cells[at];
        hole = at;
    }
    stripe->cells[hole] = (struct memory_cell){0};
    stripe->used--;
    atomic_fetch_sub(&memory->keys, 1);
}

static size_t sweep(struct memory_store *memory, struct memory_stripe *stripe, size_t cells,
                    uint64_t now)
{
    size_t removed = 0;
    for (; cells && stripe->used; cells--) {
        const struct memory_cell *cell = &stripe->cells[stripe->hand];
        if (cell->expires && cell->expires <= now) {
            /* What moves into the hole is looked at next, so the hand stays. */
            remove_cell(memory, stripe, stripe->hand);
            counter_add(&stripe->reclaimed, 1);
            removed++;
        } else {
            stripe->hand = cell_after(stripe, stripe->hand);
        }
    }
    return removed;
}

/* Takes a cell from where it was by the layout before to where it belongs now. What is there is
 * empty or of the layout before: in the second case it takes the free place, to go on from. Cells
 * of the new layout stay, and so do the runs that they are found by. */
static void move_cell(struct memory_stripe *stripe, size_t from)
{
    struct memory_cell moved = stripe->cells[from];
    stripe->cells[from] = (struct memory_cell){0};
    size_t to = home_of(stripe, moved.key);
    while (stripe->cells[to].expires && stripe->cells[to].layout == stripe->layout)
        to = cell_after(stripe, to);
    moved.layout = stripe->layout;
    stripe->cells[from] = stripe->cells[to];
    stripe->cells[to] = moved;
}

/* Has more cells in use, if there are any. */
static void widen(struct memory_store *memory, struct memory_stripe *stripe)
{
    size_t before = stripe->capacity;
    if (before == memory->cells_a_stripe)
        return;
    stripe->capacity = 2 * before < memory->cells_a_stripe ? 2 * before : memory->cells_a_stripe;
    stripe->layout ^= 1u;
    for (size_t at = 0; at < before; at++)
        while (stripe->cells[at].expires && stripe->cells[at].layout != stripe->layout)
            move_cell(stripe, at);
}

/* Counts one more key, unless that would be one too many. */
static bool count_key(struct memory_store *memory)
{
    if (atomic_fetch_add(&memory->keys, 1) < memory->max_keys)
        return true;
    atomic_fetch_sub(&memory->keys, 1);
    return false;
}

static bool make_room(struct memory_store *memory, struct memory_stripe *stripe, uint64_t now)
{
    if (is_crowded(stripe))
        widen(memory, stripe);
    /* One cell of a stripe stays empty for probes to end at. */
    if (stripe->used < stripe->capacity - 1 && count_key(memory))
        return true;
    return sweep(memory, stripe, SWEEP_WHEN_FULL, now) > 0 && count_key(memory);
}

static struct memory_cell *find(struct memory_stripe *stripe, struct hash128 key,
                                struct memory_cell **reusable, uint64_t now)
{
    size_t at = home_of(stripe, key);
    *reusable = NULL;
    for (; stripe->cells[at].expires; at = cell_after(stripe, at)) {
        struct memory_cell *cell = &stripe->cells[at];
        if (hash128_equal(cell->key, key))
            return cell;
        if (!*reusable && cell->expires <= now)
            *reusable = cell;
    }
    return NULL;
}

static struct memory_cell *insert(struct memory_store *memory, struct memory_stripe *stripe,
                                  struct hash128 key, struct memory_cell *reusable, uint64_t now)
{
    struct memory_cell *cell = reusable;
    if (cell) {
        drop_log(memory, cell);
        counter_add(&stripe->reclaimed, 1);
    } else {
        if (!make_room(memory, stripe, now))
            return NULL;
        size_t at = home_of(stripe, key);
        while (stripe->cells[at].expires)
            at = cell_after(stripe, at);
        cell = &stripe->cells[at];
        stripe->used++;
    }
    *cell = (struct memory_cell){.key = key, .layout = stripe->layout};
    set_expiry(cell, now);
    return cell;
}

/* ---- the operations ------------------------------------------------------------------------ */

static enum store_status take_locked(struct memory_store *memory, struct memory_stripe *stripe,
                                     struct store_take *take, uint64_t now)
{
    struct memory_cell *reusable;
    struct memory_cell *cell = find(stripe, take->key, &reusable, now);
    if (!cell)
        cell = insert(memory, stripe, take->key, reusable, now);
    if (!cell)
        return STORE_FULL;
    if (take->limit->algorithm == LIMIT_SLIDING_LOG && !prepare_log(memory, cell, take->limit))
        return STORE_FULL;
    take->result = limit_take(take->limit, &cell->state, now, take->wanted);
    set_expiry(cell, now + take->result.reset_after + LATE_GRACE);
    return STORE_ANSWERED;
}

/* What a key that isn't there would grant is what an empty state does. */
static enum store_status probe_locked(struct memory_store *memory, struct memory_stripe *stripe,
                                      struct store_take *take, uint64_t now)
{
    struct memory_cell *reusable;
    struct memory_cell *cell = find(stripe, take->key, &reusable, now);
    struct limit_log empty = {.capacity = (uint32_t)take->limit->units};
    struct limit_state state = {0};
    if (cell)
        state = cell->state;
    if (take->limit->algorithm == LIMIT_SLIDING_LOG) {
        bool used = cell && cell->state.log;
        if (used && !prepare_log(memory, cell, take->limit))
            return STORE_FULL;
        state.log = used ? cell->state.log : &empty;
    }
    take->result = limit_peek(take->limit, &state, now, take->wanted);
    take->result.remaining += take->result.granted;
    if (take->result.granted < take->wanted)
        take->result.granted = 0;
    return STORE_ANSWERED;
}

/* Without the lock: the cells don't move, and where one was when the stripe had fewer in use, there
 * is one still. */
static void memory_expect(struct store *store, struct hash128 key)
{
    const struct memory_stripe *stripe = stripe_of(memory_of(store), key);
    const struct memory_cell *cell = &stripe->cells[home_of(stripe, key)];
    __builtin_prefetch(cell, 1);
    __builtin_prefetch(&cell->state.sliding.previous, 1);
}

static enum store_status memory_take(struct store *store, struct store_take *take, uint64_t now)
{
    struct memory_store *memory = memory_of(store);
    take->source = STORE_SOURCE_MEMORY;
    take->taken_at = now;
    if (take->limit->units == 0) {
        /* Refused whatever the state, so there is none to keep. */
        struct limit_state none = {0};
        take->result = limit_take(take->limit, &none, now, take->wanted);
        return STORE_ANSWERED;
    }
    struct memory_stripe *stripe = stripe_of(memory, take->key);
    pthread_mutex_lock(&stripe->lock);
    enum store_status status = take->probe ? probe_locked(memory, stripe, take, now)
                                           : take_locked(memory, stripe, take, now);
    if (status == STORE_FULL)
        counter_add(&stripe->full_total, 1);
    pthread_mutex_unlock(&stripe->lock);
    return status;
}

void store_memory_raise(struct store *store, const struct store_take *take, uint64_t used,
                        uint64_t now)
{
    struct memory_store *memory = memory_of(store);
    struct memory_stripe *stripe = stripe_of(memory, take->key);
    uint64_t capacity = limit_capacity(take->limit);
    struct store_take charge = {.key = take->key, .limit = take->limit};
    if (take->limit->units == 0 || used == 0)
        return;
    pthread_mutex_lock(&stripe->lock);
    struct memory_cell *reusable;
    struct memory_cell *cell = find(stripe, take->key, &reusable, now);
    uint64_t in_use = 0;
    /* A log that is too short for the limit can't be read by it. */
    if (cell &&
        (take->limit->algorithm != LIMIT_SLIDING_LOG || prepare_log(memory, cell, take->limit))) {
        struct limit_result seen = limit_peek(take->limit, &cell->state, now, 1);
        in_use = capacity - seen.granted - seen.remaining;
    }
    if (used > in_use) {
        charge.wanted = used - in_use;
        take_locked(memory, stripe, &charge, now);
    }
    pthread_mutex_unlock(&stripe->lock);
}

static void memory_give(struct store *store, const struct store_take *take, uint64_t units,
                        uint64_t now)
{
    struct memory_store *memory = memory_of(store);
    struct memory_stripe *stripe = stripe_of(memory, take->key);
    struct memory_cell *reusable;
    pthread_mutex_lock(&stripe->lock);
    struct memory_cell *cell = find(stripe, take->key, &reusable, now);
    if (cell)
        limit_give(take->limit, &cell->state, now, take->taken_at, units);
    pthread_mutex_unlock(&stripe->lock);
}

static enum store_status memory_reset(struct store *store, struct store_take *take, uint64_t now)
{
    struct memory_store *memory = memory_of(store);
    struct memory_stripe *stripe = stripe_of(memory, take->key);
    struct memory_cell *reusable;
    take->source = STORE_SOURCE_MEMORY;
    pthread_mutex_lock(&stripe->lock);
    const struct memory_cell *cell = find(stripe, take->key, &reusable, now);
    if (cell)
        remove_cell(memory, stripe, (size_t)(cell - stripe->cells));
    pthread_mutex_unlock(&stripe->lock);
    return STORE_ANSWERED;
}

static void memory_upkeep(struct store *store, uint64_t now)
{
    struct memory_store *memory = memory_of(store);
    for (size_t i = 0; i < memory->stripe_count; i++) {
        struct memory_stripe *stripe = &memory->stripes[i];
        pthread_mutex_lock(&stripe->lock);
        sweep(memory, stripe, stripe->capacity / SWEEP_PERIOD + 1, now);
        pthread_mutex_unlock(&stripe->lock);
    }
}

static void memory_statistics(struct store *store, struct store_statistics *statistics)
{
    struct memory_store *memory = memory_of(store);
    *statistics = (struct store_statistics){
        .keys = atomic_load(&memory->keys),
        .max_keys = memory->max_keys,
        .log_bytes = atomic_load(&memory->log_bytes),
    };
    for (size_t i = 0; i < memory->stripe_count; i++) {
        statistics->reclaimed += counter_read(&memory->stripes[i].reclaimed);
        statistics->full_total += counter_read(&memory->stripes[i].full_total);
    }
}

static void memory_free(struct store *store)
{
    struct memory_store *memory = memory_of(store);
    for (size_t i = 0; memory->stripes && i < memory->stripe_count; i++) {
        struct memory_stripe *stripe = &memory->stripes[i];
        /* Looking at cells that were never used would first make pages of them. */
        size_t cells = stripe->cells && atomic_load(&memory->log_bytes) ? stripe->capacity : 0;
        for (size_t at = 0; at < cells; at++)
            drop_log(memory, &stripe->cells[at]);
        free(stripe->cells);
        pthread_mutex_destroy(&stripe->lock);
    }
    free(memory->stripes);
    free(memory);
}

static const struct store_operations memory_operations = {
    .name = "memory",
    .take = memory_take,
    .give = memory_give,
    .expect = memory_expect,
    .reset = memory_reset,
    .upkeep = memory_upkeep,
    .statistics = memory_statistics,
    .free = memory_free,
};

struct store *store_memory_create(uint64_t max_keys, uint64_t log_memory)
{
    if (max_keys > SIZE_MAX / 2 / sizeof(struct memory_cell))
        return NULL;
    struct memory_store *memory = calloc(1, sizeof(*memory));
    if (!memory)
        return NULL;
    memory->store.operations = &memory_operations;
    memory->max_keys = max_keys;
    memory->log_memory = log_memory;
    memory->stripe_count = 1;
    while (
        (memory->stripe_count < STRIPES_BUSY && max_keys / memory->stripe_count > KEYS_A_STRIPE) ||
        (memory->stripe_count < STRIPES_MAX && max_keys / memory->stripe_count > KEYS_MOVED_MAX))
        memory->stripe_count *= 2;
    memory->cells_a_stripe = cells_for(max_keys / memory->stripe_count + 1);

    memory->stripes = aligned_alloc(alignof(struct memory_stripe),
                                    memory->stripe_count * sizeof(struct memory_stripe));
    if (!memory->stripes) {
        free(memory);
        return NULL;
    }
    memset(memory->stripes, 0, memory->stripe_count * sizeof(struct memory_stripe));
    bool complete = true;
    for (size_t i = 0; i < memory->stripe_count; i++) {
        struct memory_stripe *stripe = &memory->stripes[i];
        pthread_mutex_init(&stripe->lock, NULL);
        /* calloc of this size is fresh zero pages, which cost nothing until touched. */
        stripe->cells = calloc(memory->cells_a_stripe, sizeof(struct memory_cell));
        stripe->capacity = CELLS_AT_FIRST;
        complete = complete && stripe->cells;
    }
    if (!complete) {
        memory_free(&memory->store);
        return NULL;
    }
    return &memory->store;
}
