/* What a load has seen: answers a key, a window and a phase, and how long they took.
 *
 * All times are microseconds since the Unix epoch, on the clock of this machine.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

#define TALLY_PHASES_MAX  128
#define TALLY_SOURCES_MAX 16
#define TALLY_NAME_MAX    64

/* Durations in buckets of less than a percent: exact below 128, then 64 to each power of two. */
#define TALLY_BUCKETS (128 + 64 * 26)

/* Requests belong to the phase in which they were due. */
struct tally_phase {
    char name[TALLY_NAME_MAX];
    uint64_t began_at;
    uint64_t allowed;
    uint64_t refused;
    uint64_t lost;
    uint64_t longest;
    uint64_t sources[TALLY_SOURCES_MAX];
    uint64_t durations[TALLY_BUCKETS];
};

struct tally_key {
    uint64_t allowed;
    uint64_t refused;
};

/* Between these two the agent allowed one request. */
struct tally_grant {
    uint32_t key;
    uint64_t asked_at;
    uint64_t answered_at;
};

struct tally {
    const char *prefix; /* of the names of the keys, before their number; set before tally_open */
    uint32_t key_count;
    struct tally_key *keys;
    size_t phase_count;
    struct tally_phase phases[TALLY_PHASES_MAX];
    size_t source_count;
    char sources[TALLY_SOURCES_MAX][TALLY_NAME_MAX];

    /* Every request that was allowed, when that is wanted: NULL otherwise. */
    struct tally_grant *grants;
    size_t grant_count;
    size_t grant_room;

    uint64_t sent;
    uint64_t answered;
    uint64_t lost;   /* their connection broke */
    uint64_t strays; /* answers to no question */
};

/* One question, from when it is due to its answer. */
struct tally_request {
    uint64_t due;
    uint32_t key;
    uint32_t phase;
};

/* Of a tally that is all zero but for the prefix. grants: up to how many are kept. False when out
 * of memory. Starts with a phase named "all". */
bool tally_open(struct tally *tally, uint32_t keys, size_t grants, uint64_t now);
void tally_close(struct tally *tally);

/* Requests due from now on are of a new phase. False, and the last goes on, when there are too
 * many or its name is too long. */
bool tally_begin_phase(struct tally *tally, struct slice name, uint64_t now);

struct tally_request tally_ask(struct tally *tally, uint32_t key, uint64_t due);

/* source: where the answer says that it comes from. */
void tally_answer(struct tally *tally, const struct tally_request *request, bool allowed,
                  struct slice source, uint64_t now);
void tally_lose(struct tally *tally, const struct tally_request *request);

/* One line of JSON each: how far it is; all of it. */
void tally_print_progress(const struct tally *tally, uint64_t now, FILE *stream);
void tally_print(const struct tally *tally, uint64_t now, FILE *stream);
