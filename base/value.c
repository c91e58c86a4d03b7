#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
        return a->boolean == b->boolean;
    case VALUE_INT32:
    case VALUE_INT64:
        return a->integer == b->integer;
    case VALUE_UINT32:
    case VALUE_UINT64:
        return a->natural == b->natural;
    case VALUE_IPV4:
        return memcmp(a->address, b->address, 4) == 0;
    case VALUE_IPV6:
        return memcmp(a->address, b->address, 16) == 0;
    case VALUE_STRING:
    case VALUE_BINARY:
        return slice_equal(a->bytes, b->bytes);
    }
    return false;
}

static void print_bytes(struct slice s, struct writer *w)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < s.size; i++) {
        uint8_t byte = s.data[i];
        if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
            writer_uint8(w, byte);
        } else {
            uint8_t escaped[4] = {'\\', 'x', (uint8_t)hex[byte >> 4], (uint8_t)hex[byte & 15]};
            writer_bytes(w, slice_of(escaped, sizeof(escaped)));
        }
    }
}

void value_print(const struct value *value, struct writer *w)
{
    char text[INET6_ADDRSTRLEN];
    switch (value->type) {
    case VALUE_NULL:
        writer_bytes(w, SLICE("null"));
        break;
    case VALUE_BOOL:
        writer_bytes(w, value->boolean ? SLICE("true") : SLICE("false"));
        break;
    case VALUE_INT32:
    case VALUE_INT64:
        if (value->integer < 0)
            writer_uint8(w, '-');
        writer_decimal(w, value->integer < 0 ? 0 - (uint64_t)value->integer
                                             : (uint64_t)value->integer);
        break;
    case VALUE_UINT32:
    case VALUE_UINT64:
        writer_decimal(w, value->natural);
        break;
    case VALUE_IPV4:
    case VALUE_IPV6:
        inet_ntop(value->type == VALUE_IPV4 ? AF_INET : AF_INET6, value->address, text,
                  sizeof(text));
        writer_bytes(w, slice_of_string(text));
        break;
    case VALUE_STRING:
    case VALUE_BINARY:
        print_bytes(value->bytes, w);
        break;
    }
}

bool value_parse_address(struct slice text, struct value *value)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.size == 0 || text.size >= sizeof(copy) || memchr(text.data, 0, text.size))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    if (inet_pton(AF_INET, copy, value->address) == 1)
        value->type = VALUE_IPV4;
    else if (inet_pton(AF_INET6, copy, value->address) == 1)
        value->type = VALUE_IPV6;
    else
        return false;
    return true;
}
