#include "agent/top/view.h"

#include <math.h>
#include <stdlib.h>

void top_sample_free(struct top_sample *sample)
{
    json_decref(sample->stats);
    json_decref(sample->health);
    json_decref(sample->top);
    *sample = (struct top_sample){0};
}

/* ---- what JSON says -------------------------------------------------------------------------- */

void top_clean(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static void read_text(const json_t *object, const char *name, char text[TOP_TEXT_MAX + 1])
{
    const char *said = json_string_value(json_object_get(object, name));
    size_t size = said ? strnlen(said, TOP_TEXT_MAX + 1) : 0;
    bool is_cut = size > TOP_TEXT_MAX;
    if (is_cut)
        size = TOP_TEXT_MAX;
    if (size)
        memcpy(text, said, size);
    text[size] = '\0';
    if (is_cut)
        memcpy(text + TOP_TEXT_MAX - 3, "...", 3);
    top_clean(text);
}

static uint64_t read_count(const json_t *object, const char *name)
{
    double number = json_number_value(json_object_get(object, name));
    return number > 0 && number < 1e18 ? (uint64_t)number : 0;
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_number(number) ? json_number_value(number) : NAN;
}

/* What a counter has grown by a second; NaN where it fell, as it does when an agent is begun
 * anew. */
static double rate_of(const json_t *now, const json_t *before, const char *name, double seconds)
{
    double grown = number_of(now, name) - number_of(before, name);
    return grown >= 0 && seconds > 0 ? grown / seconds : NAN;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static bool has_name(const json_t *rule, const char *name)
{
    const char *own = json_string_value(json_object_get(rule, "rule"));
    return own && strcmp(own, name) == 0;
}

/* The same rule before, most often at the same place. */
static const json_t *rule_before(const json_t *rules, size_t place, const char *name)
{
    const json_t *same = json_array_get(rules, place);
    if (!name || has_name(same, name))
        return name ? same : NULL;
    for (size_t i = 0; i < json_array_size(rules) && i < TOP_RULES_MAX; i++)
        if (has_name(json_array_get(rules, i), name))
            return json_array_get(rules, i);
    return NULL;
}

static void read_rules(struct top_view *view, const json_t *now, const json_t *before,
                       double seconds)
{
    for (size_t i = 0; i < json_array_size(now) && view->rule_count < TOP_RULES_MAX; i++) {
        const json_t *said = json_array_get(now, i);
        const json_t *last =
            rule_before(before, i, json_string_value(json_object_get(said, "rule")));
        struct top_rule *rule = &view->rules[view->rule_count++];
        read_text(said, "rule", rule->name);
        rule->place = i;
        rule->refused = rate_of(said, last, "refused", seconds);
        rule->shadow = rate_of(said, last, "shadow", seconds);
        rule->delayed = rate_of(said, last, "delayed", seconds);
        rule->decisions =
            rate_of(said, last, "allowed", seconds) + rule->refused + rule->shadow + rule->delayed;
    }
}

/* What isn't known is last. */
static int compare_rates(double a, double b)
{
    double first = isnan(a) ? -1 : a;
    double second = isnan(b) ? -1 : b;
    return (first < second) - (first > second);
}

static int compare_places(const struct top_rule *a, const struct top_rule *b)
{
    return (a->place > b->place) - (a->place < b->place);
}

static int compare_by_refused(const void *first, const void *second)
{
    const struct top_rule *a = first;
    const struct top_rule *b = second;
    int order = compare_rates(a->refused, b->refused);
    if (!order)
        order = compare_rates(a->decisions, b->decisions);
    return order ? order : compare_places(a, b);
}

static int compare_by_requests(const void *first, const void *second)
{
    const struct top_rule *a = first;
    const struct top_rule *b = second;
    int order = compare_rates(a->decisions, b->decisions);
    return order ? order : compare_places(a, b);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void read_keys(struct top_view *view, const json_t *top)
{
    const json_t *keys = json_object_get(top, "keys");
    view->tells_keys = json_is_array(keys);
    view->keys_seconds = number_of(top, "seconds");
    for (size_t i = 0; i < json_array_size(keys) && view->key_count < TOP_KEYS_MAX; i++) {
        const json_t *said = json_array_get(keys, i);
        struct top_key *key = &view->keys[view->key_count++];
        read_text(said, "rule", key->rule);
        read_text(said, "key", key->key);
        key->requests = number_of(said, "requests_per_second");
        key->refused = number_of(said, "refused_per_second");
    }
}

static void read_health(struct top_view *view, const json_t *health)
{
    const json_t *shards = json_object_get(health, "shards");
    read_text(health, "status", view->status);
    read_text(health, "store", view->store);
    read_text(health, "instance_id", view->instance);
    view->agents = read_count(health, "agents");
    view->shards = json_array_size(shards);
    for (size_t i = 0; i < json_array_size(shards); i++) {
        const json_t *shard = json_array_get(shards, i);
        const char *breaker = json_string_value(json_object_get(shard, "breaker"));
        view->shards_up += read_count(shard, "workers_connected") == read_count(shard, "workers");
        view->closed += breaker && strcmp(breaker, "closed") == 0;
        view->half_open += breaker && strcmp(breaker, "half-open") == 0;
        view->open += breaker && strcmp(breaker, "open") == 0;
    }
}

static void read_totals(struct top_view *view, const json_t *now, const json_t *before,
                        double seconds)
{
    const json_t *decisions = json_object_get(now, "decisions");
    const json_t *last = json_object_get(before, "decisions");
    const json_t *fallbacks = json_object_get(now, "fallbacks");
    const json_t *fallbacks_last = json_object_get(before, "fallbacks");
    view->refused = rate_of(decisions, last, "refused", seconds);
    view->decisions = rate_of(decisions, last, "allowed", seconds) + view->refused;
    view->shadow = rate_of(decisions, last, "shadow_refused", seconds);
    view->delayed = rate_of(decisions, last, "delayed", seconds);
    view->fallbacks = rate_of(fallbacks, fallbacks_last, "full", seconds) +
                      rate_of(fallbacks, fallbacks_last, "unavailable", seconds) +
                      rate_of(fallbacks, fallbacks_last, "late", seconds);
    view->connections = read_count(json_object_get(now, "connections"), "open");
    view->connections_max = read_count(json_object_get(now, "connections"), "max");
    view->keys_held = read_count(json_object_get(now, "keys"), "held");
    view->keys_max = read_count(json_object_get(now, "keys"), "max");
    read_text(now, "version", view->version);
}

void top_view_make(struct top_view *view, const struct top_sample *now,
                   const struct top_sample *before, enum top_order order)
{
    double seconds = now->at - before->at;
    *view = (struct top_view){0};
    read_totals(view, now->stats, before->stats, seconds);
    read_health(view, now->health);
    read_rules(view, json_object_get(now->stats, "rules"), json_object_get(before->stats, "rules"),
               seconds);
    qsort(view->rules, view->rule_count, sizeof(*view->rules),
          order == TOP_BY_REFUSED ? compare_by_refused : compare_by_requests);
    read_keys(view, now->top);
}
