#include <stdio.h>

#include "rules/operator.h"

/* How a match is read: a mapping of arguments, and of any, all and not with more of the like in
 * them, becomes a list of conditions; an argument's mapping of operators becomes some of them. */

#define LABEL_MAX (RULES_NAME_MAX + 32)

static const char mapping_expected[] = "a mapping, as in { path: { prefix: /api } }";
static const char list_expected[] = "a list of mappings, as in [ { path: /a }, { method: GET } ]";

/* Conditions that must all hold, while they are read. There is room for as many as there can be. */
struct group {
    struct rules__condition *conditions;
    size_t count;
};

/* An argument, while its operators are read. */
struct argument {
    struct slice name;
    uint32_t slot;
    bool ignores_case;
    bool has_texts; /* an operator for which ignore_case has a meaning */
};

void *rules__match_allocate(struct rules__loader *loader, size_t count, size_t size)
{
    void *memory = arena_array(&loader->set->conditions, count, size);
    if (!memory)
        rules__no_memory(loader);
    return memory;
}

struct slice rules__match_keep(struct rules__loader *loader, struct slice text)
{
    struct slice copy = arena_copy(&loader->set->conditions, text);
    if (!copy.data) {
        rules__no_memory(loader);
        copy.size = 0;
    }
    return copy;
}

static bool open_group(struct rules__loader *loader, struct group *group, size_t room)
{
    *group = (struct group){rules__match_allocate(loader, room, sizeof(*group->conditions)), 0};
    return group->conditions != NULL;
}

/* A group of conditions as one of another group. */
static struct rules__condition *add_group(struct group *group, const struct group *children)
{
    struct rules__condition *condition = &group->conditions[group->count++];
    *condition =
        (struct rules__condition){.children = children->conditions, .count = children->count};
    return condition;
}

/* ---- an argument's operators --------------------------------------------------------------- */

static void add_condition(struct rules__loader *loader, struct argument *argument,
                          struct group *group, size_t operator, const char * label,
                          const struct rules__node *node)
{
    const struct rules__operator *row = &rules__operators[operator];
    struct rules__condition *condition = &group->conditions[group->count++];
    struct rules__operand operand = {loader, label, node, "cidr", argument->ignores_case};
    *condition = (struct rules__condition){
        .holds = row->holds,
        .slot = argument->slot,
        .operator_index = (uint8_t) operator,
        .line = node->line,
        .column = node->column,
        .ignores_case = argument->ignores_case,
    };
    argument->has_texts = argument->has_texts || row->of_texts;
    row->compile(&operand, condition);
}

/* Words that stand among the operators and are none. */
enum {
    WORD_NOT = RULES__OPERATORS,
    WORD_IGNORE_CASE,
    WORDS,
};

static const struct rules__node *find(const struct rules__node *mapping, struct slice word)
{
    const struct rules__node *key = mapping->children.first;
    for (size_t left = mapping->children.count; left >= 2; left -= 2, key = key->next->next)
        if (key->kind == RULES__SCALAR && slice_equal(key->text, word))
            return key;
    return NULL;
}

static void load_operators(struct rules__loader *loader, struct argument *argument,
                           struct group *group, const struct rules__node *mapping);

static void load_not(struct rules__loader *loader, struct argument *argument, struct group *group,
                     const struct rules__node *node, const char *label)
{
    struct group negated;
    if (node->kind == RULES__LIST) {
        rules__wrong(loader, label, node, "a value or a mapping, as in { in: [ ... ] }");
        return;
    }
    if (!open_group(loader, &negated, node->kind == RULES__MAPPING ? node->children.count / 2 : 1))
        return;
    if (node->kind == RULES__MAPPING)
        load_operators(loader, argument, &negated, node);
    else
        add_condition(loader, argument, &negated, 0, label, node);
    add_group(group, &negated)->negated = true;
}

