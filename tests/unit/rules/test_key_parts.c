/* Parts of a key that are mappings: what is counted of an argument. The hashes were made by another
 * program. */
#include "helper.h"
#include "random.h"

static struct rules_set *load_key(const char *key)
{
    return load_rule("{ name: r, key: %s, limits: { limit: 1, window: 1s } }\n", key);
}

/* What the rule's key is for one value of `a`, as text; "" where it is absent. */
static const char *text_of(const struct rules_set *set, const struct value *value,
                           struct hash128 *subject)
{
    static char text[RULES_SUBJECT_MAX + 1];
    struct message message = message_of(set);
    struct rules_hit hit;
    struct writer w = writer_open(text, sizeof(text) - 1);
    give(&message, "a", *value);
    ck_assert_uint_eq(match(set, -1, message.values, &hit), 1);
    if (hit.kind == RULES_HIT_LIMIT)
        rules_subject_text(hit.rule, message.values, &w);
    *subject = hit.subject;
    text[writer_size(&w)] = 0;
    return text;
}

static void expect(const char *key, struct value value, const char *expected)
{
    struct hash128 subject;
    struct rules_set *set = load_key(key);
    const char *text = text_of(set, &value, &subject);
    ck_assert_msg(strcmp(text, expected) == 0, "%s: %s instead of %s", key, text, expected);
    rules_free(set);
}

static struct value long_text(const char *piece, size_t times)
{
    static char text[1 << 17];
    size_t size = strlen(piece);
    ck_assert_uint_le(size * times, sizeof(text));
    for (size_t i = 0; i < size * times; i++)
        text[i] = piece[i % size];
    return (struct value){.type = VALUE_STRING, .bytes = slice_of(text, size * times)};
}

START_TEST(the_short_form_is_a_mapping_with_arg_alone)
{
    expect("{ arg: a }", text_value("Acme"), "=Acme");
    expect("[ { arg: a/64 } ]", address_value("2001:db8:1:2:3::"), "2001:db8:1:2::/64");
    expect("[ { arg: a/24/64 } ]", text_value("192.0.2.7"), "192.0.2.0/24");
    expect("{ arg: a, lower: false, hash: false }", text_value("/A/?"), "=/A/?");
    expect("{ arg: a }", absent, "");
}
END_TEST

START_TEST(lower)
{
    expect("{ arg: a, lower: true }", text_value("EXAMPLE.com"), "=example.com");
    expect("{ arg: a, lower: true }", text_value("@AZ[`az{"), "=@az%5B%60az%7B");
    /* Of ASCII letters only: the case of others depends on the language. */
    expect("{ arg: a, lower: true }", text_value("\xc3\x84"), "=%C3%84");
    expect("{ arg: a, lower: true }", text_value(""), "=");
    expect("{ arg: a, lower: true }", int_value(-5), "-5");
    expect("{ arg: a, lower: true }", bool_value(true), "true");
    expect("{ arg: a, lower: true }", address_value("2001:DB8::1"), "2001:db8::1");
    expect("{ arg: a, lower: true }", absent, "");
    expect("{ arg: a, lower: true }", long_text("A", 3000),
           "=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa#556ac82f23f64d2f41b3fb3b9a171791");
}
END_TEST

struct path {
    const char *sent;
    unsigned segments;
    const char *counted;
};

