#include <stdarg.h>
#include <stdio.h>

#include "rules/loader.h"

static void report(struct rules__loader *loader, uint16_t file, size_t line, size_t column,
                   const char *text)
{
    struct rules__place place = {.file = file, .line = line, .column = column};
    if (file)
        place.file_name = loader->files.names[file];
    rules__report_text(loader->report, &place, text);
}

void rules__problem(struct rules__loader *loader, const struct rules__node *node,
                    const char *format, ...)
{
    char text[RULES__PROBLEM_TEXT_MAX];
    va_list arguments;
    if (node->kind == RULES__BROKEN)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    report(loader, node->file, node->line, node->column, text);
}

void rules__problem_at(struct rules__loader *loader, size_t line, size_t column, const char *format,
                       ...)
{
    char text[RULES__PROBLEM_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    report(loader, loader->files.current, line, column, text);
}

void rules__no_memory(struct rules__loader *loader)
{
    static const struct rules__place whole_file = {.line = 1, .column = 1};
    if (!loader->out_of_memory)
        rules__report_at(loader->report, &whole_file,
                         "out of memory, expected a file that needs less than there is and at most "
                         "%zu MiB",
                         RULES__MEMORY_MAX >> 20);
    loader->out_of_memory = true;
}

/* YAML 1.1's null. Quotes make a text of it. */
static bool is_null(const struct rules__node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (node->kind != RULES__SCALAR || !node->plain)
        return false;
    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
        if (slice_equal(node->text, slice_of_string(nulls[i])))
            return true;
    return false;
}

const char *rules__show(const struct rules__node *node, char shown[RULES__SHOWN_MAX])
{
    if (node->written)
        snprintf(shown, RULES__SHOWN_MAX, "what %s stands for", RULES__QUOTE(*node->written));
    else
        rules__quote(node->text, shown);
    return shown;
}

static const char *describe(const struct rules__node *node, char shown[RULES__SHOWN_MAX])
{
    switch (node->kind) {
    case RULES__LIST:
        return "a list";
    case RULES__MAPPING:
        return "a mapping";
    case RULES__SCALAR:
    case RULES__BROKEN:
        break;
    }
    if (is_null(node))
        return node->text.size ? "null" : "empty";
    return rules__show(node, shown);
}

void rules__wrong(struct rules__loader *loader, const char *name, const struct rules__node *node,
                  const char *expected)
{
    char shown[RULES__SHOWN_MAX];
    rules__problem(loader, node, "%s is %s, expected %s", name, describe(node, shown), expected);
}

bool rules__scalar(struct rules__loader *loader, const char *name, const struct rules__node *node,
                   const char *expected)
{
    if (node->kind == RULES__SCALAR && !is_null(node))
        return true;
    rules__wrong(loader, name, node, expected);
    return false;
}

const struct rules__node *rules__items(const struct rules__node *node, size_t *count)
{
    *count = node->kind == RULES__LIST ? node->children.count : 1;
    return node->kind == RULES__LIST ? node->children.first : node;
}

/* ---- words --------------------------------------------------------------------------------- */

struct text {
    char bytes[RULES__PROBLEM_TEXT_MAX];
};

/* "one of a, b, c", and the nearest of them to what was written: its index, or -1. */
static int expect_words(struct slice written, const char *const *words, size_t count,
                        struct text *out)
{
    struct writer w = writer_open(out->bytes, sizeof(out->bytes) - 1);
    writer_bytes(&w, count > 1 ? SLICE("one of ") : SLICE(""));
    for (size_t i = 0; i < count; i++) {
        writer_bytes(&w, i ? SLICE(", ") : SLICE(""));
        writer_bytes(&w, slice_of_string(words[i]));
    }
    int nearest = rules__nearest(written, words, count);
    if (nearest >= 0) {
        writer_bytes(&w, SLICE("; did you mean \""));
        writer_bytes(&w, slice_of_string(words[nearest]));
        writer_bytes(&w, SLICE("\"?"));
    }
    out->bytes[writer_size(&w)] = 0;
    return nearest;
}

int rules__word(struct rules__loader *loader, const char *name, const struct rules__node *node,
                const char *const *words, size_t count)
{
    struct text expected;
    struct slice written = node->kind == RULES__SCALAR ? node->text : slice_of(NULL, 0);
    for (size_t i = 0; i < count; i++)
        if (node->kind == RULES__SCALAR && slice_equal(written, slice_of_string(words[i])))
            return (int)i;
    expect_words(written, words, count, &expected);
    rules__wrong(loader, name, node, expected.bytes);
    return -1;
}

struct slice rules__identifier(struct rules__loader *loader, const char *name,
                               const struct rules__node *node, bool colon)
{
    const char *expected = colon ? "a name of 1 to 64 letters, digits, '.', '_', '-' and ':'"
                                 : "a name of 1 to 64 letters, digits, '.', '_' and '-'";
    if (!rules__scalar(loader, name, node, expected))
        return slice_of(NULL, 0);
    bool valid = node->text.size >= 1 && node->text.size <= RULES_NAME_MAX;
    for (size_t i = 0; valid && i < node->text.size; i++) {
        uint8_t c = node->text.data[i];
        valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '.' || c == '_' || c == '-' || (c == ':' && colon);
    }
    if (valid)
        return node->text;
    rules__wrong(loader, name, node, expected);
    return slice_of(NULL, 0);
}

/* ---- mappings ------------------------------------------------------------------------------ */

/* Names of a schema's keys, for messages. */
static size_t field_names(const struct rules__schema *schema, const char *names[RULES__FIELDS_MAX])
{
    size_t count = 0;
    for (; count < schema->count && count < RULES__FIELDS_MAX; count++)
        names[count] = schema->fields[count].name;
    return count;
}

/* A mapping's keys and values, at the index of their row. */
struct found {
    const struct rules__node *keys[RULES__FIELDS_MAX];
    const struct rules__node *values[RULES__FIELDS_MAX];
    bool misspelt[RULES__FIELDS_MAX]; /* so that what is missing is reported once */
    bool intact;
};

static void unknown_key(struct rules__loader *loader, const struct rules__schema *schema,
                        const struct rules__node *key, struct found *found)
{
    const char *names[RULES__FIELDS_MAX];
    struct text expected;
    char label[64];
    size_t count = field_names(schema, names);
    if (key->kind == RULES__SCALAR) {
        int nearest = expect_words(key->text, names, count, &expected);
        rules__problem(loader, key, "unknown key %s in %s, expected %s", RULES__QUOTE(key->text),
                       schema->what, expected.bytes);
        if (nearest >= 0)
            found->misspelt[nearest] = true;
    } else {
        expect_words(SLICE(""), names, count, &expected);
        snprintf(label, sizeof(label), "a key of %s", schema->what);
        rules__wrong(loader, label, key, expected.bytes);
    }
}

static void find_key(struct rules__loader *loader, const struct rules__schema *schema,
                     const struct rules__node *key, struct found *found)
{
    size_t at = 0;
    while (at < schema->count &&
           !(key->kind == RULES__SCALAR &&
             slice_equal(key->text, slice_of_string(schema->fields[at].name))))
        at++;
    if (at == schema->count) {
        found->intact = false;
        unknown_key(loader, schema, key, found);
    } else if (found->keys[at]) {
        rules__problem(loader, key, "key \"%s\" again in %s, expected it once (it is on line %u)",
                       schema->fields[at].name, schema->what, found->keys[at]->line);
    } else {
        found->keys[at] = key;
        found->values[at] = key->next;
    }
}

static void load_fields(struct rules__loader *loader, const struct rules__schema *schema,
                        const struct rules__node *mapping, struct found *found, void *object)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct rules__field *field = &schema->fields[i];
        const struct rules__node *value = found->values[i];
        if (!value && field->required && !found->misspelt[i])
            rules__problem(loader, mapping, "%s has no key \"%s\", expected %s", schema->what,
                           field->name, field->expected);
        if (value && is_null(value)) {
            found->intact = false;
            rules__wrong(loader, field->name, value, field->expected);
        } else if (value) {
            field->load(loader, field, value, object);
        }
    }
}

