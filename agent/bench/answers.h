/* What the answers to a load say, counted. Not thread-safe. */
#pragma once

#include "spop/spop.h"

#define BENCH_SOURCES_MAX 8
#define BENCH_SOURCE_SIZE 32 /* longer names are cut */
#define BENCH_SEEN        4
#define BENCH_SEEN_SIZE   120

/* How an answer began that was read before. One that begins the same says the same. */
struct bench_seen {
    size_t size;
    bool whole; /* nothing may follow */
    uint64_t *outcome;
    uint64_t *source; /* NULL: none is named */
    uint8_t bytes[BENCH_SEEN_SIZE];
};

/* Zero-initialised is empty and ready. May not be moved. */
struct bench_answers {
    uint64_t allowed;
    uint64_t refused;
    uint64_t undecided; /* neither `allow` nor `deny` is set */
    uint64_t other_sources;
    size_t source_count;
    struct {
        char name[BENCH_SOURCE_SIZE];
        uint64_t answers;
    } sources[BENCH_SOURCES_MAX];
    size_t seen_next; /* whose place is taken next */
    struct bench_seen seen[BENCH_SEEN];
};

/* Counts an ACK's payload; an error when it is malformed. */
enum error bench_answers_add(struct bench_answers *answers, struct slice payload);
