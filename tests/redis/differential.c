/* The same random takes, gives, waits, reloads and losses, through limit_take and limit_give and
 * through a real Redis server: every answer must be the same.
 *
 *     redis_differential ADDRESS ALGORITHM STEPS
 *
 * Time is made up, the server's clock as well: see test_now in redis_limit.h. */
#include <inttypes.h>
#include <time.h>

#include "trace.h"
#include "twin.h"

#define TRACE_STEPS 200
#define LOG_STEPS   3000          /* of a log that grows long */
#define LONG_LOG    UINT64_C(100) /* units; what trace_limit makes has fewer */
#define GRANTS      512

/* Half of REDIS_LIMIT_SLACK: where one step took that long, the server may have let go of a key
 * that had not been given long to live yet, and the trace ends. */
#define SLOW_STEP_NS UINT64_C(500000000)

__extension__ typedef unsigned __int128 wide;

struct grant {
    uint64_t asked_at;
    uint64_t units;
};

struct trace {
    struct random *random;
    struct twin twin;
    uint64_t now;
    struct grant grants[GRANTS]; /* newest first */
    struct limit_result last;
    uint64_t steps;
};

static bool is_long_log(const struct limit *limit)
{
    return limit->algorithm == LIMIT_SLIDING_LOG && limit->units >= LONG_LOG;
}

static uint64_t tolerated(const struct limit *limit)
{
    return limit->window > LIMIT_LATE_MAX ? limit->window : LIMIT_LATE_MAX;
}

/* A time that may be late: on a script's clock any, in a window only within it. */
static uint64_t some_time(const struct trace *trace)
{
    struct random *random = trace->random;
    uint64_t late = 0;
    /* A clock set back empties a log, and a long one is to grow. */
    bool gently = is_long_log(&trace->twin.limit) && random_below(random, 200);
    switch (gently ? 1 : random_below(random, 8)) {
    case 0:
        late = random_below(random, trace->twin.limit.window);
        break;
    case 1:
        late = random_below(random, trace->twin.limit.window / (trace->twin.limit.units + 1) + 1);
        break;
    case 2:
        late = tolerated(&trace->twin.limit) - 2 + random_below(random, 4);
        break;
    default:
        break;
    }
    if (twin_is_window(&trace->twin))
        return late <= trace->now % trace->twin.limit.window ? trace->now - late : trace->now;
    return late < trace->now ? trace->now - late : 1;
}

static void take(struct trace *trace, uint64_t now, uint64_t wanted)
{
    if (random_below(trace->random, 8) == 0)
        twin_take(&trace->twin, now, 0); /* only asks */
    trace->last = twin_take(&trace->twin, now, wanted);
    if (!trace->last.granted)
        return;
    memmove(&trace->grants[1], &trace->grants[0], sizeof(trace->grants) - sizeof(trace->grants[0]));
    trace->grants[0] = (struct grant){now, trace->last.granted};
}

static void give(struct trace *trace)
{
    /* Of one of the last few, or of any. */
    uint64_t among = random_below(trace->random, 2) ? 4 : GRANTS;
    struct grant *grant = &trace->grants[random_below(trace->random, among)];
    if (grant->units == 0)
        return;
    uint64_t now = some_time(trace);
    /* Only on a server's clock may it be before its take. */
    bool may_be_before = !twin_is_window(&trace->twin) && random_below(trace->random, 2);
    if (now < grant->asked_at && !may_be_before)
        now = grant->asked_at;
    uint64_t units = 1 + random_below(trace->random, grant->units);
    twin_give(&trace->twin, now, grant->asked_at, units);
    grant->units -= units;
}

/* What trace_limit's have not: a log of hundreds of times, a bucket whose products take 75 bits. */
static struct limit large_limit(struct random *random, enum limit_algorithm algorithm)
{
    struct limit limit = {.algorithm = algorithm};
    if (algorithm == LIMIT_SLIDING_LOG) {
        limit.units = LONG_LOG + (random_below(random, 1500) >> random_below(random, 6));
        limit.window = 1000000 + random_below(random, 10000000);
    } else {
        limit.units = 1 + random_below(random, LIMIT_UNITS_MAX >> random_below(random, 16));
        limit.window = LIMIT_WINDOW_MIN + random_below(random, LIMIT_WINDOW_MAX / 2);
        limit.burst = 1 + random_below(random, limit.units);
    }
    return limit;
}

