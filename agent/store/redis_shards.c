#include "agent/store/redis_shards.h"

#include <stdlib.h>

/* How long a server that is left may take for what is under way (microseconds): longer than any
 * deadline is of no use to anybody. */
#define RETIREMENT UINT64_C(1000000)

static uint64_t now_of(const struct redis_shards *shards)
{
    return *shards->options.now;
}

void redis_shards_open(struct redis_shards *shards, const struct redis_shards_options *options)
{
    *shards = (struct redis_shards){.options = *options};
    TAILQ_INIT(&shards->all);
    pthread_mutex_init(&shards->lock, NULL);
}

static void close_shard(struct redis_shards *shards, struct redis_shard *shard)
{
    pthread_mutex_lock(&shards->lock);
    TAILQ_REMOVE(&shards->all, shard, all);
    pthread_mutex_unlock(&shards->lock);
    redis_link_close(shard->link);
    free(shard);
}

void redis_shards_close(struct redis_shards *shards)
{
    struct topology *topology = shards->topology;
    struct redis_shard *shard;
    /* First, so that what is told of its end finds no shard. */
    shards->topology = NULL;
    while ((shard = TAILQ_FIRST(&shards->all)) != NULL)
        close_shard(shards, shard);
    topology_release(topology);
}

void redis_shards_free(struct redis_shards *shards)
{
    pthread_mutex_destroy(&shards->lock);
}

static void link_changed(void *context)
{
    struct redis_shard *shard = context;
    if (redis_shard_is_up(shard)) {
        shard->session = ++shard->shards->sessions;
        shard->clock = 0; /* it may be another server */
    } else if (shard->current) {
        shard->shards->options.lost(shard->shards->options.context);
    }
}

static struct redis_shard *open_shard(struct redis_shards *shards,
                                      const struct topology_shard *server)
{
    const struct rules_store *settings = shards->options.settings;
    struct redis_shard *shard = calloc(1, sizeof(*shard));
    if (!shard)
        return NULL;
    shard->shards = shards;
    shard->server = *server;
    shard->link = redis_link_open(&(struct redis_link_options){
        .loop = shards->options.loop,
        .now = shards->options.now,
        .host = server->address,
        .port = server->port,
        .name = server->name,
        .access = shards->options.access,
        .patience = settings->connect_timeout,
        .primary = true,
        .breaker = {.failures = settings->breaker_failures,
                    .within = settings->breaker_within,
                    .pause = settings->breaker_pause,
                    .max_pause = settings->breaker_max_pause},
        .changed = link_changed,
        .context = shard,
    });
    if (!shard->link) {
        free(shard);
        return NULL;
    }
    pthread_mutex_lock(&shards->lock);
    TAILQ_INSERT_TAIL(&shards->all, shard, all);
    pthread_mutex_unlock(&shards->lock);
    return shard;
}

static bool same_server(const struct topology_shard *a, const struct topology_shard *b)
{
    return a->port == b->port && strcmp(a->address, b->address) == 0 &&
           strcmp(a->name, b->name) == 0;
}

static struct redis_shard *shard_of(const struct redis_shards *shards,
                                    const struct topology_shard *server)
{
    struct redis_shard *shard;
    TAILQ_FOREACH(shard, &shards->all, all)
    if (same_server(&shard->server, server))
        return shard;
    return NULL;
}

void redis_shards_follow(struct redis_shards *shards, struct topology *topology)
{
    struct redis_shard *shard;
    TAILQ_FOREACH(shard, &shards->all, all)
    {
        shard->retire_at = shard->current ? now_of(shards) + RETIREMENT : shard->retire_at;
        shard->current = false;
    }
    memset(shards->by_index, 0, sizeof(shards->by_index));
    for (size_t i = 0; i < topology->shard_count; i++) {
        shard = shard_of(shards, &topology->shards[i]);
        if (!shard)
            shard = open_shard(shards, &topology->shards[i]);
        if (!shard)
            log_event(LOG_ERROR, "out of memory: a shard can't be reached",
                      LOG_STRING("redis", topology->shards[i].name));
        else
            shard->current = true;
        shards->by_index[i] = shard;
    }
    topology_release(shards->topology);
    shards->topology = topology;
}

void redis_shards_retire(struct redis_shards *shards, uint64_t now)
{
    struct redis_shard *shard = TAILQ_FIRST(&shards->all);
    while (shard) {
        struct redis_shard *next = TAILQ_NEXT(shard, all);
        if (!shard->current && (shard->under_way == 0 || shard->retire_at <= now))
            close_shard(shards, shard);
        shard = next;
    }
}

static struct redis_shard *by_index(const struct redis_shards *shards, int index)
{
    return index < 0 ? NULL : shards->by_index[index];
}

struct redis_shard *redis_shards_place(const struct redis_shards *shards, struct slice key)
{
    return shards->topology ? by_index(shards, topology_place(shards->topology, key)) : NULL;
}

struct redis_shard *redis_shards_find(const struct redis_shards *shards, struct slice name,
                                      const struct redis_shard *from)
{
    if (!shards->topology)
        return NULL;
    int said_by = -1;
    for (size_t i = 0; i < shards->topology->shard_count; i++)
        if (shards->by_index[i] == from)
            said_by = (int)i;
    return by_index(shards, topology_find(shards->topology, name, said_by));
}

uint64_t redis_shard_time(struct redis_shard *shard)
{
    uint64_t time = redis_link_time(shard->link);
    /* Unless the clock was set back, and by so much that it can't be waited for. */
    if (time > shard->clock || shard->clock - time > LIMIT_LATE_MAX)
        shard->clock = time;
    return shard->clock;
}

void redis_shards_look(struct redis_shards *shards,
                       void (*see)(void *context, const struct topology_shard *server,
                                   struct redis_link *link),
                       void *context)
{
    struct redis_shard *shard;
    pthread_mutex_lock(&shards->lock);
    TAILQ_FOREACH(shard, &shards->all, all)
    see(context, &shard->server, shard->link);
    pthread_mutex_unlock(&shards->lock);
}
