/* How long a worker's decisions take: from the beginning of the turn of the loop that read the
 * question to the end of the one that wrote the answer.
 *
 * The clock is read once for all of a turn's answers. Those that were begun together, as all are
 * that need not wait for a store, are counted together.
 */
#pragma once

#include "base/base.h"

/* Beginnings that are told apart in one turn: answers to questions of more turns than that are
 * rare, and are counted with those noted before them. */
#define LATENCY_BEGINNINGS 64

struct latency {
    struct histogram durations;
    size_t count; /* of noted */
    struct {
        uint64_t begun_at;
        uint64_t decisions;
    } noted[LATENCY_BEGINNINGS]; /* in this turn */
};

/* A decision begun at this time (microseconds, the turn's) is answered. */
static inline void latency_note(struct latency *latency, uint64_t begun_at)
{
    size_t count = latency->count;
    if (count == 0 ||
        (latency->noted[count - 1].begun_at != begun_at && count < LATENCY_BEGINNINGS)) {
        latency->noted[count].begun_at = begun_at;
        latency->noted[count].decisions = 0;
        latency->count = ++count;
    }
    latency->noted[count - 1].decisions++;
}

/* What was noted has been written. now: the time, read for this. */
void latency_end_turn(struct latency *latency, uint64_t now);
