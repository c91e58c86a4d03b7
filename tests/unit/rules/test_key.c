#include "helper.h"
#include "random.h"

/* The hash of the one rule's key for up to two arguments, a and b; NULL leaves one out. */
static struct hash128 subject_of(const struct rules_set *set, const struct value *a,
                                 const struct value *b)
{
    struct message message = message_of(set);
    struct rules_hit hit;
    if (a)
        give(&message, "a", *a);
    if (b)
        give(&message, "b", *b);
    ck_assert_uint_eq(match(set, -1, message.values, &hit), 1);
    ck_assert_int_eq(hit.kind, RULES_HIT_LIMIT);
    return hit.subject;
}

static bool has_key(const struct rules_set *set, struct value a)
{
    struct message message = message_of(set);
    struct rules_hit hit;
    give(&message, "a", a);
    ck_assert_uint_eq(match(set, -1, message.values, &hit), 1);
    return hit.kind == RULES_HIT_LIMIT;
}

static struct rules_set *load_key(const char *key)
{
    return load_rule("{ name: r, key: %s, limits: { limit: 1, window: 1s } }\n", key);
}

/* Whether two values of `a` are counted together. */
static bool together(const struct rules_set *set, struct value x, struct value y)
{
    return hash128_equal(subject_of(set, &x, NULL), subject_of(set, &y, NULL));
}

START_TEST(values_are_counted_by_value)
{
    struct rules_set *set = load_key("[ a ]");
    struct value int32 = {.type = VALUE_INT32, .integer = 5};
    struct value uint64 = {.type = VALUE_UINT64, .natural = 5};
    struct value binary = {.type = VALUE_BINARY, .bytes = SLICE("x")};
    ck_assert(together(set, text_value("x"), text_value("x")));
    ck_assert(!together(set, text_value("x"), text_value("X")));
    ck_assert(!together(set, text_value("x"), text_value("")));
    ck_assert(together(set, text_value("x"), binary));
    ck_assert(together(set, int32, uint64));
    ck_assert(together(set, int_value(5), uint64));
    ck_assert(!together(set, int_value(5), int_value(-5)));
    ck_assert(!together(set, int_value(5), text_value("5")));
    struct value same_bits = {.type = VALUE_UINT64, .natural = (uint64_t)-5};
    ck_assert(!together(set, int_value(-5), same_bits));
    ck_assert(!together(set, int_value(1), bool_value(true)));
    ck_assert(!together(set, bool_value(false), bool_value(true)));
    ck_assert(!together(set, bool_value(true), text_value("true")));
    ck_assert(together(set, address_value("192.0.2.1"), mapped_value("192.0.2.1")));
    ck_assert(!together(set, address_value("192.0.2.1"), address_value("192.0.2.2")));
    /* Without a prefix length, a text that looks like an address is a text. */
    ck_assert(!together(set, address_value("192.0.2.1"), text_value("192.0.2.1")));
    ck_assert(!together(set, text_value("2001:db8::1"), text_value("2001:DB8::1")));
    rules_free(set);
}
END_TEST

START_TEST(one_prefix_length_is_ipv6s)
{
    struct rules_set *set = load_key("a/64");
    ck_assert(together(set, address_value("2001:db8::1"), address_value("2001:db8::ffff:1:2:3")));
    ck_assert(!together(set, address_value("2001:db8::1"), address_value("2001:db8:0:1::1")));
    ck_assert(!together(set, address_value("192.0.2.1"), address_value("192.0.2.2")));
    ck_assert(together(set, address_value("192.0.2.1"), mapped_value("192.0.2.1")));
    ck_assert(together(set, address_value("192.0.2.1"), text_value("192.0.2.1")));
    ck_assert(together(set, address_value("192.0.2.1"), text_value("::ffff:192.0.2.1")));
    ck_assert(together(set, address_value("2001:db8::1"), text_value("2001:DB8::2")));
    /* 1.0.0.0 and 100:: begin alike. */
    ck_assert(!together(set, address_value("1.0.0.0"), address_value("100::")));
    rules_free(set);
}
END_TEST