static void load_operator(struct rules__loader *loader, struct argument *argument,
                          struct group *group, const char *const *words, int word,
                          const struct rules__node *node)
{
    char label[LABEL_MAX];
    snprintf(label, sizeof(label), "%s of %.*s", words[word], SLICE_ARGS(argument->name));
    if (word == WORD_NOT)
        load_not(loader, argument, group, node, label);
    else if (word < RULES__OPERATORS)
        add_condition(loader, argument, group, (size_t)word, label, node);
}

/* As rules__walk does for a mapping of fixed keys, but each as often as there are. */
static void load_each_operator(struct rules__loader *loader, struct argument *argument,
                               struct group *group, const struct rules__node *mapping)
{
    const char *words[WORDS] = {[WORD_NOT] = "not", [WORD_IGNORE_CASE] = "ignore_case"};
    const struct rules__node *seen[WORDS] = {0};
    char label[LABEL_MAX];
    for (size_t i = 0; i < RULES__OPERATORS; i++)
        words[i] = rules__operators[i].name;
    snprintf(label, sizeof(label), "operator of %.*s", SLICE_ARGS(argument->name));
    const struct rules__node *key = mapping->children.first;
    for (size_t left = mapping->children.count; left >= 2; left -= 2, key = key->next->next) {
        int word = rules__word(loader, label, key, words, WORDS);
        if (word < 0)
            continue;
        if (seen[word])
            rules__problem(loader, key,
                           "operator \"%s\" again for %.*s, expected it once (it is on line %u)",
                           words[word], SLICE_ARGS(argument->name), seen[word]->line);
        else
            load_operator(loader, argument, group, words, word, key->next);
        seen[word] = key;
    }
}

/* ignore_case is said for all operators beside it, and for those in their not. */
static void load_operators(struct rules__loader *loader, struct argument *argument,
                           struct group *group, const struct rules__node *mapping)
{
    static const char *const words[] = {"false", "true"};
    const struct rules__node *ignore_case = find(mapping, SLICE("ignore_case"));
    struct argument inner = *argument;
    size_t operators = mapping->children.count / 2 - (ignore_case ? 1 : 0);
    size_t before = loader->report->count;
    char label[LABEL_MAX];
    inner.has_texts = false;
    if (ignore_case) {
        snprintf(label, sizeof(label), "ignore_case of %.*s", SLICE_ARGS(argument->name));
        inner.ignores_case = rules__word(loader, label, ignore_case->next, words, 2) == 1;
    }
    if (operators == 0)
        rules__problem(loader, mapping,
                       "%.*s has no operator, expected a value, or one as in { in: [ ... ] }",
                       SLICE_ARGS(argument->name));
    load_each_operator(loader, &inner, group, mapping);
    argument->has_texts = argument->has_texts || inner.has_texts;
    if (ignore_case && !inner.has_texts && loader->report->count == before)
        rules__problem(loader, ignore_case,
                       "%s where no operator compares texts, expected it only beside one that does",
                       label);
}

/* ---- arguments, any, all, not -------------------------------------------------------------- */

static void load_conditions(struct rules__loader *loader, struct group *group,
                            const struct rules__node *mapping);

static bool is_word(struct slice name)
{
    return slice_equal(name, SLICE("any")) || slice_equal(name, SLICE("all")) ||
           slice_equal(name, SLICE("not"));
}

/* As many conditions as a mapping can become. */
static size_t count_conditions(const struct rules__node *mapping)
{
    size_t count = 0;
    const struct rules__node *key = mapping->children.first;
    for (size_t left = mapping->children.count; left >= 2; left -= 2, key = key->next->next) {
        bool has_operators = key->next->kind == RULES__MAPPING &&
                             !(key->kind == RULES__SCALAR && is_word(key->text));
        count += has_operators ? key->next->children.count / 2 : 1;
    }
    return count;
}

