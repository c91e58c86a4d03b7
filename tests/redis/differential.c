/* The same random takes, gives, waits, reloads and losses, through limit_take and limit_give and
 * through a real Redis server: every answer must be the same.
 *
 *     redis_differential ADDRESS ALGORITHM STEPS
 *
 * Time is made up, the server's clock as well: see test_now in redis_limit.h. */
#include <inttypes.h>
#include <time.h>

#include "server.h"
#include "trace.h"

#define TRACE_STEPS 200
#define GRANTS      64

/* Redis lets a key go by its own clock, and here its time to live is not the time made up. So each
 * key is given long to live once that has been looked at; where that took half a second, half of
 * the slack, a trace is no test. */
#define KEEP_MS      "3600000"
#define SLOW_STEP_NS UINT64_C(500000000)

__extension__ typedef unsigned __int128 wide;

struct grant {
    uint64_t asked_at;
    uint64_t units;
};

struct trace {
    struct random *random;
    struct server *server;
    char name[64];
    struct limit limit;
    uint64_t now;

    struct limit_state state; /* by the pure functions */
    struct limit_log *log;    /* the state's */

    uint64_t first_at; /* what an agent keeps of a window */
    uint64_t previous;

    struct grant grants[GRANTS];
    struct limit_result last;
    uint64_t steps;
};

static bool is_window(const struct limit *limit)
{
    return limit->algorithm == LIMIT_FIXED_WINDOW || limit->algorithm == LIMIT_SLIDING_WINDOW;
}

static uint64_t tolerated(const struct limit *limit)
{
    return limit->window > LIMIT_LATE_MAX ? limit->window : LIMIT_LATE_MAX;
}

static uint64_t window_start(const struct trace *trace, uint64_t time)
{
    return time - time % trace->limit.window;
}

static const char *full_name(const struct trace *trace, uint64_t time, char name[SERVER_KEY_MAX])
{
    return server_key(&trace->limit, trace->name, time, name);
}

static _Noreturn void differ(const struct trace *trace, const char *what, uint64_t now,
                             uint64_t wanted, struct limit_result got, struct limit_result expected)
{
    const struct limit *limit = &trace->limit;
    fail("%s, step %" PRIu64 " of key %s: units %" PRIu64 ", window %" PRIu64 ", burst %" PRIu64
         ", at %" PRIu64 " wanting %" PRIu64 ": %s\n"
         "  Redis: granted %" PRIu64 ", remaining %" PRIu64 ", retry %" PRIu64 ", reset %" PRIu64
         "\n  pure:  granted %" PRIu64 ", remaining %" PRIu64 ", retry %" PRIu64 ", reset %" PRIu64,
         limit_algorithm_name(limit->algorithm), trace->steps, trace->name, limit->units,
         limit->window, limit->burst, now, wanted, what, got.granted, got.remaining,
         got.retry_after, got.reset_after, expected.granted, expected.remaining,
         expected.retry_after, expected.reset_after);
}

static void empty_log(struct trace *trace)
{
    if (!trace->log)
        return;
    *trace->log = (struct limit_log){.capacity = LIMIT_LOG_UNITS_MAX};
    trace->state.log = trace->log;
}

/* ---- takes --------------------------------------------------------------------------------- */

static uint64_t at_most(uint64_t number, uint64_t most)
{
    return number < most ? number : most;
}

/* A counter above the limit is a surplus on its way back, and doesn't count; see redis_limit.h. */
static struct limit_result take_from_window(struct trace *trace, uint64_t now, uint64_t wanted)
{
    struct limit_state seen = trace->state;
    if (trace->limit.algorithm == LIMIT_FIXED_WINDOW) {
        seen.fixed.count = at_most(seen.fixed.count, trace->limit.units);
    } else {
        seen.sliding.current = at_most(seen.sliding.current, trace->limit.units);
        seen.sliding.previous = at_most(seen.sliding.previous, trace->limit.units);
    }
    struct limit_result result = limit_take(&trace->limit, &seen, now, wanted);
    if (result.granted) {
        struct limit no_limit = trace->limit;
        no_limit.units = UINT64_C(1) << 60;
        limit_take(&no_limit, &trace->state, now, result.granted);
    }
    return result;
}

static struct limit_result expected_take(struct trace *trace, uint64_t now, uint64_t wanted)
{
    if (is_window(&trace->limit))
        return take_from_window(trace, now, wanted);
    return limit_take(&trace->limit, &trace->state, now, wanted);
}

/* Whatever was done, the key has a time to live: one that outlasts what it counts where a script
 * has just set it. */
static void check_time_to_live(struct trace *trace, uint64_t now, struct limit_result result)
{
    char name[SERVER_KEY_MAX];
    int64_t left = server_ask(trace->server, "PTTL %s", full_name(trace, now, name));
    if (left == -1)
        fail("%s will never expire", name);
    if (!is_window(&trace->limit) && result.granted && (uint64_t)left * 1000 < result.reset_after)
        fail("%s will expire in %" PRId64 " ms, but counts for %" PRIu64 " us", name, left,
             result.reset_after);
    server_ask(trace->server, "PEXPIRE %s " KEEP_MS, name);
}

