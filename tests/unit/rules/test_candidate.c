#include "files.h"

#define RULES "rules: []\n"

static const struct named_file files[] = {
    {"rewrite.yml", {(const uint8_t *)"not looked into here", 20}},
    {"new/rewrite.yml", {(const uint8_t *)"x", 1}},
    {"latin1.yml", {(const uint8_t *)"a: \xe9\n", 5}},
    {NULL, {NULL, 0}},
};

/* Loads in an environment that wants a candidate, or is one's. Returns what is wrong; candidate:
 * what the report calls it. */
static const char *problems_with(bool wants, bool is, const char *text, const char **candidate)
{
    static struct rules_report report;
    static char problems[4096];
    static char name[RULES_PATH_MAX + 1];
    struct folder folder = {.files = files};
    struct rules_environment environment = environment_of(&folder);
    environment.wants_candidate = wants;
    environment.is_candidate = is;
    struct rules_set *set = rules_load_with(slice_of_string(text), SEED, &environment, &report);
    print_problems(&report, problems, sizeof(problems));
    snprintf(name, sizeof(name), "%.*s", SLICE_ARGS(report.candidate));
    *candidate = name;
    ck_assert_int_eq(set == NULL, problems[0] != 0);
    rules_free(set);
    rules_report_free(&report);
    return problems;
}

struct row {
    const char *text;
    const char *problems;
    const char *candidate;
};

START_TEST(a_file_may_name_its_candidate)
{
    static const struct row rows[] = {
        {"listen: :0\n" RULES, "", ""},
        {"listen: :0\ncandidate: rewrite.yml\n" RULES, "", "rewrite.yml"},
        {"candidate: new/rewrite.yml\nlisten: :0\n" RULES, "", "new/rewrite.yml"},
        {"listen: :0\ncandidate: none.yml\n" RULES,
         ":2:12: candidate is \"none.yml\": there is no such file, expected a file that can be "
         "read\n",
         ""},
        {"listen: :0\ncandidate: [ rewrite.yml ]\n" RULES,
         ":2:12: candidate is a list, expected a rule file's name, as in rewrite.yml\n", ""},
        {"listen: :0\ncandidate:\n" RULES,
         ":2:11: candidate is empty, expected a rule file's name, as in rewrite.yml\n", ""},
        {"listen: :0\ncandidate: latin1.yml\n" RULES,
         "latin1.yml:1:4: byte 0xe9 is not UTF-8, expected a file in UTF-8\n", ""},
        {"listen: :0\ncandidat: rewrite.yml\n" RULES, NULL, ""},
        /* It is told whatever else is wrong, so that it can be looked into too. */
        {"listen: :0\nworkers: 0\ncandidate: rewrite.yml\n" RULES,
         ":2:10: workers is \"0\", expected auto or a whole number from 1 to 256\n", "rewrite.yml"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *candidate;
        const char *problems = problems_with(true, false, rows[i].text, &candidate);
        if (rows[i].problems)
            ck_assert_str_eq(problems, rows[i].problems);
        else
            ck_assert_ptr_nonnull(strstr(problems, "did you mean \"candidate\"?"));
        ck_assert_str_eq(candidate, rows[i].candidate);
    }
}
END_TEST

/* Whoever doesn't use it needs no such file. */
START_TEST(a_candidate_that_is_not_wanted_is_not_read)
{
    const char *candidate;
    ck_assert_str_eq(
        problems_with(false, false, "listen: :0\ncandidate: none.yml\n" RULES, &candidate), "");
    ck_assert_str_eq(candidate, "");
    ck_assert_str_eq(problems_with(false, false, "listen: :0\ncandidate: {}\n" RULES, &candidate),
                     ":2:12: candidate is a mapping, expected a rule file's name, as in "
                     "rewrite.yml\n");
}
END_TEST

START_TEST(a_candidate_has_none)
{
    const char *candidate;
    ck_assert_str_eq(
        problems_with(false, true, "listen: :0\ncandidate: rewrite.yml\n" RULES, &candidate),
        ":2:12: candidate in a file that is one itself, expected it in the file in force alone\n");
    ck_assert_str_eq(candidate, "");
}
END_TEST

/* ---- what it counts in --------------------------------------------------------------------- */

static struct rules_set *load_as(bool is_candidate, const char *text)
{
    static struct rules_report report;
    struct rules_environment environment = {.is_candidate = is_candidate};
    struct rules_set *set = rules_load_with(slice_of_string(text), SEED, &environment, &report);
    ck_assert_ptr_nonnull(set);
    rules_report_free(&report);
    return set;
}

static void expect_apart(const struct rules_limit *a, const struct rules_limit *b, const char *name)
{
    ck_assert(!hash128_equal(a->identity, b->identity));
    ck_assert(!slice_equal(a->store_name, b->store_name));
    ck_assert_msg(slice_equal(b->store_name, slice_of_string(name)), "%.*s",
                  SLICE_ARGS(b->store_name));
    /* To clients it would be the same. */
    ck_assert(slice_equal(a->name, b->name));
    ck_assert(slice_equal(a->policy, b->policy));
}

START_TEST(its_limits_have_nothing_in_common_with_those_of_the_file_in_force)
{
    static const char text[] =
        "listen: :0\nrules:\n"
        "- { name: r, key: src, limits: { limit: 1, window: 1m }, penalty: { after: 2, within: 5m, "
        "for: 1h } }\n"
        "- { name: candidate, key: src, limits: { limit: 1, window: 1m } }\n";
    struct rules_set *active = load_as(false, text);
    struct rules_set *candidate = load_as(true, text);
    const struct rules_rule *a = &active->rules[0];
    const struct rules_rule *b = &candidate->rules[0];
    expect_apart(&a->limits[0], &b->limits[0], "candidate:r:sliding-window-1m");
    expect_apart(a->penalty_count, b->penalty_count, "candidate:r:penalty-count-5m");
    expect_apart(a->penalty_mark, b->penalty_mark, "candidate:r:penalty-1h");
    expect_apart(&active->rules[1].limits[0], &candidate->rules[1].limits[0],
                 "candidate:candidate:sliding-window-1m");
    rules_free(active);
    rules_free(candidate);
}
END_TEST

START_TEST(the_longest_name_fits_the_store)
{
    static char text[512];
    snprintf(text, sizeof(text),
             "listen: :0\nrules: [ { name: %064d, key: src, limits: { limit: 1, window: "
             "31622399999ms, algorithm: sliding-window } } ]\n",
             0);
    struct rules_set *set = load_as(true, text);
    struct slice name = set->rules[0].limits[0].store_name;
    ck_assert(slice_has_suffix(name, SLICE("0:sliding-window-31622399999ms")));
    ck_assert_uint_le(name.size, RULES_STORE_NAME_MAX);
    rules_free(set);
}
END_TEST

UNIT_MAIN("candidate", a_file_may_name_its_candidate, a_candidate_that_is_not_wanted_is_not_read,
          a_candidate_has_none, its_limits_have_nothing_in_common_with_those_of_the_file_in_force,
          the_longest_name_fits_the_store)
