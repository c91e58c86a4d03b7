/* One worker's connections to the servers of a topology. One thread's, but for what is said to be
 * thread-safe.
 */
#pragma once

#include <pthread.h>
#include <sys/queue.h>

#include "agent/store/redis_link.h"
#include "agent/store/topology.h"
#include "rules/limit/limit.h"
#include "rules/rules.h"

struct redis_shards;

struct redis_shard {
    struct redis_shards *shards;
    struct redis_link *link;
    struct topology_shard server; /* name, address and port */
    TAILQ_ENTRY(redis_shard) all;
    bool current;       /* of the present topology */
    uint64_t session;   /* of its connection; no two connections of this worker have the same */
    uint64_t clock;     /* the latest time that was read off it */
    uint64_t failed_at; /* when a failure that is counted once in a while was */
    size_t under_way;   /* commands */
    uint64_t retire_at; /* not current: when it is closed, whatever is under way */
};

TAILQ_HEAD(redis_shard_list, redis_shard);

struct redis_shards_options {
    struct ev_loop *loop;
    const uint64_t *now;
    const struct rules_store *settings; /* outlives the shards, as does access */
    const struct redis_access *access;
    void (*lost)(void *context); /* a connection was lost */
    void *context;
};

struct redis_shards {
    struct redis_shards_options options;
    struct topology *topology; /* NULL: none yet */
    struct redis_shard *by_index[TOPOLOGY_SHARDS_MAX];
    uint64_t sessions;
    pthread_mutex_t lock; /* of the list's changes, for those who look at it from other threads */
    struct redis_shard_list all;
};

void redis_shards_open(struct redis_shards *shards, const struct redis_shards_options *options);

/* Closes all connections. redis_shards_look may be called until redis_shards_free. */
void redis_shards_close(struct redis_shards *shards);
void redis_shards_free(struct redis_shards *shards);

/* Connects to the servers that are new, goes on with those that are in both, and leaves the others
 * once nothing of theirs is under way. Takes over the caller's hold. */
void redis_shards_follow(struct redis_shards *shards, struct topology *topology);

/* Closes what has been left. now: microseconds. */
void redis_shards_retire(struct redis_shards *shards, uint64_t now);

/* The shard of a key, and that of a redirect's name said by `from`; NULL: none. */
struct redis_shard *redis_shards_place(const struct redis_shards *shards, struct slice key);
struct redis_shard *redis_shards_find(const struct redis_shards *shards, struct slice name,
                                      const struct redis_shard *from);

static inline bool redis_shard_is_up(const struct redis_shard *shard)
{
    return shard && redis_link_is_up(shard->link);
}

/* The server's time; it doesn't go back, but for LIMIT_LATE_MAX or more, or with the connection. */
uint64_t redis_shard_time(struct redis_shard *shard);

/* Calls `see` with each shard, and its link for what of that is thread-safe. Thread-safe. */
void redis_shards_look(struct redis_shards *shards,
                       void (*see)(void *context, const struct topology_shard *server,
                                   struct redis_link *link),
                       void *context);
