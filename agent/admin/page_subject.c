/* /explain and /key: what the limits of a request, or of one subject, stand at. */
#include <stdlib.h>

#include "agent/admin/page.h"
#include "agent/socket.h"
#include "rules/explain.h"

/* Rules that are told of one by one, and reasons of one. */
#define RULES_SHOWN    256
#define FAILURES_SHOWN 16

/* ---- what was asked -------------------------------------------------------------------------- */

static json_t *value_json(const struct value *value)
{
    char text[64];
    struct writer w = writer_open(text, sizeof(text));
    switch (value->type) {
    case VALUE_NULL:
        return json_null();
    case VALUE_BOOL:
        return json_boolean(value->boolean);
    case VALUE_INT32:
    case VALUE_INT64:
        return json_integer(value->integer);
    case VALUE_UINT32:
    case VALUE_UINT64:
        return admin_number(value->natural);
    case VALUE_STRING:
    case VALUE_BINARY:
        return admin_text(value->bytes);
    case VALUE_IPV4:
    case VALUE_IPV6:
        break;
    }
    value_print(value, &w);
    return admin_text(writer_slice(&w));
}

static void set_value(json_t *object, struct slice name, const struct value *value)
{
    char key[256];
    struct writer w = writer_open(key, sizeof(key) - 1);
    struct value printed = {.type = VALUE_STRING, .bytes = name};
    value_print(&printed, &w);
    key[writer_size(&w)] = '\0';
    json_object_set_new(object, key, value_json(value));
}

static json_t *arguments_json(const struct admin_request *request)
{
    json_t *json = json_object();
    size_t count;
    const struct spop_argument *arguments = admin_arguments(request, &count);
    for (size_t i = 0; i < count; i++)
        set_value(json, arguments[i].name, &arguments[i].value);
    return json;
}

/* ---- the limits ------------------------------------------------------------------------------ */

static const char *status_name(enum store_status status)
{
    static const char *const names[] = {
        [STORE_ANSWERED] = "answered",       [STORE_PENDING] = "pending", [STORE_FULL] = "full",
        [STORE_UNAVAILABLE] = "unavailable", [STORE_LATE] = "late",
    };
    return names[status];
}

static json_t *retry_json(const struct limit_result *result)
{
    return result->retry_after == LIMIT_NEVER ? json_null() : admin_seconds(result->retry_after);
}

static json_t *finding_json(const struct inquiry_finding *finding)
{
    const struct rules_limit *limit = finding->limit;
    const struct limit_result *result = &finding->result;
    json_t *json = json_pack(
        "{s:o, s:o, s:s, s:s, s:o, s:o}", "rule", admin_text(limit->rule->name), "limit",
        admin_text(limit->name), "key", finding->subject, "algorithm",
        limit_algorithm_name(limit->limit.algorithm), "units", admin_number(limit->limit.units),
        "window_seconds", admin_seconds(limit->limit.window));
    if (json && limit->limit.algorithm == LIMIT_TOKEN_BUCKET)
        json_object_set_new(json, "burst", admin_number(limit->limit.burst));
    if (json)
        json_object_update_new(
            json,
            json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:s}", "wanted",
                      admin_number(finding->wanted), "remaining", admin_number(result->remaining),
                      "retry_after_seconds", retry_json(result), "reset_after_seconds",
                      admin_seconds(result->reset_after), "refuses", finding->is_refusal, "source",
                      admin_text(store_source_name(finding->source)), "store",
                      status_name(finding->status)));
    return json;
}

