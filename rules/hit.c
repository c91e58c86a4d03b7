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
    if (!rules__subject(rule, set->seed, values, &hit->subject)) {
        hit->kind = RULES_HIT_NO_KEY;
        return;
    }
    hit->limits = rule->limits;
    hit->limit_count = rule->limit_count;
    hit->cost = cost_of(rule->cost, values);
}
