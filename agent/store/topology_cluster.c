/* Mode cluster: the nodes are asked how they see their cluster. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/store/topology_parts.h"

/* So many nodes are listened to in one look, and for no longer than so many time-outs, while none
 * of them knows all. */
#define ANSWERS_MAX  8
#define TIMEOUTS_MAX 8

/* A node that can be asked: one of the last snapshot, or of the rule file. */
struct candidate {
    const char *name;
    char host[ENDPOINT_HOST_MAX + 1];
    uint16_t port;
    char address[TOPOLOGY_ADDRESS_MAX + 1]; /* empty: to be looked up */
};

/* ---- whom to ask --------------------------------------------------------------------------- */

static struct candidate of_shard(const struct topology_shard *shard)
{
    struct candidate candidate = {.name = shard->name, .port = shard->port};
    struct slice host = topology_host(shard);
    memcpy(candidate.host, host.data, host.size);
    memcpy(candidate.address, shard->address, sizeof(candidate.address));
    return candidate;
}

static struct candidate of_node(const struct rules_node *node)
{
    struct candidate candidate = {.name = (const char *)node->name.data, .port = node->port};
    if (node->port == 0)
        memcpy(candidate.address, node->host.data, node->host.size);
    else
        memcpy(candidate.host, node->host.data, node->host.size);
    return candidate;
}

/* Those of the snapshot, then those of the file; each beginning at any of them, so that agents
 * spread and a node that doesn't answer isn't always in the way. */
static struct candidate candidate_at(const struct topology__look *look, size_t shuffle, size_t n)
{
    const struct topology__settings *settings = look->settings;
    size_t known = look->last ? look->last->shard_count : 0;
    if (n < known)
        return of_shard(&look->last->shards[(n + shuffle) % known]);
    return of_node(&settings->nodes[(n - known + shuffle) % settings->node_count]);
}

/* ---- asking -------------------------------------------------------------------------------- */

/* For Redis before 7.0, which doesn't know CLUSTER SHARDS. */
static enum error ask_slots(const struct topology__look *look, redisContext *redis,
                            const struct candidate *node, struct topology__view *view,
                            char why[REDIS_WHY_MAX])
{
    redisReply *reply;
    enum error error = ERROR_TRUNCATED;
    if (redisAppendCommand(redis, "CLUSTER SLOTS") != REDIS_OK ||
        !topology__replies(redis, look->settings->timeout, &reply, 1, why))
        return error;
    if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(why, REDIS_WHY_MAX, "%s", reply->str);
    } else {
        error = topology__read_slots(reply, slice_of_string(node->host), view);
        snprintf(why, REDIS_WHY_MAX, "CLUSTER SLOTS: %s", error_text(error));
    }
    freeReplyObject(reply);
    return error;
}

static enum error ask_on(const struct topology__look *look, redisContext *redis,
                         const struct candidate *node, struct topology__view *view,
                         char why[REDIS_WHY_MAX])
{
    redisReply *replies[2];
    enum error error;
    if (redisAppendCommand(redis, "CLUSTER INFO") != REDIS_OK ||
        redisAppendCommand(redis, "CLUSTER SHARDS") != REDIS_OK ||
        !topology__replies(redis, look->settings->timeout, replies, 2, why))
        return ERROR_TRUNCATED;
    if (replies[1]->type == REDIS_REPLY_ERROR) {
        error = ask_slots(look, redis, node, view, why);
    } else {
        error = topology__read_shards(replies[1], slice_of_string(node->host), look->settings->tls,
                                      view);
        snprintf(why, REDIS_WHY_MAX, "CLUSTER SHARDS: %s", error_text(error));
    }
    view->epoch = topology__read_epoch(replies[0]);
    topology__free_replies(replies, 2);
    return error;
}

static bool ask(struct topology__look *look, struct candidate *node, struct topology__view *view)
{
    char why[REDIS_WHY_MAX];
    if (!node->address[0] && !topology__resolve(look, node->host, node->port, node->address))
        return false;
    redisContext *redis = redis_access_connect(look->settings->access, node->address, node->port,
                                               node->name, look->settings->timeout, why);
    if (!redis)
        return topology__fail(look, "%s: %s", node->name, why);
    enum error error = ask_on(look, redis, node, view, why);
    redisFree(redis);
    if (error)
        return topology__fail(look, "%s: %s", node->name, why);
    if (view->count == 0)
        return topology__fail(look, "%s: knows no primary that serves", node->name);
    return true;
}

/* ---- choosing ------------------------------------------------------------------------------ */

static bool is_better(const struct topology__view *view, const struct topology__view *than)
{
    return view->slots_served != than->slots_served ? view->slots_served > than->slots_served
                                                    : view->epoch > than->epoch;
}

/* Asks until one knows all; otherwise the best of what was heard is in *best. Returns how many
 * answered. */
static size_t consult(struct topology__look *look, struct topology__view *best,
                      struct topology__view *other)
{
    size_t count = look->settings->node_count + (look->last ? look->last->shard_count : 0);
    size_t shuffle = (size_t)topology__between(0, count);
    uint64_t deadline = topology__now() + TIMEOUTS_MAX * look->settings->timeout;
    size_t answers = 0;
    for (size_t i = 0; i < count && answers < ANSWERS_MAX; i++) {
        struct candidate node = candidate_at(look, shuffle, i);
        if (*look->stopping || topology__now() > deadline)
            break;
        if (!ask(look, &node, other))
            continue;
        if (answers++ == 0 || is_better(other, best))
            *best = *other;
        if (best->slots_served == SLOTS_COUNT && best->epoch >= look->epoch)
            break;
    }
    return answers;
}

/* ---- the snapshot -------------------------------------------------------------------------- */

static bool find(struct topology__look *look, const struct topology__server *server,
                 struct topology_shard *shard)
{
    *shard = (struct topology_shard){.port = server->port, .weight = 1};
    topology__name(server->host, server->port, shard->name);
    int before = look->last ? topology_find(look->last, slice_of_string(shard->name), -1) : -1;
    if (before >= 0)
        memcpy(shard->address, look->last->shards[before].address, sizeof(shard->address));
    return topology__resolve(look, server->host, server->port, shard->address);
}

static bool publish(struct topology__look *look, const struct topology__view *view)
{
    struct topology_shard *shards = calloc(view->count, sizeof(*shards));
    bool all = true;
    if (!shards)
        return topology__fail(look, "%s", error_text(ERROR_NO_MEMORY));
    for (size_t i = 0; i < view->count; i++)
        all &= find(look, &view->servers[i], &shards[i]);
    enum error error =
        topology_create(TOPOLOGY_SLOTS, shards, view->count, view->slots, &look->found);
    free(shards);
    if (error)
        return topology__fail(look, "%s", error_text(error));
    look->epoch = view->epoch;
    if (view->slots_served < SLOTS_COUNT)
        return topology__fail(look, "%u of %u slots are served by nobody",
                              SLOTS_COUNT - view->slots_served, (unsigned)SLOTS_COUNT);
    return all;
}

bool topology__look_at_cluster(struct topology__look *look)
{
    struct topology__view *views = calloc(2, sizeof(*views));
    if (!views)
        return topology__fail(look, "%s", error_text(ERROR_NO_MEMORY));
    bool all = consult(look, &views[0], &views[1]) > 0 && publish(look, &views[0]);
    free(views);
    return all;
}
