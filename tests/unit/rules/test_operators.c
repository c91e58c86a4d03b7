#include "examples.h"
#include "random.h"
#include "rules/loader.h"

START_TEST(contains_looks_inside_texts)
{
    static const struct example examples[] = {
        {"{ contains: bot }", TEXT("Googlebot/2.1"), true},
        {"{ contains: bot }", TEXT("bot"), true},
        {"{ contains: bot }", TEXT("bo"), false},
        {"{ contains: bot }", TEXT("b o t"), false},
        {"{ contains: bot }", TEXT("BOT"), false},
        {"{ contains: bot }", TEXT(""), false},
        {"{ contains: bot }", BINARY("a bot"), true},
        {"{ contains: bot }", ABSENT, false},
        {"{ contains: [ x, bot ] }", TEXT("a bot"), true},
        {"{ contains: [ x, bot ] }", TEXT("a bat"), false},
        {"{ contains: 4 }", TEXT("142"), true},
        {"{ contains: 4 }", INT64(142), false},
        {"{ contains: \"\\0\" }", TEXT("a\0b"), true},
        {"{ contains: \"\\0\" }", TEXT("ab"), false},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

START_TEST(ignore_case_is_of_ascii_letters)
{
    static const struct example examples[] = {
        {"{ is: Get, ignore_case: true }", TEXT("GET"), true},
        {"{ is: Get, ignore_case: true }", TEXT("get"), true},
        {"{ is: Get, ignore_case: true }", TEXT("gett"), false},
        {"{ is: Get, ignore_case: false }", TEXT("get"), false},
        {"{ ignore_case: true, is: Get }", TEXT("gET"), true},
        {"{ in: [ A, b, 5, true ], ignore_case: true }", TEXT("a"), true},
        {"{ in: [ A, b, 5, true ], ignore_case: true }", TEXT("B"), true},
        {"{ in: [ A, b, 5, true ], ignore_case: true }", TEXT("c"), false},
        {"{ in: [ A, b, 5, true ], ignore_case: true }", TEXT("TRUE"), true},
        {"{ in: [ A, b, 5, true ], ignore_case: true }", INT64(5), true},
        {"{ in: [ A, b, 5, true ], ignore_case: true }", BOOLEAN(true), true},
        {"{ in: [ A, b, 5, true ], ignore_case: true }", BOOLEAN(false), false},
        {"{ prefix: [ /Api, /x ], ignore_case: true }", TEXT("/aPI/1"), true},
        {"{ prefix: [ /Api, /x ], ignore_case: true }", TEXT("/X"), true},
        {"{ prefix: [ /Api, /x ], ignore_case: true }", TEXT("/ap"), false},
        {"{ suffix: [ .PNG, .gif ], ignore_case: true }", TEXT("/a.png"), true},
        {"{ suffix: [ .PNG, .gif ], ignore_case: true }", TEXT("/a.GIF"), true},
        {"{ suffix: [ .PNG, .gif ], ignore_case: true }", TEXT("/a.gi"), false},
        {"{ contains: Bot, ignore_case: true }", TEXT("a BOT"), true},
        {"{ contains: Bot, ignore_case: true }", TEXT("a bo"), false},
        {"{ contains: aab, ignore_case: true }", TEXT("AAAB"), true},
        {"{ contains: abab, ignore_case: true }", TEXT("abaabAB"), true},
        {"{ contains: abab, ignore_case: true }", TEXT("abaaba"), false},
        {"{ regex: ^get$, ignore_case: true }", TEXT("GET"), true},
        {"{ regex: ^get$ }", TEXT("GET"), false},
        {"{ regex: \"^\xc3\xa9$\", ignore_case: true }", TEXT("\xc3\xa9"), true},
        {"{ regex: \"^\xc3\xa9$\", ignore_case: true }", TEXT("\xc3\x89"), false},
        {"{ is: \xc3\xa9, ignore_case: true }", TEXT("\xc3\xa9"), true},
        {"{ is: \xc3\xa9, ignore_case: true }", TEXT("\xc3\x89"), false},
        {"{ is: '[', ignore_case: true }", TEXT("{"), false},
        {"{ is: '@', ignore_case: true }", TEXT("`"), false},
        {"{ not: { prefix: /API }, ignore_case: true }", TEXT("/api"), false},
        {"{ not: { prefix: /API }, ignore_case: true }", TEXT("/x"), true},
        {"{ suffix: Z, not: { prefix: /A, ignore_case: false }, ignore_case: true }", TEXT("/az"),
         true},
        {"{ suffix: Z, not: { prefix: /A, ignore_case: false }, ignore_case: true }", TEXT("/Az"),
         false},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

START_TEST(numbers_are_compared_by_value)
{
    static const struct example examples[] = {
        {"{ lt: 5 }", INT32(4), true},
        {"{ lt: 5 }", INT32(5), false},
        {"{ lt: 5 }", INT64(-6), true},
        {"{ lt: -5 }", INT64(-6), true},
        {"{ lt: -5 }", INT64(-5), false},
        {"{ lt: -5 }", UINT32(0), false},
        {"{ le: 5 }", UINT32(5), true},
        {"{ le: 5 }", UINT32(6), false},
        {"{ gt: 5 }", UINT64(6), true},
        {"{ gt: 5 }", UINT64(5), false},
        {"{ gt: -1 }", INT32(0), true},
        {"{ gt: -1 }", INT32(-1), false},
        {"{ ge: 5 }", INT64(5), true},
        {"{ ge: 5 }", INT64(4), false},
        {"{ ge: 0 }", INT64(INT64_MIN), false},
        {"{ ge: 18446744073709551615 }", UINT64(UINT64_MAX), true},
        {"{ ge: 18446744073709551615 }", INT64(INT64_MAX), false},
        {"{ le: -9223372036854775808 }", INT64(INT64_MIN), true},
        {"{ between: [ 400, 499 ] }", INT32(399), false},
        {"{ between: [ 400, 499 ] }", INT32(400), true},
        {"{ between: [ 400, 499 ] }", INT32(499), true},
        {"{ between: [ 400, 499 ] }", INT32(500), false},
        {"{ between: [ -2, 2 ] }", INT64(-2), true},
        {"{ between: [ -2, 2 ] }", UINT64(2), true},
        {"{ between: [ -2, 2 ] }", INT64(-3), false},
        {"{ between: [ 7, 7 ] }", INT64(7), true},
        {"{ gt: 5, lt: 8 }", INT64(6), true},
        {"{ gt: 5, lt: 8 }", INT64(8), false},
        /* texts that are numbers */
        {"{ gt: 1000 }", TEXT("1001"), true},
        {"{ gt: 1000 }", BINARY("1001"), true},
        {"{ gt: 1000 }", TEXT("999"), false},
        {"{ gt: 1000 }", TEXT("007000"), true},
        {"{ lt: 0 }", TEXT("-1"), true},
        {"{ lt: 0 }", TEXT("-0"), false},
        {"{ le: 0 }", TEXT("-0"), true},
        {"{ gt: 1000 }", TEXT("99999999999999999999999999"), true},
        {"{ lt: 1000 }", TEXT("99999999999999999999999999"), false},
        {"{ lt: 1000 }", TEXT("-99999999999999999999999999"), true},
        {"{ gt: 1 }", TEXT(""), false},
        {"{ lt: 1 }", TEXT(""), false},
        {"{ lt: 1 }", TEXT("-"), false},
        {"{ gt: 1 }", TEXT("5 "), false},
        {"{ gt: 1 }", TEXT("+5"), false},
        {"{ gt: 1 }", TEXT("5.5"), false},
        {"{ gt: 1 }", TEXT("0x55"), false},
        {"{ gt: 1 }", TEXT("5e3"), false},
        /* what is no number */
        {"{ ge: 0 }", BOOLEAN(true), false},
        {"{ ge: 0 }", IPV4(1, 2, 3, 4), false},
        {"{ ge: 0 }", ABSENT, false},
        {"{ le: 0 }", ABSENT, false},
        {"{ between: [ 0, 1 ] }", BOOLEAN(true), false},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

START_TEST(exists_asks_whether_it_was_sent)
{
    static const struct example examples[] = {
        {"{ exists: true }", TEXT(""), true},
        {"{ exists: true }", INT64(0), true},
        {"{ exists: true }", BOOLEAN(false), true},
        {"{ exists: true }", ABSENT, false},
        {"{ exists: false }", TEXT(""), false},
        {"{ exists: false }", ABSENT, true},
        {"{ not: { exists: true } }", ABSENT, true},
        {"{ not: { exists: false } }", ABSENT, false},
        {"{ not: { exists: false } }", TEXT("x"), true},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

/* `not` is true of exactly what the operators in it aren't, an argument that wasn't sent included.
 */
START_TEST(not_negates_all_of_its_operators_together)
{
    static const struct example examples[] = {
        {"{ not: x }", TEXT("x"), false},
        {"{ not: x }", TEXT("y"), true},
        {"{ not: x }", ABSENT, true},
        {"{ not: 5 }", INT64(5), false},
        {"{ not: { in: [ x, y ] } }", TEXT("y"), false},
        {"{ not: { in: [ x, y ] } }", TEXT("z"), true},
        {"{ not: { in: [ x, y ] } }", ABSENT, true},
        {"{ not: { prefix: a, suffix: z } }", TEXT("az"), false},
        {"{ not: { prefix: a, suffix: z } }", TEXT("ab"), true},
        {"{ not: { prefix: a, suffix: z } }", TEXT("bz"), true},
        {"{ prefix: a, not: { suffix: z } }", TEXT("ab"), true},
        {"{ prefix: a, not: { suffix: z } }", TEXT("az"), false},
        {"{ prefix: a, not: { suffix: z } }", ABSENT, false},
        {"{ not: { not: { is: x } } }", TEXT("x"), true},
        {"{ not: { not: { is: x } } }", ABSENT, false},
        {"{ not: { cidr: 10.0.0.0/8 } }", IPV4(10, 1, 1, 1), false},
        {"{ not: { cidr: 10.0.0.0/8 } }", IPV4(11, 1, 1, 1), true},
        {"{ not: { cidr: 10.0.0.0/8 } }", TEXT("no address"), true},
        {"{ not: { lt: 5 } }", TEXT("no number"), true},
        {"{ not: { regex: x } }", TEXT("y"), true},
        {"{ not: { regex: x } }", ABSENT, true},
        {"{ exists: true, not: { is: x } }", ABSENT, false},
        {"{ exists: true, not: { is: x } }", TEXT("y"), true},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

/* ---- any, all, not of conditions ------------------------------------------------------------ */

static bool matches(const struct rules_set *set, const char *a, const char *b, const char *c)
{
    const char *const names[] = {"a", "b", "c"};
    const char *const values[] = {a, b, c};
    struct message message = message_of(set);
    struct rules_hit hit;
    for (size_t i = 0; i < 3; i++)
        if (values[i])
            give(&message, names[i], text_value(values[i]));
    return match(set, -1, message.values, &hit) == 1;
}

START_TEST(groups_nest)
{
    static const struct {
        const char *match;
        const char *a, *b, *c; /* NULL: not sent */
        bool holds;
    } rows[] = {
        {"{ any: [ { a: x }, { b: y } ] }", "x", NULL, NULL, true},
        {"{ any: [ { a: x }, { b: y } ] }", NULL, "y", NULL, true},
        {"{ any: [ { a: x }, { b: y } ] }", "y", "x", NULL, false},
        {"{ any: [ { a: x }, { b: y } ] }", NULL, NULL, NULL, false},
        {"{ any: [ { a: x, b: y }, { c: z } ] }", "x", NULL, NULL, false},
        {"{ any: [ { a: x, b: y }, { c: z } ] }", "x", "y", NULL, true},
        {"{ c: z, any: [ { a: x }, { b: y } ] }", "x", NULL, "z", true},
        {"{ c: z, any: [ { a: x }, { b: y } ] }", "x", NULL, NULL, false},
        {"{ c: z, any: [ { a: x }, { b: y } ] }", NULL, NULL, "z", false},
        {"{ all: [ { a: x }, { a: { prefix: x } } ] }", "x", NULL, NULL, true},
        {"{ all: [ { a: { prefix: x } }, { a: { suffix: y } } ] }", "xy", NULL, NULL, true},
        {"{ all: [ { a: { prefix: x } }, { a: { suffix: y } } ] }", "x", NULL, NULL, false},
        {"{ not: { a: x, b: y } }", "x", "y", NULL, false},
        {"{ not: { a: x, b: y } }", "x", NULL, NULL, true},
        {"{ not: { a: x, b: y } }", NULL, NULL, NULL, true},
        {"{ not: { any: [ { a: x }, { b: y } ] } }", "x", NULL, NULL, false},
        {"{ not: { any: [ { a: x }, { b: y } ] } }", NULL, NULL, "z", true},
        {"{ any: [ { not: { a: x } }, { all: [ { b: y }, { any: [ { c: z }, { c: w } ] } ] } ] }",
         "x", "y", "w", true},
        {"{ any: [ { not: { a: x } }, { all: [ { b: y }, { any: [ { c: z }, { c: w } ] } ] } ] }",
         "x", "y", "v", false},
        {"{ any: [ { not: { a: x } }, { all: [ { b: y }, { any: [ { c: z }, { c: w } ] } ] } ] }",
         NULL, NULL, NULL, true},
        {"{ any: [ { a: { exists: false } }, { a: { is: X, ignore_case: true } } ] }", "x", NULL,
         NULL, true},
        {"{ any: [ { a: { exists: false } }, { a: { is: X, ignore_case: true } } ] }", "y", NULL,
         NULL, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rules_set *set = load_rule("{ name: r, action: allow, match: %s }", rows[i].match);
        ck_assert_msg(matches(set, rows[i].a, rows[i].b, rows[i].c) == rows[i].holds, "row %zu: %s",
                      i, rows[i].match);
        rules_free(set);
    }
}
END_TEST

/* A key may be called as the words of match are. */
START_TEST(any_all_and_not_are_words_in_match_alone)
{
    struct rules_set *set =
        load_rule("{ name: r, key: [ any, all, not ], limits: { limit: 1, window: 1s } }");
    ck_assert_int_eq(rules_slot(set, SLICE("any")), 0);
    ck_assert_int_eq(rules_slot(set, SLICE("not")), 2);
    rules_free(set);
}
END_TEST

/* ---- against a naive reference ------------------------------------------------------------- */

static bool contains(const char *text, const char *part, bool ignore_case)
{
    size_t size = strlen(part);
    for (; *text; text++)
        if (ignore_case ? strncasecmp(text, part, size) == 0 : strncmp(text, part, size) == 0)
            return true;
    return false;
}

static void random_word(struct random *random, size_t most, char *text)
{
    size_t size = 1 + (size_t)random_below(random, most);
    for (size_t i = 0; i < size; i++)
        text[i] = "aAbB"[random_below(random, 4)];
    text[size] = 0;
}

START_TEST(contains_agrees_with_a_loop)
{
    struct random random = random_open("contains");
    for (int round = 0; round < 2000; round++) {
        char part[8];
        char condition[64];
        bool ignore_case = random_below(&random, 2);
        random_word(&random, 6, part);
        snprintf(condition, sizeof(condition), "{ contains: %s, ignore_case: %s }", part,
                 ignore_case ? "true" : "false");
        struct rules_set *set = load_condition(condition);
        for (int i = 0; i < 20; i++) {
            char text[24];
            random_word(&random, 20, text);
            ck_assert_msg(applies(set, "a", text_value(text)) == contains(text, part, ignore_case),
                          "%s with %s", condition, text);
        }
        rules_free(set);
    }
}
END_TEST

static bool begins(const char *text, const char *part, bool ignore_case)
{
    size_t size = strlen(part);
    return (ignore_case ? strncasecmp(text, part, size) : strncmp(text, part, size)) == 0;
}

static bool ends(const char *text, const char *part, bool ignore_case)
{
    size_t size = strlen(text);
    size_t length = strlen(part);
    return size >= length && begins(text + (size - length), part, ignore_case);
}

static bool is(const char *text, const char *part, bool ignore_case)
{
    return strlen(text) == strlen(part) && begins(text, part, ignore_case);
}

START_TEST(lists_agree_with_a_loop_in_either_case)
{
    static const struct {
        const char *name;
        bool (*holds)(const char *text, const char *part, bool ignore_case);
    } operators[] = {{"in", is}, {"prefix", begins}, {"suffix", ends}, {"contains", contains}};
    struct random random = random_open("lists in either case");
    for (int round = 0; round < 1000; round++) {
        char list[30][8];
        char yaml[512];
        size_t which = (size_t)random_below(&random, 4);
        size_t count = 1 + (size_t)random_below(&random, 30);
        bool ignore_case = random_below(&random, 2);
        int at = snprintf(yaml, sizeof(yaml), "{ ignore_case: %s, %s: [ ",
                          ignore_case ? "true" : "false", operators[which].name);
        for (size_t i = 0; i < count; i++) {
            random_word(&random, 6, list[i]);
            at += snprintf(yaml + at, sizeof(yaml) - (size_t)at, "%s, ", list[i]);
        }
        snprintf(yaml + at, sizeof(yaml) - (size_t)at, "] }");
        struct rules_set *set = load_condition(yaml);
        for (int i = 0; i < 20; i++) {
            char text[16];
            bool expected = false;
            random_word(&random, 10, text);
            for (size_t k = 0; k < count; k++)
                expected |= operators[which].holds(text, list[k], ignore_case);
            ck_assert_msg(applies(set, "a", text_value(text)) == expected, "%s with %s", yaml,
                          text);
        }
        rules_free(set);
    }
}
END_TEST

/* As long as a frame may be, and as bad for a naive search as there are: this ends because the
 * search is linear, within check's own limit of time. */
START_TEST(contains_takes_linear_time_in_either_case)
{
    static char part[40000];
    static char text[1 << 20];
    memset(part, 'a', sizeof(part) - 1);
    memset(text, 'a', sizeof(text) - 1);
    part[20000] = 'b';
    struct rules_set *set = load_rule(
        "{ name: r, action: allow, match: { a: { contains: %s, ignore_case: true } } }", part);
    for (int i = 0; i < 20; i++)
        ck_assert(!applies(set, "a", text_value(text)));
    memcpy(text + sizeof(text) - sizeof(part), part, sizeof(part));
    ck_assert(applies(set, "a", text_value(text)));
    rules_free(set);
}
END_TEST

UNIT_MAIN("operators", contains_looks_inside_texts, ignore_case_is_of_ascii_letters,
          numbers_are_compared_by_value, exists_asks_whether_it_was_sent,
          not_negates_all_of_its_operators_together, groups_nest,
          any_all_and_not_are_words_in_match_alone, contains_agrees_with_a_loop,
          lists_agree_with_a_loop_in_either_case, contains_takes_linear_time_in_either_case)
