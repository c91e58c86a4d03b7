/* What all workers' counters come to. Thread-safe. */
#pragma once

#include "agent/control.h"
#include "agent/engine/rule_counters.h"

/* The sum of the counters at an offset of the workers' struct engine_counters, comparison_counters,
 * connection_counters, store_redis_counters or redis_call_counters. The last two only where
 * counters are shared. */
uint64_t totals_of_decisions(const struct control *control, size_t offset);
uint64_t totals_of_comparisons(const struct control *control, size_t offset);
uint64_t totals_of_connections(const struct control *control, size_t offset);
uint64_t totals_of_store(const struct control *control, size_t offset);
uint64_t totals_of_calls(const struct control *control, size_t offset);

/* Of an array of counters, the one at an index. */
#define TOTAL_DECISIONS_AT(control, array, index)                                                  \
    totals_of_decisions(control, TOTALS_AT(struct engine_counters, array, index))
#define TOTAL_COMPARISONS_AT(control, array, index)                                                \
    totals_of_comparisons(control, TOTALS_AT(struct comparison_counters, array, index))
#define TOTAL_CONNECTIONS_AT(control, array, index)                                                \
    totals_of_connections(control, TOTALS_AT(struct connection_counters, array, index))
#define TOTALS_AT(counters, array, index)                                                          \
    (offsetof(counters, array) + (index) * sizeof(struct counter))

#define TOTAL_DECISIONS(control, field)                                                            \
    totals_of_decisions(control, offsetof(struct engine_counters, field))
#define TOTAL_CONNECTIONS(control, field)                                                          \
    totals_of_connections(control, offsetof(struct connection_counters, field))
#define TOTAL_STORE(control, field)                                                                \
    totals_of_store(control, offsetof(struct store_redis_counters, field))
#define TOTAL_CALLS(control, field)                                                                \
    totals_of_calls(control, offsetof(struct redis_call_counters, field))

/* Durations of decisions; sum is empty before. */
void totals_of_latency(const struct control *control, struct histogram *sum);

unsigned totals_open_connections(const struct control *control);

/* Of the rules that a worker has: at a reload another may have others already. To be released. NULL
 * when out of memory. */
struct rule_counters *totals_of_rules(const struct control *control);

/* Servers of the present topology, and those that are being left. */
#define TOTALS_SERVERS_MAX ((size_t)(2 * TOPOLOGY_SHARDS_MAX))

/* What the workers' connections to one server come to. */
struct server_totals {
    char name[TOPOLOGY_NAME_MAX + 1];
    char label[2 * TOPOLOGY_NAME_MAX + 1]; /* the name, as Prometheus' format has it */
    char address[TOPOLOGY_ADDRESS_MAX + 1];
    uint16_t port;
    uint64_t up;                       /* workers whose connection is up */
    uint64_t breakers[BREAKER_PHASES]; /* workers, by their breaker's phase */
    uint64_t entered[BREAKER_PHASES];  /* times that a breaker went to it */
    char last_error[REDIS_WHY_MAX];    /* of one of them; empty: none yet */
    uint64_t connects;
    uint64_t failures;
    uint64_t opened;
    uint64_t commands;
    int64_t
        clock_offset; /* microseconds; of the worker that was looked at last, as is round_trip */
    uint64_t round_trip;
    struct histogram answers; /* commands, by how long they took */
};

struct servers {
    size_t count;
    struct server_totals server[TOTALS_SERVERS_MAX];
};

/* Only where counters are shared. To be freed with free. NULL when out of memory. */
struct servers *totals_of_servers(const struct control *control);
