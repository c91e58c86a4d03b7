#include "spop/spop.h"

/* Source: HAProxy's doc/SPOE.txt 3.1. The first byte carries 4 bits beside its mark, 0xf0; each
 * later one 7 bits, and 0x80 says that another follows. What a byte carries is added with its mark
 * still in it, so that no number has two encodings: [0xf0 0x00] is 240, not 0. */

size_t spop_varint_size(uint64_t number)
{
    if (number < SPOP_VARINT_ONE_BYTE)
        return 1;
    size_t size = 2;
    for (number = (number - SPOP_VARINT_ONE_BYTE) >> 4; number >= 128; size++)
        number = (number - 128) >> 7;
    return size;
}

void spop__write_long_varint(struct writer *w, uint64_t number)
{
    uint8_t *p = writer_reserve(w, spop_varint_size(number));
    if (p)
        spop__put_long_varint(p, number);
}

uint8_t *spop__put_long_varint(uint8_t *at, uint64_t number)
{
    *at++ = (uint8_t)(number | 0xf0);
    for (number = (number - SPOP_VARINT_ONE_BYTE) >> 4; number >= 128; number = (number - 128) >> 7)
        *at++ = (uint8_t)(number | 0x80);
    *at++ = (uint8_t)number;
    return at;
}

uint64_t spop__read_long_varint(struct cursor *c)
{
    uint64_t number = cursor_uint8(c);
    if (number < SPOP_VARINT_ONE_BYTE)
        return number;
    /* Ends with the tenth byte at the latest, which is shifted by 60: the mark of one more byte,
     * 0x80, is then among the bits that are shifted out. */
    for (unsigned shift = 4;; shift += 7) {
        uint64_t byte = cursor_uint8(c);
        uint64_t part = byte << shift;
        if (part >> shift != byte || number > UINT64_MAX - part) {
            cursor_fail(c, ERROR_MALFORMED);
            return 0;
        }
        number += part;
        if (byte < 128)
            return c->error ? 0 : number;
    }
}
