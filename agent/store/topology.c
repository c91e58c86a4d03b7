#include <stdlib.h>
#include <strings.h>

#include "agent/store/topology.h"

/* ---- making and freeing -------------------------------------------------------------------- */

static enum error check(enum topology_placement placement, const struct topology_shard *shards,
                        size_t count, const uint16_t *slots)
{
    if (count < 1 || count > TOPOLOGY_SHARDS_MAX || (placement == TOPOLOGY_ONE && count != 1))
        return ERROR_RANGE;
    for (size_t i = 0; i < count; i++) {
        if (shards[i].weight == 0)
            return ERROR_RANGE;
        if (!shards[i].name[0])
            return ERROR_MALFORMED;
        for (size_t n = 0; n < i; n++)
            if (strcasecmp(shards[i].name, shards[n].name) == 0)
                return ERROR_MALFORMED;
    }
    for (size_t i = 0; placement == TOPOLOGY_SLOTS && i < SLOTS_COUNT; i++)
        if (slots[i] >= count && slots[i] != TOPOLOGY_NOWHERE)
            return ERROR_RANGE;
    return ERROR_NONE;
}

static enum error place_by_ketama(struct topology *topology)
{
    struct ketama_server servers[TOPOLOGY_SHARDS_MAX];
    for (size_t i = 0; i < topology->shard_count; i++) {
        servers[i].name = slice_of_string(topology->shards[i].name);
        servers[i].weight = topology->shards[i].weight;
    }
    return ketama_create(servers, topology->shard_count, &topology->ketama);
}

static enum error place_by_slots(struct topology *topology, const uint16_t *slots)
{
    topology->slots = malloc(SLOTS_COUNT * sizeof(slots[0]));
    if (!topology->slots)
        return ERROR_NO_MEMORY;
    memcpy(topology->slots, slots, SLOTS_COUNT * sizeof(slots[0]));
    for (size_t i = 0; i < SLOTS_COUNT; i++)
        topology->slots_served += slots[i] != TOPOLOGY_NOWHERE;
    return ERROR_NONE;
}

enum error topology_create(enum topology_placement placement, const struct topology_shard *shards,
                           size_t count, const uint16_t *slots, struct topology **topology)
{
    *topology = NULL;
    enum error error = check(placement, shards, count, slots);
    if (error)
        return error;
    struct topology *made = calloc(1, sizeof(*made) + count * sizeof(shards[0]));
    if (!made)
        return ERROR_NO_MEMORY;
    made->placement = placement;
    made->references = 1;
    made->shard_count = count;
    memcpy(made->shards, shards, count * sizeof(shards[0]));
    if (placement == TOPOLOGY_KETAMA)
        error = place_by_ketama(made);
    else if (placement == TOPOLOGY_SLOTS)
        error = place_by_slots(made, slots);
    if (error) {
        topology_release(made);
        return error;
    }
    *topology = made;
    return ERROR_NONE;
}

struct topology *topology_hold(struct topology *topology)
{
    if (topology)
        atomic_fetch_add_explicit(&topology->references, 1, memory_order_relaxed);
    return topology;
}

void topology_release(struct topology *topology)
{
    if (!topology || atomic_fetch_sub_explicit(&topology->references, 1, memory_order_acq_rel) != 1)
        return;
    ketama_free(topology->ketama);
    free(topology->slots);
    free(topology);
}

/* ---- asking -------------------------------------------------------------------------------- */

int topology_place(const struct topology *topology, struct slice key)
{
    switch (topology->placement) {
    case TOPOLOGY_KETAMA:
        return (int)ketama_find(topology->ketama, slots_tag(key));
    case TOPOLOGY_SLOTS: {
        uint16_t shard = topology->slots[slots_of(key)];
        return shard == TOPOLOGY_NOWHERE ? -1 : shard;
    }
    case TOPOLOGY_ONE:
    default:
        return 0;
    }
}

/* "HOST:PORT" in its two parts, brackets taken off. */
static bool split(struct slice name, struct slice *host, uint64_t *port)
{
    size_t colon = name.size;
    while (colon > 0 && name.data[colon - 1] != ':')
        colon--;
    if (colon == 0 || !slice_to_uint64(slice_from(name, colon), port))
        return false;
    *host = slice_of(name.data, colon - 1);
    if (host->size >= 2 && host->data[0] == '[' && host->data[host->size - 1] == ']')
        *host = slice_of(host->data + 1, host->size - 2);
    return true;
}

static bool same_host(struct slice a, struct slice b)
{
    return a.size == b.size && strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0;
}

struct slice topology_host(const struct topology_shard *shard)
{
    struct slice host;
    uint64_t port;
    bool has_one = shard->port && split(slice_of_string(shard->name), &host, &port);
    return has_one ? host : slice_of(NULL, 0);
}

static bool shard_is(const struct topology_shard *shard, struct slice host, uint64_t port)
{
    return shard->port && shard->port == port &&
           (same_host(host, slice_of_string(shard->address)) ||
            same_host(host, topology_host(shard)));
}

int topology_find(const struct topology *topology, struct slice name, int from)
{
    struct slice host;
    uint64_t port;
    if (!split(name, &host, &port))
        return -1;
    if (host.size == 0) {
        if (from < 0 || (size_t)from >= topology->shard_count)
            return -1;
        host = slice_of_string(topology->shards[from].address);
    }
    for (size_t i = 0; host.size && i < topology->shard_count; i++)
        if (shard_is(&topology->shards[i], host, port))
            return (int)i;
    return -1;
}

static bool same_shard(const struct topology_shard *a, const struct topology_shard *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0 &&
           a->port == b->port && a->weight == b->weight;
}

bool topology_equal(const struct topology *a, const struct topology *b)
{
    if (a->placement != b->placement || a->shard_count != b->shard_count)
        return false;
    for (size_t i = 0; i < a->shard_count; i++)
        if (!same_shard(&a->shards[i], &b->shards[i]))
            return false;
    return a->placement != TOPOLOGY_SLOTS ||
           memcmp(a->slots, b->slots, SLOTS_COUNT * sizeof(a->slots[0])) == 0;
}
