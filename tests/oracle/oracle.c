/* Measures every limit algorithm on every trace, and fails when one breaks its promise, or when the
 * trace that is meant to drive it to its worst case doesn't.
 *
 *     oracle [--markdown]        with --markdown the table alone
 *
 * SLUICE_TEST_SEED sets the seed of the traces, which is 1 unless it is set.
 */
#include <stdio.h>
#include <string.h>

#include "measure.h"
#include "traces.h"

#define DECISIONS ((size_t)200000) /* of each algorithm on each trace */

/* A limit of 100 a second each; for the token bucket with all of it as burst, and with little. */
static const struct {
    const char *name;
    struct limit limit;
} limiters[] = {
    {"fixed-window", {LIMIT_FIXED_WINDOW, 100, 1000000, 0}},
    {"sliding-window", {LIMIT_SLIDING_WINDOW, 100, 1000000, 0}},
    {"token-bucket, burst 100", {LIMIT_TOKEN_BUCKET, 100, 1000000, 100}},
    {"token-bucket, burst 10", {LIMIT_TOKEN_BUCKET, 100, 1000000, 10}},
    {"sliding-log", {LIMIT_SLIDING_LOG, 100, 1000000, 0}},
};
#define LIMITERS (sizeof(limiters) / sizeof(limiters[0]))

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory) {
        fprintf(stderr, "oracle: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static void give_logs(const struct limit *limit, struct limit_state *states, uint8_t *logs)
{
    for (size_t key = 0; key < TRACE_KEYS; key++) {
        states[key].log = (struct limit_log *)(void *)(logs + key * limit_log_size(limit));
        states[key].log->capacity = (uint32_t)limit->units;
    }
}

/* Each request asks for 1 unit of its key, at its time. */
static void decide(const struct limit *limit, const struct request *requests,
                   struct decision *decisions)
{
    struct limit_state *states = allocate(TRACE_KEYS, sizeof(*states));
    uint8_t *logs = NULL;
    if (limit_log_size(limit)) {
        logs = allocate(TRACE_KEYS, limit_log_size(limit));
        give_logs(limit, states, logs);
    }
    for (size_t i = 0; i < DECISIONS; i++) {
        const struct request *r = &requests[i];
        struct limit_result result = limit_take(limit, &states[r->key], r->time, 1);
        decisions[i] = (struct decision){r->time, r->key, (uint32_t)i, result.granted == 1};
    }
    free(logs);
    free(states);
}

static void print_row(size_t limiter, size_t trace, const struct measure *m)
{
    const struct limit *limit = &limiters[limiter].limit;
    double units = (double)limit->units;
    double percent = 100 / (double)m->decisions;
    printf("| %-23s | %-16s | %6.2f %% | %5.2fx | %5.2fx | %6" PRIu64
           " | %10.2f %% | %10.2f %% |\n",
           limiters[limiter].name, traces[trace].name, (double)m->allowed * percent,
           (double)m->peak / units, (double)measure_bound(limit) / units, m->excess,
           (double)m->wrong_allows * percent, (double)m->wrong_denies * percent);
}

/* What must hold, printed where it doesn't. */
static bool check(size_t limiter, size_t trace, const struct measure *m)
{
    const struct limit *limit = &limiters[limiter].limit;
    bool adversarial = &traces[trace] == trace_adversarial;
    const char *wrong = NULL;
    if (m->excess)
        wrong = "exceeds its promise";
    else if (adversarial && m->peak != measure_bound(limit))
        wrong = "does not reach its worst case on the trace built for it";
    else if (limit->algorithm == LIMIT_SLIDING_LOG && (m->wrong_allows || m->wrong_denies))
        wrong = "is not exact";
    if (wrong)
        fprintf(stderr, "oracle: %s on %s %s\n", limiters[limiter].name, traces[trace].name, wrong);
    return !wrong;
}

static bool run(uint64_t seed)
{
    struct request *requests = allocate(DECISIONS * TRACES, sizeof(*requests));
    struct decision *decisions = allocate(DECISIONS, sizeof(*decisions));
    struct random random = {seed};
    for (size_t trace = 0; trace < TRACES; trace++)
        traces[trace].fill(&limiters[0].limit, &random, &requests[trace * DECISIONS], DECISIONS);

    printf("| algorithm               | trace            |  allowed |  worst |  bound | excess |"
           " wrong allows | wrong denies |\n"
           "|-------------------------|------------------|---------:|-------:|-------:|-------:|"
           "-------------:|-------------:|\n");
    bool good = true;
    for (size_t limiter = 0; limiter < LIMITERS; limiter++) {
        for (size_t trace = 0; trace < TRACES; trace++) {
            decide(&limiters[limiter].limit, &requests[trace * DECISIONS], decisions);
            struct measure m = measure(&limiters[limiter].limit, decisions, DECISIONS);
            print_row(limiter, trace, &m);
            good = check(limiter, trace, &m) && good;
        }
    }
    free(decisions);
    free(requests);
    return good;
}

int main(int argc, char **argv)
{
    bool markdown = argc == 2 && strcmp(argv[1], "--markdown") == 0;
    if (argc > 1 && !markdown) {
        fprintf(stderr, "usage: oracle [--markdown]\n");
        return 2;
    }
    const char *given = getenv("SLUICE_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 1;
    if (!markdown)
        printf("SLUICE_TEST_SEED=%" PRIu64 ", %zu decisions of each algorithm on each trace\n",
               seed, DECISIONS);
    return run(seed) ? EXIT_SUCCESS : EXIT_FAILURE;
}
