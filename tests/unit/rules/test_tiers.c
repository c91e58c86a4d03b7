/* Limits that depend on the request: tiers, and overrides of single keys. */
#include "helper.h"
#include "random.h"

/* ---- tiers --------------------------------------------------------------------------------- */

/* The limits of a rule with key a for a plan. */
static void expect_plan(const struct rules_set *set, struct value plan, const char *limits)
{
    struct message message = message_of(set);
    give(&message, "a", text_value("x"));
    give(&message, "plan", plan);
    ck_assert_str_eq(limits_of(&message), limits);
}

START_TEST(a_tier_is_the_value_of_an_argument)
{
    struct rules_set *set =
        load_rule("{ name: r, key: a, tiers: { by: plan, default: { limit: 100, window: 1s }, "
                  "gold: { limit: 1000, window: 1s }, 7: { limit: 7, window: 1s }, "
                  "-7: { limit: 8, window: 1s }, true: { limit: 1, window: 1s }, "
                  "192.0.2.1: { limit: 4, window: 1s }, '2001:db8::1': { limit: 6, window: 1s }, "
                  "on hold: { limit: 0, window: 1s }, vip: unlimited } }");
    struct value binary = {.type = VALUE_BINARY, .bytes = SLICE("gold")};
    struct value nul = {.type = VALUE_STRING, .bytes = SLICE("gold\0")};
    static char many[1 << 16];
    struct value longest = {.type = VALUE_STRING, .bytes = slice_of(many, sizeof(many))};
    expect_plan(set, text_value("gold"), "r=1000");
    expect_plan(set, binary, "r=1000");
    expect_plan(set, int_value(7), "r=7");
    expect_plan(set, text_value("7"), "r=7");
    expect_plan(set, int_value(-7), "r=8");
    expect_plan(set, bool_value(true), "r=1");
    expect_plan(set, text_value("true"), "r=1");
    expect_plan(set, address_value("192.0.2.1"), "r=4");
    expect_plan(set, mapped_value("192.0.2.1"), "r=4");
    expect_plan(set, address_value("2001:0db8::1"), "r=6");
    expect_plan(set, text_value("on hold"), "r=0");
    expect_plan(set, text_value("vip"), "");
    /* All others. */
    expect_plan(set, absent, "r=100");
    expect_plan(set, text_value("silver"), "r=100");
    expect_plan(set, text_value("Gold"), "r=100");
    expect_plan(set, text_value("gol"), "r=100");
    expect_plan(set, text_value(""), "r=100");
    expect_plan(set, text_value("default"), "r=100");
    expect_plan(set, text_value("by"), "r=100");
    expect_plan(set, text_value("2001:DB8::1"), "r=100");
    expect_plan(set, nul, "r=100");
    expect_plan(set, longest, "r=100");
    expect_plan(set, bool_value(false), "r=100");
    ck_assert_uint_eq(set->rules[0].limit_count, 1);
    ck_assert_uint_eq(set->rules[0].list_count, 9);
    ck_assert_uint_eq(set->limit_count, 8);
    rules_free(set);
}
END_TEST

START_TEST(a_value_without_tier_is_not_limited_by_a_rule_without_default)
{
    struct rules_set *set = load_rule("{ name: r, key: a, tiers: { by: plan, gold: { limit: 1000, "
                                      "window: 1s }, none: unlimited } }");
    expect_plan(set, text_value("gold"), "r=1000");
    expect_plan(set, text_value("none"), "");
    expect_plan(set, text_value("silver"), "absent");
    expect_plan(set, text_value("default"), "absent");
    expect_plan(set, absent, "absent");
    ck_assert_ptr_null(set->rules[0].limits);
    rules_free(set);
}
END_TEST