START_TEST(two_prefix_lengths_are_ipv4s_and_ipv6s)
{
    struct rules_set *set = load_key("[ a/23/48 ]");
    ck_assert(together(set, address_value("192.0.2.1"), address_value("192.0.3.255")));
    ck_assert(!together(set, address_value("192.0.2.1"), address_value("192.0.4.1")));
    ck_assert(together(set, mapped_value("192.0.2.1"), address_value("192.0.3.1")));
    ck_assert(together(set, address_value("2001:db8:0:1::"), address_value("2001:db8:0:2::")));
    ck_assert(!together(set, address_value("2001:db8:0:1::"), address_value("2001:db8:1:1::")));
    rules_free(set);

    set = load_key("[ a/32/128 ]");
    ck_assert(!together(set, address_value("192.0.2.0"), address_value("192.0.2.1")));
    ck_assert(!together(set, address_value("2001:db8::"), address_value("2001:db8::1")));
    rules_free(set);

    set = load_key("[ a/1/1 ]");
    ck_assert(together(set, address_value("0.0.0.0"), address_value("127.255.255.255")));
    ck_assert(!together(set, address_value("0.0.0.0"), address_value("128.0.0.0")));
    ck_assert(!together(set, address_value("::"), address_value("8000::")));
    ck_assert(!together(set, address_value("::"), address_value("0.0.0.0")));
    rules_free(set);
}
END_TEST

