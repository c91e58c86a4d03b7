/* Files that a rule file includes. */
#include "files.h"
#include "rules/explain.h"
#include "rules/loader.h"

#define ALLOW(name) "rules: [ { name: " name ", action: allow, match: { p: " name " } } ]\n"

static const char *names_of(const struct rules_set *set)
{
    static char names[512];
    int at = 0;
    names[0] = 0;
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        ck_assert_uint_eq(rule->index, i);
        at += snprintf(names + at, sizeof(names) - (size_t)at, "%s%.*s", i ? " " : "",
                       SLICE_ARGS(rule->name));
    }
    return names;
}

static const struct named_file several[] = {
    {".hidden.yml", SLICE("no rules\n")},
    {"a.yml", SLICE(ALLOW("a"))},
    {"d/#x.yml#", SLICE("no rules\n")},
    {"d/.#x.yml", SLICE("no rules\n")},
    {"d/10-x.yml", SLICE("rules:\n- { name: x1, action: allow, match: { p: x1 } }\n"
                         "- { name: x2, action: allow, match: { p: x2 } }\n")},
    {"d/20-none.yml", SLICE("rules: []\n")},
    {"d/9-y.yml", SLICE("\xef\xbb\xbf" ALLOW("y"))},
    {"d/9-y.yml.bak", SLICE("no rules\n")},
    {"d/9-y.yml~", SLICE("no rules\n")},
    {"d/Z.yml", SLICE(ALLOW("z"))},
    {"e/a.yml", SLICE(ALLOW("e"))},
    {NULL, {NULL, 0}},
};

/* ---- which, and in what order -------------------------------------------------------------- */

/* Wherever `include` stands. */
START_TEST(included_rules_come_behind_the_files_own)
{
    static const struct {
        const char *include;
        const char *names;
    } rows[] = {
        {"d/*.yml", "own x1 x2 y z"},
        {"[ d/9*.yml, a.yml, d/1*.yml ]", "own y a x1 x2"},
        {"a.yml", "own a"},
        {"[ a.yml ]", "own a"},
        {"'*.yml'", "own a"},
        {"d/none*", "own"},
        {"[ d/none*, e/* ]", "own e"},
        {"'d/[!9]*.yml'", "own x1 x2 z"},
        {"'d/?-y.yml'", "own y"},
        {"'d/\\9-y.yml'", "own y"},
        {"${FOLDER}/a.yml", "own e"},
        {"${LOST:-d}/Z*", "own z"},
    };
    static const struct variable environment[] = {{"FOLDER", "e"}, {NULL, NULL}};
    static const char *const orders[] = {
        "listen: :0\ninclude: %s\n" ALLOW("own"),
        ALLOW("own") "listen: :0\ninclude: %s\n",
    };
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        struct folder folder = {.files = several, .variables = environment};
        snprintf(text, sizeof(text), orders[i % 2], rows[i / 2].include);
        struct rules_set *set = load_from(&folder, text);
        ck_assert_str_eq(names_of(set), rows[i / 2].names);
        rules_free(set);
    }
}
END_TEST

START_TEST(rules_know_their_file)
{
    struct folder folder = {.files = several};
    struct rules_set *set =
        load_from(&folder, "listen: :0\ninclude: [ d/*.yml ]\nrules:\n- { name: r, action: allow, "
                           "match: { p: r } }\n");
    static const struct {
        const char *file;
        uint32_t line;
    } places[] = {{"", 4}, {"d/10-x.yml", 2}, {"d/10-x.yml", 3}, {"d/9-y.yml", 1}, {"d/Z.yml", 1}};
    ck_assert_uint_eq(set->rule_count, sizeof(places) / sizeof(places[0]));
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        ck_assert_uint_lt(rule->file, set->file_count);
        ck_assert(slice_equal(set->file_names[rule->file], slice_of_string(places[i].file)));
        ck_assert_uint_eq(rule->line, places[i].line);
    }
    /* They are tried in this order. */
    for (size_t i = 0; i < set->rule_count; i++) {
        struct message message = message_of(set);
        struct rules_hit hits[5];
        give(&message, "p", (struct value){.type = VALUE_STRING, .bytes = set->rules[i].name});
        ck_assert_uint_eq(match(set, -1, message.values, hits), 1);
        ck_assert_uint_eq(hits[0].rule->index, i);
    }
    rules_free(set);
}
END_TEST

/* What the rule file says of rules holds for all; names of files are taken from where they stand.
 */
