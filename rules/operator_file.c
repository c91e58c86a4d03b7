#include <stdio.h>
#include <stdlib.h>

#include "rules/operator.h"

/* Files of values: one a line, with blanks around it; from a '#' at the beginning of a line or
 * behind a blank on, it is a comment. */

/* How a file is read. */
enum form {
    FORM_VALUES,
    FORM_LOWER_CASE,
    FORM_NETWORKS,
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* A line without its comment and the blanks around. */
static struct slice strip(struct slice line, size_t *column)
{
    size_t begin = 0;
    size_t end = 0;
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == '#' && (i == 0 || is_blank(line.data[i - 1])))
            break;
        if (!is_blank(line.data[i]))
            end = i + 1;
        else if (end == 0)
            begin = i + 1;
    }
    *column = begin + 1;
    return end ? slice_of(line.data + begin, end - begin) : slice_of(NULL, 0);
}

/* The lines that say something, each as a node: they are told of as nodes are. */
struct lines {
    struct slice rest;
    struct rules__node node;
    uint32_t line;
};

static struct lines lines_of(struct slice text, int file)
{
    return (struct lines){text, {.kind = RULES__SCALAR, .file = (uint16_t)file}, 0};
}

static bool next_line(struct lines *lines)
{
    while (lines->rest.size) {
        struct slice rest = lines->rest;
        size_t size = 0;
        size_t column;
        while (size < rest.size && rest.data[size] != '\n' && rest.data[size] != '\r')
            size++;
        size_t end = size + 1;
        if (end < rest.size && rest.data[size] == '\r' && rest.data[end] == '\n')
            end++;
        lines->rest = slice_from(rest, end);
        lines->line++;
        struct slice text = strip(slice_of(rest.data, size), &column);
        if (text.size) {
            lines->node.text = text;
            lines->node.line = lines->line;
            lines->node.column = (uint32_t)column;
            return true;
        }
    }
    return false;
}

static bool count_lines(struct rules__loader *loader, struct slice text, int file, size_t *count)
{
    struct lines lines = lines_of(text, file);
    *count = 0;
    while (next_line(&lines)) {
        if (++*count > RULES_VALUES_MAX) {
            rules__problem(loader, &lines.node, "one value too many, expected at most %d in a file",
                           RULES_VALUES_MAX);
            return false;
        }
    }
    return true;
}

static void read_values(struct rules__loader *loader, struct slice text, int file, size_t count,
                        enum form form, struct rules__value_list *list)
{
    struct lines lines = lines_of(text, file);
    struct rules__operand operand = {loader, "a value", &lines.node, "cidr_file",
                                     form == FORM_LOWER_CASE};
    struct value *values = rules__allocate(loader, count, 2 * sizeof(*values));
    if (!values)
        return;
    while (next_line(&lines) && !loader->out_of_memory)
        rules__add_literal(&operand, &lines.node, values, &list->count);
    rules__sort_literals(values, list->count);
    list->values = values;
}

static void read_networks(struct rules__loader *loader, struct slice text, int file, size_t count,
                          struct rules__value_list *list)
{
    char expected[RULES__EXPECTED_MAX];
    struct lines lines = lines_of(text, file);
    struct rules__range *ranges = rules__allocate(loader, count, sizeof(*ranges));
    size_t kept = 0;
    if (!ranges)
        return;
    while (next_line(&lines)) {
        if (rules__network_parse(lines.node.text, &ranges[kept], expected))
            kept++;
        else
            rules__wrong(loader, "a network", &lines.node, expected);
    }
    list->count = rules__ranges_normalise(ranges, kept);
    list->ranges = ranges;
}

/* What is in a file, read once for each form. NULL when it can't be read, or out of memory
 * (reported). */
static const struct rules__value_list *read_list(const struct rules__operand *operand,
                                                 enum form form)
{
    struct rules__loader *loader = operand->loader;
    char name[32];
    struct slice text;
    size_t count;
    int file = rules__read_file(loader, operand->label, operand->node, &text);
    if (file < 0)
        return NULL;
    snprintf(name, sizeof(name), "%d %d", (int)form, file);
    int64_t known = rules__names_find(&loader->value_names, slice_of_string(name));
    if (known >= 0)
        return &loader->value_lists[known];
    if (!loader->value_lists)
        loader->value_lists =
            rules__allocate(loader, RULES__VALUE_LISTS, sizeof(*loader->value_lists));
    struct slice kept = arena_copy(&loader->scratch, slice_of_string(name));
    size_t number = loader->value_names.count;
    if (!loader->value_lists || !kept.data ||
        !rules__names_put(&loader->value_names, &loader->scratch, kept, (uint32_t)number)) {
        rules__no_memory(loader);
        return NULL;
    }
    struct rules__value_list *list = &loader->value_lists[number];
    if (!count_lines(loader, text, file, &count))
        return list;
    if (form == FORM_NETWORKS)
        read_networks(loader, text, file, count, list);
    else
        read_values(loader, text, file, count, form, list);
    return list;
}

void rules__compile_in_file(const struct rules__operand *operand,
                            struct rules__condition *condition)
{
    const struct rules__value_list *list =
        read_list(operand, operand->ignores_case ? FORM_LOWER_CASE : FORM_VALUES);
    if (list) {
        condition->values = list->values;
        condition->count = list->count;
    }
}

void rules__compile_cidr_file(const struct rules__operand *operand,
                              struct rules__condition *condition)
{
    const struct rules__value_list *list = read_list(operand, FORM_NETWORKS);
    if (list) {
        condition->ranges = list->ranges;
        condition->count = list->count;
    }
}
