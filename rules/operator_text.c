#include <stdio.h>
#include <stdlib.h>

#include "rules/operator.h"

/* ---- is, in -------------------------------------------------------------------------------- */

static uint8_t read_byte(uint8_t byte, bool ignores_case)
{
    return ignores_case ? rules__lower(byte) : byte;
}

static int compare_values(const void *a, const void *b)
{
    return rules__value_compare(a, b);
}

/* The order of compare_values; the second is one of ours, and in lower case. */
static int compare_ignoring_case(const void *a, const void *b)
{
    const struct value *value = a;
    const struct value *literal = b;
    if (value->type != VALUE_STRING || literal->type != VALUE_STRING)
        return rules__value_compare(value, literal);
    size_t size = value->bytes.size;
    for (size_t i = 0; i < size && i < literal->bytes.size; i++) {
        int order = rules__lower(value->bytes.data[i]) - literal->bytes.data[i];
        if (order)
            return order;
    }
    return (size > literal->bytes.size) - (size < literal->bytes.size);
}

/* Literals among which a search would take longer than a look at each. */
#define LITERALS_FEW 4

bool rules__holds_equal(const struct rules__condition *condition, const struct value *value,
                        struct rules_matcher *matcher)
{
    (void)matcher;
    if (condition->count <= LITERALS_FEW && !condition->ignores_case) {
        for (size_t i = 0; i < condition->count; i++)
            if (value_equal(value, &condition->values[i]))
                return true;
        return false;
    }
    return bsearch(value, condition->values, condition->count, sizeof(*value),
                   condition->ignores_case ? compare_ignoring_case : compare_values);
}

bool rules__number_of(struct slice text, struct value *value)
{
    struct slice digits = text.size && text.data[0] == '-' ? slice_from(text, 1) : text;
    if (digits.size == 0 || (digits.data[0] == '0' && text.size > 1))
        return false;
    *value = (struct value){.type = VALUE_UINT64};
    if (slice_to_uint64(text, &value->natural))
        return true;
    value->type = VALUE_INT64;
    return slice_to_int64(text, &value->integer);
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
    return rules__number_of(text, value);
}

/* A copy that lives as long as the set, in lower case where that is asked for. */
static struct slice keep(const struct rules__operand *operand, struct slice text)
{
    struct slice copy = rules__match_keep(operand->loader, text);
    uint8_t *bytes = (uint8_t *)copy.data;
    for (size_t i = 0; i < copy.size; i++)
        bytes[i] = read_byte(bytes[i], operand->ignores_case);
    return copy;
}

void rules__add_literal(const struct rules__operand *operand, const struct rules__node *node,
                        struct value *values, size_t *count)
{
    char address[64];
    char expected[RULES__EXPECTED_MAX];
    struct rules__range range;
    struct value typed;
    if (!rules__scalar(operand->loader, operand->label, node,
                       "text, a number, true, false or an address"))
        return;
    if (memchr(node->text.data, '/', node->text.size) &&
        rules__network_parse(node->text, &range, expected)) {
        snprintf(address, sizeof(address), "an address; networks are matched by %s",
                 operand->for_networks);
        rules__wrong(operand->loader, operand->label, node, address);
        return;
    }
    values[(*count)++] = (struct value){.type = VALUE_STRING, .bytes = keep(operand, node->text)};
    if (typed_form(node->text, &typed))
        values[(*count)++] = typed;
}

void rules__sort_literals(struct value *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_values);
}

static void compile_literals(const struct rules__operand *operand,
                             struct rules__condition *condition)
{
    size_t count;
    const struct rules__node *item = rules__items(operand->node, &count);
    struct value *values = rules__match_allocate(operand->loader, count, 2 * sizeof(*values));
    if (!values)
        return;
    for (size_t i = 0; i < count; i++, item = item->next)
        rules__add_literal(operand, item, values, &condition->count);
    rules__sort_literals(values, condition->count);
    condition->values = values;
}

void rules__compile_is(const struct rules__operand *operand, struct rules__condition *condition)
{
    if (operand->node->kind == RULES__LIST)
        rules__wrong(operand->loader, operand->label, operand->node,
                     "one value; several are matched by in");
    else
        compile_literals(operand, condition);
}

void rules__compile_in(const struct rules__operand *operand, struct rules__condition *condition)
{
    if (operand->node->kind != RULES__LIST)
        rules__wrong(operand->loader, operand->label, operand->node,
                     "a list; one value is matched by is");
    else if (operand->node->children.count == 0)
        rules__problem(operand->loader, operand->node,
                       "%s is an empty list, expected at least one value", operand->label);
    else
        compile_literals(operand, condition);
}

/* ---- prefix, suffix ------------------------------------------------------------------------ */

/* How texts are read: from which end, and with which case. */
struct reading {
    bool backwards;
    bool ignores_case;
};

static uint8_t byte_of(struct slice text, size_t at, bool backwards)
{
    return text.data[backwards ? text.size - 1 - at : at];
}

/* How many bytes a text and a literal begin (or end) with in common. */
static size_t common(struct slice text, struct slice literal, struct reading reading)
{
    size_t most = text.size < literal.size ? text.size : literal.size;
    size_t at = 0;
    while (at < most && read_byte(byte_of(text, at, reading.backwards), reading.ignores_case) ==
                            byte_of(literal, at, reading.backwards))
        at++;
    return at;
}

/* Whether a text begins (or ends) with one of sorted literals, none of which begins with another:
 * then it can only be the last of those that don't come behind the text. */
