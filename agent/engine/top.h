/* Which subjects are asked about most, and which are refused most: for people, in bounded memory.
 *
 * Two sketches, one by requests and one by refusals, each with the TOP_ENTRIES heaviest keys of the
 * present minute and of the one before (Metwally, Agrawal, El Abbadi: Efficient Computation of
 * Frequent and Top-k Elements in Data Streams, 2005: "Space-Saving"). A key that comes new takes
 * the place of the lightest, and its count: so none is counted too low, and none by more too high
 * than the lightest count, which is at most a TOP_ENTRIES-th of all that was counted.
 *
 * What this costs doesn't grow with the load: from TOP_RATE requests a second on only some are
 * looked at, by chance, and each stands for as many as were passed over.
 *
 * Written by one thread, the engine's; read by any.
 */
#pragma once

#include "base/base.h"
#include "rules/rules.h"

#define TOP_ENTRIES 256u
#define TOP_RATE    UINT64_C(10000)
#define TOP_MINUTE  UINT64_C(60000000)

struct top;
struct engine_decision;

/* NULL when out of memory. */
struct top *top_create(uint64_t now);
void top_free(struct top *top); /* accepts NULL */

/* How many requests the one that comes now stands for; mostly, under load, 0: it isn't looked at.
 */
uint32_t top_draw(struct top *top, uint64_t now);

/* Counts a request that is decided, weight times: what each of its rules said of its subject. */
void top_count(struct top *top, const struct engine_decision *decision, uint32_t weight);

/* ---- reading ------------------------------------------------------------------------------- */

enum top_measure {
    TOP_REQUESTS,
    TOP_REFUSED,
    TOP_MEASURES,
};

struct top_key {
    struct hash128 hash; /* of the rule's name and the subject */
    char rule[RULES_NAME_MAX + 1];
    char subject[RULES_SUBJECT_MAX + 1];
    uint64_t count[TOP_MEASURES];
    uint64_t excess; /* of the measure that is asked for: it is too high by this at most */
};

/* What several engines have counted, together. */
struct top_list {
    struct top_key *keys; /* [count], the heaviest first; those with none of the measure not */
    size_t count;
    uint64_t missing;  /* a key that isn't there, or a count, may be too low by this at most */
    uint64_t since;    /* what is counted began then */
    uint32_t sampling; /* the most that one request stands for; 1: each was looked at */
};

/* False when out of memory, with an empty list. Freed by free(list->keys). Thread-safe. */
bool top_read(struct top *const *tops, size_t count, enum top_measure measure, uint64_t now,
              struct top_list *list);
