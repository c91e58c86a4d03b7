#include <stdarg.h>
#include <stdio.h>

#include "rules/loader.h"

static const char no_memory[] = "out of memory, expected enough to say what is wrong here";

static int compare(const struct rules_problem *problem, size_t line, size_t column)
{
    if (problem->line != line)
        return problem->line < line ? -1 : 1;
    return (problem->column > column) - (problem->column < column);
}

static bool is_known(const struct rules_report *report, size_t line, size_t column,
                     struct slice text)
{
    for (size_t i = 0; i < report->count; i++)
        if (compare(&report->problems[i], line, column) == 0 &&
            slice_equal(report->problems[i].text, text))
            return true;
    return false;
}

/* A text's memory is that of the problem which gives way, if the list is full, so that a report has
 * a size that no file can exceed. */
static void insert(struct rules_report *report, size_t line, size_t column, struct slice text)
{
    uint8_t *memory = NULL;
    if (report->count == RULES_PROBLEMS_MAX) {
        const struct rules_problem *last = &report->problems[RULES_PROBLEMS_MAX - 1];
        report->omitted++;
        if (compare(last, line, column) <= 0)
            return;
        if (last->text.data != (const uint8_t *)no_memory)
            memory = (uint8_t *)last->text.data;
        report->count--;
    } else {
        memory = arena_allocate(&report->arena, RULES__PROBLEM_TEXT_MAX);
    }
    size_t at = report->count++;
    for (; at > 0 && compare(&report->problems[at - 1], line, column) > 0; at--)
        report->problems[at] = report->problems[at - 1];
    if (memory) {
        memcpy(memory, text.data, text.size);
        text.data = memory;
    } else {
        text = SLICE(no_memory);
    }
    report->problems[at] = (struct rules_problem){line, column, text};
}

void rules__report_text(struct rules_report *report, size_t line, size_t column, const char *text)
{
    struct slice s = slice_of_string(text);
    if (s.size >= RULES__PROBLEM_TEXT_MAX)
        s.size = RULES__PROBLEM_TEXT_MAX - 1;
    if (!is_known(report, line, column, s))
        insert(report, line, column, s);
}

void rules__report_at(struct rules_report *report, size_t line, size_t column, const char *format,
                      ...)
{
    char text[RULES__PROBLEM_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    rules__report_text(report, line, column, text);
}

void rules_problem_print(const struct rules_problem *problem, const char *file, char *out,
                         size_t size)
{
    if (problem->line)
        snprintf(out, size, "%s:%zu:%zu: %.*s", file, problem->line, problem->column,
                 SLICE_ARGS(problem->text));
    else
        snprintf(out, size, "environment: %.*s", SLICE_ARGS(problem->text));
}

void rules_report_free(struct rules_report *report)
{
    arena_free(&report->arena);
    report->count = 0;
    report->omitted = 0;
}
