#include "agent/store/slots.h"
#include "main.h"
#include "random.h"

/* ---- CRC ----------------------------------------------------------------------------------- */

/* By the polynomial's definition, bit by bit. */
static uint16_t crc_by_definition(struct slice s)
{
    unsigned crc = 0;
    for (size_t i = 0; i < s.size; i++) {
        crc ^= (unsigned)s.data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
    }
    return (uint16_t)crc;
}

START_TEST(crc_of_the_published_vector)
{
    /* The check value of CRC-16/XMODEM, and the specification's own example. */
    ck_assert_uint_eq(slots_crc16(SLICE("123456789")), 0x31c3);
    ck_assert_uint_eq(slots_crc16(SLICE("")), 0);
    ck_assert_uint_eq(slots_crc16(slice_of(NULL, 0)), 0);
}
END_TEST

START_TEST(crc_by_table_is_crc_by_definition)
{
    for (unsigned i = 0; i < 0x10000; i++) {
        uint8_t bytes[] = {(uint8_t)(i >> 8), (uint8_t)i};
        struct slice both = slice_of(bytes, sizeof(bytes));
        struct slice one = slice_of(bytes, 1);
        ck_assert_uint_eq(slots_crc16(both), crc_by_definition(both));
        ck_assert_uint_eq(slots_crc16(one), crc_by_definition(one));
    }
    struct random random = random_open("crc_by_table_is_crc_by_definition");
    for (int n = 0; n < 10000; n++) {
        uint8_t bytes[100];
        size_t size = random_below(&random, sizeof(bytes) + 1);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_next(&random);
        struct slice s = slice_of(bytes, size);
        ck_assert_uint_eq(slots_crc16(s), crc_by_definition(s));
    }
}
END_TEST

/* ---- tags and slots ------------------------------------------------------------------------ */

/* The slots are what CLUSTER KEYSLOT of Redis 7.0.15 answers. */
static const struct {
    struct slice key;
    struct slice tag;
    unsigned slot;
} keys[] = {
    {SLICE(""), SLICE(""), 0},
    {SLICE("a"), SLICE("a"), 15495},
    {SLICE("foo"), SLICE("foo"), 12182},
    {SLICE("123456789"), SLICE("123456789"), 12739},
    {SLICE("user1000"), SLICE("user1000"), 3443},
    {SLICE("{user1000}.following"), SLICE("user1000"), 3443},
    {SLICE("{user1000}.followers"), SLICE("user1000"), 3443},
    {SLICE("foo{}{bar}"), SLICE("foo{}{bar}"), 8363},
    {SLICE("foo{{bar}}zap"), SLICE("{bar"), 4015},
    {SLICE("{bar"), SLICE("{bar"), 4015},
    {SLICE("foo{bar}{zap}"), SLICE("bar"), 5061},
    {SLICE("bar"), SLICE("bar"), 5061},
    {SLICE("{}"), SLICE("{}"), 15257},
    {SLICE("{"), SLICE("{"), 4092},
    {SLICE("}"), SLICE("}"), 12090},
    {SLICE("}{"), SLICE("}{"), 12793},
    {SLICE("{a}"), SLICE("a"), 15495},
    {SLICE("}{a}"), SLICE("a"), 15495},
    {SLICE("{a"), SLICE("{a"), 10276},
    {SLICE("a}"), SLICE("a}"), 5921},
    {SLICE("{{a}"), SLICE("{a"), 10276},
    {SLICE("{}a"), SLICE("{}a"), 10875},
    {SLICE("x{a}"), SLICE("a"), 15495},
    {SLICE("x{a}y}"), SLICE("a"), 15495},
    {SLICE("x}{a}y"), SLICE("a"), 15495},
    {SLICE("sluice:{192.0.2.1}:login:0"), SLICE("192.0.2.1"), 15765},
    {SLICE("sluice:{192.0.2.1}:api:1:29166666"), SLICE("192.0.2.1"), 15765},
    {SLICE("192.0.2.1"), SLICE("192.0.2.1"), 15765},
    {SLICE("sluice:{2001:db8::/64}:login:0"), SLICE("2001:db8::/64"), 26},
    {SLICE("2001:db8::/64"), SLICE("2001:db8::/64"), 26},
    {SLICE("\000"), SLICE("\000"), 0},
    {SLICE("\000\000"), SLICE("\000\000"), 0},
    {SLICE("{\000}"), SLICE("\000"), 0},
    {SLICE("\377\376{\200}\377"), SLICE("\200"), 4488},
    {SLICE("\200"), SLICE("\200"), 4488},
};

START_TEST(tags_and_slots_are_those_of_redis)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        ck_assert_msg(slice_equal(slots_tag(keys[i].key), keys[i].tag), "%.*s: tag %.*s",
                      SLICE_ARGS(keys[i].key), SLICE_ARGS(slots_tag(keys[i].key)));
        ck_assert_msg(slots_of(keys[i].key) == keys[i].slot, "%.*s: slot %u",
                      SLICE_ARGS(keys[i].key), slots_of(keys[i].key));
    }
}
END_TEST

START_TEST(no_bytes_at_all_are_a_key)
{
    ck_assert_uint_eq(slots_tag(slice_of(NULL, 0)).size, 0);
    ck_assert_uint_eq(slots_of(slice_of(NULL, 0)), 0);
}
END_TEST

/* The tag is looked for within the slice, not within what lies after it. */
START_TEST(a_tag_does_not_run_past_the_key)
{
    static const uint8_t bytes[] = "ab{cd}";
    for (size_t size = 0; size < 6; size++)
        ck_assert(slice_equal(slots_tag(slice_of(bytes, size)), slice_of(bytes, size)));
    ck_assert(slice_equal(slots_tag(slice_of(bytes, 6)), SLICE("cd")));
}
END_TEST

START_TEST(ten_thousand_keys_have_the_slots_of_redis)
{
    static const char alphabet[8] = {'{', '}', 'a', 'b', '\0', '\xff', '0', ':'};
    struct random random = {1};
    uint64_t sum = 0;
    for (int n = 0; n < 10000; n++) {
        char key[24];
        size_t size = random_below(&random, sizeof(key));
        for (size_t i = 0; i < size; i++)
            key[i] = alphabet[random_below(&random, sizeof(alphabet))];
        sum = sum * 31 + slots_of(slice_of(key, size));
    }
    /* The sum of what CLUSTER KEYSLOT of Redis 7.0.15 answers for the same keys. */
    ck_assert_uint_eq(sum, UINT64_C(14015244829376837946));
}
END_TEST

UNIT_MAIN("slots", crc_of_the_published_vector, crc_by_table_is_crc_by_definition,
          tags_and_slots_are_those_of_redis, no_bytes_at_all_are_a_key,
          a_tag_does_not_run_past_the_key, ten_thousand_keys_have_the_slots_of_redis)
