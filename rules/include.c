#include "rules/loader.h"

/* Files that the rule file includes: each has rules alone, and they are tried behind its own. */

static const char name_expected[] = "a file's name or a pattern, as in rules.d/*.yml";

static const struct rules__field included_fields[] = {
    {"rules", rules__load_node, "a list of rules, or [] for none", true, 0, 0, 0, 0},
};
static const struct rules__schema included_schema =
    RULES__SCHEMA("an included file", included_fields);

static void add_rules(struct rules__loader *loader, const struct rules__node *rules)
{
    struct rules__rule_lists *lists = &loader->rules;
    if (!lists->included)
        lists->included =
            arena_array(&loader->scratch, RULES_MAX_FILES, sizeof(const struct rules__node *));
    if (lists->included)
        lists->included[lists->included_count++] = rules;
    else
        rules__no_memory(loader);
}

/* A file without a word in it is refused: it may be one that is being written. */
static void read_rules(struct rules__loader *loader, struct slice text)
{
    const struct rules__node *rules = NULL;
    size_t before = loader->report->count + loader->report->omitted;
    const struct rules__node *root = rules__tree(loader, text);
    if (root)
        rules__walk(loader, &included_schema, root, &rules);
    else if (loader->report->count + loader->report->omitted == before)
        rules__problem_at(loader, 1, 1,
                          "an included file is empty, expected rules, or rules: [] "
                          "for none");
    if (rules && rules->kind == RULES__LIST)
        add_rules(loader, rules);
    else if (rules)
        rules__wrong(loader, "rules", rules, included_fields[0].expected);
}

static void include_file(struct rules__loader *loader, const struct rules__node *node,
                         struct slice name)
{
    struct rules__files *files = &loader->files;
    struct slice text;
    int number = rules__read_named(loader, "include", node, name, &text);
    if (number < 0)
        return;
    if (files->included[number]) {
        rules__problem(loader, node, "%s again in include, expected each file once",
                       RULES__QUOTE(name));
        return;
    }
    uint16_t outer = files->current;
    files->included[number] = true;
    files->current = (uint16_t)number;
    read_rules(loader, text);
    files->current = outer;
}

/* ---- patterns ------------------------------------------------------------------------------ */

static bool has_wildcard(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '*' || c == '?' || c == '[' || c == '\\')
            return true;
    }
    return false;
}

/* So that one folder is read. */
static bool check_pattern(struct rules__loader *loader, const struct rules__node *node,
                          struct slice pattern)
{
    const uint8_t *slash = memrchr(pattern.data, '/', pattern.size);
    size_t folder = slash ? (size_t)(slash - pattern.data) : 0;
    if (!has_wildcard(slice_of(pattern.data, folder)))
        return true;
    rules__wrong(loader, "include", node, "wildcards only behind the last /, as in rules.d/*.yml");
    return false;
}

static void include_listed(struct rules__loader *loader, const struct rules__node *node,
                           const struct rules_file_names *names)
{
    for (size_t i = 0; i < names->count && !loader->out_of_memory; i++) {
        struct slice name = rules__listed_name(loader, "include", node, names->names[i]);
        if (name.size)
            include_file(loader, node, name);
    }
}

/* Where the folder is there, it may have no such file: what is dropped into it comes and goes. */
static void include(struct rules__loader *loader, const struct rules__node *node)
{
    const struct rules_environment *environment = loader->environment;
    struct rules_file_names names = {NULL, 0};
    struct slice name = rules__file_name(loader, "include", node, name_expected);
    if (!name.size)
        return;
    if (!has_wildcard(name)) {
        include_file(loader, node, name);
        return;
    }
    if (!check_pattern(loader, node, name))
        return;
    const char *failure =
        environment->list_files
            ? environment->list_files(environment->context, (const char *)name.data, &names)
            : "no folder can be read here";
    if (failure)
        rules__problem(loader, node,
                       "include is %s: %s, expected files in a folder that can be "
                       "read",
                       RULES__SHOW(node), failure);
    else
        include_listed(loader, node, &names);
}

void rules__load_include(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    (void)object;
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    if (count == 0)
        rules__problem(loader, node, "include is an empty list, expected %s", field->expected);
    for (size_t i = 0; i < count && !loader->out_of_memory; i++, item = item->next)
        include(loader, item);
}
