/* Which rules may apply to a message, without a look at each: of every rule one condition that few
 * other rules share is chosen, and what fulfils it is entered in a table, by its hash. A message's
 * values are looked up there. What is found may apply, and is then matched in full; rules for which
 * there is no such condition are always matched. Internal to rules/. */
#pragma once

#include "rules/compiled.h"

/* ---- what is looked up --------------------------------------------------------------------- */

/* How a value is looked up. Those of texts in lower case stand behind those as they come. */
enum rules__lookup_kind {
    RULES__LOOKUP_EQUAL,
    RULES__LOOKUP_EQUAL_LOWER,
    RULES__LOOKUP_PREFIX,
    RULES__LOOKUP_PREFIX_LOWER,
    RULES__LOOKUP_SUFFIX,
    RULES__LOOKUP_SUFFIX_LOWER,
    RULES__LOOKUP_NETWORK,
};

/* Which lengths there are of what was entered: only these are looked up. */
struct rules__lookup {
    enum rules__lookup_kind kind;
    uint32_t slot;
    uint64_t seed; /* of its hashes: no two lookups of a set have the same */
    /* [length_count], ascending. EQUAL: none. NETWORK: prefix lengths, IPv6's with
     * RULES__LENGTH_IPV6 added. Else bytes. */
    const uint32_t *lengths;
    size_t length_count;
};

#define RULES__LENGTH_IPV6 1000u

/* The hash of a canonical value for RULES__LOOKUP_EQUAL. */
uint64_t rules__hash_value(const struct value *value, uint64_t seed);

/* The hash of the first bits of an address, all others of which are zero. */
uint64_t rules__hash_network(const struct rules__address *network, unsigned prefix, uint64_t seed);

/* The hash of a text for the other kinds, which is made a byte at a time, so that those of all its
 * beginnings are had in one reading. */
static inline uint64_t rules__hash_byte(uint64_t state, uint8_t byte)
{
    return (state ^ byte) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t rules__hash_end(uint64_t state)
{
    return state ^ state >> 32;
}

/* ---- the index ----------------------------------------------------------------------------- */

/* A rule as it is matched; of one that is charged at another message there are two. Numbered in
 * file order. */
struct rules__trigger {
    uint32_t rule;
    int32_t message; /* -1: every message */
    bool charges;
    const struct rules__condition *conditions;
    size_t condition_count;
};

/* What fulfils a chosen condition, and whose it is. Where that is one trigger's, all that will be
 * read of it is named here: with many rules none of it is near, and so it is fetched at once. */
struct rules__entry {
    uint64_t hash;
    const struct rules_rule *rule;             /* of one trigger */
    const struct rules__condition *conditions; /* of one trigger */
    uint32_t count;
    uint32_t at; /* of one trigger, its number; of more, where they begin in `lists` */
};

/* What applies to one message, or to all. */
struct rules__class {
    const struct rules__lookup *lookups;
    size_t lookup_count;
    const uint32_t *always; /* triggers that aren't in the table, ascending */
    size_t always_count;
};

struct rules__table {
    struct rules__trigger *triggers;
    size_t trigger_count;
    struct rules__entry *entries; /* open addressing with linear probing, at most half full */
    uint8_t *tags;   /* of each entry 8 bits of its hash, not 0; 0: it is free. They are
                      * small enough to be near, and most that is looked up isn't there */
    size_t capacity; /* a power of two */
    uint32_t *lists;
    struct rules__class any; /* triggers that name no message */
    struct rules__class of_message[RULES_MAX_MESSAGES];
};

/* Values of one condition that are entered at most, and of all conditions that may be chosen. What
 * has more is matched always. */
#define RULES__INDEX_CONDITION_MAX 256u
#define RULES__INDEX_MAX           (4u << 20)

/* Conditions of a class that together take no more comparisons than this are tried for each
 * message: that is faster than to hash its values and look them up. */
#define RULES__INDEX_TRIED 40u

static inline uint8_t rules__tag(uint64_t hash)
{
    return (uint8_t)(hash >> 56 | 1);
}

/* ---- index_keys.c -------------------------------------------------------------------------- */

/* A thing that fulfils a condition, as it is entered. */
struct rules__key {
    enum rules__lookup_kind kind;
    uint32_t length; /* of rules__lookup.lengths */
    uint64_t hash;
};

/* The keys of a trigger's conditions, one by one. */
struct rules__walk {
    const struct rules__trigger *trigger;
    uint64_t seed; /* of the set */
    void (*found)(struct rules__walk *walk, uint32_t slot, const struct rules__key *key);
};

/* What the hashes of a lookup begin with. */
uint64_t rules__lookup_seed(uint64_t seed, int32_t message, uint32_t slot,
                            enum rules__lookup_kind kind);

/* Whether a condition can be entered, and how it is: all that fulfils it has one of its keys. */
bool rules__can_enter(const struct rules__condition *condition);
void rules__walk_keys(struct rules__walk *walk, const struct rules__condition *condition);

/* ---- index_build.c ------------------------------------------------------------------------- */

/* Makes the table of a set whose rules are loaded, with scratch for what is needed meanwhile. False
 * when out of memory. */
bool rules__index_build(struct rules_set *set, struct arena *scratch);

/* ---- one message's triggers ---------------------------------------------------------------- */

/* A set of triggers that is walked in their order: a bit for each, a bit for each word of them. */
struct rules__marks {
    uint64_t *words;
    uint64_t *summary;
    size_t summary_count;
    size_t at; /* no bit of the summary before this word of it is set */
};

/* False when out of memory. Free it either way. */
bool rules__marks_open(struct rules__marks *marks, size_t trigger_count);
void rules__marks_free(struct rules__marks *marks);

/* Takes out the first. False when there is none. */
bool rules__marks_next(struct rules__marks *marks, uint32_t *trigger);

/* Takes out all. */
void rules__marks_clear(struct rules__marks *marks);

/* Marks what a class's table holds for values. */
void rules__marks_add(struct rules__marks *marks, const struct rules__table *table,
                      const struct rules__class *class, const struct value *values);