START_TEST(included_rules_are_like_the_files_own)
{
    static const struct named_file files[] = {
        {"d/e.yml", SLICE("rules:\n"
                          "- name: e\n"
                          "  key: ${KEY}\n"
                          "  match: { a: { in_file: lists/a }, b: { in_file: ../b } }\n"
                          "  limits: { limit: 1, window: 1s }\n")},
        {"d/lists/a", SLICE("x\n")},
        {"d/../b", SLICE("y\n")},
        {NULL, {NULL, 0}},
    };
    static const struct variable environment[] = {{"KEY", "src"}, {NULL, NULL}};
    struct folder folder = {.files = files, .variables = environment};
    struct rules_set *set = load_from(
        &folder, "listen: :0\nrules: []\ninclude: d/*.yml\n"
                 "defaults: { algorithm: fixed-window, on_store_error: deny, message: m }\n");
    const struct rules_rule *rule = &set->rules[0];
    ck_assert_uint_eq(set->rule_count, 1);
    ck_assert_int_eq(rule->on_store_error, RULES_FALLBACK_DENY);
    ck_assert_int_eq(rule->limits[0].limit.algorithm, LIMIT_FIXED_WINDOW);
    struct message message = message_of(set);
    struct rules_hit hit;
    give(&message, "src", text_value("s"));
    give(&message, "a", text_value("x"));
    give(&message, "b", text_value("y"));
    ck_assert_uint_eq(match(set, rules_message(set, SLICE("m")), message.values, &hit), 1);
    ck_assert_int_eq(hit.kind, RULES_HIT_LIMIT);
    rules_free(set);
}
END_TEST

/* ---- what is refused ----------------------------------------------------------------------- */

#define INCLUDE(text) "listen: :0\nrules: []\ninclude: " text "\n"
#define NAME          ", expected a file's name or a pattern, as in rules.d/*.yml\n"

static const struct named_file wrong[] = {
    {"anchor", SLICE("rules: *r\n")},
    {"broken", SLICE("rules: [\n")},
    {"d/1", SLICE("rules: [ { name: one, acton: allow } ]\n")},
    {"d/2", SLICE("rules: [ x ]\n")},
    {"empty", SLICE("")},
    {"latin", {(const uint8_t *)"rules: []\n#\xe9\n", 12}},
    {"list", SLICE("- { name: r, action: allow }\n")},
    {"more", SLICE("listen: :1\nrules: []\n")},
    {"names", SLICE("rules:\n- { name: a, action: allow }\n"
                    "- { name: b, key: [], limits: { limit: 1, window: 1s, name: l } }\n")},
    {"nest", SLICE("include: d/*\nrules: []\n")},
    {"none", SLICE("# nothing\n")},
    {"nil", SLICE("rules:\n")},
    {"rules", SLICE("rules: { a: b }\n")},
    {"twice", SLICE("rules: []\n---\nrules: []\n")},
    {"variable", SLICE("rules:\n- { name: \"${LOST}\", action: deny }\n")},
    {NULL, {NULL, 0}},
};

