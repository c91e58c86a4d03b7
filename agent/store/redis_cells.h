/* The keys that one worker knows of, each with its cell: a table with a bound, which forgets keys
 * that no longer count for anything, and where it is full the one that was used longest ago, or
 * nearly: one that was used since it was among the last quarter of the table stays. What is
 * forgotten is not lost: it is on Redis. One thread's.
 */
#pragma once

#include <assert.h>
#include <stdalign.h>
#include <stddef.h>

#include "agent/store/cell.h"

/* Bytes of "prefix{subject}:rule:limit". */
#define REDIS_KEY_MAX 512

#define REDIS_CELL_ALIGNMENT 64

struct redis_shard;

/* What finding it reads, and a refusal that is remembered, is the first cache line of it. */
struct redis_cell {
    alignas(REDIS_CELL_ALIGNMENT) struct hash128 hash;
    struct redis_cell *next; /* of its bucket */
    uint64_t listed;         /* the number of cells put at the end of by_use before it */
    struct cell cell;
    TAILQ_ENTRY(redis_cell) by_use;
    TAILQ_ENTRY(redis_cell) of_turn;   /* while in_turn: something is to be sent at its end */
    TAILQ_ENTRY(redis_cell) of_leases; /* while in_leases */
    bool in_turn;
    bool in_leases;
    unsigned busy; /* calls under way that know it */

    struct redis_shard *shard; /* by the topology of this version */
    uint64_t placed;

    /* What redis_limit_first and a sliding window's take need to know, and of which connection. */
    uint64_t session;
    uint64_t first_at;
    uint64_t previous;

    uint64_t lease_session; /* of the connection that the lease was charged on */

    /* Units to be given back, all of one connection and time. */
    uint64_t given;
    uint64_t given_taken_at;
    uint64_t given_session;
    struct limit given_limit;

    size_t key_size;
    uint8_t key[];
};

static_assert(offsetof(struct redis_cell, cell.limit_mark) + sizeof(uint64_t) <=
                  REDIS_CELL_ALIGNMENT,
              "a refusal reads one cache line");

TAILQ_HEAD(redis_cell_list, redis_cell);

struct redis_cells {
    struct redis_cell **buckets;
    struct redis_cell **expected; /* a bucket whose first cell is to be fetched; NULL: none */
    size_t bucket_count;          /* as many as there may be; a power of two */
    size_t buckets_used;          /* the first of them: from bucket_base on, below twice as many */
    size_t bucket_base;           /* a power of two */
    size_t sweep_at;
    size_t count;
    size_t max;
    uint64_t listed;               /* how many cells have been put at the end of it */
    struct redis_cell_list by_use; /* longest ago first, as far as it matters */
};

/* False when out of memory. max >= 1. */
bool redis_cells_open(struct redis_cells *cells, size_t max);

/* No call may be under way, and no take pending. */
void redis_cells_close(struct redis_cells *cells);

/* NULL when it isn't known. The cell counts as used. */
struct redis_cell *redis_cells_find(struct redis_cells *cells, struct hash128 hash);

/* The key is to be looked for soon: what that reads, and a refusal that is remembered, is fetched
 * meanwhile: its bucket at once, its cell at the next call, when the bucket has come. */
void redis_cells_expect(struct redis_cells *cells, struct hash128 hash);

/* A new cell for a key that isn't known. NULL when out of memory, or when the table is full of
 * cells that are in use. *evicted says that another one made room. */
struct redis_cell *redis_cells_add(struct redis_cells *cells, struct hash128 hash, struct slice key,
                                   bool *evicted);

/* Forgets keys that count for nothing any more; a piece of the table at a time. */
void redis_cells_sweep(struct redis_cells *cells, uint64_t now);

static inline struct slice redis_cell_key(const struct redis_cell *cell)
{
    return slice_of(cell->key, cell->key_size);
}
