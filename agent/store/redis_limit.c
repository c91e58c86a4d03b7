#include "agent/store/redis_form.h"

static const struct redis_limit__form *const forms[LIMIT_ALGORITHMS] = {
    [LIMIT_FIXED_WINDOW] = &redis_limit__window,
    [LIMIT_SLIDING_WINDOW] = &redis_limit__window,
    [LIMIT_TOKEN_BUCKET] = &redis_limit__token_bucket,
    [LIMIT_SLIDING_LOG] = &redis_limit__sliding_log,
};

static const struct redis_limit__form *form_of(const struct redis_limit_request *request)
{
    return forms[request->limit->algorithm];
}

struct limit_result redis_limit__take(const struct limit *limit, struct limit_state *state,
                                      uint64_t now, uint64_t units)
{
    if (units)
        return limit_take(limit, state, now, units);
    struct limit_result result = limit_peek(limit, state, now, 1);
    result.remaining += result.granted;
    result.granted = 0;
    return result;
}

struct redis_limit_commands redis_limit_write_take(struct writer *w,
                                                   const struct redis_limit_request *request)
{
    if (request->limit->units == 0)
        return (struct redis_limit_commands){0};
    return form_of(request)->write_take(w, request);
}

enum redis_limit_status redis_limit_read_take(const struct redis_limit_request *request,
                                              const struct redis_limit_reply *replies, size_t count,
                                              struct redis_limit_outcome *outcome)
{
    *outcome = (struct redis_limit_outcome){.previous = request->previous};
    if (request->limit->units == 0) {
        /* Refused whatever the state, so Redis has none. */
        struct limit_state none = {0};
        outcome->result = redis_limit__take(request->limit, &none, request->now, request->units);
        outcome->next_after = limit_peek(request->limit, &none, request->now, 1).retry_after;
        return REDIS_LIMIT_ANSWERED;
    }
    return form_of(request)->read_take(request, replies, count, outcome);
}

struct redis_limit_commands redis_limit_write_give(struct writer *w,
                                                   const struct redis_limit_request *request)
{
    if (request->limit->units == 0 || request->units == 0)
        return (struct redis_limit_commands){0};
    return form_of(request)->write_give(w, request);
}

enum redis_limit_status redis_limit_read_give(const struct redis_limit_request *request,
                                              const struct redis_limit_reply *replies, size_t count,
                                              struct redis_limit_repair *repair)
{
    *repair = (struct redis_limit_repair){0};
    if (count == 0)
        return REDIS_LIMIT_ANSWERED; /* there was nothing to send */
    if (count > 1)
        return REDIS_LIMIT_FAILED;
    return form_of(request)->read_give(request, &replies[0], repair);
}

struct redis_limit_commands redis_limit_write_reset(struct writer *w,
                                                    const struct redis_limit_request *request)
{
    if (request->limit->units == 0)
        return (struct redis_limit_commands){0};
    return form_of(request)->write_reset(w, request);
}
