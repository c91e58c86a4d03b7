#include <stdio.h>
#include <stdlib.h>

#include "rules/loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a condition can ask of a value. A new operator is a `holds`, a row, and where its operand is
 * of a new form, a `compile`. */
struct operator
{
    const char *name;
    /* Fills in the condition; reports what is wrong with the operand. label: "prefix of path". */
    void (*compile)(struct rules__loader * loader, const char *label,
                    const struct rules__node *node, struct rules__condition *condition);
    bool (*holds)(const struct rules__condition *condition, const struct value *value);
};

/* ---- is, in -------------------------------------------------------------------------------- */

static int compare_values(const void *a, const void *b)
{
    return rules__value_compare(a, b);
}

static bool holds_equal(const struct rules__condition *condition, const struct value *value)
{
    return bsearch(value, condition->values, condition->count, sizeof(*value), compare_values);
}

/* Numbers as they are usually written only: 007 and -0 are text. */
static bool is_plain_number(struct slice text)
{
    struct slice digits = text.size && text.data[0] == '-' ? slice_from(text, 1) : text;
    if (digits.size && digits.data[0] == '0')
        return text.size == 1;
    return digits.size > 0;
}

/* The second form of a literal: what a typed argument is compared with. False when it has none. */
static bool typed_form(struct slice text, struct value *value)
{
    if (slice_equal(text, SLICE("true")) || slice_equal(text, SLICE("false"))) {
        *value = (struct value){.type = VALUE_BOOL, .boolean = text.data[0] == 't'};
        return true;
    }
    if (value_parse_address(text, value)) {
        *value = rules__canonical(value);
        return true;
    }
    if (!is_plain_number(text))
        return false;
    *value = (struct value){.type = VALUE_UINT64};
    if (slice_to_uint64(text, &value->natural))
        return true;
    value->type = VALUE_INT64;
    return slice_to_int64(text, &value->integer);
}

static void add_literal(struct rules__loader *loader, const char *label,
                        const struct rules__node *node, struct value *values, size_t *count)
{
    char expected[RULES__EXPECTED_MAX];
    struct rules__range range;
    struct value typed;
    if (!rules__scalar(loader, label, node, "text, a number, true, false or an address"))
        return;
    if (memchr(node->text.data, '/', node->text.size) &&
        rules__network_parse(node->text, &range, expected)) {
        rules__wrong(loader, label, node, "an address; networks are matched by cidr");
        return;
    }
    values[(*count)++] =
        (struct value){.type = VALUE_STRING, .bytes = rules__keep(loader, node->text)};
    if (typed_form(node->text, &typed))
        values[(*count)++] = typed;
}

static void compile_literals(struct rules__loader *loader, const char *label,
                             const struct rules__node *node, struct rules__condition *condition)
{
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    struct value *values = rules__allocate(loader, count, 2 * sizeof(*values));
    if (!values)
        return;
    for (size_t i = 0; i < count; i++, item = item->next)
        add_literal(loader, label, item, values, &condition->count);
    qsort(values, condition->count, sizeof(*values), compare_values);
    condition->values = values;
}

static void compile_is(struct rules__loader *loader, const char *label,
                       const struct rules__node *node, struct rules__condition *condition)
{
    if (node->kind == RULES__LIST)
        rules__wrong(loader, label, node, "one value; several are matched by in");
    else
        compile_literals(loader, label, node, condition);
}

static void compile_in(struct rules__loader *loader, const char *label,
                       const struct rules__node *node, struct rules__condition *condition)
{
    if (node->kind != RULES__LIST)
        rules__wrong(loader, label, node, "a list; one value is matched by is");
    else if (node->children.count == 0)
        rules__problem(loader, node, "%s is an empty list, expected at least one value", label);
    else
        compile_literals(loader, label, node, condition);
}

/* ---- prefix, suffix ------------------------------------------------------------------------ */

static bool holds_prefix(const struct rules__condition *condition, const struct value *value)
{
    for (size_t i = 0; value->type == VALUE_STRING && i < condition->count; i++)
        if (slice_has_prefix(value->bytes, condition->texts[i]))
            return true;
    return false;
}

static bool holds_suffix(const struct rules__condition *condition, const struct value *value)
{
    for (size_t i = 0; value->type == VALUE_STRING && i < condition->count; i++)
        if (slice_has_suffix(value->bytes, condition->texts[i]))
            return true;
    return false;
}

static void compile_texts(struct rules__loader *loader, const char *label,
                          const struct rules__node *node, struct rules__condition *condition)
{
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    struct slice *texts = rules__allocate(loader, count, sizeof(*texts));
    if (count == 0)
        rules__problem(loader, node, "%s is an empty list, expected at least one text", label);
    if (!texts)
        return;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (!rules__scalar(loader, label, item, "a text or a list of texts"))
            continue;
        if (item->text.size == 0)
            rules__problem(loader, item, "%s is \"\", which all texts have, expected a longer one",
                           label);
        texts[condition->count++] = rules__keep(loader, item->text);
    }
    condition->texts = texts;
}

/* ---- cidr ---------------------------------------------------------------------------------- */

static bool holds_cidr(const struct rules__condition *condition, const struct value *value)
{
    struct rules__address address;
    return rules__address_of(value, &address) &&
           rules__ranges_contain(condition->ranges, condition->count, &address);
}

