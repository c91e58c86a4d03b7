#include "agent/engine/rule_counters.h"

#include <stdlib.h>

#include "agent/engine/decision.h"

const char *rule_outcome_name(enum rule_outcome outcome)
{
    static const char *const names[RULE_OUTCOMES] = {
#define RULE_OUTCOME_TEXT(name, text) [RULE_OUTCOME_##name] = (text),
        RULE_OUTCOME_TABLE(RULE_OUTCOME_TEXT)
#undef RULE_OUTCOME_TEXT
    };
    return names[outcome];
}

/* ---- life ---------------------------------------------------------------------------------- */

struct rule_counters *rule_counters_create(struct ruleset *rules)
{
    struct rule_counters *counters =
        calloc(1, sizeof(*counters) + rules->set->rule_count * sizeof(counters->counts[0]));
    if (!counters)
        return NULL;
    counters->rules = ruleset_hold(rules);
    atomic_init(&counters->references, 1);
    return counters;
}

struct rule_counters *rule_counters_hold(struct rule_counters *counters)
{
    atomic_fetch_add(&counters->references, 1);
    return counters;
}

void rule_counters_release(struct rule_counters *counters)
{
    if (!counters || atomic_fetch_sub(&counters->references, 1) != 1)
        return;
    ruleset_release(counters->rules);
    free(counters);
}

/* ---- by name ------------------------------------------------------------------------------- */

/* The rules of a set by name: open addressing, at most half full. */
struct places {
    const struct rules_set *set;
    uint32_t *entries; /* 1 + a rule's index; 0: free */
    size_t mask;
};

static bool places_open(struct places *places, const struct rules_set *set)
{
    size_t capacity = 2;
    while (capacity < 2 * set->rule_count)
        capacity *= 2;
    *places = (struct places){set, calloc(capacity, sizeof(uint32_t)), capacity - 1};
    for (size_t i = 0; places->entries && i < set->rule_count; i++) {
        size_t at = hash64(set->rules[i].name, set->seed) & places->mask;
        while (places->entries[at])
            at = (at + 1) & places->mask;
        places->entries[at] = (uint32_t)i + 1;
    }
    return places->entries != NULL;
}

/* SIZE_MAX: there is no rule of that name. */
static size_t places_find(const struct places *places, struct slice name)
{
    size_t at = hash64(name, places->set->seed) & places->mask;
    for (; places->entries[at]; at = (at + 1) & places->mask)
        if (slice_equal(places->set->rules[places->entries[at] - 1].name, name))
            return places->entries[at] - 1;
    return SIZE_MAX;
}

static void add(struct rule_counts *to, const struct rule_counts *from)
{
    for (size_t i = 0; i < RULE_OUTCOMES; i++)
        counter_add(&to->by[i], counter_read(&from->by[i]));
}

/* How many rules at the beginning of two sets have the same names: mostly all of them. */
static size_t common_beginning(const struct rules_set *a, const struct rules_set *b)
{
    size_t i = 0;
    while (i < a->rule_count && i < b->rule_count &&
           slice_equal(a->rules[i].name, b->rules[i].name))
        i++;
    return i;
}

bool rule_counters_add(struct rule_counters *to, const struct rule_counters *from)
{
    const struct rules_set *set = to->rules->set;
    const struct rules_set *other = from->rules->set;
    size_t same = to->rules == from->rules ? set->rule_count : common_beginning(set, other);
    struct places places = {.entries = NULL};
    if (same < set->rule_count && same < other->rule_count && !places_open(&places, other))
        return false;
    for (size_t i = 0; i < same; i++)
        add(&to->counts[i], &from->counts[i]);
    for (size_t i = same; places.entries && i < set->rule_count; i++) {
        size_t at = places_find(&places, set->rules[i].name);
        if (at != SIZE_MAX)
            add(&to->counts[i], &from->counts[at]);
    }
    free(places.entries);
    return true;
}

/* ---- counting ------------------------------------------------------------------------------ */

static enum rule_outcome outcome_of(const struct engine_take *take, const struct answer *answer)
{
    if (take->role == ENGINE_CHARGED)
        return RULE_OUTCOME_CHARGED;
    if (answer_is_refusal(take))
        return take->role == ENGINE_SHADOW ? RULE_OUTCOME_SHADOW : RULE_OUTCOME_REFUSED;
    bool waits = answer->delay && take->limit->rule->mode == RULES_DELAY;
    return waits ? RULE_OUTCOME_DELAYED : RULE_OUTCOME_ALLOWED;
}

size_t rule_outcome_of(const struct engine_decision *decision, size_t first,
                       enum rule_outcome *outcome)
{
    const struct engine_take *takes = decision->takes;
    size_t i = first;
    *outcome = outcome_of(&takes[i], &decision->answer);
    while (++i < decision->count && takes[i].limit->rule == takes[first].limit->rule &&
           takes[i].role == takes[first].role) {
        enum rule_outcome next = outcome_of(&takes[i], &decision->answer);
        *outcome = next > *outcome ? next : *outcome;
    }
    return i - first;
}

static void count_one(struct rule_counters *counters, const struct rules_rule *rule,
                      enum rule_outcome outcome)
{
    if (rule)
        counter_add(&counters->counts[rule->index].by[outcome], 1);
}

void rule_counters_count(struct rule_counters *counters, const struct ruleset *rules,
                         const struct engine_decision *decision)
{
    if (counters->rules != rules)
        return;
    for (size_t i = 0; i < decision->count;) {
        const struct rules_rule *rule = decision->takes[i].limit->rule;
        enum rule_outcome outcome;
        i += rule_outcome_of(decision, i, &outcome);
        count_one(counters, rule, outcome);
    }
    count_one(counters, decision->named.allows, RULE_OUTCOME_ALLOWED);
    count_one(counters, decision->named.unlimited, RULE_OUTCOME_ALLOWED);
    count_one(counters, decision->named.denies, RULE_OUTCOME_REFUSED);
}
