#include <stddef.h>

#include "rules/loader.h"
#include "rules/operator.h"

static const char key_expected[] =
    "an argument, as in tenant, src/64 (IPv6 by /64) or src/24/64 (IPv4 by /24 too), or a mapping, "
    "as in { arg: host, lower: true }";

/* A part while its keys are read: those whose meaning depends on one another are noted. */
struct draft {
    struct rules__key_part part;
    struct slice argument; /* empty: missing or wrong */
    const struct rules__node *lower;
    const struct rules__node *segments;
};

/* ---- the argument and its prefix lengths --------------------------------------------------- */

static bool parse_prefix(struct slice text, uint64_t least, uint64_t most, uint8_t *prefix)
{
    uint64_t number;
    if (!slice_to_uint64(text, &number) || number < least || number > most)
        return false;
    *prefix = (uint8_t)number;
    return true;
}

/* Splits "src/24/64" at its first '/'; rest is empty when there is none. */
static struct slice split(struct slice *rest, bool *found)
{
    const uint8_t *slash = rest->size ? memchr(rest->data, '/', rest->size) : NULL;
    struct slice head = *rest;
    *found = slash != NULL;
    if (slash)
        head.size = (size_t)(slash - rest->data);
    *rest = slice_from(*rest, head.size + 1);
    return head;
}

/* One prefix length is IPv6's; those that only make sense for IPv4 would be misread. */
static bool read_prefixes(struct rules__loader *loader, const char *name,
                          const struct rules__node *node, struct slice rest,
                          struct rules__key_part *part)
{
    bool second;
    struct slice first = split(&rest, &second);
    part->is_network = true;
    part->ipv4_prefix = 32;
    if (!second && !parse_prefix(first, 33, 128, &part->ipv6_prefix)) {
        rules__wrong(loader, name, node,
                     "an IPv6 prefix length from 33 to 128 behind the '/', or IPv4's and IPv6's, "
                     "as in src/24/64");
        return false;
    }
    if (second && (!parse_prefix(first, 1, 32, &part->ipv4_prefix) ||
                   !parse_prefix(rest, 1, 128, &part->ipv6_prefix))) {
        rules__wrong(loader, name, node,
                     "an IPv4 prefix length from 1 to 32 and an IPv6 one from 1 to 128, as in "
                     "src/24/64");
        return false;
    }
    return true;
}

/* "tenant", "src/64". name: what messages call it. */
static void read_argument(struct rules__loader *loader, const char *name,
                          const struct rules__node *node, struct draft *draft)
{
    struct slice rest = node->text;
    struct rules__node argument = *node;
    bool has_prefix;
    argument.text = split(&rest, &has_prefix);
    struct slice identifier = rules__identifier(loader, "an argument of key", &argument, true);
    if (!identifier.size)
        return;
    if (has_prefix && !read_prefixes(loader, name, node, rest, &draft->part))
        return;
    int slot = rules__slot_of(loader, node, identifier);
    if (slot < 0)
        return;
    draft->part.slot = (uint32_t)slot;
    draft->argument = identifier;
}

/* ---- a part as a mapping ------------------------------------------------------------------- */

static void load_argument(struct rules__loader *loader, const struct rules__field *field,
                          const struct rules__node *node, void *object)
{
    if (rules__scalar(loader, field->name, node, field->expected))
        read_argument(loader, field->name, node, object);
}

static void load_lower(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->lower = node;
    rules__load_bool(loader, field, node, object);
}

static void load_segments(struct rules__loader *loader, const struct rules__field *field,
                          const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->segments = node;
    rules__load_number(loader, field, node, object);
}

static void load_default(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    if (!rules__scalar(loader, field->name, node, field->expected))
        return;
    if (node->text.size > RULES_NAME_MAX) {
        rules__wrong(loader, field->name, node, field->expected);
        return;
    }
    draft->part.has_default = true;
    draft->part.default_text = rules__keep(loader, node->text);
}

#define PART(member)                                                                               \
    offsetof(struct draft, part) + offsetof(struct rules__key_part, member),                       \
        sizeof(((struct rules__key_part *)NULL)->member)

static const struct rules__field part_fields[] = {
    {"arg", load_argument, "an argument, as in tenant or src/64", true, 0, 0, 0, 0},
    {"lower", load_lower, "true or false", false, PART(lower), 0, 0},
    {"segments", load_segments, "a whole number, as in 2", false, PART(segments), 1,
     RULES_MAX_SEGMENTS},
    {"hash", rules__load_bool, "true or false", false, PART(hash), 0, 0},
    {"default", load_default, "a text of at most 64 bytes", false, 0, 0, 0, 0},
};
static const struct rules__schema part_schema = RULES__SCHEMA("a part of key", part_fields);

/* An address is counted by its bits: it has no letters and no segments. */
static void finish_part(struct rules__loader *loader, const struct draft *draft)
{
    const struct {
        const char *name;
        const struct rules__node *node;
    } of_texts[] = {{"lower", draft->lower}, {"segments", draft->segments}};
    for (size_t i = 0; draft->part.is_network && i < 2; i++)
        if (of_texts[i].node)
            rules__problem(loader, of_texts[i].node,
                           "%s of an argument with a prefix length, expected only of a text",
                           of_texts[i].name);
}

/* ---- a key --------------------------------------------------------------------------------- */

static void load_part(struct rules__loader *loader, struct rules_rule *rule,
                      struct rules__key_part *parts, const struct rules__node *node)
{
    struct draft draft = {.argument = {NULL, 0}};
    if (node->kind == RULES__MAPPING)
        rules__walk(loader, &part_schema, node, &draft);
    else if (rules__scalar(loader, "key", node, key_expected))
        read_argument(loader, "key", node, &draft);
    finish_part(loader, &draft);
    if (!draft.argument.size)
        return;
    for (size_t i = 0; i < rule->key_count; i++)
        if (parts[i].slot == draft.part.slot)
            rules__problem(loader, node, "argument %.*s again in key, expected it once",
                           SLICE_ARGS(draft.argument));
    parts[rule->key_count++] = draft.part;
}

bool rules__load_key(struct rules__loader *loader, struct rules_rule *rule,
                     const struct rules__node *node)
{
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    /* Behind the conditions, after which it is read. */
    struct rules__key_part *parts = rules__match_allocate(
        loader, count < RULES_MAX_KEY_PARTS ? count : RULES_MAX_KEY_PARTS, sizeof(*parts));
    if (!parts)
        return false;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (i == RULES_MAX_KEY_PARTS) {
            rules__problem(loader, item, "one argument too many in a key, expected at most %d",
                           RULES_MAX_KEY_PARTS);
            break;
        }
        load_part(loader, rule, parts, item);
    }
    rule->key = parts;
    return rule->key_count == count;
}
