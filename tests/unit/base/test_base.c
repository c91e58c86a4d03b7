#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"
#include "main.h"

static void expect_printed(const struct value *value, const char *text)
{
    char buffer[128];
    struct writer w = writer_open(buffer, sizeof(buffer));
    value_print(value, &w);
    ck_assert(slice_equal(writer_slice(&w), slice_of_string(text)));
}

START_TEST(cursor_error_is_sticky_and_moves_nothing)
{
    uint8_t bytes[] = {1, 2, 3};
    struct cursor c = cursor_open(slice_of(bytes, sizeof(bytes)));
    ck_assert_uint_eq(cursor_uint8(&c), 1);
    ck_assert_uint_eq(cursor_uint32(&c), 0);
    ck_assert_int_eq(c.error, ERROR_TRUNCATED);
    ck_assert_uint_eq(cursor_uint8(&c), 0); /* though two bytes are left */
    cursor_fail(&c, ERROR_RANGE);
    ck_assert_int_eq(c.error, ERROR_TRUNCATED);
    ck_assert_ptr_eq(c.position, bytes + 1);
}
END_TEST

START_TEST(cursor_refuses_sizes_near_the_end_of_the_address_space)
{
    uint8_t bytes[4] = {0};
    struct cursor c = cursor_open(slice_of(bytes, sizeof(bytes)));
    ck_assert_uint_eq(cursor_bytes(&c, UINT64_MAX - 1).size, 0);
    ck_assert_int_eq(c.error, ERROR_TRUNCATED);
    c = cursor_open(slice_of(bytes, sizeof(bytes)));
    ck_assert_uint_eq(cursor_bytes(&c, 4).size, 4);
    ck_assert_int_eq(c.error, ERROR_NONE);
}
END_TEST

START_TEST(writer_writes_all_or_nothing)
{
    uint8_t buffer[6];
    struct writer w = writer_open(buffer, sizeof(buffer));
    writer_uint32(&w, 0x01020304);
    writer_uint32(&w, 5);
    ck_assert_int_eq(w.error, ERROR_NO_ROOM);
    writer_uint8(&w, 1); /* would fit, but the error is sticky */
    ck_assert_uint_eq(writer_size(&w), 4);
    ck_assert_uint_eq(buffer[3], 4);
}
END_TEST

START_TEST(numbers_at_their_boundaries)
{
    uint64_t natural;
    int64_t integer;
    ck_assert(slice_to_uint64(SLICE("18446744073709551615"), &natural) && natural == UINT64_MAX);
    ck_assert(!slice_to_uint64(SLICE("18446744073709551616"), &natural));
    ck_assert(!slice_to_uint64(SLICE(""), &natural));
    ck_assert(!slice_to_uint64(SLICE("1 "), &natural));
    ck_assert(slice_to_int64(SLICE("-9223372036854775808"), &integer) && integer == INT64_MIN);
    ck_assert(!slice_to_int64(SLICE("-9223372036854775809"), &integer));
    ck_assert(!slice_to_int64(SLICE("9223372036854775808"), &integer));
    ck_assert(!slice_to_int64(SLICE("-"), &integer));
}
END_TEST

static void expect_decimal(uint64_t number)
{
    char expected[DECIMAL_MAX + 1];
    uint8_t digits[DECIMAL_MAX];
    size_t size = (size_t)snprintf(expected, sizeof(expected), "%" PRIu64, number);
    ck_assert_ptr_eq(decimal_put(digits, number), digits + size);
    ck_assert_mem_eq(digits, expected, size);
}

START_TEST(numbers_in_decimal)
{
    for (uint64_t number = 0; number < 1100; number++)
        expect_decimal(number);
    for (uint64_t power = 1000; power < UINT64_MAX / 10; power *= 10)
        for (uint64_t near = power - 1; near <= power + 1; near++)
            expect_decimal(near);
    expect_decimal(UINT64_MAX);
    expect_decimal(UINT64_MAX - 1);
}
END_TEST

