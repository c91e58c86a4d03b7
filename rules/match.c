#include <stdlib.h>

#include "rules/index.h"

int rules_slot(const struct rules_set *set, struct slice argument)
{
    return argument.size > RULES_NAME_MAX ? -1
                                          : (int)rules__names_find(&set->index->slots, argument);
}

int rules_message(const struct rules_set *set, struct slice name)
{
    return name.size > RULES_NAME_MAX ? -1 : (int)rules__names_find(&set->index->messages, name);
}

struct rules_matcher *rules_matcher_create(const struct rules_set *set)
{
    struct rules_matcher *matcher = calloc(1, sizeof(*matcher));
    if (!matcher)
        return NULL;
    matcher->set = set;
    matcher->marks = calloc(1, sizeof(*matcher->marks));
    if (!matcher->marks || !rules__marks_open(matcher->marks, set->index->table->trigger_count) ||
        !rules__regex_room_open(&matcher->regex, &set->index->regexes)) {
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
    if (matcher->marks)
        rules__marks_free(matcher->marks);
    free(matcher->marks);
    free(matcher);
}

uint64_t rules_regex_overruns(const struct rules_matcher *matcher)
{
    return matcher->regex.overruns;
}

/* Triggers that may apply to a message, in file order: those that were found, and those that are
 * always tried, of the message and of every message. */
struct candidates {
    struct rules__marks *marks;
    struct {
        const uint32_t *at, *end;
    } always[2];    /* of each class, those to come */
    uint32_t found; /* the next that was found; UINT32_MAX: none */
};

static void next_found(struct candidates *c)
{
    if (!rules__marks_next(c->marks, &c->found))
        c->found = UINT32_MAX;
}

/* The next of a class that is always tried; UINT32_MAX: there is none left. */
static uint32_t next_always(const struct candidates *c, size_t class)
{
    return c->always[class].at < c->always[class].end ? *c->always[class].at : UINT32_MAX;
}

/* False when there is none left. */
static bool next(struct candidates *c, uint32_t *trigger)
{
    uint32_t of_any = next_always(c, 0);
    uint32_t of_message = next_always(c, 1);
    if (of_any < of_message && of_any < c->found) {
        *trigger = *c->always[0].at++;
    } else if (of_message < c->found) {
        *trigger = *c->always[1].at++;
    } else {
        *trigger = c->found;
        if (c->found == UINT32_MAX)
            return false;
        next_found(c);
    }
    return true;
}

static void find(struct candidates *c, const struct rules_matcher *matcher, int message)
{
    const struct rules__table *table = matcher->set->index->table;
    bool is_named = message >= 0 && message < RULES_MAX_MESSAGES;
    *c = (struct candidates){.marks = matcher->marks, .found = UINT32_MAX};
    for (size_t i = 0; i < (is_named ? 2 : 1); i++) {
        const struct rules__class *class = i ? &table->of_message[message] : &table->any;
        c->always[i].at = class->always;
        c->always[i].end = class->always + class->always_count;
        if (class->lookup_count)
            rules__marks_add(matcher->marks, table, class, matcher->values);
    }
    next_found(c);
}

/* Of types whose values are always in canonical form, as nearly all are. */
static bool is_canonical(enum value_type type)
{
    const uint32_t types = 1u << VALUE_NULL | 1u << VALUE_BOOL | 1u << VALUE_UINT64 |
                           1u << VALUE_IPV4 | 1u << VALUE_STRING;
    return types >> type & 1;
}

static void read_values(struct rules_matcher *matcher, struct value *values)
{
    for (size_t i = 0; i < matcher->set->slot_count; i++)
        if (!is_canonical(values[i].type))
            values[i] = rules__canonical(&values[i]);
    matcher->values = values;
}

size_t rules_match(struct rules_matcher *matcher, int message, struct value *values,
                   struct rules_hit *hits)
{
    const struct rules_set *set = matcher->set;
    struct candidates candidates;
    size_t count = 0;
    uint32_t number;
    matcher->regex.overruns_of_message = 0;
    read_values(matcher, values);
    find(&candidates, matcher, message);
    while (next(&candidates, &number)) {
        const struct rules__trigger *trigger = &set->index->table->triggers[number];
        const struct rules_rule *rule = &set->rules[trigger->rule];
        if (!rules__hold(trigger->conditions, trigger->condition_count, matcher))
            continue;
        struct rules_hit *hit = &hits[count++];
        rules__hit(set, rule, values, hit);
        if (trigger->charges && hit->kind == RULES_HIT_LIMIT)
            hit->kind = RULES_HIT_CHARGE;
        if (rule->action != RULES_ACTION_LIMIT)
            break;
    }
    rules__marks_clear(matcher->marks);
    return count;
}

const struct rules_rule *rules_find(const struct rules_set *set, struct slice name)
{
    for (size_t i = 0; i < set->rule_count; i++)
        if (slice_equal(set->rules[i].name, name))
            return &set->rules[i];
    return NULL;
}

void rules_apply(struct rules_matcher *matcher, const struct rules_rule *rule, struct value *values,
                 struct rules_hit *hit)
{
    read_values(matcher, values);
    rules__hit(matcher->set, rule, matcher->values, hit);
}
