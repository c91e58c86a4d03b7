/* Reading rule files. */
#pragma once

#include "base/base.h"
#include "rules/rules.h"

/* One thing that is wrong with a file. */
struct file_finding {
    const char *text;    /* one line, as rules_problem_print writes it */
    struct slice source; /* the line of the file that it is about; data NULL: about none */
    size_t line;
    size_t column;
};

typedef void file_problem(void *context, const struct file_finding *finding);

/* Reads and compiles a rule file ("-" is standard input), with what the environment says in place
 * of it (struct rules_overrides). NULL when it can't be read or anything in it is wrong, each thing
 * told to problem. May block. */
struct rules_set *file_load_rules(const char *path, uint64_t seed, file_problem *problem,
                                  void *context);

/* A problem handler: a line to stderr. */
file_problem file_print_problem;
