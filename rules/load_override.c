#include <stddef.h>
#include <stdio.h>

#include "rules/loader.h"

/* ---- the key that an override names -------------------------------------------------------- */

static const char literal_expected[] =
    "a value of the rule's key, of at most 256 bytes: text, a number, true, false or an address";

/* What a value is counted as. */
static struct slice counted_as(const struct rules__key_part *part, const struct value *value,
                               char buffer[RULES__OVERRIDE_TEXT_MAX])
{
    struct writer w = writer_open(buffer, RULES__OVERRIDE_TEXT_MAX);
    struct value canonical = rules__canonical(value);
    struct value counted;
    if (rules__key_value(part, &canonical, &counted))
        rules__key_plain(part, &counted, &w);
    return writer_slice(&w);
}

static struct value address_value(const struct rules__address *address)
{
    struct value value = {.type = address->bytes[0] == 4 ? VALUE_IPV4 : VALUE_IPV6};
    memcpy(value.address, address->bytes + 1, sizeof(value.address));
    return value;
}

/* A network, of just the size that the part counts: another would be none of those counted. */
static bool read_network(struct rules__loader *loader, const struct rules__key_part *part,
                         const struct rules__node *node, struct value *value)
{
    char expected[RULES__EXPECTED_MAX];
    char buffer[RULES__OVERRIDE_TEXT_MAX];
    struct rules__range range;
    if (part->has_default && slice_equal(node->text, part->default_text))
        return true;
    if (!rules__network_parse(node->text, &range, expected)) {
        rules__wrong(loader, "key of an override", node, expected);
        return false;
    }
    struct rules__range counted = {range.first, range.first};
    unsigned prefix = range.first.bytes[0] == 4 ? part->ipv4_prefix : part->ipv6_prefix;
    rules__address_mask(&counted.first, prefix, false);
    rules__address_mask(&counted.last, prefix, true);
    *value = address_value(&range.first);
    if (memcmp(&counted, &range, sizeof(range)) == 0)
        return true;
    snprintf(expected, sizeof(expected), "a network as it is counted, as in %.*s",
             SLICE_ARGS(counted_as(part, value, buffer)));
    rules__wrong(loader, "key of an override", node, expected);
    return false;
}

/* Addresses are compared as they are written where they come as such; other spellings and the end
 * of a path would silently never be met. */
static bool check_spelling(struct rules__loader *loader, const struct rules__key_part *part,
                           const struct rules__node *node, const struct value *value)
{
    char written[RULES__OVERRIDE_TEXT_MAX];
    char counted[RULES__OVERRIDE_TEXT_MAX];
    char expected[RULES__EXPECTED_MAX];
    struct value address;
    struct rules__key_part wider = *part;
    struct slice text = counted_as(part, value, written);
    wider.segments = part->segments ? RULES_MAX_SEGMENTS : 0;
    if (!slice_equal(text, counted_as(&wider, value, counted))) {
        snprintf(expected, sizeof(expected), "a path of at most %u segments, which are counted",
                 part->segments);
        rules__wrong(loader, "key of an override", node, expected);
        return false;
    }
    if (!value_parse_address(node->text, &address))
        return true;
    struct slice right = counted_as(part, &address, counted);
    if (slice_equal(text, right) || part->segments)
        return true;
    snprintf(expected, sizeof(expected), "the address as it is counted: %.*s", SLICE_ARGS(right));
    rules__wrong(loader, "key of an override", node, expected);
    return false;
}

static bool read_literal(struct rules__loader *loader, const struct rules__key_part *part,
                         const struct rules__node *node, struct value *value)
{
    if (!rules__scalar(loader, "key of an override", node, literal_expected))
        return false;
    *value = (struct value){.type = VALUE_STRING, .bytes = node->text};
    /* What is counted of a path may be longer than what was written by its first '/'. */
    if (node->text.size + (part->segments > 0) > RULES__OVERRIDE_TEXT_MAX) {
        rules__wrong(loader, "key of an override", node, literal_expected);
        return false;
    }
    if (part->is_network)
        return read_network(loader, part, node, value);
    return check_spelling(loader, part, node, value);
}

/* Writes the key's form for the table. False when it is wrong, which is reported. */
static bool read_key(struct rules__loader *loader, const struct rules_rule *rule,
                     const struct rules__node *node, struct writer *w)
{
    struct value values[RULES_MAX_SLOTS];
    size_t count;
    bool right = true;
    const struct rules__node *item = rules__items(node, &count);
    if (count != rule->key_count) {
        rules__problem(loader, node,
                       "key of an override has %zu value%s, expected %zu, as many as the rule's "
                       "key has arguments",
                       count, count == 1 ? "" : "s", rule->key_count);
        return false;
    }
    for (size_t i = 0; i < count; i++, item = item->next)
        right = read_literal(loader, &rule->key[i], item, &values[rule->key[i].slot]) && right;
    return right && rules__override_key(rule, values, w);
}

/* ---- overrides ----------------------------------------------------------------------------- */

struct draft {
    const struct rules__node *key;
    const struct rules__node *limits;
};

static const struct rules__field override_fields[] = {
    {"key", rules__load_node, "a list of values, as in [ acme ]", true, offsetof(struct draft, key),
     0, 0, 0},
    {"limits", rules__load_node, "a list of limits, as in [ { limit: 5, window: 15m } ]", true,
     offsetof(struct draft, limits), 0, 0, 0},
};
static const struct rules__schema override_schema = RULES__SCHEMA("an override", override_fields);

/* Reports one that is wrong or there again. */
static void add_key(struct rules__loader *loader, const struct rules__limits_draft *limits,
                    struct rules__names *keys, const struct rules__node *node)
{
    uint8_t buffer[RULES__OVERRIDE_KEY_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    if (!read_key(loader, limits->rule, node, &w))
        return;
    int64_t known = rules__names_find(keys, writer_slice(&w));
    if (known >= 0)
        rules__problem(loader, node,
                       "an override of the same key again, expected it once (it is on line %u)",
                       limits->lists[known].key->line);
    else if (!rules__names_put(keys, &loader->set->arena, rules__keep(loader, writer_slice(&w)),
                               (uint32_t)limits->count))
        rules__no_memory(loader);
}

static void load_override(struct rules__loader *loader, struct rules__limits_draft *limits,
                          struct rules__names *keys, const struct rules__node *node)
{
    struct draft draft = {NULL, NULL};
    rules__walk(loader, &override_schema, node, &draft);
    if (!draft.key || !draft.limits)
        return;
    if (limits->key_known && limits->rule->key_count)
        add_key(loader, limits, keys, draft.key);
    struct rules__list_draft *list = rules__load_list(loader, limits, "limits", draft.limits);
    if (list)
        list->key = draft.key;
}

void rules__load_overrides(struct rules__loader *loader, struct rules__limits_draft *limits,
                           const struct rules__node *node)
{
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    struct rules__names *keys = rules__allocate(loader, 1, sizeof(*keys));
    if (!keys)
        return;
    keys->seed = loader->set->seed;
    for (size_t i = 0; i < count && !loader->out_of_memory; i++, item = item->next) {
        if (i == RULES_MAX_OVERRIDES) {
            rules__problem(loader, item, "one override too many in a rule, expected at most %d",
                           RULES_MAX_OVERRIDES);
            break;
        }
        load_override(loader, limits, keys, item);
    }
    limits->rule->overrides = keys;
}