START_TEST(tiers_come_in_any_order_and_may_be_lists)
{
    struct rules_set *set = load_rule(
        "{ name: r, key: a, tiers: { gold: [ { limit: 9, window: 1s }, { limit: 99, window: 1m } "
        "], default: [ { limit: 1, window: 1s } ], by: plan } }");
    expect_plan(set, text_value("gold"), "r-1s=9 r-1m=99");
    expect_plan(set, text_value("x"), "r-1s=1");
    rules_free(set);
}
END_TEST

/* Who changes its tier keeps its counts. */
START_TEST(tiers_share_what_they_count_in)
{
    struct rules_set *set =
        load_rule("{ name: r, key: a, tiers: { by: plan, default: { limit: 1, window: 60s }, "
                  "gold: [ { limit: 9, window: 1m }, { limit: 9, window: 1h } ], "
                  "bucket: { limit: 9, window: 1m, algorithm: token-bucket } } }");
    struct rules_set *plain = load_rule("{ name: r, key: a, limits: { limit: 500, window: 1m } }");
    const struct rules_rule *rule = &set->rules[0];
    const struct rules_limit *usual = &rule->lists[0].limits[0];
    const struct rules_limit *gold = &rule->lists[1].limits[0];
    const struct rules_limit *hour = &rule->lists[1].limits[1];
    const struct rules_limit *bucket = &rule->lists[2].limits[0];
    ck_assert(hash128_equal(usual->identity, gold->identity));
    ck_assert(hash128_equal(usual->identity, plain->rules[0].limits[0].identity));
    ck_assert(slice_equal(usual->store_name, gold->store_name));
    ck_assert(slice_equal(usual->store_name, SLICE("r:sliding-window-1m")));
    ck_assert(!hash128_equal(usual->identity, hour->identity));
    ck_assert(!hash128_equal(usual->identity, bucket->identity));
    ck_assert(slice_equal(bucket->store_name, SLICE("r:token-bucket-1m")));
    /* Names tell counters apart; policies say what a tier has. */
    ck_assert(slice_equal(usual->policy, SLICE("\"r-1m-sliding-window\";q=1;w=60")));
    ck_assert(slice_equal(gold->policy, SLICE("\"r-1m-sliding-window\";q=9;w=60")));
    ck_assert(slice_equal(hour->name, SLICE("r-1h")));
    ck_assert(slice_equal(bucket->name, SLICE("r-1m-token-bucket")));
    rules_free(plain);
    rules_free(set);
}
END_TEST

START_TEST(a_tier_may_have_names_of_its_own)
{
    struct rules_set *set = load_rule(
        "{ name: r, key: a, tiers: { by: plan, default: { limit: 1, window: 1s, name: free }, "
        "gold: { limit: 9, window: 1s, name: paid }, platinum: { limit: 99, window: 1s, name: "
        "paid }, other: { limit: 5, window: 1s } } }");
    expect_plan(set, absent, "free=1");
    expect_plan(set, text_value("gold"), "paid=9");
    expect_plan(set, text_value("platinum"), "paid=99");
    expect_plan(set, text_value("other"), "r=5");
    rules_free(set);
}
END_TEST

/* ---- overrides ----------------------------------------------------------------------------- */

static struct rules_set *load_override(const char *key, const char *override)
{
    return load_rule("{ name: r, key: %s, limits: { limit: 1, window: 1s }, overrides: [ { key: "
                     "%s, limits: { limit: 2, window: 1s } } ] }",
                     key, override);
}

/* Whether the override applies to a value of a. */
static void expect_override(const char *key, const char *override, struct value value, bool applies)
{
    struct rules_set *set = load_override(key, override);
    struct message message = message_of(set);
    give(&message, "a", value);
    ck_assert_msg(strcmp(limits_of(&message), applies ? "r=2" : "r=1") == 0, "%s, %s", key,
                  override);
    rules_free(set);
}

