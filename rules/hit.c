#include "rules/compiled.h"

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
    hit->cost = 1;
}
