/* The thread that looks where the servers are, and publishes what it finds. */
#include <stdio.h>

#include "agent/store/topology_parts.h"

/* After a look that didn't find all, the next comes in from a fifth of this to this; it doubles
 * with every RETRY_PATIENCE looks in vain, up to the mode's maximum. */
#define RETRY_PERIOD   (TOPOLOGY__SECOND / 2)
#define RETRY_PATIENCE 4

/* For so long after somebody has asked for a look, looks go on coming in from a fifth of this to
 * this, all well or not: a node that has died is held for alive by the others for a while, and its
 * replica is promoted later still. */
#define DOUBT_PATIENCE (30 * TOPOLOGY__SECOND)
#define DOUBT_PERIOD   TOPOLOGY__SECOND

/* A name whose address is known is looked up at most this often. */
#define NAMES_PERIOD TOPOLOGY__SECOND

/* Why a look doesn't find all is logged when that begins and when it changes, this often at most.
 */
#define COMPLAINT_PERIOD (10 * TOPOLOGY__SECOND)

struct mode {
    topology__look_function *look;
    uint64_t period;    /* of looks, when all is well; jittered by a tenth either way */
    uint64_t retry_max; /* see RETRY_PERIOD */
};

static const struct mode modes[] = {
    [RULES_STORE_SINGLE] = {topology__look_at_names, 30 * TOPOLOGY__SECOND, 2 * TOPOLOGY__SECOND},
    [RULES_STORE_SENTINEL] = {topology__look_at_sentinel, 10 * TOPOLOGY__SECOND, TOPOLOGY__SECOND},
    [RULES_STORE_KETAMA] = {topology__look_at_names, 30 * TOPOLOGY__SECOND, 2 * TOPOLOGY__SECOND},
    [RULES_STORE_CLUSTER] = {topology__look_at_cluster, 30 * TOPOLOGY__SECOND,
                             TOPOLOGY__SECOND / 2},
};

/* The thread's own. */
struct looker {
    struct topology_watch *watch;
    const struct mode *mode;
    uint64_t begun_at; /* the last look */
    uint64_t next_at;  /* the next, if nobody asks for one */
    uint64_t asked_at; /* the last look that somebody had asked for; 0: none */
    uint64_t names_at; /* the last look that looked up all names */
    uint64_t epoch;
    unsigned failures; /* looks in vain, one after the other */
    uint64_t complained_at;
    char complaint[REDIS_WHY_MAX];
};

/* ---- publishing ---------------------------------------------------------------------------- */

static void tell(struct topology_watch *watch)
{
    pthread_mutex_lock(&watch->telling);
    if (!watch->stopping && watch->changed)
        watch->changed(watch->context);
    pthread_mutex_unlock(&watch->telling);
}

static void say(const struct topology *found)
{
    static struct log_limiter limiter;
    const char *message = found->version > 1 ? "topology changed" : "topology known";
    const struct topology_shard *only = found->shard_count == 1 ? &found->shards[0] : NULL;
    if (found->placement == TOPOLOGY_SLOTS)
        log_limited(&limiter, LOG_INFO, message, LOG_INT("version", found->version),
                    LOG_INT("shards", found->shard_count),
                    LOG_INT("slots_served", found->slots_served));
    else if (only)
        log_limited(&limiter, LOG_INFO, message, LOG_INT("version", found->version),
                    LOG_STRING("redis", only->name), LOG_STRING("address", only->address));
    else
        log_limited(&limiter, LOG_INFO, message, LOG_INT("version", found->version),
                    LOG_INT("shards", found->shard_count));
}

