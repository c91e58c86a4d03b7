/* Modes single and ketama: the servers are those of the rule file. */
#include <stdlib.h>

#include "agent/store/topology_parts.h"

/* Where a server is; false, with look->why, when that isn't known. */
static bool find(struct topology__look *look, size_t index, struct topology_shard *shard)
{
    const struct rules_node *node = &look->settings->nodes[index];
    *shard = (struct topology_shard){.port = node->port, .weight = node->weight};
    memcpy(shard->name, node->name.data, node->name.size);
    if (node->port == 0) {
        memcpy(shard->address, node->host.data, node->host.size);
        return true;
    }
    if (look->last)
        memcpy(shard->address, look->last->shards[index].address, sizeof(shard->address));
    return topology__resolve(look, (const char *)node->host.data, node->port, shard->address);
}

bool topology__look_at_names(struct topology__look *look)
{
    const struct topology__settings *settings = look->settings;
    struct topology_shard *shards = calloc(settings->node_count, sizeof(*shards));
    bool all = true;
    bool any = look->last != NULL;
    if (!shards)
        return topology__fail(look, "%s", error_text(ERROR_NO_MEMORY));
    for (size_t i = 0; i < settings->node_count; i++) {
        all &= find(look, i, &shards[i]);
        any |= shards[i].address[0] != '\0';
    }
    enum error error =
        any ? topology_create(settings->mode == RULES_STORE_KETAMA ? TOPOLOGY_KETAMA : TOPOLOGY_ONE,
                              shards, settings->node_count, NULL, &look->found)
            : ERROR_NONE;
    free(shards);
    return error ? topology__fail(look, "%s", error_text(error)) : all;
}
