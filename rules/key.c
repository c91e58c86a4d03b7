#include "rules/loader.h"

/* ---- what a value is counted as ------------------------------------------------------------ */

bool rules__key_value(const struct rules__key_part *part, const struct value *value,
                      struct value *counted)
{
    struct rules__address address;
    struct value text = {.type = VALUE_STRING, .bytes = part->default_text};
    bool is_absent =
        part->is_network ? !rules__address_of(value, &address) : value->type == VALUE_NULL;
    *counted = is_absent ? text : *value;
    if (is_absent && !part->has_default)
        return false;
    if (!part->is_network || (is_absent && !rules__address_of(&text, &address)))
        return true;
    bool is_ipv4 = address.bytes[0] == 4;
    rules__address_mask(&address, is_ipv4 ? part->ipv4_prefix : part->ipv6_prefix, false);
    counted->type = is_ipv4 ? VALUE_IPV4 : VALUE_IPV6;
    memcpy(counted->address, address.bytes + 1, sizeof(counted->address));
    return true;
}

/* Each part is a tag and as many bytes as the tag, or the length behind it, says, so that no two
 * lists of values are written alike. A text that isn't short is written as its hash. */
#define TEXT_SHORT 32
#define PART_MAX   (1 + 1 + TEXT_SHORT)

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

/* A text that isn't counted as it came is hashed piece by piece, each with the hash of those before
 * it. */
static struct hash128 hash_text(const struct rules__key_part *part, struct slice text,
                                uint64_t seed)
{
    struct hash128 hash = {0};
    uint8_t buffer[sizeof(hash) + 1024];
    size_t size;
    if (!part->lower && !part->segments)
        return hash128(text, seed);
    struct rules__key_reader reader = rules__key_read(part, text);
    do {
        memcpy(buffer, &hash, sizeof(hash));
        size = rules__key_fill(&reader, buffer + sizeof(hash), sizeof(buffer) - sizeof(hash));
        hash = hash128(slice_of(buffer, sizeof(hash) + size), seed);
    } while (size == sizeof(buffer) - sizeof(hash));
    return hash;
}

static void write_text(const struct rules__key_part *part, struct slice text, uint64_t seed,
                       struct writer *w)
{
    if (text.size > TEXT_SHORT || part->lower || part->segments) {
        writer_uint8(w, 's');
        write_hash(w, hash_text(part, text, seed));
    } else {
        writer_uint8(w, 'S');
        writer_uint8(w, (uint8_t)text.size);
        writer_bytes(w, text);
    }
}

static void write_part(const struct rules__key_part *part, const struct value *value, uint64_t seed,
                       struct writer *w)
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
        write_text(part, value->bytes, seed, w);
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
        write_part(&rule->key[i], &counted, seed, &w);
    }
    *subject = hash128(writer_slice(&w), seed);
    return true;
}