START_TEST(what_is_wrong_is_told_where_it_is)
{
    static const struct {
        const char *text;
        const char *problems;
    } rows[] = {
        {INCLUDE(""), ":3:9: include is empty" NAME},
        {INCLUDE("[]"), ":3:10: include is an empty list" NAME},
        {INCLUDE("''"), ":3:10: include is \"\"" NAME},
        {INCLUDE("{}"), ":3:10: include is a mapping" NAME},
        {INCLUDE("[ [ none ] ]"), ":3:12: include is a list" NAME},
        {INCLUDE("\"a\\nb\""), ":3:10: include is \"a\\nb\"" NAME},
        {INCLUDE("*.yml"),
         ":3:11: invalid YAML while scanning an alias: did not find expected alphabetic or numeric "
         "character, expected quotes around a text that starts with * or &\n"},
        {INCLUDE("absent"), ":3:10: include is \"absent\": there is no such file, expected a file "
                            "that can be read\n"},
        {INCLUDE("lost/*"), ":3:10: include is \"lost/*\": there is no such folder, expected files "
                            "in a folder that can be read\n"},
        {INCLUDE("l*/x"), ":3:10: include is \"l*/x\", expected wildcards only behind the last /, "
                          "as in rules.d/*.yml\n"},
        {INCLUDE("'[a]/*'"), ":3:10: include is \"[a]/*\", expected wildcards only behind the last "
                             "/, as in rules.d/*.yml\n"},
        {INCLUDE("[ list, none, empty, nil ]"),
         "list:1:1: an included file is a list, expected a mapping with keys from rules\n"
         "none:1:1: an included file is empty, expected rules, or rules: [] for none\n"
         "empty:1:1: an included file is empty, expected rules, or rules: [] for none\n"
         "nil:1:7: rules is empty, expected a list of rules, or [] for none\n"},
        {INCLUDE("[ more, nest, rules ]"),
         "more:1:1: unknown key \"listen\" in an included file, expected rules\n"
         "nest:1:1: unknown key \"include\" in an included file, expected rules\n"
         "rules:1:8: rules is a mapping, expected a list of rules, or [] for none\n"},
        {INCLUDE("[ broken, latin, twice, anchor ]"),
         "broken:2:1: invalid YAML while parsing a flow node: did not find expected node content, "
         "expected a value\n"
         "latin:2:2: byte 0xe9 is not UTF-8, expected a file in UTF-8\n"
         "twice:2:1: a second document, expected one in a file\n"
         "anchor:1:8: alias of an unknown anchor \"r\", expected one that stands above it as &r\n"},
        /* Anchors are a file's own. */
        {"listen: :0\nrules: &r [ { name: r, action: allow } ]\ninclude: anchor\n",
         "anchor:1:8: alias of an unknown anchor \"r\", expected one that stands above it as &r\n"},
        {INCLUDE("[ 'd/*', variable ]"),
         "d/1:1:23: unknown key \"acton\" in a rule, expected one of " RULE_KEYS
         "; did you mean \"action\"?\n"
         "d/2:1:10: a rule is \"x\", expected a mapping with keys from " RULE_KEYS "\n"
         "variable:2:11: variable LOST is not set, expected it in the environment, or a default, "
         "as in ${LOST:-DEFAULT}\n"},
        {INCLUDE("[ d/1, 'd/*' ]"),
         ":3:17: \"d/1\" again in include, expected each file once\n"
         "d/1:1:23: unknown key \"acton\" in a rule, expected one of " RULE_KEYS
         "; did you mean \"action\"?\n"
         "d/2:1:10: a rule is \"x\", expected a mapping with keys from " RULE_KEYS "\n"},
        /* All that is wrong, whether or not there are rules. */
        {"listen: :0\nrules: x\ninclude: [ d/2 ]\n",
         ":2:8: rules is \"x\", expected a list of rules, or [] for none\n"
         "d/2:1:10: a rule is \"x\", expected a mapping with keys from " RULE_KEYS "\n"},
        {"listen: :0\ninclude: [ d/2 ]\n",
         ":1:1: the file has no key \"rules\", expected a list of rules, or [] for none\n"
         "d/2:1:10: a rule is \"x\", expected a mapping with keys from " RULE_KEYS "\n"},
        /* Both places of what may be there only once. */
        {"listen: :0\nrules:\n- { name: a, action: allow }\n"
         "- { name: l, key: [], limits: { limit: 1, window: 1s } }\ninclude: names\n",
         "names:2:11: rule \"a\" again, expected a name of its own (line 3 of the rule file has "
         "it)\n"
         "names:3:61: a limit named l again, expected a name of its own (rule l on line 4 of the "
         "rule file has one so named)\n"},
        {INCLUDE("[ names, names2 ]"),
         "names2:1:18: rule \"a\" again, expected a name of its own (line 2 of names has it)\n"
         "names2:1:46: rule \"a\" again, expected a name of its own (line 2 of names has it)\n"},
    };
    static struct named_file files[sizeof(wrong) / sizeof(wrong[0]) + 1];
    memcpy(files + 1, wrong, sizeof(wrong));
    files[0] = (struct named_file){
        "names2", SLICE("rules: [ { name: a, action: allow }, { name: a, action: deny } ]\n")};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct folder folder = {.files = files};
        const char *problems = problems_from(&folder, rows[i].text);
        ck_assert_msg(strcmp(problems, rows[i].problems) == 0, "%sgives\n%sinstead of\n%s",
                      rows[i].text, problems, rows[i].problems);
    }
}
END_TEST

START_TEST(without_an_environment_nothing_is_included)
{
    ck_assert_str_eq(problems_of(slice_of_string(INCLUDE("[ a, 'd/*' ]"))),
                     "3:12: include is \"a\": no other file can be read here, expected a file that "
                     "can be read\n"
                     "3:15: include is \"d/*\": no folder can be read here, expected files in a "
                     "folder that can be read\n");
}
END_TEST

