/* Several agents at once, in real time, take from one key of a real Redis server as fast as they
 * can: what they are granted keeps what rules/limit/limit.h promises.
 *
 *     redis_promise ADDRESS ALGORITHM TAKES
 *
 * Once they keep all that they get, once they give some of it back. */
#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "random.h"
#include "server.h"

#define AGENTS 4

__extension__ typedef unsigned __int128 wide;

struct grant {
    uint64_t at;
    uint64_t kept;
    bool refused; /* some of what was wanted */
};

struct agent {
    const char *address;
    const struct limit *limit;
    const char *key;
    bool gives;
    struct random random;
    uint64_t first_at; /* what an agent keeps of a window */
    uint64_t previous;
    struct grant *grants;
    size_t takes;
    pthread_t thread;
};

static uint64_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct grant take(struct agent *agent, struct server *server, uint64_t now)
{
    struct redis_limit_request request = {
        .limit = agent->limit,
        .key = slice_of_string(agent->key),
        .units = 1 + random_below(&agent->random, 3),
        .now = now,
        .first = redis_limit_first(agent->limit, agent->first_at, now),
        .previous = agent->previous,
    };
    struct redis_limit_outcome outcome;
    if (server_take(server, request, &outcome) != REDIS_LIMIT_ANSWERED)
        fail("a take was not answered");
    if (request.first)
        agent->first_at = now;
    agent->previous = outcome.previous;
    struct grant grant = {
        .at = outcome.taken_at,
        .kept = outcome.result.granted,
        .refused = outcome.result.granted < request.units,
    };
    if (agent->gives && grant.kept && random_below(&agent->random, 4) == 0) {
        request.units = 1 + random_below(&agent->random, grant.kept);
        request.taken_at = grant.at;
        if (server_give(server, request) != REDIS_LIMIT_ANSWERED)
            fail("a give was not answered");
        grant.kept -= request.units;
    }
    return grant;
}

static void *run_agent(void *argument)
{
    struct agent *agent = argument;
    struct server server;
    server_open(&server, agent->address);
    uint64_t asked = microseconds();
    uint64_t offset = server_time(&server) - (asked + (microseconds() - asked) / 2);
    for (size_t i = 0; i < agent->takes; i++)
        agent->grants[i] = take(agent, &server, microseconds() + offset);
    server_close(&server);
    return NULL;
}

/* ---- the promises -------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct grant *x = a;
    const struct grant *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void check(bool holds, const struct limit *limit, const struct grant *grant,
                  uint64_t admitted)
{
    if (!holds)
        fail("%s: %" PRIu64 " units until %" PRIu64 ", of %" PRIu64 " in %" PRIu64
             " us with a burst of %" PRIu64,
             limit_algorithm_name(limit->algorithm), admitted, grant->at, limit->units,
             limit->window, limit->burst);
}

/* Never more than the limit in an aligned window; and where all is kept, no less in one in which
 * anything was refused. A sliding window's first refusals come earlier. */
static void check_windows(const struct limit *limit, const struct grant *grants, size_t count,
                          bool all_kept)
{
    for (size_t i = 0; i < count;) {
        uint64_t window = grants[i].at / limit->window;
        uint64_t admitted = 0;
        bool refused = false;
        for (; i < count && grants[i].at / limit->window == window; i++) {
            admitted += grants[i].kept;
            refused = refused || grants[i].refused;
        }
        check(admitted <= limit->units, limit, &grants[i - 1], admitted);
        if (limit->algorithm == LIMIT_FIXED_WINDOW && all_kept && refused)
            check(admitted == limit->units, limit, &grants[i - 1], admitted);
    }
}

static void check_bucket(const struct limit *limit, const struct grant *grants, size_t count)
{
    wide lacking = 0; /* in microseconds of refill, times units */
    for (size_t i = 0; i < count; i++) {
        uint64_t elapsed = i ? grants[i].at - grants[i - 1].at : 0;
        wide refilled = (wide)elapsed * limit->units;
        lacking = lacking > refilled ? lacking - refilled : 0;
        lacking += (wide)grants[i].kept * limit->window;
        check(lacking <= (wide)limit->burst * limit->window, limit, &grants[i], grants[i].kept);
    }
}

static void check_log(const struct limit *limit, const struct grant *grants, size_t count)
{
    uint64_t admitted = 0;
    size_t oldest = 0;
    for (size_t i = 0; i < count; i++) {
        admitted += grants[i].kept;
        while (grants[oldest].at + limit->window <= grants[i].at)
            admitted -= grants[oldest++].kept;
        check(admitted <= limit->units, limit, &grants[i], admitted);
    }
}

static void check_promise(const struct limit *limit, const struct grant *grants, size_t count,
                          bool all_kept)
{
    switch (limit->algorithm) {
    case LIMIT_TOKEN_BUCKET:
        check_bucket(limit, grants, count);
        break;
    case LIMIT_SLIDING_LOG:
        check_log(limit, grants, count);
        break;
    default:
        check_windows(limit, grants, count, all_kept);
        break;
    }
}

/* ---- runs ---------------------------------------------------------------------------------- */

static void run(const char *address, const struct limit *limit, size_t takes, bool gives)
{
    struct random random = random_open(limit_algorithm_name(limit->algorithm));
    char key[64];
    snprintf(key, sizeof(key), "{promise:%" PRIu64 "}:%d", microseconds(), gives);
    struct grant *grants = calloc(takes * AGENTS, sizeof(*grants));
    struct agent agents[AGENTS];
    if (!grants)
        fail("out of memory");
    for (size_t i = 0; i < AGENTS; i++) {
        agents[i] = (struct agent){.address = address,
                                   .limit = limit,
                                   .key = key,
                                   .gives = gives,
                                   .random = {random_next(&random)},
                                   .grants = &grants[i * takes],
                                   .takes = takes};
        if (pthread_create(&agents[i].thread, NULL, run_agent, &agents[i]))
            fail("no thread to be had");
    }
    for (size_t i = 0; i < AGENTS; i++)
        pthread_join(agents[i].thread, NULL);

    size_t count = takes * AGENTS;
    qsort(grants, count, sizeof(*grants), by_time);
    check_promise(limit, grants, count, !gives);
    uint64_t admitted = 0;
    for (size_t i = 0; i < count; i++)
        admitted += grants[i].kept;
    printf("%s%s: %zu takes in %" PRIu64 " us, %" PRIu64 " units kept\n",
           limit_algorithm_name(limit->algorithm), gives ? ", giving some back" : "", count,
           grants[count - 1].at - grants[0].at, admitted);
    free(grants);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: redis_promise ADDRESS ALGORITHM TAKES");
    struct limit limit = {.units = 70, .window = 110000, .burst = 30};
    uint64_t takes;
    limit.algorithm = limit_algorithm_parse(slice_of_string(argv[2]));
    if (limit_check(&limit) || !slice_to_uint64(slice_of_string(argv[3]), &takes) || takes == 0)
        fail("expected the name of an algorithm and a number of takes");
    run(argv[1], &limit, (size_t)takes, false);
    run(argv[1], &limit, (size_t)takes, true);
    return EXIT_SUCCESS;
}
