#include <assert.h>

#include "agent/engine/answer.h"
#include "agent/engine/engine.h"

#define MICROSECONDS UINT64_C(1000000)

/* Of all an answer holds, only these vary in length: four names (two rules' alone, the limit's in
 * each of the two RateLimit values) and numbers. Frame and action headers take less than 30 bytes
 * and, for each variable, name included, less than 24. */
static_assert(30 + RULES_ANSWERS * 24 + 4 * RULES_NAME_MAX + 12 * 20 <= ENGINE_ANSWER_MAX,
              "the longest answer fits");

static uint64_t seconds_up(uint64_t microseconds)
{
    return microseconds / MICROSECONDS + (microseconds % MICROSECONDS ? 1 : 0);
}

/* A limit of 0 never admits, but its rule may be changed: to ask again after a window is as good
 * advice as there is. */
static uint64_t retry_seconds(const struct engine_take *reason)
{
    uint64_t wait = reason->take.result.retry_after;
    uint64_t seconds = seconds_up(wait == LIMIT_NEVER ? reason->limit->limit.window : wait);
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

static struct value text_value(struct slice text)
{
    return (struct value){.type = VALUE_STRING, .bytes = text};
}

static struct value number_value(uint64_t number)
{
    return (struct value){.type = VALUE_UINT64, .natural = number};
}

/* RateLimit's value: "name";r=REMAINING;t=SECONDS (draft-ietf-httpapi-ratelimit-headers). Its t of
 * a refusal is the wait, since Retry-After may not be earlier than t. */
static struct value ratelimit_value(const struct answer *answer, struct writer *w)
{
    const struct engine_take *reason = answer->reason;
    writer_uint8(w, '"');
    writer_bytes(w, reason->limit->name);
    writer_bytes(w, SLICE("\";r="));
    writer_decimal(w, remaining_of(reason));
    writer_bytes(w, SLICE(";t="));
    writer_decimal(w, answer->allow ? seconds_up(reason->take.result.reset_after)
                                    : retry_seconds(reason));
    return text_value(writer_slice(w));
}

/* The value of one variable; NULL type when the answer hasn't got it. scratch keeps its text. */
static struct value value_of(const struct answer *answer, enum rules_answer variable,
                             struct writer *scratch)
{
    const struct engine_take *reason = answer->reason;
    struct value none = {.type = VALUE_NULL};

    if (variable == RULES_ANSWER_ALLOW)
        return (struct value){.type = VALUE_BOOL, .boolean = answer->allow};
    if (variable == RULES_ANSWER_DENY)
        return (struct value){.type = VALUE_BOOL, .boolean = !answer->allow};
    if (variable == RULES_ANSWER_SHADOW)
        return answer->shadow ? text_value(answer->shadow->name) : none;
    if (variable == RULES_ANSWER_DELAY_MS)
        return answer->delay ? number_value((answer->delay + 999) / 1000) : none;
    if (!reason) {
        bool named = variable == RULES_ANSWER_RULE && answer->named;
        return named ? text_value(answer->named->name) : none;
    }
    switch (variable) {
    case RULES_ANSWER_RULE:
        return text_value(reason->limit->rule->name);
    case RULES_ANSWER_LIMIT:
        return number_value(reason->limit->limit.units);
    case RULES_ANSWER_REMAINING:
        return number_value(remaining_of(reason));
    case RULES_ANSWER_RESET:
        return number_value(seconds_up(reason->take.result.reset_after));
    case RULES_ANSWER_RETRY_AFTER:
        return answer->allow ? none : number_value(retry_seconds(reason));
    case RULES_ANSWER_SOURCE:
        return text_value(store_source_name(reason->take.source));
    case RULES_ANSWER_RATELIMIT:
        return ratelimit_value(answer, scratch);
    case RULES_ANSWER_RATELIMIT_POLICY:
        return text_value(reason->limit->policy);
    default:
        return none;
    }
}

static bool write_variables(const struct answer *answer, uint32_t variables, uint64_t stream_id,
                            uint64_t frame_id, uint32_t max_frame_size, struct writer *output)
{
    uint8_t *frame = spop_frame_begin(output, SPOP_FRAME_ACK, SPOP_FLAG_FIN, stream_id, frame_id);
    for (int i = 0; i < RULES_ANSWERS; i++) {
        uint8_t text[RULES_NAME_MAX + 64];
        struct writer scratch = writer_open(text, sizeof(text));
        if (!(variables & 1u << i))
            continue;
        struct value value = value_of(answer, (enum rules_answer)i, &scratch);
        if (value.type != VALUE_NULL)
            spop_write_set_var(output, SPOP_SCOPE_TRANSACTION,
                               rules_answer_name((enum rules_answer)i), &value);
    }
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