START_TEST(values_print_as_people_write_them)
{
    struct value v = {.type = VALUE_INT64, .integer = INT64_MIN};
    expect_printed(&v, "-9223372036854775808");
    v = (struct value){.type = VALUE_UINT64, .natural = UINT64_MAX};
    expect_printed(&v, "18446744073709551615");
    ck_assert(value_parse_address(SLICE("2001:db8::1"), &v));
    expect_printed(&v, "2001:db8::1");
    ck_assert(value_parse_address(SLICE("192.0.2.1"), &v));
    expect_printed(&v, "192.0.2.1");
    v = (struct value){.type = VALUE_STRING, .bytes = SLICE("a\n\\b")};
    expect_printed(&v, "a\\x0a\\x5cb");
    ck_assert(!value_parse_address(SLICE("192.0.2.1\0"), &v));
    ck_assert(!value_parse_address(SLICE("192.0.2.256"), &v));
}
END_TEST

static void expect_endpoint(const char *text, const char *printed)
{
    const char *expected = NULL;
    struct endpoint endpoint;
    char buffer[256];
    struct writer w = writer_open(buffer, sizeof(buffer));
    bool parsed = endpoint_parse(slice_of_string(text), &endpoint, &expected);
    ck_assert_msg(parsed == (printed != NULL), "%s", text);
    if (!parsed) {
        ck_assert_ptr_nonnull(expected);
        return;
    }
    endpoint_print(&endpoint, &w);
    ck_assert_msg(slice_equal(writer_slice(&w), slice_of_string(printed)), "%s gives %.*s", text,
                  SLICE_ARGS(writer_slice(&w)));
}

START_TEST(endpoints)
{
    expect_endpoint("tcp://127.0.0.1:9000", "tcp://127.0.0.1:9000");
    expect_endpoint("redis-1:7000", "tcp://redis-1:7000");
    expect_endpoint("tcp://[::1]:1", "tcp://[::1]:1");
    expect_endpoint(":0", "tcp://:0");
    expect_endpoint("unix:///run/x.sock", "unix:///run/x.sock");
    expect_endpoint("unix://@name", "unix://@name");
    expect_endpoint("unix://@", NULL);
    expect_endpoint("unix://relative", NULL);
    expect_endpoint("tcp://::1:9000", NULL);
    expect_endpoint("tcp://[::1]", NULL);
    expect_endpoint("tcp://[::1", NULL);
    expect_endpoint("tcp://host", NULL);
    expect_endpoint("tcp://host:", NULL);
    expect_endpoint("tcp://host:65536", NULL);
    expect_endpoint("tcp://ho st:1", NULL);
    expect_endpoint("", NULL);

    char path[8 + ENDPOINT_PATH_MAX + 1] = "unix:///";
    memset(path + 8, 'a', ENDPOINT_PATH_MAX - 1);
    expect_endpoint(path, path); /* exactly the longest */
    path[8 + ENDPOINT_PATH_MAX - 1] = 'a';
    expect_endpoint(path, NULL);
}
END_TEST

START_TEST(arena_gives_zeroed_memory_up_to_its_maximum)
{
    struct arena arena = {.maximum = 100000};
    size_t given = 0;
    for (uint8_t *p; (p = arena_allocate(&arena, 1000)); given++) {
        for (size_t i = 0; i < 1000; i++)
            ck_assert_uint_eq(p[i], 0);
        memset(p, 0xff, 1000);
    }
    ck_assert_uint_ge(given, 60);
    ck_assert_uint_le(arena.used, 100000);
    ck_assert_ptr_null(arena_array(&arena, SIZE_MAX / 2, 4));
    ck_assert_ptr_null(arena_allocate(&arena, SIZE_MAX));
    arena_free(&arena);
    ck_assert_uint_eq(arena.used, 0);
    struct slice copy = arena_copy(&arena, SLICE("text"));
    ck_assert_str_eq((const char *)copy.data, "text");
    arena_free(&arena);
}
END_TEST

UNIT_MAIN("base", cursor_error_is_sticky_and_moves_nothing,
          cursor_refuses_sizes_near_the_end_of_the_address_space, writer_writes_all_or_nothing,
          numbers_at_their_boundaries, numbers_in_decimal, values_print_as_people_write_them,
          endpoints, arena_gives_zeroed_memory_up_to_its_maximum)
