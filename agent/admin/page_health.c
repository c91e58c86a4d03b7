/* /health/distributed: whether the counters are shared. */
#include <stdlib.h>

#include "agent/admin/page.h"
#include "agent/totals.h"

struct health {
    const struct control *control;
    struct topology *topology; /* NULL: none is known yet */
    struct servers *servers;
    bool is_whole; /* every worker can ask every shard, and every key has one */
};

static const struct server_totals *totals_of(const struct servers *servers, const char *name)
{
    for (size_t i = 0; i < servers->count; i++)
        if (strcmp(servers->server[i].name, name) == 0)
            return &servers->server[i];
    return NULL;
}

/* That of the workers which is in the worst way. */
static enum breaker_phase worst_breaker(const struct server_totals *server)
{
    if (server->breakers[BREAKER_OPEN])
        return BREAKER_OPEN;
    return server->breakers[BREAKER_HALF_OPEN] ? BREAKER_HALF_OPEN : BREAKER_CLOSED;
}

static json_t *shard_json(struct health *health, const struct topology_shard *shard)
{
    static const struct server_totals none;
    const struct server_totals *server = totals_of(health->servers, shard->name);
    bool is_up = server && server->up == health->control->worker_count;
    struct endpoint endpoint = {.kind = shard->port ? ENDPOINT_TCP : ENDPOINT_UNIX,
                                .host = slice_of_string(shard->address),
                                .port = shard->port,
                                .path = slice_of_string(shard->address)};
    char text[TOPOLOGY_ADDRESS_MAX + 32];
    struct writer address = writer_open(text, sizeof(text));
    endpoint_print(&endpoint, &address);
    if (!server)
        server = &none;
    if (!is_up || worst_breaker(server) != BREAKER_CLOSED)
        health->is_whole = false;
    return json_pack(
        "{s:s, s:o, s:s, s:s, s:o, s:o, s:f, s:f, s:o, s:o}", "name", shard->name, "address",
        admin_text(writer_slice(&address)), "role", "primary", "breaker",
        breaker_phase_name(worst_breaker(server)), "workers_connected", admin_number(server->up),
        "workers", admin_number(health->control->worker_count), "round_trip_seconds",
        (double)server->round_trip / 1e6, "clock_offset_seconds",
        (double)server->clock_offset / 1e6, "failures", admin_number(server->failures),
        "last_error",
        *server->last_error ? admin_text(slice_of_string(server->last_error)) : json_null());
}

static json_t *shards_json(struct health *health)
{
    const struct topology *topology = health->topology;
    json_t *shards = json_array();
    if (!topology || (topology->slots && topology->slots_served < SLOTS_COUNT))
        health->is_whole = false;
    for (size_t i = 0; topology && i < topology->shard_count; i++)
        json_array_append_new(shards, shard_json(health, &topology->shards[i]));
    return shards;
}

/* Whole seconds of the epoch, as of every time that a page tells. */
static json_t *time_json(const struct counter *microseconds)
{
    return admin_number(counter_read(microseconds) / 1000000);
}

static json_t *topology_json(const struct health *health)
{
    const struct topology_counters *counters =
        topology_watch_counters(health->control->sharing.watch);
    json_t *json =
        json_pack("{s:o, s:o, s:o, s:o}", "version", admin_number(counter_read(&counters->version)),
                  "refreshed_at", time_json(&counters->refreshed_at), "refreshes",
                  admin_number(counter_read(&counters->refreshes)), "refresh_failures",
                  admin_number(counter_read(&counters->refresh_failures)));
    if (json && health->topology && health->topology->slots) {
        json_object_set_new(json, "slots_served", admin_number(health->topology->slots_served));
        json_object_set_new(json, "slots", admin_number(SLOTS_COUNT));
    }
    return json;
}

static json_t *heartbeat_json(const struct health *health)
{
    const struct topology_counters *counters =
        topology_watch_counters(health->control->sharing.watch);
    return json_pack("{s:o, s:o, s:o}", "sent", admin_number(counter_read(&counters->heartbeats)),
                     "failed", admin_number(counter_read(&counters->heartbeat_failures)),
                     "answered_at", time_json(&counters->heartbeat_at));
}

static json_t *shared_json(struct health *health)
{
    const struct sharing *sharing = &health->control->sharing;
    json_t *shards = shards_json(health); /* first: it finds out what status there is */
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "status", health->is_whole ? "ok" : "degraded",
        "store", rules_store_mode_name(sharing->settings->mode), "instance_id",
        sharing->instance_id, "agents", admin_number(topology_watch_agents(sharing->watch)),
        "heartbeat", heartbeat_json(health), "topology", topology_json(health), "shards", shards);
}

void page_health_distributed(struct admin_request *request)
{
    struct health health = {.control = request->control, .is_whole = true};
    struct topology_watch *watch = request->control->sharing.watch;
    if (!watch) {
        admin_reply_json(request, MHD_HTTP_OK,
                         json_pack("{s:s, s:s, s:i, s:[]}", "status", "ok", "store", "memory",
                                   "agents", 1, "shards"));
        return;
    }
    health.topology = topology_watch_hold(watch);
    health.servers = totals_of_servers(request->control);
    if (health.servers) {
        json_t *json = shared_json(&health);
        admin_reply_json(request, health.is_whole ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                         json);
    }
    free(health.servers);
    topology_release(health.topology);
}
