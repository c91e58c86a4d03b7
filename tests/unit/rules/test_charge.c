/* Rules that are checked at one message and charged at another; and penalties. */
#include "helper.h"

/* The hits of a message, in order: "a" where it is checked, "a+3" charged by 3, "a?" without key,
 * "a!" for one that ends the search. */
static const char *hits_of(const struct message *message, const char *name)
{
    static char text[256];
    struct rules_hit hits[8];
    struct writer w = writer_open(text, sizeof(text) - 1);
    ck_assert_uint_le(message->set->rule_count, 8);
    size_t count = match(message->set, rules_message(message->set, slice_of_string(name)),
                         message->values, hits);
    for (size_t i = 0; i < count; i++) {
        writer_bytes(&w, i ? SLICE(" ") : SLICE(""));
        writer_bytes(&w, hits[i].rule->name);
        if (hits[i].kind == RULES_HIT_CHARGE) {
            writer_uint8(&w, '+');
            writer_decimal(&w, hits[i].cost);
        } else if (hits[i].kind != RULES_HIT_LIMIT) {
            writer_uint8(&w, hits[i].kind == RULES_HIT_NO_KEY ? '?' : '!');
        }
    }
    text[writer_size(&w)] = 0;
    return text;
}

#define LOGIN                                                                                      \
    "{ name: login, message: req, match: { path: /login }, key: a, limits: { limit: 5, window: "   \
    "1m }, charge: { message: res, match: { status: { in: [ 401, 403 ] } } } }"

START_TEST(a_rule_is_checked_at_its_message_and_charged_at_the_other)
{
    struct rules_set *set = load_rule(LOGIN);
    struct message request = message_of(set);
    struct message response = message_of(set);
    ck_assert(set->rules[0].charged_later);
    give(&request, "a", text_value("x"));
    ck_assert_str_eq(hits_of(&request, "req"), "");
    give(&request, "path", text_value("/login"));
    ck_assert_str_eq(hits_of(&request, "req"), "login");
    /* Each match is its own message's. */
    ck_assert_str_eq(hits_of(&request, "res"), "");
    give(&response, "a", text_value("x"));
    give(&response, "status", int_value(200));
    ck_assert_str_eq(hits_of(&response, "res"), "");
    give(&response, "status", int_value(401));
    ck_assert_str_eq(hits_of(&response, "res"), "login+1");
    ck_assert_str_eq(hits_of(&response, "req"), "");
    ck_assert_str_eq(hits_of(&response, "other"), "");
    rules_free(set);
}
END_TEST

START_TEST(both_count_the_same_subject_by_the_same_limits)
{
    struct rules_set *set = load_rule(
        "{ name: r, message: req, key: [ a/64 ], tiers: { by: plan, gold: { limit: 5, window: 1m "
        "}, default: { limit: 1, window: 1m } }, charge: { message: res } }");
    struct message message = message_of(set);
    struct rules_hit check;
    struct rules_hit charge;
    give(&message, "a", text_value("2001:db8::1"));
    give(&message, "plan", text_value("gold"));
    ck_assert_uint_eq(match(set, rules_message(set, SLICE("req")), message.values, &check), 1);
    give(&message, "a", address_value("2001:db8::2"));
    ck_assert_uint_eq(match(set, rules_message(set, SLICE("res")), message.values, &charge), 1);
    ck_assert_int_eq(check.kind, RULES_HIT_LIMIT);
    ck_assert_int_eq(charge.kind, RULES_HIT_CHARGE);
    ck_assert(hash128_equal(check.subject, charge.subject));
    ck_assert_ptr_eq(check.limits, charge.limits);
    ck_assert_uint_eq(charge.limit_count, 1);
    ck_assert_uint_eq(charge.limits[0].limit.units, 5);
    rules_free(set);
}
END_TEST

START_TEST(the_other_message_has_to_have_the_key_and_the_cost)
{
    struct rules_set *set = load_rule(
        "{ name: r, message: req, key: a, limits: { limit: 5, window: 1m }, cost: { arg: size, "
        "default: 2, max: 5 }, charge: { message: res } }");
    struct message message = message_of(set);
    ck_assert_str_eq(hits_of(&message, "res"), "r?");
    give(&message, "a", text_value("x"));
    ck_assert_str_eq(hits_of(&message, "res"), "r+2");
    give(&message, "size", int_value(4));
    ck_assert_str_eq(hits_of(&message, "res"), "r+4");
    ck_assert_str_eq(hits_of(&message, "req"), "r");
    rules_free(set);
}
END_TEST

START_TEST(charges_stand_where_their_rules_do)
{
    struct rules_set *set =
        load("listen: :0\nrules:\n"
             "- { name: a, message: res, key: [], limits: { limit: 1, window: 1s } }\n"
             "- { name: b, message: req, key: [], limits: { limit: 1, window: 1s },\n"
             "    charge: { message: res } }\n"
             "- { name: c, key: [], limits: { limit: 1, window: 1s } }\n"
             "- { name: d, message: res, match: { status: 200 }, action: allow }\n"
             "- { name: e, message: res, key: [], limits: { limit: 1, window: 1s },\n"
             "    charge: { message: req, match: { status: 0 } } }\n"
             "- { name: f, message: req, key: [], limits: { limit: 1, window: 1s },\n"
             "    charge: { message: res }, mode: shadow }\n");
    struct message message = message_of(set);
    ck_assert_str_eq(hits_of(&message, "res"), "a b+1 c e f+1");
    ck_assert_str_eq(hits_of(&message, "req"), "b c f");
    ck_assert_str_eq(hits_of(&message, "none"), "c");
    give(&message, "status", int_value(200));
    ck_assert_str_eq(hits_of(&message, "res"), "a b+1 c d!");
    give(&message, "status", int_value(0));
    ck_assert_str_eq(hits_of(&message, "req"), "b c e+1 f");
    rules_free(set);
}
END_TEST

