/* Variables of the environment in values. */
#include "files.h"
#include "random.h"

/* Values of `a` that a file is about, at 3:47. */
#define IS(text)                                                                                   \
    "listen: :0\nrules:\n- { name: r, action: allow, match: { a: { is: " text " } } }\n"

static const struct variable variables[] = {
    {"NAME", "value"},
    {"EMPTY", ""},
    {"_a9", "low"},
    {"NUMBER", "5"},
    {"TRICKY", "x, b: ${NAME} ] } # \"\n- *a &b !!c"},
    {"TWO", "${NAME}"},
    {"SECRET", "hunter2"},
    {"BINARY", "\xff"},
    {"NULL", "null"},
    {NULL, NULL},
};

/* ---- what is put in ------------------------------------------------------------------------ */

START_TEST(values_are_put_together)
{
    static const struct {
        const char *written;
        const char *value;
    } rows[] = {
        {"\"${NAME}\"", "value"},
        {"'${NAME}'", "value"},
        {"\"a${NAME}b${NUMBER}c\"", "avalueb5c"},
        {"\"${_a9}${EMPTY}${_a9}\"", "lowlow"},
        {"\"${NAME:-other}\"", "value"},
        {"\"${EMPTY:-other}\"", "other"},
        {"\"${UNSET:-other}\"", "other"},
        {"\"x${UNSET:-}\"", "x"},
        {"\"${UNSET:-a b:-c$}\"", "a b:-c$"},
        /* What is no variable is as it was. */
        {"\"$NAME $ $$ $( ) {NAME} }\"", "$NAME $ $$ $( ) {NAME} }"},
        {"\"^a{2}$\"", "^a{2}$"},
        {"\"a$$\"", "a$$"},
        /* The one escape. */
        {"\"$${NAME}\"", "${NAME}"},
        {"\"$${\"", "${"},
        {"\"$$${NAME}\"", "$${NAME}"},
        {"\"$${${NAME}$${NAME}\"", "${value${NAME}"},
        /* What a variable says is text, and no more. */
        {"\"${TRICKY}\"", "x, b: ${NAME} ] } # \"\n- *a &b !!c"},
        {"\"${TWO}\"", "${NAME}"},
        {"\"${UNSET:-$NAME}\"", "$NAME"},
        {"\"$${NAME}${TWO}\"", "${NAME}${NAME}"},
    };
    struct folder folder = {.variables = variables};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), IS("%s"), rows[i].written);
        struct rules_set *set = load_from(&folder, text);
        ck_assert_msg(applies(set, "a", text_value(rows[i].value)), "%s", rows[i].written);
        rules_free(set);
    }
}
END_TEST

/* As what stands there, they are read by those who read values: numbers, words, names, files. */
START_TEST(every_kind_of_value_may_have_one)
{
    static const struct variable all[] = {
        {"PORT", "9000"},          {"WINDOW", "15m"},  {"LIMIT", "7"},  {"MODE", "shadow"},
        {"ARGUMENT", "src"},       {"RULE", "r-1"},    {"PART", "25%"}, {"TRUE", "true"},
        {"NETWORK", "10.0.0.0/8"}, {"FILE", "values"}, {NULL, NULL},
    };
    struct named_file files[] = {{"values", SLICE("${PORT}\n")}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files, .variables = all};
    struct rules_set *set =
        load_from(&folder, "listen: tcp://127.0.0.1:${PORT}\n"
                           "workers: ${LIMIT}\n"
                           "rules:\n"
                           "- name: ${RULE}\n"
                           "  match: { any: [ { a: { in_file: \"${FILE}\" } },\n"
                           "                  { b: { cidr: \"${NETWORK}\" } } ] }\n"
                           "  key: ${ARGUMENT}/64\n"
                           "  enforce: ${PART}\n"
                           "  charge_denied: ${TRUE}\n"
                           "  cost: ${LIMIT}\n"
                           "  limits: { limit: \"${LIMIT}00\", window: \"${WINDOW}\" }\n"
                           "- { name: s, key: [], mode: '${MODE}',\n"
                           "    limits: { limit: 1, window: 1s } }\n");
    const struct rules_rule *rule = &set->rules[0];
    ck_assert_uint_eq(set->settings.listeners[0].endpoint.port, 9000);
    ck_assert_uint_eq(set->settings.workers, 7);
    ck_assert(slice_equal(rule->name, SLICE("r-1")));
    ck_assert_uint_eq(rule->limits[0].limit.units, 700);
    ck_assert_uint_eq(rule->limits[0].limit.window, UINT64_C(900000000));
    ck_assert_uint_eq(rule->enforce_parts, 2500);
    ck_assert(rule->charge_denied);
    ck_assert_int_eq(set->rules[1].mode, RULES_SHADOW);
    ck_assert_int_ge(rules_slot(set, SLICE("src")), 0);
    /* Files of values are read as they are. */
    struct message message = message_of(set);
    struct rules_hit hits[2];
    give(&message, "src", address_value("192.0.2.1"));
    give(&message, "a", text_value("9000"));
    ck_assert_uint_eq(match(set, -1, message.values, hits), 1);
    give(&message, "a", text_value("${PORT}"));
    ck_assert_uint_eq(match(set, -1, message.values, hits), 2);
    ck_assert_uint_eq(hits[0].cost, 7);
    rules_free(set);
}
END_TEST

