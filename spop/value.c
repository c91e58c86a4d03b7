#include <assert.h>

#include "spop/spop.h"

/* Source: HAProxy's doc/SPOE.txt 3.1. The type is in the low 4 bits of the first byte, its flags in
 * the high 4; only a boolean has one. */
#define TYPE_MASK 0x0f
#define FLAG_TRUE (SPOP_TRUE ^ VALUE_BOOL)

static_assert(VALUE_NULL == 0 && VALUE_BOOL == 1 && VALUE_INT32 == 2 && VALUE_UINT32 == 3 &&
                  VALUE_INT64 == 4 && VALUE_UINT64 == 5 && VALUE_IPV4 == 6 && VALUE_IPV6 == 7 &&
                  VALUE_STRING == 8 && VALUE_BINARY == 9,
              "the types of base/base.h are those of SPOE.txt 3.1");

static void fail(struct writer *w, enum error error)
{
    if (!w->error)
        w->error = error;
}

static void write_number(struct writer *w, enum value_type type, uint64_t number)
{
    writer_uint8(w, (uint8_t)type);
    spop_write_varint(w, number);
}

void spop_write_value(struct writer *w, const struct value *value)
{
    switch (value->type) {
    case VALUE_NULL:
        writer_uint8(w, VALUE_NULL);
        return;
    case VALUE_BOOL:
        writer_uint8(w, value->boolean ? SPOP_TRUE : VALUE_BOOL);
        return;
    case VALUE_INT32:
        if (value->integer < INT32_MIN || value->integer > INT32_MAX)
            fail(w, ERROR_RANGE);
        write_number(w, value->type, (uint64_t)value->integer);
        return;
    case VALUE_UINT32:
        if (value->natural > UINT32_MAX)
            fail(w, ERROR_RANGE);
        write_number(w, value->type, value->natural);
        return;
    case VALUE_INT64:
        write_number(w, value->type, (uint64_t)value->integer);
        return;
    case VALUE_UINT64:
        write_number(w, value->type, value->natural);
        return;
    case VALUE_IPV4:
    case VALUE_IPV6:
        writer_uint8(w, (uint8_t)value->type);
        writer_bytes(w, slice_of(value->address, value->type == VALUE_IPV4 ? 4 : 16));
        return;
    case VALUE_STRING:
    case VALUE_BINARY:
        writer_uint8(w, (uint8_t)value->type);
        spop_write_string(w, value->bytes);
        return;
    }
    fail(w, ERROR_MALFORMED);
}

static void read_address(struct cursor *c, uint8_t address[16], size_t size)
{
    struct slice bytes = cursor_bytes(c, size);
    if (bytes.size == size)
        memcpy(address, bytes.data, size);
}

/* Field by field into *value: a struct put together on the stack and returned costs as much again.
 */
void spop__read_other_value(struct cursor *c, struct value *value)
{
    uint8_t first = cursor_uint8(c);
    value->type = VALUE_NULL;
    switch (first & TYPE_MASK) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        value->boolean = first & FLAG_TRUE;
        break;
    case VALUE_INT32:
        value->integer = (int64_t)spop_read_varint(c);
        if (value->integer < INT32_MIN || value->integer > INT32_MAX)
            cursor_fail(c, ERROR_RANGE);
        break;
    case VALUE_UINT32:
        value->natural = spop_read_varint(c);
        if (value->natural > UINT32_MAX)
            cursor_fail(c, ERROR_RANGE);
        break;
    case VALUE_INT64:
        value->integer = (int64_t)spop_read_varint(c);
        break;
    case VALUE_UINT64:
        value->natural = spop_read_varint(c);
        break;
    case VALUE_IPV4:
        read_address(c, value->address, 4);
        break;
    case VALUE_IPV6:
        read_address(c, value->address, 16);
        break;
    case VALUE_STRING:
    case VALUE_BINARY:
        value->bytes = spop_read_string(c);
        break;
    default:
        cursor_fail(c, ERROR_MALFORMED);
    }
    if (!c->error)
        value->type = (enum value_type)(first & TYPE_MASK);
}
