/* What is made of an agent's answers, whatever they are. */
#include "agent/top/view.h"

#include <math.h>

#include "main.h"

static struct top_view view;

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    ck_assert_msg(json != NULL, "%s: %s", text, error.text);
    return json;
}

static void make(const char *now, const char *before, double seconds, enum top_order order)
{
    struct top_sample first = {.stats = before ? parse(before) : NULL, .at = 100};
    struct top_sample second = {.stats = parse(now), .health = parse("{}"), .at = 100 + seconds};
    top_view_make(&view, &second, &first, order);
    top_sample_free(&first);
    top_sample_free(&second);
    ck_assert_ptr_null(second.stats);
}

#define TOTALS(allowed, refused)                                                                   \
    "{\"decisions\": {\"allowed\": " #allowed ", \"refused\": " #refused "}}"

START_TEST(counters_become_rates)
{
    make(TOTALS(110, 30), TOTALS(100, 20), 2, TOP_BY_REFUSED);
    ck_assert_double_eq(view.refused, 5);
    ck_assert_double_eq(view.decisions, 10);
    /* One look alone tells none, nor do two at the same time. */
    make(TOTALS(110, 30), NULL, 2, TOP_BY_REFUSED);
    ck_assert(isnan(view.decisions));
    make(TOTALS(110, 30), TOTALS(100, 20), 0, TOP_BY_REFUSED);
    ck_assert(isnan(view.decisions));
    /* What fell was begun anew. */
    make(TOTALS(1, 30), TOTALS(100, 20), 2, TOP_BY_REFUSED);
    ck_assert(isnan(view.decisions));
}
END_TEST

#define RULE(name, allowed, refused)                                                               \
    "{\"rule\": \"" name "\", \"allowed\": " #allowed ", \"refused\": " #refused                   \
    ", \"shadow\": 0, \"delayed\": 0}"

START_TEST(rules_are_told_by_their_names_and_sorted)
{
    const char *before =
        "{\"rules\": [" RULE("a", 0, 0) "," RULE("b", 0, 0) "," RULE("c", 0, 0) "]}";
    const char *now = "{\"rules\": [" RULE("c", 1, 4) "," RULE("new", 9, 9) "," RULE(
        "a", 8, 2) "," RULE("b", 6, 4) "]}";
    static const char *const by_refused[] = {"b", "c", "a", "new"};
    static const char *const by_requests[] = {"a", "b", "c", "new"};
    make(now, before, 1, TOP_BY_REFUSED);
    ck_assert_uint_eq(view.rule_count, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(view.rules[i].name, by_refused[i]);
    ck_assert_double_eq(view.rules[0].decisions, 10);
    ck_assert(isnan(view.rules[3].refused));
    make(now, before, 1, TOP_BY_REQUESTS);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(view.rules[i].name, by_requests[i]);
}
END_TEST

START_TEST(there_is_an_end_to_what_is_taken)
{
    json_t *rules = json_array();
    json_t *keys = json_array();
    for (int i = 0; i < TOP_RULES_MAX + 1; i++)
        json_array_append_new(rules, json_pack("{s:s}", "rule", "r"));
    for (int i = 0; i < TOP_KEYS_MAX + 1; i++)
        json_array_append_new(keys, json_pack("{s:s}", "key", "k"));
    struct top_sample none = {0};
    struct top_sample now = {.stats = json_pack("{s:o}", "rules", rules),
                             .health = json_object(),
                             .top = json_pack("{s:o}", "keys", keys)};
    top_view_make(&view, &now, &none, TOP_BY_REFUSED);
    ck_assert_uint_eq(view.rule_count, TOP_RULES_MAX);
    ck_assert_uint_eq(view.key_count, TOP_KEYS_MAX);
    top_sample_free(&now);
}
END_TEST

START_TEST(texts_are_cut_and_no_orders)
{
    char text[TOP_TEXT_MAX + 40];
    struct top_sample none = {0};
    for (size_t size = TOP_TEXT_MAX - 1; size <= TOP_TEXT_MAX + 1; size++) {
        memset(text, 'x', sizeof(text));
        text[0] = '\033';
        text[size] = '\0';
        struct top_sample now = {.stats = json_pack("{s:s}", "version", text),
                                 .health = json_object()};
        top_view_make(&view, &now, &none, TOP_BY_REFUSED);
        ck_assert_uint_eq(strlen(view.version), size < TOP_TEXT_MAX ? size : TOP_TEXT_MAX);
        ck_assert_int_eq(view.version[0], '?');
        ck_assert_int_eq(strcmp(view.version + TOP_TEXT_MAX - 3, "...") == 0, size > TOP_TEXT_MAX);
        top_sample_free(&now);
    }
    char bytes[] = "a\n\x7f\x80 ~";
    top_clean(bytes);
    ck_assert_str_eq(bytes, "a??? ~");
}
END_TEST

START_TEST(anything_that_is_json_is_taken)
{
    static const char *const all[] = {
        "null",
        "[]",
        "7",
        "\"x\"",
        "{\"decisions\": 3, \"rules\": {}, \"keys\": 7}",
        "{\"rules\": [null, 7, {\"rule\": 5}, {\"rule\": \"a\", \"refused\": \"many\"}]}",
        "{\"connections\": {\"open\": -1, \"max\": 1e308}, \"keys\": {\"held\": null}}",
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct top_sample sample = {parse(all[i]), parse(all[i]), parse(all[i]), 1};
        struct top_sample next = {parse(all[i]), parse(all[i]), parse(all[i]), 2};
        top_view_make(&view, &next, &sample, TOP_BY_REQUESTS);
        ck_assert_uint_eq(view.connections, 0);
        ck_assert_uint_eq(view.connections_max, 0);
        top_sample_free(&sample);
        top_sample_free(&next);
    }
}
END_TEST

UNIT_MAIN("top_view", counters_become_rates, rules_are_told_by_their_names_and_sorted,
          there_is_an_end_to_what_is_taken, texts_are_cut_and_no_orders,
          anything_that_is_json_is_taken)
