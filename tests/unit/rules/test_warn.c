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
        "that is\n");
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

UNIT_MAIN("warn", what_is_sent_needs_no_warning, an_argument_that_its_message_lacks_is_told,
          a_message_that_nobody_sends_is_told_once, a_long_list_is_cut,
          without_a_list_nothing_is_said_of_it)
