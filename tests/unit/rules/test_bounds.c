#include "helper.h"
#include "random.h"
#include "rules/loader.h"

/* A rule file that is written piece by piece. */
struct file {
    char *text;
    size_t size;
    size_t room;
};

static void add(struct file *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct file *file, const char *format, ...)
{
    va_list arguments;
    if (file->room - file->size < 4096) {
        file->room = file->room * 2 + 8192;
        file->text = realloc(file->text, file->room);
        ck_assert_ptr_nonnull(file->text);
    }
    va_start(arguments, format);
    file->size +=
        (size_t)vsnprintf(file->text + file->size, file->room - file->size, format, arguments);
    va_end(arguments);
}

static void expect_loaded(struct file *file)
{
    rules_free(load(file->text));
    free(file->text);
}

static void expect_refused(struct file *file, const char *problems)
{
    ck_assert_str_eq(problems_of(slice_of(file->text, file->size)), problems);
    free(file->text);
}

/* Builds the file with as many of something as are allowed, and with one more. */
static void expect_bound(void (*build)(struct file *file, size_t count), size_t bound,
                         const char *problems)
{
    struct file file = {0};
    build(&file, bound);
    expect_loaded(&file);
    file = (struct file){0};
    build(&file, bound + 1);
    expect_refused(&file, problems);
}

static void with_listeners(struct file *file, size_t count)
{
    add(file, "rules: []\nlisten:\n");
    for (size_t i = 0; i < count; i++)
        add(file, "- :%zu\n", i + 1);
}

static void with_rules(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n");
    for (size_t i = 0; i < count; i++)
        add(file, "- {name: r%zu, match: {path: /%zu}, key: a, limits: {limit: 1, window: 1s}}\n",
            i, i);
}

static void with_limits(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n- name: r\n  key: []\n  limits:\n");
    for (size_t i = 0; i < count; i++)
        add(file, "  - { limit: 1, window: %zus }\n", i + 1);
}

static void with_key_parts(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n- name: r\n  limits: { limit: 1, window: 1s }\n  key:\n");
    for (size_t i = 0; i < count; i++)
        add(file, "  - a%zu\n", i);
}

static void with_tiers(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n- name: r\n  key: []\n  tiers:\n");
    for (size_t i = 0; i < count; i++)
        add(file, "    t%zu: unlimited\n", i);
    add(file, "    by: plan\n");
}

/* What tiers and overrides count in together. */
static void with_counters(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n- name: r\n  key: a\n  tiers:\n    by: plan\n");
    for (size_t i = 0; i < count / 2; i++)
        add(file, "    t%zu: { limit: 1, window: %zus }\n", i, i + 1);
    add(file, "  overrides:\n");
    for (size_t i = count / 2; i < count; i++)
        add(file, "  - { key: k%zu, limits: { limit: 1, window: %zus } }\n", i, i + 1);
}

/* Half of the arguments in match, the other half in keys. */
static void with_arguments(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n- name: m\n  action: allow\n  match:\n");
    for (size_t i = 0; i < count / 2; i++)
        add(file, "    a%zu: x\n", i);
    for (size_t i = count / 2; i < count; i++)
        add(file, "- { name: r%zu, key: b%zu, limits: { limit: 1, window: 1s } }\n", i, i);
}

static void with_messages(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n");
    for (size_t i = 0; i < count; i++)
        add(file, "- { name: r%zu, message: m%zu, action: allow }\n", i, i);
}

static void with_long_names(struct file *file, size_t length)
{
    char name[128];
    memset(name, 'n', sizeof(name));
    int size = (int)length;
    add(file,
        "listen: :0\nrules:\n- name: %.*s\n  message: %.*s\n  match:\n    %.*s: x\n"
        "  key:\n  - a\n  - %.*s/64\n  limits:\n    limit: 1\n    window: 1s\n    name: %.*s\n",
        size, name, size, name, size, name, size, name, size, name);
}

