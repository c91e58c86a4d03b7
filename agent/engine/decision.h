/* What a decision and an engine are made of. Internal to the engine. */
#pragma once

#include <pthread.h>

#include "agent/engine/answer.h"
#include "agent/engine/engine.h"
#include "agent/engine/penalty.h"
#include "agent/engine/top.h"

struct comparison_pair;

/* Takes that a decision holds without memory of its own; few requests are subject to more. */
#define ENGINE_TAKES_INLINE 4

struct engine_decision {
    struct engine *engine;
    struct engine_client *client;
    struct ruleset *rules; /* a reference while pending; else the engine's own is good enough */
    uint64_t stream_id;
    uint64_t frame_id;
    struct slice payload; /* of its frame, while it is begun */
    uint64_t now;
    struct answer_rules named;
    struct penalty_list penalties; /* that its refusal may bring */
    size_t count;
    size_t unanswered;
    struct answer answer;
    struct engine_take *takes; /* inline_takes or memory of its own */
    size_t room;
    struct engine_take inline_takes[ENGINE_TAKES_INLINE];
    struct slice request_id; /* empty: there is none, or nobody wants to know */
    uint8_t *kept;           /* texts, of a decision that waits */
    size_t kept_room;
    uint32_t weight;              /* in the engine's top; 0: it isn't looked at */
    struct comparison_pair *pair; /* that waits for this one, while it is pending; NULL: none */
    struct engine_decision *next; /* of those not in use */
};

/* Decisions that are begun before the store is asked for the first of them: so long it has for
 * fetching what it keeps of a key. */
#define ENGINE_AHEAD 8

/* Arguments of a message whose slots are remembered. */
#define ENGINE_POSITIONS 16

/* The argument that came at some place of a message last. */
struct engine_position {
    int slot; /* -1: no rule has it */
    uint8_t name_size;
    uint8_t name[RULES_NAME_MAX];
};

struct engine {
    struct engine_options options;
    struct store *store;
    struct ruleset *rules;
    const struct rules_set *set; /* rules->set */
    size_t max_pending;
    size_t pending;
    bool logs_denials;
    size_t penalties;                    /* that are being counted, on their own */
    struct rule_counters *rule_counters; /* of rules */
    pthread_mutex_t rule_counters_lock;  /* of that pointer, for others to read it */
    struct engine_decision *spare;
    struct engine_decision *begun[ENGINE_AHEAD]; /* and not asked about yet */
    size_t begun_count;
    struct rules_matcher *matcher;
    uint64_t regex_overruns; /* of the matcher, when it was looked at last */
    struct value *values;    /* by slot */
    struct engine_position positions[ENGINE_POSITIONS];
    struct rules_hit *hits; /* by rule */
    uint8_t *text;          /* the subjects of the decisions that are being begun ... */
    size_t text_size;
    size_t text_room;
    struct value *parts; /* ... and what they are made of */
    size_t part_count;
    size_t part_room;
    bool wants_text; /* of the decision that is being begun */
    struct engine_counters counters;
    struct comparison *comparison; /* NULL: none */
};

/* Reads a NOTIFY's messages, and what their rules ask into the decision: all of them before
 * anything is charged, so that one that turns out malformed at its end has cost nobody anything. */
enum error engine__read(struct engine *engine, struct engine_decision *decision,
                        struct slice payload);

/* What one rule asks of the subject that the payload's message tells of, whether or not it matches.
 * every: all that it counts the subject in, with tiers, overrides and penalty. ERROR_RANGE: the
 * rule has no limits, or none for this message's arguments. */
enum error engine__read_rule(struct engine *engine, struct engine_decision *decision,
                             const struct rules_rule *rule, struct slice payload, bool every);

/* The decision is going to wait: its subjects and its request's id are copied. Where there is no
 * memory for that, they are empty. */
void engine__keep_text(struct engine_decision *decision);

/* engine_notify without a word of the answer, while no decision is begun: of outcome
 * ENGINE_ANSWERED, the decision is to be looked at and handed back with engine__put. *decision is
 * set with ENGINE_ANSWERED and ENGINE_PENDING alone. */
enum engine_outcome engine__decide(struct engine *engine, struct engine_client *client,
                                   const struct spop_frame *notify, uint64_t now,
                                   struct engine_decision **made);
void engine__put(struct engine_decision *decision);

/* How many agents share the limits where the store can't be asked. */
unsigned engine__sharers(const struct engine *engine);
