/* Any bytes as a rule file. What loads is matched against messages of every type of value, the
 * file's own words among them; what doesn't must say why, inside the file and in line order. */
#include <stdlib.h>

#include "rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_report(const struct rules_report *report, struct slice text)
{
    size_t lines = 2; /* an error at the end may stand on the line behind the last */
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n' || text.data[i] == '\r';
    for (size_t i = 0; i < report->count; i++) {
        const struct rules_problem *problem = &report->problems[i];
        const struct rules_problem *before = &report->problems[i ? i - 1 : 0];
        char printed[1024];
        require(problem->line >= 1 && problem->line <= lines && problem->column >= 1);
        require(problem->line > before->line ||
                (problem->line == before->line && problem->column >= before->column));
        require(memmem(problem->text.data, problem->text.size, ", expected ", 11));
        rules_problem_print(problem, "file", printed, sizeof(printed));
        require(strlen(printed) > problem->text.size);
    }
}

/* A value for a slot: what the round says, of a type that the slot's number says. */
static struct value value_for(size_t slot, unsigned round, struct slice text)
{
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
    struct value value = {.type = (enum value_type)((slot + round) % (VALUE_BINARY + 1))};
    switch (value.type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        value.boolean = round % 2;
        break;
    case VALUE_INT32:
    case VALUE_INT64:
        value.integer = (int64_t)round - 5;
        break;
    case VALUE_UINT32:
    case VALUE_UINT64:
        value.natural = round;
        break;
    case VALUE_IPV4:
        memcpy(value.address, mapped + 12, 4);
        break;
    case VALUE_IPV6:
        memcpy(value.address, mapped, round % 2 ? 16 : 10);
        break;
    case VALUE_STRING:
    case VALUE_BINARY:
        /* A window of the file: now and then it is one of its literals. */
        value.bytes = slice_from(text, text.size * round / 16);
        if (value.bytes.size > slot + 1)
            value.bytes.size = slot + 1;
        break;
    }
    return value;
}

static void check_hits(const struct rules_set *set, const struct rules_hit *hits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct rules_rule *rule = hits[i].rule;
        require(rule == &set->rules[rule->index]);
        require(i == 0 || rule->index > hits[i - 1].rule->index);
        require((hits[i].kind == RULES_HIT_ALLOW) == (rule->action == RULES_ACTION_ALLOW));
        require(hits[i].kind != RULES_HIT_ALLOW || i + 1 == count);
        require(hits[i].kind == RULES_HIT_ALLOW || rule->limit_count >= 1);
    }
}

static void match(const struct rules_set *set, struct slice text)
{
    struct value values[RULES_MAX_SLOTS];
    struct rules_hit *hits = calloc(set->rule_count + 1, sizeof(*hits));
    require(hits && set->slot_count <= RULES_MAX_SLOTS);
    for (unsigned round = 0; round < 12; round++) {
        for (size_t slot = 0; slot < set->slot_count; slot++)
            values[slot] = value_for(slot, round, text);
        for (int message = -1; message < 3; message++)
            check_hits(set, hits, rules_match(set, message, values, hits));
    }
    free(hits);
}

static void check_set(const struct rules_set *set)
{
    size_t limits = 0;
    for (size_t slot = 0; slot < set->slot_count; slot++)
        require(rules_slot(set, set->slot_names[slot]) == (int)slot);
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        require(rule->name.size >= 1 && rule->name.size <= RULES_NAME_MAX);
        limits += rule->limit_count;
        for (size_t k = 0; k < rule->limit_count; k++) {
            require(rule->limits[k].rule == rule);
            require(limit_check(&rule->limits[k].limit) == NULL);
            require(rule->limits[k].policy.size > rule->limits[k].name.size);
        }
    }
    require(limits == set->limit_count);
    require(set->settings.listener_count >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rules_report report;
    struct slice text = slice_of(data, size);
    struct rules_set *set = rules_load(text, 1, &report);
    require((set == NULL) == (report.count > 0));
    check_report(&report, text);
    if (set) {
        check_set(set);
        match(set, text);
    }
    rules_free(set);
    rules_report_free(&report);
    return 0;
}
