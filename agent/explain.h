/* What sluice explain says of each rule. Internal to explain*.c. */
#pragma once

#include <stdio.h>

#include "agent/file.h"
#include "rules/explain.h"

struct explanation {
    const struct rules_set *set;
    const struct file_texts *texts;
    int message;
    const struct value *values; /* by slot */
    struct rules_matcher *matcher;
    struct rules_hit *hits;
    size_t hit_count;
    FILE *out;
};

/* Which rules were considered, and what came of each. After rules_match. */
void explain_rules(const struct explanation *e);
