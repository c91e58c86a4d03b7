#include "agent/metrics_parts.h"
#include "agent/totals.h"

static void write_decisions(const struct control *control, FILE *stream)
{
    static const char *const words[2] = {"refuse", "allow"};
    metrics__head(stream, "sluice_candidate_decisions_total", "counter",
                  "Requests that the candidate was asked too, by what the rules in force said and "
                  "what it would have.");
    for (size_t active = 0; active < 2; active++)
        for (size_t candidate = 0; candidate < 2; candidate++)
            fprintf(stream,
                    "sluice_candidate_decisions_total{active=\"%s\",candidate=\"%s\"} %" PRIu64
                    "\n",
                    words[active], words[candidate],
                    TOTAL_COMPARISONS_AT(control, decisions, 2 * active + candidate));
}

static void write_difference(const struct control *control, FILE *stream, size_t index,
                             enum comparison_side side, struct slice rule)
{
    static const char *const sides[COMPARISON_SIDES] = {
        [COMPARISON_ACTIVE] = "active",
        [COMPARISON_CANDIDATE] = "candidate",
    };
    fprintf(stream, "sluice_candidate_differences_total{by=\"%s\",rule=\"%.*s\"} %" PRIu64 "\n",
            sides[side], SLICE_ARGS(rule), TOTAL_COMPARISONS_AT(control, differences, index));
}

/* No rule can be called as those are that there was no room for. */
static void write_differences(const struct control *control, FILE *stream)
{
    const struct comparison_rules *rules = &control->compared;
    uint32_t count = atomic_load_explicit(&rules->count, memory_order_acquire);
    metrics__head(stream, "sluice_candidate_differences_total", "counter",
                  "Requests that only the rules in force, or only the candidate, would refuse, by "
                  "the rule that refuses.");
    for (uint32_t i = 0; i < count; i++)
        write_difference(control, stream, i, rules->rules[i].side,
                         slice_of(rules->rules[i].name, rules->rules[i].size));
    for (int side = 0; count == COMPARISON_RULES_MAX && side < COMPARISON_SIDES; side++)
        write_difference(control, stream, COMPARISON_RULES_MAX + (size_t)side,
                         (enum comparison_side)side, SLICE("(others)"));
}

static void write_skipped(const struct control *control, FILE *stream)
{
    static const char *const reasons[COMPARISON_SKIPS] = {
        [COMPARISON_PENDING] = "pending",
        [COMPARISON_MEMORY] = "memory",
        [COMPARISON_ENDED] = "ended",
    };
    metrics__head(stream, "sluice_candidate_skipped_total", "counter",
                  "Requests that were not compared, by reason.");
    for (size_t i = 0; i < COMPARISON_SKIPS; i++)
        fprintf(stream, "sluice_candidate_skipped_total{reason=\"%s\"} %" PRIu64 "\n", reasons[i],
                TOTAL_COMPARISONS_AT(control, skipped, i));
}

void metrics__write_candidate(const struct control *control, FILE *stream)
{
    metrics__single(stream, "sluice_candidate_rules", "gauge", "Rules of the candidate.",
                    counter_read(&control->counters.candidate_rules));
    write_decisions(control, stream);
    write_differences(control, stream);
    metrics__single(stream, "sluice_candidate_fallbacks_total", "counter",
                    "Requests compared although on_store_error answered for the candidate's store.",
                    TOTAL_COMPARISONS_AT(control, fallbacks, 0));
    write_skipped(control, stream);
}