START_TEST(segments)
{
    static const struct path paths[] = {
        {"/", 1, "/"},
        {"", 1, "/"},
        {"?x", 3, "/"},
        {"/api", 1, "/api"},
        {"/api/", 1, "/api"},
        {"/api/v1/users/7", 1, "/api"},
        {"/api/v1/users/7", 2, "/api/v1"},
        {"/api/v1/users/7", 3, "/api/v1/users"},
        {"/api/v1/users/7", 4, "/api/v1/users/7"},
        {"/api/v1/users/7", 16, "/api/v1/users/7"},
        {"api/v1", 1, "/api"},
        /* The query is no part of it, and so isn't a fragment. */
        {"/api?a=/b/c", 2, "/api"},
        {"/api#/b", 2, "/api"},
        {"/api/v1?x#y?z", 2, "/api/v1"},
        {"/a%3Fb/c", 2, "/a%3Fb/c"},
        /* Slashes. */
        {"//api///v1//", 2, "/api/v1"},
        {"///", 1, "/"},
        {"/a%2Fb/c", 1, "/a%2Fb"},
        {"/a%2fb/c", 1, "/a%2Fb"},
        /* Dot segments: RFC 3986, section 5.2.4. */
        {"/a/b/c/./../../g", 9, "/a/g"},
        {"mid/content=5/../6", 9, "/mid/6"},
        {"/../../etc/passwd", 2, "/etc/passwd"},
        {"/a/..", 1, "/"},
        {"/a/../", 1, "/"},
        {"/a/.", 1, "/a"},
        {"/./a", 1, "/a"},
        {"/a/b/c/d/../../../../e", 2, "/e"},
        {"/a/b/c/d/../../../e/f", 2, "/a/e"},
        {"/a/b/c/../d", 2, "/a/b"},
        {"/a//../b", 2, "/b"},
        {"/.../..a/a..", 3, "/.../..a/a.."},
        {"/a/%2e%2E/b", 2, "/b"},
        {"/a/.%2e/%2E/b", 2, "/b"},
        {"/a/%2e%2e%2e/b", 3, "/a/.../b"},
        {"/a/%252e%252e/b", 3, "/a/%252e%252e/b"},
        {"/a/..%2f../b", 3, "/a/..%2F../b"},
        {"/a/../..?/..", 3, "/"},
        /* Escapes of what needs none, once: RFC 3986, section 6.2.2. */
        {"/%61%70%69/%7Euser/%2D%5F%30%5A", 3, "/api/~user/-_0Z"},
        {"/%2561", 1, "/%2561"},
        {"/%e4%c3%8F%20", 1, "/%E4%C3%8F%20"},
        {"/%", 1, "/%"},
        {"/%a", 1, "/%a"},
        {"/%zz%4g%g4", 1, "/%zz%4g%g4"},
        {"/%%61", 1, "/%a"},
        {"/%%%c3", 1, "/%%%C3"},
        {"/%c3ab", 1, "/%C3ab"},
        {"/a%", 1, "/a%"},
        {"/%/61", 2, "/%/61"},
        {"/%6/1", 2, "/%6/1"},
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char key[64];
        struct value value = text_value(paths[i].sent);
        struct value same = text_value(paths[i].counted);
        struct hash128 subject;
        struct hash128 other;
        snprintf(key, sizeof(key), "{ arg: a, segments: %u }", paths[i].segments);
        struct rules_set *set = load_key(key);
        char text[RULES_SUBJECT_MAX + 1];
        snprintf(text, sizeof(text), "%s", text_of(set, &value, &subject));
        /* Of what is counted, nothing is left to do; and its texts are written like all texts. */
        ck_assert_msg(strcmp(text_of(set, &same, &other), text) == 0, "%s, %u: %s", paths[i].sent,
                      paths[i].segments, text);
        ck_assert(hash128_equal(subject, other));
        rules_free(set);
        set = load_key("{ arg: a }");
        ck_assert_msg(strcmp(text_of(set, &same, &other), text) == 0, "%s, %u: %s", paths[i].sent,
                      paths[i].segments, text);
        rules_free(set);
    }
}
END_TEST

START_TEST(segments_of_what_is_no_text_or_long)
{
    expect("{ arg: a, segments: 2 }", int_value(7), "7");
    expect("{ arg: a, segments: 2 }", address_value("192.0.2.1"), "192.0.2.1");
    expect("{ arg: a, segments: 2 }", absent, "");
    expect("{ arg: a, segments: 2, lower: true }", text_value("/API/V1/Users"), "=/api/v1");
    expect("{ arg: a, segments: 1, lower: true }", text_value("/%C3%84%41"), "=/%25c3%2584a");
    /* Hundreds of segments, of which 16 are counted, and all of which are read. */
    expect("{ arg: a, segments: 16 }", long_text("/segment-of-a-path", 1000),
           "=/segment-of-a-path/segment-of-a#34c0356243c3af736cf7288e8eb0f9c4");
    expect("{ arg: a, segments: 1 }", long_text("/x/../", 20000), "=/");
}
END_TEST

