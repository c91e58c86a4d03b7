/* /rules: what is in force. */
#include "agent/admin/page.h"
#include "agent/engine/rule_counters.h"

/* Rules of one answer, unless the client asks for fewer. */
#define RULES_SHOWN 1000

static json_t *limit_json(const struct rules_limit *limit)
{
    json_t *json = json_pack("{s:o, s:s, s:o, s:o}", "name", admin_text(limit->name), "algorithm",
                             limit_algorithm_name(limit->limit.algorithm), "units",
                             admin_number(limit->limit.units), "window_seconds",
                             admin_seconds(limit->limit.window));
    if (json && limit->limit.algorithm == LIMIT_TOKEN_BUCKET)
        json_object_set_new(json, "burst", admin_number(limit->limit.burst));
    return json;
}

/* As the file has it. */
static void set_words(json_t *json, const char *name, struct slice words)
{
    if (words.size)
        json_object_set_new(json, name, json_stringn((const char *)words.data, words.size));
}

static void set_limits(json_t *json, const struct rules_rule *rule)
{
    static const char *const fallbacks[] = {[RULES_FALLBACK_LOCAL] = "local",
                                            [RULES_FALLBACK_ALLOW] = "allow",
                                            [RULES_FALLBACK_DENY] = "deny"};
    static const char *const modes[] = {
        [RULES_ENFORCE] = "enforce", [RULES_SHADOW] = "shadow", [RULES_DELAY] = "delay"};
    json_t *limits = json_array();
    for (size_t i = 0; i < rule->limit_count; i++)
        json_array_append_new(limits, limit_json(&rule->limits[i]));
    json_object_set_new(json, "limits", limits);
    json_object_set_new(json, "mode", json_string(modes[rule->mode]));
    json_object_set_new(json, "enforced_percent", json_real(rule->enforce_parts / 100.));
    if (rule->max_delay)
        json_object_set_new(json, "max_delay_seconds", admin_seconds(rule->max_delay));
    json_object_set_new(json, "on_store_error", json_string(fallbacks[rule->on_store_error]));
    json_object_set_new(json, "consistency",
                        json_string(rule->consistency == RULES_LEASED ? "leased" : "exact"));
    json_object_set_new(json, "charge_denied", json_boolean(rule->charge_denied));
}

static json_t *rule_json(const struct rules_set *set, const struct rules_rule *rule)
{
    static const char *const actions[] = {[RULES_ACTION_LIMIT] = "limit",
                                          [RULES_ACTION_ALLOW] = "allow",
                                          [RULES_ACTION_DENY] = "deny"};
    const struct rules_words *words = rule->words;
    json_t *json = json_pack("{s:o, s:I, s:s}", "name", admin_text(rule->name), "line",
                             (json_int_t)rule->line, "action", actions[rule->action]);
    if (!json)
        return NULL;
    struct slice file = rules_file_of(set, rule);
    if (file.size)
        json_object_set_new(json, "file", admin_text(file));
    set_words(json, "match", words->match);
    set_words(json, "key", words->key);
    set_words(json, "tiers", words->tiers);
    set_words(json, "overrides", words->overrides);
    set_words(json, "cost", words->cost);
    set_words(json, "charge", words->charge);
    set_words(json, "penalty", words->penalty);
    if (rule->action == RULES_ACTION_LIMIT)
        set_limits(json, rule);
    return json;
}

void page_rules(struct admin_request *request)
{
    uint64_t from = 0;
    uint64_t count = RULES_SHOWN;
    if (!admin_read_number(request, "from", RULES_MAX_RULES, &from) ||
        !admin_read_number(request, "count", RULES_SHOWN, &count))
        return;
    struct rule_counters *counters = worker_rule_counters(request->control->workers[0]);
    const struct rules_set *set = counters->rules->set;
    json_t *rules = json_array();
    for (uint64_t i = from; i < set->rule_count && i - from < count; i++)
        json_array_append_new(rules, rule_json(set, &set->rules[i]));
    admin_reply_json(request, MHD_HTTP_OK,
                     json_pack("{s:o, s:o, s:o, s:o}", "loaded_at",
                               admin_number(counter_read(&request->control->counters.loaded_at)),
                               "total", admin_number(set->rule_count), "from", admin_number(from),
                               "rules", rules));
    rule_counters_release(counters);
}