START_TEST(an_override_is_of_an_exact_key)
{
    struct value binary = {.type = VALUE_BINARY, .bytes = SLICE("acme")};
    expect_override("a", "acme", text_value("acme"), true);
    expect_override("[ a ]", "[ acme ]", binary, true);
    expect_override("a", "acme", text_value("Acme"), false);
    expect_override("a", "acme", text_value("acm"), false);
    expect_override("a", "acme", text_value("acmes"), false);
    expect_override("a", "acme", text_value(""), false);
    expect_override("a", "''", text_value(""), true);
    expect_override("a", "5", int_value(5), true);
    expect_override("a", "5", text_value("5"), true);
    expect_override("a", "-5", int_value(-5), true);
    expect_override("a", "5", int_value(-5), false);
    expect_override("a", "05", text_value("05"), true);
    expect_override("a", "true", bool_value(true), true);
    expect_override("a", "true", bool_value(false), false);
    expect_override("a", "192.0.2.1", address_value("192.0.2.1"), true);
    expect_override("a", "192.0.2.1", mapped_value("192.0.2.1"), true);
    expect_override("a", "192.0.2.1", text_value("192.0.2.1"), true);
    expect_override("a", "'2001:db8::1'", address_value("2001:DB8:0::1"), true);
}
END_TEST

START_TEST(an_override_is_of_what_is_counted)
{
    expect_override("{ arg: a, lower: true }", "Example.com", text_value("EXAMPLE.com"), true);
    expect_override("{ arg: a, lower: true }", "'2001:DB8::1'", address_value("2001:db8::1"), true);
    expect_override("{ arg: a, segments: 2 }", "/api/v1", text_value("//api/%761/users?x"), true);
    expect_override("{ arg: a, segments: 2 }", "/api/v1", text_value("/api/v2"), false);
    expect_override("{ arg: a, segments: 2 }", "/api/", text_value("/api"), true);
    expect_override("{ arg: a, segments: 16 }", "/a/b", text_value("/a/b/"), true);
    expect_override("{ arg: a, hash: true }", "secret", text_value("secret"), true);
    expect_override("{ arg: a, hash: true }", "secret", text_value("public"), false);
    expect_override("{ arg: a, default: none }", "none", absent, true);
    expect_override("{ arg: a, default: none }", "other", absent, false);
    expect_override("a/64", "192.0.2.1", text_value("192.0.2.1"), true);
    expect_override("a/64", "192.0.2.1/32", address_value("192.0.2.1"), true);
    expect_override("a/64", "192.0.2.1", address_value("192.0.2.2"), false);
    expect_override("a/64", "'2001:DB8::/64'", address_value("2001:db8::7"), true);
    expect_override("a/64", "'2001:db8::/64'", address_value("2001:db8:0:1::7"), false);
    expect_override("a/24/64", "192.0.2.0/24", text_value("192.0.2.9"), true);
    expect_override("a/24/64", "'::ffff:192.0.2.0/120'", text_value("192.0.2.9"), true);
    expect_override("{ arg: a/64, default: none }", "none", text_value("unknown"), true);
    expect_override("{ arg: a/64, default: 192.0.2.1 }", "192.0.2.1", absent, true);
}
END_TEST

START_TEST(long_values_have_no_override)
{
    static char bytes[300];
    char override[300];
    struct value value = {.type = VALUE_STRING, .bytes = slice_of(bytes, 256)};
    memset(bytes, 'x', sizeof(bytes));
    snprintf(override, sizeof(override), "%.*s", 256, bytes);
    expect_override("a", override, value, true);
    value.bytes.size = 257;
    expect_override("a", override, value, false);
    value.bytes.size = 300;
    expect_override("a", override, value, false);
    value.bytes.size = 255;
    expect_override("a", override, value, false);
}
END_TEST

