/* /stats/distributed: what the metrics say, for people and their scripts. */
#include "agent/admin/page.h"
#include "agent/totals.h"

/* Rules told of one by one. */
#define RULES_SHOWN 1000

#define DECISIONS(field) admin_number(TOTAL_DECISIONS(control, field))
#define STORE(field)     admin_number(TOTAL_STORE(control, field))

static json_t *decisions_json(const struct control *control)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "allowed", DECISIONS(allowed),
                     "refused", DECISIONS(refused), "unmatched", DECISIONS(unmatched), "bypassed",
                     DECISIONS(bypassed), "shadow_refused", DECISIONS(shadow_refused), "delayed",
                     DECISIONS(delayed), "penalties", DECISIONS(penalties), "pending",
                     DECISIONS(pending));
}

static json_t *sources_json(const struct control *control)
{
    json_t *json = json_array();
    for (size_t i = 0; i <= STORE_SOURCES; i++) {
        struct slice source =
            i < STORE_SOURCES ? store_source_name((enum store_source)i) : SLICE("none");
        json_array_append_new(
            json,
            json_pack("{s:o, s:o, s:o}", "source", admin_text(source), "allowed",
                      admin_number(TOTAL_DECISIONS_AT(control, by_source, 2 * i + 1)), "refused",
                      admin_number(TOTAL_DECISIONS_AT(control, by_source, 2 * i))));
    }
    return json;
}

/* As the metric has it: each bucket counts those below it too, the last one all. */
static json_t *latency_json(const struct control *control)
{
    struct histogram durations = {0};
    json_t *buckets = json_array();
    uint64_t count = 0;
    totals_of_latency(control, &durations);
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        count += counter_read(&durations.counts[i]);
        json_array_append_new(
            buckets,
            json_pack("{s:o, s:o}", "seconds",
                      i < HISTOGRAM_BOUNDS ? admin_seconds(histogram_bounds[i]) : json_null(),
                      "count", admin_number(count)));
    }
    return json_pack("{s:o, s:o, s:o}", "count", admin_number(count), "sum_seconds",
                     admin_seconds(counter_read(&durations.sum)), "buckets", buckets);
}

static json_t *fallbacks_json(const struct control *control)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "full", DECISIONS(store_full), "unavailable",
                     DECISIONS(store_unavailable), "late", DECISIONS(store_late), "units",
                     DECISIONS(fallback_units));
}

static json_t *rule_json(struct slice name, const struct rule_counts *counts)
{
    json_t *json = json_pack("{s:o}", "rule", admin_text(name));
    for (int i = 0; json && i < RULE_OUTCOMES; i++)
        json_object_set_new(json, rule_outcome_name((enum rule_outcome)i),
                            admin_number(counter_read(&counts->by[i])));
    return json;
}

static json_t *rules_json(const struct control *control)
{
    struct rule_counters *counters = totals_of_rules(control);
    json_t *json = counters ? json_array() : NULL;
    if (!counters)
        return NULL;
    const struct rules_set *set = counters->rules->set;
    for (size_t i = 0; i < set->rule_count && i < RULES_SHOWN; i++)
        json_array_append_new(json, rule_json(set->rules[i].name, &counters->counts[i]));
    rule_counters_release(counters);
    return json;
}

static json_t *connections_json(const struct control *control)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "open", admin_number(totals_open_connections(control)),
                     "max", admin_number(counter_read(&control->counters.max_connections)),
                     "accepted", admin_number(counter_read(&control->counters.accepted)), "refused",
                     admin_number(counter_read(&control->counters.refused_connections)));
}

static json_t *keys_json(const struct control *control)
{
    struct store_statistics statistics;
    store_statistics(control->store, &statistics);
    json_t *json =
        json_pack("{s:o, s:o, s:o}", "held", admin_number(statistics.keys), "max",
                  admin_number(statistics.max_keys), "full", admin_number(statistics.full_total));
    if (json && control->sharing.watch) {
        json_object_set_new(json, "redis", STORE(keys));
        json_object_set_new(json, "redis_evicted", STORE(evicted));
    }
    return json;
}

static json_t *takes_json(const struct control *control)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "redis", STORE(asked), "denied_cache",
                     STORE(denied), "lease", STORE(leased), "memory", STORE(unasked), "calls",
                     admin_number(TOTAL_CALLS(control, takes)), "lease_units", STORE(units_ahead),
                     "units_given_back", STORE(units_back));
}

static json_t *reloads_json(const struct control *control)
{
    const struct control_counters *counters = &control->counters;
    return json_pack("{s:o, s:o, s:b, s:o, s:o}", "ok",
                     admin_number(counter_read(&counters->reloads)), "failed",
                     admin_number(counter_read(&counters->reloads_failed)), "last_failed",
                     (int)counter_read(&counters->last_reload_failed), "loaded_at",
                     admin_number(counter_read(&counters->loaded_at)), "rules",
                     admin_number(counter_read(&counters->rules)));
}

/* ---- the candidate --------------------------------------------------------------------------- */

static json_t *compared(const struct control *control, bool active, bool candidate)
{
    return admin_number(
        TOTAL_COMPARISONS_AT(control, decisions, 2 * (size_t)active + (size_t)candidate));
}

static json_t *differences_json(const struct control *control)
{
    const struct comparison_rules *rules = &control->compared;
    uint32_t count = atomic_load_explicit(&rules->count, memory_order_acquire);
    json_t *json = json_array();
    for (uint32_t i = 0; i < count; i++) {
        const struct comparison_rule *rule = &rules->rules[i];
        json_array_append_new(
            json,
            json_pack("{s:o, s:s, s:o}", "rule", admin_text(slice_of(rule->name, rule->size)), "of",
                      rule->side == COMPARISON_ACTIVE ? "active" : "candidate", "requests",
                      admin_number(TOTAL_COMPARISONS_AT(control, differences, i))));
    }
    return json;
}

static json_t *candidate_json(const struct control *control)
{
    if (!control->candidate_store)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "rules",
                     admin_number(counter_read(&control->counters.candidate_rules)), "both_allow",
                     compared(control, true, true), "both_refuse", compared(control, false, false),
                     "only_active_refuses", compared(control, false, true),
                     "only_candidate_refuses", compared(control, true, false), "refused_alone_by",
                     differences_json(control));
}

void page_stats(struct admin_request *request)
{
    const struct control *control = request->control;
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version", SLUICE_VERSION,
        "decisions", decisions_json(control), "sources", sources_json(control), "latency",
        latency_json(control), "fallbacks", fallbacks_json(control), "rules", rules_json(control),
        "keys", keys_json(control), "connections", connections_json(control), "reloads",
        reloads_json(control), "candidate", candidate_json(control));
    if (json && control->sharing.watch) {
        json_object_set_new(json, "takes", takes_json(control));
        json_object_set_new(json, "agents",
                            admin_number(topology_watch_agents(control->sharing.watch)));
    }
    admin_reply_json(request, MHD_HTTP_OK, json);
}