/* A key is a word of the file; an alias is what its anchor stands for only where it is a value. */
START_TEST(keys_have_none)
{
    static const struct {
        const char *plan;
        const char *user;
        const char *limits;
    } rows[] = {
        {"${NUMBER}", "x", "r=2"}, {"${NAME}", "x", "r=1"}, {"5", "x", "r=3"},
        {"value", "x", "r=3"},     {"5", "value", "r=4"},   {"5", "${NAME}", "r=3"},
    };
    struct folder folder = {.variables = variables};
    struct rules_set *set =
        load_from(&folder, "listen: :0\n"
                           "rules:\n"
                           "- name: r\n"
                           "  match: { b: &v '${NUMBER}' }\n"
                           "  key: user\n"
                           "  tiers:\n"
                           "    by: plan\n"
                           "    &k '${NAME}': { limit: 1, window: 1s }\n"
                           "    *v : { limit: 2, window: 1s }\n"
                           "    default: { limit: 3, window: 1s }\n"
                           "  overrides: [ { key: *k, limits: { limit: 4, window: 1s } } ]\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message message = message_of(set);
        give(&message, "b", int_value(5));
        give(&message, "plan", text_value(rows[i].plan));
        give(&message, "user", text_value(rows[i].user));
        ck_assert_str_eq(limits_of(&message), rows[i].limits);
    }
    rules_free(set);
}
END_TEST

/* ---- what is refused ----------------------------------------------------------------------- */

#define FORMS                                                                                      \
    ", expected ${NAME} or ${NAME:-DEFAULT}, with a name of at most 128 letters, digits and '_'; " \
    "${ itself is written $${\n"

