/* Which limits a request is subject to, and for how many units. */
#include "helper.h"

/* ---- unlimited ----------------------------------------------------------------------------- */

START_TEST(an_unlimited_rule_has_no_limits)
{
    static const char *const rules[] = {
        "{ name: r, key: a, limits: unlimited }",
        "{ name: r, key: a, limits: [ unlimited ] }",
        "{ name: r, key: a, limits: { limit: unlimited } }",
        ("{ name: r, key: a, limits: [ { limit: unlimited, window: 1s, algorithm: token-bucket, "
         "burst: 5, name: x }, unlimited ] }"),
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        struct rules_set *set = load_rule("%s", rules[i]);
        struct message message = message_of(set);
        struct rules_hit hit = hit_of(&message);
        ck_assert_int_eq(hit.kind, RULES_HIT_NO_KEY);
        give(&message, "a", text_value("x"));
        hit = hit_of(&message);
        ck_assert_int_eq(hit.kind, RULES_HIT_LIMIT);
        ck_assert_uint_eq(hit.limit_count, 0);
        ck_assert(hit.enforced);
        ck_assert_uint_eq(set->limit_count, 0);
        rules_free(set);
    }
}
END_TEST

START_TEST(what_is_unlimited_limits_nothing_beside_others)
{
    struct rules_set *set =
        load_rule("{ name: r, key: a, limits: [ { limit: unlimited, window: 1s }, "
                  "{ limit: 5, window: 1d }, unlimited ] }");
    struct message message = message_of(set);
    give(&message, "a", text_value("x"));
    ck_assert_str_eq(limits_of(&message), "r=5");
    ck_assert_uint_eq(set->limit_count, 1);
    ck_assert_uint_eq(set->rules[0].limit_count, 1);
    ck_assert_ptr_eq(set->rules[0].lists[0].limits, hit_of(&message).limits);
    rules_free(set);
}
END_TEST

/* ---- cost ---------------------------------------------------------------------------------- */

/* What a request costs whose `units` is a value. */
static uint64_t cost_for(const struct rules_set *set, struct value units)
{
    struct message message = message_of(set);
    give(&message, "units", units);
    struct rules_hit hit = hit_of(&message);
    ck_assert_int_eq(hit.kind, RULES_HIT_LIMIT);
    return hit.cost;
}

static struct rules_set *load_cost(const char *cost)
{
    return load_rule("{ name: r, key: [], limits: { limit: 1000000000, window: 1s }, cost: %s }",
                     cost);
}

START_TEST(a_request_costs_1_or_what_is_said)
{
    struct rules_set *set = load_rule("{ name: r, key: [], limits: { limit: 1, window: 1s } }");
    ck_assert_uint_eq(cost_for(set, absent), 1);
    rules_free(set);
    set = load_cost("1");
    ck_assert_uint_eq(cost_for(set, absent), 1);
    rules_free(set);
    set = load_cost("5");
    ck_assert_uint_eq(cost_for(set, absent), 5);
    ck_assert_uint_eq(cost_for(set, int_value(7)), 5);
    rules_free(set);
    set = load_cost("1000000000");
    ck_assert_uint_eq(cost_for(set, absent), 1000000000);
    rules_free(set);
}
END_TEST

START_TEST(a_cost_from_an_argument_has_bounds)
{
    struct value int32 = {.type = VALUE_INT32, .integer = 7};
    struct value uint32 = {.type = VALUE_UINT32, .natural = 7};
    struct value huge = {.type = VALUE_UINT64, .natural = UINT64_MAX};
    struct value binary = {.type = VALUE_BINARY, .bytes = SLICE("7")};
    const struct {
        struct value sent;
        uint64_t cost;
    } rows[] = {
        {int_value(7), 7},
        {int32, 7},
        {uint32, 7},
        {int_value(2), 2},
        {int_value(100), 100},
        {int_value(1), 2},
        {int_value(0), 2},
        {int_value(-7), 2},
        {int_value(INT64_MIN), 2},
        {int_value(101), 100},
        {huge, 100},
        /* A text of digits is a number, as a header has it. However long: who sends more digits
         * mustn't pay less. */
        {text_value("7"), 7},
        {text_value("007"), 7},
        {text_value("0"), 2},
        {text_value("-7"), 2},
        {text_value("-99999999999999999999999999"), 2},
        {text_value("101"), 100},
        {text_value("99999999999999999999999999"), 100},
        {binary, 7},
        /* What is no number. */
        {absent, 3},
        {text_value(""), 3},
        {text_value("-"), 3},
        {text_value("--7"), 3},
        {text_value("+7"), 3},
        {text_value(" 7"), 3},
        {text_value("7 "), 3},
        {text_value("7.0"), 3},
        {text_value("7e1"), 3},
        {text_value("0x7"), 3},
        {text_value("many"), 3},
        {bool_value(true), 3},
        {address_value("0.0.0.7"), 3},
        {address_value("::7"), 3},
    };
    struct rules_set *set = load_cost("{ arg: units, default: 3, min: 2, max: 100 }");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(cost_for(set, rows[i].sent) == rows[i].cost, "row %zu", i);
    rules_free(set);
}
END_TEST

START_TEST(bounds_of_a_cost_that_are_left_out)
{
    struct value huge = {.type = VALUE_UINT64, .natural = UINT64_MAX};
    struct rules_set *set = load_cost("{ arg: units }");
    ck_assert_uint_eq(cost_for(set, absent), 1);
    ck_assert_uint_eq(cost_for(set, int_value(0)), 1);
    ck_assert_uint_eq(cost_for(set, int_value(5)), 5);
    ck_assert_uint_eq(cost_for(set, huge), LIMIT_UNITS_MAX);
    rules_free(set);
    set = load_cost("{ arg: units, min: 10 }");
    ck_assert_uint_eq(cost_for(set, absent), 10);
    rules_free(set);
    set = load_cost("{ arg: units, min: 4, max: 4 }");
    ck_assert_uint_eq(cost_for(set, int_value(9)), 4);
    rules_free(set);
}
END_TEST

/* The bound is what can be granted at once: a bucket's burst. */
START_TEST(a_cost_up_to_what_a_limit_grants)
{
    static const char *const right[] = {
        "cost: 5, limits: { limit: 5, window: 1s }",
        "cost: 5, limits: [ { limit: 0, window: 1s }, { limit: 5, window: 1m } ]",
        "cost: 5, limits: unlimited",
        "cost: 5, limits: { limit: 1, window: 1s, algorithm: token-bucket, burst: 5 }",
        "cost: { arg: units, min: 5 }, limits: { limit: 5, window: 1s }",
    };
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        rules_free(load_rule("{ name: r, key: [], %s }", right[i]));
}
END_TEST

UNIT_MAIN("limits", a_request_costs_1_or_what_is_said, a_cost_from_an_argument_has_bounds,
          bounds_of_a_cost_that_are_left_out, a_cost_up_to_what_a_limit_grants,
          an_unlimited_rule_has_no_limits, what_is_unlimited_limits_nothing_beside_others)
