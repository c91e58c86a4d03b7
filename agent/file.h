/* Reading rule files. */
#pragma once

#include "base/base.h"
#include "rules/rules.h"

/* Told one line of what is wrong with a file, as rules_problem_print writes it. */
typedef void file_problem(void *context, const char *line);

/* Reads and compiles a rule file ("-" is standard input), with what the environment says in place
 * of it (struct rules_overrides). NULL when it can't be read or anything in it is wrong, each thing
 * told to problem. May block. */
struct rules_set *file_load_rules(const char *path, uint64_t seed, file_problem *problem,
                                  void *context);

/* A problem handler: a line to stderr. */
void file_print_problem(void *context, const char *line);
