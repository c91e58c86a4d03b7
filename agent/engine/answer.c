#include <assert.h>

#include "agent/engine/answer.h"
#include "agent/engine/engine.h"

#define MICROSECONDS UINT64_C(1000000)

/* Of all an answer holds, only these vary in length: four names (two rules' alone, the limit's in
 * each of the two RateLimit values) and numbers. The head of each variable, name
 * included, takes less than 24 bytes; but there must be room for more (spop_put_variable). */
static_assert(SPOP_FRAME_HEAD_MAX + RULES_ANSWERS * 24 + 4 * RULES_NAME_MAX + 13 * 20 +
                      sizeof(struct spop_variable) <=
                  ENGINE_ANSWER_MAX,
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

/* What is written goes to a place that has room for all of an answer; each function returns where
 * what it wrote ends. */

static uint8_t *put_variable(uint8_t *at, enum rules_answer variable)
{
    static const struct spop_variable variables[] = {
#define ANSWER_VARIABLE(name, text)                                                                \
    [RULES_ANSWER_##name] = SPOP_VARIABLE(SPOP_SCOPE_TRANSACTION, text),
        RULES_ANSWER_TABLE(ANSWER_VARIABLE)
#undef ANSWER_VARIABLE
    };
    return spop_put_variable(at, &variables[variable]);
}

static uint8_t *put_bool(uint8_t *at, enum rules_answer variable, bool boolean)
{
    return spop_put_bool(put_variable(at, variable), boolean);
}

static uint8_t *put_text(uint8_t *at, enum rules_answer variable, struct slice text)
{
    return spop_put_text(put_variable(at, variable), text);
}

static uint8_t *put_number(uint8_t *at, enum rules_answer variable, uint64_t number)
{
    return spop_put_number(put_variable(at, variable), number);
}

static uint8_t *put_bytes(uint8_t *at, struct slice bytes)
{
    if (bytes.size)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* RateLimit's value: "name";r=REMAINING;t=SECONDS (draft-ietf-httpapi-ratelimit-headers). Its t of
 * a refusal is the wait, since Retry-After may not be earlier than t. */
static uint8_t *put_ratelimit(uint8_t *at, const struct answer *answer)
{
    static_assert(RULES_NAME_MAX + 2 + 3 + DECIMAL_MAX + 3 + DECIMAL_MAX < SPOP_VARINT_ONE_BYTE,
                  "its length takes one byte");
    const struct engine_take *reason = answer->reason;
    at = put_variable(at, RULES_ANSWER_RATELIMIT);
    *at++ = VALUE_STRING;
    uint8_t *length = at++;
    *at++ = '"';
    at = put_bytes(at, reason->limit->name);
    at = put_bytes(at, SLICE("\";r="));
    at = decimal_put(at, remaining_of(reason));
    at = put_bytes(at, SLICE(";t="));
    at = decimal_put(at, answer->allow ? seconds_up(reason->take.result.reset_after)
                                       : retry_seconds(reason));
    *length = (uint8_t)(at - length - 1);
    return at;
}

static bool has(uint32_t variables, enum rules_answer variable)
{
    return variables & 1u << variable;
}

/* What the limit that is reported has to say. */
static uint8_t *put_of_limit(uint8_t *at, const struct answer *answer, uint32_t variables)
{
    const struct engine_take *reason = answer->reason;
    if (has(variables, RULES_ANSWER_RULE))
        at = put_text(at, RULES_ANSWER_RULE, reason->limit->rule->name);
    if (has(variables, RULES_ANSWER_SOURCE))
        at = put_text(at, RULES_ANSWER_SOURCE, store_source_name(reason->take.source));
    if (has(variables, RULES_ANSWER_LIMIT))
        at = put_number(at, RULES_ANSWER_LIMIT, reason->limit->limit.units);
    if (has(variables, RULES_ANSWER_REMAINING))
        at = put_number(at, RULES_ANSWER_REMAINING, remaining_of(reason));
    if (has(variables, RULES_ANSWER_RESET))
        at = put_number(at, RULES_ANSWER_RESET, seconds_up(reason->take.result.reset_after));
    if (has(variables, RULES_ANSWER_RATELIMIT))
        at = put_ratelimit(at, answer);
    if (has(variables, RULES_ANSWER_RATELIMIT_POLICY))
        at = put_text(at, RULES_ANSWER_RATELIMIT_POLICY, reason->limit->policy);
    return at;
}

/* When to come back, where a limit refuses. */
static uint8_t *put_retry(uint8_t *at, const struct answer *answer, uint32_t variables)
{
    const struct engine_take *reason = answer->reason;
    if (has(variables, RULES_ANSWER_RETRY_AFTER))
        at = put_number(at, RULES_ANSWER_RETRY_AFTER, retry_seconds(reason));
    if (has(variables, RULES_ANSWER_RETRY_AT))
        at = put_number(at, RULES_ANSWER_RETRY_AT,
                        seconds_up(answer->asked_at + retry_wait(reason)));
    return at;
}

/* Of these variables those that the answer has, in their order. */
static uint8_t *put_variables(uint8_t *at, const struct answer *answer, uint32_t variables)
{
    at = put_bool(at, RULES_ANSWER_ALLOW, answer->allow);
    at = put_bool(at, RULES_ANSWER_DENY, !answer->allow);
    if (answer->reason && !answer->allow)
        at = put_retry(at, answer, variables);
    if (answer->delay && has(variables, RULES_ANSWER_DELAY_MS))
        at = put_number(at, RULES_ANSWER_DELAY_MS, (answer->delay + 999) / 1000);
    if (answer->reason)
        at = put_of_limit(at, answer, variables);
    else if (answer->named && has(variables, RULES_ANSWER_RULE))
        at = put_text(at, RULES_ANSWER_RULE, answer->named->name);
    if (answer->shadow && has(variables, RULES_ANSWER_SHADOW))
        at = put_text(at, RULES_ANSWER_SHADOW, answer->shadow->name);
    return at;
}

void answer_write(const struct answer *answer, uint32_t variables, uint64_t stream_id,
                  uint64_t frame_id, uint32_t max_frame_size, struct writer *output)
{
    uint8_t *frame = writer_reserve(output, ENGINE_ANSWER_MAX);
    if (!frame)
        return;
    uint8_t *begin = spop_put_frame(frame, SPOP_FRAME_ACK, SPOP_FLAG_FIN, stream_id, frame_id);
    uint8_t *end = put_variables(begin, answer, variables);
    /* allow and deny take 60 bytes, which the smallest frame of 256 always has. */
    for (int last = RULES_ANSWERS - 1;
         (size_t)(end - frame) > SPOP_LENGTH_SIZE + (size_t)max_frame_size &&
         last > RULES_ANSWER_DENY;
         last--)
        end = put_variables(begin, answer, variables & ((1u << last) - 1));
    spop_put_frame_size(frame, end);
    output->position = end;
}