START_TEST(names_in_a_folder_may_be_anything)
{
    static char name[RULES_PATH_MAX + 2] = "d/";
    struct named_file files[] = {
        {"d/\x1b[2J", SLICE("rules: []\n")}, {name, SLICE("rules: []\n")}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    memset(name + 2, 'n', RULES_PATH_MAX - 2);
    rules_free(load_from(&folder, INCLUDE("d/n*")));
    memset(name + 2, 'n', RULES_PATH_MAX - 1);
    ck_assert_str_eq(
        problems_from(&folder, INCLUDE("d/*")),
        ":3:10: include matches \"d/?[2J\", expected names without control "
        "characters\n"
        ":3:10: include has too many bytes, expected at most 1023 with its folder's\n");
}
END_TEST

/* ---- warnings ------------------------------------------------------------------------------ */

START_TEST(warnings_name_both_files)
{
    static const struct named_file files[] = {
        {"d/a-folder-with-a-name-so-long-that-nobody-wants-to-read-the-whole-of-it/"
         "a-folder-with-a-name-so-long-that-nobody-wants-to-read-the-whole-of-it/"
         "a-folder-with-a-name-so-long-that-nobody-wants-to-read-the-whole-of-it/all.yml",
         SLICE("rules: [ { name: all, action: deny } ]\n")},
        {"e/never.yml", SLICE("rules: [ { name: never, action: allow } ]\n")},
        {NULL, {NULL, 0}},
    };
    struct folder folder = {.files = files};
    static struct rules_report report;
    char text[1024];
    snprintf(text, sizeof(text), INCLUDE("[ \"%s\", e/* ]"), files[0].name);
    struct rules_set *set = load_from(&folder, text);
    rules_warn(set, NULL, &report);
    ck_assert_uint_eq(report.count, 1);
    print_problems(&report, text, sizeof(text));
    ck_assert_str_eq(
        text, "e/never.yml:1:10: warning: rule never never matches, since all (line 1 of "
              "...h-a-name-so-long-that-nobody-wants-to-read-the-whole-of-it/"
              "a-folder-with-a-name-so-long-that-nobody-wants-to-read-the-whole-of-it/"
              "a-folder-with-a-name-so-long-that-nobody-wants-to-read-the-whole-of-it/all.yml"
              ", action: deny) ends the search for all that it would match\n");
    rules_report_free(&report);
    rules_free(set);
}
END_TEST

/* ---- bounds -------------------------------------------------------------------------------- */

static char *texts_of(size_t count, const char *format, size_t room)
{
    char *text = malloc(count * room + 64);
    ck_assert_ptr_nonnull(text);
    size_t size = (size_t)sprintf(text, "rules:\n");
    for (size_t i = 0; i < count; i++)
        size += (size_t)sprintf(text + size, format, i);
    return text;
}

START_TEST(so_many_files_and_one_more)
{
    static struct named_file files[RULES_MAX_FILES + 2];
    static char names[RULES_MAX_FILES + 1][16];
    static char rules[RULES_MAX_FILES + 1][64];
    struct folder folder = {.files = files};
    for (size_t i = 0; i <= RULES_MAX_FILES; i++) {
        snprintf(names[i], sizeof(names[i]), "d/%04zu", i);
        snprintf(rules[i], sizeof(rules[i]), "rules: [ { name: r%04zu, action: allow } ]\n", i);
        files[i] = (struct named_file){names[i], slice_of_string(rules[i])};
    }
    files[RULES_MAX_FILES].name = NULL;
    struct rules_set *set = load_from(&folder, INCLUDE("d/*"));
    ck_assert_uint_eq(set->rule_count, RULES_MAX_FILES);
    ck_assert(slice_equal(set->rules[RULES_MAX_FILES - 1].name, SLICE("r0999")));
    rules_free(set);
    files[RULES_MAX_FILES].name = names[RULES_MAX_FILES];
    ck_assert_str_eq(problems_from(&folder, INCLUDE("d/*")),
                     ":3:10: one file too many, expected at most 1000\n");
}
END_TEST

START_TEST(all_files_have_so_many_rules_and_not_one_more)
{
    const size_t third = 40000;
    char *first = texts_of(third, "- { name: a%zu, action: allow, match: { a: x } }\n", 64);
    char *second = texts_of(third, "- { name: b%zu, action: allow, match: { a: x } }\n", 64);
    struct named_file files[] = {
        {"a", slice_of_string(first)}, {"b", slice_of_string(second)}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    for (size_t more = 0; more < 2; more++) {
        char *own = texts_of(RULES_MAX_RULES - 2 * third + more,
                             "- { name: r%zu, action: allow, match: { a: x } }\n", 64);
        char *text = NULL;
        ck_assert_int_gt(asprintf(&text, "listen: :0\ninclude: [ a, b ]\n%s", own), 0);
        if (more)
            ck_assert_str_eq(problems_from(&folder, text),
                             "b:40001:3: one rule too many, expected at most 100000\n");
        else
            rules_free(load_from(&folder, text));
        free(text);
        free(own);
    }
    free(first);
    free(second);
}
END_TEST

/* Values are counted over all files, with aliases written out. */
START_TEST(all_files_have_so_many_values)
{
    static char text[65536] = "rules: []\nx:\n- &a [ x";
    static const char unknown[] = "%s:2:1: unknown key \"x\" in an included file, expected rules\n";
    struct named_file files[] = {{"a", {NULL, 0}}, {"b", {NULL, 0}}, {"c", {NULL, 0}},
                                 {"d", {NULL, 0}}, {"e", {NULL, 0}}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    char expected[1024] = "";
    for (size_t i = 1; i < 1000; i++)
        strcat(text, ", x");
    strcat(text, " ]\n");
    for (size_t i = 1; i < 1046; i++)
        strcat(text, "- *a\n");
    for (size_t i = 0; i < 5; i++) {
        files[i].text = slice_of_string(text);
        if (i < 4)
            snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), unknown,
                     files[i].name);
    }
    ck_assert_str_eq(problems_from(&folder, INCLUDE("[ a, b, c, d ]")), expected);
    strcat(expected, "e:9:3: more values than can be loaded, expected at most 4194304 with aliases "
                     "written out\n");
    ck_assert_str_eq(problems_from(&folder, INCLUDE("[ a, b, c, d, e ]")), expected);
}
END_TEST

/* Wherever in a file, one that is included, or a variable. */
START_TEST(memory_that_runs_out_is_a_problem_like_others)
{
    static struct rules_report report;
    static const struct variable environment[] = {{"N", "5"}, {"NAME", "x"}, {NULL, NULL}};
    char *rules[3];
    struct named_file files[] = {
        {"d/a", {NULL, 0}}, {"d/b", {NULL, 0}}, {"d/list", SLICE("x\n")}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files, .variables = environment};
    struct rules_set *set = NULL;
    size_t refused = 0;
    for (size_t i = 0; i < 3; i++) {
        static const char *const formats[] = {
            "- { name: r%zu, action: allow, match: { a: \"${NAME}\" } }\n",
            "- { name: \"${NAME}-%zu\", key: a, limits: { limit: \"${N}\", window: 1s } }\n",
            "- { name: b%zu, action: allow, match: { a: { in_file: \"${NO:-list}\" } } }\n",
        };
        rules[i] = texts_of(50, formats[i], 128);
        if (i)
            files[i - 1].text = slice_of_string(rules[i]);
    }
    char *text = NULL;
    ck_assert_int_gt(asprintf(&text, "listen: :0\ninclude: [ d/a, \"d/[b]\" ]\n%s", rules[0]), 0);
    for (size_t memory = 1; !set; memory += 509) {
        struct rules_environment around = environment_of(&folder);
        set = rules__load_within(slice_of_string(text), SEED, &around, &report, memory);
        if (!set) {
            ck_assert_uint_eq(report.count, 1);
            ck_assert(slice_has_prefix(report.problems[0].text, SLICE("out of memory, ")));
            refused++;
        }
        rules_report_free(&report);
        ck_assert_uint_le(memory, 8 << 20);
    }
    ck_assert_uint_eq(set->rule_count, 150);
    ck_assert_uint_gt(refused, 50);
    rules_free(set);
    free(text);
    for (size_t i = 0; i < 3; i++)
        free(rules[i]);
}
END_TEST

UNIT_MAIN("include", included_rules_come_behind_the_files_own, rules_know_their_file,
          included_rules_are_like_the_files_own, what_is_wrong_is_told_where_it_is,
          without_an_environment_nothing_is_included, names_in_a_folder_may_be_anything,
          warnings_name_both_files, so_many_files_and_one_more,
          all_files_have_so_many_rules_and_not_one_more, all_files_have_so_many_values,
          memory_that_runs_out_is_a_problem_like_others)
