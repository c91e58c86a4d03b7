#include "agent/engine/denial.h"

#include <stdlib.h>

void denial_note(struct engine_decision *decision, const struct spop_argument *argument)
{
    const struct value *value = &argument->value;
    if (!slice_equal(argument->name, SLICE("request_id")) || value->type < VALUE_STRING)
        return;
    decision->request_id = value->bytes;
    if (decision->request_id.size > DENIAL_REQUEST_ID_MAX)
        decision->request_id.size = DENIAL_REQUEST_ID_MAX;
}

static bool make_room(struct engine_decision *decision, size_t size)
{
    if (size <= decision->kept_room)
        return true;
    uint8_t *larger = realloc(decision->kept, size);
    if (!larger)
        return false;
    decision->kept = larger;
    decision->kept_room = size;
    return true;
}

/* The subjects, as they are in the engine's text, and the id behind them. */
void denial_keep(struct engine_decision *decision)
{
    const struct engine *engine = decision->engine;
    size_t size = engine->text_size;
    if (!make_room(decision, size + decision->request_id.size + 1)) {
        decision->request_id.size = 0;
        for (size_t i = 0; i < decision->count; i++)
            decision->takes[i].take.subject.size = 0;
        return;
    }
    if (size)
        memcpy(decision->kept, engine->text, size);
    if (decision->request_id.size)
        memcpy(decision->kept + size, decision->request_id.data, decision->request_id.size);
    decision->request_id.data = decision->kept + size;
    for (size_t i = 0; i < decision->count; i++)
        decision->takes[i].take.subject.data = decision->kept + decision->takes[i].text_at;
}

void denial_write(const struct engine_decision *decision, uint32_t per_second)
{
    struct log_field fields[7] = {{NULL, LOG_TEXT, {NULL, 0}, 0}};
    struct log_field *next = fields;
    const struct engine_take *reason = decision->answer.reason;
    uint32_t suppressed;
    if (!log_may_write(decision->engine->options.denials, per_second, &suppressed))
        return;
    const struct rules_rule *rule = reason ? reason->limit->rule : decision->answer.named;
    *next++ = (struct log_field)LOG_SLICE("rule", rule->name);
    if (reason) {
        *next++ = (struct log_field)LOG_INT("limit", reason->limit->limit.units);
        *next++ = (struct log_field)LOG_SLICE("source", store_source_name(reason->take.source));
    }
    if (reason && reason->take.subject.size)
        *next++ = (struct log_field)LOG_SLICE("subject", reason->take.subject);
    if (decision->request_id.size)
        *next++ = (struct log_field)LOG_SLICE("request_id", decision->request_id);
    if (suppressed)
        *next++ = (struct log_field)LOG_INT("suppressed", suppressed);
    *next = (struct log_field)LOG_END;
    log_write(LOG_INFO, "request refused", fields);
}
