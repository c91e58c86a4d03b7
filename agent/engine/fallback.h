/* What a rule's on_store_error says where the store can't answer. Internal to the engine. */
#pragma once

#include "agent/engine/answer.h"

struct fallback_stores {
    struct store *store; /* that can't answer, but may know what it was told last */
    struct store *local; /* NULL: none */
};

/* Answers a take. With `local` it is taken from the agent's own store, as one of so many sharers of
 * the limit: each has an equal part of it, and at least one unit, less its part of what is known to
 * be in use. Where the local store is full too, or there is none, the take is allowed. */
void fallback(const struct fallback_stores *stores, struct engine_take *take, unsigned sharers,
              uint64_t now);

/* Gives back what the local store granted. */
void fallback_give(struct store *local, const struct engine_take *take, uint64_t now);

/* The part of a limit that one of so many sharers has. */
struct limit fallback_share(const struct limit *limit, unsigned sharers);