START_TEST(an_override_of_several_arguments)
{
    struct rules_set *set =
        load_rule("{ name: r, key: [ a, b ], limits: { limit: 1, window: 1s }, overrides: ["
                  "{ key: [ x, y ], limits: { limit: 2, window: 1s } },"
                  "{ key: [ xy, '' ], limits: { limit: 3, window: 1s } },"
                  "{ key: [ '', xy ], limits: unlimited } ] }");
    struct message message = message_of(set);
    give(&message, "a", text_value("x"));
    ck_assert_str_eq(limits_of(&message), "absent");
    give(&message, "b", text_value("y"));
    ck_assert_str_eq(limits_of(&message), "r=2");
    give(&message, "b", text_value("x"));
    ck_assert_str_eq(limits_of(&message), "r=1");
    give(&message, "a", text_value("xy"));
    give(&message, "b", text_value(""));
    ck_assert_str_eq(limits_of(&message), "r=3");
    give(&message, "a", text_value(""));
    give(&message, "b", text_value("xy"));
    ck_assert_str_eq(limits_of(&message), "");
    rules_free(set);
}
END_TEST

START_TEST(an_override_comes_before_a_tier)
{
    struct rules_set *set = load_rule(
        "{ name: r, key: a, tiers: { by: plan, gold: { limit: 9, window: 1s } }, overrides: "
        "[ { key: acme, limits: [ { limit: 2, window: 1s }, { limit: 3, window: 1m } ] } ] }");
    struct message message = message_of(set);
    give(&message, "a", text_value("acme"));
    ck_assert_str_eq(limits_of(&message), "r-1s=2 r-1m=3");
    give(&message, "plan", text_value("gold"));
    ck_assert_str_eq(limits_of(&message), "r-1s=2 r-1m=3");
    give(&message, "a", text_value("other"));
    ck_assert_str_eq(limits_of(&message), "r-1s=9");
    give(&message, "plan", text_value("silver"));
    ck_assert_str_eq(limits_of(&message), "absent");
    rules_free(set);
}
END_TEST

/* Every one of many is found, and nothing else. */
START_TEST(a_hundred_thousand_overrides)
{
    struct random random = random_open("overrides");
    size_t room = (size_t)RULES_MAX_OVERRIDES * 64;
    char *file = malloc(room);
    ck_assert_ptr_nonnull(file);
    size_t size = (size_t)snprintf(file, room,
                                   "listen: :0\nrules:\n- name: r\n  key: a\n"
                                   "  limits: {limit: 1, window: 1s}\n  overrides:\n");
    for (size_t i = 0; i < RULES_MAX_OVERRIDES; i++)
        size += (size_t)snprintf(file + size, room - size,
                                 "  - {key: k%zu, limits: {limit: %zu, window: 1s}}\n", i, i + 2);
    struct rules_set *set = load(file);
    struct rules_matcher *matcher = rules_matcher_create(set);
    ck_assert_ptr_nonnull(matcher);
    struct message message = message_of(set);
    for (size_t round = 0; round < 200000; round++) {
        uint64_t i = random_below(&random, 2 * (size_t)RULES_MAX_OVERRIDES);
        char key[32];
        struct rules_hit hit;
        snprintf(key, sizeof(key), "k%zu", (size_t)i);
        give(&message, "a", text_value(key));
        ck_assert_uint_eq(rules_match(matcher, -1, message.values, &hit), 1);
        ck_assert_uint_eq(hit.limits[0].limit.units, i < RULES_MAX_OVERRIDES ? i + 2 : 1);
    }
    rules_matcher_free(matcher);
    rules_free(set);
    size += (size_t)snprintf(file + size, room - size,
                             "  - {key: one-more, limits: {limit: 1, window: 1s}}\n");
    ck_assert_str_eq(problems_of(slice_of(file, size)),
                     "100007:5: one override too many in a rule, expected at most 100000\n");
    free(file);
}
END_TEST

UNIT_MAIN("tiers", a_tier_is_the_value_of_an_argument,
          a_value_without_tier_is_not_limited_by_a_rule_without_default,
          tiers_come_in_any_order_and_may_be_lists, tiers_share_what_they_count_in,
          a_tier_may_have_names_of_its_own, an_override_is_of_an_exact_key,
          an_override_is_of_what_is_counted, long_values_have_no_override,
          an_override_of_several_arguments, an_override_comes_before_a_tier,
          a_hundred_thousand_overrides)
