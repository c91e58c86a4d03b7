#include "helper.h"
#include "rules/explain.h"

/* Expects these warnings, a line each, and no others. */
static void expect_warnings(const char *text, const struct rules_sent_list *sent,
                            const char *expected)
{
    static struct rules_report report;
    static char said[1 << 16];
    struct rules_set *set = load(text);
    size_t size = 0;
    rules_warn(set, sent, &report);
    said[0] = 0;
    for (size_t i = 0; i < report.count; i++) {
        char line[1024];
        rules_problem_print(&report.problems[i], "f", line, sizeof(line));
        size += (size_t)snprintf(said + size, sizeof(said) - size, "%s\n", line);
    }
    ck_assert_str_eq(said, expected);
    rules_report_free(&report);
    rules_free(set);
}

/* ---- what is sent -------------------------------------------------------------------------- */

static const char *const http_arguments[] = {"src", "method", "path"};
static const char *const tcp_arguments[] = {"src", "dst_port"};
static const struct rules_sent messages[] = {
    {"request", http_arguments, 3},
    {"connection", tcp_arguments, 2},
};
static const struct rules_sent_list sent = {"spoe.conf", messages, 2};

START_TEST(what_is_sent_needs_no_warning)
{
    expect_warnings(
        "listen: :0\n"
        "rules:\n"
        "  - { name: a, message: request, match: { method: GET }, key: [ path, src/64 ],\n"
        "      limits: { limit: 1, window: 1s } }\n"
        "  - { name: b, message: connection, key: dst_port,\n"
        "      limits: { limit: 1, window: 1s } }\n"
        "  - { name: c, match: { dst_port: 80, path: / }, action: allow }\n",
        &sent, "");
}
END_TEST

START_TEST(an_argument_that_its_message_lacks_is_told)
{
    expect_warnings(
        "listen: :0\n"
        "rules:\n"
        "  - { name: a, message: connection, match: { path: / }, key: [ src/64 ],\n"
        "      limits: { limit: 1, window: 1s } }\n"
        "  - name: b\n"
        "    message: request\n"
        "    match: { methd: GET }\n"
        "    key: [ src, tenant ]\n"
        "    limits: { limit: 1, window: 1s }\n"
        "  - { name: c, match: { tenant: x }, action: allow }\n",
        &sent,
        "f:3:46: warning: argument path is not sent with message connection of spoe.conf, expected "
        "one of src, dst_port\n"
        "f:7:14: warning: argument methd is not sent with message request of spoe.conf, expected "
        "one of src, method, path; did you mean \"method\"?\n"
        "f:8:17: warning: argument tenant is not sent with message request of spoe.conf, expected "
        "one of src, method, path\n"
        "f:10:25: warning: argument tenant is not sent with any message of spoe.conf, expected one "
        "of src, method, path, dst_port\n");
}
END_TEST

/* What is read at the message at which a rule is charged: its match, the key, the cost. */
START_TEST(an_argument_that_the_message_of_charge_lacks_is_told)
{
    expect_warnings(
        "listen: :0\n"
        "rules:\n"
        "  - name: a\n"
        "    message: request\n"
        "    match: { path: /login }\n"
        "    key: [ src, method ]\n"
        "    limits: { limit: 1, window: 1s }\n"
        "    cost: { arg: dst_port }\n"
        "    charge: { message: connection, match: { status: 401, dst_port: 80 } }\n",
        &sent,
        "f:9:13: warning: argument method is not sent with message connection of spoe.conf, "
        "expected one of src, dst_port\n"
        "f:9:45: warning: argument status is not sent with message connection of spoe.conf, "
        "expected one of src, dst_port\n");
}
END_TEST

START_TEST(a_message_that_nobody_sends_is_told_once)
{
    expect_warnings(
        "listen: :0\n"
        "defaults: { message: requst }\n"
        "rules:\n"
        "  - { name: a, match: { path: / }, action: allow }\n"
        "  - { name: b, match: { host: x }, action: allow }\n",
        &sent,
        "f:4:5: warning: message requst is not in spoe.conf, so that this never applies, expected "
        "one of request, connection; did you mean \"request\"?\n");
}
END_TEST

START_TEST(a_long_list_is_cut)
{
    static char names[200][RULES_NAME_MAX + 1];
    const char *words[200];
    for (size_t i = 0; i < 200; i++) {
        memset(names[i], 'a' + (int)(i % 26), RULES_NAME_MAX);
        words[i] = names[i];
    }
    const struct rules_sent many = {"m", words, 200};
    const struct rules_sent_list list = {"f", &many, 1};
    static struct rules_report report;
    struct rules_set *set = load_rule("{ name: a, message: m, match: { x: 1 }, action: allow }");
    rules_warn(set, &list, &report);
    ck_assert_uint_eq(report.count, 1);
    ck_assert(slice_has_suffix(report.problems[0].text, SLICE("a, ...")) ||
              slice_has_suffix(report.problems[0].text, SLICE(", ...")));
    rules_report_free(&report);
    rules_free(set);
}
END_TEST

