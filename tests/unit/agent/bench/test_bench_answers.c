/* What answers say is counted, whether one like it was read before or not. */
#include <stdio.h>

#include "agent/bench/answers.h"
#include "main.h"

static struct bench_answers answers;
static uint8_t bytes[1024];
static struct writer w;

static void begin(void)
{
    w = writer_open(bytes, sizeof(bytes));
}

static void set_bool(const char *name, bool is)
{
    struct value value = {.type = VALUE_BOOL, .boolean = is};
    spop_write_set_var(&w, SPOP_SCOPE_TRANSACTION, slice_of_string(name), &value);
}

static void set_text(const char *name, const char *text)
{
    struct value value = {.type = VALUE_STRING, .bytes = slice_of_string(text)};
    spop_write_set_var(&w, SPOP_SCOPE_TRANSACTION, slice_of_string(name), &value);
}

static void add_answer(bool deny, const char *source, uint64_t remaining)
{
    struct value value = {.type = VALUE_UINT64, .natural = remaining};
    begin();
    set_bool("allow", !deny);
    set_bool("deny", deny);
    if (source)
        set_text("source", source);
    spop_write_set_var(&w, SPOP_SCOPE_TRANSACTION, SLICE("remaining"), &value);
    ck_assert_int_eq(bench_answers_add(&answers, writer_slice(&w)), ERROR_NONE);
}

static uint64_t from(const char *source)
{
    for (size_t i = 0; i < answers.source_count; i++)
        if (strcmp(answers.sources[i].name, source) == 0)
            return answers.sources[i].answers;
    return 0;
}

static void forget(void)
{
    answers = (struct bench_answers){0};
}

START_TEST(outcomes_and_sources_are_counted)
{
    static const char *const sources[] = {"memory", "redis", "lease", "denied-cache", "fallback"};
    forget();
    for (uint64_t i = 0; i < 1000; i++)
        add_answer(i % 3 == 0, sources[i % 5], i % 7);
    ck_assert_uint_eq(answers.refused, 334);
    ck_assert_uint_eq(answers.allowed, 666);
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(from(sources[i]), 200);
}
END_TEST

START_TEST(one_that_only_begins_like_another_is_read)
{
    forget();
    for (int i = 0; i < 3; i++) {
        begin();
        set_bool("allow", true);
        ck_assert_int_eq(bench_answers_add(&answers, writer_slice(&w)), ERROR_NONE);
        set_bool("deny", true); /* an agent that says both: the last counts */
        ck_assert_int_eq(bench_answers_add(&answers, writer_slice(&w)), ERROR_NONE);
    }
    ck_assert_uint_eq(answers.allowed, 3);
    ck_assert_uint_eq(answers.refused, 3);
}
END_TEST

START_TEST(what_says_nothing_is_neither)
{
    forget();
    begin();
    ck_assert_int_eq(bench_answers_add(&answers, writer_slice(&w)), ERROR_NONE);
    set_text("allow", "true"); /* not a boolean */
    ck_assert_int_eq(bench_answers_add(&answers, writer_slice(&w)), ERROR_NONE);
    ck_assert_uint_eq(answers.undecided, 2);
    ck_assert_uint_eq(answers.allowed + answers.refused, 0);
}
END_TEST

START_TEST(garbage_is_an_error)
{
    forget();
    add_answer(false, "memory", 1);
    struct slice whole = writer_slice(&w);
    for (size_t size = 1; size < whole.size; size++) {
        forget(); /* where one like it was read, only its beginning is looked at */
        struct cursor c = cursor_open(slice_of(whole.data, size));
        struct spop_action action;
        while (spop_next_action(&c, &action))
            ;
        ck_assert_int_eq(bench_answers_add(&answers, slice_of(whole.data, size)), c.error);
        ck_assert_uint_eq(answers.allowed, c.error ? 0 : 1);
    }
}
END_TEST

START_TEST(too_many_sources_and_odd_ones_are_others)
{
    char name[64];
    forget();
    for (int i = 0; i < BENCH_SOURCES_MAX + 2; i++) {
        snprintf(name, sizeof(name), "source-%d", i);
        add_answer(false, name, 1);
    }
    ck_assert_uint_eq(answers.source_count, BENCH_SOURCES_MAX);
    ck_assert_uint_eq(answers.other_sources, 2);
    forget();
    add_answer(false, "a\"b", 1);
    add_answer(false, "", 1);
    add_answer(false, "a\nb", 1);
    ck_assert_uint_eq(answers.other_sources, 3);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    add_answer(false, name, 1);
    name[BENCH_SOURCE_SIZE - 1] = 0;
    ck_assert_uint_eq(from(name), 1);
}
END_TEST

UNIT_MAIN("bench answers", outcomes_and_sources_are_counted,
          one_that_only_begins_like_another_is_read, what_says_nothing_is_neither,
          garbage_is_an_error, too_many_sources_and_odd_ones_are_others)