static bool search_begin(const struct rules__condition *condition, struct slice text,
                         bool backwards)
{
    struct reading reading = {backwards, condition->ignores_case};
    size_t low = 0;
    size_t high = condition->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct slice literal = condition->texts[middle];
        size_t same = common(text, literal, reading);
        if (same == literal.size)
            return true;
        if (same < text.size && read_byte(byte_of(text, same, backwards), reading.ignores_case) >
                                    byte_of(literal, same, backwards))
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool begins_with_one(const struct rules__condition *condition, struct slice text,
                            bool backwards)
{
    if (condition->count > LITERALS_FEW || condition->ignores_case)
        return search_begin(condition, text, backwards);
    for (size_t i = 0; i < condition->count; i++)
        if (backwards ? slice_has_suffix(text, condition->texts[i])
                      : slice_has_prefix(text, condition->texts[i]))
            return true;
    return false;
}

bool rules__holds_prefix(const struct rules__condition *condition, const struct value *value,
                         struct rules_matcher *matcher)
{
    (void)matcher;
    return value->type == VALUE_STRING && begins_with_one(condition, value->bytes, false);
}

bool rules__holds_suffix(const struct rules__condition *condition, const struct value *value,
                         struct rules_matcher *matcher)
{
    (void)matcher;
    return value->type == VALUE_STRING && begins_with_one(condition, value->bytes, true);
}

static int compare_literals(const void *a, const void *b, bool backwards)
{
    const struct slice *left = a;
    const struct slice *right = b;
    size_t same = common(*left, *right, (struct reading){backwards, false});
    if (same == left->size || same == right->size)
        return (left->size > right->size) - (left->size < right->size);
    return byte_of(*left, same, backwards) - byte_of(*right, same, backwards);
}

static int compare_forwards(const void *a, const void *b)
{
    return compare_literals(a, b, false);
}

static int compare_backwards(const void *a, const void *b)
{
    return compare_literals(a, b, true);
}

/* The operand's texts; NULL when there is none to go on with. */
static struct slice *read_texts(const struct rules__operand *operand, size_t *kept)
{
    struct rules__loader *loader = operand->loader;
    size_t count;
    const struct rules__node *item = rules__items(operand->node, &count);
    struct slice *texts = rules__match_allocate(loader, count, sizeof(*texts));
    *kept = 0;
    if (count == 0)
        rules__problem(loader, operand->node, "%s is an empty list, expected at least one text",
                       operand->label);
    for (size_t i = 0; texts && i < count; i++, item = item->next) {
        if (!rules__scalar(loader, operand->label, item, "a text or a list of texts"))
            continue;
        if (item->text.size == 0)
            rules__problem(loader, item, "%s is \"\", which all texts have, expected a longer one",
                           operand->label);
        texts[(*kept)++] = keep(operand, item->text);
    }
    return *kept ? texts : NULL;
}

/* Sorts them, and leaves out those that begin with another: that one holds where they do. */
static void compile_begins(const struct rules__operand *operand, struct rules__condition *condition,
                           bool backwards)
{
    size_t count;
    size_t kept = 0;
    struct slice *texts = read_texts(operand, &count);
    if (!texts)
        return;
    qsort(texts, count, sizeof(*texts), backwards ? compare_backwards : compare_forwards);
    for (size_t i = 1; i < count; i++)
        if (common(texts[i], texts[kept], (struct reading){backwards, false}) < texts[kept].size)
            texts[++kept] = texts[i];
    condition->texts = texts;
    condition->count = kept + 1;
}

void rules__compile_prefix(const struct rules__operand *operand, struct rules__condition *condition)
{
    compile_begins(operand, condition, false);
}

void rules__compile_suffix(const struct rules__operand *operand, struct rules__condition *condition)
{
    compile_begins(operand, condition, true);
}

/* ---- contains ------------------------------------------------------------------------------ */

/* Knuth, Morris, Pratt: in time linear in both, whatever they are, and without a copy. */
static bool contains_ignoring_case(struct slice text, const struct rules__needle *needle)
{
    size_t matched = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = rules__lower(text.data[i]);
        while (matched && needle->text.data[matched] != byte)
            matched = needle->borders[matched - 1];
        if (needle->text.data[matched] == byte && ++matched == needle->text.size)
            return true;
    }
    return false;
}

bool rules__holds_contains(const struct rules__condition *condition, const struct value *value,
                           struct rules_matcher *matcher)
{
    (void)matcher;
    struct slice text = value->bytes;
    if (value->type != VALUE_STRING || text.size == 0)
        return false;
    for (size_t i = 0; i < condition->count; i++) {
        const struct rules__needle *needle = &condition->needles[i];
        if (needle->borders ? contains_ignoring_case(text, needle)
                            : !!memmem(text.data, text.size, needle->text.data, needle->text.size))
            return true;
    }
    return false;
}

static const uint32_t *find_borders(const struct rules__operand *operand, struct slice text)
{
    uint32_t *borders = rules__match_allocate(operand->loader, text.size, sizeof(*borders));
    uint32_t border = 0;
    for (size_t i = 1; borders && i < text.size; i++) {
        while (border && text.data[i] != text.data[border])
            border = borders[border - 1];
        if (text.data[i] == text.data[border])
            border++;
        borders[i] = border;
    }
    return borders;
}

void rules__compile_contains(const struct rules__operand *operand,
                             struct rules__condition *condition)
{
    size_t count;
    const struct slice *texts = read_texts(operand, &count);
    struct rules__needle *needles =
        texts ? rules__match_allocate(operand->loader, count, sizeof(*needles)) : NULL;
    if (!needles)
        return;
    for (size_t i = 0; i < count; i++) {
        needles[i].text = texts[i];
        if (operand->ignores_case)
            needles[i].borders = find_borders(operand, texts[i]);
    }
    condition->needles = needles;
    condition->count = count;
}
