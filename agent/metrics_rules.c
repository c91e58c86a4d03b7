#include "agent/metrics_parts.h"
#include "agent/totals.h"

/* No rule has such a name. */
#define OTHERS "(others)"

static const char metric[] = "sluice_rule_decisions_total";

/* Outcomes that a rule never had are left out, but for those that every rule can have. */
static void write_rule(FILE *stream, struct slice name, const struct rule_counts *counts)
{
    for (int i = 0; i < RULE_OUTCOMES; i++) {
        uint64_t number = counter_read(&counts->by[i]);
        if (number || i == RULE_OUTCOME_ALLOWED || i == RULE_OUTCOME_REFUSED)
            fprintf(stream, "%s{rule=\"%.*s\",outcome=\"%s\"} %" PRIu64 "\n", metric,
                    SLICE_ARGS(name), rule_outcome_name((enum rule_outcome)i), number);
    }
}

void metrics__write_rules(const struct control *control, FILE *stream)
{
    struct rule_counters *counters = totals_of_rules(control);
    if (!counters)
        return;
    const struct rules_set *set = counters->rules->set;
    struct rule_counts others = {0};
    metrics__head(stream, metric, "counter",
                  "Requests that a rule applied to, by what it said of them.");
    for (size_t i = 0; i < set->rule_count; i++) {
        if (i < METRICS_RULES_MAX)
            write_rule(stream, set->rules[i].name, &counters->counts[i]);
        for (int j = 0; i >= METRICS_RULES_MAX && j < RULE_OUTCOMES; j++)
            counter_add(&others.by[j], counter_read(&counters->counts[i].by[j]));
    }
    if (set->rule_count > METRICS_RULES_MAX)
        write_rule(stream, SLICE(OTHERS), &others);
    rule_counters_release(counters);
}
