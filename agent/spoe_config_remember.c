#include "agent/spoe_config.h"

#define TABLE "sluice-refusals"
#define HELD  "{ var(txn.sluice_wait) -m int gt 1 }"

/* An expression, and what masks it. */
#define SAMPLE_MAX (SPOE_EXPRESSION_MAX + 32)

static bool is_of_request(const struct spoe_model *model, const struct rules_rule *rule)
{
    for (size_t i = 0; i < model->message_count; i++)
        if (model->messages[i].phase == SPOE_REQUEST &&
            (rule->message < 0 || rule->message == model->messages[i].numbers[0]))
            return true;
    return false;
}

/* Why a rule's refusals are not to be remembered; NULL: they are. */
static const char *why_not(const struct spoe_model *model, const struct rules_rule *rule)
{
    struct rules_address_key key;
    const char *reason = rules_refusal_depends(rule, &key);
    if (!reason && !spoe_is_address(model->sets[0]->slot_names[key.slot]))
        reason = "its key is not known to be an address";
    if (!reason && model->remembered_count == SPOE_REMEMBERED_MAX)
        reason = "those before it are as many as can be";
    return reason;
}

const char *spoe_remember(struct spoe_model *model)
{
    static const enum rules_answer needed[] = {RULES_ANSWER_RETRY_AT, RULES_ANSWER_RULE,
                                               RULES_ANSWER_SOURCE};
    const struct rules_set *set = model->sets[0];
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (!(set->settings.answer & 1u << needed[i]))
            return (const char *)rules_answer_name(needed[i]).data;
    model->remembers = true;
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        if (rule->action == RULES_ACTION_LIMIT && rule->mode != RULES_SHADOW &&
            is_of_request(model, rule) && !why_not(model, rule))
            model->remembered[model->remembered_count++] = rule;
    }
    return NULL;
}

/* ---- HAProxy's lines ----------------------------------------------------------------------- */

/* What is looked up in the table: whom the rule counts. */
static const char *sample_of(const struct spoe_model *model, const struct rules_rule *rule,
                             char buffer[SAMPLE_MAX])
{
    struct spoe_source source;
    struct rules_address_key key = {0};
    rules_refusal_depends(rule, &key);
    spoe_source_find(model->sets[0]->slot_names[key.slot], SPOE_REQUEST, &source);
    snprintf(buffer, SAMPLE_MAX, "%s,ipmask(%u,%u)", source.expression, key.ipv4_prefix,
             key.ipv6_prefix);
    return buffer;
}

static void write_not_remembered(const struct spoe_proxies *p)
{
    const struct rules_set *set = p->model->sets[0];
    size_t next = 0;
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        if (next < p->model->remembered_count && p->model->remembered[next] == rule) {
            next++;
            continue;
        }
        if (rule->action == RULES_ACTION_LIMIT && rule->mode != RULES_SHADOW &&
            is_of_request(p->model, rule))
            spoe_line(p, "    # Not of %.*s: %s.", SLICE_ARGS(rule->name), why_not(p->model, rule));
    }
}

/* The requests that the rule is for. What HAProxy calls them is for a person to write, but where
 * they are all. */
static void write_asked(const struct spoe_proxies *p, const struct rules_rule *rule, size_t number)
{
    const struct rules_set *set = p->model->sets[0];
    bool is_all = rule->condition_count == 0;
    spoe_line(p, "    # %.*s: requests with %.*s", SLICE_ARGS(rule->name),
              SLICE_ARGS(is_all ? SLICE("anything") : rule->words->match));
    for (size_t i = 0; i < rule->index; i++) {
        const struct rules_rule *before = &set->rules[i];
        if (before->action != RULES_ACTION_ALLOW ||
            (before->message >= 0 && rule->message >= 0 && before->message != rule->message))
            continue;
        is_all = false;
        spoe_line(p, "    # but not with %.*s (%.*s)", SLICE_ARGS(before->words->match),
                  SLICE_ARGS(before->name));
    }
    if (!is_all)
        spoe_line(p, "    # TO FILL IN, as in: acl sluice_asks_%zu path -m beg /api/", number);
    spoe_line(p, "    acl sluice_asks_%zu %s", number, is_all ? "always_true" : "always_false");
}

void spoe_write_remembered(const struct spoe_proxies *p)
{
    char sample[SAMPLE_MAX];
    if (!p->model->remembers)
        return;
    spoe_line(p, "    # Refusals that are remembered: docs/haproxy.md says of which rules.");
    write_not_remembered(p);
    spoe_line(p, "    http-request set-var(txn.sluice_now) date");
    for (size_t i = 0; i < p->model->remembered_count; i++) {
        const struct rules_rule *rule = p->model->remembered[i];
        write_asked(p, rule, i);
        spoe_line(p,
                  "    http-request set-var(txn.sluice_wait) %s,table_gpt(%zu," TABLE
                  "),sub(txn.sluice_now) if sluice_asks_%zu%s",
                  sample_of(p->model, rule, sample), i, i, i ? " !" HELD : "");
        spoe_line(
            p, "    http-request set-var(txn.sluice.rule) str(%.*s) if sluice_asks_%zu " HELD "%s",
            SLICE_ARGS(rule->name), i, i ? " !{ var(txn.sluice.rule) -m found }" : "");
    }
    spoe_line(p, "    http-request set-var(txn.sluice.source) str(haproxy) if " HELD);
    spoe_line(p,
              "    http-request deny deny_status 429 content-type text/plain lf-string \"Too many "
              "requests, by the rule %%[var(txn.sluice.rule)].\\n\" hdr Retry-After "
              "\"%%[var(txn.sluice_wait)]\" if " HELD);
}

void spoe_write_remembering(const struct spoe_proxies *p)
{
    char sample[SAMPLE_MAX];
    for (size_t i = 0; i < p->model->remembered_count; i++) {
        const struct rules_rule *rule = p->model->remembered[i];
        spoe_line(p,
                  "    http-request track-sc0 %s table " TABLE
                  " if { var(txn.sluice.rule) -m str %.*s } !{ var(txn.sluice.source) -m str "
                  "fallback } { var(txn.sluice.retry_at) -m found }",
                  sample_of(p->model, rule, sample), SLICE_ARGS(rule->name));
        spoe_line(p,
                  "    http-request sc-set-gpt(%zu,0) var(txn.sluice.retry_at) if { sc0_tracked } "
                  "{ var(txn.sluice.rule) -m str %.*s }",
                  i, SLICE_ARGS(rule->name));
    }
}

void spoe_write_refusals(const struct spoe_proxies *p)
{
    if (!p->model->remembers)
        return;
    spoe_line(p, "backend " TABLE);
    spoe_line(p, "    mode http");
    spoe_line(p, "    stick-table type ipv6 size 100k expire 1m store gpt(%zu)",
              p->model->remembered_count ? p->model->remembered_count : 1);
    spoe_blank_line(p);
}
