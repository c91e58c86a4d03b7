/* A worker: one thread, one event loop, its own connections and engine. The control thread talks to
 * it through a mailbox; nothing else of it is touched from outside, its counters excepted.
 */
#pragma once

#include "agent/candidate.h"
#include "agent/connection.h"
#include "agent/engine/engine.h"
#include "agent/store/redis.h"
#include "agent/store/store.h"

struct worker_options {
    unsigned index;
    struct store *store; /* the memory store: shared, outlives the worker */
    /* Where counters are shared with other agents: through this, by a Redis store of the worker's
     * own, and store is what stands in for it. Outlive the worker; watch NULL: not shared. */
    struct topology_watch *watch;
    const struct redis_access *access;
    const struct rules_store *settings;
    size_t max_keys;  /* of the worker's Redis store */
    unsigned workers; /* how many there are */
    struct ruleset *rules;
    /* What a candidate has apart: see candidate.h. */
    struct store *const *candidate_store;
    struct comparison_rules *compared;
    size_t max_pending;
    uint32_t max_frame_size;
    /* Told from the worker's thread, once, when a drain is complete. */
    void (*drained)(void *context);
    void *context;
};

struct worker;

/* Starts the thread. NULL when that fails. */
struct worker *worker_start(const struct worker_options *options);

/* Hands over a non-blocking socket. False when out of memory: the caller keeps it.
 * agreed_frame_size: as connection_open has it. */
bool worker_give(struct worker *worker, int fd, uint32_t agreed_frame_size);

/* New decisions follow these rules from the worker's next turn on. */
void worker_use(struct worker *worker, struct ruleset *rules);

/* The topology has changed. */
void worker_follow(struct worker *worker);

/* What another thread wants done on a worker's. It stays where it is until it has been run. */
struct worker_errand {
    /* On the worker's thread; now: as engine_notify has it. */
    void (*run)(struct worker_errand *errand, struct engine *engine, uint64_t now);
    STAILQ_ENTRY(worker_errand) next; /* the worker's */
};

/* False, and it is never run, once the worker has been told to stop. Thread-safe. */
bool worker_run(struct worker *worker, struct worker_errand *errand);

/* Ends the connections politely; drained is called when none is left. No socket may be given
 * afterwards. */
void worker_drain(struct worker *worker);

/* The same, but leaves the connections to another process: worker_left, after worker_stop. */
void worker_leave(struct worker *worker);
const struct connection_left *worker_left(const struct worker *worker, size_t *count);

/* Closes what is left, ends the thread and waits for it. */
void worker_stop(struct worker *worker);

/* After worker_stop: the counters stayed readable until now. */
void worker_free(struct worker *worker);

/* Thread-safe. */
unsigned worker_load(const struct worker *worker); /* connections, those in the mailbox included */
const struct connection_counters *worker_connections(const struct worker *worker);
const struct histogram *worker_latency(const struct worker *worker); /* of decisions */
const struct engine_counters *worker_decisions(const struct worker *worker);
struct rule_counters *worker_rule_counters(const struct worker *worker); /* to be released */
const struct comparison_counters *worker_comparison(const struct worker *worker);

struct top *worker_top(const struct worker *worker);

/* The worker's Redis store, for the thread-safe functions of it; NULL: it has none. */
struct store *worker_redis(const struct worker *worker);
