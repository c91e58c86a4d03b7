#include <stdio.h>
#include <yaml.h>

#include "rules/loader.h"

/* libyaml's own loader builds a document without a bound on its size, looks aliases up one by one
 * and never expands them; this one reads events, and so has all three in hand. */

struct open {
    struct rules__node *node;
    const struct rules__node **end; /* where the next child is linked */
};

struct builder {
    struct rules__loader *loader;
    struct rules__node *root;
    struct open stack[RULES__DEPTH_MAX];
    size_t depth;
    struct rules__names anchors; /* to their index in targets */
    const struct rules__node *targets[RULES__ANCHORS_MAX];
    uint32_t target_count;
    size_t documents;
    bool failed; /* in the middle: what was read is not what the file says */
};

static void report(const struct builder *b, const yaml_mark_t *mark, const char *text)
{
    rules__problem_at(b->loader, mark->line + 1, mark->column + 1, "%s", text);
}

/* Links a node to the innermost open one. What variables say is put into values only: keys are
 * words of ours. */
static void attach(struct builder *b, struct rules__node *node)
{
    if (b->depth == 0) {
        b->root = node;
        return;
    }
    struct open *parent = &b->stack[b->depth - 1];
    bool is_key = parent->node->kind == RULES__MAPPING && parent->node->children.count % 2 == 0;
    *parent->end = node;
    parent->end = &node->next;
    parent->node->children.count++;
    if (is_key && node->kind == RULES__SCALAR && node->plain &&
        slice_equal(node->text, SLICE("<<"))) {
        rules__problem(b->loader, node,
                       "merge key \"<<\", expected the keys themselves (merge keys are not "
                       "supported; aliases of whole values are)");
        node->kind = RULES__BROKEN;
    }
    if (!is_key && node->kind == RULES__SCALAR)
        rules__expand(b->loader, node);
}

static struct rules__node *new_node(struct builder *b, const yaml_mark_t *mark,
                                    enum rules__kind kind)
{
    struct rules__node *node = arena_allocate(&b->loader->scratch, sizeof(*node));
    if (!node) {
        rules__no_memory(b->loader);
        return NULL;
    }
    node->line = (uint32_t)mark->line + 1; /* a file has at most RULES_FILE_MAX lines */
    node->column = (uint32_t)mark->column + 1;
    node->file = b->loader->files.current;
    node->kind = kind;
    node->weight = 1;
    return node;
}

static bool count_weight(struct builder *b, const yaml_mark_t *mark, uint32_t weight)
{
    b->loader->weight += weight;
    if (b->loader->weight <= RULES__NODES_MAX)
        return true;
    rules__problem_at(
        b->loader, mark->line + 1, mark->column + 1,
        "more values than can be loaded, expected at most %u with aliases written out",
        RULES__NODES_MAX);
    return false;
}

static void check_tag(struct builder *b, const yaml_event_t *event, const yaml_char_t *tag)
{
    if (!tag)
        return;
    static const char standard[] = "tag:yaml.org,2002:"; /* what "!!" stands for */
    size_t size = sizeof(standard) - 1;
    bool is_standard = strncmp((const char *)tag, standard, size) == 0;
    struct slice name = slice_of_string((const char *)tag + (is_standard ? size : 0));
    rules__problem_at(b->loader, event->start_mark.line + 1, event->start_mark.column + 1,
                      "tag %s%.*s, expected a value without one", is_standard ? "!!" : "",
                      SLICE_ARGS(slice_of(name.data, name.size > 64 ? 64 : name.size)));
}

static bool add_anchor(struct builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
                       const struct rules__node *node)
{
    if (!anchor)
        return true;
    struct slice name = slice_of_string((const char *)anchor);
    if (b->target_count == RULES__ANCHORS_MAX) {
        rules__problem_at(b->loader, event->start_mark.line + 1, event->start_mark.column + 1,
                          "one anchor too many, expected at most %d", RULES__ANCHORS_MAX);
        return false;
    }
    name = arena_copy(&b->loader->scratch, name);
    if (!name.data || !rules__names_put(&b->anchors, &b->loader->scratch, name, b->target_count)) {
        rules__no_memory(b->loader);
        return false;
    }
    b->targets[b->target_count++] = node;
    return true;
}

