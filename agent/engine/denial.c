#include "agent/engine/denial.h"

void denial_note(struct engine_decision *decision, const struct spop_argument *argument)
{
    const struct value *value = &argument->value;
    if (!slice_equal(argument->name, SLICE("request_id")) || value->type < VALUE_STRING)
        return;
    decision->request_id = value->bytes;
    if (decision->request_id.size > DENIAL_REQUEST_ID_MAX)
        decision->request_id.size = DENIAL_REQUEST_ID_MAX;
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
    if (reason && reason->subject.size)
        *next++ = (struct log_field)LOG_SLICE("subject", reason->subject);
    if (decision->request_id.size)
        *next++ = (struct log_field)LOG_SLICE("request_id", decision->request_id);
    if (suppressed)
        *next++ = (struct log_field)LOG_INT("suppressed", suppressed);
    *next = (struct log_field)LOG_END;
    log_write(LOG_INFO, "request refused", fields);
}
