/* What each rule has said of the requests that it was asked of: one engine's counts, by rule and
 * outcome.
 *
 * They are of a rule set, and are carried over by the rules' names when the set is changed, so that
 * they don't fall back at a reload. One that is no longer in the file is forgotten. Counting is the
 * engine's thread's; reading is anybody's who holds them.
 */
#pragma once

#include "agent/engine/engine.h"

/* Of the limits of a rule that applied to one decision, what stands last here of what they said. */
#define RULE_OUTCOME_TABLE(X)                                                                      \
    X(ALLOWED, "allowed") /* or would be in vain: another rule refused it */                       \
    X(DELAYED, "delayed") /* allowed, and to wait */                                               \
    X(SHADOW, "shadow")   /* it would be refused, were this enforced */                            \
    X(REFUSED, "refused")                                                                          \
    X(CHARGED, "charged") /* for a request that was answered before */

enum rule_outcome {
#define RULE_OUTCOME_ENUM(name, text) RULE_OUTCOME_##name,
    RULE_OUTCOME_TABLE(RULE_OUTCOME_ENUM)
#undef RULE_OUTCOME_ENUM
    RULE_OUTCOMES,
};

/* A static string. */
const char *rule_outcome_name(enum rule_outcome outcome);

struct rule_counts {
    struct counter by[RULE_OUTCOMES];
};

struct rule_counters {
    struct ruleset *rules; /* a reference */
    atomic_uint references;
    struct rule_counts counts[]; /* [rules->set->rule_count] */
};

/* All zero, with one reference. NULL when out of memory. */
struct rule_counters *rule_counters_create(struct ruleset *rules);
struct rule_counters *rule_counters_hold(struct rule_counters *counters);
void rule_counters_release(struct rule_counters *counters); /* accepts NULL */

/* Adds what is counted under the names of `to`, whose only user the caller is. False, and nothing
 * added, when out of memory. */
bool rule_counters_add(struct rule_counters *to, const struct rule_counters *from);

/* Of a concluded decision's takes, those of one rule stand together: what that rule said, of those
 * that begin at `first`, and how many there are. */
size_t rule_outcome_of(const struct engine_decision *decision, size_t first,
                       enum rule_outcome *outcome);

/* Counts a decision that is concluded, by these rules; nothing where they aren't those counted. */
void rule_counters_count(struct rule_counters *counters, const struct ruleset *rules,
                         const struct engine_decision *decision);
