#include "helper.h"
#include "random.h"
#include "rules/index.h"

/* ---- how much is looked at ----------------------------------------------------------------- */

/* A set of so many rules, of one form; %zu stands for the rule's number. */
static struct rules_set *many(size_t count, const char *match)
{
    size_t room = count * 256 + 64;
    char *text = malloc(room);
    ck_assert_ptr_nonnull(text);
    size_t size = (size_t)snprintf(text, room, "listen: :0\nrules:\n");
    for (size_t i = 0; i < count; i++) {
        char number[24];
        size += (size_t)snprintf(text + size, room - size,
                                 "- { name: r%zu, key: [], limits: { "
                                 "limit: 1, window: 1s }, match: ",
                                 i);
        snprintf(number, sizeof(number), "%zu", i);
        for (const char *p = match; *p; p++) {
            if (*p == '#')
                size += (size_t)snprintf(text + size, room - size, "%s", number);
            else
                text[size++] = *p;
        }
        size += (size_t)snprintf(text + size, room - size, " }\n");
    }
    text[size] = 0;
    struct rules_set *set = load(text);
    free(text);
    return set;
}

/* Of how many rules a message's values make candidates. */
static size_t candidates(const struct rules_set *set, const struct value *values)
{
    const struct rules__table *table = set->index->table;
    struct rules__marks marks;
    struct value canonical[RULES_MAX_SLOTS];
    uint32_t trigger;
    size_t count = table->any.always_count;
    for (size_t i = 0; i < set->slot_count; i++)
        canonical[i] = rules__canonical(&values[i]);
    ck_assert(rules__marks_open(&marks, table->trigger_count));
    rules__marks_add(&marks, table, &table->any, canonical);
    while (rules__marks_next(&marks, &trigger))
        count++;
    rules__marks_free(&marks);
    return count;
}

