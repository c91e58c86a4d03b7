/* A load on one agent, in one thread. */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "agent/bench/answers.h"
#include "agent/bench/histogram.h"
#include "agent/bench/keys.h"
#include "agent/bench/notify.h"
#include "agent/bench/usage.h"

#define BENCH_CONNECTIONS_MAX 1024

struct bench_options {
    const char *address; /* as it was given */
    struct endpoint endpoint;
    struct slice message;
    uint64_t connections; /* 1 to BENCH_CONNECTIONS_MAX */
    uint64_t in_flight;   /* streams of each: 1 to BENCH_IN_FLIGHT_MAX */
    uint64_t rate;        /* requests a second; 0: a closed loop */
    uint64_t duration;    /* microseconds; 0: until there were as many requests as count says */
    uint64_t count;       /* 0: no limit */
    uint64_t keys;
    enum bench_order order;
    double exponent;
    uint64_t seed;
    uint64_t timeout; /* microseconds */
    pid_t agent;      /* 0: not known */
    bool progress;    /* a line a second to stderr */
    bool json;
};

/* Times are in nanoseconds. */
struct bench_result {
    uint64_t asked;
    uint64_t answered;
    uint64_t unanswered;
    uint64_t took; /* from the first question to the last answer */
    struct bench_answers answers;
    struct bench_histogram latency; /* of all: the unanswered with how long they had waited */
    struct bench_usage own;         /* during the run, but for what is resident: at its end */
    struct bench_usage agent;
};

/* Set by a signal: the load ends as if its duration were over. */
extern volatile sig_atomic_t bench_interrupted;

/* notify: with its arguments; its frame is made once it is known how large the agent takes them.
 * result: all zero. False, after saying why in a buffer of BENCH_WHY_MAX bytes, when the agent is
 * not there, leaves, or doesn't keep to the protocol. */
bool bench_load_run(const struct bench_options *options, struct bench_notify *notify,
                    struct bench_result *result, char *why);
