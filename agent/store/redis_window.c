#include "agent/store/redis_form.h"

/* How long a take from a window may be under way after its end, and so be missing from what was
 * read of it: this, or a quarter of a window where that is less. */
#define SETTLED_AFTER UINT64_C(100000)

static uint64_t index_of(const struct limit *limit, uint64_t time)
{
    return time / limit->window;
}

/* How many windows, from the one that it counts on, a counter is needed. */
static uint64_t span_of(const struct limit *limit)
{
    return limit->algorithm == LIMIT_SLIDING_WINDOW ? 2 : 1;
}

static bool settled(const struct limit *limit, uint64_t time)
{
    return time % limit->window >= redis_limit__min(SETTLED_AFTER, limit->window / 4);
}

bool redis_limit_first(const struct limit *limit, uint64_t last, uint64_t now)
{
    if (limit->algorithm == LIMIT_TOKEN_BUCKET || limit->algorithm == LIMIT_SLIDING_LOG ||
        limit->units == 0)
        return false; /* there is no window to be the first in */
    if (last == 0 || index_of(limit, last) != index_of(limit, now))
        return true;
    return limit->algorithm == LIMIT_SLIDING_WINDOW && !settled(limit, last) && settled(limit, now);
}

/* More can never be granted, so more is not drawn. */
static uint64_t drawn_by(const struct redis_limit_request *request)
{
    return redis_limit__min(request->units, request->limit->units);
}

static bool reads_previous(const struct redis_limit_request *request)
{
    return request->first && request->limit->algorithm == LIMIT_SLIDING_WINDOW &&
           index_of(request->limit, request->now) > 0;
}

/* ---- commands ------------------------------------------------------------------------------ */

static void write_counter(struct writer *w, const struct redis_limit_request *request,
                          uint64_t index)
{
    uint8_t suffix[21];
    struct writer s = writer_open(suffix, sizeof(suffix));
    writer_uint8(&s, ':');
    writer_decimal(&s, index);
    resp_joined(w, request->key, writer_slice(&s));
}

/* GET or DEL. */
static void append_command(struct redis_limit_commands *commands, struct writer *w,
                           const struct redis_limit_request *request, struct slice name,
                           uint64_t index)
{
    size_t begin = writer_size(w);
    resp_array(w, 2);
    resp_text(w, name);
    write_counter(w, request, index);
    redis_limit__append(commands, w, begin);
}

/* From now until nobody needs the counter of the window at `time`; milliseconds, as Redis takes
 * them. */
static uint64_t time_to_live(const struct redis_limit_request *request, uint64_t time)
{
    const struct limit *limit = request->limit;
    uint64_t end = (index_of(limit, time) + span_of(limit)) * limit->window;
    uint64_t left = end > request->now ? end - request->now : 0;
    return (left + REDIS_LIMIT_SLACK + 999) / 1000;
}

static void append_create(struct redis_limit_commands *commands, struct writer *w,
                          const struct redis_limit_request *request)
{
    size_t begin = writer_size(w);
    resp_array(w, 6);
    resp_text(w, SLICE("SET"));
    write_counter(w, request, index_of(request->limit, request->now));
    resp_text(w, SLICE("0"));
    resp_text(w, SLICE("PX"));
    resp_number(w, time_to_live(request, request->now));
    resp_text(w, SLICE("NX"));
    redis_limit__append(commands, w, begin);
}

/* INCRBY, DECRBY or PEXPIRE of the counter of the window at `time`. */
static void append_change(struct redis_limit_commands *commands, struct writer *w,
                          const struct redis_limit_request *request, struct slice name,
                          uint64_t time, uint64_t number)
{
    size_t begin = writer_size(w);
    resp_array(w, 3);
    resp_text(w, name);
    write_counter(w, request, index_of(request->limit, time));
    resp_number(w, number);
    redis_limit__append(commands, w, begin);
}

static struct redis_limit_commands write_take(struct writer *w,
                                              const struct redis_limit_request *request)
{
    struct redis_limit_commands commands = {0};
    if (reads_previous(request))
        append_command(&commands, w, request, SLICE("GET"),
                       index_of(request->limit, request->now) - 1);
    if (request->first)
        append_create(&commands, w, request);
    append_change(&commands, w, request, SLICE("INCRBY"), request->now, drawn_by(request));
    return commands;
}

/* limit_give says why later than this nothing is given back. */
static struct redis_limit_commands write_give(struct writer *w,
                                              const struct redis_limit_request *request)
{
    struct redis_limit_commands commands = {0};
    uint64_t needed_until = index_of(request->limit, request->taken_at) + span_of(request->limit);
    if (index_of(request->limit, request->now) < needed_until)
        append_change(&commands, w, request, SLICE("DECRBY"), request->taken_at,
                      redis_limit__min(request->units, LIMIT_UNITS_MAX));
    return commands;
}

static struct redis_limit_commands write_reset(struct writer *w,
                                               const struct redis_limit_request *request)
{
    struct redis_limit_commands commands = {0};
    uint64_t index = index_of(request->limit, request->now);
    if (span_of(request->limit) > 1 && index > 0)
        append_command(&commands, w, request, SLICE("DEL"), index - 1);
    append_command(&commands, w, request, SLICE("DEL"), index);
    return commands;
}