static struct limit some_limit(struct random *random, enum limit_algorithm algorithm)
{
    if (random_below(random, algorithm == LIMIT_SLIDING_LOG ? 16 : 4) == 0)
        return large_limit(random, algorithm);
    struct limit limit;
    do
        limit = trace_limit(random, algorithm);
    while (limit_check(&limit));
    return limit;
}

/* A window of another length has other counters, which is no business of this test. */
static void reload(struct trace *trace)
{
    struct limit limit = some_limit(trace->random, trace->twin.limit.algorithm);
    if (is_long_log(&trace->twin.limit)) {
        limit = large_limit(trace->random, trace->twin.limit.algorithm);
        limit.window =
            trace->twin.limit.window / 2 + random_below(trace->random, trace->twin.limit.window);
    } else if (twin_is_window(&trace->twin) || random_below(trace->random, 2)) {
        limit.window = trace->twin.limit.window;
    }
    if (!limit_check(&limit))
        trace->twin.limit = limit;
}

/* What a bucket lacks, close to where it makes a difference: a whole number of units. */
static void lack_units(struct trace *trace, uint64_t *arrival, uint64_t *fraction)
{
    const struct limit *limit = &trace->twin.limit;
    wide lacks = (wide)random_below(trace->random, limit->burst + 2) * limit->window;
    lacks += random_below(trace->random, 3);
    lacks -= lacks > 0;
    *arrival = trace->now + (uint64_t)(lacks / limit->units);
    *fraction = (uint64_t)(lacks % limit->units);
}

/* A bucket that no take has left so. */
static void corrupt(struct trace *trace)
{
    if (trace->twin.limit.algorithm != LIMIT_TOKEN_BUCKET || trace->twin.limit.units == 0)
        return;
    struct random *random = trace->random;
    uint64_t latest = trace->now;
    uint64_t arrival;
    uint64_t fraction = random_next(random) >> (32 + random_below(random, 32));
    if (random_below(random, 2)) {
        lack_units(trace, &arrival, &fraction);
    } else {
        uint64_t back = 3 * trace->twin.limit.window;
        latest += random_below(random, back);
        latest -= random_below(random, back < trace->now ? back : trace->now);
        arrival = random_below(random, 2) ? latest + random_below(random, LIMIT_WINDOW_MAX)
                                          : random_next(random) >> 12;
    }
    if (latest >> 52 == 0 && arrival >> 52 == 0)
        twin_set_bucket(&trace->twin, arrival, fraction, latest);
}

static void wait_some(struct trace *trace)
{
    if (is_long_log(&trace->twin.limit) && random_below(trace->random, 200)) {
        trace->now +=
            random_below(trace->random, 3 * trace->twin.limit.window / trace->twin.limit.units);
        return;
    }
    trace->now += trace_gap(trace->random, &trace->twin.limit, trace->now, &trace->last);
    if (twin_is_window(&trace->twin) || random_below(trace->random, 50))
        return;
    /* The server's clock is set back. */
    uint64_t back = tolerated(&trace->twin.limit) - 2 + random_below(trace->random, 4);
    if (random_below(trace->random, 2))
        back = random_below(trace->random, trace->now);
    trace->now = back < trace->now ? trace->now - back : 1;
}

/* ---- traces -------------------------------------------------------------------------------- */

static uint64_t some_units(struct trace *trace)
{
    if (is_long_log(&trace->twin.limit) && random_below(trace->random, 500))
        return 1 + random_below(trace->random, 3);
    return trace_wanted(trace->random, &trace->twin.limit);
}

/* A reload, a loss, or nothing, which is the more likely. */
static void disturb(struct trace *trace)
{
    switch (random_below(trace->random, is_long_log(&trace->twin.limit) ? 400 : 100)) {
    case 0:
        reload(trace);
        break;
    case 1:
        twin_lose(&trace->twin, trace->now);
        break;
    case 2:
        corrupt(trace);
        break;
    case 3:
        if (random_below(trace->random, 10) == 0)
            server_ask(trace->twin.server, "SCRIPT FLUSH");
        break;
    default:
        break;
    }
}

static uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* False where it took so long that the server may have let go of something meanwhile. */
static bool step(struct trace *trace)
{
    uint64_t began = nanoseconds();
    trace->steps++;
    disturb(trace);
    if (random_below(trace->random, 4) == 0)
        give(trace);
    else
        take(trace, some_time(trace), some_units(trace));
    if (random_below(trace->random, 3) == 0)
        wait_some(trace);
    return nanoseconds() - began < SLOW_STEP_NS;
}

/* The scripts know no time from 2^52 on. */
static uint64_t start_of(struct random *random, const struct limit *limit)
{
    if (limit->algorithm == LIMIT_FIXED_WINDOW || limit->algorithm == LIMIT_SLIDING_WINDOW)
        return trace_start(random);
    switch (random_below(random, 3)) {
    case 0:
        return 1 + random_below(random, 10 * LIMIT_WINDOW_MIN);
    case 1:
        return (UINT64_C(1) << 52) - (UINT64_C(1) << 48);
    default:
        return UINT64_C(1700000000000000) + random_below(random, UINT64_C(1000000000000));
    }
}

/* Steps until the trace is over. */
static uint64_t run_trace(struct trace *trace)
{
    trace->now = start_of(trace->random, &trace->twin.limit);
    twin_empty_log(&trace->twin);
    uint64_t end = twin_is_window(&trace->twin) ? UINT64_C(1) << 62
                                                : (UINT64_C(1) << 52) - (UINT64_C(1) << 47);
    uint64_t steps = is_long_log(&trace->twin.limit) ? LOG_STEPS : TRACE_STEPS;
    while (trace->steps < steps && trace->now < end)
        if (!step(trace))
            break;
    return trace->steps;
}

/* A busy key: its log must not grow beyond what it can need. And what has left a window must not
 * come back into one that a reload has made longer. */
static void run_busy_log(struct trace *trace)
{
    trace->twin.limit = (struct limit){LIMIT_SLIDING_LOG, LONG_LOG, LONG_LOG * 1000, 0};
    trace->now = server_time(trace->twin.server);
    snprintf(trace->twin.name, sizeof(trace->twin.name), "{%" PRIu64 "}", trace->now);
    twin_empty_log(&trace->twin);
    for (; trace->steps < LOG_STEPS; trace->steps++) {
        take(trace, trace->now, 1);
        trace->now += random_below(trace->random, 2000);
        if (trace->steps % 300 == 299)
            trace->twin.limit.window = LONG_LOG * (trace->steps % 600 == 599 ? 1000 : 1500);
    }
}

static struct limit_log *new_log(void)
{
    struct limit largest = {.algorithm = LIMIT_SLIDING_LOG, .units = LIMIT_LOG_UNITS_MAX};
    struct limit_log *log = calloc(1, limit_log_size(&largest));
    if (!log)
        fail("out of memory");
    return log;
}

static void run(struct server *server, enum limit_algorithm algorithm, uint64_t steps)
{
    struct random random = random_open(limit_algorithm_name(algorithm));
    struct limit_log *log = algorithm == LIMIT_SLIDING_LOG ? new_log() : NULL;
    if (log)
        run_busy_log(&(struct trace){.random = &random, .twin = {.server = server, .log = log}});
    uint64_t run_id = server_time(server);
    uint64_t done = 0;
    uint64_t traces = 0;
    for (; done < steps; traces++) {
        struct trace trace = {.random = &random, .twin = {.server = server, .log = log}};
        trace.twin.limit = some_limit(&random, algorithm);
        snprintf(trace.twin.name, sizeof(trace.twin.name), "{%" PRIu64 "}:%" PRIu64, run_id,
                 traces);
        done += run_trace(&trace);
    }
    free(log);
    printf("%s: %" PRIu64 " steps in %" PRIu64
           " traces, every answer the same; a script sent whole "
           "%" PRIu64 " times\n",
           limit_algorithm_name(algorithm), done, traces, server->whole_scripts);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: redis_differential ADDRESS ALGORITHM STEPS");
    enum limit_algorithm algorithm = limit_algorithm_parse(slice_of_string(argv[2]));
    uint64_t steps;
    if (algorithm == LIMIT_ALGORITHMS || !slice_to_uint64(slice_of_string(argv[3]), &steps))
        fail("expected the name of an algorithm and a number of steps");
    struct server server;
    server_open(&server, argv[1]);
    run(&server, algorithm, steps);
    server_close(&server);
    return EXIT_SUCCESS;
}
