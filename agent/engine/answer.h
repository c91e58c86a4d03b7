/* The answer to a NOTIFY: which of the limits that applied it reports, and its encoding. Internal
 * to the engine. */
#pragma once

#include "agent/store/store.h"
#include "rules/rules.h"
#include "spop/spop.h"

/* One limit that applies to the request, and what the store said of it. */
struct engine_take {
    struct store_take take; /* first: the store hands it back */
    const struct rules_limit *limit;
    struct engine_decision *decision;
    enum store_status status;
    bool refused;     /* as is known without asking the store */
    unsigned sharers; /* answered by the agent's own store, as one of so many agents; else 0 */
    size_t text_at;   /* where the subject is in the engine's text */
};

struct answer {
    bool allow;
    const struct rules_rule *bypass;  /* the rule that let it pass unlimited; NULL */
    const struct engine_take *reason; /* the limit that is reported; NULL when none applied */
};

/* The strictest of the answered takes: of those that refuse, the one to wait longest for; if none
 * does, the one with the least remaining. The first of equals. */
struct answer answer_choose(const struct engine_take *takes, size_t count,
                            const struct rules_rule *bypass);

/* Writes the ACK with the variables of the mask (bits 1 << enum rules_answer) that the answer has.
 */
void answer_write(const struct answer *answer, uint32_t variables, uint64_t stream_id,
                  uint64_t frame_id, uint32_t max_frame_size, struct writer *output);