START_TEST(masks_agree_with_bits)
{
    struct random random = random_open("masks");
    for (int round = 0; round < 300; round++) {
        unsigned prefix = 33 + (unsigned)random_below(&random, 96);
        char key[16];
        snprintf(key, sizeof(key), "a/%u", prefix);
        struct rules_set *set = load_key(key);
        struct value address = {.type = VALUE_IPV6};
        for (size_t i = 0; i < 16; i++)
            address.address[i] = (uint8_t)random_next(&random);
        for (unsigned bit = 0; bit < 128; bit++) {
            struct value other = address;
            other.address[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
            ck_assert_msg(together(set, address, other) == (bit >= prefix), "/%u, bit %u", prefix,
                          bit);
        }
        rules_free(set);
    }
}
END_TEST

START_TEST(a_key_is_absent_when_an_argument_is)
{
    struct rules_set *set = load_key("[ a ]");
    ck_assert(!has_key(set, (struct value){.type = VALUE_NULL}));
    ck_assert(has_key(set, text_value("")));
    ck_assert(has_key(set, bool_value(false)));
    ck_assert(has_key(set, int_value(0)));
    rules_free(set);

    set = load_key("[ a/64 ]");
    ck_assert(!has_key(set, (struct value){.type = VALUE_NULL}));
    ck_assert(!has_key(set, text_value("")));
    ck_assert(!has_key(set, text_value("unknown")));
    ck_assert(!has_key(set, text_value("192.0.2.1:80")));
    ck_assert(!has_key(set, text_value("192.0.2.1, 192.0.2.2")));
    ck_assert(!has_key(set, int_value(1)));
    ck_assert(!has_key(set, bool_value(true)));
    ck_assert(has_key(set, text_value("192.0.2.1")));
    rules_free(set);

    set = load_key("[ a, b ]"); /* b never given */
    ck_assert(!has_key(set, text_value("x")));
    rules_free(set);
}
END_TEST

START_TEST(lists_of_values_are_unambiguous)
{
    struct rules_set *set = load_key("[ a, b ]");
    static const char *const texts[] = {"", "a", "ab", "abc", "b", "bc", "c", "a\x01"};
    struct hash128 seen[64];
    size_t count = 0;
    for (size_t i = 0; i < 8; i++) {
        for (size_t k = 0; k < 8; k++) {
            struct value a = text_value(texts[i]);
            struct value b = text_value(texts[k]);
            seen[count] = subject_of(set, &a, &b);
            for (size_t s = 0; s < count; s++)
                ck_assert_msg(!hash128_equal(seen[s], seen[count]), "(%s, %s)", texts[i], texts[k]);
            count++;
        }
    }
    /* The bytes that one type is written as, in another. */
    struct value number = {.type = VALUE_UINT64, .natural = UINT64_C(0x6162636465666768)};
    struct value text = text_value("abcdefgh");
    struct value empty = text_value("");
    struct hash128 x = subject_of(set, &number, &empty);
    struct hash128 y = subject_of(set, &text, &empty);
    ck_assert(!hash128_equal(x, y));
    rules_free(set);
}
END_TEST

START_TEST(an_empty_key_counts_all_together)
{
    struct rules_set *set = load_rule("{ name: r, match: { a: { prefix: x } }, key: [], limits: { "
                                      "limit: 1, window: 1s } }");
    ck_assert(together(set, text_value("x"), text_value("xy")));
    rules_free(set);
}
END_TEST

START_TEST(long_values_are_counted_whole)
{
    static uint8_t bytes[1 << 16];
    struct rules_set *set = load_key("[ a ]");
    struct value value = {.type = VALUE_STRING, .bytes = slice_of(bytes, sizeof(bytes))};
    struct hash128 before = subject_of(set, &value, NULL);
    bytes[sizeof(bytes) - 1] = 1;
    ck_assert(!hash128_equal(before, subject_of(set, &value, NULL)));
    rules_free(set);
}
END_TEST

START_TEST(the_seed_is_what_makes_keys)
{
    static const char text[] = "listen: :0\nrules: [ { name: r, key: a, limits: { limit: 1, "
                               "window: 1s } } ]\n";
    struct rules_set *one = load_with_seed(text, 1);
    struct rules_set *again = load_with_seed(text, 1);
    struct rules_set *two = load_with_seed(text, 2);
    struct value value = text_value("x");
    struct hash128 subject = subject_of(one, &value, NULL);
    ck_assert(hash128_equal(subject, subject_of(again, &value, NULL)));
    ck_assert(!hash128_equal(subject, subject_of(two, &value, NULL)));
    ck_assert(hash128_equal(one->rules[0].limits[0].identity, again->rules[0].limits[0].identity));
    ck_assert(!hash128_equal(one->rules[0].limits[0].identity, two->rules[0].limits[0].identity));
    rules_free(one);
    rules_free(again);
    rules_free(two);
}
END_TEST

/* The key of the first limit of the last rule, for a = "x". */
static struct hash128 key_of(const char *rules)
{
    char text[1024];
    snprintf(text, sizeof(text), "listen: :0\nrules: [ %s ]\n", rules);
    struct rules_set *set = load(text);
    struct message message = message_of(set);
    struct rules_hit hits[4];
    give(&message, "a", text_value("x"));
    size_t count = match(set, -1, message.values, hits);
    ck_assert_uint_ge(count, 1);
    struct hash128 key = rules_key(&hits[count - 1].rule->limits[0], hits[count - 1].subject);
    rules_free(set);
    return key;
}

START_TEST(a_reload_that_changes_units_goes_on_counting)
{
    struct hash128 key = key_of("{ name: r, key: a, limits: { limit: 1, window: 1s } }");
    static const char *const same[] = {
        "{ name: r, key: a, limits: { limit: 1000, window: 1s } }",
        "{ name: r, key: a, limits: { limit: 0, window: 1000ms, name: other } }",
        "{ name: r, key: a, on_store_error: deny, limits: { limit: 1, window: 1s } }",
        "{ name: r, key: a, match: { a: x }, limits: { limit: 1, window: 1s } }",
        "{ name: r, key: a, limits: [ { limit: 1, window: 1s }, { limit: 5, window: 1h } ] }",
        ("{ name: q, action: allow, match: { a: y } }, "
         "{ name: r, key: a, limits: { limit: 1, window: 1s, algorithm: sliding-window } }"),
    };
    static const char *const other[] = {
        "{ name: s, key: a, limits: { limit: 1, window: 1s } }",
        "{ name: r, key: a, limits: { limit: 1, window: 2s } }",
        /* 2^32 * 125 microseconds longer */
        "{ name: r, key: a, limits: { limit: 1, window: 536871912ms } }",
        "{ name: r, key: a, limits: { limit: 1, window: 1s, algorithm: fixed-window } }",
        "{ name: r, key: a, limits: [ { limit: 1, window: 1h }, { limit: 1, window: 1s } ] }",
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        ck_assert_msg(hash128_equal(key, key_of(same[i])), "%s", same[i]);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        ck_assert_msg(!hash128_equal(key, key_of(other[i])), "%s", other[i]);
    ck_assert(hash128_equal(
        key_of("{ name: r, key: a, limits: { limit: 1, window: 1s, algorithm: token-bucket } }"),
        key_of("{ name: r, key: a, limits: { limit: 9, window: 1s, algorithm: token-bucket, "
               "burst: 3 } }")));
}
END_TEST

UNIT_MAIN("key", values_are_counted_by_value, one_prefix_length_is_ipv6s,
          two_prefix_lengths_are_ipv4s_and_ipv6s, masks_agree_with_bits,
          a_key_is_absent_when_an_argument_is, lists_of_values_are_unambiguous,
          an_empty_key_counts_all_together, long_values_are_counted_whole,
          the_seed_is_what_makes_keys, a_reload_that_changes_units_goes_on_counting)
