#include <assert.h>

#include "agent/engine/answer.h"
#include "agent/engine/engine.h"

#define MICROSECONDS UINT64_C(1000000)

/* Of all an answer holds, only these vary in length: four names (two rules' alone, the limit's in
 * each of the two RateLimit values) and numbers. Frame and action headers take less than 30 bytes
 * and, for each variable, name included, less than 24. */
static_assert(30 + RULES_ANSWERS * 24 + 4 * RULES_NAME_MAX + 13 * 20 <= ENGINE_ANSWER_MAX,
              "the longest answer fits");

static uint64_t seconds_up(uint64_t microseconds)
{
    return microseconds / MICROSECONDS + (microseconds % MICROSECONDS ? 1 : 0);
}

/* A limit of 0 never admits, but its rule may be changed: to ask again after a window is as good
 * advice as there is. */
static uint64_t retry_wait(const struct engine_take *reason)
{
    uint64_t wait = reason->take.result.retry_after;
    return wait == LIMIT_NEVER ? reason->limit->limit.window : wait;
}

static uint64_t retry_seconds(const struct engine_take *reason)
{
    uint64_t seconds = seconds_up(retry_wait(reason));
    return seconds ? seconds : 1;
}

bool answer_is_refusal(const struct engine_take *take)
{
    return take->take.result.granted < take->take.wanted;
}

static bool is_stricter(const struct engine_take *a, const struct engine_take *b)
{
    bool refuses = answer_is_refusal(a);
    if (refuses != answer_is_refusal(b))
        return refuses;
    if (refuses)
        return a->take.result.retry_after > b->take.result.retry_after;
    return a->take.result.remaining < b->take.result.remaining;
}

/* A bucket that lacks more than its burst holds what it has granted beyond that for later: it
 * passes when no more than the burst is lacking. */
static uint64_t delay_of(const struct engine_take *take)
{
    const struct limit *limit = take->take.limit;
    if (take->limit->rule->mode != RULES_DELAY || limit->units == 0)
        return 0;
    unsigned __int128 burst = (unsigned __int128)take->limit->burst_at_once * limit->window;
    uint64_t at_once = (uint64_t)(burst / limit->units);
    uint64_t lacking = take->take.result.reset_after;
    return lacking > at_once ? lacking - at_once : 0;
}

/* Of a penalty that isn't imposed there is nothing to say. */
static bool is_no_penalty(const struct engine_take *take)
{
    return take->limit == take->limit->rule->penalty_mark && !answer_is_refusal(take);
}

static void consider(struct answer *answer, const struct engine_take *take)
{
    if (take->role == ENGINE_SHADOW && answer_is_refusal(take) && !answer->shadow)
        answer->shadow = take->limit->rule;
    if (take->role != ENGINE_ENFORCED || is_no_penalty(take))
        return;
    if (!answer->reason || is_stricter(take, answer->reason))
        answer->reason = take;
    uint64_t delay = delay_of(take);
    if (delay > answer->delay)
        answer->delay = delay;
}

struct answer answer_choose(const struct engine_take *takes, size_t count,
                            const struct answer_rules *rules)
{
    struct answer answer = {.allow = true};
    for (size_t i = 0; i < count; i++)
        consider(&answer, &takes[i]);
    answer.named = rules->allows ? rules->allows : rules->unlimited;
    if (rules->denies) {
        answer.named = rules->denies;
        answer.reason = NULL;
        answer.allow = false;
    } else if (answer.reason) {
        answer.allow = !answer_is_refusal(answer.reason);
    }
    if (!answer.allow)
        answer.delay = 0;
    return answer;
}

/* Of mode delay, what can be had at once. */
static uint64_t remaining_of(const struct engine_take *take)
{
    uint64_t remaining = take->take.result.remaining;
    if (take->limit->rule->mode != RULES_DELAY)
        return remaining;
    uint64_t later = take->take.limit->burst - take->limit->burst_at_once;
    return remaining > later ? remaining - later : 0;
}

/* ---- the ACK ------------------------------------------------------------------------------- */

