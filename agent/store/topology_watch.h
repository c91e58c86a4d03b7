/* Finds out where the servers are, and goes on looking: name resolution, Sentinel, CLUSTER SHARDS
 * or SLOTS, and the heartbeat by which agents count each other. All that may block, in threads of
 * its own, so that no worker ever waits for it.
 *
 * single, ketama   the names of the rule file, resolved again regularly and on refresh. Of several
 *                  addresses the one in use is kept while it accepts connections, else the first
 *                  that does.
 * sentinel         the Sentinels are asked in turn for the master; what they say is published once
 *                  the server itself says, by ROLE, that it is one.
 * cluster          the nodes of the last snapshot are asked, then those of the rule file, until one
 *                  knows of every slot and of no older configuration than the last snapshot; where
 *                  none does, the view with most slots served is taken. Primaries are shards,
 *                  unless the cluster holds them for failed.
 *
 * A look waits for a name server no longer than for a server; an answer that comes later is used by
 * the next look.
 *
 * Nothing that is missing at the start is an error: the watch goes on trying until it is there.
 */
#pragma once

#include "agent/store/redis_access.h"
#include "agent/store/topology.h"
#include "base/base.h"
#include "rules/rules.h"

struct topology_watch_options {
    const struct rules_store *store; /* not of mode memory; copied */
    const char *instance_id;         /* not empty; two agents of one id count as one; copied */
    /* Called by a thread of the watch for each snapshot that is published; may be NULL. It may come
     * before topology_watch_start has returned, and never once topology_watch_stop has. It may call
     * any function of the watch but topology_watch_stop, and must not block. */
    void (*changed)(void *context);
    void *context;
};

/* Durations in microseconds; times in microseconds since the epoch by the system's clock, 0: never.
 * Counted from the start of the watch. */
struct topology_counters {
    struct counter refreshes;        /* looks that found out all there is to know */
    struct counter refresh_failures; /* looks that did not */
    struct counter refreshed_at;     /* the last that did */
    struct counter version;          /* of the newest snapshot; 0: none yet */
    struct counter shards;           /* of the newest snapshot */
    struct counter
        slots_served; /* of the newest snapshot: of SLOTS_COUNT, and 0 if it has no slots */
    struct counter heartbeats; /* that were answered */
    struct counter heartbeat_failures;
    struct counter heartbeat_at; /* the last that was answered */
    struct counter agents;       /* as topology_watch_agents says */
};

struct topology_watch;

/* Starts looking at once. The settings' files (passwords, certificates) are read before it returns;
 * NULL with why where that fails. Its threads inherit the caller's signal mask: block what they are
 * not to handle. */
struct topology_watch *topology_watch_start(const struct topology_watch_options *options,
                                            char why[REDIS_WHY_MAX]);

/* Tells the others that this agent is gone, then ends the threads. Returns after about a second and
 * a half at most: a thread that is still caught in a call then is left to end by itself and frees
 * what it needs when it does. So at once are those that look names up. Accepts NULL. */
void topology_watch_stop(struct topology_watch *watch);

/* The newest snapshot, held for the caller; NULL until the first is known. Thread-safe. */
struct topology *topology_watch_hold(struct topology_watch *watch);

/* Asks for a look soon: what the caller saw (MOVED, READONLY, a connection lost) says that the
 * snapshot may be old. Cheap. Asks that come before the look begins are one; a look begins at most
 * every TOPOLOGY_REFRESH_PERIOD microseconds, and an ask is never lost. Thread-safe. */
#define TOPOLOGY_REFRESH_PERIOD UINT64_C(100000)
void topology_watch_refresh(struct topology_watch *watch);

/* Live agents, this one among them: 1..TOPOLOGY_AGENTS_MAX. The most that the last
 * TOPOLOGY_HEARTBEATS heartbeats saw, so that a store that comes back empty doesn't make of many
 * agents one; while the store can't be asked, the last known. 1 before the first answer.
 * Thread-safe. */
#define TOPOLOGY_AGENTS_MAX 100000
#define TOPOLOGY_HEARTBEATS 3
unsigned topology_watch_agents(const struct topology_watch *watch);

/* Thread-safe. Valid until topology_watch_stop. */
const struct topology_counters *topology_watch_counters(const struct topology_watch *watch);
