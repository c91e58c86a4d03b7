#include "examples.h"
#include "helper.h"
#include "random.h"

START_TEST(is_compares_texts_by_bytes)
{
    static const struct example examples[] = {
        {"x", TEXT("x"), true},
        {"{ is: x }", TEXT("x"), true},
        {"x", BINARY("x"), true},
        {"x", TEXT("X"), false},
        {"x", TEXT("xx"), false},
        {"x", TEXT(""), false},
        {"''", TEXT(""), true},
        {"''", ABSENT, false},
        {"x", ABSENT, false},
        {"'null'", TEXT("null"), true},
        {"'null'", ABSENT, false},
        {"\"a\\0b\"", TEXT("a\0b"), true},
        {"\"a\\0b\"", TEXT("a"), false},
        {"no", TEXT("no"), true}, /* YAML 1.1 would make it a boolean */
        {"no", BOOLEAN(false), false},
        {"5", TEXT("5"), true},
        {"5", TEXT("05"), false},
        {"5", TEXT("5 "), false},
        {"007", TEXT("007"), true},
        {"007", TEXT("7"), false},
        {"true", TEXT("true"), true},
        {"true", TEXT("TRUE"), false},
        {"192.0.2.1", TEXT("192.0.2.1"), true},
        {"2001:db8::1", TEXT("2001:db8::1"), true},
        {"2001:db8::1", TEXT("2001:DB8::1"), false},
        {"192.0.2.1", TEXT("::ffff:192.0.2.1"), false},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

START_TEST(is_compares_typed_values_by_value)
{
    static const struct example examples[] = {
        {"5", INT32(5), true},
        {"5", UINT32(5), true},
        {"5", INT64(5), true},
        {"5", UINT64(5), true},
        {"'5'", INT64(5), true},
        {"5", INT64(-5), false},
        {"5", INT64(6), false},
        {"5", BOOLEAN(true), false},
        {"-5", INT32(-5), true},
        {"-5", INT64(-5), true},
        {"-5", INT64(5), false},
        {"0", INT64(0), true},
        {"-0", INT64(0), false},
        {"007", INT64(7), false},
        {"+7", INT64(7), false},
        {"0x10", INT64(16), false},
        {"1_000", INT64(1000), false},
        {"1.0", INT64(1), false},
        {"9223372036854775807", INT64(INT64_MAX), true},
        {"-9223372036854775808", INT64(INT64_MIN), true},
        {"18446744073709551615", UINT64(UINT64_MAX), true},
        {"18446744073709551615", INT64(-1), false},
        {"18446744073709551616", UINT64(0), false},
        {"true", BOOLEAN(true), true},
        {"true", BOOLEAN(false), false},
        {"false", BOOLEAN(false), true},
        {"false", ABSENT, false},
        {"1", BOOLEAN(true), false},
        {"192.0.2.1", IPV4(192, 0, 2, 1), true},
        {"192.0.2.1", IPV4(192, 0, 2, 2), false},
        {"192.0.2.1", MAPPED(192, 0, 2, 1), true},
        {"'::ffff:192.0.2.1'", IPV4(192, 0, 2, 1), true},
        {"'::ffff:c000:201'", MAPPED(192, 0, 2, 1), true},
        {"2001:db8::1", IPV6(1), true},
        {"2001:0DB8:0::1", IPV6(1), true},
        {"2001:db8::1", IPV6(2), false},
        {"x", INT64(0), false},
        {"x", IPV4(0), false},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

START_TEST(in_is_any_of_its_values)
{
    static const struct example examples[] = {
        {"{ in: [ GET, HEAD ] }", TEXT("GET"), true},
        {"{ in: [ GET, HEAD ] }", TEXT("HEAD"), true},
        {"{ in: [ GET, HEAD ] }", TEXT("POST"), false},
        {"{ in: [ GET, HEAD ] }", ABSENT, false},
        {"{ in: [ GET, GET ] }", TEXT("GET"), true},
        {"{ in: [ x ] }", TEXT("x"), true},
        {"{ in: [ '' ] }", TEXT(""), true},
        {"{ in: [ 401, 403, x, true, 192.0.2.1, -3 ] }", INT32(403), true},
        {"{ in: [ 401, 403, x, true, 192.0.2.1, -3 ] }", INT64(-3), true},
        {"{ in: [ 401, 403, x, true, 192.0.2.1, -3 ] }", TEXT("403"), true},
        {"{ in: [ 401, 403, x, true, 192.0.2.1, -3 ] }", BOOLEAN(true), true},
        {"{ in: [ 401, 403, x, true, 192.0.2.1, -3 ] }", BOOLEAN(false), false},
        {"{ in: [ 401, 403, x, true, 192.0.2.1, -3 ] }", MAPPED(192, 0, 2, 1), true},
        {"{ in: [ 401, 403, x, true, 192.0.2.1, -3 ] }", UINT64(402), false},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

START_TEST(prefix_and_suffix_look_at_texts)
{
    static const struct example examples[] = {
        {"{ prefix: /api }", TEXT("/api"), true},
        {"{ prefix: /api }", TEXT("/api/x"), true},
        {"{ prefix: /api }", TEXT("/ap"), false},
        {"{ prefix: /api }", TEXT(""), false},
        {"{ prefix: /api }", TEXT("x/api"), false},
        {"{ prefix: /api }", BINARY("/api/x"), true},
        {"{ prefix: [ /a, /b ] }", TEXT("/b/c"), true},
        {"{ prefix: [ /a, /b ] }", TEXT("/c"), false},
        {"{ prefix: /api }", ABSENT, false},
        {"{ prefix: 4 }", TEXT("404"), true},
        {"{ prefix: 4 }", INT64(404), false},
        {"{ prefix: t }", BOOLEAN(true), false},
        {"{ prefix: 192 }", IPV4(192, 0, 2, 1), false},
        {"{ suffix: .php }", TEXT("/x.php"), true},
        {"{ suffix: .php }", TEXT(".php"), true},
        {"{ suffix: .php }", TEXT("php"), false},
        {"{ suffix: .php }", TEXT("/x.php?"), false},
        {"{ suffix: [ .php, .cgi ] }", TEXT("/x.cgi"), true},
        {"{ suffix: [ .php, .cgi ] }", TEXT("/x.htm"), false},
        {"{ suffix: .php }", ABSENT, false},
        {"{ suffix: 4 }", INT64(404), false},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

START_TEST(cidr_looks_at_addresses)
{
    static const struct example examples[] = {
        {"{ cidr: 192.0.2.0/24 }", IPV4(192, 0, 2, 0), true},
        {"{ cidr: 192.0.2.0/24 }", IPV4(192, 0, 2, 255), true},
        {"{ cidr: 192.0.2.0/24 }", IPV4(192, 0, 1, 255), false},
        {"{ cidr: 192.0.2.0/24 }", IPV4(192, 0, 3, 0), false},
        {"{ cidr: 192.0.2.0/24 }", MAPPED(192, 0, 2, 7), true},
        {"{ cidr: 192.0.2.0/24 }", TEXT("192.0.2.7"), true},
        {"{ cidr: 192.0.2.0/24 }", BINARY("192.0.2.7"), true},
        {"{ cidr: 192.0.2.0/24 }", TEXT("::ffff:192.0.2.7"), true},
        {"{ cidr: 192.0.2.0/24 }", TEXT("192.0.2.7 "), false},
        {"{ cidr: 192.0.2.0/24 }", TEXT("192.0.2"), false},
        {"{ cidr: 192.0.2.0/24 }", TEXT(""), false},
        {"{ cidr: 192.0.2.0/24 }", ABSENT, false},
        {"{ cidr: 192.0.2.0/24 }", INT64(3221225985), false},
        {"{ cidr: 192.0.2.0/24 }", IPV6(1), false},
        {"{ cidr: 192.0.2.7 }", IPV4(192, 0, 2, 7), true},
        {"{ cidr: 192.0.2.7 }", IPV4(192, 0, 2, 6), false},
        {"{ cidr: 192.0.2.7/32 }", IPV4(192, 0, 2, 8), false},
        {"{ cidr: 0.0.0.0/0 }", IPV4(255, 255, 255, 255), true},
        {"{ cidr: 0.0.0.0/0 }", MAPPED(1), true},
        {"{ cidr: 0.0.0.0/0 }", IPV6(1), false},
        {"{ cidr: '::/0' }", IPV6(1), true},
        {"{ cidr: '::/0' }", IPV4(1), false},
        {"{ cidr: '::/0' }", MAPPED(1), false},
        {"{ cidr: '::ffff:0:0/96' }", IPV4(1), true},
        {"{ cidr: '::ffff:192.0.2.0/120' }", IPV4(192, 0, 2, 9), true},
        {"{ cidr: '::ffff:192.0.2.0/120' }", IPV4(192, 0, 3, 9), false},
        {"{ cidr: 2001:db8::/32 }", IPV6(1), true},
        {"{ cidr: 2001:db8::/32 }", TEXT("2001:db8:ffff::"), true},
        {"{ cidr: 2001:db8::/32 }", TEXT("2001:db9::"), false},
        {"{ cidr: 2001:db8::2 }", IPV6(2), true},
        {"{ cidr: 2001:db8::2 }", IPV6(3), false},
        {"{ cidr: 2001:db8::/127 }", IPV6(1), true},
        {"{ cidr: 2001:db8::/127 }", IPV6(2), false},
        {"{ cidr: [ 10.0.0.0/8, 2001:db8::/32, 192.0.2.0/25 ] }", IPV4(10, 1, 1, 1), true},
        {"{ cidr: [ 10.0.0.0/8, 2001:db8::/32, 192.0.2.0/25 ] }", IPV6(9), true},
        {"{ cidr: [ 10.0.0.0/8, 2001:db8::/32, 192.0.2.0/25 ] }", IPV4(192, 0, 2, 128), false},
        {"{ cidr: [ 10.0.0.0/8, 10.1.0.0/16, 10.0.0.0/8 ] }", IPV4(10, 2, 0, 0), true},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

START_TEST(all_conditions_must_hold)
{
    struct rules_set *set = load_rule("{ name: r, action: allow, match: { path: { prefix: /a, "
                                      "suffix: z }, method: POST } }");
    static const struct {
        const char *path, *method;
        bool holds;
    } rows[] = {
        {"/abz", "POST", true}, {"/abz", "GET", false}, {"/ab", "POST", false},
        {"abz", "POST", false}, {"/abz", NULL, false},  {NULL, "POST", false},
        {NULL, NULL, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message message = message_of(set);
        struct rules_hit hit;
        if (rows[i].path)
            give(&message, "path", text_value(rows[i].path));
        if (rows[i].method)
            give(&message, "method", text_value(rows[i].method));
        give(&message, "unread", text_value("x"));
        ck_assert_msg((match(set, -1, message.values, &hit) == 1) == rows[i].holds, "row %zu", i);
    }
    rules_free(set);
    set = load_rule("{ name: r, action: allow, match: {} }");
    struct rules_hit hit;
    ck_assert_uint_eq(match(set, -1, NULL, &hit), 1);
    rules_free(set);
}
END_TEST

/* The names of the hits, and how they were hit, in order: "a b! c- d?" for limits, an allow, a
 * deny, no key. */
static void expect_hits(const struct rules_set *set, const char *message_name,
                        const struct message *message, const char *expected)
{
    struct rules_hit hits[16];
    char text[256];
    struct writer w = writer_open(text, sizeof(text) - 1);
    int id = message_name ? rules_message(set, slice_of_string(message_name)) : -1;
    size_t count = match(set, id, message->values, hits);
    for (size_t i = 0; i < count; i++) {
        writer_bytes(&w, i ? SLICE(" ") : SLICE(""));
        writer_bytes(&w, hits[i].rule->name);
        if (hits[i].kind != RULES_HIT_LIMIT)
            writer_uint8(&w, hits[i].kind == RULES_HIT_ALLOW  ? '!'
                             : hits[i].kind == RULES_HIT_DENY ? '-'
                                                              : '?');
    }
    text[writer_size(&w)] = 0;
    ck_assert_str_eq(text, expected);
}

START_TEST(rules_apply_in_file_order_until_one_stops)
{
    struct rules_set *set =
        load("listen: :0\n"
             "rules:\n"
             "  - { name: first, key: [ src ], limits: { limit: 1, window: 1s } }\n"
             "  - { name: probes, match: { path: /health }, action: allow }\n"
             "  - { name: second, key: [ user ], limits: { limit: 1, window: 1s } }\n"
             "  - { name: all, key: [], limits: { limit: 1, window: 1s } }\n"
             "  - { name: internal, match: { path: { prefix: /i } }, action: allow }\n"
             "  - { name: blocked, match: { path: { prefix: /b } }, action: deny }\n"
             "  - { name: last, key: [ src, path ], limits: { limit: 1, window: 1s } }\n");
    struct message message = message_of(set);
    expect_hits(set, NULL, &message, "first? second? all last?");
    give(&message, "src", text_value("s"));
    expect_hits(set, NULL, &message, "first second? all last?");
    give(&message, "path", text_value("/x"));
    expect_hits(set, NULL, &message, "first second? all last");
    give(&message, "user", text_value(""));
    expect_hits(set, NULL, &message, "first second all last");
    give(&message, "path", text_value("/i"));
    expect_hits(set, NULL, &message, "first second all internal!");
    give(&message, "path", text_value("/b"));
    expect_hits(set, NULL, &message, "first second all blocked-");
    give(&message, "path", text_value("/health"));
    expect_hits(set, NULL, &message, "first probes!");
    rules_free(set);
}
END_TEST

START_TEST(rules_serve_their_message_or_all)
{
    struct rules_set *set =
        load("listen: :0\n"
             "rules:\n"
             "  - { name: a, message: one, key: [], limits: { limit: 1, window: 1s } }\n"
             "  - { name: b, key: [], limits: { limit: 1, window: 1s } }\n"
             "  - { name: c, message: two, key: [], limits: { limit: 1, window: 1s } }\n"
             "  - { name: d, message: one, key: [], limits: { limit: 1, window: 1s } }\n"
             "  - { name: e, message: two, action: allow }\n"
             "  - { name: f, key: [], limits: { limit: 1, window: 1s } }\n");
    struct message message = message_of(set);
    expect_hits(set, "one", &message, "a b d f");
    expect_hits(set, "two", &message, "b c e!");
    expect_hits(set, "three", &message, "b f");
    expect_hits(set, NULL, &message, "b f");
    ck_assert_int_eq(rules_message(set, SLICE("three")), -1);
    ck_assert_int_eq(rules_message(set, SLICE("on")), -1);
    /* What no set can have given out. */
    struct rules_hit hits[6];
    ck_assert_uint_eq(match(set, RULES_MAX_MESSAGES, message.values, hits), 2);
    ck_assert_uint_eq(match(set, INT32_MIN, message.values, hits), 2);
    rules_free(set);
}
END_TEST

/* ---- against a naive reference ------------------------------------------------------------- */

#define LIST_MAX 40

/* A short text of few letters, so that prefixes, suffixes and equals happen. */
static size_t random_text(struct random *random, char *text)
{
    size_t size = (size_t)random_below(random, 6);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + random_below(random, 3));
    text[size] = 0;
    return size;
}

START_TEST(text_operators_agree_with_a_loop)
{
    static const char *const operators[] = {"in", "prefix", "suffix"};
    struct random random = random_open("text operators");
    for (int round = 0; round < 1000; round++) {
        char list[LIST_MAX][8];
        char yaml[LIST_MAX * 12 + 64];
        size_t which = (size_t)random_below(&random, 3);
        size_t count = 1 + (size_t)random_below(&random, LIST_MAX);
        int at = snprintf(yaml, sizeof(yaml), "{ %s: [ ", operators[which]);
        for (size_t i = 0; i < count; i++) {
            while (random_text(&random, list[i]) == 0 && which > 0)
                ; /* an empty prefix is refused */
            at += snprintf(yaml + at, sizeof(yaml) - (size_t)at, "'%s', ", list[i]);
        }
        snprintf(yaml + at, sizeof(yaml) - (size_t)at, "] }");
        struct rules_set *set = load_condition(yaml);
        for (int i = 0; i < 20; i++) {
            char text[8];
            size_t size = random_text(&random, text);
            bool expected = false;
            for (size_t k = 0; k < count; k++) {
                size_t length = strlen(list[k]);
                expected |= which == 0 ? strcmp(text, list[k]) == 0
                            : which == 1
                                ? strncmp(text, list[k], length) == 0
                                : size >= length && strcmp(text + size - length, list[k]) == 0;
            }
            ck_assert_msg(applies(set, "a", text_value(text)) == expected, "%s with %s", yaml,
                          text);
        }
        rules_free(set);
    }
}
END_TEST

/* An address among few, so that networks contain it; half of them IPv6. */
static struct value random_address(struct random *random)
{
    struct value value = {.type = random_below(random, 2) ? VALUE_IPV4 : VALUE_IPV6};
    size_t size = value.type == VALUE_IPV4 ? 4 : 16;
    for (size_t i = 0; i < size; i++)
        value.address[i] = (uint8_t)(random_below(random, 3) ? 0xa0 : random_next(random));
    return value;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++)
        if ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1)
            return false;
    return true;
}

START_TEST(cidr_agrees_with_comparing_bits)
{
    struct random random = random_open("cidr");
    for (int round = 0; round < 1000; round++) {
        struct value networks[LIST_MAX];
        unsigned prefixes[LIST_MAX];
        char yaml[LIST_MAX * 60 + 64];
        struct writer w = writer_open(yaml, sizeof(yaml) - 1);
        size_t count = 1 + (size_t)random_below(&random, LIST_MAX);
        writer_bytes(&w, SLICE("{ cidr: [ "));
        for (size_t i = 0; i < count; i++) {
            networks[i] = random_address(&random);
            unsigned bits = networks[i].type == VALUE_IPV4 ? 32 : 128;
            prefixes[i] = (unsigned)random_below(&random, bits + 1);
            for (unsigned bit = prefixes[i]; bit < bits; bit++)
                networks[i].address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
            writer_uint8(&w, '\'');
            value_print(&networks[i], &w);
            writer_uint8(&w, '/');
            writer_decimal(&w, prefixes[i]);
            writer_bytes(&w, SLICE("', "));
        }
        writer_bytes(&w, SLICE("] }\0"));
        ck_assert_int_eq(w.error, ERROR_NONE);
        struct rules_set *set = load_condition(yaml);
        for (int i = 0; i < 30; i++) {
            struct value value = random_address(&random);
            bool expected = false;
            for (size_t k = 0; k < count; k++)
                expected |= networks[k].type == value.type &&
                            same_bits(networks[k].address, value.address, prefixes[k]);
            ck_assert_msg(applies(set, "a", value) == expected, "%s", yaml);
        }
        rules_free(set);
    }
}
END_TEST

START_TEST(in_finds_numbers_as_a_loop_does)
{
    struct random random = random_open("numbers");
    for (int round = 0; round < 500; round++) {
        int64_t list[LIST_MAX];
        char yaml[LIST_MAX * 24 + 64];
        size_t count = 1 + (size_t)random_below(&random, LIST_MAX);
        int at = snprintf(yaml, sizeof(yaml), "{ in: [ ");
        for (size_t i = 0; i < count; i++) {
            list[i] = (int64_t)random_below(&random, 64) - 32;
            at += snprintf(yaml + at, sizeof(yaml) - (size_t)at, "%" PRId64 ", ", list[i]);
        }
        snprintf(yaml + at, sizeof(yaml) - (size_t)at, "] }");
        struct rules_set *set = load_condition(yaml);
        for (int64_t number = -33; number <= 32; number++) {
            bool expected = false;
            for (size_t k = 0; k < count; k++)
                expected |= list[k] == number;
            ck_assert(applies(set, "a", int_value(number)) == expected);
            char text[24];
            snprintf(text, sizeof(text), "%" PRId64, number);
            ck_assert(applies(set, "a", text_value(text)) == expected);
        }
        rules_free(set);
    }
}
END_TEST

UNIT_MAIN("match", is_compares_texts_by_bytes, is_compares_typed_values_by_value,
          in_is_any_of_its_values, prefix_and_suffix_look_at_texts, cidr_looks_at_addresses,
          all_conditions_must_hold, rules_apply_in_file_order_until_one_stops,
          rules_serve_their_message_or_all, text_operators_agree_with_a_loop,
          cidr_agrees_with_comparing_bits, in_finds_numbers_as_a_loop_does)
