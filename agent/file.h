/* Reading rule files. */
#pragma once

#include "agent/file_texts.h"
#include "base/base.h"
#include "rules/explain.h"
#include "rules/rules.h"

/* One thing that is wrong with a file, or of no use in it. */
struct file_finding {
    const char *text;    /* one line, as rules_problem_print writes it */
    struct slice source; /* the line of the file that it is about; data NULL: about none */
    size_t line;
    size_t column;
    bool warning;
};

typedef void file_problem(void *context, const struct file_finding *finding);

/* Reads and compiles a rule file ("-" is standard input) and those that it reads, with what the
 * environment says in it and in place of it (struct rules_environment). What changes while it is
 * read is read again, so that all of it is of one time. NULL when it can't be read or anything in
 * it is wrong, each thing told to problem. May block. */
struct rules_set *file_load_rules(const char *path, uint64_t seed, file_problem *problem,
                                  void *context);

/* How a rule file is read where it is one of two. */
struct file_reading {
    const char *path;
    uint64_t seed;
    bool is_candidate; /* see struct rules_environment */
    /* The path of the candidate that it names is put there, to be freed, also where something else
     * is wrong. NULL: what it says of one isn't looked into. */
    char **candidate;
    bool is_checked; /* where nothing is wrong, what rules_warn says of it is told too */
    const struct rules_sent_list *sent;
    struct file_seen *seen; /* what is read is noted there; NULL: it isn't */
    file_problem *problem;
    void *context;
};

struct rules_set *file_read_rules(const struct file_reading *reading);

/* The same, and what was read, to be freed whatever the result; the path stays as long. */
struct rules_set *file_read_rules_and_texts(const struct file_reading *reading,
                                            struct file_texts *texts);

/* A problem handler: a line to stderr. */
file_problem file_print_problem;
