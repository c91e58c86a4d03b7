#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/clock.h"
#include "agent/sharing.h"

/* The one that the file gives, or one that no other agent has: agents that were cloned have host
 * names and process numbers in common. */
static void make_instance_id(const struct rules_store *settings, char id[RULES_INSTANCE_MAX + 1])
{
    char host[64] = "";
    uint32_t chance;
    if (settings->instance_id.size) {
        snprintf(id, RULES_INSTANCE_MAX + 1, "%.*s", SLICE_ARGS(settings->instance_id));
        return;
    }
    gethostname(host, sizeof(host) - 1);
    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        chance = (uint32_t)clock_now() ^ (uint32_t)getpid();
    snprintf(id, RULES_INSTANCE_MAX + 1, "%s-%08" PRIx32, host, chance);
}

bool sharing_start(struct sharing *sharing, const struct rules_store *settings,
                   void (*changed)(void *context), void *context)
{
    char why[REDIS_WHY_MAX];
    if (settings->mode == RULES_STORE_MEMORY)
        return true;
    make_instance_id(settings, sharing->instance_id);
    sharing->access = redis_access_open(settings, false, why);
    if (sharing->access)
        sharing->watch = topology_watch_start(
            &(struct topology_watch_options){.store = settings,
                                             .instance_id = sharing->instance_id,
                                             .changed = changed,
                                             .context = context},
            why);
    if (!sharing->watch) {
        log_event(LOG_ERROR, "can't use the store", LOG_STRING("error", why));
        sharing_stop(sharing);
        return false;
    }
    sharing->settings = settings;
    log_event(
        LOG_INFO, "counters are shared", LOG_STRING("mode", rules_store_mode_name(settings->mode)),
        LOG_STRING("instance_id", sharing->instance_id), LOG_INT("nodes", settings->node_count));
    return true;
}

void sharing_stop(struct sharing *sharing)
{
    topology_watch_stop(sharing->watch);
    redis_access_close(sharing->access);
    *sharing = (struct sharing){0};
}

uint64_t sharing_least_local(const struct rules_set *set)
{
    uint64_t least = 0;
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        for (size_t j = 0; rule->on_store_error == RULES_FALLBACK_LOCAL && j < rule->limit_count;
             j++) {
            uint64_t capacity = limit_capacity(&rule->limits[j].limit);
            if (capacity && (least == 0 || capacity < least))
                least = capacity;
        }
    }
    return least;
}