/* ---- penalties ----------------------------------------------------------------------------- */

START_TEST(a_penalty_is_two_limits)
{
    struct rules_set *set =
        load_rule("{ name: r, key: a, limits: { limit: 5, window: 1m }, penalty: { after: 20, "
                  "within: 90s, for: 10m } }");
    const struct rules_rule *rule = &set->rules[0];
    const struct rules_limit *count = rule->penalty_count;
    const struct rules_limit *mark = rule->penalty_mark;
    ck_assert_int_eq(count->limit.algorithm, LIMIT_SLIDING_WINDOW);
    ck_assert_uint_eq(count->limit.units, 20);
    ck_assert_uint_eq(count->limit.window, 90000000);
    ck_assert_int_eq(mark->limit.algorithm, LIMIT_SLIDING_LOG);
    ck_assert_uint_eq(mark->limit.units, 1);
    ck_assert_uint_eq(mark->limit.window, 600000000);
    ck_assert_ptr_null(limit_check(&count->limit));
    ck_assert_ptr_null(limit_check(&mark->limit));
    ck_assert_ptr_eq(count->rule, rule);
    ck_assert_ptr_eq(mark->rule, rule);
    ck_assert(slice_equal(count->name, SLICE("r-penalty-count")));
    ck_assert(slice_equal(mark->name, SLICE("r-penalty")));
    ck_assert(slice_equal(count->policy, SLICE("\"r-penalty-count\";q=20;w=90")));
    ck_assert(slice_equal(mark->policy, SLICE("\"r-penalty\";q=1;w=600")));
    ck_assert(slice_equal(count->store_name, SLICE("r:penalty-count-90s")));
    ck_assert(slice_equal(mark->store_name, SLICE("r:penalty-10m")));
    /* No more limits apply by it. */
    ck_assert_uint_eq(set->limit_count, 1);
    ck_assert_uint_eq(rule->list_count, 1);
    ck_assert(slice_equal(rule->limits[0].name, SLICE("r")));
    rules_free(set);
    set = load_rule("{ name: r, key: a, limits: { limit: 5, window: 1m } }");
    ck_assert_ptr_null(set->rules[0].penalty_count);
    ck_assert_ptr_null(set->rules[0].penalty_mark);
    rules_free(set);
}
END_TEST

/* Not even with those that look just like it. */
START_TEST(a_penalty_counts_apart_from_all_limits)
{
    struct rules_set *set =
        load("listen: :0\nrules:\n"
             "- { name: r, key: a, penalty: { after: 5, within: 1m, for: 1m }, limits: [\n"
             "    { limit: 5, window: 1m }, { limit: 1, window: 1m, algorithm: sliding-log } ] }\n"
             "- { name: r-penalty, key: a, limits: { limit: 5, window: 1m, name: x } }\n"
             "- { name: r-penalty-count, key: a, limits: { limit: 5, window: 1m, name: y } }\n");
    const struct rules_limit *limits[] = {
        &set->rules[0].limits[0],   &set->rules[0].limits[1], set->rules[0].penalty_count,
        set->rules[0].penalty_mark, &set->rules[1].limits[0], &set->rules[2].limits[0],
    };
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < i; k++) {
            ck_assert(!hash128_equal(limits[i]->identity, limits[k]->identity));
            ck_assert(!slice_equal(limits[i]->store_name, limits[k]->store_name));
            ck_assert(!slice_equal(limits[i]->name, limits[k]->name));
        }
    }
    rules_free(set);
}
END_TEST

START_TEST(the_longest_names_of_a_penalty)
{
    struct rules_set *set =
        load_rule("{ name: %050d, key: a, limits: unlimited, penalty: { after: 1000000000, within: "
                  "31622399999ms, for: 31622399999ms } }",
                  0);
    const struct rules_rule *rule = &set->rules[0];
    ck_assert_uint_eq(rule->penalty_count->name.size, RULES_NAME_MAX);
    ck_assert(
        slice_has_suffix(rule->penalty_count->store_name, SLICE("0:penalty-count-31622399999ms")));
    ck_assert(slice_has_suffix(rule->penalty_mark->store_name, SLICE("0:penalty-31622399999ms")));
    rules_free(set);
}
END_TEST

UNIT_MAIN("charge", a_rule_is_checked_at_its_message_and_charged_at_the_other,
          both_count_the_same_subject_by_the_same_limits,
          the_other_message_has_to_have_the_key_and_the_cost, charges_stand_where_their_rules_do,
          a_penalty_is_two_limits, a_penalty_counts_apart_from_all_limits,
          the_longest_names_of_a_penalty)