START_TEST(without_a_list_nothing_is_said_of_it)
{
    expect_warnings("listen: :0\n"
                    "rules:\n"
                    "  - { name: a, message: x, match: { y: / }, action: allow }\n",
                    NULL, "");
}
END_TEST

/* ---- what never matches -------------------------------------------------------------------- */

/* Whether a rule with one match, allow, keeps a rule behind it with another from ever matching. */
static bool hides(const char *first, const char *second)
{
    static struct rules_report report;
    char text[1024];
    snprintf(text, sizeof(text),
             "listen: :0\n"
             "rules:\n"
             "  - { name: first, %s, action: allow }\n"
             "  - { name: second, %s, key: [ src ], limits: { limit: 1, window: 1s } }\n",
             first, second);
    struct rules_set *set = load(text);
    rules_warn(set, NULL, &report);
    bool hidden = report.count == 1;
    ck_assert_uint_le(report.count, 1);
    if (hidden)
        ck_assert_uint_eq(report.problems[0].line, 4);
    rules_report_free(&report);
    rules_free(set);
    return hidden;
}

START_TEST(a_rule_behind_one_that_matches_all_it_would_is_told)
{
    expect_warnings(
        "listen: :0\n"
        "rules:\n"
        "  - { name: all, match: { path: { prefix: /api } }, action: deny }\n"
        "  - name: some\n"
        "    match: { path: { in: [ /api/a, /apis ] }, method: GET }\n"
        "    key: src\n"
        "    limits: { limit: 1, window: 1s }\n"
        "  - { name: rest, match: { method: GET }, action: allow }\n",
        NULL,
        "f:4:5: warning: rule some never matches, since all (line 3, action: deny) ends the search "
        "for all that it would match\n");
}
END_TEST

