#include "examples.h"
#include "rules/loader.h"

START_TEST(regexes_look_at_texts)
{
    static const struct example examples[] = {
        {"{ regex: '^/api/v[0-9]+/' }", TEXT("/api/v2/x"), true},
        {"{ regex: '^/api/v[0-9]+/' }", TEXT("/x/api/v2/"), false},
        {"{ regex: '\\.(php|cgi)$' }", TEXT("/a.cgi"), true},
        {"{ regex: '\\.(php|cgi)$' }", TEXT("/a.cgi "), false},
        {"{ regex: '\\.(php|cgi)$' }", TEXT("/a.cgi\n"), false}, /* "$" is the end alone */
        {"{ regex: b }", TEXT("abc"), true},
        {"{ regex: b }", BINARY("abc"), true},
        {"{ regex: b }", TEXT("ac"), false},
        {"{ regex: b }", TEXT(""), false},
        {"{ regex: '' }", TEXT(""), true},
        {"{ regex: '^$' }", TEXT(""), true},
        {"{ regex: '^$' }", TEXT("x"), false},
        {"{ regex: a|b }", TEXT("xb"), true},
        {"{ regex: ^a|b$ }", TEXT("ax"), true},
        {"{ regex: ^a|b$ }", TEXT("xb"), true},
        {"{ regex: ^a|b$ }", TEXT("xbx"), false},
        {"{ regex: a.b }", TEXT("a\nb"), true}, /* "." is any byte */
        {"{ regex: a.b }", TEXT("a\0b"), true},
        {"{ regex: 'a[\\x00]b' }", TEXT("a\0b"), true},
        {"{ regex: '^..$' }", TEXT("\xc3\xa9"), true}, /* of which there are two here */
        {"{ regex: '^.$' }", TEXT("\xff"), true},
        {"{ regex: [ x, '^y' ] }", TEXT("yy"), true},
        {"{ regex: [ x, '^y' ] }", TEXT("zy"), false},
        {"{ regex: '(\\w)\\1' }", TEXT("abccd"), true},
        {"{ regex: '(\\w)\\1' }", TEXT("abcd"), false},
        {"{ regex: '(?<!x)y' }", TEXT("xy"), false},
        {"{ regex: '(?<!x)y' }", TEXT("zy"), true},
        {"{ regex: '^(\\[(?:[^\\[\\]]|(?1))*\\])$' }", TEXT("[b[c]]"), true},
        {"{ regex: '^(\\[(?:[^\\[\\]]|(?1))*\\])$' }", TEXT("[b[c]"), false},
        {"{ regex: '(?i)get' }", TEXT("GET"), true},
        {"{ regex: \"(?x) ^ a  # the first\\n b # and the last\" }", TEXT("abc"), true},
        {"{ regex: \"(?x) c  # (not ] closed\" }", TEXT("abc"), true},
        {"{ regex: '\\Qa.b' }", TEXT("xa.b"), true},
        {"{ regex: '\\Qa.b' }", TEXT("xaab"), false},
        {"{ regex: '\\(\\*\\)' }", TEXT("a(*)b"), true},
        {"{ regex: '.*foo.*bar' }", TEXT("x foo x bar x"), true},
        {"{ regex: '4' }", TEXT("142"), true},
        {"{ regex: '4' }", INT64(142), false},
        {"{ regex: 't' }", BOOLEAN(true), false},
        {"{ regex: '1' }", IPV4(1, 1, 1, 1), false},
        {"{ regex: '' }", ABSENT, false},
        {"{ regex: a, prefix: b }", TEXT("ba"), true},
        {"{ regex: a, prefix: b }", TEXT("ab"), false},
    };
    EXPECT_EXAMPLES(examples);
}
END_TEST

/* One rule, one argument, and how often a regex was given up. */
struct trial {
    struct rules_set *set;
    struct rules_matcher *matcher;
};

static struct trial trial_of(const char *patterns)
{
    struct rules_set *set =
        load_rule("{ name: r, action: allow, match: { a: { regex: %s } } }", patterns);
    struct trial trial = {set, rules_matcher_create(set)};
    ck_assert_ptr_nonnull(trial.matcher);
    return trial;
}

static bool try_text(const struct trial *trial, struct slice text)
{
    struct rules_hit hit;
    struct value value = {.type = VALUE_STRING, .bytes = text};
    return rules_match(trial->matcher, -1, &value, &hit) == 1;
}

static void end(struct trial *trial)
{
    rules_matcher_free(trial->matcher);
    rules_free(trial->set);
}

/* Each takes minutes, and some of them years, to find that the text isn't what they look for. The
 * second time their matcher must be as good as new. */
