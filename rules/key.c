#include "rules/loader.h"

/* ---- what a value is counted as ------------------------------------------------------------ */

bool rules__key_value(const struct rules__key_part *part, const struct value *value,
                      struct value *counted)
{
    struct rules__address address;
    *counted = *value;
    if (!part->is_network)
        return value->type != VALUE_NULL;
    if (!rules__address_of(value, &address))
        return false;
    bool is_ipv4 = address.bytes[0] == 4;
    rules__address_mask(&address, is_ipv4 ? part->ipv4_prefix : part->ipv6_prefix, false);
    counted->type = is_ipv4 ? VALUE_IPV4 : VALUE_IPV6;
    memcpy(counted->address, address.bytes + 1, sizeof(counted->address));
    return true;
}

/* Each part is a tag and as many bytes as the tag says, so that no two lists of values are written
 * alike; a text is written as its hash. */
#define PART_MAX 17

static void write_hash(struct writer *w, struct hash128 hash)
{
    uint8_t *p = writer_reserve(w, sizeof(hash));
    if (p)
        memcpy(p, &hash, sizeof(hash));
}

static void write_number(struct writer *w, uint8_t tag, uint64_t number)
{
    writer_uint8(w, tag);
    writer_uint32(w, (uint32_t)(number >> 32));
    writer_uint32(w, (uint32_t)number);
}

static void write_part(const struct value *value, uint64_t seed, struct writer *w)
{
    switch (value->type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        writer_uint8(w, value->boolean ? 't' : 'f');
        break;
    case VALUE_INT32:
    case VALUE_INT64:
        write_number(w, '-', (uint64_t)value->integer);
        break;
    case VALUE_UINT32:
    case VALUE_UINT64:
        write_number(w, '+', value->natural);
        break;
    case VALUE_IPV4:
        writer_uint8(w, 4);
        writer_bytes(w, slice_of(value->address, 4));
        break;
    case VALUE_IPV6:
        writer_uint8(w, 6);
        writer_bytes(w, slice_of(value->address, 16));
        break;
    case VALUE_STRING:
    case VALUE_BINARY:
        writer_uint8(w, 's');
        write_hash(w, hash128(value->bytes, seed));
        break;
    }
}

bool rules__subject(const struct rules_rule *rule, uint64_t seed, const struct value *values,
                    struct hash128 *subject)
{
    uint8_t buffer[1 + RULES_MAX_KEY_PARTS * PART_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    writer_uint8(&w, 'S'); /* unlike a limit's identity */
    for (size_t i = 0; i < rule->key_count; i++) {
        struct value counted;
        if (!rules__key_value(&rule->key[i], &values[rule->key[i].slot], &counted))
            return false;
        write_part(&counted, seed, &w);
    }
    *subject = hash128(writer_slice(&w), seed);
    return true;
}

/* ---- loading ------------------------------------------------------------------------------- */

static const char key_expected[] =
    "an argument, as in tenant, src/64 (IPv6 by /64) or src/24/64 (IPv4 by /24 too)";

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
static bool read_prefixes(struct rules__loader *loader, const struct rules__node *node,
                          struct slice rest, struct rules__key_part *part)
{
    bool second;
    struct slice first = split(&rest, &second);
    part->is_network = true;
    part->ipv4_prefix = 32;
    if (!second && !parse_prefix(first, 33, 128, &part->ipv6_prefix)) {
        rules__wrong(loader, "key", node,
                     "an IPv6 prefix length from 33 to 128 behind the '/', or IPv4's and IPv6's, "
                     "as in src/24/64");
        return false;
    }
    if (second && (!parse_prefix(first, 1, 32, &part->ipv4_prefix) ||
                   !parse_prefix(rest, 1, 128, &part->ipv6_prefix))) {
        rules__wrong(loader, "key", node,
                     "an IPv4 prefix length from 1 to 32 and an IPv6 one from 1 to 128, as in "
                     "src/24/64");
        return false;
    }
    return true;
}

static void load_part(struct rules__loader *loader, struct rules_rule *rule,
                      struct rules__key_part *parts, const struct rules__node *node)
{
    struct rules__key_part part = {0};
    bool has_prefix;
    if (!rules__scalar(loader, "key", node, key_expected))
        return;
    struct slice rest = node->text;
    struct rules__node argument = *node;
    argument.text = split(&rest, &has_prefix);
    if (!rules__identifier(loader, "an argument of key", &argument, true).size)
        return;
    if (has_prefix && !read_prefixes(loader, node, rest, &part))
        return;
    int slot = rules__slot_of(loader, node, argument.text);
    if (slot < 0)
        return;
    part.slot = (uint32_t)slot;
    for (size_t i = 0; i < rule->key_count; i++)
        if (parts[i].slot == part.slot)
            rules__problem(loader, node, "argument %.*s again in key, expected it once",
                           SLICE_ARGS(argument.text));
    parts[rule->key_count++] = part;
}

void rules__load_key(struct rules__loader *loader, struct rules_rule *rule,
                     const struct rules__node *node)
{
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    struct rules__key_part *parts = rules__allocate(loader, RULES_MAX_KEY_PARTS, sizeof(*parts));
    if (!parts)
        return;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (i == RULES_MAX_KEY_PARTS) {
            rules__problem(loader, item, "one argument too many in a key, expected at most %d",
                           RULES_MAX_KEY_PARTS);
            break;
        }
        load_part(loader, rule, parts, item);
    }
    rule->key = parts;
}
