#include "rules/compiled.h"

/* Whether a text is a whole number, and which; one that is too large or small is the largest or
 * smallest there is. */
static bool number_of_text(struct slice text, uint64_t *number)
{
    bool is_negative = text.size && text.data[0] == '-';
    struct slice digits = slice_from(text, is_negative ? 1 : 0);
    for (size_t i = 0; i < digits.size; i++)
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
    if (is_negative)
        *number = 0;
    else if (!slice_to_uint64(digits, number))
        *number = UINT64_MAX;
    return digits.size > 0;
}

static uint64_t cost_of(const struct rules__cost *cost, const struct value *values)
{
    uint64_t units;
    if (!cost)
        return 1;
    if (!cost->from_argument)
        return cost->units;
    const struct value *value = &values[cost->slot];
    switch (value->type) {
    case VALUE_INT64: /* canonical: below 0 */
        units = 0;
        break;
    case VALUE_UINT64:
        units = value->natural;
        break;
    case VALUE_STRING:
        if (number_of_text(value->bytes, &units))
            break;
        return cost->units;
    default:
        return cost->units;
    }
    if (units < cost->minimum)
        return cost->minimum;
    return units < cost->maximum ? units : cost->maximum;
}

/* The list of limits that a tier or an override has for a request; -1: they have none. */
static int64_t find_override(const struct rules_rule *rule, const struct value *values)
{
    uint8_t buffer[RULES__OVERRIDE_KEY_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    if (!rule->overrides || !rules__override_key(rule, values, &w))
        return -1;
    return rules__names_find(rule->overrides, writer_slice(&w));
}

static int64_t find_tier(const struct rules__tiers *tiers, const struct value *values)
{
    static const struct rules__key_part whole = {0};
    uint8_t buffer[RULES__OVERRIDE_TEXT_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    const struct value *value = &values[tiers->slot];
    if (value->type == VALUE_NULL || !rules__key_plain(&whole, value, &w))
        return -1;
    return rules__names_find(&tiers->names, writer_slice(&w));
}

/* Which of its limits a rule has for a request. False when it doesn't apply. */
static bool choose_limits(const struct rules_rule *rule, const struct value *values,
                          struct rules_hit *hit)
{
    int64_t at = find_override(rule, values);
    if (at < 0 && rule->tiers)
        at = find_tier(rule->tiers, values);
    if (at < 0 && rule->tiers && !rule->tiers->has_default)
        return false;
    hit->limits = at < 0 ? rule->limits : rule->lists[at].limits;
    hit->limit_count = at < 0 ? rule->limit_count : rule->lists[at].count;
    return true;
}

/* Unlike a subject's hash, it is seeded by nothing: all agents are to agree, today and later. */
static bool is_enforced(const struct rules_rule *rule, const struct value *values)
{
    uint8_t buffer[RULES_NAME_MAX + 1 + RULES_SUBJECT_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    if (rule->mode == RULES_SHADOW || rule->enforce_parts == 0)
        return false;
    if (rule->enforce_parts == RULES_ENFORCE_ALL)
        return true;
    /* With the rule's name, so that not the same subjects are the first for every rule. */
    writer_bytes(&w, rule->name);
    writer_uint8(&w, 0);
    rules_subject_text(rule, values, &w);
    return hash64(writer_slice(&w), 0) % RULES_ENFORCE_ALL < rule->enforce_parts;
}

void rules__hit(const struct rules_set *set, const struct rules_rule *rule,
                const struct value *values, struct rules_hit *hit)
{
    static const enum rules_hit_kind kinds[] = {
        [RULES_ACTION_LIMIT] = RULES_HIT_LIMIT,
        [RULES_ACTION_ALLOW] = RULES_HIT_ALLOW,
        [RULES_ACTION_DENY] = RULES_HIT_DENY,
    };
    *hit = (struct rules_hit){.rule = rule, .kind = kinds[rule->action], .enforced = true};
    if (rule->action != RULES_ACTION_LIMIT)
        return;
    if (!rules__subject(rule, set->seed, values, &hit->subject) ||
        !choose_limits(rule, values, hit)) {
        hit->kind = RULES_HIT_NO_KEY;
        return;
    }
    hit->cost = cost_of(rule->cost, values);
    hit->enforced = is_enforced(rule, values);
}
