/* What the tests of rules/ share: rule files in, sets or reports out; values by argument. */
#pragma once

#include <stdarg.h>
#include <stdio.h>

#include "main.h"
#include "rules/rules.h"

#define SEED UINT64_C(0x5eed)

/* Loads a file that is right. */
static inline struct rules_set *load_with_seed(const char *text, uint64_t seed)
{
    static struct rules_report report;
    struct rules_set *set = rules_load(slice_of_string(text), seed, &report);
    for (size_t i = 0; i < report.count; i++) {
        char line[1024];
        rules_problem_print(&report.problems[i], "file", line, sizeof(line));
        printf("%s\n", line);
    }
    fflush(stdout);
    ck_assert_msg(set != NULL, "refused:\n%s", text);
    ck_assert_uint_eq(report.count, 0);
    rules_report_free(&report);
    return set;
}

static inline struct rules_set *load(const char *text)
{
    return load_with_seed(text, SEED);
}

/* Loads a file of one rule, given as the part behind "- ", in flow style or indented by four. */
static inline struct rules_set *load_rule(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
static inline struct rules_set *load_rule(const char *format, ...)
{
    static char text[1 << 16];
    int size = snprintf(text, sizeof(text), "listen: :0\nrules:\n  - ");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + size, sizeof(text) - (size_t)size, format, arguments);
    va_end(arguments);
    return load(text);
}

/* A message's values by slot; all absent to begin with. */
struct message {
    const struct rules_set *set;
    struct value values[RULES_MAX_SLOTS];
};

static inline struct message message_of(const struct rules_set *set)
{
    return (struct message){.set = set};
}

/* An argument that no rule reads is dropped, as the agent does. */
static inline void give(struct message *message, const char *argument, struct value value)
{
    int slot = rules_slot(message->set, slice_of_string(argument));
    if (slot >= 0)
        message->values[slot] = value;
}

static const struct value absent = {.type = VALUE_NULL};

static inline struct value text_value(const char *text)
{
    return (struct value){.type = VALUE_STRING, .bytes = slice_of_string(text)};
}

static inline struct value int_value(int64_t integer)
{
    return (struct value){.type = VALUE_INT64, .integer = integer};
}

static inline struct value bool_value(bool boolean)
{
    return (struct value){.type = VALUE_BOOL, .boolean = boolean};
}

static inline struct value address_value(const char *text)
{
    struct value value;
    ck_assert_msg(value_parse_address(slice_of_string(text), &value), "%s", text);
    return value;
}

/* 192.0.2.1 as ::ffff:192.0.2.1. */
static inline struct value mapped_value(const char *text)
{
    struct value ipv4 = address_value(text);
    struct value mapped = {.type = VALUE_IPV6, .address = {[10] = 0xff, [11] = 0xff}};
    memcpy(mapped.address + 12, ipv4.address, 4);
    return mapped;
}

/* rules_match, with a matcher for this once. */
static inline size_t match(const struct rules_set *set, int message, const struct value *values,
                           struct rules_hit *hits)
{
    struct rules_matcher *matcher = rules_matcher_create(set);
    struct value copies[RULES_MAX_SLOTS];
    ck_assert_ptr_nonnull(matcher);
    if (values)
        memcpy(copies, values, set->slot_count * sizeof(*values));
    size_t count = rules_match(matcher, message, copies, hits);
    rules_matcher_free(matcher);
    return count;
}

/* Whether the one rule of a set applies to a message of one argument. */
static inline bool applies(const struct rules_set *set, const char *argument, struct value value)
{
    struct message message = message_of(set);
    struct rules_hit hit;
    ck_assert_uint_eq(set->rule_count, 1);
    give(&message, argument, value);
    return match(set, -1, message.values, &hit) == 1;
}

/* The one hit of a message for a set of one rule. */
static inline struct rules_hit hit_of(const struct message *message)
{
    struct rules_hit hit;
    ck_assert_uint_eq(match(message->set, -1, message->values, &hit), 1);
    ck_assert_ptr_eq(hit.rule, &message->set->rules[0]);
    return hit;
}

/* Its limits: "NAME=UNITS NAME=UNITS", or "absent" where the rule doesn't apply. */
static inline const char *limits_of(const struct message *message)
{
    static char text[1024];
    struct rules_hit hit = hit_of(message);
    struct writer w = writer_open(text, sizeof(text) - 1);
    if (hit.kind == RULES_HIT_NO_KEY)
        return "absent";
    ck_assert_int_eq(hit.kind, RULES_HIT_LIMIT);
    for (size_t i = 0; i < hit.limit_count; i++) {
        writer_bytes(&w, i ? SLICE(" ") : SLICE(""));
        writer_bytes(&w, hit.limits[i].name);
        writer_uint8(&w, '=');
        writer_decimal(&w, hit.limits[i].limit.units);
        ck_assert_ptr_eq(hit.limits[i].rule, hit.rule);
    }
    text[writer_size(&w)] = 0;
    return text;
}

/* ---- files that are refused ---------------------------------------------------------------- */

/* As messages list them. */
#define RULE_KEYS                                                                                  \
    "name, message, match, key, limits, tiers, overrides, cost, mode, max_delay, enforce, "        \
    "charge, penalty, action, on_store_error, consistency, charge_denied"

struct wrong_file {
    const char *text;
    const char *problems; /* "LINE:COLUMN: TEXT\n" for each */
};

/* Loads a file that is wrong; the problems as lines. */
static inline const char *problems_of(struct slice text)
{
    static struct rules_report report;
    static char lines[RULES_PROBLEMS_MAX * 1024];
    size_t size = 0;
    lines[0] = 0;
    struct rules_set *set = rules_load(text, SEED, &report);
    ck_assert_msg(set == NULL, "accepted:\n%.*s", SLICE_ARGS(text));
    for (size_t i = 0; i < report.count; i++) {
        const struct rules_problem *problem = &report.problems[i];
        size += (size_t)snprintf(lines + size, sizeof(lines) - size, "%zu:%zu: %.*s\n",
                                 problem->line, problem->column, SLICE_ARGS(problem->text));
    }
    rules_report_free(&report);
    return lines;
}

static inline void expect_problems(const struct wrong_file *file)
{
    const char *problems = problems_of(slice_of_string(file->text));
    ck_assert_msg(strcmp(problems, file->problems) == 0, "\n%s\nis refused for\n%sinstead of\n%s",
                  file->text, problems, file->problems);
}

/* Each row is a test of its own, so that one that fails doesn't hide the others. */
static inline int run_wrong_files(const char *name, const TTest *test, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_loop_test(tcase, test, 0, (int)count);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
