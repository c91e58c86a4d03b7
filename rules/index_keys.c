#include "rules/index.h"
#include "rules/operator.h"

/* What is entered of a condition. */

uint64_t rules__lookup_seed(uint64_t seed, int32_t message, uint32_t slot,
                            enum rules__lookup_kind kind)
{
    const uint32_t words[] = {(uint32_t)message, slot, (uint32_t)kind};
    return hash64(slice_of(words, sizeof(words)), seed);
}

static uint64_t seed_of(const struct rules__walk *walk, uint32_t slot, enum rules__lookup_kind kind)
{
    return rules__lookup_seed(walk->seed, walk->trigger->message, slot, kind);
}

static void walk_values(struct rules__walk *walk, const struct rules__condition *condition)
{
    for (size_t i = 0; i < condition->count; i++) {
        const struct value *value = &condition->values[i];
        struct rules__key key = {.kind = RULES__LOOKUP_EQUAL};
        if (condition->ignores_case && value->type == VALUE_STRING) {
            uint64_t state = seed_of(walk, condition->slot, RULES__LOOKUP_EQUAL_LOWER);
            for (size_t b = 0; b < value->bytes.size; b++)
                state = rules__hash_byte(state, value->bytes.data[b]);
            key = (struct rules__key){RULES__LOOKUP_EQUAL_LOWER, (uint32_t)value->bytes.size,
                                      rules__hash_end(state)};
        } else {
            key.hash = rules__hash_value(value, seed_of(walk, condition->slot, key.kind));
        }
        walk->found(walk, condition->slot, &key);
    }
}

static void walk_texts(struct rules__walk *walk, const struct rules__condition *condition)
{
    bool is_suffix = condition->holds == rules__holds_suffix;
    enum rules__lookup_kind kind =
        is_suffix ? (condition->ignores_case ? RULES__LOOKUP_SUFFIX_LOWER : RULES__LOOKUP_SUFFIX)
                  : (condition->ignores_case ? RULES__LOOKUP_PREFIX_LOWER : RULES__LOOKUP_PREFIX);
    for (size_t i = 0; i < condition->count; i++) {
        struct slice text = condition->texts[i];
        uint64_t state = seed_of(walk, condition->slot, kind);
        for (size_t b = 0; b < text.size; b++)
            state = rules__hash_byte(state, text.data[is_suffix ? text.size - 1 - b : b]);
        walk->found(walk, condition->slot,
                    &(struct rules__key){kind, (uint32_t)text.size, rules__hash_end(state)});
    }
}

/* A range is a network: those that overlap are inside one another, and so no range is the sum of
 * several. Its prefix is what its ends have in common. */
static void walk_range(struct rules__walk *walk, uint32_t slot, const struct rules__range *range)
{
    unsigned bits = range->first.bytes[0] == 4 ? 32 : 128;
    unsigned prefix = 0;
    uint64_t seed = seed_of(walk, slot, RULES__LOOKUP_NETWORK);
    while (prefix < bits) {
        uint8_t differ = range->first.bytes[1 + prefix / 8] ^ range->last.bytes[1 + prefix / 8];
        if (differ >> (7 - prefix % 8) & 1)
            break;
        prefix++;
    }
    walk->found(walk, slot,
                &(struct rules__key){RULES__LOOKUP_NETWORK,
                                     prefix + (bits == 32 ? 0 : RULES__LENGTH_IPV6),
                                     rules__hash_network(&range->first, prefix, seed)});
}

static bool is_network(const struct rules__condition *condition)
{
    return condition->holds == rules__holds_cidr;
}

bool rules__can_enter(const struct rules__condition *condition)
{
    bool has_keys = condition->holds == rules__holds_equal ||
                    condition->holds == rules__holds_prefix ||
                    condition->holds == rules__holds_suffix || is_network(condition);
    return has_keys && !condition->negated && condition->count <= RULES__INDEX_CONDITION_MAX;
}

void rules__walk_keys(struct rules__walk *walk, const struct rules__condition *condition)
{
    if (is_network(condition))
        for (size_t i = 0; i < condition->count; i++)
            walk_range(walk, condition->slot, &condition->ranges[i]);
    else if (condition->holds == rules__holds_equal)
        walk_values(walk, condition);
    else
        walk_texts(walk, condition);
}