static struct redis_limit_request request_of(const struct trace *trace, uint64_t now)
{
    return (struct redis_limit_request){
        .limit = &trace->limit,
        .key = slice_of_string(trace->name),
        .now = now,
        .test_now = now,
        .previous = trace->previous,
    };
}

static void remember(struct trace *trace, uint64_t now, uint64_t units)
{
    memmove(&trace->grants[1], &trace->grants[0], sizeof(trace->grants) - sizeof(trace->grants[0]));
    trace->grants[0] = (struct grant){now, units};
}

static void take(struct trace *trace, uint64_t now, uint64_t wanted)
{
    struct redis_limit_request request = request_of(trace, now);
    request.units = wanted;
    request.first = redis_limit_first(&trace->limit, trace->first_at, now);
    struct redis_limit_outcome outcome;
    enum redis_limit_status status = server_take(trace->server, request, &outcome);
    struct limit_result expected = expected_take(trace, now, wanted);
    struct limit_result got = outcome.result;
    if (status != REDIS_LIMIT_ANSWERED)
        differ(trace, "no answer", now, wanted, got, expected);
    if (got.granted != expected.granted || got.remaining != expected.remaining ||
        got.retry_after != expected.retry_after || got.reset_after != expected.reset_after)
        differ(trace, "another answer", now, wanted, got, expected);
    if (outcome.taken_at != now && trace->limit.units)
        differ(trace, "another time", now, wanted, got, expected);
    if (request.first)
        trace->first_at = now;
    trace->previous = outcome.previous;
    trace->last = got;
    if (got.granted)
        remember(trace, now, got.granted);
    if (trace->limit.units)
        check_time_to_live(trace, now, got);
}

/* ---- whatever else happens ----------------------------------------------------------------- */

/* A time that may be late: on a script's clock any, in a window only within it. */
static uint64_t some_time(const struct trace *trace)
{
    struct random *random = trace->random;
    uint64_t late = 0;
    switch (random_below(random, 8)) {
    case 0:
        late = random_below(random, trace->limit.window);
        break;
    case 1:
        late = random_below(random, trace->limit.window / (trace->limit.units + 1) + 1);
        break;
    case 2:
        late = tolerated(&trace->limit) - 2 + random_below(random, 4);
        break;
    default:
        break;
    }
    if (is_window(&trace->limit))
        return late <= trace->now % trace->limit.window ? trace->now - late : trace->now;
    return late < trace->now ? trace->now - late : 1;
}

static void give(struct trace *trace)
{
    /* One of the last few, or any. */
    uint64_t among = random_below(trace->random, 2) ? 4 : GRANTS;
    struct grant *grant = &trace->grants[random_below(trace->random, among)];
    if (grant->units == 0)
        return;
    struct redis_limit_request request = request_of(trace, some_time(trace));
    /* Only on a server's clock may it be before its take. */
    if (request.now < grant->asked_at &&
        (is_window(&trace->limit) || random_below(trace->random, 2)))
        request.now = request.test_now = grant->asked_at;
    request.units = 1 + random_below(trace->random, grant->units);
    request.taken_at = grant->asked_at;
    if (server_give(trace->server, request) != REDIS_LIMIT_ANSWERED)
        fail("key %s: a give was not answered", trace->name);
    limit_give(&trace->limit, &trace->state, request.now, request.taken_at, request.units);
    grant->units -= request.units;
    if (window_start(trace, grant->asked_at) != window_start(trace, trace->now))
        trace->first_at = 0; /* the count of the window before is another now */
}

/* What trace_limit's have not: a log of many runs, a bucket whose products take 75 bits. */
static struct limit large_limit(struct random *random, enum limit_algorithm algorithm)
{
    struct limit limit = {.algorithm = algorithm};
    if (algorithm == LIMIT_SLIDING_LOG) {
        limit.units = 50 + random_below(random, 500);
        limit.window = 100000 + random_below(random, 1000000);
    } else {
        limit.units = 1 + random_below(random, LIMIT_UNITS_MAX >> random_below(random, 16));
        limit.window = LIMIT_WINDOW_MIN + random_below(random, LIMIT_WINDOW_MAX / 2);
        limit.burst = 1 + random_below(random, limit.units);
    }
    return limit;
}

static struct limit some_limit(struct random *random, enum limit_algorithm algorithm)
{
    if (random_below(random, 4) == 0)
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
    struct limit limit = some_limit(trace->random, trace->limit.algorithm);
    if (is_window(&limit) || random_below(trace->random, 2))
        limit.window = trace->limit.window;
    if (!limit_check(&limit))
        trace->limit = limit;
}