static void compile_networks(struct rules__loader *loader, const char *label,
                             const struct rules__node *node, struct rules__condition *condition)
{
    char expected[RULES__EXPECTED_MAX];
    size_t count;
    size_t kept = 0;
    const struct rules__node *item = rules__items(node, &count);
    struct rules__range *ranges = rules__allocate(loader, count, sizeof(*ranges));
    if (count == 0)
        rules__problem(loader, node, "%s is an empty list, expected at least one network", label);
    if (!ranges)
        return;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (!rules__scalar(loader, label, item, "a network or a list of networks"))
            continue;
        if (rules__network_parse(item->text, &ranges[kept], expected))
            kept++;
        else
            rules__wrong(loader, label, item, expected);
    }
    condition->count = rules__ranges_normalise(ranges, kept);
    condition->ranges = ranges;
}

/* ---- the table, and match ------------------------------------------------------------------ */

static const struct operator operators[] = {
    {"is", compile_is, holds_equal},         {"in", compile_in, holds_equal},
    {"prefix", compile_texts, holds_prefix}, {"suffix", compile_texts, holds_suffix},
    {"cidr", compile_networks, holds_cidr},
};

struct target {
    struct rules_rule *rule;
    struct rules__condition *conditions; /* room for all of the match */
    struct slice argument;
    uint32_t slot;
};

/* label: how messages call the operand. */
static void add_condition(struct rules__loader *loader, const struct target *target,
                          const struct operator* operator, const char * label,
                          const struct rules__node *operand)
{
    struct rules__condition *condition = &target->conditions[target->rule->condition_count++];
    condition->slot = target->slot;
    condition->holds = operator->holds;
    operator->compile(loader, label, operand, condition);
}

/* As rules__walk does for a mapping of fixed keys. */
static void load_operators(struct rules__loader *loader, const struct target *target,
                           const struct rules__node *node)
{
    const char *words[COUNT(operators)];
    const struct rules__node *seen[COUNT(operators)] = {0};
    char label[RULES_NAME_MAX + 32];
    for (size_t i = 0; i < COUNT(operators); i++)
        words[i] = operators[i].name;
    snprintf(label, sizeof(label), "operator of %.*s", SLICE_ARGS(target->argument));
    const struct rules__node *key = node->children.first;
    if (!key)
        rules__problem(loader, node,
                       "%.*s has no operator, expected a value, or one as in { in: [ ... ] }",
                       SLICE_ARGS(target->argument));
    for (size_t left = node->children.count; left >= 2; left -= 2, key = key->next->next) {
        int word = rules__word(loader, label, key, words, COUNT(words));
        char operand[RULES_NAME_MAX + 32];
        if (word >= 0 && seen[word])
            rules__problem(loader, key,
                           "operator \"%s\" again for %.*s, expected it once (it is on "
                           "line %u)",
                           words[word], SLICE_ARGS(target->argument), seen[word]->line);
        else if (word >= 0) {
            snprintf(operand, sizeof(operand), "%s of %.*s", words[word],
                     SLICE_ARGS(target->argument));
            add_condition(loader, target, &operators[word], operand, key->next);
        }
        if (word >= 0)
            seen[word] = key;
    }
}

static size_t count_conditions(const struct rules__node *node)
{
    size_t count = 0;
    const struct rules__node *key = node->children.first;
    for (size_t left = node->children.count; left >= 2; left -= 2, key = key->next->next)
        count += key->next->kind == RULES__MAPPING ? key->next->children.count / 2 : 1;
    return count;
}

static void load_argument(struct rules__loader *loader, struct target *target,
                          struct rules__names *seen, const struct rules__node *key)
{
    const struct rules__node *value = key->next;
    char label[RULES_NAME_MAX + 32];
    target->argument = rules__identifier(loader, "an argument of match", key, true);
    if (!target->argument.size)
        return;
    int slot = rules__slot_of(loader, key, target->argument);
    int64_t line = rules__names_find(seen, target->argument);
    if (slot < 0)
        return;
    target->slot = (uint32_t)slot;
    if (line >= 0) {
        rules__problem(loader, key,
                       "argument %.*s again in match, expected it once (it is on line "
                       "%u)",
                       SLICE_ARGS(target->argument), (unsigned)line);
        return;
    }
    if (!rules__names_put(seen, &loader->scratch, target->argument, key->line))
        rules__no_memory(loader);
    snprintf(label, sizeof(label), "%.*s", SLICE_ARGS(target->argument));
    if (value->kind == RULES__MAPPING)
        load_operators(loader, target, value);
    else if (value->kind == RULES__LIST)
        rules__wrong(loader, label, value, "a value or a mapping, as in { in: [ ... ] }");
    else
        add_condition(loader, target, &operators[0], label, value);
}

void rules__load_match(struct rules__loader *loader, struct rules_rule *rule,
                       const struct rules__node *node)
{
    struct rules__names seen = {.seed = loader->set->seed};
    struct target target = {.rule = rule};
    if (node->kind != RULES__MAPPING) {
        rules__wrong(loader, "match", node, "a mapping, as in { path: { prefix: /api } }");
        return;
    }
    target.conditions = rules__allocate(loader, count_conditions(node), sizeof(*target.conditions));
    if (!target.conditions)
        return;
    rule->conditions = target.conditions;
    const struct rules__node *key = node->children.first;
    for (size_t left = node->children.count; left >= 2; left -= 2, key = key->next->next)
        load_argument(loader, &target, &seen, key);
}
