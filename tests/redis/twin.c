#include "twin.h"

#include <inttypes.h>

static uint64_t window_start(const struct twin *twin, uint64_t time)
{
    return time - time % twin->limit.window;
}

static const char *full_name(const struct twin *twin, uint64_t time, char name[SERVER_KEY_MAX])
{
    return server_key(&twin->limit, twin->name, time, name);
}

static _Noreturn void differ(const struct twin *twin, const char *what, uint64_t now,
                             uint64_t wanted, struct limit_result got, struct limit_result expected)
{
    const struct limit *limit = &twin->limit;
    fail("%s, take %" PRIu64 " of key %s: units %" PRIu64 ", window %" PRIu64 ", burst %" PRIu64
         ", at %" PRIu64 " wanting %" PRIu64 ": %s\n"
         "  Redis: granted %" PRIu64 ", remaining %" PRIu64 ", retry %" PRIu64 ", reset %" PRIu64
         "\n  pure:  granted %" PRIu64 ", remaining %" PRIu64 ", retry %" PRIu64 ", reset %" PRIu64,
         limit_algorithm_name(limit->algorithm), twin->takes, twin->name, limit->units,
         limit->window, limit->burst, now, wanted, what, got.granted, got.remaining,
         got.retry_after, got.reset_after, expected.granted, expected.remaining,
         expected.retry_after, expected.reset_after);
}

void twin_empty_log(struct twin *twin)
{
    if (!twin->log)
        return;
    *twin->log = (struct limit_log){.capacity = LIMIT_LOG_UNITS_MAX};
    twin->state.log = twin->log;
}

/* ---- takes --------------------------------------------------------------------------------- */

static uint64_t at_most(uint64_t number, uint64_t most)
{
    return number < most ? number : most;
}

/* A counter above the limit is a surplus on its way back, and doesn't count; see redis_limit.h. */
static struct limit_result take_from_window(struct twin *twin, uint64_t now, uint64_t wanted,
                                            uint64_t *next_after)
{
    struct limit_state seen = twin->state;
    if (twin->limit.algorithm == LIMIT_FIXED_WINDOW) {
        seen.fixed.count = at_most(seen.fixed.count, twin->limit.units);
    } else {
        seen.sliding.current = at_most(seen.sliding.current, twin->limit.units);
        seen.sliding.previous = at_most(seen.sliding.previous, twin->limit.units);
    }
    struct limit_result result = limit_take(&twin->limit, &seen, now, wanted);
    if (twin->limit.algorithm == LIMIT_SLIDING_WINDOW) {
        /* What can't have been granted is a surplus too. */
        struct limit_state empty = seen;
        empty.sliding.current = 0;
        struct limit_result room = limit_peek(&twin->limit, &empty, now, 1);
        seen.sliding.current = at_most(seen.sliding.current, room.granted + room.remaining);
    }
    *next_after = limit_peek(&twin->limit, &seen, now, 1).retry_after;
    if (result.granted) {
        struct limit no_limit = twin->limit;
        no_limit.units = UINT64_C(1) << 60;
        limit_take(&no_limit, &twin->state, now, result.granted);
    }
    return result;
}

/* Nothing wanted: what a unit would be told, but that it isn't taken. */
static struct limit_result expected_probe(struct twin *twin, uint64_t now, uint64_t *next_after)
{
    struct limit_state before = twin->state;
    struct limit_result result = {0};
    if (twin_is_window(twin)) {
        result = take_from_window(twin, now, 1, next_after);
        twin->state = before;
    } else {
        result = limit_peek(&twin->limit, &twin->state, now, 1);
        *next_after = result.retry_after;
    }
    if (result.granted)
        *next_after = 0;
    result.remaining += result.granted;
    result.granted = 0;
    return result;
}

static struct limit_result expected_take(struct twin *twin, uint64_t now, uint64_t wanted,
                                         uint64_t *next_after)
{
    if (wanted == 0)
        return expected_probe(twin, now, next_after);
    if (twin_is_window(twin))
        return take_from_window(twin, now, wanted, next_after);
    struct limit_result result = limit_take(&twin->limit, &twin->state, now, wanted);
    *next_after = limit_peek(&twin->limit, &twin->state, now, 1).retry_after;
    return result;
}

/* Whatever was done, the key has a time to live: one that outlasts what it counts where a script
 * has just set it. */
