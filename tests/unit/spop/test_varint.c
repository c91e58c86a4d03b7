#include "expect.h"
#include "main.h"

static const struct {
    uint64_t number;
    const char *bytes;
} vectors[] = {
    {0, "00"},
    {1, "01"},
    {239, "ef"},
    {240, "f000"},
    {241, "f100"},
    {255, "ff00"},
    {256, "f001"},
    {2287, "ff7f"},
    {2288, "f08000"},
    {264431, "ffff7f"},
    {264432, "f0808000"},
    {33818863, "ffffff7f"},
    {33818864, "f080808000"},
    {UINT32_MAX, "fff0fefe7e"},
    {4328786159, "ffffffff7f"},
    {4328786160, "f08080808000"},
    {INT64_MAX, "fff0fefefefefefefe06"},
    {(uint64_t)INT64_MIN, "f0f1fefefefefefefe06"},
    {UINT64_MAX - 4, "fbf0fefefefefefefe0e"}, /* -5 as HAProxy 2.6 sends it */
    {UINT64_MAX, "fff0fefefefefefefe0e"},
};

START_TEST(known_bytes)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint8_t buffer[SPOP_VARINT_MAX];
        struct writer w = writer_open(buffer, sizeof(buffer));
        spop_write_varint(&w, vectors[i].number);
        expect_written(&w, vectors[i].bytes);
        ck_assert_uint_eq(spop_varint_size(vectors[i].number), writer_size(&w));
        struct slice bytes = wire_parse(vectors[i].bytes);
        struct cursor c = cursor_open(bytes);
        ck_assert_uint_eq(spop_read_varint(&c), vectors[i].number);
        ck_assert(!c.error && cursor_left(&c) == 0);
        wire_free(bytes);
    }
}
END_TEST

static void expect_refused(const char *text, enum error error)
{
    struct slice bytes = wire_parse(text);
    struct cursor c = cursor_open(bytes);
    ck_assert_msg(spop_read_varint(&c) == 0 && c.error == error, "%s: %s", text,
                  error_text(c.error));
    wire_free(bytes);
}

START_TEST(above_64_bits_is_malformed)
{
    expect_refused("f0f1fefefefefefefe0e", ERROR_MALFORMED); /* 2^64 */
    expect_refused("fff0fefefefefefefe0f", ERROR_MALFORMED);
    expect_refused("f0f0fefefefefefefe10", ERROR_MALFORMED); /* a bit shifted out */
    expect_refused("ffffffffffffffffff7f", ERROR_MALFORMED);
    expect_refused("ffffffffffffffffffffff", ERROR_MALFORMED);
    expect_refused("f08080808080808080808000", ERROR_MALFORMED);
    expect_refused("f0808080808080808080", ERROR_MALFORMED); /* the tenth byte says: more */
}
END_TEST

START_TEST(truncated)
{
    expect_refused("", ERROR_TRUNCATED);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct slice bytes = wire_parse(vectors[i].bytes);
        for (size_t size = 0; size < bytes.size; size++) {
            struct slice cut = wire_copy(slice_of(bytes.data, size));
            struct cursor c = cursor_open(cut);
            ck_assert_uint_eq(spop_read_varint(&c), 0);
            ck_assert_int_eq(c.error, ERROR_TRUNCATED);
            wire_free(cut);
        }
        wire_free(bytes);
    }
}
END_TEST

START_TEST(an_error_before_yields_zero)
{
    uint8_t bytes[] = {1, 0xf0, 0};
    struct cursor c = cursor_open(slice_of(bytes, sizeof(bytes)));
    cursor_fail(&c, ERROR_RANGE);
    ck_assert_uint_eq(spop_read_varint(&c), 0);
    ck_assert(c.position == bytes && c.error == ERROR_RANGE);
}
END_TEST

/* Every bytes that decode are the encoding of what they decode to: there is no second one. */
START_TEST(one_encoding_for_each_number)
{
    struct random random = random_open("one_encoding_for_each_number");
    size_t decoded = 0;
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[SPOP_VARINT_MAX];
        uint8_t again[SPOP_VARINT_MAX];
        size_t size = 1 + random_below(&random, sizeof(bytes));
        for (size_t b = 0; b < size; b++)
            bytes[b] = (uint8_t)random_next(&random) | (b + 1 < size ? 0xf0 : 0);
        struct cursor c = cursor_open(slice_of(bytes, size));
        uint64_t number = spop_read_varint(&c);
        if (c.error)
            continue;
        decoded++;
        struct writer w = writer_open(again, sizeof(again));
        spop_write_varint(&w, number);
        ck_assert(slice_equal(writer_slice(&w), slice_of(bytes, (size_t)(c.position - bytes))));
    }
    ck_assert_uint_gt(decoded, 1000);
}
END_TEST

START_TEST(random_numbers_come_back)
{
    struct random random = random_open("random_numbers_come_back");
    for (int i = 0; i < 200000; i++) {
        uint8_t buffer[SPOP_VARINT_MAX];
        uint64_t number = random_next(&random);
        number >>= random_below(&random, 64);
        struct writer w = writer_open(buffer, sizeof(buffer));
        spop_write_varint(&w, number);
        struct cursor c = cursor_open(writer_slice(&w));
        ck_assert_uint_eq(spop_read_varint(&c), number);
        ck_assert(!c.error && cursor_left(&c) == 0);
    }
}
END_TEST

static bool encode(struct writer *w)
{
    spop_write_varint(w, UINT64_MAX);
    return !w->error;
}

START_TEST(writes_all_or_nothing)
{
    expect_needs_room(encode, false);
}
END_TEST

UNIT_MAIN("varint", known_bytes, above_64_bits_is_malformed, truncated, an_error_before_yields_zero,
          one_encoding_for_each_number, random_numbers_come_back, writes_all_or_nothing)
