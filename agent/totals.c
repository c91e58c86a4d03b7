#include <stdlib.h>

#include "agent/totals.h"

static uint64_t at(const void *counters, size_t offset)
{
    return counter_read((const struct counter *)((const char *)counters + offset));
}

uint64_t totals_of_decisions(const struct control *control, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < control->worker_count; i++)
        total += at(worker_decisions(control->workers[i]), offset);
    return total;
}

uint64_t totals_of_comparisons(const struct control *control, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < control->worker_count; i++)
        total += at(worker_comparison(control->workers[i]), offset);
    return total;
}

uint64_t totals_of_connections(const struct control *control, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < control->worker_count; i++)
        total += at(worker_connections(control->workers[i]), offset);
    return total;
}

uint64_t totals_of_store(const struct control *control, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < control->worker_count; i++)
        total += at(store_redis_counters(worker_redis(control->workers[i])), offset);
    return total;
}

uint64_t totals_of_calls(const struct control *control, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < control->worker_count; i++)
        total += at(store_redis_calls(worker_redis(control->workers[i])), offset);
    return total;
}

void totals_of_latency(const struct control *control, struct histogram *sum)
{
    for (unsigned i = 0; i < control->worker_count; i++)
        histogram_merge(sum, worker_latency(control->workers[i]));
}

unsigned totals_open_connections(const struct control *control)
{
    unsigned open = 0;
    for (unsigned i = 0; i < control->worker_count; i++)
        open += worker_load(control->workers[i]);
    return open;
}

struct rule_counters *totals_of_rules(const struct control *control)
{
    struct rule_counters *sum = NULL;
    for (unsigned i = 0; i < control->worker_count; i++) {
        struct rule_counters *counters = worker_rule_counters(control->workers[i]);
        if (!sum)
            sum = rule_counters_create(counters->rules);
        bool added = sum && rule_counters_add(sum, counters);
        rule_counters_release(counters);
        if (!added) {
            rule_counters_release(sum);
            return NULL;
        }
    }
    return sum;
}

/* A unix socket's path may have anything in it but a line's end. */
static void escape(const char *name, char *label)
{
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            *label++ = '\\';
        *label++ = *name;
    }
    *label = '\0';
}

static struct server_totals *server_of(struct servers *servers, const char *name)
{
    for (size_t i = 0; i < servers->count; i++)
        if (strcmp(servers->server[i].name, name) == 0)
            return &servers->server[i];
    if (servers->count == TOTALS_SERVERS_MAX)
        return NULL;
    struct server_totals *server = &servers->server[servers->count++];
    *server = (struct server_totals){0};
    memcpy(server->name, name, strlen(name) + 1);
    escape(name, server->label);
    return server;
}

static void add_server(void *context, const struct topology_shard *shard, struct redis_link *link)
{
    struct server_totals *server = server_of(context, shard->name);
    if (!server)
        return;
    memcpy(server->address, shard->address, sizeof(server->address));
    server->port = shard->port;
    const struct redis_link_counters *counters = redis_link_counters(link);
    redis_link_last_error(link, server->last_error);
    uint64_t breaker = counter_read(&counters->breaker);
    server->up += counter_read(&counters->phase) == REDIS_LINK_UP;
    if (breaker < BREAKER_PHASES)
        server->breakers[breaker]++;
    for (int phase = 0; phase < BREAKER_PHASES; phase++)
        server->entered[phase] += counter_read(&counters->entered[phase]);
    server->connects += counter_read(&counters->connects);
    server->failures += counter_read(&counters->failures);
    server->opened += counter_read(&counters->opened);
    server->commands += counter_read(&counters->commands);
    server->clock_offset = (int64_t)counter_read(&counters->clock_offset);
    server->round_trip = counter_read(&counters->round_trip);
    histogram_merge(&server->answers, &counters->answers);
}

struct servers *totals_of_servers(const struct control *control)
{
    struct servers *servers = calloc(1, sizeof(*servers));
    for (unsigned i = 0; servers && i < control->worker_count; i++)
        store_redis_look(worker_redis(control->workers[i]), add_server, servers);
    return servers;
}