START_TEST(only_what_may_apply_is_looked_at)
{
    static const struct {
        const char *match; /* '#' is the rule's number */
        const char *a, *b;
        size_t most; /* candidates of 2,000 */
    } rows[] = {
        {"{ a: x# }", "x77", NULL, 1},
        {"{ a: x# }", "y77", NULL, 0},
        {"{ a: { in: [ x#, y#, z ] } }", "y77", NULL, 1},
        {"{ a: { is: X#, ignore_case: true } }", "x77", NULL, 1},
        {"{ a: { prefix: /x#/ } }", "/x77/y", NULL, 1},
        {"{ a: { prefix: /X#/, ignore_case: true } }", "/x77/y", NULL, 1},
        {"{ a: { suffix: .x#. } }", "y.x77.", NULL, 1},
        {"{ a: { suffix: .X#., ignore_case: true } }", "y.x77.", NULL, 1},
        /* one condition is shared by all: the other is looked at, whichever it is */
        {"{ a: POST, b: x# }", "POST", "x77", 1},
        {"{ b: x#, a: POST }", "POST", "x77", 1},
        {"{ a: { prefix: / }, b: x# }", "/", "x77", 1},
        {"{ a: { suffix: x#, regex: x } , b: { cidr: 10.0.0.0/8 } }", "x77", "10.0.0.1", 1},
        {"{ all: [ { a: POST }, { b: x# } ] }", "POST", "x77", 1},
        {"{ any: [ { a: x# }, { b: x# } ] }", "x77", "y", 1},
        {"{ any: [ { a: x# }, { b: x# } ] }", "y", "x77", 1},
        {"{ any: [ { a: x# }, { all: [ { a: y }, { b: x# } ] } ] }", "y", "x77", 1},
        /* what can't be looked up */
        {"{ a: { contains: x# } }", "x77", NULL, 2000},
        {"{ a: { not: x# } }", "x77", NULL, 2000},
        {"{ not: { a: x# } }", "x77", NULL, 2000},
        {"{ any: [ { a: x# }, { b: { gt: # } } ] }", "y", "5", 2000},
        {"{ a: { regex: x# } }", "x77", NULL, 2000},
        {"{ a: { contains: x# }, b: x# }", "x77", "x77", 1},
        {"{ a: { not: x# }, b: x# }", "x77", "x77", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rules_set *set = many(2000, rows[i].match);
        struct message message = message_of(set);
        give(&message, "a", text_value(rows[i].a));
        if (rows[i].b)
            give(&message, "b", text_value(rows[i].b));
        size_t count = candidates(set, message.values);
        ck_assert_msg(count == rows[i].most, "row %zu: %s: %zu", i, rows[i].match, count);
        rules_free(set);
    }
}
END_TEST

START_TEST(networks_are_found_by_each_length_that_there_is)
{
    struct rules_set *set = many(200, "{ a: { cidr: [ 10.0.#.0/24, '2001:db8:#::/48' ] } }");
    struct message message = message_of(set);
    give(&message, "a", address_value("10.0.77.9"));
    ck_assert_uint_eq(candidates(set, message.values), 1);
    give(&message, "a", text_value("2001:db8:77::9"));
    ck_assert_uint_eq(candidates(set, message.values), 1);
    give(&message, "a", address_value("10.1.77.9"));
    ck_assert_uint_eq(candidates(set, message.values), 0);
    rules_free(set);
}
END_TEST

/* A condition with too many values isn't entered; its rule is tried always, and right. */
START_TEST(conditions_of_many_values_are_tried_always)
{
    for (size_t values = RULES__INDEX_CONDITION_MAX / 2; values <= RULES__INDEX_CONDITION_MAX;
         values += RULES__INDEX_CONDITION_MAX / 2) {
        static char match[RULES__INDEX_CONDITION_MAX * 16];
        size_t size = (size_t)snprintf(match, sizeof(match), "{ a: { in: [ ");
        /* Each is a text and a number. */
        for (size_t i = 0; i < values; i++)
            size += (size_t)snprintf(match + size, sizeof(match) - size, "%zu, ", i);
        snprintf(match + size, sizeof(match) - size, "] } }");
        struct rules_set *set = load_rule("{ name: r, action: allow, match: %s }", match);
        bool is_entered = values == RULES__INDEX_CONDITION_MAX / 2;
        ck_assert_uint_eq(set->index->table->any.always_count, is_entered ? 0 : 1);
        ck_assert(applies(set, "a", int_value((int64_t)values - 1)));
        ck_assert(applies(set, "a", text_value("7")));
        ck_assert(!applies(set, "a", int_value((int64_t)values)));
        rules_free(set);
    }
}
END_TEST

/* A few rules are tried as they are, unless that may take long. */
START_TEST(a_few_rules_are_not_looked_up)
{
    static const struct {
        size_t rules;
        const char *match;
        size_t most; /* candidates of a message that no rule applies to */
    } rows[] = {
        {1, "{ a: { in: [ x#, y# ] } }", 1},
        {13, "{ a: x# }", 13},
        {14, "{ a: x# }", 0},
        {3, "{ a: x#, b: { prefix: /x } }", 3},
        {3, "{ any: [ { a: x# }, { a: { regex: x }, b: x# } ] }", 0},
        {2, "{ a: { contains: z }, b: x# }", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rules_set *set = many(rows[i].rules, rows[i].match);
        struct message message = message_of(set);
        give(&message, "a", text_value("no"));
        ck_assert_msg(candidates(set, message.values) == rows[i].most, "row %zu: %s", i,
                      rows[i].match);
        rules_free(set);
    }
}
END_TEST

/* What was found and not reached, since an earlier rule ended the search, isn't of the next
 * message. */
START_TEST(messages_leave_nothing_behind)
{
    struct rules_set *set = load("listen: :0\n"
                                 "rules:\n"
                                 "- { name: slow, action: deny, match: { c: { contains: c } } }\n"
                                 "- { name: stop, action: allow, match: { b: stop } }\n"
                                 "- { name: x, action: deny, match: { a: x } }\n"
                                 "- { name: y, action: deny, match: { a: y } }\n");
    struct rules_matcher *matcher = rules_matcher_create(set);
    struct rules_hit hits[4];
    struct message message = message_of(set);
    ck_assert_uint_eq(set->index->table->any.always_count, 1);
    give(&message, "a", text_value("x"));
    give(&message, "b", text_value("stop"));
    ck_assert_uint_eq(rules_match(matcher, -1, message.values, hits), 1);
    ck_assert_uint_eq(hits[0].rule->index, 1);
    give(&message, "a", text_value("y"));
    give(&message, "b", text_value("go"));
    ck_assert_uint_eq(rules_match(matcher, -1, message.values, hits), 1);
    ck_assert_uint_eq(hits[0].rule->index, 3);
    give(&message, "a", text_value("z"));
    ck_assert_uint_eq(rules_match(matcher, -1, message.values, hits), 0);
    rules_matcher_free(matcher);
    rules_free(set);
}
END_TEST

START_TEST(marks_come_out_in_order)
{
    struct random random = random_open("marks");
    for (int round = 0; round < 20; round++) {
        struct rules_set *set =
            many(1 + (size_t)random_below(&random, 3000), "{ a: { in: [ x, x# ] } }");
        struct rules_matcher *matcher = rules_matcher_create(set);
        struct rules_hit *hits = calloc(set->rule_count, sizeof(*hits));
        struct value value = text_value("x");
        ck_assert(matcher && hits);
        ck_assert_uint_eq(rules_match(matcher, -1, &value, hits), set->rule_count);
        for (size_t i = 0; i < set->rule_count; i++)
            UNIT_ASSERT(hits[i].rule->index == i);
        free(hits);
        rules_matcher_free(matcher);
        rules_free(set);
    }
}
END_TEST

UNIT_MAIN("index", only_what_may_apply_is_looked_at,
          networks_are_found_by_each_length_that_there_is,
          conditions_of_many_values_are_tried_always, a_few_rules_are_not_looked_up,
          messages_leave_nothing_behind, marks_come_out_in_order)
