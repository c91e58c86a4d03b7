/* Rule files that read others, and variables: a folder of files in memory, and an environment. */
#pragma once

#include <fnmatch.h>

#include "helper.h"

struct named_file {
    const char *name; /* NULL ends a folder */
    struct slice text;
};

struct variable {
    const char *name; /* NULL ends an environment */
    const char *value;
};

#define MATCHES_MAX (RULES_MAX_FILES + 1)

struct folder {
    const struct named_file *files;   /* in the order of their names; NULL: none */
    const struct variable *variables; /* NULL: none */
    size_t reads;
    const char *matches[MATCHES_MAX];
};

/* Of struct rules_environment. */
static inline const char *read_file(void *context, const char *name, struct slice *text)
{
    struct folder *folder = context;
    folder->reads++;
    for (const struct named_file *file = folder->files; file && file->name; file++) {
        if (strcmp(file->name, name) == 0) {
            *text = file->text;
            return NULL;
        }
    }
    return "there is no such file";
}

static inline const char *list_files(void *context, const char *pattern,
                                     struct rules_file_names *names)
{
    struct folder *folder = context;
    size_t count = 0;
    if (strstr(pattern, "lost/"))
        return "there is no such folder";
    for (const struct named_file *file = folder->files; file && file->name; file++)
        if (count < MATCHES_MAX && fnmatch(pattern, file->name, FNM_PERIOD | FNM_PATHNAME) == 0)
            folder->matches[count++] = file->name;
    *names = (struct rules_file_names){folder->matches, count};
    return NULL;
}

static inline struct slice variable(void *context, const char *name)
{
    const struct folder *folder = context;
    for (const struct variable *v = folder->variables; v && v->name; v++)
        if (strcmp(v->name, name) == 0)
            return slice_of_string(v->value);
    return slice_of(NULL, 0);
}

static inline struct rules_environment environment_of(struct folder *folder)
{
    return (struct rules_environment){
        .context = folder,
        .variable = variable,
        .read_file = read_file,
        .list_files = list_files,
    };
}

/* The problems as lines, "FILE:LINE:COLUMN: TEXT\n" each, of which "" is the rule file. */
static inline void print_problems(const struct rules_report *report, char *out, size_t size)
{
    int at = 0;
    out[0] = 0;
    for (size_t i = 0; i < report->count; i++) {
        const struct rules_problem *problem = &report->problems[i];
        at +=
            snprintf(out + at, size - (size_t)at, "%.*s:%zu:%zu: %.*s\n", SLICE_ARGS(problem->file),
                     problem->line, problem->column, SLICE_ARGS(problem->text));
    }
}

/* Loads a file that is right, with others. */
static inline struct rules_set *load_from(struct folder *folder, const char *text)
{
    static struct rules_report report;
    static char problems[RULES_PROBLEMS_MAX * 2048];
    struct rules_environment environment = environment_of(folder);
    struct rules_set *set = rules_load_with(slice_of_string(text), SEED, &environment, &report);
    print_problems(&report, problems, sizeof(problems));
    ck_assert_msg(set != NULL, "%s is refused for\n%s", text, problems);
    rules_report_free(&report);
    return set;
}

/* Loads one that is wrong. */
static inline const char *problems_from(struct folder *folder, const char *text)
{
    static struct rules_report report;
    static char problems[RULES_PROBLEMS_MAX * 2048];
    struct rules_environment environment = environment_of(folder);
    struct rules_set *set = rules_load_with(slice_of_string(text), SEED, &environment, &report);
    ck_assert_msg(set == NULL, "accepted:\n%s", text);
    print_problems(&report, problems, sizeof(problems));
    rules_report_free(&report);
    return problems;
}
