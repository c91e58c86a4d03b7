/* Mode sentinel: the Sentinels are asked for the master. */
#include "agent/store/topology_parts.h"

/* What one Sentinel says; false with look->why. */
static bool ask_sentinel(struct topology__look *look, const struct rules_node *sentinel,
                         struct topology__server *master)
{
    const struct topology__settings *settings = look->settings;
    const char *name = (const char *)sentinel->name.data;
    char address[TOPOLOGY_ADDRESS_MAX + 1] = "";
    char why[REDIS_WHY_MAX];
    redisReply *reply;
    if (sentinel->port == 0)
        memcpy(address, sentinel->host.data, sentinel->host.size);
    else if (!topology__resolve(look, (const char *)sentinel->host.data, sentinel->port, address))
        return false;
    redisContext *redis = redis_access_connect(settings->sentinel_access, address, sentinel->port,
                                               name, settings->timeout, why);
    if (!redis)
        return topology__fail(look, "sentinel %s: %s", name, why);
    bool answered = redisAppendCommand(redis, "SENTINEL GET-MASTER-ADDR-BY-NAME %s",
                                       settings->master) == REDIS_OK &&
                    topology__replies(redis, settings->timeout, &reply, 1, why);
    redisFree(redis);
    if (!answered)
        return topology__fail(look, "sentinel %s: %s", name, why);
    bool good = topology__read_master(reply, master) == ERROR_NONE;
    if (reply->type == REDIS_REPLY_NIL)
        topology__fail(look, "sentinel %s: knows no master \"%s\"", name, settings->master);
    else if (reply->type == REDIS_REPLY_ERROR)
        topology__fail(look, "sentinel %s: %s", name, reply->str);
    else if (!good)
        topology__fail(look, "sentinel %s: says no address of the master", name);
    freeReplyObject(reply);
    return good;
}

/* A Sentinel may be the last to learn of a failover: the server itself must say what it is. */
static bool is_master(struct topology__look *look, const struct topology_shard *shard)
{
    const struct topology__settings *settings = look->settings;
    char why[REDIS_WHY_MAX];
    redisReply *reply;
    redisContext *redis = redis_access_connect(settings->access, shard->address, shard->port,
                                               shard->name, settings->timeout, why);
    if (!redis)
        return topology__fail(look, "master %s: %s", shard->name, why);
    bool answered = redisAppendCommand(redis, "ROLE") == REDIS_OK &&
                    topology__replies(redis, settings->timeout, &reply, 1, why);
    redisFree(redis);
    if (!answered)
        return topology__fail(look, "master %s: %s", shard->name, why);
    bool master = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                  slice_equal(topology__text(reply->element[0]), SLICE("master"));
    if (reply->type == REDIS_REPLY_ERROR)
        topology__fail(look, "master %s: %s", shard->name, reply->str);
    else if (!master)
        topology__fail(look, "%s: is called the master, and says that it isn't", shard->name);
    freeReplyObject(reply);
    return master;
}

static bool find(struct topology__look *look, const struct rules_node *sentinel)
{
    struct topology__server master = {0};
    struct topology_shard shard = {.weight = 1};
    if (!ask_sentinel(look, sentinel, &master))
        return false;
    shard.port = master.port;
    topology__name(master.host, master.port, shard.name);
    if (look->last && strcmp(look->last->shards[0].name, shard.name) == 0)
        memcpy(shard.address, look->last->shards[0].address, sizeof(shard.address));
    if (!topology__resolve(look, master.host, master.port, shard.address) ||
        !is_master(look, &shard))
        return false;
    enum error error = topology_create(TOPOLOGY_ONE, &shard, 1, NULL, &look->found);
    return error ? topology__fail(look, "%s", error_text(error)) : true;
}

/* Begins at any of them, so that one that doesn't answer isn't always in the way. */
bool topology__look_at_sentinel(struct topology__look *look)
{
    const struct topology__settings *settings = look->settings;
    size_t begin = (size_t)topology__between(0, settings->node_count);
    for (size_t i = 0; i < settings->node_count && !*look->stopping; i++)
        if (find(look, &settings->nodes[(begin + i) % settings->node_count]))
            return true;
    return false;
}
