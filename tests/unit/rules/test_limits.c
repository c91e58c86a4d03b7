/* Which limits a request is subject to, and for how many units. */
#include "helper.h"

/* The one hit of a message. */
static struct rules_hit hit_of(const struct message *message)
{
    struct rules_hit hit;
    ck_assert_uint_eq(match(message->set, -1, message->values, &hit), 1);
    ck_assert_ptr_eq(hit.rule, &message->set->rules[0]);
    return hit;
}

/* The limits of a hit: "NAME=UNITS NAME=UNITS". */
static const char *limits_of(const struct rules_hit *hit)
{
    static char text[1024];
    struct writer w = writer_open(text, sizeof(text) - 1);
    for (size_t i = 0; i < hit->limit_count; i++) {
        writer_bytes(&w, i ? SLICE(" ") : SLICE(""));
        writer_bytes(&w, hit->limits[i].name);
        writer_uint8(&w, '=');
        writer_decimal(&w, hit->limits[i].limit.units);
        ck_assert_ptr_eq(hit->limits[i].rule, hit->rule);
    }
    text[writer_size(&w)] = 0;
    return text;
}

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
    struct rules_hit hit = hit_of(&message);
    ck_assert_str_eq(limits_of(&hit), "r=5");
    ck_assert_uint_eq(set->limit_count, 1);
    ck_assert_uint_eq(set->rules[0].limit_count, 1);
    ck_assert_ptr_eq(set->rules[0].lists[0].limits, hit.limits);
    rules_free(set);
}
END_TEST

UNIT_MAIN("limits", an_unlimited_rule_has_no_limits, what_is_unlimited_limits_nothing_beside_others)