/* The time to live is the same whoever sets it and however often. */
struct redis_limit_commands redis_limit_write_repair(struct writer *w,
                                                     const struct redis_limit_request *request,
                                                     const struct redis_limit_repair *repair)
{
    struct redis_limit_commands commands = {0};
    if (!repair->needed)
        return commands;
    if (repair->units)
        append_change(&commands, w, request, SLICE("INCRBY"), repair->at, repair->units);
    append_change(&commands, w, request, SLICE("PEXPIRE"), repair->at,
                  time_to_live(request, repair->at));
    return commands;
}

/* ---- replies ------------------------------------------------------------------------------- */

static bool read_previous(const struct redis_limit_reply *reply, uint64_t *previous)
{
    *previous = 0;
    if (reply->type == REDIS_LIMIT_REPLY_NIL)
        return true;
    return reply->type == REDIS_LIMIT_REPLY_TEXT && slice_to_uint64(reply->text, previous);
}

/* The state with `count` drawn from the window before this take. */
static struct limit_state state_of(const struct redis_limit_request *request, uint64_t count,
                                   uint64_t previous)
{
    const struct limit *limit = request->limit;
    struct limit_state state = {0};
    uint64_t start = request->now - request->now % limit->window;
    if (limit->algorithm == LIMIT_FIXED_WINDOW) {
        state.fixed.start = start;
        state.fixed.count = redis_limit__min(count, limit->units);
    } else {
        state.sliding.start = start;
        state.sliding.current = redis_limit__min(count, limit->units);
        state.sliding.previous = redis_limit__min(previous, limit->units);
    }
    return state;
}

/* The count of a sliding window is never above what the weight of the one before leaves, but for a
 * surplus on its way back: a refusal that counted that would be remembered for too long. */
static void disregard_surplus(const struct redis_limit_request *request, struct limit_state *state)
{
    struct limit_state empty = *state;
    empty.sliding.current = 0;
    struct limit_result room = limit_peek(request->limit, &empty, request->now, 1);
    state->sliding.current =
        redis_limit__min(state->sliding.current, room.granted + room.remaining);
}

static enum redis_limit_status read_take(const struct redis_limit_request *request,
                                         const struct redis_limit_reply *replies, size_t count,
                                         struct redis_limit_outcome *outcome)
{
    size_t expected = 1 + (size_t)request->first + (size_t)reads_previous(request);
    if (count != expected || replies[count - 1].type != REDIS_LIMIT_REPLY_INTEGER)
        return REDIS_LIMIT_FAILED;

    uint64_t drawn = drawn_by(request);
    int64_t tickets = replies[count - 1].integer;
    bool negative = tickets < (int64_t)drawn;
    uint64_t before = negative ? 0 : (uint64_t)tickets - drawn;
    outcome->taken_at = request->now;
    outcome->surplus = drawn;

    /* Nothing drawn before: then INCRBY itself may have made the counter, if it had expired or was
     * lost since it was first seen. It has no time to live then. */
    enum redis_limit_reply_type created =
        request->first ? replies[count - 2].type : REDIS_LIMIT_REPLY_NIL;
    bool lost = created == REDIS_LIMIT_REPLY_NIL ? before == 0 : created != REDIS_LIMIT_REPLY_TEXT;
    outcome->repair = (struct redis_limit_repair){.needed = lost, .at = request->now};

    if (reads_previous(request) && !read_previous(&replies[0], &outcome->previous))
        return REDIS_LIMIT_FAILED;
    if (negative)
        return REDIS_LIMIT_FAILED;

    struct limit_state state = state_of(request, before, outcome->previous);
    outcome->result = redis_limit__take(request->limit, &state, request->now, request->units);
    if (request->limit->algorithm == LIMIT_SLIDING_WINDOW)
        disregard_surplus(request, &state);
    outcome->next_after = limit_peek(request->limit, &state, request->now, 1).retry_after;
    outcome->surplus = drawn - outcome->result.granted;
    return REDIS_LIMIT_ANSWERED;
}

/* Less than nothing is left where the counter was lost between the take and its give. Putting that
 * in again makes it as if this give had never come. */
static enum redis_limit_status read_give(const struct redis_limit_request *request,
                                         const struct redis_limit_reply *reply,
                                         struct redis_limit_repair *repair)
{
    if (reply->type != REDIS_LIMIT_REPLY_INTEGER)
        return REDIS_LIMIT_FAILED;
    if (reply->integer < 0) {
        uint64_t lacking = 0 - (uint64_t)reply->integer;
        repair->needed = true;
        repair->at = request->taken_at;
        repair->units =
            redis_limit__min(lacking, redis_limit__min(request->units, LIMIT_UNITS_MAX));
    }
    return REDIS_LIMIT_ANSWERED;
}

const struct redis_limit__form redis_limit__window = {
    .write_take = write_take,
    .read_take = read_take,
    .write_give = write_give,
    .read_give = read_give,
    .write_reset = write_reset,
};
