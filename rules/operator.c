#include "rules/operator.h"

/* ---- cidr ---------------------------------------------------------------------------------- */

bool rules__holds_cidr(const struct rules__condition *condition, const struct value *value,
                       struct rules_matcher *matcher)
{
    struct rules__address address;
    (void)matcher;
    return rules__address_of(value, &address) &&
           rules__ranges_contain(condition->ranges, condition->count, &address);
}

static void compile_cidr(const struct rules__operand *operand, struct rules__condition *condition)
{
    struct rules__loader *loader = operand->loader;
    char expected[RULES__EXPECTED_MAX];
    size_t count;
    size_t kept = 0;
    const struct rules__node *item = rules__items(operand->node, &count);
    struct rules__range *ranges = rules__match_allocate(loader, count, sizeof(*ranges));
    if (count == 0)
        rules__problem(loader, operand->node, "%s is an empty list, expected at least one network",
                       operand->label);
    if (!ranges)
        return;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (!rules__scalar(loader, operand->label, item, "a network or a list of networks"))
            continue;
        if (rules__network_parse(item->text, &ranges[kept], expected))
            kept++;
        else
            rules__wrong(loader, operand->label, item, expected);
    }
    condition->count = rules__ranges_normalise(ranges, kept);
    condition->ranges = ranges;
}

/* ---- exists -------------------------------------------------------------------------------- */

/* Asked of what is there, it holds; exists: false is its negation. */
static bool holds_exists(const struct rules__condition *condition, const struct value *value,
                         struct rules_matcher *matcher)
{
    (void)condition;
    (void)value;
    (void)matcher;
    return true;
}

static void compile_exists(const struct rules__operand *operand, struct rules__condition *condition)
{
    static const char *const words[] = {"false", "true"};
    condition->negated = rules__word(operand->loader, operand->label, operand->node, words, 2) == 0;
}

/* ---- the table ----------------------------------------------------------------------------- */

const struct rules__operator rules__operators[RULES__OPERATORS] = {
    {"is", rules__compile_is, rules__holds_equal, true, true},
    {"in", rules__compile_in, rules__holds_equal, true, true},
    {"in_file", rules__compile_in_file, rules__holds_equal, true, true},
    {"prefix", rules__compile_prefix, rules__holds_prefix, true, true},
    {"suffix", rules__compile_suffix, rules__holds_suffix, true, true},
    {"contains", rules__compile_contains, rules__holds_contains, true, false},
    {"regex", rules__compile_regex, rules__holds_regex, true, false},
    {"lt", rules__compile_number, rules__holds_lt, false, true},
    {"le", rules__compile_number, rules__holds_le, false, true},
    {"gt", rules__compile_number, rules__holds_gt, false, true},
    {"ge", rules__compile_number, rules__holds_ge, false, true},
    {"between", rules__compile_between, rules__holds_between, false, true},
    {"cidr", compile_cidr, rules__holds_cidr, false, false},
    {"cidr_file", rules__compile_cidr_file, rules__holds_cidr, false, false},
    {"exists", compile_exists, holds_exists, false, true},
};
