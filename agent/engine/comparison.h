/* A candidate: a whole other rule set that is asked what the rules in force are asked, and whose
 * answers are compared with theirs and never given to anyone.
 *
 * Each decision of the engine in force is followed by one of the candidate's, of the same NOTIFY,
 * by an engine of its own over stores of its own. Either may have to wait for its store, so the two
 * are a pair, which is counted when both are in. Nothing here can fail, change or hold back a
 * decision of the rules in force, but for the processor's time; what can't be compared is counted
 * as skipped.
 *
 * One worker's, like its engines. Allocates nothing once as many pairs have waited at a time as
 * ever will.
 */
#pragma once

#include <pthread.h>

#include "agent/engine/engine.h"

/* ---- which rules differ -------------------------------------------------------------------- */

/* Rules that differences are counted by, each of those in force and of the candidate's for itself:
 * the first ones that were met. Differences by others are counted together. */
#define COMPARISON_RULES_MAX 256

/* Who refuses where the other allows. */
enum comparison_side {
    COMPARISON_ACTIVE,
    COMPARISON_CANDIDATE,
    COMPARISON_SIDES,
};

struct comparison_rule {
    enum comparison_side side;
    uint8_t size;
    char name[RULES_NAME_MAX];
};

/* The rules that have made a difference: one list for all workers, which grows and is never
 * changed, so that it is read without a lock. */
struct comparison_rules {
    pthread_mutex_t lock; /* of those who add */
    _Atomic uint32_t count;
    struct comparison_rule rules[COMPARISON_RULES_MAX]; /* [count] */
    _Atomic uint16_t places[4 * COMPARISON_RULES_MAX];  /* by hash: 1 + an index; 0: none */
};

void comparison_rules_open(struct comparison_rules *rules);
void comparison_rules_close(struct comparison_rules *rules);

/* The index of a rule, which is added if it is new; COMPARISON_RULES_MAX + side where there is no
 * room for it. Thread-safe. name has 1 to RULES_NAME_MAX bytes. */
size_t comparison_rules_index(struct comparison_rules *rules, enum comparison_side side,
                              struct slice name);

/* ---- the counters -------------------------------------------------------------------------- */

/* Why a decision was not compared. */
enum comparison_skip {
    COMPARISON_PENDING, /* too many wait already */
    COMPARISON_MEMORY,  /* out of it */
    COMPARISON_ENDED,   /* the candidate was taken away meanwhile */
    COMPARISON_SKIPS,
};

struct comparison_counters {
    struct counter decisions[2][2]; /* whether those in force allow; whether the candidate does */
    struct counter fallbacks;       /* compared, and the candidate's store couldn't answer */
    struct counter skipped[COMPARISON_SKIPS];
    /* By comparison_rules_index. */
    struct counter differences[COMPARISON_RULES_MAX + COMPARISON_SIDES];
};

/* ---- the comparison ------------------------------------------------------------------------ */

struct comparison_options {
    /* Of the candidate's engine. Its stores are the candidate's alone: a store that is full, or
     * whose server refuses a command, is so for all who use it. */
    struct engine_options engine;
    struct comparison_counters *counters; /* outlive the comparison, as do rules */
    struct comparison_rules *rules;
};

struct comparison;

/* NULL when out of memory. To be given to engine_compare. */
struct comparison *comparison_create(const struct comparison_options *options);

/* As engine_use. */
bool comparison_use(struct comparison *comparison, struct ruleset *rules);

/* What is answered from now on is not compared. */
void comparison_end(struct comparison *comparison);

/* No decision of the candidate's may be pending, and none begin: after engine_compare(NULL). Those
 * that wait for a decision of the rules in force are dropped. Accepts NULL. */
void comparison_free(struct comparison *comparison);

/* Decisions of the candidate's that wait for its store. */
size_t comparison_pending(const struct comparison *comparison);

/* ---- for the engine ------------------------------------------------------------------------ */

/* A decision of the rules in force has been begun, and is in unless it is pending. */
void comparison__begin(struct comparison *comparison, struct engine_decision *active,
                       const struct spop_frame *notify);

/* One that was pending, and of which a pair waits, is in. */
void comparison__answered(struct engine_decision *active);
