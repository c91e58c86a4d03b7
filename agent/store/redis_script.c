#include "agent/store/redis_form.h"

/* Times from Redis that are later are rubbish: this is the year 2112. The scripts refuse them too,
 * so that their sums stay below 2^53. */
#define TIME_END ((uint64_t)1 << 52)

/* What a key's value is called, behind the key. */
#define BUCKET ":bucket"
#define LOG    ":log"

static uint64_t patience_of(const struct limit *limit)
{
    return limit->window > LIMIT_LATE_MAX ? limit->window : LIMIT_LATE_MAX;
}

/* More can never be granted, so more is not asked for. */
static uint64_t asked_by(const struct redis_limit_request *request)
{
    return redis_limit__min(request->units, limit_capacity(request->limit));
}

/* ---- commands ------------------------------------------------------------------------------ */

/* EVALSHA or EVAL with one key, `<key><suffix>`, and these arguments; then, for a give, the time of
 * its take, and for a test the time. */
static struct redis_limit_commands write_call(struct writer *w,
                                              const struct redis_limit_request *request, bool give,
                                              const struct redis_limit__script *script,
                                              struct slice suffix, const uint64_t *arguments,
                                              size_t count)
{
    struct redis_limit_commands commands = {0};
    bool test = request->test_now != 0;
    size_t begin = writer_size(w);
    resp_array(w, 4 + count + (give || test ? 1 : 0) + (test ? 1 : 0));
    resp_text(w, request->whole_script ? SLICE("EVAL") : SLICE("EVALSHA"));
    resp_text(w, request->whole_script ? script->text : script->sha1);
    resp_text(w, SLICE("1"));
    resp_joined(w, request->key, suffix);
    for (size_t i = 0; i < count; i++)
        resp_number(w, arguments[i]);
    if (give)
        resp_number(w, request->taken_at);
    else if (test)
        resp_text(w, slice_of(NULL, 0));
    if (test)
        resp_number(w, request->test_now);
    redis_limit__append(&commands, w, begin);
    return commands;
}

static struct redis_limit_commands
write_bucket(struct writer *w, const struct redis_limit_request *request, bool give)
{
    const struct limit *limit = request->limit;
    const uint64_t arguments[] = {asked_by(request), limit->units, limit->window, limit->burst};
    return write_call(w, request, give, &redis_limit__script_token_bucket, SLICE(BUCKET), arguments,
                      sizeof(arguments) / sizeof(arguments[0]));
}

static struct redis_limit_commands write_log(struct writer *w,
                                             const struct redis_limit_request *request, bool give)
{
    const struct limit *limit = request->limit;
    const uint64_t arguments[] = {
        give ? redis_limit__min(request->units, LIMIT_LOG_UNITS_MAX) : asked_by(request),
        limit->units,
        limit->window,
    };
    return write_call(w, request, give, &redis_limit__script_sliding_log, SLICE(LOG), arguments,
                      sizeof(arguments) / sizeof(arguments[0]));
}

static struct redis_limit_commands write_bucket_take(struct writer *w,
                                                     const struct redis_limit_request *request)
{
    return write_bucket(w, request, false);
}

static struct redis_limit_commands write_bucket_give(struct writer *w,
                                                     const struct redis_limit_request *request)
{
    return write_bucket(w, request, true);
}

static struct redis_limit_commands write_log_take(struct writer *w,
                                                  const struct redis_limit_request *request)
{
    return write_log(w, request, false);
}

static struct redis_limit_commands write_log_give(struct writer *w,
                                                  const struct redis_limit_request *request)
{
    return write_log(w, request, true);
}

static struct redis_limit_commands
delete_value(struct writer *w, const struct redis_limit_request *request, struct slice suffix)
{
    struct redis_limit_commands commands = {0};
    resp_array(w, 2);
    resp_text(w, SLICE("DEL"));
    resp_joined(w, request->key, suffix);
    redis_limit__append(&commands, w, 0);
    return commands;
}

static struct redis_limit_commands write_bucket_reset(struct writer *w,
                                                      const struct redis_limit_request *request)
{
    return delete_value(w, request, SLICE(BUCKET));
}

static struct redis_limit_commands write_log_reset(struct writer *w,
                                                   const struct redis_limit_request *request)
{
    return delete_value(w, request, SLICE(LOG));
}

/* ---- replies ------------------------------------------------------------------------------- */

static enum redis_limit_status failure(const struct redis_limit_reply *reply)
{
    bool unknown =
        reply->type == REDIS_LIMIT_REPLY_ERROR && slice_has_prefix(reply->text, SLICE("NOSCRIPT"));
    return unknown ? REDIS_LIMIT_NO_SCRIPT : REDIS_LIMIT_FAILED;
}

