/* What the limits that apply to a request, or those of one rule's subject, stand at now: a look
 * that charges nothing and is counted nowhere. And the reset of a subject.
 *
 * Belongs to an engine's thread, as engine.h has it; what is asked may be made anywhere.
 */
#pragma once

#include "agent/engine/engine.h"

/* Limits that are told of. */
#define INQUIRY_FINDINGS_MAX 64

enum inquiry_kind {
    INQUIRY_LOOK,
    INQUIRY_RESET,  /* the subject's counters become as good as never seen */
    INQUIRY_FORGET, /* what this engine's store remembers of them, that were reset by another's */
};

enum inquiry_outcome {
    INQUIRY_DONE,
    INQUIRY_NO_RULE,   /* there is none of this name */
    INQUIRY_NO_LIMIT,  /* the rule has none, or none for these arguments: one of its key is missing
                        */
    INQUIRY_MALFORMED, /* the payload */
    INQUIRY_NO_MEMORY,
};

/* What one limit says. */
struct inquiry_finding {
    const struct rules_limit *limit;
    char subject[RULES_SUBJECT_MAX + 1];
    uint64_t wanted; /* the request's units */
    /* What the store said. Unless it is STORE_ANSWERED the result is what on_store_error says; of a
     * reset, it says nothing. */
    enum store_status status;
    enum store_source source;
    struct limit_result result;
    bool is_refusal; /* the request's units are refused, or would be were the rule enforced */
};

struct inquiry {
    enum inquiry_kind kind;
    /* A NOTIFY's, which stays where it is; with a rule, of one message, whose arguments are the
     * subject. Its text too. */
    struct slice payload;
    struct slice rule; /* a rule's name, that is asked alone; empty: all that match are */
    /* Called once, from the engine's thread; may be before engine_inquire returns. */
    void (*answered)(struct inquiry *inquiry);

    enum inquiry_outcome outcome;
    struct ruleset *rules; /* a reference: what the findings point into; NULL: none */
    struct inquiry_finding findings[INQUIRY_FINDINGS_MAX];
    size_t count;
    size_t omitted; /* findings for which there was no room */
    /* Of INQUIRY_LOOK without a rule: the answer that the request would get, an ACK's payload with
     * all variables. */
    uint8_t answer[ENGINE_ANSWER_MAX];
    size_t answer_size;
};

/* now: as engine_notify has it. */
void engine_inquire(struct engine *engine, struct inquiry *inquiry, uint64_t now);

/* Lets go of the rules; once it has been answered. */
void inquiry_close(struct inquiry *inquiry);
