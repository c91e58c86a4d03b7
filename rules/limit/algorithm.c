#include "rules/limit/limit.h"

static const char *const algorithm_names[LIMIT_ALGORITHMS] = {
    [LIMIT_FIXED_WINDOW] = "fixed-window",
    [LIMIT_SLIDING_WINDOW] = "sliding-window",
    [LIMIT_TOKEN_BUCKET] = "token-bucket",
    [LIMIT_SLIDING_LOG] = "sliding-log",
};

const char *limit_algorithm_name(enum limit_algorithm algorithm)
{
    return algorithm < LIMIT_ALGORITHMS ? algorithm_names[algorithm] : "unknown";
}

enum limit_algorithm limit_algorithm_parse(struct slice word)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++)
        if (slice_equal(word, slice_of_string(algorithm_names[i])))
            return (enum limit_algorithm)i;
    return LIMIT_ALGORITHMS;
}
