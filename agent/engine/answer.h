/* The answer to a NOTIFY: which of the limits that applied it reports, and its encoding. Internal
 * to the engine. */
#pragma once

#include "agent/store/store.h"
#include "rules/rules.h"
#include "spop/spop.h"

/* What a limit has to say about a request. */
enum engine_role {
    ENGINE_ENFORCED, /* it may refuse it, or delay it */
    ENGINE_SHADOW,   /* it says what it would have refused */
    ENGINE_CHARGED,  /* it is charged, for a request that has been answered before */
};

struct penalty;

/* One limit that applies to the request, and what the store said of it. */
struct engine_take {
    struct store_take take; /* first: the store hands it back */
    const struct rules_limit *limit;
    struct engine_decision *decision;
    enum engine_role role;
    const struct penalty *penalty; /* that a refusal may bring; NULL: none */
    enum store_status status;
    bool refused;         /* as is known without asking the store */
    unsigned sharers;     /* answered by the agent's own store, as one of so many agents; else 0 */
    struct slice subject; /* as text, where people are to read it; else empty */
    size_t text_at;       /* where that is in the engine's text */
    size_t parts_at;      /* where what it is made of is in the engine's parts */
};

/* The first rules of each kind that decide without a limit; NULL: there is none. */
struct answer_rules {
    const struct rules_rule *allows;    /* action: allow */
    const struct rules_rule *denies;    /* action: deny */
    const struct rules_rule *unlimited; /* it applies, and this subject has no limit */
};

struct answer {
    bool allow;
    const struct rules_rule *named;   /* the rule that decided without a limit; NULL */
    const struct engine_take *reason; /* the limit that is reported; NULL when none applied */
    const struct rules_rule *shadow;  /* the first that would have refused it; NULL: none */
    uint64_t delay;                   /* microseconds that the request is to wait */
    uint64_t asked_at;                /* microseconds of the Unix epoch, by the system's clock */
};

/* Whether what the store said of it refuses what was wanted. */
bool answer_is_refusal(const struct engine_take *take);

/* The strictest of the answered takes that are enforced: of those that refuse, the one to wait
 * longest for; if none does, the one with the least remaining. The first of equals. asked_at is
 * left for the caller to set. */
struct answer answer_choose(const struct engine_take *takes, size_t count,
                            const struct answer_rules *rules);

/* Writes the ACK with the variables of the mask (bits 1 << enum rules_answer) that the answer has;
 * the last of them are left out where the frame would be too large. output is to have
 * room for ENGINE_ANSWER_MAX bytes. */
void answer_write(const struct answer *answer, uint32_t variables, uint64_t stream_id,
                  uint64_t frame_id, uint32_t max_frame_size, struct writer *output);
