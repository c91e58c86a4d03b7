#include "helper.h"
#include "random.h"
#include "rules/loader.h"

static void expect_quoted(struct slice text, const char *expected)
{
    ck_assert_str_eq(RULES__QUOTE(text), expected);
}

START_TEST(quotes_show_what_a_line_can)
{
    expect_quoted(SLICE(""), "\"\"");
    expect_quoted(SLICE("a b"), "\"a b\"");
    expect_quoted(SLICE("a\tb\nc\rd"), "\"a\\tb\\nc\\rd\"");
    expect_quoted(SLICE("\x01\x7f\0"), "\"???\"");
    expect_quoted(SLICE("\xc3\xa9"), "\"\xc3\xa9\"");
    expect_quoted(SLICE("\xc2\x85"), "\"?\""); /* a line break to some terminals */
    expect_quoted(SLICE("\xc3"), "\"?\"");
    expect_quoted(slice_of(NULL, 0), "\"\"");
}
END_TEST

START_TEST(quotes_are_cut_between_characters)
{
    char text[256];
    for (size_t lead = 0; lead < 4; lead++) {
        memset(text, 'x', lead);
        for (size_t i = lead; i + 2 <= sizeof(text); i += 2) {
            text[i] = '\xc3';
            text[i + 1] = '\xa9';
        }
        const char *quoted = RULES__QUOTE(slice_of(text, sizeof(text) - 4));
        size_t size = strlen(quoted);
        ck_assert_uint_lt(size, RULES__QUOTED_MAX);
        ck_assert_str_eq(quoted + size - 6, "\xc3\xa9...\"");
    }
    memset(text, 'x', sizeof(text));
    size_t longest = RULES__QUOTED_MAX - 6; /* with quotes, mark and NUL */
    ck_assert_uint_eq(strlen(RULES__QUOTE(slice_of(text, longest))), longest + 2);
    ck_assert_uint_eq(strlen(RULES__QUOTE(slice_of(text, longest + 1))), longest + 5);
}
END_TEST

