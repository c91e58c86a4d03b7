/* The store that agents share: keys on Redis, by a topology of its servers. One for each worker;
 * one thread's, the loop's, but for what is said to be thread-safe.
 *
 * A take is answered at once where what this worker knows of the key suffices (cell.h). Otherwise
 * it waits, at most until the deadline, for its key's next question to Redis. Whatever is asked of
 * one turn of the loop is sent at its end, so that takes of one key that were read together are
 * one question.
 *
 * A server that doesn't answer in time is counted as having failed, once in a deadline's length;
 * so does one that answers with an error. When its breaker opens, all that is under way there is
 * answered STORE_UNAVAILABLE, and what comes is so at once, until its probe is answered.
 */
#pragma once

#include <ev.h>

#include "agent/store/redis_call.h"
#include "agent/store/redis_shards.h"
#include "agent/store/store.h"
#include "agent/store/topology_watch.h"

struct store_redis_options {
    struct ev_loop *loop;
    const uint64_t *now; /* the loop's time, microseconds since the epoch */
    /* All outlive the store. */
    const struct rules_store *settings;
    const struct redis_access *access;
    struct topology_watch *watch;
    size_t max_keys;  /* of this worker; >= 1 */
    unsigned workers; /* of this agent, each with a store like this one; >= 1 */
};

/* Each take is one of the first four, or of the last three of the statuses of store.h. */
struct store_redis_counters {
    struct counter asked;   /* takes that went to Redis */
    struct counter denied;  /* takes answered by a refusal that was remembered */
    struct counter leased;  /* takes answered by a lease */
    struct counter unasked; /* takes of a limit of 0 */
    struct counter late;    /* takes whose deadline passed */
    struct counter unavailable;
    struct counter full;
    struct counter units_ahead;   /* units charged for leases */
    struct counter units_unspent; /* of these, those left over when a lease was over */
    struct counter leases;        /* held when they were last looked through, and their units */
    struct counter leases_units;
    struct counter units_back;    /* units given back, whatever for */
    struct counter units_dropped; /* units that couldn't be given back: they stay charged */
    struct counter keys;          /* known now */
    struct counter evicted;       /* keys forgotten for want of room */
};

/* Begins to connect as soon as the topology is known. NULL when out of memory. Freed by store_free,
 * after store_redis_cancel. */
struct store *store_redis_create(const struct store_redis_options *options);

/* The topology may have changed. */
void store_redis_follow(struct store *store);

/* Answers all that waits as STORE_UNAVAILABLE and closes the connections: nothing is pending
 * after it, and every take is STORE_UNAVAILABLE. */
void store_redis_cancel(struct store *store);

/* Thread-safe. store_redis_look calls `see` with each server, and the link's thread-safe functions
 * are its to call. */
const struct store_redis_counters *store_redis_counters(const struct store *store);
const struct redis_call_counters *store_redis_calls(const struct store *store);
void store_redis_look(struct store *store,
                      void (*see)(void *context, const struct topology_shard *server,
                                  struct redis_link *link),
                      void *context);
