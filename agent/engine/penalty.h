/* A subject that is refused too often is to be refused for a while, whatever its limits say. Its
 * refusals are counted under a limit of the rule's; when that is exceeded, a mark is set, which is
 * a unit of another limit, and which every agent sees that asks for it. Nobody waits for either.
 * Internal to the engine.
 */
#pragma once

#include <sys/queue.h>

#include "agent/store/store.h"
#include "rules/rules.h"

struct engine;
struct penalty;
struct ruleset;

SLIST_HEAD(penalty_list, penalty);

/* A refusal by this rule of this subject may have to be counted. text is the subject's; copied.
 * NULL when out of memory. */
struct penalty *penalty_create(struct penalty_list *list, const struct rules_hit *hit,
                               struct slice text);

/* Those of the list for which `refused` says so are counted, and are on their own from then on; the
 * others are freed. The list is empty then. rules: those of the list. refused may be NULL: none. */
void penalties_end(struct penalty_list *list, struct engine *engine, struct ruleset *rules,
                   uint64_t now,
                   bool (*refused)(const void *context, const struct penalty *penalty),
                   const void *context);
