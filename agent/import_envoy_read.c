#include <stdlib.h>
#include <strings.h>
#include <yaml.h>

#include "agent/import_envoy_model.h"

struct reader {
    struct envoy_file *file;
    yaml_document_t document;
};

/* One key of a mapping: read puts its value into the object. */
struct field {
    const char *name;
    void (*read)(struct reader *reader, const yaml_node_t *value, void *object);
};

#define FIELDS_MAX 12

static struct slice text_of(const yaml_node_t *node)
{
    return slice_of(node->data.scalar.value, node->data.scalar.length);
}

static void wrong(struct reader *reader, const yaml_node_t *node, const char *what,
                  const char *expected)
{
    bool scalar = node->type == YAML_SCALAR_NODE;
    envoy_tell(reader->file, true, node->start_mark.line + 1, node->start_mark.column + 1,
               "%s is %s, expected %s", what,
               scalar                            ? ENVOY_QUOTE(text_of(node))
               : node->type == YAML_MAPPING_NODE ? "a mapping"
                                                 : "a list",
               expected);
}

/* ---- scalars ------------------------------------------------------------------------------- */

static bool is_one_of(struct slice text, const char *const *words)
{
    for (; *words; words++)
        if (slice_equal(text, slice_of_string(*words)))
            return true;
    return false;
}

static bool is_null(const yaml_node_t *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           is_one_of(text_of(node), words);
}

static void read_text(struct reader *reader, const yaml_node_t *node, const char *what,
                      struct slice *text)
{
    if (is_null(node))
        return;
    if (node->type != YAML_SCALAR_NODE) {
        wrong(reader, node, what, "a text");
        return;
    }
    *text = arena_copy(&reader->file->arena, text_of(node));
    if (!text->data)
        envoy_tell(reader->file, true, 0, 0, "out of memory");
}

static void read_bool(struct reader *reader, const yaml_node_t *node, const char *what, bool *flag)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                      "on",   "On",   "ON",   "y",   "Y",   NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO",
                                     "off",   "Off",   "OFF",   "n",  "N",  NULL};
    if (is_null(node))
        return;
    bool is_scalar = node->type == YAML_SCALAR_NODE;
    if (is_scalar && is_one_of(text_of(node), yes))
        *flag = true;
    else if (is_scalar && is_one_of(text_of(node), no))
        *flag = false;
    else
        wrong(reader, node, what, "true or false");
}

/* ---- mappings ------------------------------------------------------------------------------ */

static const char *const known_elsewhere[] = {
    "domain",          "key",
    "value",           "descriptors",
    "rate_limit",      "unit",
    "unlimited",       "name",
    "replaces",        "requests_per_unit",
    "shadow_mode",     "quota_mode",
    "detailed_metric", "value_to_metric",
    "share_threshold", NULL,
};

static void unknown_key(struct reader *reader, const yaml_node_t *key, const char *what,
                        const struct field *fields)
{
    size_t line = key->start_mark.line + 1;
    size_t column = key->start_mark.column + 1;
    if (key->type == YAML_SCALAR_NODE && is_one_of(text_of(key), known_elsewhere)) {
        envoy_tell(reader->file, false, line, column, "%s in %s, where ratelimit passes it over",
                   ENVOY_QUOTE(text_of(key)), what);
        return;
    }
    char names[256];
    struct writer w = writer_open(names, sizeof(names));
    for (; fields->name; fields++) {
        writer_bytes(&w, writer_size(&w) ? SLICE(", ") : SLICE(""));
        writer_bytes(&w, slice_of_string(fields->name));
    }
    envoy_tell(reader->file, true, line, column, "unknown key %s in %s, expected one of %.*s",
               key->type == YAML_SCALAR_NODE ? ENVOY_QUOTE(text_of(key)) : "that is no text", what,
               SLICE_ARGS(writer_slice(&w)));
}

static int find_field(const yaml_node_t *key, const struct field *fields)
{
    for (int i = 0; key->type == YAML_SCALAR_NODE && fields[i].name; i++)
        if (slice_equal(text_of(key), slice_of_string(fields[i].name)))
            return i;
    return -1;
}

static void read_mapping(struct reader *reader, const yaml_node_t *node, const char *what,
                         const struct field *fields, void *object)
{
    bool seen[FIELDS_MAX] = {false};
    if (node->type != YAML_MAPPING_NODE) {
        wrong(reader, node, what, "a mapping");
        return;
    }
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
        int i = find_field(key, fields);
        if (i < 0)
            unknown_key(reader, key, what, fields);
        else if (seen[i])
            wrong(reader, key, "a key that is there twice", "each once");
        else
            fields[i].read(reader, yaml_document_get_node(&reader->document, pair->value), object);
        if (i >= 0)
            seen[i] = true;
    }
}

