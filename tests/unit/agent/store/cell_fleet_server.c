#include "cell_fleet.h"
#include "redis_limits.h"

/* ---- the commands of the windows ----------------------------------------------------------- */

static uint64_t number_of(struct slice text)
{
    uint64_t number = 0;
    UNIT_ASSERT(slice_to_uint64(text, &number));
    return number;
}

/* The counter of "k:INDEX"; an expired one is gone. */
static struct fleet_counter *counter_of(struct fleet *fleet, struct slice key)
{
    UNIT_ASSERT(slice_has_prefix(key, SLICE("k:")));
    uint64_t index = number_of(slice_from(key, 2));
    struct fleet_counter *counter = &fleet->counters[index % FLEET_COUNTERS];
    bool gone = counter->expires && counter->expires <= fleet->now;
    if (counter->index != index || gone)
        *counter = (struct fleet_counter){.index = index};
    return counter;
}

static struct redis_limit_reply change_counter(struct fleet_counter *counter, int64_t by)
{
    counter->exists = true;
    counter->value += by;
    return (struct redis_limit_reply){.type = REDIS_LIMIT_REPLY_INTEGER, .integer = counter->value};
}

static void expire_in(const struct fleet *fleet, struct fleet_counter *counter, uint64_t ms)
{
    counter->expires = fleet->now + ms * 1000;
}

static struct redis_limit_reply execute(struct fleet *fleet, const struct slice *words,
                                        struct fleet_request *request)
{
    struct fleet_counter *counter = counter_of(fleet, words[1]);
    struct redis_limit_reply nil = {.type = REDIS_LIMIT_REPLY_NIL};
    if (slice_equal(words[0], SLICE("INCRBY")))
        return change_counter(counter, (int64_t)number_of(words[2]));
    if (slice_equal(words[0], SLICE("DECRBY")))
        return change_counter(counter, -(int64_t)number_of(words[2]));
    if (slice_equal(words[0], SLICE("SET"))) {
        UNIT_ASSERT(slice_equal(words[3], SLICE("PX")));
        UNIT_ASSERT(slice_equal(words[5], SLICE("NX")));
        if (counter->exists)
            return nil;
        change_counter(counter, (int64_t)number_of(words[2]));
        expire_in(fleet, counter, number_of(words[4]));
        return (struct redis_limit_reply){.type = REDIS_LIMIT_REPLY_TEXT, .text = SLICE("OK")};
    }
    if (slice_equal(words[0], SLICE("GET"))) {
        if (!counter->exists)
            return nil;
        int size = snprintf(request->text, sizeof(request->text), "%" PRId64, counter->value);
        return (struct redis_limit_reply){.type = REDIS_LIMIT_REPLY_TEXT,
                                          .text = slice_of(request->text, (size_t)size)};
    }
    UNIT_ASSERT(slice_equal(words[0], SLICE("PEXPIRE")));
    if (counter->exists)
        expire_in(fleet, counter, number_of(words[2]));
    return (struct redis_limit_reply){.type = REDIS_LIMIT_REPLY_INTEGER, .integer = 1};
}

static void execute_command(struct fleet *fleet, struct fleet_request *request)
{
    struct slice words[6] = {0};
    struct cursor c = cursor_open(request->commands.command[request->executed]);
    uint64_t count = read_count(&c, '*');
    UNIT_ASSERT(count <= 6);
    for (uint64_t i = 0; i < count; i++)
        words[i] = read_argument(&c);
    UNIT_ASSERT(c.error == ERROR_NONE);
    request->replies[request->executed] = execute(fleet, words, request);
}

/* ---- what the scripts do ------------------------------------------------------------------- */

static void copy_state(const struct fleet *fleet, struct limit_state *to)
{
    struct limit_log *log = to->log;
    if (fleet->options.limits[0].algorithm != LIMIT_SLIDING_LOG) {
        *to = fleet->state;
        return;
    }
    memcpy(log, fleet->state.log,
           sizeof(*log) + (size_t)fleet->state.log->capacity * sizeof(log->times[0]));
}

/* What each take of the batch would get, had they come one by one, each with all that it wants or
 * nothing. */
