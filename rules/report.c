#include <stdarg.h>
#include <stdio.h>

#include "rules/loader.h"

static const char no_memory[] = "out of memory, expected enough to say what is wrong here";

static int compare(const struct rules_problem *problem, const struct rules__place *place)
{
    if (problem->file_number != place->file)
        return problem->file_number < place->file ? -1 : 1;
    if (problem->line != place->line)
        return problem->line < place->line ? -1 : 1;
    return (problem->column > place->column) - (problem->column < place->column);
}

static bool is_known(const struct rules_report *report, const struct rules__place *place,
                     struct slice text)
{
    for (size_t i = 0; i < report->count; i++)
        if (compare(&report->problems[i], place) == 0 &&
            slice_equal(report->problems[i].text, text))
            return true;
    return false;
}

/* A copy, made once for each file. */
static struct slice file_name(struct rules_report *report, const struct rules__place *place)
{
    if (place->file == 0)
        return slice_of(NULL, 0);
    if (!report->file_names)
        report->file_names =
            arena_array(&report->arena, RULES_MAX_FILES + 1, sizeof(*report->file_names));
    struct slice *name = report->file_names ? &report->file_names[place->file] : NULL;
    if (name && !name->data)
        *name = arena_copy(&report->arena, place->file_name);
    return name && name->data ? *name : SLICE("out of memory for a file's name");
}

/* A text's memory is that of the problem which gives way, if the list is full, so that a report has
 * a size that no file can exceed. */
static void insert(struct rules_report *report, const struct rules__place *place, struct slice text)
{
    uint8_t *memory = NULL;
    if (report->count == RULES_PROBLEMS_MAX) {
        const struct rules_problem *last = &report->problems[RULES_PROBLEMS_MAX - 1];
        report->omitted++;
        if (compare(last, place) <= 0)
            return;
        if (last->text.data != (const uint8_t *)no_memory)
            memory = (uint8_t *)last->text.data;
        report->count--;
    } else {
        memory = arena_allocate(&report->arena, RULES__PROBLEM_TEXT_MAX);
    }
    size_t at = report->count++;
    for (; at > 0 && compare(&report->problems[at - 1], place) > 0; at--)
        report->problems[at] = report->problems[at - 1];
    if (memory) {
        memcpy(memory, text.data, text.size);
        text.data = memory;
    } else {
        text = SLICE(no_memory);
    }
    report->problems[at] = (struct rules_problem){place->line, place->column, text,
                                                  file_name(report, place), place->file};
}

struct rules__place rules__place(const struct rules_set *set, uint32_t file, size_t line,
                                 size_t column)
{
    struct rules__place place = {.file = file, .line = line, .column = column};
    if (file)
        place.file_name = set->file_names[file];
    return place;
}

const char *rules__where(const struct rules_set *set, const struct rules_rule *rule, uint32_t file,
                         char where[RULES__WHERE_MAX])
{
    const size_t most = RULES__WHERE_MAX - 48;
    struct slice name = rule->file ? set->file_names[rule->file] : SLICE("the rule file");
    bool is_cut = name.size > most; /* its end says more than its folders */
    if (is_cut)
        name = slice_from(name, name.size - most);
    while (is_cut && name.size && (name.data[0] & 0xc0) == 0x80)
        name = slice_from(name, 1);
    if (rule->file == file)
        snprintf(where, RULES__WHERE_MAX, "line %u", rule->line);
    else
        snprintf(where, RULES__WHERE_MAX, "line %u of %s%.*s", rule->line, is_cut ? "..." : "",
                 SLICE_ARGS(name));
    return where;
}

void rules__report_text(struct rules_report *report, const struct rules__place *place,
                        const char *text)
{
    struct slice s = slice_of_string(text);
    if (s.size >= RULES__PROBLEM_TEXT_MAX)
        s.size = RULES__PROBLEM_TEXT_MAX - 1;
    if (!is_known(report, place, s))
        insert(report, place, s);
}

void rules__report_at(struct rules_report *report, const struct rules__place *place,
                      const char *format, ...)
{
    char text[RULES__PROBLEM_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    rules__report_text(report, place, text);
}

void rules_path(const char *rule_file, struct slice name, char *out, size_t size)
{
    const char *slash = strrchr(rule_file, '/');
    bool is_absolute = name.size && name.data[0] == '/';
    int folder = slash && !is_absolute ? (int)(slash + 1 - rule_file) : 0;
    snprintf(out, size, "%.*s%.*s", folder, rule_file, SLICE_ARGS(name));
}

void rules_problem_print(const struct rules_problem *problem, const char *file, char *out,
                         size_t size)
{
    char path[4096 + RULES_PATH_MAX];
    snprintf(path, sizeof(path), "%s", file);
    if (problem->file.size)
        rules_path(file, problem->file, path, sizeof(path));
    if (problem->line)
        snprintf(out, size, "%s:%zu:%zu: %.*s", path, problem->line, problem->column,
                 SLICE_ARGS(problem->text));
    else
        snprintf(out, size, "environment: %.*s", SLICE_ARGS(problem->text));
}

void rules_report_free(struct rules_report *report)
{
    arena_free(&report->arena);
    report->file_names = NULL;
    report->candidate = slice_of(NULL, 0);
    report->count = 0;
    report->omitted = 0;
}