static void check_time_to_live(struct twin *twin, uint64_t now, struct limit_result result)
{
    char name[SERVER_KEY_MAX];
    int64_t left = server_ask(twin->server, "PTTL %s", full_name(twin, now, name));
    if (left == -1)
        fail("%s will never expire", name);
    bool script_set_it = !twin_is_window(twin) && result.granted;
    if (script_set_it && (left < 0 || (uint64_t)left * 1000 < result.reset_after))
        fail("%s will expire in %" PRId64 " ms, but counts for %" PRIu64 " us", name, left,
             result.reset_after);
    server_ask(twin->server, "PEXPIRE %s " TWIN_KEEP_MS, name);
}

/* A log holds no more than twice the times that it could need. */
static void check_size(struct twin *twin)
{
    if (twin->limit.algorithm != LIMIT_SLIDING_LOG)
        return;
    if (twin->most_units < twin->limit.units)
        twin->most_units = twin->limit.units;
    char name[SERVER_KEY_MAX];
    int64_t size = server_ask(twin->server, "STRLEN %s", full_name(twin, 0, name));
    if (size > (int64_t)(23 + 28 * twin->most_units))
        fail("%s takes up %" PRId64 " bytes", name, size);
}

static struct redis_limit_request request_of(const struct twin *twin, uint64_t now)
{
    return (struct redis_limit_request){
        .limit = &twin->limit,
        .key = slice_of_string(twin->name),
        .now = now,
        .test_now = now,
        .previous = twin->previous,
    };
}

struct limit_result twin_take(struct twin *twin, uint64_t now, uint64_t wanted)
{
    twin->takes++;
    struct redis_limit_request request = request_of(twin, now);
    request.units = wanted;
    request.first = redis_limit_first(&twin->limit, twin->first_at, now);
    struct redis_limit_outcome outcome;
    enum redis_limit_status status = server_take(twin->server, request, &outcome);
    uint64_t next_after;
    struct limit_result expected = expected_take(twin, now, wanted, &next_after);
    struct limit_result got = outcome.result;
    if (status != REDIS_LIMIT_ANSWERED)
        differ(twin, "no answer", now, wanted, got, expected);
    if (got.granted != expected.granted || got.remaining != expected.remaining ||
        got.retry_after != expected.retry_after || got.reset_after != expected.reset_after)
        differ(twin, "another answer", now, wanted, got, expected);
    if (outcome.next_after != next_after)
        differ(twin, "another wait for the next unit", now, wanted, got, expected);
    if (outcome.taken_at != now && twin->limit.units)
        differ(twin, "another time", now, wanted, got, expected);
    if (request.first)
        twin->first_at = now;
    twin->previous = outcome.previous;
    if (twin->limit.units) {
        check_time_to_live(twin, now, got);
        check_size(twin);
    }
    return got;
}

/* ---- whatever else happens ----------------------------------------------------------------- */

void twin_give(struct twin *twin, uint64_t now, uint64_t taken_at, uint64_t units)
{
    struct redis_limit_request request = request_of(twin, now);
    request.units = units;
    request.taken_at = taken_at;
    if (server_give(twin->server, request) != REDIS_LIMIT_ANSWERED)
        fail("key %s: a give was not answered", twin->name);
    limit_give(&twin->limit, &twin->state, now, taken_at, units);
    if (window_start(twin, taken_at) != window_start(twin, now))
        twin->first_at = 0; /* the count of the window before is another now */
}

void twin_lose(struct twin *twin, uint64_t now)
{
    char name[SERVER_KEY_MAX];
    uint64_t start = window_start(twin, now);
    switch (twin->limit.algorithm) {
    case LIMIT_FIXED_WINDOW:
        if (twin->state.fixed.start != start)
            return;
        twin->state.fixed.count = 0;
        break;
    case LIMIT_SLIDING_WINDOW:
        if (twin->state.sliding.start != start)
            return;
        twin->state.sliding.current = 0;
        break;
    case LIMIT_TOKEN_BUCKET:
        twin->state = (struct limit_state){0};
        break;
    default:
        twin_empty_log(twin);
        break;
    }
    server_ask(twin->server, "DEL %s", full_name(twin, now, name));
}

void twin_set_bucket(struct twin *twin, uint64_t arrival, uint64_t fraction, uint64_t latest)
{
    twin->state.bucket.arrival = arrival;
    twin->state.bucket.fraction = fraction;
    twin->state.bucket.latest = latest;
    uint8_t value[19] = {'b'};
    for (int i = 0; i < 7; i++) {
        value[1 + i] = (uint8_t)(arrival >> (48 - 8 * i));
        value[12 + i] = (uint8_t)(latest >> (48 - 8 * i));
    }
    writer_put_uint32(&value[8], (uint32_t)fraction);
    char name[SERVER_KEY_MAX];
    server_ask(twin->server, "SET %s %b PX " TWIN_KEEP_MS, full_name(twin, 0, name), value,
               sizeof(value));
}