/* A mapping inside another's any, all or not. */
static bool load_inner(struct rules__loader *loader, const char *label, struct group *inner,
                       const struct rules__node *node)
{
    if (node->kind != RULES__MAPPING) {
        rules__wrong(loader, label, node, mapping_expected);
        return false;
    }
    if (node->children.count == 0)
        rules__problem(loader, node, "%s has no condition, expected one, as in { path: /a }",
                       label);
    if (!open_group(loader, inner, count_conditions(node)))
        return false;
    load_conditions(loader, inner, node);
    return true;
}

/* NULL when it is wrong (reported). */
static struct rules__condition *load_list(struct rules__loader *loader, struct group *group,
                                          const char *word, const struct rules__node *node)
{
    struct group items;
    char label[LABEL_MAX];
    if (node->kind != RULES__LIST) {
        rules__wrong(loader, word, node, list_expected);
        return NULL;
    }
    if (node->children.count == 0)
        rules__problem(loader, node, "%s is an empty list, expected %s", word, list_expected);
    if (!open_group(loader, &items, node->children.count))
        return NULL;
    snprintf(label, sizeof(label), "an item of %s", word);
    const struct rules__node *item = node->children.first;
    for (size_t i = 0; i < node->children.count; i++, item = item->next) {
        struct group inner;
        if (load_inner(loader, label, &inner, item))
            add_group(&items, &inner);
    }
    return add_group(group, &items);
}

/* What stands behind one of the words that are no arguments. */
static void load_word(struct rules__loader *loader, struct group *group,
                      const struct rules__node *key)
{
    struct group inner;
    if (slice_equal(key->text, SLICE("any"))) {
        struct rules__condition *condition = load_list(loader, group, "any", key->next);
        if (condition)
            condition->is_any = true;
    } else if (slice_equal(key->text, SLICE("all"))) {
        load_list(loader, group, "all", key->next);
    } else if (load_inner(loader, "not", &inner, key->next)) {
        add_group(group, &inner)->negated = true;
    }
}

static void load_argument(struct rules__loader *loader, struct group *group,
                          const struct rules__node *key)
{
    const struct rules__node *value = key->next;
    struct argument argument = {.name = key->text};
    char label[LABEL_MAX];
    int slot = rules__slot_of(loader, key, argument.name);
    if (slot < 0)
        return;
    argument.slot = (uint32_t)slot;
    snprintf(label, sizeof(label), "%.*s", SLICE_ARGS(argument.name));
    if (value->kind == RULES__MAPPING)
        load_operators(loader, &argument, group, value);
    else if (value->kind == RULES__LIST)
        rules__wrong(loader, label, value, "a value or a mapping, as in { in: [ ... ] }");
    else
        add_condition(loader, &argument, group, 0, label, value);
}

static void load_conditions(struct rules__loader *loader, struct group *group,
                            const struct rules__node *mapping)
{
    struct rules__names seen = {.seed = loader->set->seed};
    const struct rules__node *key = mapping->children.first;
    for (size_t left = mapping->children.count; left >= 2; left -= 2, key = key->next->next) {
        struct slice name = rules__identifier(loader, "an argument of match", key, true);
        int64_t line = rules__names_find(&seen, name);
        if (!name.size)
            continue;
        if (line >= 0)
            rules__problem(loader, key,
                           "%s%.*s again in match, expected it once (it is on line %u)",
                           is_word(name) ? "" : "argument ", SLICE_ARGS(name), (unsigned)line);
        else if (!rules__names_put(&seen, &loader->scratch, name, key->line))
            rules__no_memory(loader);
        else if (is_word(name))
            load_word(loader, group, key);
        else
            load_argument(loader, group, key);
    }
}

const struct rules__condition *rules__load_match(struct rules__loader *loader,
                                                 const struct rules__node *node, size_t *count)
{
    struct group group;
    *count = 0;
    if (node->kind != RULES__MAPPING) {
        rules__wrong(loader, "match", node, mapping_expected);
        return NULL;
    }
    if (!open_group(loader, &group, count_conditions(node)))
        return NULL;
    load_conditions(loader, &group, node);
    *count = group.count;
    return group.conditions;
}
