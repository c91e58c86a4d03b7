#include <stdlib.h>

#include "rules/compiled.h"

int rules_slot(const struct rules_set *set, struct slice argument)
{
    return argument.size > RULES_NAME_MAX ? -1
                                          : (int)rules__names_find(&set->index->slots, argument);
}

int rules_message(const struct rules_set *set, struct slice name)
{
    return name.size > RULES_NAME_MAX ? -1 : (int)rules__names_find(&set->index->messages, name);
}

bool rules__index_build(struct rules_set *set)
{
    struct rules__index *index = set->index;
    for (size_t i = 0; i < set->rule_count; i++) {
        int32_t message = set->rules[i].message;
        (message < 0 ? &index->any : &index->of_message[message])->count++;
        if (set->rules[i].charge)
            index->of_message[set->rules[i].charge->message].count++;
    }
    for (size_t m = 0; m <= RULES_MAX_MESSAGES; m++) {
        struct rules__rule_list *list = m ? &index->of_message[m - 1] : &index->any;
        if (list->count)
            list->indexes = arena_array(&set->arena, list->count, sizeof(*list->indexes));
        if (list->count && !list->indexes)
            return false;
        list->count = 0;
    }
    for (size_t i = 0; i < set->rule_count; i++) {
        int32_t message = set->rules[i].message;
        struct rules__rule_list *list = message < 0 ? &index->any : &index->of_message[message];
        list->indexes[list->count++] = (uint32_t)i;
        if (set->rules[i].charge) {
            list = &index->of_message[set->rules[i].charge->message];
            list->indexes[list->count++] = (uint32_t)i;
        }
    }
    return true;
}

/* What rules_match does with a rule that may apply. True when the search ends with it. */
static bool consider(struct rules_matcher *matcher, int message, uint32_t index,
                     struct rules_hit *hits, size_t *count)
{
    const struct rules_set *set = matcher->set;
    const struct rules_rule *rule = &set->rules[index];
    const struct rules__charge *charge = rule->charge;
    if (charge && charge->message != message)
        charge = NULL;
    if (charge ? !rules__hold(charge->conditions, charge->condition_count, matcher)
               : !rules__hold(rule->conditions, rule->condition_count, matcher))
        return false;
    rules__hit(set, rule, matcher->values, &hits[*count]);
    if (charge && hits[*count].kind == RULES_HIT_LIMIT)
        hits[*count].kind = RULES_HIT_CHARGE;
    (*count)++;
    return rule->action != RULES_ACTION_LIMIT;
}

struct rules_matcher *rules_matcher_create(const struct rules_set *set)
{
    struct rules_matcher *matcher = calloc(1, sizeof(*matcher));
    if (!matcher)
        return NULL;
    matcher->set = set;
    matcher->values = calloc(set->slot_count + 1, sizeof(*matcher->values));
    if (!matcher->values || !rules__regex_room_open(&matcher->regex, &set->index->regexes)) {
        rules_matcher_free(matcher);
        return NULL;
    }
    return matcher;
}

void rules_matcher_free(struct rules_matcher *matcher)
{
    if (!matcher)
        return;
    rules__regex_room_free(&matcher->regex);
    free(matcher->values);
    free(matcher);
}

uint64_t rules_regex_overruns(const struct rules_matcher *matcher)
{
    return matcher->regex.overruns;
}

size_t rules_match(struct rules_matcher *matcher, int message, const struct value *values,
                   struct rules_hit *hits)
{
    static const struct rules__rule_list none = {NULL, 0};
    const struct rules_set *set = matcher->set;
    const struct rules__rule_list *any = &set->index->any;
    const struct rules__rule_list *named =
        message >= 0 && message < RULES_MAX_MESSAGES ? &set->index->of_message[message] : &none;
    size_t count = 0;
    size_t a = 0;
    size_t n = 0;
    matcher->regex.overruns_of_message = 0;
    for (size_t i = 0; i < set->slot_count; i++)
        matcher->values[i] = rules__canonical(&values[i]);
    while (a < any->count || n < named->count) {
        bool take_any =
            n == named->count || (a < any->count && any->indexes[a] < named->indexes[n]);
        uint32_t index = take_any ? any->indexes[a++] : named->indexes[n++];
        if (consider(matcher, message, index, hits, &count))
            break;
    }
    return count;
}