static void with_depth(struct file *file, size_t depth)
{
    add(file, "listen: ':0'\nrules: []\nanswer: ");
    for (size_t i = 1; i < depth; i++)
        add(file, "[");
    for (size_t i = 1; i < depth; i++)
        add(file, "]");
    add(file, "\n");
}

static void with_anchors(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n");
    for (size_t i = 0; i < count; i++)
        add(file, "- { name: &a%zu r%zu, action: allow }\n", i, i);
}

static void with_regexes(struct file *file, size_t count)
{
    add(file, "listen: :0\nrules:\n- name: r\n  action: allow\n  match:\n    a:\n      regex:\n");
    for (size_t i = 0; i < count; i++)
        add(file, "      - ^%zu$\n      - ^%zu$\n", i, i); /* the same again is no other */
}

static void with_long_regex(struct file *file, size_t length)
{
    add(file, "listen: :0\nrules:\n- name: r\n  action: allow\n  match:\n    a:\n      regex: \"");
    for (size_t i = 0; i < length; i++)
        add(file, "x");
    add(file, "\"\n");
}

START_TEST(bounds_are_exact)
{
    expect_bound(with_listeners, RULES_MAX_LISTENERS,
                 "19:3: one address too many in listen, expected at most 16\n");
    expect_bound(with_limits, RULES_MAX_LIMITS,
                 "14:5: one limit too many in a rule, expected at most 8\n");
    expect_bound(with_key_parts, RULES_MAX_KEY_PARTS,
                 "14:5: one argument too many in a key, expected at most 8\n");
    expect_bound(with_tiers, RULES_MAX_TIERS,
                 "262:5: one tier too many in a rule, expected at most 256\n");
    expect_bound(with_counters, RULES_MAX_COUNTERS,
                 "40:25: one algorithm or window too many in the limits of a rule, expected at "
                 "most 32 that differ\n");
    expect_bound(with_arguments, RULES_MAX_SLOTS,
                 "262:22: one argument name too many, expected at most 256 in a file\n");
    expect_bound(with_messages, RULES_MAX_MESSAGES,
                 "67:25: one message name too many, expected at most 64 in a file\n");
    expect_bound(with_regexes, RULES_MAX_REGEXES,
                 "20008:9: one regular expression too many, expected at most 10000\n"
                 "20009:9: one regular expression too many, expected at most 10000\n");
    expect_bound(with_long_regex, RULES_REGEX_MAX,
                 "7:14: regex of a has 4097 bytes, expected at most 4096\n");
    expect_bound(with_anchors, RULES__ANCHORS_MAX,
                 "1027:11: one anchor too many, expected at most 1024\n");
}
END_TEST

START_TEST(a_hundred_thousand_rules)
{
    expect_bound(with_rules, RULES_MAX_RULES,
                 "100003:3: one rule too many, expected at most 100000\n");
}
END_TEST

START_TEST(names_have_64_bytes_at_most)
{
    struct file file = {0};
    with_long_names(&file, RULES_NAME_MAX);
    expect_loaded(&file);
    file = (struct file){0};
    with_long_names(&file, RULES_NAME_MAX + 1);
    const char *problems = problems_of(slice_of(file.text, file.size));
    size_t lines = 0;
    for (const char *line = problems; *line; line = strchr(line, '\n') + 1)
        lines++;
    ck_assert_uint_eq(lines, 5);
    ck_assert_ptr_nonnull(strstr(problems, "\n13:11: name is \"nnn"));
    free(file.text);
}
END_TEST

START_TEST(nesting_is_bounded)
{
    struct file file = {0};
    with_depth(&file, RULES__DEPTH_MAX);
    ck_assert_ptr_null(strstr(problems_of(slice_of(file.text, file.size)), "too deep"));
    free(file.text);
    file = (struct file){0};
    with_depth(&file, RULES__DEPTH_MAX + 1);
    expect_refused(&file, "3:40: lists and mappings inside one another too deep, expected at most "
                          "32\n");
    /* So much of it that recursion, or a look back at each '[', would be felt. */
    file = (struct file){0};
    add(&file, "a: ");
    for (size_t i = 0; i < 1000000; i++)
        add(&file, "[");
    expect_refused(&file, "1:35: lists and mappings inside one another too deep, expected at most "
                          "32\n");
}
END_TEST

