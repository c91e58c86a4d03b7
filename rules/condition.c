#include "rules/compiled.h"

static bool any_holds(const struct rules__condition *conditions, size_t count,
                      struct rules_matcher *matcher);

static bool holds(const struct rules__condition *condition, struct rules_matcher *matcher)
{
    const struct value *value = &matcher->values[condition->slot];
    bool outcome;
    if (condition->holds)
        outcome = value->type != VALUE_NULL && condition->holds(condition, value, matcher);
    else if (condition->is_any)
        outcome = any_holds(condition->children, condition->count, matcher);
    else
        outcome = rules__hold(condition->children, condition->count, matcher);
    return outcome != condition->negated;
}

static bool any_holds(const struct rules__condition *conditions, size_t count,
                      struct rules_matcher *matcher)
{
    for (size_t i = 0; i < count; i++)
        if (holds(&conditions[i], matcher))
            return true;
    return false;
}

bool rules__hold(const struct rules__condition *conditions, size_t count,
                 struct rules_matcher *matcher)
{
    for (size_t i = 0; i < count; i++)
        if (!holds(&conditions[i], matcher))
            return false;
    return true;
}
