#include "agent/engine/comparison.h"

#define PLACES ((size_t)4 * COMPARISON_RULES_MAX)

void comparison_rules_open(struct comparison_rules *rules)
{
    pthread_mutex_init(&rules->lock, NULL);
}

void comparison_rules_close(struct comparison_rules *rules)
{
    pthread_mutex_destroy(&rules->lock);
}

/* Its index; COMPARISON_RULES_MAX when it isn't there, with the place where it belongs. No more
 * than a quarter of the places are taken, so there always is one. */
static size_t find(const struct comparison_rules *rules, enum comparison_side side,
                   struct slice name, size_t *place)
{
    *place = hash64(name, (uint64_t)side) % PLACES;
    for (;; *place = (*place + 1) % PLACES) {
        uint16_t found = atomic_load_explicit(&rules->places[*place], memory_order_acquire);
        if (!found)
            return COMPARISON_RULES_MAX;
        const struct comparison_rule *rule = &rules->rules[found - 1];
        if (rule->side == side && slice_equal(slice_of(rule->name, rule->size), name))
            return found - 1u;
    }
}

static size_t add(struct comparison_rules *rules, enum comparison_side side, struct slice name)
{
    size_t place;
    size_t index = find(rules, side, name, &place); /* another may have been faster */
    uint32_t count = atomic_load_explicit(&rules->count, memory_order_relaxed);
    if (index < COMPARISON_RULES_MAX)
        return index;
    if (count == COMPARISON_RULES_MAX)
        return COMPARISON_RULES_MAX + side;
    struct comparison_rule *rule = &rules->rules[count];
    rule->side = side;
    rule->size = (uint8_t)name.size;
    memcpy(rule->name, name.data, name.size);
    atomic_store_explicit(&rules->places[place], (uint16_t)(count + 1), memory_order_release);
    atomic_store_explicit(&rules->count, count + 1, memory_order_release);
    return count;
}

size_t comparison_rules_index(struct comparison_rules *rules, enum comparison_side side,
                              struct slice name)
{
    size_t place;
    size_t index = find(rules, side, name, &place);
    if (index < COMPARISON_RULES_MAX)
        return index;
    if (atomic_load_explicit(&rules->count, memory_order_acquire) == COMPARISON_RULES_MAX)
        return COMPARISON_RULES_MAX + side;
    pthread_mutex_lock(&rules->lock);
    index = add(rules, side, name);
    pthread_mutex_unlock(&rules->lock);
    return index;
}
