#include <stdlib.h>

#include "rules/index.h"

/* ---- hashes -------------------------------------------------------------------------------- */

uint64_t rules__hash_value(const struct value *value, uint64_t seed)
{
    if (value->type == VALUE_STRING)
        return hash64(value->bytes, seed);
    uint8_t bytes[1 + 16] = {(uint8_t)value->type};
    switch (value->type) {
    case VALUE_BOOL:
        bytes[1] = value->boolean;
        break;
    case VALUE_IPV4:
        memcpy(bytes + 1, value->address, 4);
        break;
    case VALUE_IPV6:
        memcpy(bytes + 1, value->address, 16);
        break;
    default: /* a number; of canonical values there is no other */
        memcpy(bytes + 1, &value->natural, sizeof(value->natural));
    }
    return hash64(slice_of(bytes, sizeof(bytes)), ~seed);
}

uint64_t rules__hash_network(const struct rules__address *network, unsigned prefix, uint64_t seed)
{
    return hash64(slice_of(network->bytes, RULES__ADDRESS_SIZE), seed + prefix);
}

/* ---- marks --------------------------------------------------------------------------------- */

bool rules__marks_open(struct rules__marks *marks, size_t trigger_count)
{
    size_t words = trigger_count / 64 + 1;
    marks->summary_count = words / 64 + 1;
    marks->at = marks->summary_count;
    marks->words = calloc(words, sizeof(*marks->words));
    marks->summary = calloc(marks->summary_count, sizeof(*marks->summary));
    return marks->words && marks->summary;
}

void rules__marks_free(struct rules__marks *marks)
{
    free(marks->words);
    free(marks->summary);
}

static void mark(struct rules__marks *marks, uint32_t trigger)
{
    size_t word = trigger / 64;
    marks->words[word] |= UINT64_C(1) << trigger % 64;
    marks->summary[word / 64] |= UINT64_C(1) << word % 64;
    if (word / 64 < marks->at)
        marks->at = word / 64;
}

bool rules__marks_next(struct rules__marks *marks, uint32_t *trigger)
{
    while (marks->at < marks->summary_count && marks->summary[marks->at] == 0)
        marks->at++;
    if (marks->at == marks->summary_count)
        return false;
    size_t word = marks->at * 64 + (size_t)__builtin_ctzll(marks->summary[marks->at]);
    *trigger = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(marks->words[word]);
    marks->words[word] &= marks->words[word] - 1;
    if (marks->words[word] == 0)
        marks->summary[marks->at] &= marks->summary[marks->at] - 1;
    return true;
}

void rules__marks_clear(struct rules__marks *marks)
{
    for (; marks->at < marks->summary_count; marks->at++) {
        while (marks->summary[marks->at]) {
            size_t bit = (size_t)__builtin_ctzll(marks->summary[marks->at]);
            marks->words[marks->at * 64 + bit] = 0;
            marks->summary[marks->at] &= marks->summary[marks->at] - 1;
        }
    }
}

/* ---- looking up ---------------------------------------------------------------------------- */

/* As many bytes of a rule's conditions as most have. */
#define CONDITIONS_AHEAD 256

static void prefetch(const void *memory, size_t size)
{
    for (size_t at = 0; at < size; at += 64)
        __builtin_prefetch((const uint8_t *)memory + at);
}

static void find(struct rules__marks *marks, const struct rules__table *table, uint64_t hash)
{
    size_t mask = table->capacity - 1;
    size_t at = hash & mask;
    uint8_t tag = rules__tag(hash);
    while (table->tags[at] && (table->tags[at] != tag || table->entries[at].hash != hash))
        at = (at + 1) & mask;
    if (!table->tags[at])
        return;
    const struct rules__entry *entry = &table->entries[at];
    if (entry->count == 1) {
        prefetch(&table->triggers[entry->at], sizeof(struct rules__trigger));
        prefetch(entry->conditions, CONDITIONS_AHEAD);
        prefetch(entry->rule, sizeof(*entry->rule));
        mark(marks, entry->at);
    }
    for (uint32_t i = 0; entry->count > 1 && i < entry->count; i++)
        mark(marks, table->lists[entry->at + i]);
}

/* Of an equal text, the only length is its own. */
static void find_text(struct rules__marks *marks, const struct rules__table *table,
                      const struct rules__lookup *lookup, struct slice text)
{
    bool is_lower = lookup->kind == RULES__LOOKUP_EQUAL_LOWER ||
                    lookup->kind == RULES__LOOKUP_PREFIX_LOWER ||
                    lookup->kind == RULES__LOOKUP_SUFFIX_LOWER;
    bool is_whole = lookup->kind == RULES__LOOKUP_EQUAL_LOWER;
    bool is_backwards =
        lookup->kind == RULES__LOOKUP_SUFFIX || lookup->kind == RULES__LOOKUP_SUFFIX_LOWER;
    const uint8_t *byte = text.size ? text.data : (const uint8_t *)"";
    uint64_t state = lookup->seed;
    size_t size = 0;
    if (is_backwards)
        byte += text.size;
    if (is_whole && text.size > lookup->lengths[lookup->length_count - 1])
        return;
    for (size_t i = 0; i < lookup->length_count && lookup->lengths[i] <= text.size; i++) {
        for (; size < lookup->lengths[i]; size++) {
            uint8_t c = is_backwards ? *--byte : *byte++;
            state = rules__hash_byte(state, is_lower ? rules__lower(c) : c);
        }
        if (!is_whole || size == text.size)
            find(marks, table, rules__hash_end(state));
    }
}

static void find_networks(struct rules__marks *marks, const struct rules__table *table,
                          const struct rules__lookup *lookup, const struct value *value)
{
    struct rules__address address;
    if (!rules__address_of(value, &address))
        return;
    uint32_t base = address.bytes[0] == 4 ? 0 : RULES__LENGTH_IPV6;
    for (size_t i = lookup->length_count; i-- > 0;) {
        uint32_t prefix = lookup->lengths[i] - base;
        if (lookup->lengths[i] < base || prefix > 128)
            continue;
        rules__address_mask(&address, prefix, false);
        find(marks, table, rules__hash_network(&address, prefix, lookup->seed));
    }
}

void rules__marks_add(struct rules__marks *marks, const struct rules__table *table,
                      const struct rules__class *class, const struct value *values)
{
    for (size_t i = 0; i < class->lookup_count; i++) {
        const struct rules__lookup *lookup = &class->lookups[i];
        const struct value *value = &values[lookup->slot];
        if (value->type == VALUE_NULL)
            continue;
        if (lookup->kind == RULES__LOOKUP_EQUAL)
            find(marks, table, rules__hash_value(value, lookup->seed));
        else if (lookup->kind == RULES__LOOKUP_NETWORK)
            find_networks(marks, table, lookup, value);
        else if (value->type == VALUE_STRING)
            find_text(marks, table, lookup, value->bytes);
    }
}
