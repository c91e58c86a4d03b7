#include "rules/operator.h"
#include "rules/warn.h"

/* Pairs of rules that are compared at most; a file that has more is not told of all of them. */
#define PAIRS_MAX 20000000u

/* Values of a condition, and comparisons of two's networks, at most; what has more isn't compared.
 */
#define VALUES_MAX 10000u
#define RANGES_MAX 1000000u

#define DAY UINT64_C(86400000000)

/* ---- a condition that holds wherever another does ------------------------------------------ */

static bool is_leaf(const struct rules__condition *condition)
{
    return condition->holds && !condition->negated;
}

/* Operators that ask for no more than the values themselves: no regular expression. */
static bool asks_values(const struct rules__condition *condition)
{
    return condition->holds != rules__holds_regex;
}

/* Whether each of the inner condition's values fulfils the outer one. */
static bool holds_for_values(const struct rules__condition *outer,
                             const struct rules__condition *inner)
{
    for (size_t i = 0; i < inner->count; i++)
        if (!outer->holds(outer, &inner->values[i], NULL))
            return false;
    return true;
}

/* The same for texts that begin, end with or contain the inner one's: what is in these is in them.
 */
static bool holds_for_texts(const struct rules__condition *outer,
                            const struct rules__condition *inner)
{
    bool is_same = outer->holds == inner->holds;
    bool is_contains = inner->holds == rules__holds_contains;
    if (!is_same && outer->holds != rules__holds_contains)
        return false;
    for (size_t i = 0; i < inner->count; i++) {
        struct slice text = is_contains ? inner->needles[i].text : inner->texts[i];
        struct value value = {.type = VALUE_STRING, .bytes = text};
        if (!outer->holds(outer, &value, NULL))
            return false;
    }
    return true;
}

static bool holds_for_ranges(const struct rules__condition *outer,
                             const struct rules__condition *inner)
{
    if (outer->count > RANGES_MAX / inner->count)
        return false;
    for (size_t i = 0; i < inner->count; i++) {
        bool inside = false;
        for (size_t j = 0; j < outer->count && !inside; j++)
            inside = memcmp(&outer->ranges[j].first, &inner->ranges[i].first,
                            sizeof(struct rules__address)) <= 0 &&
                     memcmp(&outer->ranges[j].last, &inner->ranges[i].last,
                            sizeof(struct rules__address)) >= 0;
        if (!inside)
            return false;
    }
    return true;
}

static bool has_name(const struct rules__condition *condition, const char *name)
{
    return strcmp(rules__operators[condition->operator_index].name, name) == 0;
}

static bool is_of_networks(const struct rules__condition *condition)
{
    return has_name(condition, "cidr") || has_name(condition, "cidr_file");
}

/* Whether the outer condition certainly holds where the inner one does. False where that would take
 * more thought. */
static bool implied(const struct rules__condition *outer, const struct rules__condition *inner)
{
    if (!is_leaf(outer) || !is_leaf(inner) || outer->slot != inner->slot)
        return false;
    if (has_name(outer, "exists"))
        return true; /* nothing holds for what wasn't sent */
    if (!asks_values(outer) || !asks_values(inner) || outer->count == 0 || inner->count == 0)
        return false;
    if (inner->count > VALUES_MAX || (inner->ignores_case && !outer->ignores_case))
        return false;
    if (inner->holds == rules__holds_equal)
        return holds_for_values(outer, inner);
    if (inner->holds == rules__holds_prefix || inner->holds == rules__holds_suffix ||
        inner->holds == rules__holds_contains)
        return holds_for_texts(outer, inner);
    return is_of_networks(outer) && is_of_networks(inner) && holds_for_ranges(outer, inner);
}

/* Whether the first rule matches all that the second one does. */
static bool covers(const struct rules_rule *first, const struct rules_rule *second)
{
    if (first->message >= 0 && first->message != second->message)
        return false;
    for (size_t i = 0; i < first->condition_count; i++) {
        bool is_implied = false;
        for (size_t j = 0; j < second->condition_count && !is_implied; j++)
            is_implied = implied(&first->conditions[i], &second->conditions[j]);
        if (!is_implied)
            return false;
    }
    return true;
}

/* ---- rules that are never reached ---------------------------------------------------------- */

static void warn_unreachable(const struct rules_set *set, struct rules_report *report)
{
    size_t pairs = 0;
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        const struct rules_rule *by = NULL;
        for (size_t j = 0; j < i && !by && pairs < PAIRS_MAX; j++, pairs++)
            if (set->rules[j].action != RULES_ACTION_LIMIT && covers(&set->rules[j], rule))
                by = &set->rules[j];
        struct rules__place place = rules__place(set, rule->file, rule->line, rule->column);
        if (by)
            rules__report_at(report, &place,
                             "warning: rule %.*s never matches, since %.*s (%s, action: %s) "
                             "ends the search for all that it would match",
                             SLICE_ARGS(rule->name), SLICE_ARGS(by->name),
                             RULES__WHERE(set, by, rule->file),
                             by->action == RULES_ACTION_ALLOW ? "allow" : "deny");
    }
}

/* ---- limits -------------------------------------------------------------------------------- */

static struct rules__place place_of(const struct rules_set *set, const struct rules_limit *limit)
{
    return rules__place(set, limit->rule->file, limit->rule->line, limit->rule->column);
}

static void warn_window(const struct rules_set *set, const struct rules_limit *limit,
                        struct rules_report *report)
{
    char text[32];
    struct writer w = writer_open(text, sizeof(text));
    rules_print_duration(limit->limit.window, &w);
    struct rules__place place = place_of(set, limit);
    rules__report_at(report, &place,
                     "warning: limit %.*s has a window of %.*s, and its counts are in this agent's "
                     "memory, gone when it ends, expected a store that keeps them (mode single, "
                     "sentinel, ketama or cluster), or a window of at most 1d",
                     SLICE_ARGS(limit->name), SLICE_ARGS(writer_slice(&w)));
}

static void warn_share(const struct rules_set *set, const struct rules_limit *limit,
                       struct rules_report *report)
{
    struct rules__place place = place_of(set, limit);
    rules__report_at(report, &place,
                     "warning: limit %.*s is 1, which can't be divided: while the store is away "
                     "each agent admits 1, expected a greater limit, or on_store_error: deny or "
                     "allow",
                     SLICE_ARGS(limit->name));
}

/* What is said of a rule's limits, once for all of its tiers and overrides. */
static void warn_limits(const struct rules_set *set, const struct rules_rule *rule,
                        struct rules_report *report)
{
    bool is_memory = set->settings.store.mode == RULES_STORE_MEMORY;
    const struct rules_limit *long_one = NULL;
    const struct rules_limit *small_one = NULL;
    for (size_t i = 0; i < rule->list_count; i++) {
        for (size_t l = 0; l < rule->lists[i].count; l++) {
            const struct rules_limit *limit = &rule->lists[i].limits[l];
            if (is_memory && limit->limit.window > DAY && !long_one)
                long_one = limit;
            if (!is_memory && limit->limit.units == 1 && !small_one &&
                rule->on_store_error == RULES_FALLBACK_LOCAL)
                small_one = limit;
        }
    }
    if (long_one)
        warn_window(set, long_one, report);
    if (small_one)
        warn_share(set, small_one, report);
}

void rules__warn_rules(const struct rules_set *set, struct rules_report *report)
{
    warn_unreachable(set, report);
    for (size_t i = 0; i < set->rule_count; i++)
        warn_limits(set, &set->rules[i], report);
}