static void wrong_mapping(struct rules__loader *loader, const struct rules__schema *schema,
                          const struct rules__node *node)
{
    char expected[RULES__PROBLEM_TEXT_MAX];
    struct writer w = writer_open(expected, sizeof(expected) - 1);
    writer_bytes(&w, SLICE("a mapping with keys from "));
    for (size_t i = 0; i < schema->count; i++) {
        writer_bytes(&w, i ? SLICE(", ") : SLICE(""));
        writer_bytes(&w, slice_of_string(schema->fields[i].name));
    }
    expected[writer_size(&w)] = 0;
    rules__wrong(loader, schema->what, node, expected);
}

bool rules__walk(struct rules__loader *loader, const struct rules__schema *schema,
                 const struct rules__node *node, void *object)
{
    struct found found = {.intact = true};
    if (node->kind != RULES__MAPPING) {
        wrong_mapping(loader, schema, node);
        return false;
    }
    const struct rules__node *key = node->children.first;
    for (size_t left = node->children.count; left >= 2; left -= 2, key = key->next->next)
        find_key(loader, schema, key, &found);
    load_fields(loader, schema, node, &found, object);
    return found.intact;
}

/* ---- memory -------------------------------------------------------------------------------- */

struct slice rules__keep(struct rules__loader *loader, struct slice text)
{
    struct slice copy = arena_copy(&loader->set->arena, text);
    if (!copy.data) {
        rules__no_memory(loader);
        copy.size = 0;
    }
    return copy;
}