/* ---- rate_limit ---------------------------------------------------------------------------- */

static void read_unit(struct reader *reader, const yaml_node_t *node, void *object)
{
    static const char *const units[][2] = {{"second", "1s"}, {"minute", "1m"}, {"hour", "1h"},
                                           {"day", "1d"},    {"week", "7d"},   {"month", "30d"},
                                           {"year", "365d"}, {"unknown", NULL}};
    struct envoy_descriptor *d = object;
    for (size_t i = 0; node->type == YAML_SCALAR_NODE && i < sizeof(units) / sizeof(*units); i++)
        if (strcasecmp((const char *)text_of(node).data, units[i][0]) == 0)
            d->window = units[i][1];
    if (!d->window && !is_null(node))
        wrong(reader, node, "unit", "second, minute, hour, day, week, month or year");
}

static void read_requests(struct reader *reader, const yaml_node_t *node, void *object)
{
    struct envoy_descriptor *d = object;
    if (is_null(node))
        return;
    if (node->type != YAML_SCALAR_NODE || !slice_to_uint64(text_of(node), &d->limit) ||
        d->limit > UINT32_MAX)
        wrong(reader, node, "requests_per_unit", "a whole number from 0 to 4294967295");
    else if (d->limit > 1000000000) {
        envoy_tell(reader->file, false, node->start_mark.line + 1, node->start_mark.column + 1,
                   "requests_per_unit %s, which is more than a limit can be: it is 1000000000",
                   ENVOY_QUOTE(text_of(node)));
        d->limit = 1000000000;
    }
}

static void read_unlimited(struct reader *reader, const yaml_node_t *node, void *object)
{
    read_bool(reader, node, "unlimited", &((struct envoy_descriptor *)object)->unlimited);
}

static void read_limit_name(struct reader *reader, const yaml_node_t *node, void *object)
{
    read_text(reader, node, "name", &((struct envoy_descriptor *)object)->limit_name);
}

static void read_replaced_name(struct reader *reader, const yaml_node_t *node, void *object)
{
    read_text(reader, node, "name", object);
}

/* The items of a list; NULL, with count 0, where it is none or not there. */
static const yaml_node_item_t *items_of(struct reader *reader, const yaml_node_t *node,
                                        const char *what, size_t *count)
{
    *count = 0;
    if (is_null(node))
        return NULL;
    if (node->type != YAML_SEQUENCE_NODE) {
        wrong(reader, node, what, "a list");
        return NULL;
    }
    *count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    return node->data.sequence.items.start;
}

