/* What a rule does where its limits refuse: modes, percentages and waiting. */
#include "helper.h"
#include "random.h"

static bool is_enforced(const struct rules_set *set, struct value value)
{
    struct message message = message_of(set);
    give(&message, "a", value);
    return hit_of(&message).enforced;
}

static struct rules_set *load_mode(const char *keys)
{
    return load_rule("{ name: r, key: a, limits: { limit: 1, window: 1s, algorithm: token-bucket "
                     "}, %s }",
                     keys);
}

START_TEST(modes)
{
    struct rules_set *set = load_rule("{ name: r, key: a, limits: { limit: 1, window: 1s } }");
    ck_assert_int_eq(set->rules[0].mode, RULES_ENFORCE);
    ck_assert_uint_eq(set->rules[0].enforce_parts, RULES_ENFORCE_ALL);
    ck_assert_uint_eq(set->rules[0].max_delay, 0);
    ck_assert(is_enforced(set, text_value("x")));
    rules_free(set);
    set = load_mode("mode: enforce");
    ck_assert_int_eq(set->rules[0].mode, RULES_ENFORCE);
    ck_assert(is_enforced(set, text_value("x")));
    rules_free(set);
    set = load_mode("mode: shadow");
    ck_assert_int_eq(set->rules[0].mode, RULES_SHADOW);
    ck_assert(!is_enforced(set, text_value("x")));
    rules_free(set);
    set = load_mode("mode: delay, max_delay: 2s");
    ck_assert_int_eq(set->rules[0].mode, RULES_DELAY);
    ck_assert_uint_eq(set->rules[0].max_delay, 2000000);
    ck_assert(is_enforced(set, text_value("x")));
    rules_free(set);
}
END_TEST

/* ---- percentages --------------------------------------------------------------------------- */

START_TEST(percentages)
{
    static const struct {
        const char *text;
        uint32_t parts;
    } rows[] = {
        {"0%", 0},        {"0.00%", 0},    {"0.01%", 1},      {"0.1%", 10},       {"0.10%", 10},
        {"1%", 100},      {"9.99%", 999},  {"10%", 1000},     {"010.5%", 1050},   {"33.33%", 3333},
        {"99.99%", 9999}, {"100%", 10000}, {"100.0%", 10000}, {"100.00%", 10000},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char keys[64];
        snprintf(keys, sizeof(keys), "enforce: %s", rows[i].text);
        struct rules_set *set = load_mode(keys);
        ck_assert_msg(set->rules[0].enforce_parts == rows[i].parts, "%s", rows[i].text);
        rules_free(set);
    }
}
END_TEST

/* Of whom a rule is enforced, from which part on: its share in all later versions too. XXH3 of the
 * rule's name, a 0 and the subject's text, modulo 10000, by another program. */
START_TEST(who_is_of_a_part_stays_it)
{
    const struct {
        const char *rule;
        struct value value;
        unsigned first; /* parts for which it isn't */
    } rows[] = {
        {"r", text_value("acme"), 4667},
        {"r", text_value("x"), 6806},
        {"r", address_value("192.0.2.1"), 8520},
        {"login", text_value("acme"), 2680},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned more = 0; more < 2; more++) {
            char file[256];
            unsigned parts = rows[i].first + more;
            snprintf(file, sizeof(file),
                     "listen: :0\nrules: [ { name: %s, key: a, limits: { limit: 1, window: 1s }, "
                     "enforce: %u.%02u%% } ]\n",
                     rows[i].rule, parts / 100, parts % 100);
            for (uint64_t seed = 1; seed < 5; seed++) {
                struct rules_set *set = load_with_seed(file, seed);
                ck_assert_msg(is_enforced(set, rows[i].value) == more, "row %zu, %u", i, parts);
                rules_free(set);
            }
        }
    }
}
END_TEST

START_TEST(a_larger_part_has_the_smaller_one_in_it)
{
    static const char *const parts[] = {"0%", "1%", "10%", "20%", "50%", "99.99%", "100%"};
    enum {
        PARTS = sizeof(parts) / sizeof(parts[0]),
        SUBJECTS = 20000
    };
    static bool before[SUBJECTS];
    static const size_t shares[PARTS] = {0, 200, 2000, 4000, 10000, 19998, SUBJECTS};
    memset(before, 0, sizeof(before));
    for (size_t p = 0; p < PARTS; p++) {
        char keys[64];
        size_t enforced = 0;
        snprintf(keys, sizeof(keys), "enforce: %s", parts[p]);
        struct rules_set *set = load_mode(keys);
        for (int64_t i = 0; i < SUBJECTS; i++) {
            bool now = is_enforced(set, int_value(i));
            ck_assert(now || !before[i]);
            before[i] = now;
            enforced += now;
        }
        /* Five standard deviations and more. */
        ck_assert_msg(enforced + 400 >= shares[p] && enforced <= shares[p] + 400, "%zu at %s",
                      enforced, parts[p]);
        ck_assert(p != 0 || enforced == 0);
        ck_assert(p != PARTS - 1 || enforced == SUBJECTS);
        rules_free(set);
    }
}
END_TEST

