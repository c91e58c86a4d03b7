#include "agent/import_envoy.h"
#include "main.h"

#include <stdio.h>
#include <stdlib.h>

/* What was told: "LINE:COLUMN: TEXT", each with a newline. */
struct told {
    char text[65536];
    size_t size;
    size_t wrong;
    size_t notes;
};

static void note(void *context, const struct envoy_finding *finding)
{
    struct told *told = context;
    size_t room = sizeof(told->text) - told->size;
    int size = snprintf(told->text + told->size, room, "%zu:%zu: %s\n", finding->line,
                        finding->column, finding->text);
    ck_assert_int_lt(size, (int)room);
    told->size += (size_t)size;
    told->wrong += finding->wrong;
    told->notes += !finding->wrong;
}

static struct told told;

/* To be freed. */
static char *convert(const char *text)
{
    size_t size;
    told = (struct told){.size = 0};
    char *rules = envoy_convert(slice_of_string(text), "f", &size, note, &told);
    ck_assert_msg(rules || told.wrong, "%s", text);
    ck_assert_msg(!rules || (told.wrong == 0 && strlen(rules) == size), "%s", told.text);
    return rules;
}

static void expect_wrong(const char *text, const char *expected)
{
    char *rules = convert(text);
    ck_assert_msg(!rules, "%s", text);
    ck_assert_str_eq(told.text, expected);
}

#define LIMIT "rate_limit: { unit: day, requests_per_unit: 1 }"

/* A file of one domain with these descriptors, its rules alone. */
static void expect_rules(const char *descriptors, const char *expected)
{
    char text[4096];
    snprintf(text, sizeof(text), "domain: d\ndescriptors: [%s]", descriptors);
    char *rules = convert(text);
    ck_assert_msg(rules, "%s", told.text);
    ck_assert_str_eq(strstr(rules, "\nrules:") + 1, expected);
    free(rules);
}

/* Writes the same over and over. */
static char *repeat(const char *begin, const char *again, size_t count, const char *end)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    fputs(begin, out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, again, i);
    fputs(end, out);
    fclose(out);
    return text;
}

