/* The one store operation: take n units of key k, and its inverse, give.
 *
 * A store is a name and a few functions. Every kind of store answers in the same terms (durations
 * relative, in microseconds), at once or later through the take's callback.
 */
#pragma once

#include <sys/queue.h>

#include "base/base.h"
#include "rules/limit/limit.h"

/* Where an answer came from, as the answer's `source` says it. */
#define STORE_SOURCE_TABLE(X)                                                                      \
    X(MEMORY, "memory") /* this agent's own counters, or no counter was needed */                  \
    X(REDIS, "redis")                                                                              \
    X(LEASE, "lease")         /* units that were charged on Redis ahead of need */                 \
    X(DENIED, "denied-cache") /* a refusal by Redis that this agent remembers */                   \
    X(FALLBACK, "fallback")   /* on_store_error */

enum store_source {
#define STORE_SOURCE_ENUM(name, text) STORE_SOURCE_##name,
    STORE_SOURCE_TABLE(STORE_SOURCE_ENUM)
#undef STORE_SOURCE_ENUM
};

#define STORE_SOURCES (STORE_SOURCE_FALLBACK + 1) /* how many there are: that is the last */

struct slice store_source_name(enum store_source source);

enum store_status {
    STORE_ANSWERED,    /* result is filled in */
    STORE_PENDING,     /* take->answered will be called, from the same thread, later */
    STORE_FULL,        /* no room for another key; nothing was charged */
    STORE_UNAVAILABLE, /* no answer is to be had; nothing was charged, as far as is known */
    STORE_LATE,        /* no answer within the deadline; it may be charged yet (store_withdraw) */
};

/* One take. The caller owns it and keeps it where it is until it is answered, and keeps `limit` as
 * long. */
struct store_take {
    struct hash128 key;
    const struct limit *limit;
    uint64_t wanted; /* 1..LIMIT_UNITS_MAX */
    bool probe;      /* only asks: nothing is charged, and `granted` is what would have been */
    bool partial;    /* what can be had of it is of use, where it can't be had whole */
    bool returns;    /* what is granted may be given back, since the request has other limits too */
    bool leased;     /* may be answered by units charged ahead of need (a rule's consistency) */

    /* How the key is written where others read it: whom it counts, and what of them. Wanted only
     * during store_take and store_reset, and only by a store that says that it names keys. Writes
     * at most RULES_SUBJECT_MAX bytes. */
    void (*write_subject)(const struct store_take *take, struct writer *w);
    struct slice name;

    struct limit_result result; /* filled in by the store ... */
    uint64_t taken_at;          /* ... with the store's time of it, for give */
    enum store_source source;

    /* Called once for a take that was STORE_PENDING, with any other status. */
    void (*answered)(struct store_take *take, enum store_status status);

    /* The store's own, while it is pending. */
    struct {
        TAILQ_ENTRY(store_take) of_key;
        TAILQ_ENTRY(store_take) by_deadline;
        uint64_t deadline;
        void *cell;
        bool sent;
    } pending;
    uint64_t ticket; /* STORE_LATE: of the question that is not answered yet */
};

TAILQ_HEAD(store_takes, store_take);

struct store_statistics {
    uint64_t keys;       /* held now */
    uint64_t max_keys;   /* 0: not bounded by this agent */
    uint64_t log_bytes;  /* of sliding logs, now */
    uint64_t reclaimed;  /* expired keys whose place was taken back, since the start */
    uint64_t full_total; /* takes answered STORE_FULL, since the start */
};

struct store;

struct store_operations {
    const char *name;
    bool names_keys; /* wants a take's subject and name */
    enum store_status (*take)(struct store *store, struct store_take *take, uint64_t now);
    void (*give)(struct store *store, const struct store_take *take, uint64_t units, uint64_t now);
    /* These may be NULL. */
    void (*expect)(struct store *store, struct hash128 key);
    bool (*refuses)(struct store *store, struct store_take *take, uint64_t now);
    uint64_t (*known)(struct store *store, const struct store_take *take, uint64_t now);
    void (*withdraw)(struct store *store, const struct store_take *take);
    enum store_status (*reset)(struct store *store, struct store_take *take, uint64_t now);
    void (*forget)(struct store *store, const struct store_take *take);
    /* Regular upkeep, a bounded piece of it a call; called about every STORE_UPKEEP_PERIOD. NULL:
     * the store has timers of its own. */
    void (*upkeep)(struct store *store, uint64_t now);
    void (*statistics)(struct store *store, struct store_statistics *statistics);
    void (*free)(struct store *store);
};

