#include <stdlib.h>

#include "agent/metrics_parts.h"
#include "agent/totals.h"

/* Servers whose answers have a histogram of their own; those of the others are added up. */
#define HISTOGRAMS_MAX 64

/* ---- writing ------------------------------------------------------------------------------- */

static void write_by(FILE *stream, const char *name, const char *label, const char *value,
                     uint64_t number)
{
    fprintf(stream, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, number);
}

static void write_takes(const struct control *control, FILE *stream)
{
    static const char takes[] = "sluice_redis_takes_total";
    metrics__head(stream, takes, "counter", "Limits asked of the shared store, by what answered.");
    write_by(stream, takes, "by", "redis", TOTAL_STORE(control, asked));
    write_by(stream, takes, "by", "denied-cache", TOTAL_STORE(control, denied));
    write_by(stream, takes, "by", "lease", TOTAL_STORE(control, leased));
    write_by(stream, takes, "by", "memory", TOTAL_STORE(control, unasked));
    static const char calls[] = "sluice_redis_calls_total";
    metrics__head(stream, calls, "counter",
                  "Questions to Redis, each one to three commands, by kind.");
    write_by(stream, calls, "kind", "take", TOTAL_CALLS(control, takes));
    write_by(stream, calls, "kind", "give", TOTAL_CALLS(control, gives));
    write_by(stream, calls, "kind", "repair", TOTAL_CALLS(control, repairs));
    write_by(stream, calls, "kind", "reset", TOTAL_CALLS(control, resets));
    static const char again[] = "sluice_redis_commands_again_total";
    metrics__head(stream, again, "counter", "Commands sent once more, by why.");
    write_by(stream, again, "why", "moved", TOTAL_CALLS(control, moved));
    write_by(stream, again, "why", "ask", TOTAL_CALLS(control, asked));
    write_by(stream, again, "why", "repeat", TOTAL_CALLS(control, repeated));
    metrics__single(stream, "sluice_redis_errors_total", "counter",
                    "Error replies that were no redirect.", TOTAL_CALLS(control, errors));
}

static uint64_t max_keys(const struct control *control)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < control->worker_count; i++) {
        struct store_statistics statistics;
        store_statistics(worker_redis(control->workers[i]), &statistics);
        total += statistics.max_keys;
    }
    return total;
}

static void write_units(const struct control *control, FILE *stream)
{
    metrics__single(stream, "sluice_redis_lease_units_total", "counter",
                    "Units charged ahead of need.", TOTAL_STORE(control, units_ahead));
    metrics__single(stream, "sluice_redis_lease_units_unspent_total", "counter",
                    "Of these, those left over when their lease ended, to be given back.",
                    TOTAL_STORE(control, units_unspent));
    metrics__single(stream, "sluice_redis_leases", "gauge", "Leases held now.",
                    TOTAL_STORE(control, leases));
    metrics__single(stream, "sluice_redis_leased_units", "gauge",
                    "Units of these that aren't spent.", TOTAL_STORE(control, leases_units));
    metrics__single(stream, "sluice_redis_units_back_total", "counter",
                    "Units given back to Redis.", TOTAL_STORE(control, units_back));
    metrics__single(stream, "sluice_redis_units_dropped_total", "counter",
                    "Units that should have been given back, and stay charged.",
                    TOTAL_STORE(control, units_dropped));
    metrics__single(stream, "sluice_redis_keys", "gauge", "Keys that the workers remember.",
                    TOTAL_STORE(control, keys));
    metrics__single(stream, "sluice_redis_max_keys", "gauge",
                    "Keys that the workers have room for.", max_keys(control));
    metrics__single(stream, "sluice_redis_keys_evicted_total", "counter",
                    "Keys forgotten for want of room while they still counted.",
                    TOTAL_STORE(control, evicted));
    metrics__single(stream, "sluice_redis_keys_full_total", "counter",
                    "Limits answered by on_store_error for want of room for their key.",
                    TOTAL_STORE(control, full));
}

static void write_counter(FILE *stream, const struct servers *servers, const char *name,
                          const char *help, size_t offset)
{
    metrics__head(stream, name, "counter", help);
    for (size_t i = 0; i < servers->count; i++) {
        const char *server = (const char *)&servers->server[i];
        uint64_t number;
        memcpy(&number, server + offset, sizeof(number));
        write_by(stream, name, "shard", servers->server[i].label, number);
    }
}

static void write_answers(FILE *stream, const struct servers *servers)
{
    static const char name[] = "sluice_redis_command_duration_seconds";
    char label[2 * TOPOLOGY_NAME_MAX + 16];
    struct histogram others = {0};
    metrics__head(
        stream, name, "histogram",
        "How long commands took to be answered by the shard, from the turn that sent them "
        "to the one that read the answer.");
    for (size_t i = 0; i < servers->count; i++) {
        if (i >= HISTOGRAMS_MAX) {
            histogram_merge(&others, &servers->server[i].answers);
            continue;
        }
        snprintf(label, sizeof(label), "shard=\"%s\"", servers->server[i].label);
        metrics__histogram(stream, name, label, &servers->server[i].answers);
    }
    if (servers->count > HISTOGRAMS_MAX)
        metrics__histogram(stream, name, "shard=\"(others)\"", &others);
}

