#include "rules/loader.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first, as printing wants them. */
static const struct unit duration_units[] = {
    {"d", UINT64_C(86400000000)}, {"h", UINT64_C(3600000000)}, {"m", UINT64_C(60000000)},
    {"s", UINT64_C(1000000)},     {"ms", UINT64_C(1000)},
};
static const struct unit size_units[] = {
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"", 1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool parse(struct slice text, const struct unit *units, size_t count, uint64_t *result)
{
    size_t digits = 0;
    uint64_t number;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    if (!slice_to_uint64(slice_of(text.data, digits), &number))
        return false;
    for (size_t i = 0; i < count; i++)
        if (slice_equal(slice_from(text, digits), slice_of_string(units[i].name)))
            return !__builtin_mul_overflow(number, units[i].factor, result);
    return false;
}

/* False when no unit divides the number. */
static bool print(uint64_t number, const struct unit *units, size_t count, struct writer *w)
{
    for (size_t i = 0; i < count; i++) {
        if (number % units[i].factor == 0) {
            writer_decimal(w, number / units[i].factor);
            writer_bytes(w, slice_of_string(units[i].name));
            return true;
        }
    }
    return false;
}

bool rules_parse_duration(struct slice text, uint64_t *microseconds)
{
    return parse(text, duration_units, COUNT(duration_units), microseconds);
}

void rules_print_duration(uint64_t microseconds, struct writer *w)
{
    if (microseconds == 0) {
        writer_bytes(w, SLICE("0s"));
    } else if (!print(microseconds, duration_units, COUNT(duration_units), w)) {
        writer_decimal(w, microseconds);
        writer_bytes(w, SLICE("us"));
    }
}

bool rules__parse_size(struct slice text, uint64_t *bytes)
{
    return parse(text, size_units, COUNT(size_units), bytes);
}

void rules__print_size(uint64_t bytes, struct writer *w)
{
    if (bytes == 0)
        writer_uint8(w, '0');
    else
        print(bytes, size_units, COUNT(size_units), w);
}