static bool on_scalar(struct builder *b, const yaml_event_t *event)
{
    struct rules__node *node = new_node(b, &event->start_mark, RULES__SCALAR);
    if (!node || !count_weight(b, &event->start_mark, 1))
        return false;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_copy(&b->loader->scratch,
                            slice_of(event->data.scalar.value, event->data.scalar.length));
    if (!node->text.data) {
        rules__no_memory(b->loader);
        return false;
    }
    check_tag(b, event, event->data.scalar.tag);
    attach(b, node);
    return add_anchor(b, event, event->data.scalar.anchor, node);
}

static bool on_alias(struct builder *b, const yaml_event_t *event)
{
    struct slice name = slice_of_string((const char *)event->data.alias.anchor);
    struct rules__node *node = new_node(b, &event->start_mark, RULES__BROKEN);
    int64_t at = rules__names_find(&b->anchors, name);
    if (!node)
        return false;
    if (at < 0) {
        rules__problem_at(
            b->loader, node->line, node->column,
            "alias of an unknown anchor %s, expected one that stands above it as &%.*s",
            RULES__QUOTE(name), SLICE_ARGS(slice_of(name.data, name.size > 64 ? 64 : name.size)));
    } else {
        const struct rules__node *target = b->targets[at];
        bool inside = false;
        for (size_t i = 0; i < b->depth; i++)
            inside = inside || b->stack[i].node == target;
        if (inside) {
            rules__problem_at(b->loader, node->line, node->column,
                              "alias of %s inside the value it names, expected no loop",
                              RULES__QUOTE(name));
        } else {
            uint32_t line = node->line;
            uint32_t column = node->column;
            *node = *target;
            node->next = NULL;
            if (node->written)
                node->text = *node->written; /* it may be a key here, and not there */
            node->written = NULL;
            node->line = line;
            node->column = column;
        }
    }
    if (!count_weight(b, &event->start_mark, node->weight))
        return false;
    attach(b, node);
    return true;
}

static bool on_start(struct builder *b, const yaml_event_t *event, enum rules__kind kind)
{
    bool is_list = kind == RULES__LIST;
    if (b->depth == RULES__DEPTH_MAX) {
        rules__problem_at(b->loader, event->start_mark.line + 1, event->start_mark.column + 1,
                          "lists and mappings inside one another too deep, expected at most %d",
                          RULES__DEPTH_MAX);
        return false;
    }
    struct rules__node *node = new_node(b, &event->start_mark, kind);
    if (!node || !count_weight(b, &event->start_mark, 1))
        return false;
    check_tag(b, event, is_list ? event->data.sequence_start.tag : event->data.mapping_start.tag);
    attach(b, node);
    b->stack[b->depth++] = (struct open){node, &node->children.first};
    return add_anchor(
        b, event, is_list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor,
        node);
}

static bool on_end(struct builder *b)
{
    struct rules__node *node = b->stack[--b->depth].node;
    const struct rules__node *child = node->children.first;
    for (size_t i = 0; i < node->children.count; i++, child = child->next)
        node->weight += child->weight; /* the loader's bounds it */
    return true;
}

/* False when there is nothing to go on with. */
static bool on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++ == 0)
            return true;
        report(b, &event->start_mark, "a second document, expected one in a file");
        return false;
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, event, RULES__LIST);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, event, RULES__MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(b);
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    case YAML_STREAM_END_EVENT:
    case YAML_NO_EVENT:
        break;
    }
    return false;
}

/* ---- what libyaml refuses ------------------------------------------------------------------ */