static void read_replaces(struct reader *reader, const yaml_node_t *node, void *object)
{
    static const struct field fields[] = {{"name", read_replaced_name}, {NULL, NULL}};
    struct envoy_descriptor *d = object;
    size_t count;
    const yaml_node_item_t *items = items_of(reader, node, "replaces", &count);
    struct slice *names = arena_array(&reader->file->arena, count + 1, sizeof(*names));
    if (!names) {
        envoy_tell(reader->file, true, 0, 0, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = yaml_document_get_node(&reader->document, items[i]);
        read_mapping(reader, item, "an entry of replaces", fields, &names[i]);
        if (names[i].size == 0 && item->type == YAML_MAPPING_NODE)
            wrong(reader, item, "an entry of replaces", "a name in it");
    }
    d->replaces = names;
    d->replaces_count = count;
}

static void read_rate_limit(struct reader *reader, const yaml_node_t *node, void *object)
{
    static const struct field fields[] = {
        {"unit", read_unit},           {"requests_per_unit", read_requests},
        {"unlimited", read_unlimited}, {"name", read_limit_name},
        {"replaces", read_replaces},   {NULL, NULL},
    };
    struct envoy_descriptor *d = object;
    if (is_null(node))
        return;
    size_t before = reader->file->wrong;
    d->has_limit = true;
    read_mapping(reader, node, "rate_limit", fields, d);
    if (reader->file->wrong > before)
        return;
    if (!d->unlimited && !d->window)
        wrong(reader, node, "rate_limit", "a unit in it, or unlimited: true");
    if (d->unlimited && d->window)
        wrong(reader, node, "rate_limit", "no unit in it beside unlimited: true");
    for (size_t i = 0; i < d->replaces_count; i++)
        if (slice_equal(d->replaces[i], d->limit_name))
            wrong(reader, node, "rate_limit", "no replaces with its own name");
}

/* ---- descriptors --------------------------------------------------------------------------- */

static void read_key(struct reader *reader, const yaml_node_t *node, void *object)
{
    read_text(reader, node, "key", &((struct envoy_descriptor *)object)->key);
}

static void read_value(struct reader *reader, const yaml_node_t *node, void *object)
{
    struct envoy_descriptor *d = object;
    read_text(reader, node, "value", &d->value);
    if (d->value.size && d->value.data[d->value.size - 1] == '*') {
        d->value.size--;
        d->is_wildcard = true;
    }
}

static void read_shadow(struct reader *reader, const yaml_node_t *node, void *object)
{
    read_bool(reader, node, "shadow_mode", &((struct envoy_descriptor *)object)->shadow);
}

/* Only over the limit is told in the answer; what asks is to act on it. */
static void read_quota(struct reader *reader, const yaml_node_t *node, void *object)
{
    struct envoy_descriptor *d = object;
    bool quota = false;
    read_bool(reader, node, "quota_mode", &quota);
    d->shadow = d->shadow || quota;
    if (quota)
        envoy_tell(reader->file, false, node->start_mark.line + 1, node->start_mark.column + 1,
                   "quota_mode: it is mode: shadow, whose refusals are told in `shadow`");
}

static void read_shared(struct reader *reader, const yaml_node_t *node, void *object)
{
    read_bool(reader, node, "share_threshold", &((struct envoy_descriptor *)object)->is_shared);
}

static void read_metric(struct reader *reader, const yaml_node_t *node, const char *what)
{
    bool on = false;
    read_bool(reader, node, what, &on);
    if (on)
        envoy_tell(reader->file, false, node->start_mark.line + 1, node->start_mark.column + 1,
                   "%s: metrics are by rule, never by value", what);
}

static void read_detailed(struct reader *reader, const yaml_node_t *node, void *object)
{
    (void)object;
    read_metric(reader, node, "detailed_metric");
}

static void read_value_to_metric(struct reader *reader, const yaml_node_t *node, void *object)
{
    (void)object;
    read_metric(reader, node, "value_to_metric");
}

static void read_descriptors(struct reader *reader, const yaml_node_t *node, void *object);

static const struct field descriptor_fields[] = {
    {"key", read_key},
    {"value", read_value},
    {"rate_limit", read_rate_limit},
    {"descriptors", read_descriptors},
    {"shadow_mode", read_shadow},
    {"detailed_metric", read_detailed},
    {"value_to_metric", read_value_to_metric},
    {"share_threshold", read_shared},
    {"quota_mode", read_quota},
    {NULL, NULL},
};

static void read_descriptor(struct reader *reader, const yaml_node_t *node,
                            struct envoy_descriptor *d)
{
    static const char address[] = "remote_address";
    d->line = node->start_mark.line + 1;
    d->column = node->start_mark.column + 1;
    size_t before = reader->file->wrong;
    read_mapping(reader, node, "a descriptor", descriptor_fields, d);
    if (d->key.size == 0 && reader->file->wrong == before)
        wrong(reader, node, "a descriptor", "a key in it");
    if (d->is_wildcard && slice_equal(d->key, SLICE(address)))
        reader->file->address_has_wildcard = true;
}

static int compare_entries(const void *a, const void *b)
{
    const struct envoy_descriptor *x = *(const struct envoy_descriptor *const *)a;
    const struct envoy_descriptor *y = *(const struct envoy_descriptor *const *)b;
    int order = slice_compare(x->key, y->key);
    if (order == 0)
        order = slice_compare(x->value, y->value);
    return order ? order : (int)x->is_wildcard - (int)y->is_wildcard;
}

static void refuse_twins(struct reader *reader, const struct envoy_descriptor *first, size_t count)
{
    const struct envoy_descriptor **sorted =
        arena_array(&reader->file->arena, count + 1, sizeof(struct envoy_descriptor *));
    if (!sorted) {
        envoy_tell(reader->file, true, 0, 0, "out of memory");
        return;
    }
    size_t found = 0;
    for (const struct envoy_descriptor *d = first; d; d = d->next)
        sorted[found++] = d;
    qsort(sorted, found, sizeof(struct envoy_descriptor *), compare_entries);
    for (size_t i = 1; i < found; i++)
        if (compare_entries(&sorted[i - 1], &sorted[i]) == 0)
            envoy_tell(reader->file, true, sorted[i]->line, sorted[i]->column,
                       "key %s and its value again in the same list, expected each once",
                       ENVOY_QUOTE(sorted[i]->key));
}

static void read_descriptors(struct reader *reader, const yaml_node_t *node, void *object)
{
    struct envoy_file *file = reader->file;
    struct envoy_descriptor *parent = object;
    const struct envoy_descriptor **end = &parent->children;
    size_t count;
    const yaml_node_item_t *items = items_of(reader, node, "descriptors", &count);
    if (count && parent->depth == ENVOY_DEPTH_MAX) {
        wrong(reader, node, "a list in too many others", "at most 32 levels of descriptors");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = yaml_document_get_node(&reader->document, items[i]);
        /* Also what aliases repeat. */
        if (file->descriptor_count++ == ENVOY_DESCRIPTORS_MAX)
            envoy_tell(file, true, item->start_mark.line + 1, item->start_mark.column + 1,
                       "one descriptor too many, expected at most %d", ENVOY_DESCRIPTORS_MAX);
        if (file->descriptor_count > ENVOY_DESCRIPTORS_MAX)
            return;
        struct envoy_descriptor *d = arena_allocate(&file->arena, sizeof(*d));
        if (!d) {
            envoy_tell(file, true, 0, 0, "out of memory");
            return;
        }
        d->parent = parent;
        d->depth = parent->depth + 1;
        *end = d;
        end = &d->next;
        read_descriptor(reader, item, d);
    }
    refuse_twins(reader, parent->children, count);
}

/* ---- the file ------------------------------------------------------------------------------ */

static void read_domain(struct reader *reader, const yaml_node_t *node, void *object)
{
    (void)object;
    read_text(reader, node, "domain", &reader->file->domain);
}

static void read_root(struct reader *reader, const yaml_node_t *node)
{
    static const struct field fields[] = {
        {"domain", read_domain}, {"descriptors", read_descriptors}, {NULL, NULL}};
    size_t before = reader->file->wrong;
    read_mapping(reader, node, "the file", fields, &reader->file->root);
    if (reader->file->wrong == before && reader->file->domain.size == 0)
        wrong(reader, node, "the file", "a domain in it");
}

static void tell_yaml(struct envoy_file *file, const yaml_parser_t *parser)
{
    const yaml_mark_t *mark = &parser->problem_mark;
    if (parser->error == YAML_MEMORY_ERROR)
        envoy_tell(file, true, 0, 0, "out of memory");
    else if (parser->error == YAML_READER_ERROR)
        envoy_tell(file, true, 0, 0, "%s at byte %zu, expected text in UTF-8",
                   parser->problem ? parser->problem : "no text", parser->problem_offset);
    else
        envoy_tell(file, true, mark->line + 1, mark->column + 1, "invalid YAML: %s",
                   parser->problem ? parser->problem : "it can't be read");
}

/* The loader looks each anchor and alias up one by one: many would take it for ever. Merge keys,
 * which it takes for any other, are refused as one. */
static bool count_anchors(struct envoy_file *file, struct slice text)
{
    yaml_parser_t parser;
    yaml_event_t event;
    size_t anchors = 0;
    bool ended = false;
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, text.data, text.size);
    while (!ended && anchors <= ENVOY_ANCHORS_MAX) {
        if (!yaml_parser_parse(&parser, &event)) {
            tell_yaml(file, &parser);
            break;
        }
        anchors += (event.type == YAML_SCALAR_EVENT && event.data.scalar.anchor) ||
                   (event.type == YAML_SEQUENCE_START_EVENT && event.data.sequence_start.anchor) ||
                   (event.type == YAML_MAPPING_START_EVENT && event.data.mapping_start.anchor);
        ended = event.type == YAML_STREAM_END_EVENT;
        if (anchors > ENVOY_ANCHORS_MAX)
            envoy_tell(file, true, event.start_mark.line + 1, event.start_mark.column + 1,
                       "one anchor too many, expected at most %d", ENVOY_ANCHORS_MAX);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return ended;
}

static void refuse_another(struct reader *reader, yaml_parser_t *parser)
{
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next))
        return;
    const yaml_node_t *root = yaml_document_get_root_node(&next);
    if (root)
        wrong(reader, root, "a second document", "one domain a file");
    yaml_document_delete(&next);
}

void envoy_read(struct envoy_file *file, struct slice text)
{
    struct reader reader = {.file = file};
    yaml_parser_t parser;
    if (text.size > ENVOY_FILE_MAX) {
        envoy_tell(file, true, 0, 0, "the file is larger than %u bytes", ENVOY_FILE_MAX);
        return;
    }
    if (!count_anchors(file, text))
        return;
    if (!yaml_parser_initialize(&parser)) {
        envoy_tell(file, true, 0, 0, "out of memory");
        return;
    }
    yaml_parser_set_input_string(&parser, text.data, text.size);
    if (yaml_parser_load(&parser, &reader.document)) {
        const yaml_node_t *root = yaml_document_get_root_node(&reader.document);
        if (root) {
            read_root(&reader, root);
            refuse_another(&reader, &parser);
        } else {
            envoy_tell(file, true, 0, 0, "the file is empty, expected a domain and descriptors");
        }
        yaml_document_delete(&reader.document);
    } else {
        tell_yaml(file, &parser);
    }
    yaml_parser_delete(&parser);
}
