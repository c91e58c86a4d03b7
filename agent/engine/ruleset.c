#include <stdlib.h>

#include "agent/engine/engine.h"

struct ruleset *ruleset_create(struct rules_set *set)
{
    struct ruleset *ruleset = calloc(1, sizeof(*ruleset));
    if (!ruleset)
        return NULL;
    ruleset->set = set;
    atomic_init(&ruleset->references, 1);
    return ruleset;
}

struct ruleset *ruleset_hold(struct ruleset *ruleset)
{
    atomic_fetch_add(&ruleset->references, 1);
    return ruleset;
}

void ruleset_release(struct ruleset *ruleset)
{
    if (!ruleset || atomic_fetch_sub(&ruleset->references, 1) != 1)
        return;
    ruleset_release(ruleset->candidate);
    rules_free(ruleset->set);
    free(ruleset);
}
