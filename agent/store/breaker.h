/* A circuit breaker: whether a store that has failed may be asked again yet.
 *
 * A pure step function: time and chance are parameters. One thread's.
 *
 *     closed --- `failures` failures in less than `within` ---> open
 *     open   --- its pause is over, a call asks ----> half-open (that call is the probe)
 *     half-open  the probe succeeds -> closed;  it fails, or takes longer than the pause -> open,
 *                with a pause twice as long, up to max_pause
 *
 * Each pause is jittered by up to a quarter either way, so that agents that lost the same store at
 * the same moment don't come back to it at the same moment.
 */
#pragma once

#include "base/base.h"

#define BREAKER_FAILURES_MAX 32
#define BREAKER_DURATION_MAX (UINT64_C(1) << 60) /* microseconds; keeps every sum below 2^64 */

/* Durations in microseconds. */
struct breaker_settings {
    unsigned failures;  /* 1..BREAKER_FAILURES_MAX */
    uint64_t within;    /* > 0 */
    uint64_t pause;     /* > 0 */
    uint64_t max_pause; /* pause..BREAKER_DURATION_MAX, before jitter */
};

enum breaker_phase {
    BREAKER_CLOSED,
    BREAKER_OPEN,
    BREAKER_HALF_OPEN,
    BREAKER_PHASES,
};

/* All zero is closed, with no failure known. To be read by anyone, written only here. */
struct breaker {
    enum breaker_phase phase;
    unsigned failed; /* how many of failed_at are in use */
    unsigned oldest; /* of the ring failed_at */
    uint64_t failed_at[BREAKER_FAILURES_MAX];
    uint64_t era;     /* how often the phase has changed */
    uint64_t pause;   /* the present one, without jitter; 0 when closed */
    uint64_t ends_at; /* of the pause (open), or of the wait for the probe (half-open) */
    uint64_t opened;  /* times that it went from closed to open */
    uint64_t entered[BREAKER_PHASES]; /* times that it went to each phase, from whichever */
};

/* "closed", "open", "half-open". */
const char *breaker_phase_name(enum breaker_phase phase);

/* Whether a call may be made now. If so, *era is to be handed back with the call's outcome; a call
 * allowed while half-open is the probe. A probe whose outcome has not come counts as failed at the
 * first call that asks after the wait for it. now: microseconds, of a clock that doesn't go back.
 * chance: any 64 random bits. settings may change between calls. */
bool breaker_allows(struct breaker *breaker, const struct breaker_settings *settings, uint64_t now,
                    uint64_t chance, uint64_t *era);

/* The outcome of a call that was allowed. One from an earlier era tells of a store that has been
 * judged since, and changes nothing: neither may a late success close the breaker nor a late
 * failure open it again. */
void breaker_succeeded(struct breaker *breaker, uint64_t era);
void breaker_failed(struct breaker *breaker, const struct breaker_settings *settings, uint64_t now,
                    uint64_t chance, uint64_t era);