static json_t *findings_json(const struct inquiry *inquiry)
{
    json_t *json = json_array();
    for (size_t i = 0; i < inquiry->count; i++)
        json_array_append_new(json, finding_json(&inquiry->findings[i]));
    return json;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static json_t *answer_json(const struct inquiry *inquiry)
{
    struct cursor c = cursor_open(slice_of(inquiry->answer, inquiry->answer_size));
    struct spop_action action;
    json_t *json = json_object();
    while (spop_next_action(&c, &action))
        if (action.type == SPOP_SET_VAR)
            set_value(json, action.name, &action.value);
    return json;
}

/* ---- the rules ------------------------------------------------------------------------------- */

struct explained {
    const struct rules_set *set;
    struct rules_matcher *matcher;
    const struct value *values;
    int message;
};

static json_t *failures_json(const struct explained *e, const struct rules_rule *rule)
{
    struct rules_failure failures[FAILURES_SHOWN];
    size_t count = rules_failures(e->matcher, rule, e->message, failures, FAILURES_SHOWN);
    json_t *json = json_array();
    for (size_t i = 0; i < count && i < FAILURES_SHOWN; i++) {
        const struct rules_failure *failure = &failures[i];
        json_array_append_new(
            json, json_pack("{s:o, s:s, s:b, s:o, s:I, s:I}", "argument",
                            admin_text(e->set->slot_names[failure->slot]), "operator",
                            failure->operator_name, "not", failure->unwanted, "value",
                            value_json(&e->values[failure->slot]), "line",
                            (json_int_t)failure->line, "column", (json_int_t)failure->column));
    }
    return json;
}

static bool is_of_message(const struct explained *e, const struct rules_rule *rule)
{
    int charge = rules_charge_message(rule);
    return rule->message < 0 || rule->message == e->message ||
           (charge >= 0 && charge == e->message);
}

static const char *verdict(const struct explained *e, const struct rules_rule *rule,
                           const struct rules_hit *hit)
{
    static const char *const words[] = {
        [RULES_HIT_LIMIT] = "applies",     [RULES_HIT_ALLOW] = "allows",
        [RULES_HIT_DENY] = "denies",       [RULES_HIT_NO_KEY] = "no key",
        [RULES_HIT_CHARGE] = "is charged",
    };
    if (!hit)
        return is_of_message(e, rule) ? "doesn't match" : "of another message";
    return words[hit->kind];
}

static json_t *rule_json(const struct explained *e, const struct rules_rule *rule,
                         const struct rules_hit *hit)
{
    struct slice file = rules_file_of(e->set, rule);
    json_t *json = json_pack("{s:o, s:I, s:s}", "rule", admin_text(rule->name), "line",
                             (json_int_t)rule->line, "verdict", verdict(e, rule, hit));
    if (json && file.size)
        json_object_set_new(json, "file", admin_text(file));
    if (json && !hit && is_of_message(e, rule))
        json_object_set_new(json, "because", failures_json(e, rule));
    if (json && hit && hit->kind == RULES_HIT_NO_KEY) {
        int slot = rules_missing_key(e->matcher, rule);
        if (slot >= 0)
            json_object_set_new(json, "missing", admin_text(e->set->slot_names[slot]));
    }
    if (json && hit && !hit->enforced)
        json_object_set_new(json, "enforced", json_false());
    return json;
}

/* As rules_match says it, each rule until one ends the search. */
static json_t *rules_json(const struct explained *e, struct rules_hit *hits, size_t hit_count)
{
    json_t *json = json_array();
    size_t next = 0;
    for (size_t i = 0; i < e->set->rule_count && json_array_size(json) < RULES_SHOWN; i++) {
        const struct rules_rule *rule = &e->set->rules[i];
        const struct rules_hit *hit =
            next < hit_count && hits[next].rule == rule ? &hits[next++] : NULL;
        json_array_append_new(json, rule_json(e, rule, hit));
        if (hit && (hit->kind == RULES_HIT_ALLOW || hit->kind == RULES_HIT_DENY))
            break;
    }
    return json;
}

static json_t *explain_rules_json(const struct admin_request *request, const struct rules_set *set)
{
    struct value *values = calloc(set->slot_count + 1, sizeof(*values));
    struct rules_hit *hits = calloc(set->rule_count + 1, sizeof(*hits));
    struct explained e = {set, rules_matcher_create(set), values,
                          rules_message(set, admin_message(request))};
    size_t count;
    const struct spop_argument *arguments = admin_arguments(request, &count);
    json_t *json = NULL;
    for (size_t i = 0; values && i < count; i++) {
        int slot = rules_slot(set, arguments[i].name);
        if (slot >= 0)
            values[slot] = arguments[i].value;
    }
    if (values && hits && e.matcher)
        json = rules_json(&e, hits, rules_match(e.matcher, e.message, values, hits));
    rules_matcher_free(e.matcher);
    free(hits);
    free(values);
    return json;
}

/* ---- the pages ------------------------------------------------------------------------------- */

void page_explain(struct admin_request *request)
{
    if (!request->question) {
        admin_ask(request, INQUIRY_LOOK);
        return;
    }
    const struct inquiry *inquiry = admin_answer(request);
    if (!inquiry)
        return;
    const struct rules_set *set = inquiry->rules->set;
    json_t *rules = explain_rules_json(request, set);
    admin_reply_json(request, MHD_HTTP_OK,
                     json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "message",
                               admin_text(admin_message(request)), "arguments",
                               arguments_json(request), "answer", answer_json(inquiry), "limits",
                               findings_json(inquiry), "rules", rules, "rules_total",
                               admin_number(set->rule_count)));
}

static bool names_rule(struct admin_request *request)
{
    const char *rule =
        MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "rule");
    if (rule && *rule)
        return true;
    admin_reply_error(request, MHD_HTTP_BAD_REQUEST, "no rule is named",
                      "rule=NAME, and key=TEXT or the arguments of the rule's key");
    return false;
}

void page_key(struct admin_request *request)
{
    if (!request->question) {
        if (names_rule(request))
            admin_ask(request, INQUIRY_LOOK);
        return;
    }
    const struct inquiry *inquiry = admin_answer(request);
    if (inquiry)
        admin_reply_json(request, MHD_HTTP_OK,
                         json_pack("{s:o, s:o, s:o}", "rule", admin_text(admin_rule(request)),
                                   "arguments", arguments_json(request), "limits",
                                   findings_json(inquiry)));
}

static void log_reset(struct admin_request *request, const struct inquiry *inquiry, size_t done)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char name[SOCKET_NAME_MAX] = "unknown";
    if (info)
        socket_peer_name(info->connect_fd, name);
    log_event(LOG_INFO, "key reset", LOG_SLICE("rule", admin_rule(request)),
              LOG_STRING("key", inquiry->count ? inquiry->findings[0].subject : ""),
              LOG_INT("counters", done), LOG_STRING("by", name));
}

void page_key_reset(struct admin_request *request)
{
    if (!request->question) {
        if (names_rule(request))
            admin_ask(request, INQUIRY_RESET);
        return;
    }
    const struct inquiry *inquiry = admin_answer(request);
    if (!inquiry)
        return;
    size_t done = 0;
    for (size_t i = 0; i < inquiry->count; i++)
        done += inquiry->findings[i].status == STORE_ANSWERED;
    log_reset(request, inquiry, done);
    if (done < inquiry->count)
        admin_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE,
                          "the store couldn't be asked: counters may be as they were",
                          "a store that answers: see /health/distributed");
    else
        admin_reply_json(request, MHD_HTTP_OK,
                         json_pack("{s:o, s:s, s:o}", "rule", admin_text(admin_rule(request)),
                                   "key", inquiry->count ? inquiry->findings[0].subject : "",
                                   "counters_reset", admin_number(done)));
}
