/* Subjects and limits as text. The text is what agents of several versions share in a store: the
 * vectors here are the format, and were made by another program. */
#include <inttypes.h>

#include "agent/store/slots.h"
#include "helper.h"
#include "random.h"

struct text {
    size_t size;
    char bytes[RULES_SUBJECT_MAX + 1];
};

static struct text text_of(const struct rules_set *set, const struct value *values)
{
    struct text text = {0};
    struct writer w = writer_open(text.bytes, sizeof(text.bytes) - 1);
    rules_subject_text(&set->rules[0], values, &w);
    ck_assert_int_eq(w.error, ERROR_NONE);
    text.size = writer_size(&w);
    return text;
}

static struct rules_set *load_key(const char *key)
{
    return load_rule("{ name: r, key: %s, limits: { limit: 1, window: 1s } }\n", key);
}

/* The text of a rule with one argument. */
static void expect_text(const char *key, struct value value, const char *expected)
{
    struct rules_set *set = load_key(key);
    struct text text = text_of(set, &value);
    ck_assert_str_eq(text.bytes, expected);
    rules_free(set);
}

static struct value bytes_value(enum value_type type, const void *bytes, size_t size)
{
    return (struct value){.type = type, .bytes = slice_of(bytes, size)};
}

static struct value repeated(char c, size_t count)
{
    static char bytes[8][1 << 16];
    static size_t next;
    char *at = bytes[next++ % 8];
    memset(at, c, count);
    return bytes_value(VALUE_STRING, at, count);
}

#define A31 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B31 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C27 "ccccccccccccccccccccccccccc"

START_TEST(numbers_and_bools)
{
    expect_text("a", int_value(0), "0");
    expect_text("a", int_value(7), "7");
    expect_text("a", int_value(-7), "-7");
    expect_text("a", int_value(INT64_MIN), "-9223372036854775808");
    expect_text("a", int_value(INT64_MAX), "9223372036854775807");
    expect_text("a", (struct value){.type = VALUE_INT32, .integer = -1}, "-1");
    expect_text("a", (struct value){.type = VALUE_UINT32, .natural = 7}, "7");
    expect_text("a", (struct value){.type = VALUE_UINT64, .natural = UINT64_MAX},
                "18446744073709551615");
    expect_text("a", bool_value(true), "true");
    expect_text("a", bool_value(false), "false");
}
END_TEST