/* The numbers of a take's one reply, all of them times or less. */
static enum redis_limit_status read_numbers(const struct redis_limit_reply *replies, size_t count,
                                            uint64_t *numbers, size_t expected)
{
    if (count != 1)
        return REDIS_LIMIT_FAILED;
    if (replies->type != REDIS_LIMIT_REPLY_NUMBERS)
        return failure(replies);
    if (replies->count != expected)
        return REDIS_LIMIT_FAILED;
    for (size_t i = 0; i < expected; i++) {
        numbers[i] = (uint64_t)replies->numbers[i];
        if (numbers[i] >= TIME_END)
            return REDIS_LIMIT_FAILED;
    }
    return REDIS_LIMIT_ANSWERED;
}

/* The script has charged what it says; an answer that says otherwise would not be kept. */
static enum redis_limit_status answer(struct redis_limit_outcome *outcome, uint64_t now,
                                      uint64_t granted, struct limit_result result,
                                      uint64_t next_after)
{
    if (result.granted != granted)
        return REDIS_LIMIT_FAILED;
    outcome->result = result;
    outcome->next_after = next_after;
    outcome->taken_at = now;
    return REDIS_LIMIT_ANSWERED;
}

static enum redis_limit_status read_bucket(const struct redis_limit_request *request,
                                           const struct redis_limit_reply *replies, size_t count,
                                           struct redis_limit_outcome *outcome)
{
    enum {
        NOW,
        GRANTED,
        ARRIVAL,
        FRACTION,
        LATEST,
        COUNT
    };
    uint64_t said[COUNT];
    enum redis_limit_status status = read_numbers(replies, count, said, COUNT);
    if (status != REDIS_LIMIT_ANSWERED)
        return status;
    struct limit_state state = {
        .bucket = {.arrival = said[ARRIVAL], .fraction = said[FRACTION], .latest = said[LATEST]}};
    struct limit_result result =
        redis_limit__take(request->limit, &state, said[NOW], request->units);
    return answer(outcome, said[NOW], said[GRANTED], result,
                  limit_peek(request->limit, &state, said[NOW], 1).retry_after);
}

/* How long until the window of a live unit has passed; 0 when the time can't be one's. */
static uint64_t until_gone(const struct limit *limit, uint64_t unit, uint64_t time)
{
    return unit <= time && unit + limit->window > time ? unit + limit->window - time : 0;
}

/* limit_take would need the whole log. This says the same of what it needs to know of it. */
static enum redis_limit_status read_log(const struct redis_limit_request *request,
                                        const struct redis_limit_reply *replies, size_t count,
                                        struct redis_limit_outcome *outcome)
{
    enum {
        NOW,
        GRANTED,
        LATEST,
        LIVE,
        LEAVING,
        NEWEST,
        NEXT,
        COUNT
    };
    uint64_t said[COUNT];
    enum redis_limit_status status = read_numbers(replies, count, said, COUNT);
    if (status != REDIS_LIMIT_ANSWERED)
        return status;
    const struct limit *limit = request->limit;
    bool set_back = said[LATEST] > said[NOW] && said[LATEST] - said[NOW] > patience_of(limit);
    uint64_t time = !set_back && said[LATEST] > said[NOW] ? said[LATEST] : said[NOW];
    if (said[LIVE] > (set_back ? 0 : LIMIT_LOG_UNITS_MAX))
        return REDIS_LIMIT_FAILED;

    uint64_t available = limit->units > said[LIVE] ? limit->units - said[LIVE] : 0;
    struct limit_result result = {.granted = redis_limit__min(request->units, available)};
    result.remaining = available - result.granted;
    if (request->units > limit->units)
        result.retry_after = LIMIT_NEVER;
    else if (result.granted < request->units)
        result.retry_after = until_gone(limit, said[LEAVING], time);
    uint64_t next_after = result.remaining ? 0 : until_gone(limit, said[NEXT], time);
    if (request->units == 0)
        result.retry_after = next_after;
    if (result.granted || (request->units == 0 && result.remaining))
        result.reset_after = limit->window;
    else if (said[LIVE])
        result.reset_after = until_gone(limit, said[NEWEST], time);
    bool complete = result.granted == request->units || result.retry_after;
    complete = complete && (result.granted || result.remaining || result.reset_after);
    if (!complete || (!result.remaining && !next_after))
        return REDIS_LIMIT_FAILED;
    return answer(outcome, said[NOW], said[GRANTED], result, next_after);
}

static enum redis_limit_status read_give(const struct redis_limit_request *request,
                                         const struct redis_limit_reply *reply,
                                         struct redis_limit_repair *repair)
{
    (void)request;
    (void)repair;
    return reply->type == REDIS_LIMIT_REPLY_INTEGER ? REDIS_LIMIT_ANSWERED : failure(reply);
}

const struct redis_limit__form redis_limit__token_bucket = {
    .write_take = write_bucket_take,
    .read_take = read_bucket,
    .write_give = write_bucket_give,
    .read_give = read_give,
    .write_reset = write_bucket_reset,
};

const struct redis_limit__form redis_limit__sliding_log = {
    .write_take = write_log_take,
    .read_take = read_log,
    .write_give = write_log_give,
    .read_give = read_give,
    .write_reset = write_log_reset,
};
