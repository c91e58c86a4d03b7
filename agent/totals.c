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
