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

#define TOTAL_DECISIONS(control, field)                                                            \
    totals_of_decisions(control, offsetof(struct engine_counters, field))
#define TOTAL_CONNECTIONS(control, field)                                                          \
    totals_of_connections(control, offsetof(struct connection_counters, field))
#define TOTAL_STORE(control, field)                                                                \
    totals_of_store(control, offsetof(struct store_redis_counters, field))
#define TOTAL_CALLS(control, field)                                                                \
    totals_of_calls(control, offsetof(struct redis_call_counters, field))

unsigned totals_open_connections(const struct control *control);

/* Of the rules that a worker has: at a reload another may have others already. To be released. NULL
 * when out of memory. */
struct rule_counters *totals_of_rules(const struct control *control);