/* "Billion laughs": ten of ten of ten ... */
START_TEST(aliases_do_not_multiply_without_bound)
{
    struct file file = {0};
    add(&file, "a0: &a0 [ x, x, x, x, x, x, x, x, x, x ]\n");
    for (size_t i = 1; i < 20; i++)
        add(&file,
            "a%zu: &a%zu [ *a%zu, *a%zu, *a%zu, *a%zu, *a%zu, *a%zu, *a%zu, *a%zu, *a%zu ]\n", i, i,
            i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    const char *problems = problems_of(slice_of(file.text, file.size));
    ck_assert_ptr_nonnull(strstr(problems, "more values than can be loaded, expected at most "
                                           "4194304 with aliases written out\n"));
    free(file.text);
}
END_TEST

START_TEST(files_have_16_mib_at_most)
{
    static const char right[] = "listen: :0\nrules: []\n";
    char *text = malloc(RULES_FILE_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '#', RULES_FILE_MAX + 1);
    memcpy(text, right, sizeof(right) - 1);
    static struct rules_report report;
    struct rules_set *set = rules_load(slice_of(text, RULES_FILE_MAX), SEED, &report);
    ck_assert_ptr_nonnull(set);
    rules_free(set);
    rules_report_free(&report);
    ck_assert_str_eq(problems_of(slice_of(text, RULES_FILE_MAX + 1)),
                     "1:1: the file is too large, expected at most 16777216 bytes\n");
    free(text);
}
END_TEST

/* The first in line order are kept, though those of `rules` are found after those behind them. */
START_TEST(a_hundred_problems_are_kept)
{
    static struct rules_report report;
    struct file file = {0};
    add(&file, "rules:\n");
    for (size_t i = 0; i < RULES_PROBLEMS_MAX - 1; i++)
        add(&file, "- %zu\n", i);
    add(&file, "listen: x\nadmin: y\nworkers: z\n");
    for (size_t i = 0; i < 1000; i++)
        add(&file, "unknown%zu: 1\n", i);
    ck_assert_ptr_null(rules_load(slice_of(file.text, file.size), SEED, &report));
    ck_assert_uint_eq(report.count, RULES_PROBLEMS_MAX);
    ck_assert_uint_eq(report.omitted, 1002);
    for (size_t i = 0; i < RULES_PROBLEMS_MAX; i++)
        ck_assert_uint_eq(report.problems[i].line, i + 2);
    ck_assert(slice_has_prefix(report.problems[98].text, SLICE("a rule is \"98\", expected")));
    ck_assert(slice_has_prefix(report.problems[99].text, SLICE("listen is \"x\", expected")));
    rules_report_free(&report);
    free(file.text);
}
END_TEST

START_TEST(later_problems_give_way_to_earlier_ones)
{
    static struct rules_report report;
    struct file file = {0};
    add(&file, "listen: :0\nrules:\n");
    for (size_t i = 0; i < (size_t)RULES_PROBLEMS_MAX * 2; i++)
        add(&file, "- %zu\n", i);
    ck_assert_ptr_null(rules_load(slice_of(file.text, file.size), SEED, &report));
    ck_assert_uint_eq(report.count, RULES_PROBLEMS_MAX);
    ck_assert_uint_eq(report.omitted, RULES_PROBLEMS_MAX);
    for (size_t i = 0; i < RULES_PROBLEMS_MAX; i++)
        ck_assert_uint_eq(report.problems[i].line, i + 3);
    rules_report_free(&report);
    free(file.text);
}
END_TEST

START_TEST(long_lists_are_searched_not_walked_wrongly)
{
    struct file file = {0};
    add(&file, "listen: :0\nrules:\n- name: r\n  action: allow\n  match:\n    a:\n      in:\n");
    for (size_t i = 0; i < 50000; i++)
        add(&file, "      - %zu\n", i * 2);
    struct rules_set *set = load(file.text);
    for (int64_t i = 0; i < 100000; i++)
        ck_assert(applies(set, "a", int_value(i)) == (i % 2 == 0));
    ck_assert(applies(set, "a", text_value("99998")));
    ck_assert(!applies(set, "a", text_value("99999")));
    rules_free(set);
    free(file.text);
}
END_TEST

static void with_everything(struct file *file, size_t count)
{
    add(file, "listen: [ \"unix:///run/sluice.sock\" ]\nadmin: h:1\n"
              "store:\n  mode: ketama\n  auth: { user: u, password_env: P }\n"
              "  tls: { ca: /etc/ssl/ca.pem }\n  instance_id: pod-1\n  nodes:\n");
    for (size_t i = 0; i < RULES_MAX_NODES; i++)
        add(file, "  - { address: \"a-rather-long-name-of-redis-%zu:%zu\", weight: %zu }\n", i,
            6379 + i, 100 + i);
    add(file, "rules:\n");
    for (size_t i = 0; i < count; i++)
        add(file,
            "- name: r%zu\n"
            "  message: &m%zu message-%zu\n"
            "  match: { a%zu: { in: [ GET, 5, true, 10.0.0.1 ] }, b: { cidr: [ 10.0.0.0/8 ] },\n"
            "           c: { prefix: [ /aaaaaaaaaaaaaaaaaaaaaaaa, /b ], regex: c%zu },\n"
            "           any: [ { d: { contains: [ x, yy ], ignore_case: true } }, "
            "{ not: { d: { between: [ 1, 2 ] } } } ] }\n"
            "  key: [ src/64, user%zu ]\n"
            "  tiers: { by: plan, default: { limit: 1, window: 1s }, x: { limit: 2, window: 1h } "
            "}\n"
            "  overrides: [ { key: [ '::/64', acme ], limits: { limit: 9, window: 1s } } ]\n"
            "  cost: { arg: units }\n",
            i, i % RULES_MAX_MESSAGES, i % RULES_MAX_MESSAGES, i % 100, i, i % 100);
}

/* The tree's memory and the set's run out at every chunk of every phase. */
START_TEST(memory_that_runs_out_is_a_problem_like_others)
{
    static struct rules_report report;
    static const struct rules_environment environments[] = {
        {.context = NULL},
        {.overrides = {SLICE("cluster"), SLICE("redis-1 redis-2:7000,redis-3"), SLICE("pod-2")}},
    };
    struct random random = random_open("memory");
    size_t refused = 0;
    for (size_t round = 0; round < 10; round++) {
        struct file file = {0};
        struct rules_set *set = NULL;
        with_everything(&file, 1 + (size_t)random_below(&random, 200));
        for (size_t memory = 1; !set; memory += 1 + (size_t)random_below(&random, 16384)) {
            set = rules__load_within(slice_of(file.text, file.size), SEED, &environments[round % 2],
                                     &report, memory);
            if (!set) {
                ck_assert_uint_eq(report.count, 1);
                ck_assert(slice_has_prefix(report.problems[0].text, SLICE("out of memory, ")));
                refused++;
            }
            ck_assert_uint_le(set ? set->arena.used : 0, memory);
            rules_report_free(&report);
            ck_assert_uint_le(memory, 8 << 20);
        }
        rules_free(set);
        free(file.text);
    }
    ck_assert_uint_gt(refused, 50);
}
END_TEST

UNIT_MAIN("bounds", bounds_are_exact, a_hundred_thousand_rules, names_have_64_bytes_at_most,
          nesting_is_bounded, aliases_do_not_multiply_without_bound, files_have_16_mib_at_most,
          a_hundred_problems_are_kept, later_problems_give_way_to_earlier_ones,
          long_lists_are_searched_not_walked_wrongly, memory_that_runs_out_is_a_problem_like_others)