static void write_transitions(FILE *stream, const struct servers *servers)
{
    static const char name[] = "sluice_redis_breaker_transitions_total";
    metrics__head(stream, name, "counter", "Times that a worker's breaker went to this state.");
    for (size_t i = 0; i < servers->count; i++)
        for (int phase = BREAKER_CLOSED; phase < BREAKER_PHASES; phase++)
            fprintf(stream, "%s{shard=\"%s\",state=\"%s\"} %" PRIu64 "\n", name,
                    servers->server[i].label, breaker_phase_name((enum breaker_phase)phase),
                    servers->server[i].entered[phase]);
}

static void write_health(FILE *stream, const struct servers *servers)
{
    static const char up[] = "sluice_redis_up";
    metrics__head(stream, up, "gauge", "Workers whose connection to the shard is up.");
    for (size_t i = 0; i < servers->count; i++)
        write_by(stream, up, "shard", servers->server[i].label, servers->server[i].up);
    metrics__head(stream, "sluice_redis_breakers", "gauge",
                  "Workers whose breaker for the shard is in this state.");
    for (size_t i = 0; i < servers->count; i++)
        for (int state = BREAKER_CLOSED; state < BREAKER_PHASES; state++)
            fprintf(stream, "sluice_redis_breakers{shard=\"%s\",state=\"%s\"} %" PRIu64 "\n",
                    servers->server[i].label, breaker_phase_name((enum breaker_phase)state),
                    servers->server[i].breakers[state]);
}

static void write_clocks(FILE *stream, const struct servers *servers)
{
    metrics__head(stream, "sluice_redis_clock_offset_seconds", "gauge",
                  "The shard's clock less the agent's, within half a round trip.");
    for (size_t i = 0; i < servers->count; i++)
        fprintf(stream, "sluice_redis_clock_offset_seconds{shard=\"%s\"} %.6f\n",
                servers->server[i].label, (double)servers->server[i].clock_offset / 1e6);
    metrics__head(stream, "sluice_redis_round_trip_seconds", "gauge",
                  "How long the last reading of the shard's clock took.");
    for (size_t i = 0; i < servers->count; i++)
        fprintf(stream, "sluice_redis_round_trip_seconds{shard=\"%s\"} %.6f\n",
                servers->server[i].label, (double)servers->server[i].round_trip / 1e6);
}

static void write_servers(const struct control *control, FILE *stream)
{
    struct servers *servers = totals_of_servers(control);
    if (!servers)
        return;
    write_health(stream, servers);
    write_counter(stream, servers, "sluice_redis_connects_total", "Connections that came up.",
                  offsetof(struct server_totals, connects));
    write_counter(stream, servers, "sluice_redis_failures_total",
                  "Failures of connections, late answers and error replies, as the breakers count.",
                  offsetof(struct server_totals, failures));
    write_counter(stream, servers, "sluice_redis_breaker_opened_total",
                  "Times that a worker's breaker opened.", offsetof(struct server_totals, opened));
    write_transitions(stream, servers);
    write_counter(stream, servers, "sluice_redis_commands_total", "Commands sent.",
                  offsetof(struct server_totals, commands));
    write_answers(stream, servers);
    write_clocks(stream, servers);
    free(servers);
}

static void write_topology(const struct control *control, FILE *stream)
{
    const struct topology_counters *counters = topology_watch_counters(control->sharing.watch);
    static const char refreshes[] = "sluice_topology_refreshes_total";
    metrics__head(stream, refreshes, "counter", "Looks at where the servers are, by result.");
    write_by(stream, refreshes, "result", "ok", counter_read(&counters->refreshes));
    write_by(stream, refreshes, "result", "failed", counter_read(&counters->refresh_failures));
    metrics__single(stream, "sluice_topology_version", "gauge",
                    "Topologies known since the start; 0: none yet.",
                    counter_read(&counters->version));
    metrics__single(stream, "sluice_topology_shards", "gauge", "Shards.",
                    counter_read(&counters->shards));
    metrics__single(stream, "sluice_topology_slots_served", "gauge",
                    "Slots of a cluster that a shard serves, of 16384.",
                    counter_read(&counters->slots_served));
    static const char heartbeats[] = "sluice_heartbeats_total";
    metrics__head(stream, heartbeats, "counter", "Heartbeats, by result.");
    write_by(stream, heartbeats, "result", "ok", counter_read(&counters->heartbeats));
    write_by(stream, heartbeats, "result", "failed", counter_read(&counters->heartbeat_failures));
    metrics__single(stream, "sluice_agents", "gauge",
                    "Live agents that share the limits, as last known.",
                    topology_watch_agents(control->sharing.watch));
}

/* Each of `agents` lets through its part of a limit, at least one unit, that Redis doesn't know of.
 * Where the least limit has fewer units than there are agents, that comes to more than the limit.
 */
static void write_excess(const struct control *control, FILE *stream)
{
    uint64_t least = counter_read(&control->counters.least_local_limit);
    double agents = topology_watch_agents(control->sharing.watch);
    double ratio = least == 0 ? 0 : agents > (double)least ? agents / (double)least : 1;
    metrics__head(stream, "sluice_fallback_excess_ratio_max", "gauge",
                  "What all agents together may let through of any key and window beyond its limit "
                  "while Redis can't be asked, by on_store_error: local, at most, as a part of the "
                  "limit.");
    fprintf(stream, "sluice_fallback_excess_ratio_max %.4g\n", ratio);
}

void metrics__write_redis(const struct control *control, FILE *stream)
{
    if (!control->sharing.watch)
        return;
    write_takes(control, stream);
    write_units(control, stream);
    write_servers(control, stream);
    write_topology(control, stream);
    write_excess(control, stream);
}