START_TEST(addresses)
{
    expect_text("a", address_value("192.0.2.1"), "192.0.2.1");
    expect_text("a", mapped_value("192.0.2.1"), "192.0.2.1");
    expect_text("a/64", address_value("255.255.255.255"), "255.255.255.255");
    expect_text("a/32/64", address_value("192.0.2.1"), "192.0.2.1");
    expect_text("a/24/64", address_value("192.0.2.1"), "192.0.2.0/24");
    expect_text("a/24/64", mapped_value("192.0.2.1"), "192.0.2.0/24");
    expect_text("a/24/64", text_value("192.0.2.1"), "192.0.2.0/24");
    expect_text("a/1/1", address_value("255.0.0.0"), "128.0.0.0/1");
    expect_text("a/64", address_value("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    expect_text("a/64", text_value("2001:DB8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    expect_text("a/127", address_value("2001:db8::f"), "2001:db8::e/127");
    expect_text("a/128", address_value("2001:db8::f"), "2001:db8::f");
    expect_text("a/1/1", address_value("ffff::"), "8000::/1");
}
END_TEST

/* RFC 5952, section 4; and no dots but for what is an IPv4 address. */
START_TEST(ipv6_addresses)
{
    static const char *const same[] = {
        "::",
        "::1",
        "1::",
        "1::1",
        "0:1::",
        "2001:db8::1",
        "1:2:3:4:5:6:7:8",
        "1:0:3:4:5:6:7:8",
        "0:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:0",
        "1:2:3:4:5:6::",
        "::3:4:5:6:7:8",
        "1::4:5:0:0:8",
        "1:0:0:4::8",
        "1:0:3:4:5:6:7:0",
        "ff00:a0b:c:d0:1000:100:10:1",
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        expect_text("a", address_value(same[i]), same[i]);
    expect_text("a", address_value("::192.0.2.1"), "::c000:201");
    expect_text("a", address_value("64:ff9b::192.0.2.1"), "64:ff9b::c000:201");
    expect_text("a", address_value("::fffe:192.0.2.1"), "::fffe:c000:201");
}
END_TEST

START_TEST(texts_of_texts)
{
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    expect_text("a", text_value(""), "=");
    expect_text("a", text_value("acme"), "=acme");
    expect_text("a", text_value("7"), "=7");
    expect_text("a", text_value("true"), "=true");
    expect_text("a", text_value("192.0.2.1"), "=192.0.2.1");
    expect_text("a", text_value("::1"), "=%3A%3A1");
    expect_text("a", text_value("*"), "=%2A");
    expect_text("a", text_value("\xc3\xa9"), "=%C3%A9");
    expect_text("a", bytes_value(VALUE_BINARY, "a\0b", 3), "=a%00b");
    expect_text("a", bytes_value(VALUE_STRING, bytes, 16),
                "=%00%01%02%03%04%05%06%07%08%09%0A%0B%0C%0D%0E%0F");
    expect_text("a", bytes_value(VALUE_STRING, bytes + 0x20, 16),
                "=%20%21%22%23%24%25&%27%28%29%2A+%2C-./");
    expect_text("a", bytes_value(VALUE_STRING, &bytes['0'], 17), "=0123456789%3A;%3C=%3E?@");
    expect_text("a", bytes_value(VALUE_STRING, &bytes['A'], 32),
                "=ABCDEFGHIJKLMNOPQRSTUVWXYZ%5B%5C%5D%5E_%60");
    expect_text("a", bytes_value(VALUE_STRING, &bytes['a'], 31),
                "=abcdefghijklmnopqrstuvwxyz%7B%7C%7D~%7F");
    expect_text("a", bytes_value(VALUE_STRING, bytes + 0xf8, 8), "=%F8%F9%FA%FB%FC%FD%FE%FF");
}
END_TEST

START_TEST(long_texts_are_cut)
{
    char bytes[64];
    expect_text("a", repeated('a', 64), "=" A31 A31 "aa");
    expect_text("a", repeated('a', 65), "=" A31 "#635361c48bb9eab14198e76ea8ab7f1a");
    expect_text("a", repeated('a', 65536), "=" A31 "#bf718b6f653bebc184e1479f1935b8da");
    /* 64 is of what is written; an escape is not cut in two. */
    expect_text("a", repeated('%', 21),
                "=%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25");
    expect_text("a", repeated('%', 22),
                "=%25%25%25%25%25%25%25%25%25%25#d86295861baa361ea087df14ded7abc9");
    memset(bytes, '%', sizeof(bytes));
    memset(bytes, 'a', 30);
    expect_text("a", bytes_value(VALUE_STRING, bytes, 42),
                "=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#faf7a4dd9174ddfeedb414e6fcc21bdd");
    expect_text("a", bytes_value(VALUE_BINARY, bytes + 1, 41),
                "=aaaaaaaaaaaaaaaaaaaaaaaaaaaaa#baf5ed012d7c745d357d9617639dd1ad");
}
END_TEST

START_TEST(parts_are_joined_and_the_whole_is_cut)
{
    struct rules_set *set = load_key("[ a, b, c/64 ]");
    struct message message = message_of(set);
    give(&message, "a", repeated('a', 64));
    give(&message, "b", repeated('b', 64));
    give(&message, "c", address_value("2001:db8:1234:5678::1"));
    ck_assert_str_eq(text_of(set, message.values).bytes,
                     "=" A31 A31 "aa,=" B31 B31 "bb,2001:db8:1234:5678::/64");
    give(&message, "a", bool_value(true));
    give(&message, "b", int_value(-5));
    ck_assert_str_eq(text_of(set, message.values).bytes, "true,-5,2001:db8:1234:5678::/64");
    rules_free(set);

    set = load_key("[ a, b, c ]");
    message = message_of(set);
    give(&message, "a", repeated('a', 64));
    give(&message, "b", repeated('b', 64));
    give(&message, "c", repeated('c', 27));
    struct text text = text_of(set, message.values);
    ck_assert_str_eq(text.bytes, "=" A31 A31 "aa,=" B31 B31 "bb,=" C27);
    ck_assert_uint_eq(text.size, RULES_SUBJECT_MAX);
    give(&message, "c", repeated('c', 28));
    text = text_of(set, message.values);
    ck_assert_str_eq(text.bytes, "=" A31 A31 "aa,=" B31 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
                                 "!f4ff62de8fc8db4f85391ef8ac374251");
    ck_assert_uint_eq(text.size, RULES_SUBJECT_MAX);
    give(&message, "a", repeated('x', 70));
    give(&message, "b", repeated('y', 70));
    give(&message, "c", repeated('z', 70));
    ck_assert_str_eq(text_of(set, message.values).bytes,
                     "=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx#c71bd109227e23434ecf71fd0a344a20,"
                     "=yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy#a76b8d1930534c3d2d4d45acad26"
                     "!fb2e3a6a195744c5f947fd131cc78532");
    rules_free(set);
}
END_TEST

START_TEST(a_rule_without_key_counts_all)
{
    struct rules_set *set = load_key("[]");
    ck_assert_str_eq(text_of(set, NULL).bytes, "*");
    rules_free(set);
}
END_TEST

START_TEST(a_writer_without_room_gets_nothing)
{
    struct rules_set *set = load_key("[ a ]");
    struct value value = text_value("acme");
    char buffer[8] = "........";
    struct writer w = writer_open(buffer, 4);
    rules_subject_text(&set->rules[0], &value, &w);
    ck_assert_int_eq(w.error, ERROR_NO_ROOM);
    ck_assert_uint_eq(writer_size(&w), 0);
    ck_assert_int_eq(memcmp(buffer, "........", sizeof(buffer)), 0);
    w = writer_open(buffer, 5);
    rules_subject_text(&set->rules[0], &value, &w);
    ck_assert_int_eq(w.error, ERROR_NONE);
    ck_assert_int_eq(memcmp(buffer, "=acme...", sizeof(buffer)), 0);
    rules_free(set);
}
END_TEST

/* ---- properties ---------------------------------------------------------------------------- */

/* Texts that are alike for long, or look like what others are written as. */
static struct value random_text(struct random *random)
{
    static char memory[1 << 20];
    static const char alphabet[] = "aA27=,#!%{}:*/..-?\0\n\xc3\xff";
    static size_t used;
    size_t size = (size_t)random_below(random, 6);
    uint64_t kind = random_below(random, 6);
    if (kind <= 1)
        size = 56 + (size_t)random_below(random, 12); /* about where a text is cut */
    if (kind == 2)
        size = 1 + (size_t)random_below(random, 2000);
    if (sizeof(memory) - used < size)
        used = 0; /* the older ones are done with */
    char *text = memory + used;
    used += size;
    /* Long ones differ, if at all, in few places. */
    memset(text, 'a', size);
    for (size_t i = 0; size < 16 && i < size; i++)
        text[i] = alphabet[random_below(random, sizeof(alphabet) - 1)];
    if (size >= 16 && random_below(random, 2))
        text[size - 1 - random_below(random, 2)] = alphabet[random_below(random, 4)];
    if (size >= 16 && random_below(random, 4) == 0)
        text[random_below(random, size)] = '\0';
    return bytes_value(random_below(random, 2) ? VALUE_STRING : VALUE_BINARY, text, size);
}

static struct value random_address(struct random *random)
{
    static const char *const texts[] = {
        "0.0.0.1", "192.0.2.1",    "192.0.2.129",       "192.0.3.1",
        "::",      "::1",          "2001:db8::1",       "2001:db8::2",
        "1::",     "2001:db8:1::", "2001:db8::1:0:0:1", "7.7.7.7"};
    const char *text = texts[random_below(random, sizeof(texts) / sizeof(texts[0]))];
    struct value value = address_value(text);
    uint64_t form = random_below(random, 3);
    if (form == 0)
        return text_value(text);
    if (form == 1 && value.type == VALUE_IPV4)
        return mapped_value(text);
    return value;
}

static struct value random_value(struct random *random)
{
    static const int64_t integers[] = {0, 1, -1, 7, -7, INT64_MIN, INT64_MAX};
    static const uint64_t naturals[] = {0, 1, 7, UINT64_MAX, (uint64_t)INT64_MAX + 1};
    switch (random_below(random, 10)) {
    case 0:
        return bool_value(random_below(random, 2));
    case 1:
        return int_value(integers[random_below(random, 7)]);
    case 2:
        return (struct value){.type = VALUE_UINT64, .natural = naturals[random_below(random, 5)]};
    case 3:
        return (struct value){.type = VALUE_UINT32, .natural = naturals[random_below(random, 3)]};
    case 4:
        return (struct value){.type = VALUE_INT32, .integer = integers[random_below(random, 5)]};
    case 5:
    case 6:
        return random_address(random);
    default:
        return random_text(random);
    }
}

/* The key of a hash tag holds, whatever the requests say, and people can read it. */
static void check_text(const struct rules_set *set, const struct text *text)
{
    char key[512];
    ck_assert_uint_ge(text->size, 1);
    ck_assert_uint_le(text->size, RULES_SUBJECT_MAX);
    for (size_t i = 0; i < text->size; i++)
        if (text->bytes[i] <= ' ' || text->bytes[i] >= 0x7f || strchr("{}", text->bytes[i]))
            ck_abort_msg("%s", text->bytes);
    struct slice name = set->rules[0].limits[0].store_name;
    int size = snprintf(key, sizeof(key), "sluice:{%s}:%.*s", text->bytes, SLICE_ARGS(name));
    ck_assert(
        slice_equal(slots_tag(slice_of(key, (size_t)size)), slice_of(text->bytes, text->size)));
}

#define SUBJECTS 400
struct subject {
    struct hash128 hash;
    struct text text;
};

static const char *const keys[] = {
    "[ a ]",
    "[ a, b ]",
    "[ a/64 ]",
    "[ a/24/48, b ]",
    "[ a, b, c ]",
    "[ b, a/64, c/33 ]",
    "[ a, b, c, d, e, f, g, h ]",
    "[ a/1/1 ]",
    "[ a, b/32/128, c ]",
    "{ arg: a, lower: true }",
    "[ { arg: a, hash: true }, { arg: b/64, hash: true, default: =a } ]",
    "{ arg: a, segments: 1 }",
    "[ { arg: a, segments: 3 }, { arg: b, segments: 2, lower: true, hash: true } ]",
    "[ { arg: a, default: 7 }, { arg: b/24/48, default: '7.7.7.7' }, { arg: c/64, default: c } ]",
};

/* Subjects of random values; those of a rule that has no key for them are passed over. */
static size_t make_subjects(struct random *random, const struct rules_set *set,
                            const struct rules_set *other, struct subject *subjects)
{
    static const char *const arguments[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    size_t count = 0;
    struct message message = message_of(set);
    for (size_t i = 0; i < SUBJECTS; i++) {
        struct rules_hit hit;
        struct subject *subject = &subjects[count];
        /* One changes and the others stay, so that many are equal but for one. */
        for (size_t k = 0; k < 8; k++)
            if (i == 0 || random_below(random, 3) == 0)
                give(&message, arguments[k], random_value(random));
        ck_assert_uint_eq(match(set, -1, message.values, &hit), 1);
        if (hit.kind != RULES_HIT_LIMIT)
            continue;
        subject->hash = hit.subject;
        subject->text = text_of(set, message.values);
        check_text(set, &subject->text);
        /* No agent's seed has a part in it. */
        ck_assert_str_eq(text_of(other, message.values).bytes, subject->text.bytes);
        count++;
    }
    return count;
}

START_TEST(texts_are_equal_exactly_when_hashes_are)
{
    static struct subject subjects[SUBJECTS];
    struct random random = random_open("key text");
    size_t equal = 0;
    size_t cut = 0;
    for (size_t k = 0; k < 6 * sizeof(keys) / sizeof(keys[0]); k++) {
        char file[1024];
        snprintf(file, sizeof(file),
                 "listen: :0\nrules: [ { name: r, key: %s, limits: { limit: 1, window: 1s } } ]\n",
                 keys[k % (sizeof(keys) / sizeof(keys[0]))]);
        struct rules_set *set = load_with_seed(file, random_next(&random));
        struct rules_set *other = load_with_seed(file, random_next(&random));
        size_t count = make_subjects(&random, set, other, subjects);
        for (size_t i = 0; i < count; i++) {
            cut += memchr(subjects[i].text.bytes, '!', subjects[i].text.size) != NULL;
            for (size_t m = 0; m < i; m++) {
                bool same = hash128_equal(subjects[i].hash, subjects[m].hash);
                if (same != (strcmp(subjects[i].text.bytes, subjects[m].text.bytes) == 0))
                    ck_abort_msg("%s and %s of %s", subjects[i].text.bytes, subjects[m].text.bytes,
                                 file);
                equal += same;
            }
        }
        rules_free(set);
        rules_free(other);
    }
    /* It was a test of both sides. */
    printf("%zu equal, %zu cut\n", equal, cut);
    ck_assert_uint_gt(equal, 1000);
    ck_assert_uint_gt(cut, 100);
}
END_TEST

/* ---- back from text ------------------------------------------------------------------------ */

/* What is parsed is counted as what it was written from. */
static void expect_parsed(const char *key, size_t count, ...)
{
    struct rules_set *set = load_key(key);
    struct message message = message_of(set);
    struct message parsed = message_of(set);
    uint8_t bytes[RULES_SUBJECT_MAX];
    struct writer room = writer_open(bytes, sizeof(bytes));
    va_list values;
    va_start(values, count);
    for (size_t i = 0; i < count; i++)
        message.values[i] = va_arg(values, struct value);
    va_end(values);
    struct text text = text_of(set, message.values);
    ck_assert_msg(
        rules_subject_parse(&set->rules[0], slice_of(text.bytes, text.size), parsed.values, &room),
        "%s", text.bytes);
    ck_assert(hash128_equal(hit_of(&message).subject, hit_of(&parsed).subject));
    rules_free(set);
}

START_TEST(a_text_is_parsed_as_what_it_was_written_from)
{
    expect_parsed("a", 1, int_value(7));
    expect_parsed("a", 1, int_value(INT64_MIN));
    expect_parsed("a", 1, (struct value){.type = VALUE_UINT64, .natural = UINT64_MAX});
    expect_parsed("a", 1, bool_value(true));
    expect_parsed("a", 1, bool_value(false));
    expect_parsed("a", 1, text_value(""));
    expect_parsed("a", 1, text_value("true"));
    expect_parsed("a", 1, text_value("7"));
    expect_parsed("a", 1, text_value("a,b=%2C\xff {}"));
    expect_parsed("a", 1, address_value("192.0.2.1"));
    expect_parsed("a", 1, address_value("2001:db8::1"));
    expect_parsed("a/24/64", 1, address_value("192.0.2.77"));
    expect_parsed("a/24/64", 1, address_value("2001:db8:1:2:3:4:5:6"));
    expect_parsed("[ a, b, c ]", 3, text_value("x"), int_value(-1), bool_value(true));
    expect_parsed("[ { arg: a, segments: 2 } ]", 1, text_value("/a//b/../c/d?x"));
    expect_parsed("[ { arg: a, lower: true } ]", 1, text_value("AcMe"));
    expect_parsed("[]", 0);
}
END_TEST

START_TEST(a_text_that_is_no_key_is_not_parsed)
{
    static const char *const wrong[] = {"",     "acme",  "=a,=b",        "=%4",     "=%zz",
                                        "=%2e", "07",    "+7",           "192.0.2", "=a=%41",
                                        "*",    "true,", "192.0.2.1/24", "#0123",   "=acme!0123"};
    struct rules_set *set = load_key("a");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct value value = absent;
        uint8_t bytes[RULES_SUBJECT_MAX];
        struct writer room = writer_open(bytes, sizeof(bytes));
        ck_assert_msg(
            !rules_subject_parse(&set->rules[0], slice_of_string(wrong[i]), &value, &room), "%s",
            wrong[i]);
    }
    rules_free(set);
}
END_TEST

/* A text that is hashed or cut doesn't say what it was. */
START_TEST(a_hashed_text_is_not_parsed)
{
    struct value value = repeated('a', 100);
    uint8_t bytes[RULES_SUBJECT_MAX];
    struct writer room = writer_open(bytes, sizeof(bytes));
    struct rules_set *set = load_key("a");
    struct text text = text_of(set, &value);
    ck_assert(!rules_subject_parse(&set->rules[0], slice_of(text.bytes, text.size), &value, &room));
    rules_free(set);
    set = load_key("[ { arg: a, hash: true } ]");
    value = text_value("acme");
    text = text_of(set, &value);
    ck_assert(!rules_subject_parse(&set->rules[0], slice_of(text.bytes, text.size), &value, &room));
    rules_free(set);
}
END_TEST

/* ---- limits -------------------------------------------------------------------------------- */

START_TEST(limits_have_a_name_for_the_store)
{
    static const char *const names[] = {
        "login:sliding-window-15m", "login:token-bucket-1500ms", "login:sliding-log-7d",
        "login:fixed-window-366d",  "login:fixed-window-1ms",
    };
    struct rules_set *set =
        load_rule("{ name: login, key: src, limits: [ { limit: 1, window: 900s, name: other }, "
                  "{ limit: 1, window: 1500ms, algorithm: token-bucket, burst: 9 }, "
                  "{ limit: 1, window: 168h, algorithm: sliding-log }, "
                  "{ limit: 1, window: 366d, algorithm: fixed-window }, "
                  "{ limit: 1, window: 1ms, algorithm: fixed-window } ] }");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_msg(slice_equal(set->rules[0].limits[i].store_name, slice_of_string(names[i])),
                      "%.*s instead of %s", SLICE_ARGS(set->rules[0].limits[i].store_name),
                      names[i]);
    rules_free(set);
}
END_TEST

START_TEST(the_longest_name_for_the_store)
{
    struct rules_set *set =
        load_rule("{ name: %064d, key: src, limits: { limit: 1, window: 31622399999ms, name: x, "
                  "algorithm: sliding-window } }",
                  0);
    struct slice name = set->rules[0].limits[0].store_name;
    ck_assert_uint_eq(name.size, 64 + sizeof(":sliding-window-31622399999ms") - 1);
    ck_assert_uint_le(name.size, RULES_STORE_NAME_MAX);
    ck_assert(slice_has_suffix(name, SLICE(":sliding-window-31622399999ms")));
    rules_free(set);
}
END_TEST

UNIT_MAIN("key_text", numbers_and_bools, addresses, ipv6_addresses, texts_of_texts,
          long_texts_are_cut, parts_are_joined_and_the_whole_is_cut, a_rule_without_key_counts_all,
          a_writer_without_room_gets_nothing, a_text_is_parsed_as_what_it_was_written_from,
          a_text_that_is_no_key_is_not_parsed, a_hashed_text_is_not_parsed,
          texts_are_equal_exactly_when_hashes_are, limits_have_a_name_for_the_store,
          the_longest_name_for_the_store)
