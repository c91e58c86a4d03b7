/* What an agent needs to share its counters with others: how the store's servers are reached, and
 * the watch that knows where they are. Nothing of it with store mode memory. */
#pragma once

#include "agent/store/redis_access.h"
#include "agent/store/topology_watch.h"
#include "rules/rules.h"

/* Zero: nothing is shared. */
struct sharing {
    const struct rules_store *settings; /* NULL: nothing is shared */
    char instance_id[RULES_INSTANCE_MAX + 1];
    struct redis_access *access;
    struct topology_watch *watch;
};

/* Logs why when it fails. Call with all signals blocked: the watch's threads inherit that. settings
 * outlive the sharing. changed: see topology_watch.h. */
bool sharing_start(struct sharing *sharing, const struct rules_store *settings,
                   void (*changed)(void *context), void *context);

/* After the last worker has been freed. */
void sharing_stop(struct sharing *sharing);

/* Of the limits that agents share out among themselves when their store fails, the least, in units;
 * 0: there is none. */
uint64_t sharing_least_local(const struct rules_set *set);
