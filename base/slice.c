#include "base/base.h"

int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

size_t slice_utf8(struct slice s, uint32_t *character)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t length = 1; length <= 4 && length <= s.size; length++) {
        if ((s.data[0] & forms[length - 1].mask) != forms[length - 1].lead)
            continue;
        uint32_t c = s.data[0] & (uint8_t)~forms[length - 1].mask;
        for (size_t i = 1; i < length; i++) {
            if ((s.data[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (s.data[i] & 0x3f);
        }
        *character = c;
        bool valid = c >= forms[length - 1].least && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        return valid ? length : 0;
    }
    return 0;
}

bool slice_to_uint64(struct slice s, uint64_t *number)
{
    uint64_t result = 0;
    if (s.size == 0)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(result, 10, &result) ||
            __builtin_add_overflow(result, (uint64_t)(s.data[i] - '0'), &result))
            return false;
    }
    *number = result;
    return true;
}

bool slice_to_int64(struct slice s, int64_t *number)
{
    bool negative = s.size > 0 && s.data[0] == '-';
    uint64_t magnitude;
    if (!slice_to_uint64(negative ? slice_from(s, 1) : s, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    /* Negating in unsigned arithmetic, since -INT64_MIN has no signed form. */
    *number = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

void writer_decimal(struct writer *w, uint64_t number)
{
    uint8_t digits[DECIMAL_MAX];
    writer_bytes(w, slice_of(digits, (size_t)(decimal_put(digits, number) - digits)));
}

/* From the end on, two digits at a time. */
uint8_t *decimal_put(uint8_t *at, uint64_t number)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    size_t size = 1;
    for (uint64_t power = 10; number >= power && size < DECIMAL_MAX; power *= 10)
        size++;
    uint8_t *digit = at + size;
    for (; number >= 10; number /= 100)
        memcpy(digit -= 2, &pairs[2 * (number % 100)], 2);
    if (digit > at)
        *at = (uint8_t)('0' + number);
    return at + size;
}