START_TEST(suggestions_are_near)
{
    static const char *const words[] = {"limit", "window", "burst", "algorithm", "is", "in"};
    static const struct {
        const char *text;
        int nearest;
    } rows[] = {
        {"limit", 0}, {"lmit", 0},       {"limmit", 0}, {"limti", 0},    {"lomit", 0},
        {"LIMIT", 0}, {"limits", 0},     {"lmti", -1},  {"windwo", 1},   {"windows", 1},
        {"brust", 2}, {"bust", 2},       {"bu", -1},    {"algoritm", 3}, {"algorithim", 3},
        {"algo", -1}, {"algorythms", 3}, {"of", -1},    {"IS", 4},       {"", -1},
        {"xyz", -1},  {"timil", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(rules__nearest(slice_of_string(rows[i].text), words, 6) == rows[i].nearest,
                      "%s", rows[i].text);
    static char endless[100000];
    memset(endless, 'l', sizeof(endless));
    ck_assert_int_eq(rules__nearest(slice_of(endless, sizeof(endless)), words, 6), -1);
}
END_TEST

START_TEST(a_nul_is_refused_wherever_it_stands)
{
    ck_assert_str_eq(problems_of(SLICE("listen: \0:0\n")),
                     "1:9: control character U+0000, expected text (in double quotes, YAML writes "
                     "it as \\u0000)\n");
    ck_assert_str_eq(problems_of(SLICE("listen: :0\nrules: []\n\0")),
                     "3:1: control character U+0000, expected text (in double quotes, YAML writes "
                     "it as \\u0000)\n");
}
END_TEST

START_TEST(no_bytes_at_all)
{
    static struct rules_report report;
    ck_assert_ptr_null(rules_load(slice_of(NULL, 0), SEED, &report));
    ck_assert_uint_eq(report.count, 1);
    ck_assert(slice_has_prefix(report.problems[0].text, SLICE("the file is empty, expected")));
    rules_report_free(&report);
}
END_TEST

START_TEST(problems_print_as_compilers_print_them)
{
    struct rules_problem problem = {.line = 12, .column = 3, .text = SLICE("what, expected what")};
    char out[64];
    rules_problem_print(&problem, "dir/file.yml", out, sizeof(out));
    ck_assert_str_eq(out, "dir/file.yml:12:3: what, expected what");
    rules_problem_print(&problem, "dir/file.yml", out, 16);
    ck_assert_str_eq(out, "dir/file.yml:12");
    problem.file = SLICE("rules.d/a.yml");
    rules_problem_print(&problem, "dir/file.yml", out, sizeof(out));
    ck_assert_str_eq(out, "dir/rules.d/a.yml:12:3: what, expected what");
    rules_problem_print(&problem, "file.yml", out, sizeof(out));
    ck_assert_str_eq(out, "rules.d/a.yml:12:3: what, expected what");
    problem.file = SLICE("/etc/a.yml");
    rules_problem_print(&problem, "dir/file.yml", out, sizeof(out));
    ck_assert_str_eq(out, "/etc/a.yml:12:3: what, expected what");
}
END_TEST

START_TEST(names_are_found_among_many)
{
    enum {
        COUNT = 10000
    };
    static char texts[COUNT][8];
    struct arena arena = {0};
    struct rules__names names = {.seed = SEED};
    ck_assert_int_eq(rules__names_find(&names, SLICE("x")), -1);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%x", i);
        ck_assert_int_eq(rules__names_find(&names, slice_of_string(texts[i])), -1);
        ck_assert(rules__names_put(&names, &arena, slice_of_string(texts[i]), i));
    }
    ck_assert(rules__names_put(&names, &arena, slice_of(NULL, 0), 77));
    ck_assert(rules__names_put(&names, &arena, SLICE("ff"), 78)); /* again: another number */
    for (uint32_t i = 0; i < COUNT; i++)
        ck_assert_int_eq(rules__names_find(&names, slice_of_string(texts[i])), i == 0xff ? 78 : i);
    ck_assert_int_eq(rules__names_find(&names, SLICE("")), 77);
    ck_assert_int_eq(rules__names_find(&names, SLICE("fffff")), -1);
    arena_free(&arena);

    struct arena small = {.maximum = 1};
    struct rules__names none = {0};
    ck_assert(!rules__names_put(&none, &small, SLICE("x"), 1));
    ck_assert_int_eq(rules__names_find(&none, SLICE("x")), -1);
}
END_TEST

/* Whatever is done to a right file, it loads or is refused with positions inside it, in order. */
START_TEST(damaged_files_are_refused_in_line_order)
{
    static const char right[] =
        "listen: [ \":0\", { address: \"unix:///run/s\", mode: 0660 } ]\n"
        "defaults: { algorithm: token-bucket, message: check }\n"
        "rules:\n"
        "  - { name: a, match: &m { path: { prefix: /x }, src: { cidr: 10.0.0.0/8 } },\n"
        "      action: allow }\n"
        "  - name: b\n"
        "    match: *m\n"
        "    key: [ src/64, user ]\n"
        "    limits:\n"
        "      - { limit: 5, window: 15m }\n"
        "      - { limit: 100, window: 1d, burst: 3 }\n";
    static struct rules_report report;
    struct random random = random_open("damaged files");
    for (int round = 0; round < 5000; round++) {
        char text[sizeof(right)];
        size_t size = sizeof(right) - 1;
        memcpy(text, right, size);
        for (uint64_t edits = 1 + random_below(&random, 4); edits; edits--) {
            size_t at = (size_t)random_below(&random, size);
            text[at] = right[random_below(&random, size)];
            if (random_below(&random, 4) == 0)
                memmove(text + at, text + at + 1, --size - at);
        }
        struct rules_set *set = rules_load(slice_of(text, size), SEED, &report);
        ck_assert_msg((set == NULL) == (report.count > 0), "%.*s", (int)size, text);
        for (size_t i = 0; i < report.count; i++) {
            const struct rules_problem *problem = &report.problems[i];
            const struct rules_problem *before = i ? problem - 1 : problem;
            ck_assert(problem->text.size > 0 && problem->line >= 1 && problem->column >= 1);
            ck_assert(memmem(problem->text.data, problem->text.size, ", expected ", 11));
            ck_assert(problem->line > before->line ||
                      (problem->line == before->line && problem->column >= before->column));
        }
        rules_free(set);
        rules_report_free(&report);
    }
}
END_TEST

UNIT_MAIN("text", quotes_show_what_a_line_can, quotes_are_cut_between_characters,
          suggestions_are_near, a_nul_is_refused_wherever_it_stands, no_bytes_at_all,
          problems_print_as_compilers_print_them, names_are_found_among_many,
          damaged_files_are_refused_in_line_order)
