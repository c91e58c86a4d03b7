#include "expect.h"
#include "main.h"

static struct value natural(enum value_type type, uint64_t number)
{
    return (struct value){.type = type, .natural = number};
}

static struct value integer(enum value_type type, int64_t number)
{
    return (struct value){.type = type, .integer = number};
}

/* Both ways. */
static void expect_value(struct value value, const char *text)
{
    uint8_t buffer[256];
    struct writer w = writer_open(buffer, sizeof(buffer));
    spop_write_value(&w, &value);
    expect_written(&w, text);

    struct slice bytes = wire_parse(text);
    struct cursor c = cursor_open(bytes);
    struct value read;
    spop_read_value(&c, &read);
    ck_assert_msg(!c.error && cursor_left(&c) == 0, "%s", text);
    ck_assert_msg(value_equal(&read, &value), "%s", text);
    wire_free(bytes);

    for (size_t size = 0; size < writer_size(&w); size++) {
        struct slice cut = wire_copy(slice_of(buffer, size));
        c = cursor_open(cut);
        spop_read_value(&c, &read);
        ck_assert_msg(c.error == ERROR_TRUNCATED && read.type == VALUE_NULL, "%s", text);
        wire_free(cut);
    }
}

START_TEST(every_type_both_ways)
{
    expect_value((struct value){.type = VALUE_NULL}, "00");
    expect_value((struct value){.type = VALUE_BOOL, .boolean = false}, "01");
    expect_value((struct value){.type = VALUE_BOOL, .boolean = true}, "11");
    expect_value(integer(VALUE_INT32, 0), "02 00");
    expect_value(integer(VALUE_INT32, -1), "02 fff0fefefefefefefe0e");
    expect_value(integer(VALUE_INT32, INT32_MAX), "02 fff0fefe3e");
    expect_value(integer(VALUE_INT32, INT32_MIN), "02 f0f1fefebefefefefe0e");
    expect_value(natural(VALUE_UINT32, 0), "03 00");
    expect_value(natural(VALUE_UINT32, UINT32_MAX), "03 fff0fefe7e");
    expect_value(integer(VALUE_INT64, INT64_MAX), "04 fff0fefefefefefefe06");
    expect_value(integer(VALUE_INT64, INT64_MIN), "04 f0f1fefefefefefefe06");
    expect_value(integer(VALUE_INT64, -5), "04 fbf0fefefefefefefe0e");
    expect_value(natural(VALUE_UINT64, UINT64_MAX), "05 fff0fefefefefefefe0e");
    expect_value((struct value){.type = VALUE_IPV4, .address = {192, 0, 2, 1}}, "06 c0000201");
    expect_value((struct value){.type = VALUE_IPV6, .address = {0x20, 1, 0xd, 0xb8, [15] = 1}},
                 "07 20010db8000000000000000000000001");
    expect_value((struct value){.type = VALUE_STRING, .bytes = SLICE("")}, "08 00");
    expect_value((struct value){.type = VALUE_STRING, .bytes = SLICE("a\0b")}, "08 03 610062");
    expect_value((struct value){.type = VALUE_BINARY, .bytes = {NULL, 0}}, "09 00");
    expect_value((struct value){.type = VALUE_BINARY, .bytes = SLICE("\xff")}, "09 01 ff");
}
END_TEST

static void expect_read_refused(const char *text, enum error error)
{
    struct slice bytes = wire_parse(text);
    struct cursor c = cursor_open(bytes);
    struct value value;
    spop_read_value(&c, &value);
    ck_assert_msg(c.error == error && value.type == VALUE_NULL, "%s: %s", text,
                  error_text(c.error));
    wire_free(bytes);
}

START_TEST(unreadable_values)
{
    expect_read_refused("0a 00", ERROR_MALFORMED); /* types 10 to 15 are reserved */
    expect_read_refused("0f 00", ERROR_MALFORMED);
    expect_read_refused("1a 00", ERROR_MALFORMED);
    expect_read_refused("02 f0f1fefe3e", ERROR_RANGE);           /* 2^31 */
    expect_read_refused("02 fff0fefe7e", ERROR_RANGE);           /* not sign-extended */
    expect_read_refused("02 fff0fefebefefefefe0e", ERROR_RANGE); /* -2^31 - 1 */
    expect_read_refused("03 f0f1fefe7e", ERROR_RANGE);           /* 2^32 */
    expect_read_refused("05 f0f1fefefefefefefe0e", ERROR_MALFORMED);
    /* Lengths that no buffer can have: adding them to a pointer would wrap. */
    expect_read_refused("08 fff0fefefefefefefe0e 61", ERROR_TRUNCATED);
    expect_read_refused("09 fbf0fefefefefefefe0e 61", ERROR_TRUNCATED);
    expect_read_refused("08 fff0fefe7e 61", ERROR_TRUNCATED);
}
END_TEST

