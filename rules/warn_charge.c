#include "rules/compiled.h"
#include "rules/loader.h"
#include "rules/warn.h"

/* Whether one of the conditions, however deep it stands, is about a slot. */
static bool ask_for(const struct rules__condition *conditions, size_t count, uint32_t slot)
{
    for (size_t i = 0; i < count; i++) {
        const struct rules__condition *condition = &conditions[i];
        bool asks = condition->holds ? condition->slot == slot
                                     : ask_for(condition->children, condition->count, slot);
        if (asks)
            return true;
    }
    return false;
}

/* Whether who is counted, or whether it is charged, depends on a slot at the charge's message. */
static bool charge_heeds(const struct rules_rule *rule, uint32_t slot)
{
    for (size_t i = 0; i < rule->key_count; i++)
        if (rule->key[i].slot == slot)
            return true;
    return ask_for(rule->charge->conditions, rule->charge->condition_count, slot);
}

static bool is_sent(const struct rules_sent_list *sent, struct slice message, struct slice argument)
{
    for (size_t m = 0; m < sent->count; m++) {
        const struct rules_sent *one = &sent->messages[m];
        for (size_t i = 0; slice_equal(slice_of_string(one->message), message) && i < one->count;
             i++)
            if (slice_equal(slice_of_string(one->arguments[i]), argument))
                return true;
    }
    return false;
}

/* The first argument that the rule's match looks at and the charge's message has; -1 where there is
 * none, or the charge heeds any of those that the match looks at. */
static int64_t forgotten(const struct rules_set *set, const struct rules_rule *rule,
                         const struct rules_sent_list *sent)
{
    struct slice message = rules_message_name(set, rule->charge->message);
    int64_t found = -1;
    for (size_t i = 0; i < rule->condition_count; i++) {
        const struct rules__condition *condition = &rule->conditions[i];
        if (!condition->holds) /* which of a group's is meant isn't known */
            return -1;
        if (charge_heeds(rule, condition->slot))
            return -1;
        if (found < 0 && is_sent(sent, message, set->slot_names[condition->slot]))
            found = condition->slot;
    }
    return found;
}

void rules__warn_charges(const struct rules_set *set, const struct rules_sent_list *sent,
                         struct rules_report *report)
{
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        int64_t slot = rule->charged_later ? forgotten(set, rule, sent) : -1;
        if (slot < 0)
            continue;
        struct slice argument = set->slot_names[slot];
        struct slice message = rules_message_name(set, rule->charge->message);
        struct rules__place place = rules__place(set, rule->file, rule->line, rule->column);
        rules__report_at(report, &place,
                         "warning: rule %.*s is checked for some values of %.*s and charged at "
                         "%.*s, which has it too, for any, expected %.*s in the match of charge "
                         "as well",
                         SLICE_ARGS(rule->name), SLICE_ARGS(argument), SLICE_ARGS(message),
                         SLICE_ARGS(argument));
    }
}