START_TEST(each_mistake_is_told_with_its_place)
{
    static const char *const files[][2] = {
        {"", "0:0: the file is empty, expected a domain and descriptors\n"},
        {"[]", "1:1: the file is a list, expected a mapping\n"},
        {"descriptors: []", "1:1: the file is a mapping, expected a domain in it\n"},
        {"domain:\n", "1:1: the file is a mapping, expected a domain in it\n"},
        {"domain: [ d ]", "1:9: domain is a list, expected a text\n"},
        {"domain: d\ndomain: e",
         "2:1: a key that is there twice is \"domain\", expected each once\n"},
        {"domain: d\nrules: []",
         "2:1: unknown key \"rules\" in the file, expected one of domain, descriptors\n"},
        {"domain: d\n[]: x",
         "2:1: unknown key that is no text in the file, expected one of domain, "
         "descriptors\n"},
        {"domain: d\ndescriptors: { key: k }", "2:14: descriptors is a mapping, expected a list\n"},
        {"domain: d\ndescriptors: [ k ]", "2:16: a descriptor is \"k\", expected a mapping\n"},
        {"domain: d\ndescriptors: [ { value: v } ]",
         "2:16: a descriptor is a mapping, expected a key in it\n"},
        {"domain: d\ndescriptors: [ { key: k, value: [] } ]",
         "2:33: value is a list, expected a text\n"},
        {"domain: d\ndescriptors: [ { key: k, shadow_mode: 1 } ]",
         "2:39: shadow_mode is \"1\", expected true or false\n"},
        {"domain: d\ndescriptors: [ { key: k, rate_limit: 5 } ]",
         "2:38: rate_limit is \"5\", expected a mapping\n"},
        {"domain: d\ndescriptors: [ { key: k, rate_limit: { requests_per_unit: 5 } } ]",
         "2:38: rate_limit is a mapping, expected a unit in it, or unlimited: true\n"},
        {"domain: d\ndescriptors: [ { key: k, rate_limit: { unit: day, unlimited: true } } ]",
         "2:38: rate_limit is a mapping, expected no unit in it beside unlimited: true\n"},
        {"domain: d\ndescriptors: [ { key: k, rate_limit: { unit: day, requests_per_unit: -1 } } ]",
         "2:70: requests_per_unit is \"-1\", expected a whole number from 0 to 4294967295\n"},
        {"domain: d\ndescriptors: [ { key: k, rate_limit: { unit: day, "
         "requests_per_unit: 4294967296 } } ]",
         "2:70: requests_per_unit is \"4294967296\", expected a whole number from 0 to "
         "4294967295\n"},
        {"domain: d\ndescriptors: [ { key: k, rate_limit: { unit: day, replaces: [ {} ] } } ]",
         "2:63: an entry of replaces is a mapping, expected a name in it\n"},
        {"domain: d\ndescriptors: [ { key: k, rate_limit: { unit: day, name: n, replaces: [ { "
         "name: n "
         "} ] } } ]",
         "2:38: rate_limit is a mapping, expected no replaces with its own name\n"},
        {"domain: d\ndescriptors: [ { key: k, value: v }, { key: k, value: v } ]",
         "2:38: key \"k\" and its value again in the same list, expected each once\n"},
        {"domain: d\n---\ndomain: e", "3:1: a second document is a mapping, expected one domain a "
                                      "file\n"},
        {"domain: 'd", "1:11: invalid YAML: found unexpected end of stream\n"},
        {"domain: d\ndescriptors: *a", "2:14: invalid YAML: found undefined alias\n"},
        {"domain: \xff", "0:0: invalid leading UTF-8 octet at byte 8, expected text in UTF-8\n"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        expect_wrong(files[i][0], files[i][1]);
}
END_TEST

START_TEST(values_are_what_they_were)
{
    expect_rules("{ key: k, value: \"a\\\"b\\\\c${D}\\t\\u2028\\u00fc\\U0001F600\", " LIMIT " }",
                 "rules:\n  - name: \"k_a-b-c--D-----------\" # line 2\n"
                 "    match: { k: \"a\\\"b\\\\c$${D}\\u0009\\u2028\xc3\xbc\\U0001f600\" }\n"
                 "    key: []\n    limits: { limit: 1, window: 1d }\n");
    /* Words of YAML and numbers as they stand there. */
    expect_rules("{ key: k, value: 007, " LIMIT " }",
                 "rules:\n  - name: \"k_007\" # line 2\n    match: { k: \"007\" }\n    key: []\n"
                 "    limits: { limit: 1, window: 1d }\n");
    expect_rules("{ key: k, value: ~, " LIMIT " }",
                 "rules:\n  - name: \"k\" # line 2\n    key: [ k ]\n"
                 "    limits: { limit: 1, window: 1d }\n");
    expect_rules("{ key: k, value: '*', " LIMIT " }",
                 "rules:\n  - name: \"k\" # line 2\n    key: [ k ]\n"
                 "    limits: { limit: 1, window: 1d }\n");
}
END_TEST

START_TEST(keys_become_arguments)
{
    expect_rules("{ key: 'x y/z', " LIMIT " }",
                 "rules:\n  - name: \"x-y-z\" # line 2\n    key: [ x_y_z ]\n"
                 "    limits: { limit: 1, window: 1d }\n");
    expect_rules("{ key: generic_key, value: a, descriptors: [ { key: generic_key, value: b, " LIMIT
                 " } ] }",
                 "rules:\n  - name: \"generic_key_a.generic_key_b\" # line 2\n"
                 "    match: { generic_key: \"a\", generic_key_2: \"b\" }\n    key: []\n"
                 "    limits: { limit: 1, window: 1d }\n");
    expect_rules("{ key: remote_address, " LIMIT " }",
                 "rules:\n  - name: \"remote_address\" # line 2\n    key: [ src ]\n"
                 "    limits: { limit: 1, window: 1d }\n");
    /* An address has no beginning, a text has. */
    expect_rules("{ key: remote_address, value: 10.*, " LIMIT " }",
                 "rules:\n  - name: \"remote_address_10.\" # line 2\n"
                 "    match: { remote_address: { prefix: \"10.\" } }\n"
                 "    key: [ remote_address ]\n    limits: { limit: 1, window: 1d }\n");
}
END_TEST

START_TEST(names_differ_whatever_they_are_made_of)
{
    /* All the same once they are cut. */
    char *text = repeat(
        "domain: d\ndescriptors:\n",
        "  - { key: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, "
        "value: 'v%zu', " LIMIT " }\n",
        1200, "");
    char *rules = convert(text);
    ck_assert_msg(rules, "%s", told.text);
    ck_assert_ptr_nonnull(strstr(rules, "aaaa\" # line 3\n"));
    ck_assert_ptr_nonnull(strstr(rules, "aaaa-2\" # line 4\n"));
    ck_assert_ptr_nonnull(strstr(rules, "aaa-1200\" # line 1202\n"));
    free(rules);
    free(text);
}
END_TEST

START_TEST(limits_that_rules_do_not_have_are_told)
{
    /* Nine keys without a value. */
    char *nested = repeat("domain: d\ndescriptors: [", "{ key: k%zu, descriptors: [", 8,
                          "{ key: last, " LIMIT " }");
    char *text = repeat(nested, "] }", 8, "]");
    char *rules = convert(text);
    ck_assert_msg(rules, "%s", told.text);
    ck_assert_uint_eq(told.notes, 1);
    ck_assert_ptr_nonnull(
        strstr(told.text, "a limit by 9 keys without a value, expected at most 8"));
    ck_assert_ptr_nonnull(strstr(rules, "rules: []\n"));
    free(rules);
    free(text);
    free(nested);
    rules = convert("domain: d\ndescriptors: [ { key: a b, descriptors: [ { key: a_b, " LIMIT
                    " } ] } ]");
    ck_assert_ptr_nonnull(rules);
    ck_assert_str_eq(told.text, "2:43: a limit by two keys that would both be the argument a_b\n");
    free(rules);
    /* More arguments than a set has. */
    text = repeat("domain: d\ndescriptors:\n", "  - { key: k%zu, " LIMIT " }\n", 257, "");
    ck_assert_ptr_null(convert(text));
    ck_assert_ptr_nonnull(strstr(told.text, "it would not do as a rule file: "));
    free(text);
}
END_TEST

START_TEST(a_limit_that_is_never_reached_is_told)
{
    char *rules = convert("domain: d\ndescriptors:\n"
                          "  - { key: k, value: '*', " LIMIT " }\n"
                          "  - { key: k, value: 'a*', " LIMIT " }\n"
                          "  - { key: k, descriptors: [ { key: l, " LIMIT " } ] }\n");
    ck_assert_ptr_nonnull(rules);
    ck_assert_str_eq(
        told.text,
        "4:5: a limit that is never reached: line 3 takes all values of \"k\" before it\n"
        "5:30: a limit that is never reached: line 3 takes all values of \"k\" before it\n");
    free(rules);
}
END_TEST

START_TEST(what_comments_say_stays_in_them)
{
    size_t size;
    struct slice text = slice_of_string("domain: \"d\\u2028rules: 1\\nrules: 2\"\n");
    told = (struct told){.size = 0};
    char *rules = envoy_convert(text, "a\nlisten: 1\xe2\x80\xa8x", &size, note, &told);
    ck_assert_msg(rules, "%s", told.text);
    ck_assert_ptr_nonnull(
        strstr(rules, "# The domain d???rules: 1?rules: 2 of a?listen: 1???x, for "));
    free(rules);
}
END_TEST

START_TEST(bounds_hold)
{
    static const struct {
        const char *begin;
        const char *again;
        size_t most;
        const char *end;
        const char *told;
    } cases[] = {
        {"domain: d\ndescriptors:\n", "  - { key: k, value: v%zu, " LIMIT " }\n",
         ENVOY_DESCRIPTORS_MAX, "", "one descriptor too many, expected at most 10000"},
        {"domain: d\ndescriptors:\n", "  - { key: k, value: &a%zu v%zu }\n", ENVOY_ANCHORS_MAX, "",
         "one anchor too many, expected at most 1000"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t more = 0; more < 2; more++) {
            char *text = NULL;
            size_t size;
            FILE *out = open_memstream(&text, &size);
            fputs(cases[i].begin, out);
            for (size_t j = 0; j < cases[i].most + more; j++)
                fprintf(out, cases[i].again, j, j);
            fclose(out);
            char *rules = convert(text);
            ck_assert_msg((rules == NULL) == (more > 0), "%s", told.text);
            ck_assert_msg(!more || strstr(told.text, cases[i].told), "%s", told.text);
            free(rules);
            free(text);
        }
    }
    /* Nesting, also by an alias in itself; and findings. */
    for (size_t depth = ENVOY_DEPTH_MAX; depth <= ENVOY_DEPTH_MAX + 1; depth++) {
        char *open = repeat("domain: d\n", "descriptors: [ { key: k%zu, value: v, ", depth, "");
        char *text = repeat(open, "} ]", depth, "");
        char *rules = convert(text);
        ck_assert_msg((rules == NULL) == (depth > ENVOY_DEPTH_MAX), "%s", told.text);
        free(rules);
        free(text);
        free(open);
    }
    expect_wrong("domain: d\ndescriptors: &a [ { key: k, descriptors: *a } ]",
                 "2:14: a list in too many others is a list, expected at most 32 levels of "
                 "descriptors\n");
    char *text = repeat("domain: d\ndescriptors:\n", "  - { key: k, value: v%zu, unit: 1 }\n",
                        ENVOY_FINDINGS_MAX + 7, "");
    char *rules = convert(text);
    ck_assert_ptr_nonnull(rules);
    ck_assert_uint_eq(told.notes, ENVOY_FINDINGS_MAX + 1);
    ck_assert_ptr_nonnull(strstr(told.text, "and 7 more\n"));
    ck_assert_ptr_nonnull(strstr(rules, "#   and 7 more\n"));
    free(rules);
    free(text);
}
END_TEST

UNIT_MAIN("import_envoy", each_mistake_is_told_with_its_place, values_are_what_they_were,
          keys_become_arguments, names_differ_whatever_they_are_made_of,
          limits_that_rules_do_not_have_are_told, a_limit_that_is_never_reached_is_told,
          what_comments_say_stays_in_them, bounds_hold)