START_TEST(hash)
{
    expect("{ arg: a, hash: true }", text_value("acme"), "#a4bd8120517b2fa8a1e85cc7ca162e16");
    expect("{ arg: a, hash: true }", text_value(""), "#380918b946a526640a40df5dced65167");
    expect("{ arg: a, hash: true }", long_text("a", 5000), "#6c0901b91cd3195682e719e1585e4b1c");
    expect("{ arg: a, hash: true }", int_value(7), "#7902699be42c8a8e46fbbb4501726517");
    expect("{ arg: a, hash: true }", int_value(-7), "#a770d3270c9dcdedf12ed9fd70444f7c");
    expect("{ arg: a, hash: true }", bool_value(true), "#b5bea41b6c623f7c09f1bf24dcae58eb");
    expect("{ arg: a, hash: true }", address_value("192.0.2.1"),
           "#37fcff24bf62035b2b08020afc08b4fe");
    expect("{ arg: a/24/64, hash: true }", text_value("192.0.2.1"),
           "#e336915ff179f536c8e8fff8480a5293");
    expect("{ arg: a/64, hash: true }", address_value("2001:db8:1:2::7"),
           "#7437dddbc0275bcfe536fa291fb82060");
    expect("{ arg: a, hash: true, segments: 2, lower: true }", text_value("//Api/v1/x"),
           "#3fbe93c2b889ae8d524c3d4a2c49ff79");
    expect("{ arg: a, hash: true }", absent, "");
    expect("[ { arg: a, hash: true }, { arg: b, default: x } ]", text_value("acme"),
           "#a4bd8120517b2fa8a1e85cc7ca162e16,=x");
}
END_TEST

START_TEST(defaults)
{
    struct value value = text_value("none");
    struct hash128 sent;
    struct hash128 not_sent;
    expect("{ arg: a, default: none }", absent, "=none");
    expect("{ arg: a, default: none }", text_value("acme"), "=acme");
    expect("{ arg: a, default: none }", text_value(""), "=");
    expect("{ arg: a, default: '' }", absent, "=");
    expect("{ arg: a, default: 7 }", absent, "=7");
    expect("{ arg: a, default: None, lower: true }", absent, "=none");
    expect("{ arg: a, default: /a//b/c, segments: 2 }", absent, "=/a/b");
    expect("{ arg: a, default: none, hash: true }", absent, "#998991691870cdcb42138197f1e70b08");
    /* What is no address is absent too. */
    expect("{ arg: a/64, default: none }", text_value("unknown"), "=none");
    expect("{ arg: a/64, default: none }", int_value(7), "=none");
    expect("{ arg: a/64, default: none }", absent, "=none");
    expect("{ arg: a/24/64, default: 192.0.2.1 }", absent, "192.0.2.0/24");
    expect("{ arg: a/64, default: none }", text_value("192.0.2.1"), "192.0.2.1");
    expect("{ arg: a, default: 192.0.2.1 }", absent, "=192.0.2.1");

    struct rules_set *set = load_key("{ arg: a, default: none }");
    text_of(set, &value, &sent);
    text_of(set, &absent, &not_sent);
    ck_assert(hash128_equal(sent, not_sent));
    rules_free(set);
}
END_TEST

START_TEST(one_absent_argument_is_enough)
{
    struct hash128 subject;
    struct value value = text_value("x");
    struct rules_set *set = load_key("[ { arg: a, default: none }, b ]");
    ck_assert_str_eq(text_of(set, &value, &subject), "");
    rules_free(set);
    set = load_key("[ { arg: a, default: none }, { arg: b, default: 0 } ]");
    ck_assert_str_eq(text_of(set, &absent, &subject), "=none,=0");
    rules_free(set);
}
END_TEST

/* Pieces of 1024 bytes are hashed together: a difference in any place is one. */
START_TEST(long_texts_are_counted_whole)
{
    static uint8_t bytes[4200];
    struct random random = random_open("long texts");
    struct rules_set *set = load_key("{ arg: a, lower: true }");
    for (size_t round = 0; round < 300; round++) {
        struct hash128 subjects[3];
        size_t size = 1 + (size_t)random_below(&random, sizeof(bytes));
        if (round % 3 == 0)
            size = 1023 + (size_t)random_below(&random, 3);
        memset(bytes, 'x', size);
        struct value value = {.type = VALUE_STRING, .bytes = slice_of(bytes, size)};
        size_t at = (size_t)random_below(&random, size);
        text_of(set, &value, &subjects[0]);
        bytes[at] = 'X';
        text_of(set, &value, &subjects[1]);
        bytes[at] = 'y';
        text_of(set, &value, &subjects[2]);
        ck_assert_msg(hash128_equal(subjects[0], subjects[1]), "%zu of %zu", at, size);
        ck_assert_msg(!hash128_equal(subjects[0], subjects[2]), "%zu of %zu", at, size);
        value.bytes.size--;
        text_of(set, &value, &subjects[1]);
        ck_assert_msg(!hash128_equal(subjects[1], subjects[2]), "%zu of %zu", at, size);
    }
    rules_free(set);
}
END_TEST

UNIT_MAIN("key_parts", the_short_form_is_a_mapping_with_arg_alone, lower, segments,
          segments_of_what_is_no_text_or_long, hash, defaults, one_absent_argument_is_enough,
          long_texts_are_counted_whole)
