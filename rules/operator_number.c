#include <stdlib.h>

#include "rules/operator.h"

/* The number that a canonical value is, or says as text: HAProxy sends many a number (a header, a
 * map's answer) as text. One that has more digits than 64 bits hold is the last that they hold. */
static bool number_of(const struct value *value, struct value *number)
{
    *number = *value;
    if (value->type == VALUE_UINT64 || value->type == VALUE_INT64)
        return true;
    if (value->type != VALUE_STRING || value->bytes.size == 0)
        return false;
    bool negative = value->bytes.data[0] == '-';
    struct slice digits = negative ? slice_from(value->bytes, 1) : value->bytes;
    for (size_t i = 0; i < digits.size; i++)
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
    *number = negative ? (struct value){.type = VALUE_INT64, .integer = INT64_MIN}
                       : (struct value){.type = VALUE_UINT64, .natural = UINT64_MAX};
    if (negative)
        slice_to_int64(value->bytes, &number->integer);
    else
        slice_to_uint64(digits, &number->natural);
    *number = rules__canonical(number);
    return digits.size > 0;
}

/* Of canonical numbers only those below zero are INT64, so that the order of values is theirs. */
static bool compare(const struct rules__condition *condition, const struct value *value, int *order)
{
    struct value number;
    if (!number_of(value, &number))
        return false;
    *order = rules__value_compare(&number, &condition->values[0]);
    return true;
}

bool rules__holds_lt(const struct rules__condition *condition, const struct value *value,
                     struct rules_matcher *matcher)
{
    int order;
    (void)matcher;
    return compare(condition, value, &order) && order < 0;
}

bool rules__holds_le(const struct rules__condition *condition, const struct value *value,
                     struct rules_matcher *matcher)
{
    int order;
    (void)matcher;
    return compare(condition, value, &order) && order <= 0;
}

bool rules__holds_gt(const struct rules__condition *condition, const struct value *value,
                     struct rules_matcher *matcher)
{
    int order;
    (void)matcher;
    return compare(condition, value, &order) && order > 0;
}

bool rules__holds_ge(const struct rules__condition *condition, const struct value *value,
                     struct rules_matcher *matcher)
{
    int order;
    (void)matcher;
    return compare(condition, value, &order) && order >= 0;
}

bool rules__holds_between(const struct rules__condition *condition, const struct value *value,
                          struct rules_matcher *matcher)
{
    struct value number;
    (void)matcher;
    return number_of(value, &number) && rules__value_compare(&number, &condition->values[0]) >= 0 &&
           rules__value_compare(&number, &condition->values[1]) <= 0;
}

static bool read_number(const struct rules__operand *operand, const struct rules__node *node,
                        struct value *value)
{
    static const char expected[] = "a whole number, as in 400 or -1";
    if (!rules__scalar(operand->loader, operand->label, node, expected))
        return false;
    if (rules__number_of(node->text, value))
        return true;
    rules__wrong(operand->loader, operand->label, node, expected);
    return false;
}

void rules__compile_number(const struct rules__operand *operand, struct rules__condition *condition)
{
    struct value *value = rules__match_allocate(operand->loader, 1, sizeof(*value));
    if (value && read_number(operand, operand->node, value)) {
        condition->values = value;
        condition->count = 1;
    }
}

void rules__compile_between(const struct rules__operand *operand,
                            struct rules__condition *condition)
{
    const struct rules__node *node = operand->node;
    struct value *values = rules__match_allocate(operand->loader, 2, sizeof(*values));
    if (!values)
        return;
    if (node->kind != RULES__LIST || node->children.count != 2) {
        rules__problem(operand->loader, node,
                       "%s is no list of two numbers, expected the least and the greatest, as in "
                       "[ 400, 499 ]",
                       operand->label);
        return;
    }
    const struct rules__node *first = node->children.first;
    bool valid = read_number(operand, first, &values[0]);
    if (!read_number(operand, first->next, &values[1]) || !valid)
        return;
    if (rules__value_compare(&values[0], &values[1]) > 0)
        rules__problem(operand->loader, node,
                       "%s has its greatest number first, expected the least before it, as in "
                       "[ 400, 499 ]",
                       operand->label);
    condition->values = values;
    condition->count = 2;
}