START_TEST(only_a_boolean_has_a_flag)
{
    struct slice bytes = wire_parse("f0 e1 f1 f3 05 f8 'a'");
    struct cursor c = cursor_open(bytes);
    struct value value;
    spop_read_value(&c, &value);
    ck_assert_int_eq(value.type, VALUE_NULL);
    spop_read_value(&c, &value);
    ck_assert(value.type == VALUE_BOOL && !value.boolean);
    spop_read_value(&c, &value);
    ck_assert(value.type == VALUE_BOOL && value.boolean);
    spop_read_value(&c, &value);
    ck_assert(value.type == VALUE_UINT32 && value.natural == 5);
    spop_read_value(&c, &value);
    ck_assert(slice_equal(value.bytes, SLICE("a")));
    ck_assert(!c.error && cursor_left(&c) == 0);
    wire_free(bytes);
}
END_TEST

static void expect_write_refused(struct value value, enum error error)
{
    uint8_t buffer[256];
    struct writer w = writer_open(buffer, sizeof(buffer));
    spop_write_value(&w, &value);
    ck_assert_int_eq(w.error, error);
    ck_assert_uint_eq(writer_size(&w), 0);
}

START_TEST(unwritable_values)
{
    expect_write_refused(integer(VALUE_INT32, (int64_t)INT32_MAX + 1), ERROR_RANGE);
    expect_write_refused(integer(VALUE_INT32, (int64_t)INT32_MIN - 1), ERROR_RANGE);
    expect_write_refused(natural(VALUE_UINT32, (uint64_t)UINT32_MAX + 1), ERROR_RANGE);
    expect_write_refused(natural((enum value_type)10, 1), ERROR_MALFORMED);
}
END_TEST

START_TEST(strings)
{
    uint8_t text[300];
    uint8_t buffer[310];
    memset(text, 'x', sizeof(text));
    for (size_t size = 0; size <= sizeof(text); size++) {
        struct writer w = writer_open(buffer, sizeof(buffer));
        spop_write_string(&w, slice_of(text, size));
        ck_assert_uint_eq(writer_size(&w), size + (size < 240 ? 1 : 2));
        struct slice bytes = wire_copy(writer_slice(&w));
        struct cursor c = cursor_open(bytes);
        struct slice read = spop_read_string(&c);
        ck_assert(slice_equal(read, slice_of(text, size)));
        ck_assert(!c.error && cursor_left(&c) == 0);
        ck_assert_ptr_eq(read.data + read.size, bytes.data + bytes.size); /* in place */
        wire_free(bytes);
    }
}
END_TEST

static bool write_values(struct writer *w)
{
    static const struct value values[] = {
        {.type = VALUE_NULL},
        {.type = VALUE_BOOL, .boolean = true},
        {.type = VALUE_INT32, .integer = INT32_MIN},
        {.type = VALUE_UINT32, .natural = UINT32_MAX},
        {.type = VALUE_INT64, .integer = INT64_MIN},
        {.type = VALUE_UINT64, .natural = UINT64_MAX},
        {.type = VALUE_IPV4, .address = {127, 0, 0, 1}},
        {.type = VALUE_IPV6, .address = {[15] = 1}},
        {.type = VALUE_STRING, .bytes = {(const uint8_t *)"string", 6}},
        {.type = VALUE_BINARY, .bytes = {(const uint8_t *)"\0\1\2", 3}},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        spop_write_value(w, &values[i]);
    return !w->error;
}

START_TEST(writes_all_or_nothing)
{
    expect_needs_room(write_values, false);
}
END_TEST

static struct value random_value(struct random *random, const uint8_t *text, size_t text_size)
{
    struct value value = {.type = (enum value_type)random_below(random, 10)};
    uint64_t number = random_next(random) >> random_below(random, 64);
    size_t from = random_below(random, text_size);
    switch (value.type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        value.boolean = number & 1;
        break;
    case VALUE_INT32:
        value.integer = (int32_t)(uint32_t)number;
        break;
    case VALUE_UINT32:
        value.natural = (uint32_t)number;
        break;
    case VALUE_INT64:
        value.integer = (int64_t)(number & 1 ? ~number : number);
        break;
    case VALUE_UINT64:
        value.natural = number;
        break;
    case VALUE_IPV4:
    case VALUE_IPV6:
        memcpy(value.address, &number, sizeof(number));
        break;
    case VALUE_STRING:
    case VALUE_BINARY:
        value.bytes = slice_of(text + from, number % (text_size - from + 1));
        break;
    }
    return value;
}

START_TEST(random_values_come_back)
{
    struct random random = random_open("random_values_come_back");
    uint8_t text[500];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)random_next(&random);
    for (int round = 0; round < 5000; round++) {
        uint8_t buffer[16384];
        struct value values[20];
        struct writer w = writer_open(buffer, sizeof(buffer));
        for (size_t i = 0; i < 20; i++) {
            values[i] = random_value(&random, text, sizeof(text));
            spop_write_value(&w, &values[i]);
        }
        ck_assert_int_eq(w.error, ERROR_NONE);
        struct slice bytes = wire_copy(writer_slice(&w));
        struct cursor c = cursor_open(bytes);
        for (size_t i = 0; i < 20; i++) {
            struct value read;
            spop_read_value(&c, &read);
            ck_assert(value_equal(&read, &values[i]));
        }
        ck_assert(!c.error && cursor_left(&c) == 0);
        wire_free(bytes);
    }
}
END_TEST

UNIT_MAIN("value", every_type_both_ways, unreadable_values, only_a_boolean_has_a_flag,
          unwritable_values, strings, writes_all_or_nothing, random_values_come_back)