static void put_variable(struct writer *w, enum rules_answer variable)
{
    static const struct spop_variable variables[] = {
#define ANSWER_VARIABLE(name, text)                                                                \
    [RULES_ANSWER_##name] = SPOP_VARIABLE(SPOP_SCOPE_TRANSACTION, text),
        RULES_ANSWER_TABLE(ANSWER_VARIABLE)
#undef ANSWER_VARIABLE
    };
    spop_write_variable(w, &variables[variable]);
}

static void put_bool(struct writer *w, enum rules_answer variable, bool boolean)
{
    put_variable(w, variable);
    spop_write_value(w, &(struct value){.type = VALUE_BOOL, .boolean = boolean});
}

static void put_text(struct writer *w, enum rules_answer variable, struct slice text)
{
    put_variable(w, variable);
    spop_write_text_value(w, text);
}

static void put_number(struct writer *w, enum rules_answer variable, uint64_t number)
{
    put_variable(w, variable);
    spop_write_number_value(w, number);
}

/* RateLimit's value: "name";r=REMAINING;t=SECONDS (draft-ietf-httpapi-ratelimit-headers). Its t of
 * a refusal is the wait, since Retry-After may not be earlier than t. */
static void put_ratelimit(struct writer *w, const struct answer *answer)
{
    const struct engine_take *reason = answer->reason;
    uint8_t bytes[RULES_NAME_MAX + 64];
    struct writer text = writer_open(bytes, sizeof(bytes));
    writer_uint8(&text, '"');
    writer_bytes(&text, reason->limit->name);
    writer_bytes(&text, SLICE("\";r="));
    writer_decimal(&text, remaining_of(reason));
    writer_bytes(&text, SLICE(";t="));
    writer_decimal(&text, answer->allow ? seconds_up(reason->take.result.reset_after)
                                        : retry_seconds(reason));
    put_text(w, RULES_ANSWER_RATELIMIT, writer_slice(&text));
}

/* What the limit that is reported has to say. */
static void put_of_limit(struct writer *w, const struct answer *answer, enum rules_answer variable)
{
    const struct engine_take *reason = answer->reason;
    switch (variable) {
    case RULES_ANSWER_RULE:
        put_text(w, variable, reason->limit->rule->name);
        break;
    case RULES_ANSWER_LIMIT:
        put_number(w, variable, reason->limit->limit.units);
        break;
    case RULES_ANSWER_REMAINING:
        put_number(w, variable, remaining_of(reason));
        break;
    case RULES_ANSWER_RESET:
        put_number(w, variable, seconds_up(reason->take.result.reset_after));
        break;
    case RULES_ANSWER_RETRY_AFTER:
        if (!answer->allow)
            put_number(w, variable, retry_seconds(reason));
        break;
    case RULES_ANSWER_RETRY_AT:
        if (!answer->allow)
            put_number(w, variable, seconds_up(answer->asked_at + retry_wait(reason)));
        break;
    case RULES_ANSWER_SOURCE:
        put_text(w, variable, store_source_name(reason->take.source));
        break;
    case RULES_ANSWER_RATELIMIT:
        put_ratelimit(w, answer);
        break;
    case RULES_ANSWER_RATELIMIT_POLICY:
        put_text(w, variable, reason->limit->policy);
        break;
    default:
        break;
    }
}

/* One variable, where the answer has it. */
static void put(struct writer *w, const struct answer *answer, enum rules_answer variable)
{
    switch (variable) {
    case RULES_ANSWER_ALLOW:
        put_bool(w, variable, answer->allow);
        break;
    case RULES_ANSWER_DENY:
        put_bool(w, variable, !answer->allow);
        break;
    case RULES_ANSWER_SHADOW:
        if (answer->shadow)
            put_text(w, variable, answer->shadow->name);
        break;
    case RULES_ANSWER_DELAY_MS:
        if (answer->delay)
            put_number(w, variable, (answer->delay + 999) / 1000);
        break;
    default:
        if (answer->reason)
            put_of_limit(w, answer, variable);
        else if (variable == RULES_ANSWER_RULE && answer->named)
            put_text(w, variable, answer->named->name);
    }
}

static bool write_variables(const struct answer *answer, uint32_t variables, uint64_t stream_id,
                            uint64_t frame_id, uint32_t max_frame_size, struct writer *output)
{
    uint8_t *frame = spop_frame_begin(output, SPOP_FRAME_ACK, SPOP_FLAG_FIN, stream_id, frame_id);
    for (uint32_t left = variables; left; left &= left - 1)
        put(output, answer, (enum rules_answer)__builtin_ctz(left));
    return spop_frame_end(output, frame, max_frame_size);
}

void answer_write(const struct answer *answer, uint32_t variables, uint64_t stream_id,
                  uint64_t frame_id, uint32_t max_frame_size, struct writer *output)
{
    /* allow and deny alone take 60 bytes, which the smallest frame of 256 always has. */
    for (int last = RULES_ANSWERS; last > RULES_ANSWER_DENY; last--) {
        uint32_t mask = variables & ((1u << last) - 1);
        if (write_variables(answer, mask, stream_id, frame_id, max_frame_size, output))
            return;
    }
}
