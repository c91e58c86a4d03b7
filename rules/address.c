#include <stdio.h>
#include <stdlib.h>

#include "rules/compiled.h"

/* RFC 4291, section 2.5.5.2: ::ffff:a.b.c.d. */
static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

struct value rules__canonical(const struct value *value)
{
    struct value canonical = *value;
    switch (value->type) {
    case VALUE_INT32:
    case VALUE_INT64:
        if (value->integer >= 0)
            return (struct value){.type = VALUE_UINT64, .natural = (uint64_t)value->integer};
        canonical.type = VALUE_INT64;
        break;
    case VALUE_UINT32:
        canonical.type = VALUE_UINT64;
        break;
    case VALUE_IPV6:
        if (memcmp(value->address, mapped_prefix, sizeof(mapped_prefix)) == 0) {
            canonical.type = VALUE_IPV4;
            memcpy(canonical.address, value->address + sizeof(mapped_prefix), 4);
        }
        break;
    case VALUE_BINARY:
        canonical.type = VALUE_STRING;
        break;
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_UINT64:
    case VALUE_IPV4:
    case VALUE_STRING:
        break;
    }
    return canonical;
}

int rules__value_compare(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    switch (a->type) {
    case VALUE_BOOL:
        return (a->boolean > b->boolean) - (a->boolean < b->boolean);
    case VALUE_INT32:
    case VALUE_INT64:
        return (a->integer > b->integer) - (a->integer < b->integer);
    case VALUE_UINT32:
    case VALUE_UINT64:
        return (a->natural > b->natural) - (a->natural < b->natural);
    case VALUE_IPV4:
        return memcmp(a->address, b->address, 4);
    case VALUE_IPV6:
        return memcmp(a->address, b->address, 16);
    case VALUE_STRING:
    case VALUE_BINARY:
        return slice_compare(a->bytes, b->bytes);
    case VALUE_NULL:
        break;
    }
    return 0;
}

bool rules__address_of(const struct value *value, struct rules__address *address)
{
    struct value parsed;
    if (value->type == VALUE_STRING) {
        if (!value_parse_address(value->bytes, &parsed))
            return false;
        parsed = rules__canonical(&parsed);
        value = &parsed;
    }
    if (value->type != VALUE_IPV4 && value->type != VALUE_IPV6)
        return false;
    bool is_ipv4 = value->type == VALUE_IPV4;
    *address = (struct rules__address){{is_ipv4 ? 4 : 6}};
    memcpy(address->bytes + 1, value->address, is_ipv4 ? 4 : 16);
    return true;
}

void rules__address_mask(struct rules__address *address, unsigned prefix, bool set)
{
    size_t size = address->bytes[0] == 4 ? 4 : 16;
    size_t whole = prefix / 8; /* bytes that stay */
    uint8_t *byte = address->bytes + 1 + whole;
    if (whole >= size)
        return;
    uint8_t behind = (uint8_t)(0xff >> prefix % 8);
    *byte = set ? *byte | behind : *byte & (uint8_t)~behind;
    memset(byte + 1, set ? 0xff : 0, size - whole - 1);
}

static void print_network(const struct rules__address *address, uint64_t prefix, char *out,
                          size_t size)
{
    struct value value = {.type = address->bytes[0] == 4 ? VALUE_IPV4 : VALUE_IPV6};
    char text[64];
    struct writer w = writer_open(text, sizeof(text));
    memcpy(value.address, address->bytes + 1, value.type == VALUE_IPV4 ? 4 : 16);
    value_print(&value, &w);
    snprintf(out, size, "%.*s/%llu", SLICE_ARGS(writer_slice(&w)), (unsigned long long)prefix);
}

bool rules__network_parse(struct slice text, struct rules__range *range,
                          char expected[RULES__EXPECTED_MAX])
{
    const uint8_t *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
    struct slice digits = slash ? slice_from(text, (size_t)(slash - text.data) + 1) : text;
    struct value value = {.type = VALUE_NULL};
    uint64_t prefix = 0;
    snprintf(expected, RULES__EXPECTED_MAX,
             "an address or a network, as in 192.0.2.0/24 or 2001:db8::/32");
    if (slash)
        text.size = (size_t)(slash - text.data);
    if (!value_parse_address(text, &value))
        return false;
    uint64_t longest = value.type == VALUE_IPV4 ? 32 : 128;
    if (!slash)
        prefix = longest;
    else if (!slice_to_uint64(digits, &prefix) || prefix > longest) {
        snprintf(expected, RULES__EXPECTED_MAX, "a prefix length from 0 to %llu behind the '/'",
                 (unsigned long long)longest);
        return false;
    }
    struct value canonical = rules__canonical(&value);
    if (canonical.type != value.type) {
        if (prefix < 96) {
            snprintf(expected, RULES__EXPECTED_MAX,
                     "a prefix length from 96 to 128 behind an IPv4-mapped address");
            return false;
        }
        prefix -= 96;
    }
    rules__address_of(&canonical, &range->first);
    range->last = range->first;
    rules__address_mask(&range->last, (unsigned)prefix, true);
    struct rules__address masked = range->first;
    rules__address_mask(&masked, (unsigned)prefix, false);
    if (memcmp(&masked, &range->first, sizeof(masked)) != 0) {
        char network[64];
        print_network(&masked, prefix, network, sizeof(network));
        snprintf(expected, RULES__EXPECTED_MAX, "no bits behind the prefix, as in %s", network);
        return false;
    }
    return true;
}

static int compare_ranges(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct rules__address)); /* by `first`, the first member */
}

size_t rules__ranges_normalise(struct rules__range *ranges, size_t count)
{
    size_t kept = 0;
    if (count == 0)
        return 0;
    qsort(ranges, count, sizeof(*ranges), compare_ranges);
    for (size_t i = 1; i < count; i++) {
        /* The byte of the family comes first, so no range of one family reaches into the other. */
        bool overlaps = memcmp(&ranges[i].first, &ranges[kept].last, RULES__ADDRESS_SIZE) <= 0;
        if (!overlaps)
            ranges[++kept] = ranges[i];
        else if (memcmp(&ranges[i].last, &ranges[kept].last, RULES__ADDRESS_SIZE) > 0)
            ranges[kept].last = ranges[i].last;
    }
    return kept + 1;
}

bool rules__ranges_contain(const struct rules__range *ranges, size_t count,
                           const struct rules__address *address)
{
    size_t low = 0; /* ranges below it start at or before the address */
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(&ranges[middle].first, address, RULES__ADDRESS_SIZE) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && memcmp(address, &ranges[low - 1].last, RULES__ADDRESS_SIZE) <= 0;
}
