#include "rules/explain.h"

#include "rules/operator.h"

const struct rules_use *rules_uses(const struct rules_set *set)
{
    return set->index->uses;
}

size_t rules_message_count(const struct rules_set *set)
{
    return set->index->messages.count;
}

struct slice rules_message_name(const struct rules_set *set, int message)
{
    const struct rules__names *names = &set->index->messages;
    for (size_t i = 0; message >= 0 && i < names->capacity; i++)
        if (names->entries[i].name.data && names->entries[i].number == (uint32_t)message)
            return names->entries[i].name;
    return slice_of(NULL, 0);
}

/* ---- why a rule doesn't match -------------------------------------------------------------- */

struct blame {
    struct rules_matcher *matcher;
    struct rules_failure *failures;
    size_t room;
    size_t count;
};

static void add_failure(struct blame *blame, const struct rules__condition *condition, bool wanted)
{
    if (blame->count++ >= blame->room)
        return;
    blame->failures[blame->count - 1] = (struct rules_failure){
        .slot = condition->slot,
        .absent = blame->matcher->values[condition->slot].type == VALUE_NULL,
        .unwanted = !wanted,
        .operator_name = rules__operators[condition->operator_index].name,
        .line = condition->line,
        .column = condition->column,
    };
}

/* Blames what makes a condition other than is wanted. What is to be wrong in a group is looked for
 * as deep as groups go, which the file's depth bounds. */
static void blame_condition(struct blame *blame, const struct rules__condition *condition,
                            bool wanted)
{
    if (rules__hold(condition, 1, blame->matcher) == wanted)
        return;
    if (condition->holds) {
        add_failure(blame, condition, wanted);
        return;
    }
    for (size_t i = 0; i < condition->count; i++)
        blame_condition(blame, &condition->children[i], wanted != condition->negated);
}

int rules_charge_message(const struct rules_rule *rule)
{
    return rule->charge ? rule->charge->message : -1;
}

size_t rules_failures(struct rules_matcher *matcher, const struct rules_rule *rule, int message,
                      struct rules_failure *failures, size_t room)
{
    struct blame blame = {matcher, failures, room, 0};
    const struct rules__condition *conditions = rule->conditions;
    size_t count = rule->condition_count;
    if (rule->charge && rule->charge->message == message) {
        conditions = rule->charge->conditions;
        count = rule->charge->condition_count;
    }
    for (size_t i = 0; i < count; i++)
        blame_condition(&blame, &conditions[i], true);
    return blame.count;
}

int rules_missing_key(const struct rules_matcher *matcher, const struct rules_rule *rule)
{
    struct value counted;
    for (size_t i = 0; i < rule->key_count; i++)
        if (!rules__key_value(&rule->key[i], &matcher->values[rule->key[i].slot], &counted))
            return (int)rule->key[i].slot;
    return -1;
}

/* ---- how far a refusal reaches ------------------------------------------------------------- */

const char *rules_refusal_depends(const struct rules_rule *rule, struct rules_address_key *key)
{
    const struct rules__key_part *part = rule->key;
    if (rule->key_count != 1 || part->has_default)
        return "its key is not an address alone";
    if (rule->tiers)
        return "its limits are an argument's";
    if (rule->cost && rule->cost->from_argument)
        return "its cost is an argument's";
    if (rule->charge_denied || rule->penalty_mark)
        return "it counts what is refused";
    if (rule->consistency == RULES_LEASED)
        return "units that are taken ahead come back";
    *key = (struct rules_address_key){part->slot, part->is_network ? part->ipv4_prefix : 32,
                                      part->is_network ? part->ipv6_prefix : 128};
    return NULL;
}