START_TEST(a_part_goes_with_delay_and_tiers)
{
    struct rules_set *set = load_rule(
        "{ name: r, key: a, mode: delay, max_delay: 1s, enforce: 46.67%%, tiers: { by: plan, "
        "gold: unlimited, default: { limit: 1, window: 1s, algorithm: token-bucket } } }");
    struct message message = message_of(set);
    give(&message, "a", text_value("acme"));
    ck_assert(!hit_of(&message).enforced);
    give(&message, "plan", text_value("gold"));
    ck_assert(!hit_of(&message).enforced);
    rules_free(set);
}
END_TEST

/* ---- delay --------------------------------------------------------------------------------- */

START_TEST(a_delay_adds_to_the_burst_what_comes_meanwhile)
{
    static const struct {
        const char *keys;
        uint64_t burst;
        uint64_t at_once;
    } rows[] = {
        {"max_delay: 1s, limits: { limit: 10, window: 1s }", 20, 10},
        {"max_delay: 500ms, limits: { limit: 10, window: 1s, burst: 1 }", 6, 1},
        {"max_delay: 99ms, limits: { limit: 20, window: 1s }", 21, 20},
        {"max_delay: 100ms, limits: { limit: 20, window: 1s }", 22, 20},
        {"max_delay: 50ms, limits: { limit: 20, window: 1s }", 21, 20},
        {"max_delay: 1m, limits: { limit: 1, window: 1m, burst: 3 }", 4, 3},
        {"max_delay: 1ms, limits: { limit: 1000000000, window: 1s, burst: 1 }", 1000001, 1},
        {"max_delay: 1m, limits: { limit: 10000000, window: 1s, burst: 400000000 }", 1000000000,
         400000000},
        {"max_delay: 1s, limits: { limit: 0, window: 1s }", 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char file[256];
        snprintf(file, sizeof(file),
                 "listen: :0\ndefaults: { algorithm: token-bucket }\n"
                 "rules: [ { name: r, key: [], mode: delay, %s } ]\n",
                 rows[i].keys);
        struct rules_set *set = load(file);
        const struct rules_limit *limit = &set->rules[0].limits[0];
        ck_assert_msg(limit->limit.burst == rows[i].burst, "%s", rows[i].keys);
        ck_assert_msg(limit->burst_at_once == rows[i].at_once, "%s", rows[i].keys);
        rules_free(set);
    }
}
END_TEST

/* What is granted may pass within max_delay: so long after an empty bucket the burst alone would
 * have had the unit. */
START_TEST(what_is_granted_waits_no_longer_than_max_delay)
{
    struct random random = random_open("delay");
    for (size_t round = 0; round < 300; round++) {
        uint64_t units = 1 + random_below(&random, 1000);
        uint64_t burst = 1 + random_below(&random, 100);
        uint64_t window = 1 + random_below(&random, 5000);
        uint64_t delay = window / units + 1 + random_below(&random, 1000);
        struct rules_set *set = load_rule(
            "{ name: r, key: [], mode: delay, max_delay: %llums, limits: { limit: %llu, window: "
            "%llums, burst: %llu, algorithm: token-bucket } }",
            (unsigned long long)delay, (unsigned long long)units, (unsigned long long)window,
            (unsigned long long)burst);
        const struct rules_limit *limit = &set->rules[0].limits[0];
        struct limit_state state = {0};
        struct limit at_once = limit->limit;
        struct limit_state copy = {0};
        uint64_t now = UINT64_C(1700000000000000);
        at_once.burst = limit->burst_at_once;
        ck_assert_uint_eq(at_once.burst, burst);
        struct limit_result all = limit_take(&limit->limit, &state, now, limit->limit.burst + 1);
        ck_assert_uint_eq(all.granted, limit->limit.burst);
        /* The burst passes now; by max_delay, all the rest that was granted would have been. */
        limit_take(&at_once, &copy, now, burst);
        struct limit_result later =
            limit_peek(&at_once, &copy, now + delay * 1000, limit->limit.burst - burst);
        uint64_t expected = limit->limit.burst - burst;
        ck_assert_uint_eq(later.granted, expected < burst ? expected : burst);
        ck_assert_uint_le(expected * window, units * delay);
        ck_assert_uint_gt((expected + 1) * window, units * delay);
        rules_free(set);
    }
}
END_TEST

START_TEST(tiers_and_overrides_are_delayed_too)
{
    struct rules_set *set = load_rule(
        "{ name: r, key: a, mode: delay, max_delay: 1s, tiers: { by: plan, gold: { limit: 5, "
        "window: 1s, algorithm: token-bucket }, free: unlimited }, overrides: { key: acme, limits: "
        "{ limit: 7, window: 1s, algorithm: token-bucket, burst: 2 } } }");
    ck_assert_uint_eq(set->rules[0].lists[0].limits[0].limit.burst, 10);
    ck_assert_uint_eq(set->rules[0].lists[2].limits[0].limit.burst, 9);
    ck_assert_uint_eq(set->rules[0].lists[2].limits[0].burst_at_once, 2);
    rules_free(set);
}
END_TEST

UNIT_MAIN("modes", modes, percentages, who_is_of_a_part_stays_it,
          a_larger_part_has_the_smaller_one_in_it, a_part_goes_with_delay_and_tiers,
          a_delay_adds_to_the_burst_what_comes_meanwhile,
          what_is_granted_waits_no_longer_than_max_delay, tiers_and_overrides_are_delayed_too)