/* libyaml says what it did not find; a person wants to know what to write. */
static const struct {
    const char *problem; /* the beginning of libyaml's */
    const char *expected;
} hints[] = {
    {"mapping values are not allowed", "quotes around a text that has \": \" in it, or "
                                       "a key at its mapping's indentation"},
    {"block sequence entries are not allowed", "each '-' at the start of a line"},
    {"found a tab character", "spaces for indentation"},
    {"found unexpected end of stream", "a closing quote"},
    {"did not find expected node content", "a value"},
    {"did not find expected alphabetic or numeric character",
     "quotes around a text that starts with "
     "* or &"},
    {"found incompatible YAML document", "%YAML 1.1 or none"},
};

/* The byte at a position that libyaml gives in characters. */
static uint8_t byte_at(struct slice text, size_t characters)
{
    for (size_t i = 0; i < text.size; i++)
        if ((text.data[i] & 0xc0) != 0x80 && characters-- == 0)
            return text.data[i];
    return 0;
}

static const char *expected_instead(const char *problem, uint8_t before, uint8_t byte, char *buffer,
                                    size_t size)
{
    static const char *const not_found[] = {"did not find expected ", "could not find expected "};
    bool no_start = strncmp(problem, "found character that cannot start", 33) == 0;
    bool no_value = strcmp(problem, "did not find expected node content") == 0;
    if (before == '$' && byte == '{')
        return "quotes around a value with ${ in it, where it stands between [ and ] or { and }";
    if (no_start && byte == '\t')
        return "spaces for indentation, not a tab";
    if (no_start || (no_value && byte == ':')) {
        snprintf(buffer, size, "quotes around a text that starts with %c", byte);
        return buffer;
    }
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (strncmp(problem, hints[i].problem, strlen(hints[i].problem)) == 0)
            return hints[i].expected;
    for (size_t i = 0; i < sizeof(not_found) / sizeof(not_found[0]); i++)
        if (strncmp(problem, not_found[i], strlen(not_found[i])) == 0)
            return problem + strlen(not_found[i]);
    return "well-formed YAML";
}

static void report_syntax(const struct builder *b, const yaml_parser_t *parser, struct slice text)
{
    const char *problem = parser->problem ? parser->problem : "unreadable";
    const char *context = parser->context ? parser->context : "";
    const yaml_mark_t *mark = &parser->problem_mark;
    char begun[48] = "";
    char buffer[64];
    uint8_t before = mark->index ? byte_at(text, mark->index - 1) : 0;
    const char *expected =
        expected_instead(problem, before, byte_at(text, mark->index), buffer, sizeof(buffer));
    if (*context && parser->context_mark.line < mark->line)
        snprintf(begun, sizeof(begun), " that starts on line %zu", parser->context_mark.line + 1);
    /* What it did not find is what it expected: once is enough. */
    bool once = strstr(problem, expected) != NULL;
    rules__problem_at(b->loader, mark->line + 1, mark->column + 1,
                      "invalid YAML%s%s%s%s%s, expected %s", *context ? " " : "", context, begun,
                      once ? "" : ": ", once ? "" : problem, expected);
}

static void read_events(struct builder *b, yaml_parser_t *parser, struct slice text)
{
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            if (parser->error == YAML_MEMORY_ERROR)
                rules__no_memory(b->loader);
            else
                report_syntax(b, parser, text);
            b->failed = true;
            return;
        }
        more = on_event(b, &event);
        yaml_event_delete(&event);
    }
}

const struct rules__node *rules__tree(struct rules__loader *loader, struct slice text)
{
    yaml_parser_t parser;
    struct builder *b = arena_allocate(&loader->scratch, sizeof(*b));
    if (!b || !yaml_parser_initialize(&parser)) {
        rules__no_memory(loader);
        return NULL;
    }
    b->loader = loader;
    b->anchors.seed = loader->set->seed;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.size ? text.data : (const uint8_t *)"", text.size);
    read_events(b, &parser, text);
    yaml_parser_delete(&parser);
    return b->failed || b->depth ? NULL : b->root;
}