static void take_alone(struct fleet *fleet, struct fleet_agent *agent, const struct limit *limit)
{
    struct store_take *take;
    copy_state(fleet, &agent->alone);
    TAILQ_FOREACH(take, &agent->cell.sent, pending.of_key)
    {
        struct limit_result r = limit_peek(limit, &agent->alone, fleet->now, take->wanted);
        uint64_t granted = r.granted == take->wanted ? take->wanted : 0;
        if (granted && !take->probe)
            limit_take(limit, &agent->alone, fleet->now, granted);
        ((struct fleet_take *)take)->expected = granted;
    }
}

/* Of 0 units: what redis_limit_outcome says. */
static struct limit_result take_or_ask(const struct limit *limit, struct limit_state *state,
                                       uint64_t now, uint64_t units)
{
    if (units)
        return limit_take(limit, state, now, units);
    struct limit_result result = limit_peek(limit, state, now, 1);
    result.remaining += result.granted;
    result.granted = 0;
    return result;
}

static void execute_as_script(struct fleet *fleet, struct fleet_agent *agent,
                              struct fleet_request *request)
{
    const struct limit *limit = &request->limit;
    if (request->kind == FLEET_GIVE) {
        limit_give(limit, &fleet->state, fleet->now, request->of.taken_at, request->of.units);
        return;
    }
    take_alone(fleet, agent, limit);
    struct redis_limit_outcome *outcome = &request->outcome;
    outcome->result = take_or_ask(limit, &fleet->state, fleet->now, request->of.units);
    outcome->next_after = limit_peek(limit, &fleet->state, fleet->now, 1).retry_after;
    outcome->taken_at = fleet->now;
}

/* ---- both ---------------------------------------------------------------------------------- */

bool fleet__execute_one(struct fleet *fleet, struct fleet_agent *agent)
{
    for (size_t i = 0; i < agent->line_count; i++) {
        struct fleet_request *request = &agent->line[(agent->line_head + i) % FLEET_LINE];
        if (request->executed == request->steps)
            continue;
        if (fleet->options.commands)
            execute_command(fleet, request);
        else
            execute_as_script(fleet, agent, request);
        request->executed++;
        return true;
    }
    return false;
}

static uint64_t count_in(const struct fleet *fleet, uint64_t index)
{
    const struct fleet_counter *counter = &fleet->counters[index % FLEET_COUNTERS];
    bool gone = counter->expires && counter->expires <= fleet->now;
    return counter->index == index && !gone && counter->value > 0 ? (uint64_t)counter->value : 0;
}

static struct limit_state state_of(const struct fleet *fleet, const struct limit *limit)
{
    struct limit_state state = fleet->state;
    uint64_t index = fleet->now / limit->window;
    if (!fleet->options.commands)
        return state;
    if (limit->algorithm == LIMIT_FIXED_WINDOW) {
        state.fixed.start = index * limit->window;
        state.fixed.count = count_in(fleet, index);
    } else {
        state.sliding.start = index * limit->window;
        state.sliding.current = count_in(fleet, index);
        state.sliding.previous = count_in(fleet, index - 1);
    }
    return state;
}

uint64_t fleet_available(const struct fleet *fleet, const struct limit *limit)
{
    struct limit_state state = state_of(fleet, limit);
    struct limit_result seen = limit_peek(limit, &state, fleet->now, 1);
    return seen.granted + seen.remaining;
}

uint64_t fleet_counted(const struct fleet *fleet)
{
    const struct limit *limit = &fleet->options.limits[0];
    struct limit log = *limit;
    if (fleet->options.commands)
        return count_in(fleet, fleet->now / limit->window);
    uint64_t start = fleet->now - fleet->now % limit->window;
    const struct limit_state *state = &fleet->state;
    switch (limit->algorithm) {
    case LIMIT_FIXED_WINDOW:
        return state->fixed.start == start ? state->fixed.count : 0;
    case LIMIT_SLIDING_WINDOW:
        return state->sliding.start == start ? state->sliding.current : 0;
    case LIMIT_TOKEN_BUCKET:
        return limit->burst - fleet_available(fleet, limit);
    default:
        log.units = state->log->capacity;
        return log.units - fleet_available(fleet, &log);
    }
}
