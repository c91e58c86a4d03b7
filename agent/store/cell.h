/* What one worker knows of one key whose counter is on Redis, and the takes that wait for it: what
 * can be answered from what is known, what goes to Redis together, and who gets what of the answer.
 *
 * Pure: time is a parameter and nothing is sent here. One thread's.
 *
 * - One take of a key is under way at a time. Takes that come meanwhile wait, and go together as
 *   one take of their sum. What is granted of it is handed out in order of arrival.
 * - A take that is late (its deadline has passed) is answered elsewhere, and what Redis grants of
 *   it stays charged unless it is withdrawn, for by then its request has been let through.
 * - A refusal is remembered until Redis would grant a unit again, under the limit that it was told
 *   under: where a reload has changed that, Redis is asked. Where takes may be leased,
 *   or belong to requests that other limits may refuse, it is remembered for
 *   CELL_LEASE_MAX and a tenth of the window at most: what other agents were granted may come back.
 * - Takes that may be leased can be of more units than are wanted. The rest is a lease: spent by
 *   later takes for a short while, and then given back. It was charged before it is spent, so what
 *   is admitted is never more than what was charged. It ends with the window that it was charged
 *   in. In a token bucket and a sliding log, units may be spent up to the life of a lease after
 *   they were charged: what is admitted in a span of time is at most what the limit admits in one
 *   that is longer by a lease's life.
 */
#pragma once

#include "agent/store/redis_limit.h"
#include "agent/store/store.h"

/* A lease is spent within a tenth of the window and this (microseconds). What is held of a window
 * is as good at its end as at its beginning, so it may be held for longer: a key that is asked for
 * once a second then costs Redis a call in ten seconds. */
#define CELL_LEASE_MAX        UINT64_C(1000000)
#define CELL_LEASE_WINDOW_MAX UINT64_C(10000000)

/* A lease is at most this part of what remains, divided by the number of cells of the key, so that
 * little is held by those who turn out not to need it. */
#define CELL_LEASE_SHARE 4

/* The take that is under way. */
struct cell_batch {
    uint64_t serial; /* 0: none is */
    struct limit limit;
    uint64_t units; /* to be taken in all; 0 where all of its takes only ask */
    bool asks;      /* there are such */
    uint64_t ahead; /* of these, for a lease */
    uint64_t late;  /* of these, of takes that were answered elsewhere and stay charged */
    bool returns;   /* what others were granted may come back: takes may be leased, or given back */
    uint64_t begun_at;
};

/* All times are of the agent's clock but taken_at and lease_taken_at. Zero, but for cell_open. */
struct cell {
    /* All that a refusal that is remembered reads: first, so that with a key it is one cache line
     * of a table. */
    uint64_t reset_at;
    uint64_t denied_until; /* 0: it refused nothing */
    uint64_t retry_at;     /* while it is denied: when a unit can be had; denied_until or later */
    uint64_t limit_mark;   /* tells `limit` from others */

    struct store_takes waiting;
    struct store_takes sent; /* of the batch, in order of arrival */
    struct cell_batch batch;
    uint64_t serial;

    uint64_t leased;          /* units */
    struct limit lease_limit; /* that they were charged under; needed for giving them back */
    uint64_t lease_ends;
    uint64_t lease_taken_at; /* Redis's time, for giving back */

    /* What Redis said last, under this limit. */
    struct limit limit;
    uint64_t told_at;  /* 0: never */
    uint64_t taken_at; /* Redis's time of it */
    uint64_t remaining;
    uint64_t demand; /* units that were asked for since */
    uint64_t demand_since;
};

void cell_open(struct cell *cell);

/* No take is waiting or under way, and nothing is leased. */
bool cell_is_idle(const struct cell *cell);

/* Answers a take from what is known: a refusal that holds, more wanted than can ever be had, units
 * of a lease. False when Redis has to be asked. */
bool cell_answer(struct cell *cell, struct store_take *take, uint64_t now);

/* The same, but answers with a refusal only, and counts nothing as spent. */
bool cell_refuses(const struct cell *cell, struct store_take *take, uint64_t now);

/* The take waits. */
void cell_join(struct cell *cell, struct store_take *take);

/* Begins a batch of takes that wait, as many as have the same limit as the first: cell->batch says
 * what to take. False when none waits or a batch is under way. sharers: how many cells of the key
 * there are,
 * >= 1. */
bool cell_begin(struct cell *cell, uint64_t now, unsigned sharers);

/* The batch is answered. Its takes, filled in, are put at the end of `answered`, and are the
 * caller's again. Returns how many units are to be given back to Redis, as taken at
 * outcome->taken_at. */
uint64_t cell_settle(struct cell *cell, const struct redis_limit_outcome *outcome, uint64_t now,
                     struct store_takes *answered);

/* The batch won't be answered. Its takes are put at the end of `failed`, and are the caller's. */
void cell_fail(struct cell *cell, struct store_takes *failed);

/* Whether what is known was told under this limit. */
bool cell_is_under(const struct cell *cell, const struct limit *limit);

/* A take that waits or is under way is late: it is the caller's again, to be answered. */
void cell_expire(struct cell *cell, struct store_take *take);

/* A take that was late has been refused by whoever answered it. */
void cell_withdraw(struct cell *cell, const struct store_take *take);

/* Units that were granted are being given back: what was refused may be had again. */
void cell_forget_denial(struct cell *cell);

/* The key has been reset: nothing is known of it any more, and what was leased of it is no longer
 * charged. What is under way may still tell of what was before, and isn't remembered for long. */
void cell_forget(struct cell *cell);

/* How long units of this limit may be held before they are spent, in microseconds. */
uint64_t cell_lease_life(const struct limit *limit);

/* Ends the lease, if its time is over or anyway; returns the units of it to be given back, as taken
 * at cell->lease_taken_at under cell->lease_limit. */
uint64_t cell_end_lease(struct cell *cell, uint64_t now, bool anyway);

/* Units in use by what was told last. */
uint64_t cell_known(const struct cell *cell, const struct limit *limit, uint64_t now);