void *rules__allocate(struct rules__loader *loader, size_t count, size_t size)
{
    void *memory = arena_array(&loader->set->arena, count, size);
    if (!memory)
        rules__no_memory(loader);
    return memory;
}

/* ---- nodes that are only noted ----------------------------------------------------------------
 */

void rules__load_node(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object)
{
    const struct rules__node **into = (void *)((uint8_t *)object + field->offset);
    (void)loader;
    *into = node;
}

/* ---- true or false -------------------------------------------------------------------------- */

void rules__load_bool(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object)
{
    static const char *const words[] = {"false", "true"};
    bool truth = rules__word(loader, field->name, node, words, 2) == 1;
    memcpy((uint8_t *)object + field->offset, &truth, sizeof(truth));
}

/* ---- numbers ------------------------------------------------------------------------------- */

typedef bool parse_function(struct slice text, uint64_t *number);
typedef void print_function(uint64_t number, struct writer *w);

static bool load_number(struct rules__loader *loader, const struct rules__field *field,
                        const struct rules__node *node, parse_function *parse,
                        print_function *print, const char *what, uint64_t *number)
{
    char expected[160];
    struct writer w = writer_open(expected, sizeof(expected) - 1);
    writer_bytes(&w, slice_of_string(what));
    writer_bytes(&w, SLICE(" from "));
    print(field->minimum, &w);
    writer_bytes(&w, SLICE(" to "));
    print(field->maximum, &w);
    expected[writer_size(&w)] = 0;
    if (!rules__scalar(loader, field->name, node, expected))
        return false;
    if (parse(node->text, number) && *number >= field->minimum && *number <= field->maximum)
        return true;
    rules__wrong(loader, field->name, node, expected);
    return false;
}

static void print_number(uint64_t number, struct writer *w)
{
    writer_decimal(w, number);
}

static void store(void *object, const struct rules__field *field, uint64_t number)
{
    uint32_t narrow = (uint32_t)number; /* the field's maximum fits */
    if (field->size == sizeof(narrow))
        memcpy((uint8_t *)object + field->offset, &narrow, sizeof(narrow));
    else
        memcpy((uint8_t *)object + field->offset, &number, sizeof(number));
}

void rules__load_number(struct rules__loader *loader, const struct rules__field *field,
                        const struct rules__node *node, void *object)
{
    uint64_t number;
    if (load_number(loader, field, node, slice_to_uint64, print_number, "a whole number", &number))
        store(object, field, number);
}

void rules__load_size(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object)
{
    uint64_t number;
    if (load_number(loader, field, node, rules__parse_size, rules__print_size,
                    "bytes, or a number and KiB, MiB or GiB,", &number))
        store(object, field, number);
}

void rules__load_duration(struct rules__loader *loader, const struct rules__field *field,
                          const struct rules__node *node, void *object)
{
    uint64_t number;
    const char *what = "a whole number and ms, s, m, h or d,";
    /* The commonest slip, and one whose meaning would be a guess. */
    if (node->kind == RULES__SCALAR && slice_to_uint64(node->text, &number)) {
        rules__problem(loader, node,
                       "%s is %s without a unit, expected one behind the number: ms, s, m, h or d",
                       field->name, RULES__SHOW(node));
        return;
    }
    if (load_number(loader, field, node, rules_parse_duration, rules_print_duration, what, &number))
        store(object, field, number);
}
