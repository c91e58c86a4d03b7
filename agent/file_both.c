#include "agent/file_both.h"

#include <stdlib.h>

void file_both_free(struct file_both *both)
{
    rules_free(both->active);
    rules_free(both->candidate);
    *both = (struct file_both){NULL, NULL};
}

/* The candidate is read also where something is wrong with the first. */
static bool read_both(struct file_both *both, struct file_reading reading, const char *given)
{
    char *named = NULL;
    if (!given)
        reading.candidate = &named;
    *both = (struct file_both){.active = file_read_rules(&reading)};
    bool is_right = both->active != NULL;
    if (given || named) {
        reading.path = given ? given : named;
        reading.candidate = NULL;
        reading.is_candidate = true;
        both->candidate = file_read_rules(&reading);
        is_right = is_right && both->candidate;
    }
    free(named);
    if (!is_right)
        file_both_free(both);
    return is_right;
}

bool file_both_load(struct file_both *both, const struct file_reading *reading,
                    const char *candidate)
{
    return read_both(both, *reading, candidate);
}

bool file_both_check(struct file_both *both, const char *path, const struct rules_sent_list *sent,
                     file_problem *problem, void *context)
{
    return read_both(
        both,
        (struct file_reading){
            .path = path, .is_checked = true, .sent = sent, .problem = problem, .context = context},
        NULL);
}