#define STORE_UPKEEP_PERIOD 100000 /* microseconds */

/* Every kind of store starts with this. */
struct store {
    const struct store_operations *operations;
};

/* now: microseconds since the Unix epoch, on a clock that doesn't go back. Whether a store may be
 * shared between threads is said where it is created. */
static inline enum store_status store_take(struct store *store, struct store_take *take,
                                           uint64_t now)
{
    return store->operations->take(store, take, now);
}

/* A take of this key is to come soon: what it will read may be fetched meanwhile. */
static inline void store_expect(struct store *store, struct hash128 key)
{
    if (store->operations->expect)
        store->operations->expect(store, key);
}

/* Gives back units of an answered take: at most take->result.granted. */
static inline void store_give(struct store *store, const struct store_take *take, uint64_t units,
                              uint64_t now)
{
    store->operations->give(store, take, units, now);
}

/* Whether it is known without asking anyone that the take would be refused; then it is filled in as
 * if it had been answered so. Charges nothing. */
static inline bool store_refuses(struct store *store, struct store_take *take, uint64_t now)
{
    return store->operations->refuses && store->operations->refuses(store, take, now);
}

/* Units of the key that were in use when the store was last heard of, less what has come free
 * since. For whoever has to go on without the store. */
static inline uint64_t store_known(struct store *store, const struct store_take *take, uint64_t now)
{
    return store->operations->known ? store->operations->known(store, take, now) : 0;
}

/* A take that was answered STORE_LATE has been refused by what answered in the store's place. If
 * the store grants it yet, that is given back; otherwise it stays charged, for the request that was
 * let through. */
static inline void store_withdraw(struct store *store, const struct store_take *take)
{
    if (store->operations->withdraw)
        store->operations->withdraw(store, take);
}

/* Makes a take's key as good as never seen. Answers as a take does, at once or by its callback, but
 * not by a deadline: where the store is reached through a connection, when that is lost at the
 * latest. The result says nothing. STORE_UNAVAILABLE: it may have been done or not. */
static inline enum store_status store_reset(struct store *store, struct store_take *take,
                                            uint64_t now)
{
    return store->operations->reset ? store->operations->reset(store, take, now)
                                    : STORE_UNAVAILABLE;
}

/* What this store remembers of a key that has been reset through another one. */
static inline void store_forget(struct store *store, const struct store_take *take)
{
    if (store->operations->forget)
        store->operations->forget(store, take);
}

static inline void store_upkeep(struct store *store, uint64_t now)
{
    if (store->operations->upkeep)
        store->operations->upkeep(store, now);
}

static inline void store_statistics(struct store *store, struct store_statistics *statistics)
{
    store->operations->statistics(store, statistics);
}

/* Accepts NULL. */
static inline void store_free(struct store *store)
{
    if (store)
        store->operations->free(store);
}

/* The memory store: one table of cells shared by all threads, in stripes that are locked apart.
 * Its memory is reserved at once and is touched as keys come. A key goes when it is as good as
 * never seen. At max_keys a new key is answered STORE_FULL, unless an expired one can be reclaimed;
 * keys already there go on being counted. log_memory bounds the bytes of all sliding logs likewise.
 * Always answers at once. NULL when the memory can't be had. max_keys >= 1. */
struct store *store_memory_create(uint64_t max_keys, uint64_t log_memory);

/* Charges a take's key of a memory store up to `used` units, where fewer are in use: what is known
 * from elsewhere. */
void store_memory_raise(struct store *store, const struct store_take *take, uint64_t used,
                        uint64_t now);
