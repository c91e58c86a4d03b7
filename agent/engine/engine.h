/* One decision: a NOTIFY's messages are matched, the limits that apply are taken from the store,
 * and the answer is encoded as an ACK.
 *
 * An engine belongs to one worker thread. It is the only place where the wire (spop/), the rules
 * (rules/) and the store meet.
 */
#pragma once

#include "agent/store/store.h"
#include "base/base.h"
#include "rules/rules.h"
#include "spop/spop.h"

/* ---- the rule set in force ----------------------------------------------------------------- */

/* A compiled rule set that several threads read; freed when the last has let go of it. */
struct ruleset {
    struct rules_set *set;
    struct ruleset *candidate; /* to be compared with it; a reference; NULL: none */
    atomic_uint references;
};

/* Takes ownership of set and starts with one reference. NULL when out of memory (set stays the
 * caller's). */
struct ruleset *ruleset_create(struct rules_set *set);
struct ruleset *ruleset_hold(struct ruleset *ruleset);
void ruleset_release(struct ruleset *ruleset); /* accepts NULL */

/* ---- the engine ---------------------------------------------------------------------------- */

/* Room to have in the output before engine_notify, the frame's length included: no answer is
 * larger, since the lengths of all names are bounded (engine/answer.c proves it). */
#define ENGINE_ANSWER_MAX 1024

/* Messages of one NOTIFY; HAProxy sends one for each that the event or group of its configuration
 * lists. Each is matched, and charged, for itself: a limit that two of them are subject to is taken
 * from twice. Together they get one answer: the strictest limit's, and where one message is allowed
 * by an `action: allow`, the limits of the others still count. */
#define ENGINE_MESSAGES_MAX 64

struct engine_counters {
    struct counter allowed; /* answers, by what they say; their sum is all decisions */
    struct counter refused;
    /* The same, by where the limit that is reported was answered from (enum store_source); the last
     * of those that report none. [source][whether they allow] */
    struct counter by_source[STORE_SOURCES + 1][2];
    struct counter unmatched;         /* of the allowed: no limit applied */
    struct counter bypassed;          /* of the allowed: by a rule with action: allow */
    struct counter shadow_refused;    /* of the allowed: a rule in shadow mode would have refused */
    struct counter delayed;           /* of the allowed: those that are to wait */
    struct counter penalties;         /* marks that were set on subjects refused too often */
    struct counter key_absent;        /* rules that didn't apply for want of a key argument */
    struct counter store_full;        /* takes that found the store full */
    struct counter store_unavailable; /* takes that the store couldn't answer */
    struct counter store_late;        /* takes that it didn't answer in time */
    struct counter fallback_units;    /* units let through by on_store_error */
    struct counter pending;           /* decisions that wait for the store now */
    struct counter pending_full;      /* decisions not begun since too many were pending */
    struct counter regex_overruns;    /* regular expressions that were given up */
};

struct engine_options {
    struct store *store; /* outlives the engine */
    /* What on_store_error: local takes from, a memory store that outlives the engine; NULL where
     * store is that itself, and there is no other. */
    struct store *local;
    /* How many agents share the limits, at least 1; NULL: this one alone. */
    unsigned (*agents)(void *context);
    void *context;
    /* By how many microseconds the system's clock is ahead of the `now` that engine_notify is told,
     * to be read by the engine's thread; NULL: by none. Only retry_at goes by it. */
    const int64_t *wall_ahead;
    size_t max_pending;    /* decisions that may wait for the store at once */
    struct ruleset *rules; /* the engine takes a reference of its own */
    /* Refusals are logged, as many as the rules' denial_log says of all engines that share this;
     * NULL: none is. */
    struct log_limiter *denials;
    bool subjects;   /* whom a limit counts is written also where the store doesn't ask for it */
    struct top *top; /* told of its decisions; outlives the engine; NULL: none */
};

struct engine;

/* NULL when out of memory. */
struct engine *engine_create(const struct engine_options *options);

/* No decision may be pending. Accepts NULL. */
void engine_free(struct engine *engine);

/* Decisions begun from now on follow these rules; those pending end by the rules they began with.
 * False, and nothing changed, when out of memory. */
bool engine_use(struct engine *engine, struct ruleset *rules);

const struct rules_settings *engine_settings(const struct engine *engine);
const struct engine_counters *engine_counters(const struct engine *engine);

/* By rule (rule_counters.h), held for the caller; there always are some. Thread-safe. */
struct rule_counters;
struct rule_counters *engine_rule_counters(struct engine *engine);

size_t engine_pending(const struct engine *engine);

/* Its decisions are compared with a candidate's from now on (engine/comparison.h); NULL: with none
 * any more. */
struct comparison;
void engine_compare(struct engine *engine, struct comparison *comparison);

/* Whoever sent a NOTIFY. Stays where it is while a decision of its is pending. */
struct engine_decision;
struct engine_client {
    /* Called for each decision that was pending, from the worker's thread. Writes the answer with
     * engine_write, or doesn't where nobody is left to read it. Begins none. */
    void (*answered)(struct engine_client *client, const struct engine_decision *decision);
};

enum engine_outcome {
    ENGINE_ANSWERED,  /* the ACK is in the output */
    ENGINE_PENDING,   /* client->answered will be called */
    ENGINE_MALFORMED, /* the payload doesn't parse, or has too many messages; nothing was charged:
                         refuse with SPOP_INVALID */
    ENGINE_NO_MEMORY, /* nothing was charged: refuse with SPOP_RESOURCES */
};

/* Decides one NOTIFY. now: as store_take has it. max_frame_size: the negotiated one. An
 * answer that is larger loses its last variables. */
enum engine_outcome engine_notify(struct engine *engine, struct engine_client *client,
                                  const struct spop_frame *notify, uint64_t now,
                                  uint32_t max_frame_size, struct writer *output);

/* The same for several NOTIFYs that are there at once, all of which are begun before the store is
 * asked (or many of them). Never ENGINE_ANSWERED: of outcome ENGINE_PENDING, client->answered is
 * called by engine_finish, by a later engine_begin, or when the store answers. The frame's payload
 * stays where it is until engine_finish. */
enum engine_outcome engine_begin(struct engine *engine, struct engine_client *client,
                                 const struct spop_frame *notify, uint64_t now);

/* Asks the store for what has been begun; to be called before anything else is done with the
 * engine. */
void engine_finish(struct engine *engine);

/* What engine_notify was told as now; to be used inside engine_client.answered. */
uint64_t engine_begun_at(const struct engine_decision *decision);

/* Writes a decision's ACK; to be used inside engine_client.answered. */
void engine_write(const struct engine_decision *decision, uint32_t max_frame_size,
                  struct writer *output);
