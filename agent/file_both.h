/* Reading a rule file together with its candidate. */
#pragma once

#include "agent/file.h"

/* A rule file's rules, and those of its candidate; NULL: it has none. */
struct file_both {
    struct rules_set *active;
    struct rules_set *candidate;
};
void file_both_free(struct file_both *both);

/* file_read_rules, with the candidate that the file names or, if `candidate` isn't NULL, the one at
 * that path in its place. False, and both NULL, when anything in either is wrong, of which all is
 * told. */
bool file_both_load(struct file_both *both, const struct file_reading *reading,
                    const char *candidate);

/* The same with seed 0 and the candidate that the file names; where nothing is wrong with a file,
 * what rules_warn says of it is told too. */
bool file_both_check(struct file_both *both, const char *path, const struct rules_sent_list *sent,
                     file_problem *problem, void *context);