/* The server loses the key that was taken from last. What an agent knows of it stays. */
static void lose(struct trace *trace)
{
    char name[SERVER_KEY_MAX];
    uint64_t start = window_start(trace, trace->now);
    switch (trace->limit.algorithm) {
    case LIMIT_FIXED_WINDOW:
        if (trace->state.fixed.start != start)
            return;
        trace->state.fixed.count = 0;
        break;
    case LIMIT_SLIDING_WINDOW:
        if (trace->state.sliding.start != start)
            return;
        trace->state.sliding.current = 0;
        break;
    case LIMIT_TOKEN_BUCKET:
        trace->state = (struct limit_state){0};
        break;
    default:
        empty_log(trace);
        break;
    }
    server_ask(trace->server, "DEL %s", full_name(trace, trace->now, name));
}

/* What a bucket lacks, close to where it makes a difference: a whole number of units. */
static void lack_units(struct trace *trace, uint64_t *arrival, uint64_t *fraction)
{
    const struct limit *limit = &trace->limit;
    wide lacks = (wide)random_below(trace->random, limit->burst + 2) * limit->window;
    lacks += random_below(trace->random, 3);
    lacks -= lacks > 0;
    *arrival = trace->now + (uint64_t)(lacks / limit->units);
    *fraction = (uint64_t)(lacks % limit->units);
}

/* A bucket that no take has left so. */
static void corrupt(struct trace *trace)
{
    if (trace->limit.algorithm != LIMIT_TOKEN_BUCKET || trace->limit.units == 0)
        return;
    struct random *random = trace->random;
    uint64_t latest = trace->now;
    uint64_t arrival;
    uint64_t fraction = random_next(random) >> (32 + random_below(random, 32));
    if (random_below(random, 2)) {
        lack_units(trace, &arrival, &fraction);
    } else {
        latest += random_below(random, 3 * trace->limit.window);
        latest -= random_below(random, at_most(trace->now, 3 * trace->limit.window));
        arrival = random_below(random, 2) ? latest + random_below(random, LIMIT_WINDOW_MAX)
                                          : random_next(random) >> 12;
    }
    if (latest >> 52 || arrival >> 52)
        return;
    trace->state.bucket.latest = latest;
    trace->state.bucket.arrival = arrival;
    trace->state.bucket.fraction = fraction;
    uint8_t value[19] = {'b'};
    for (int i = 0; i < 7; i++) {
        value[1 + i] = (uint8_t)(arrival >> (48 - 8 * i));
        value[12 + i] = (uint8_t)(latest >> (48 - 8 * i));
    }
    writer_put_uint32(&value[8], (uint32_t)fraction);
    char name[SERVER_KEY_MAX];
    server_ask(trace->server, "SET %s %b PX " KEEP_MS, full_name(trace, 0, name), value,
               sizeof(value));
}

static void wait_some(struct trace *trace)
{
    trace->now += trace_gap(trace->random, &trace->limit, trace->now, &trace->last);
    if (is_window(&trace->limit) || random_below(trace->random, 50))
        return;
    /* The server's clock is set back. */
    uint64_t back = tolerated(&trace->limit) - 2 + random_below(trace->random, 4);
    if (random_below(trace->random, 2))
        back = random_below(trace->random, trace->now);
    trace->now = back < trace->now ? trace->now - back : 1;
}

/* ---- traces -------------------------------------------------------------------------------- */

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
    switch (random_below(trace->random, 100)) {
    case 0:
        reload(trace);
        break;
    case 1:
        lose(trace);
        break;
    case 2:
        corrupt(trace);
        break;
    case 3:
        if (random_below(trace->random, 10) == 0)
            server_ask(trace->server, "SCRIPT FLUSH");
        break;
    default:
        break;
    }
    if (random_below(trace->random, 4) == 0)
        give(trace);
    else
        take(trace, some_time(trace), trace_wanted(trace->random, &trace->limit));
    if (random_below(trace->random, 3) == 0)
        wait_some(trace);
    return nanoseconds() - began < SLOW_STEP_NS;
}

static uint64_t start_of(struct random *random, const struct limit *limit)
{
    if (is_window(limit))
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
    trace->now = start_of(trace->random, &trace->limit);
    empty_log(trace);
    uint64_t end =
        is_window(&trace->limit) ? UINT64_C(1) << 62 : (UINT64_C(1) << 52) - (UINT64_C(1) << 47);
    while (trace->steps < TRACE_STEPS && trace->now < end)
        if (!step(trace))
            break;
    return trace->steps;
}

static void run(struct server *server, enum limit_algorithm algorithm, uint64_t steps)
{
    struct random random = random_open(limit_algorithm_name(algorithm));
    struct limit largest = {.algorithm = LIMIT_SLIDING_LOG, .units = LIMIT_LOG_UNITS_MAX};
    struct limit_log *log = NULL;
    if (algorithm == LIMIT_SLIDING_LOG) {
        log = calloc(1, limit_log_size(&largest));
        if (!log)
            fail("out of memory");
    }
    uint64_t run_id = server_time(server);
    uint64_t done = 0;
    uint64_t traces = 0;
    for (; done < steps; traces++) {
        struct trace trace = {.random = &random, .server = server, .log = log};
        trace.limit = some_limit(&random, algorithm);
        snprintf(trace.name, sizeof(trace.name), "{%" PRIu64 "}:%" PRIu64, run_id, traces);
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