START_TEST(what_is_wrong_with_a_variable)
{
    static const struct {
        const char *text;
        const char *problems;
    } rows[] = {
        {IS("\"${UNSET}\""), ":3:47: variable UNSET is not set, expected it in the environment, or "
                             "a default, as in ${UNSET:-DEFAULT}\n"},
        /* All of a value, and each once. */
        {IS("\"${UNSET}${NAME}${LOST}${UNSET}\""),
         ":3:47: variable UNSET is not set, expected it in the environment, or a default, as in "
         "${UNSET:-DEFAULT}\n"
         ":3:47: variable LOST is not set, expected it in the environment, or a default, as in "
         "${LOST:-DEFAULT}\n"},
        {IS("\"x${NAME\""), ":3:47: \"${NAME\" has no }" FORMS},
        {IS("\"${}\""), ":3:47: \"${}\" is no variable" FORMS},
        {IS("\"${9a}\""), ":3:47: \"${9a}\" is no variable" FORMS},
        {IS("\"${NA-ME}\""), ":3:47: \"${NA-ME}\" is no variable" FORMS},
        {IS("\"${ NAME }\""), ":3:47: \"${ NAME }\" is no variable" FORMS},
        {IS("\"${NAME-x}\""), ":3:47: \"${NAME-x}\" is no variable" FORMS},
        {IS("\"${NAME:?x}\""), ":3:47: \"${NAME:?x}\" is no variable" FORMS},
        {IS("\"${NAME:}\""), ":3:47: \"${NAME:}\" is no variable" FORMS},
        {IS("\"${N\\0}\""), ":3:47: \"${N?}\" is no variable" FORMS},
        {IS("\"^${a{2}$\""), ":3:47: \"${a{2}\" is no variable" FORMS},
        {IS("\"${UNSET:-^a{2}$}\""), ":3:47: the default of \"${UNSET:-^a{2}\" has a {, expected a "
                                     "text without one\n"},
        {IS("\"${UNSET:-${NAME}}\""),
         ":3:47: the default of \"${UNSET:-${NAME}\" has a {, expected "
         "a text without one\n"},
        {IS("\"${BINARY}\""), ":3:47: variable BINARY is not UTF-8, expected text\n"},
        {IS("${NAME}"),
         ":3:48: invalid YAML while parsing a flow mapping: did not find expected ',' or '}', "
         "expected quotes around a value with ${ in it, where it stands between [ and ] or { and "
         "}\n"},
        /* Only values: this one is no argument's name. */
        {"listen: :0\nrules:\n- { name: r, action: allow, match: { \"${NAME}\": x } }\n",
         ":3:38: an argument of match is \"${NAME}\", expected a name of 1 to 64 letters, digits, "
         "'.', '_', '-' and ':'\n"},
        /* Nothing is as wrong as nothing that stands there. */
        {"listen: :0\nadmin: ${EMPTY}\nrules: []\n",
         ":2:8: admin is empty, expected an address, as in tcp://127.0.0.1:9901\n"},
        {"listen: :0\nadmin: ${NULL}\nrules: []\n",
         ":2:8: admin is null, expected an address, as in tcp://127.0.0.1:9901\n"},
        {"listen: :0\nadmin: ${UNSET:-}\nrules: []\n",
         ":2:8: admin is empty, expected an address, as in tcp://127.0.0.1:9901\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct folder folder = {.variables = variables};
        const char *problems = problems_from(&folder, rows[i].text);
        ck_assert_msg(strcmp(problems, rows[i].problems) == 0, "%sgives\n%sinstead of\n%s",
                      rows[i].text, problems, rows[i].problems);
    }
}
END_TEST

START_TEST(without_an_environment_none_is_set)
{
    ck_assert_str_eq(
        problems_of(slice_of_string(IS("\"${NAME}\""))),
        "3:47: variable NAME is not set, expected it in the environment, or a default, "
        "as in ${NAME:-DEFAULT}\n");
    struct rules_set *set = load(IS("\"${NAME:-x}\""));
    ck_assert(applies(set, "a", text_value("x")));
    rules_free(set);
}
END_TEST

/* It may be a password that went to the wrong place: each value of a file that is wrong is told as
 * the file has it. */
START_TEST(what_a_variable_says_is_not_repeated)
{
    static const char *const texts[] = {
        "listen: ${SECRET}\nrules: []\n",
        "listen: :0\nadmin: ${SECRET}\nrules: []\n",
        "listen: :0\nworkers: ${SECRET}\nrules: []\n",
        "listen: :0\nanswer: [ \"${SECRET}\" ]\nrules: []\n",
        "listen: :0\nrules: ${SECRET}\n",
        "listen: :0\nrules: [ \"${SECRET}\" ]\n",
        "listen: :0\ninclude: ${SECRET}\nrules: []\n",
        "listen: :0\ninclude: lost/${SECRET}*\nrules: []\n",
        "listen: :0\ninclude: \"${SECRET}*/x\"\nrules: []\n",
        "listen: :0\nstore: { mode: \"${SECRET}\" }\nrules: []\n",
        "listen: :0\nstore: { mode: single, nodes: \"${SECRET}:x\" }\nrules: []\n",
        "listen: :0\nstore: { mode: single, nodes: \"u:${SECRET}@h\" }\nrules: []\n",
        "listen: :0\nstore: { mode: single, nodes: a, prefix: \"{${SECRET}\" }\nrules: []\n",
        "listen: :0\nstore: { mode: single, nodes: a, auth: { password_env: \" ${SECRET}\" } }\n"
        "rules: []\n",
        "listen: :0\nconnections: { idle_timeout: \"${SECRET}\", max: \"${SECRET}\" }\nrules: []\n",
        IS("[ \"${SECRET}\" ]") "- { name: \"${SECRET} x\", action: allow }\n",
        IS("x") "- { name: s, key: \"${SECRET}/x\", limits: { limit: 1, window: \"${SECRET}\" } "
                "}\n",
        IS("x") "- { name: s, key: a/64, limits: unlimited, cost: \"${SECRET}\",\n"
                "    overrides: [ { key: \"${SECRET}/\", limits: unlimited } ] }\n",
        IS("x") "- { name: s, action: deny, match: { a: { cidr: \"${SECRET}\" } } }\n",
        IS("x") "- { name: s, action: deny, match: { a: { lt: \"${SECRET}\" } } }\n",
        IS("x") "- { name: s, action: deny, match: { a: { regex: \"${SECRET}(\" } } }\n",
        IS("x") "- { name: s, action: deny, match: { a: { in_file: \"${SECRET}\" } } }\n",
        IS("x") "- { name: s, action: \"${SECRET}\" }\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct folder folder = {.variables = variables};
        const char *problems = problems_from(&folder, texts[i]);
        ck_assert_msg(!strstr(problems, "hunter2"), "%sgives\n%s", texts[i], problems);
    }
}
END_TEST

START_TEST(a_value_is_told_as_the_file_has_it)
{
    struct folder folder = {.variables = variables};
    ck_assert_str_eq(problems_from(&folder, "listen: :0\nworkers: ${SECRET}\nrules: []\n"),
                     ":2:10: workers is what \"${SECRET}\" stands for, expected auto or a whole "
                     "number from 1 to 256\n");
    ck_assert_str_eq(problems_from(&folder, "listen: :0\nworkers: ${UNSET:-x}\nrules: []\n"),
                     ":2:10: workers is what \"${UNSET:-x}\" stands for, expected auto or a whole "
                     "number from 1 to 256\n");
}
END_TEST

/* What is asked of a running agent shows them. */
START_TEST(words_are_those_of_the_file)
{
    struct folder folder = {.variables = variables};
    struct rules_set *set = load_from(&folder, IS("\"${SECRET}\""));
    ck_assert(slice_equal(set->rules[0].words->match, SLICE("{ a: { is: \"${SECRET}\" } }")));
    ck_assert(applies(set, "a", text_value("hunter2")));
    rules_free(set);
}
END_TEST

/* ---- bounds -------------------------------------------------------------------------------- */

START_TEST(names_are_so_long_and_not_longer)
{
    static char name[RULES_VARIABLE_MAX + 2];
    static char text[RULES_VARIABLE_MAX + 200];
    struct variable long_one[] = {{name, "x"}, {NULL, NULL}};
    struct folder folder = {.variables = long_one};
    memset(name, 'N', RULES_VARIABLE_MAX);
    snprintf(text, sizeof(text), IS("\"${%s}\""), name);
    rules_free(load_from(&folder, text));
    name[RULES_VARIABLE_MAX] = 'N';
    snprintf(text, sizeof(text), IS("\"${%s}\""), name);
    ck_assert_ptr_nonnull(
        strstr(problems_from(&folder, text), "NNN...\" is no variable, expected"));
}
END_TEST

START_TEST(values_are_so_long_and_not_longer)
{
    static char value[RULES_EXPANDED_MAX + 1];
    struct variable long_one[] = {{"LONG", value}, {NULL, NULL}};
    struct folder folder = {.variables = long_one};
    memset(value, 'x', RULES_EXPANDED_MAX - 1);
    struct rules_set *set = load_from(&folder, IS("\"${LONG}y\""));
    value[RULES_EXPANDED_MAX - 1] = 'y';
    ck_assert(applies(set, "a", text_value(value)));
    rules_free(set);
    ck_assert_str_eq(problems_from(&folder, IS("\"${LONG}y\"")),
                     ":3:47: a value of too many bytes with its variables, expected at most "
                     "16384\n");
}
END_TEST

/* What is no variable stays, whatever it is; what is one gives way to what it says. */
START_TEST(random_values_are_read_piece_by_piece)
{
    static const struct {
        const char *written;
        const char *read;
    } pieces[] = {
        {"${NAME}", "value"}, {"${EMPTY}", ""}, {"${X:-d}", "d"}, {"$${", "${"}, {"a", "a"},
        {"}", "}"},           {"{b", "{b"},     {":-", ":-"},     {"$ ", "$ "},
    };
    struct random random = random_open("random values");
    struct folder folder = {.variables = variables};
    for (size_t round = 0; round < 2000; round++) {
        char written[256] = "";
        char read[256] = "";
        char text[512];
        for (size_t left = 1 + (size_t)random_below(&random, 10); left; left--) {
            size_t at = (size_t)random_below(&random, sizeof(pieces) / sizeof(pieces[0]));
            strcat(written, pieces[at].written);
            strcat(read, pieces[at].read);
        }
        snprintf(text, sizeof(text), IS("\"=%s\""), written);
        memmove(read + 1, read, strlen(read) + 1);
        read[0] = '=';
        struct rules_set *set = load_from(&folder, text);
        ck_assert_msg(applies(set, "a", text_value(read)), "%s is not %s", text, read);
        rules_free(set);
    }
}
END_TEST

UNIT_MAIN("variables", values_are_put_together, every_kind_of_value_may_have_one, keys_have_none,
          what_is_wrong_with_a_variable, without_an_environment_none_is_set,
          what_a_variable_says_is_not_repeated, a_value_is_told_as_the_file_has_it,
          words_are_those_of_the_file, names_are_so_long_and_not_longer,
          values_are_so_long_and_not_longer, random_values_are_read_piece_by_piece)