START_TEST(wider_conditions_hide_narrower_ones)
{
    static const struct {
        const char *wider;
        const char *narrower;
    } pairs[] = {
        {"{}", "{ path: /a }"},
        {"{ path: /a }", "{ path: /a, method: GET }"},
        {"{ path: { in: [ /a, /b, /c ] } }", "{ path: { in: [ /c, /a ] } }"},
        {"{ port: { in: [ 80, 443 ] } }", "{ port: 443 }"},
        {"{ path: { prefix: /a } }", "{ path: { prefix: [ /ab, /a/b ] } }"},
        {"{ path: { prefix: /a } }", "{ path: /abc }"},
        {"{ path: { suffix: c } }", "{ path: { suffix: .c } }"},
        {"{ path: { contains: b } }", "{ path: { prefix: /abc } }"},
        {"{ path: { contains: b } }", "{ path: { contains: abc } }"},
        {"{ path: { in: [ /A, /b ], ignore_case: true } }",
         "{ path: { is: /a, ignore_case: true } }"},
        {"{ path: { is: /A, ignore_case: true } }", "{ path: { in: [ /a, /A ] } }"},
        {"{ src: { cidr: 10.0.0.0/8 } }", "{ src: { cidr: [ 10.1.0.0/16, 10.9.9.9 ] } }"},
        {"{ src: { cidr: 10.0.0.0/8 } }", "{ src: 10.9.9.9 }"},
        {"{ port: { between: [ 1, 1023 ] } }", "{ port: { in: [ 80, 443 ] } }"},
        {"{ key: { exists: true } }", "{ key: { regex: x } }"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char first[128];
        char second[128];
        snprintf(first, sizeof(first), "match: %s", pairs[i].wider);
        snprintf(second, sizeof(second), "match: %s", pairs[i].narrower);
        ck_assert_msg(hides(first, second), "%s doesn't hide %s", first, second);
        ck_assert_msg(!hides(second, first), "%s hides %s", second, first);
    }
    ck_assert(hides("match: {}", "message: a"));
    ck_assert(hides("message: a", "message: a, match: { path: /a }"));
}
END_TEST

START_TEST(what_may_match_yet_is_not_told)
{
    ck_assert(!hides("message: a", "match: {}"));
    ck_assert(!hides("message: a", "message: b"));
    ck_assert(!hides("match: { path: /a }", "match: { other: /a }"));
    ck_assert(!hides("match: { path: /a }", "match: { path: { is: /a, ignore_case: true } }"));
    ck_assert(!hides("match: { path: { prefix: a } }", "match: { path: { suffix: a } }"));
    ck_assert(
        !hides("match: { path: { not: { prefix: /a } } }", "match: { path: { prefix: /a } }"));
    ck_assert(!hides("match: { path: { exists: false } }", "match: { path: /a }"));
    /* An address that comes as such has no prefix. */
    ck_assert(!hides("match: { src: { prefix: '10.' } }", "match: { src: 10.0.0.1 }"));
    ck_assert(
        !hides("match: { src: { cidr: 10.0.0.0/9 } }", "match: { src: { cidr: 10.0.0.0/8 } }"));
    ck_assert(!hides("match: { any: [ { path: /a }, { path: /b } ] }", "match: { method: GET }"));
}
END_TEST

START_TEST(a_rule_that_limits_hides_none)
{
    expect_warnings("listen: :0\n"
                    "rules:\n"
                    "  - { name: a, key: src, limits: { limit: 1, window: 1s } }\n"
                    "  - { name: b, match: { path: / }, action: allow }\n",
                    NULL, "");
}
END_TEST

/* ---- limits -------------------------------------------------------------------------------- */

START_TEST(a_long_window_in_memory_is_told)
{
    expect_warnings(
        "listen: :0\n"
        "rules:\n"
        "  - { name: a, key: src, limits: { limit: 5, window: 1d } }\n"
        "  - { name: b, key: src, limits: [ { limit: 5, window: 25h } ] }\n",
        NULL,
        "f:4:5: warning: limit b has a window of 25h, and its counts are in this agent's memory, "
        "gone when it ends, expected a store that keeps them (mode single, sentinel, ketama or "
        "cluster), or a window of at most 1d\n");
    expect_warnings("listen: :0\n"
                    "store: { mode: single, nodes: redis }\n"
                    "rules:\n"
                    "  - { name: b, key: src, limits: [ { limit: 5, window: 25h } ] }\n",
                    NULL, "");
}
END_TEST

START_TEST(a_limit_that_cannot_be_shared_is_told)
{
    expect_warnings(
        "listen: :0\n"
        "store: { mode: single, nodes: redis }\n"
        "rules:\n"
        "  - { name: a, key: src, limits: { limit: 1, window: 1s } }\n"
        "  - { name: b, key: src, limits: { limit: 2, window: 1s } }\n"
        "  - { name: c, key: src, limits: { limit: 1, window: 1s }, on_store_error: deny }\n"
        "  - { name: d, key: src, limits: { limit: 0, window: 1s } }\n",
        NULL,
        "f:4:5: warning: limit a is 1, which can't be divided: while the store is away each agent "
        "admits 1, expected a greater limit, or on_store_error: deny or allow\n");
}
END_TEST

/* With the message `response`, which has the path of its request. */
static void expect_of_charge(const char *match, const char *key, const char *charge,
                             const char *expected)
{
    static const char *const arguments[] = {"src", "path", "status"};
    static const char *const request[] = {"src", "method", "path"};
    static const struct rules_sent both[] = {{"request", request, 3}, {"response", arguments, 3}};
    char text[512];
    snprintf(text, sizeof(text),
             "listen: :0\n"
             "rules:\n"
             "  - { name: r, message: request, %s key: %s, limits: { limit: 5, window: 1h },\n"
             "      charge: { message: response%s } }\n",
             match, key, charge);
    expect_warnings(text, &(struct rules_sent_list){"spoe.conf", both, 2}, expected);
}

START_TEST(a_charge_that_forgets_what_its_rule_is_about_is_told)
{
#define FORGOTTEN                                                                                  \
    "f:3:5: warning: rule r is checked for some values of path and charged at response, which "    \
    "has it too, for any, expected path in the match of charge as well\n"
    expect_of_charge("match: { path: /login },", "src", ", match: { status: 401 }", FORGOTTEN);
    expect_of_charge("match: { method: POST, path: /login },", "src", "", FORGOTTEN);
    expect_of_charge("match: { path: /login },", "src", ", match: { path: /login }", "");
    expect_of_charge("match: { path: /login },", "src",
                     ", match: { any: [ { status: 401 }, { path: /login } ] }", "");
    /* Who is meant by it has said so. */
    expect_of_charge("match: { path: /login },", "[ src, path ]", ", match: { status: 401 }", "");
    expect_of_charge("match: { method: POST, path: /login },", "src",
                     ", match: { path: { prefix: / } }", "");
    expect_of_charge("match: { any: [ { path: /a }, { path: /b } ] },", "src", "", "");
    /* It can't. */
    expect_of_charge("match: { method: POST },", "src", ", match: { status: 401 }", "");
    expect_of_charge("", "src", ", match: { status: 401 }", "");
#undef FORGOTTEN
}
END_TEST

UNIT_MAIN("warn", what_is_sent_needs_no_warning, an_argument_that_its_message_lacks_is_told,
          an_argument_that_the_message_of_charge_lacks_is_told,
          a_message_that_nobody_sends_is_told_once, a_long_list_is_cut,
          without_a_list_nothing_is_said_of_it, a_rule_behind_one_that_matches_all_it_would_is_told,
          wider_conditions_hide_narrower_ones, what_may_match_yet_is_not_told,
          a_rule_that_limits_hides_none, a_long_window_in_memory_is_told,
          a_limit_that_cannot_be_shared_is_told,
          a_charge_that_forgets_what_its_rule_is_about_is_told)