static void publish(struct topology_watch *watch, struct topology *found)
{
    struct topology *old = watch->newest;
    found->version = old ? old->version + 1 : 1;
    topology__set(&watch->counters.version, found->version);
    topology__set(&watch->counters.shards, found->shard_count);
    topology__set(&watch->counters.slots_served, found->slots_served);
    pthread_mutex_lock(&watch->lock);
    watch->newest = found;
    pthread_cond_broadcast(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    say(found);
    topology_release(old);
    tell(watch);
}

/* One line when something begins to be wrong, one when it has ended, and few meanwhile. */
static void complain(struct looker *looker, const char *why)
{
    if (strcmp(looker->complaint, why) == 0 ||
        (looker->complained_at && looker->begun_at - looker->complained_at < COMPLAINT_PERIOD))
        return;
    looker->complained_at = looker->begun_at;
    snprintf(looker->complaint, sizeof(looker->complaint), "%s", why);
    log_event(LOG_WARNING, looker->watch->newest ? "topology uncertain" : "topology unknown",
              LOG_STRING("error", why));
}

static void be_content(struct looker *looker)
{
    if (looker->complaint[0])
        log_event(LOG_INFO, "topology certain again",
                  LOG_INT("version", looker->watch->newest->version));
    looker->complaint[0] = '\0';
}

/* ---- looking ------------------------------------------------------------------------------- */

static uint64_t rest_of(const struct looker *looker)
{
    uint64_t period = looker->mode->period;
    if (!looker->failures && looker->asked_at &&
        looker->begun_at - looker->asked_at < DOUBT_PATIENCE)
        return topology__between(DOUBT_PERIOD / 5, DOUBT_PERIOD);
    if (!looker->failures)
        return topology__between(period - period / 10, period + period / 10);
    unsigned doublings = looker->failures / RETRY_PATIENCE;
    uint64_t retry = RETRY_PERIOD << (doublings < 8 ? doublings : 8);
    if (retry > looker->mode->retry_max)
        retry = looker->mode->retry_max;
    return topology__between(retry / 5, retry);
}

static void look(struct looker *looker)
{
    struct topology_watch *watch = looker->watch;
    struct topology__look now = {
        .watch = watch,
        .settings = &watch->settings,
        .stopping = &watch->stopping,
        .last = watch->newest,
        .epoch = looker->epoch,
        .names_known = looker->names_at && looker->begun_at - looker->names_at < NAMES_PERIOD,
    };
    bool all = looker->mode->look(&now);
    if (watch->stopping) {
        topology_release(now.found);
        return;
    }
    looker->epoch = now.epoch;
    if (all && !now.names_reused)
        looker->names_at = looker->begun_at;
    if (now.found && (!watch->newest || !topology_equal(now.found, watch->newest)))
        publish(watch, now.found);
    else
        topology_release(now.found);
    looker->failures = all ? 0 : looker->failures + 1;
    counter_add(all ? &watch->counters.refreshes : &watch->counters.refresh_failures, 1);
    if (all) {
        topology__set_time(&watch->counters.refreshed_at);
        be_content(looker);
    } else {
        complain(looker, now.why);
    }
    looker->next_at = topology__now() + rest_of(looker);
    if (now.names_reused && looker->next_at > looker->names_at + NAMES_PERIOD)
        looker->next_at = looker->names_at + NAMES_PERIOD;
}

/* Until it is time for a look, which begins then; false when the watch stops. */
static bool wait_for_turn(struct looker *looker)
{
    struct topology_watch *watch = looker->watch;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        uint64_t due = looker->next_at;
        if (watch->asked && due > looker->begun_at + TOPOLOGY_REFRESH_PERIOD)
            due = looker->begun_at + TOPOLOGY_REFRESH_PERIOD;
        if (topology__now() >= due)
            break;
        topology__wait(watch, due);
    }
    looker->begun_at = topology__now();
    if (watch->asked)
        looker->asked_at = looker->begun_at;
    watch->asked = false;
    pthread_mutex_unlock(&watch->lock);
    return !watch->stopping;
}

void topology__look_on(struct topology_watch *watch)
{
    struct looker looker = {.watch = watch, .mode = &modes[watch->settings.mode]};
    while (wait_for_turn(&looker))
        look(&looker);
}