START_TEST(no_pattern_hangs)
{
    static const char *const patterns[] = {
        "'^(?:a+)+[bc]'",        "'(?:a+)+[bc]'",
        "'(a|aa)+[bc]'",         "'^(([a-z])+.)+[A-Z]([a-z])+$'",
        "'x?(.*?)\\1[yz]'", /* backreferences, from each place anew */
        "'x?.*?.*?[^zy]*[zy]'",  "'\\w*\\w*\\w*[!,]'",
        "'(?:a?){40}a{40}[bc]'", "'(?:a{0,99}){0,99}[bc]'",
        "'(?=(a+))\\1+[bc]'",    "'(?:(?:a|b)*(?:a|b)*)*[cd]'",
        "'((?:a(?1)?)+)[bc]'",
    };
    static uint8_t text[RULES_REGEX_TEXT_MAX];
    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct trial trial = trial_of(patterns[i]);
        for (uint64_t round = 1; round <= 2; round++) {
            ck_assert_msg(!try_text(&trial, slice_of(text, sizeof(text))), "%s", patterns[i]);
            ck_assert_msg(rules_regex_overruns(trial.matcher) == round, "%s", patterns[i]);
        }
        end(&trial);
    }
}
END_TEST

START_TEST(texts_that_are_too_long_are_counted)
{
    static uint8_t text[RULES_REGEX_TEXT_MAX + 1];
    memset(text, 'a', sizeof(text));
    struct trial trial = trial_of("^a");
    ck_assert(try_text(&trial, slice_of(text, RULES_REGEX_TEXT_MAX)));
    ck_assert_uint_eq(rules_regex_overruns(trial.matcher), 0);
    ck_assert(!try_text(&trial, slice_of(text, RULES_REGEX_TEXT_MAX + 1)));
    ck_assert_uint_eq(rules_regex_overruns(trial.matcher), 1);
    end(&trial);
}
END_TEST

/* An ordinary pattern finds what it looks for at the end of the longest text. */
START_TEST(the_longest_texts_are_searched_to_their_end)
{
    static const char *const patterns[] = {"'\\.php$'", "'b'", "'[bp]hp'", "'(?:x|ph+)p'",
                                           "'\\.[a-z]+$'"};
    static const uint8_t end_of_text[] = {'b', '.', 'p', 'h', 'p'};
    static uint8_t text[RULES_REGEX_TEXT_MAX];
    memset(text, '/', sizeof(text));
    memcpy(text + sizeof(text) - sizeof(end_of_text), end_of_text, sizeof(end_of_text));
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct trial trial = trial_of(patterns[i]);
        ck_assert_msg(try_text(&trial, slice_of(text, sizeof(text))), "%s", patterns[i]);
        ck_assert_uint_eq(rules_regex_overruns(trial.matcher), 0);
        end(&trial);
    }
}
END_TEST

START_TEST(a_message_gives_up_only_so_often)
{
    static uint8_t text[RULES_REGEX_TEXT_MAX];
    char patterns[256];
    int size = snprintf(patterns, sizeof(patterns), "[ ");
    memset(text, 'a', sizeof(text));
    for (int i = 0; i < RULES_REGEX_OVERRUNS_MAX; i++)
        size +=
            snprintf(patterns + size, sizeof(patterns) - (size_t)size, "'(?:a+)+[b%c]', ", 'c' + i);
    snprintf(patterns + size, sizeof(patterns) - (size_t)size, "^a ]");
    struct slice whole = slice_of(text, sizeof(text));
    struct slice little = slice_of(text, 1);
    struct trial trial = trial_of(patterns);
    ck_assert(!try_text(&trial, whole)); /* "^a" would, but isn't tried any more */
    ck_assert_uint_eq(rules_regex_overruns(trial.matcher), RULES_REGEX_OVERRUNS_MAX + 1);
    ck_assert(try_text(&trial, little)); /* of the next message, all are */
    ck_assert_uint_eq(rules_regex_overruns(trial.matcher), RULES_REGEX_OVERRUNS_MAX + 1);
    end(&trial);
}
END_TEST

/* Two that are the same share their code; two cases of one pattern do not. */
START_TEST(equal_patterns_are_compiled_once)
{
    struct rules_set *set =
        load("listen: :0\n"
             "rules:\n"
             "  - { name: a, action: allow, match: { a: { regex: x } } }\n"
             "  - { name: b, action: allow, match: { a: { regex: [ y, x ] } } }\n"
             "  - { name: c, action: allow, match: { a: { regex: x, ignore_case: true } } }\n");
    ck_assert_uint_eq(set->index->regexes.count, 3);
    struct message message = message_of(set);
    struct rules_hit hits[3];
    give(&message, "a", text_value("X"));
    ck_assert_uint_eq(match(set, -1, message.values, hits), 1);
    ck_assert_uint_eq(hits[0].rule->index, 2);
    rules_free(set);
}
END_TEST

UNIT_MAIN("regex", regexes_look_at_texts, no_pattern_hangs, texts_that_are_too_long_are_counted,
          the_longest_texts_are_searched_to_their_end, a_message_gives_up_only_so_often,
          equal_patterns_are_compiled_once)
