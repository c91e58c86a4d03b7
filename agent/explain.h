/* What sluice explain says of each rule. Internal to explain*.c. */
#pragma once

#include <stdio.h>

#include "agent/file.h"
#include "agent/question.h"
#include "agent/quote.h"
#include "rules/explain.h"

struct explanation {
    const struct rules_set *set;
    const struct file_texts *texts;
    int message;
    const struct value *values; /* by slot */
    struct rules_matcher *matcher;
    struct rules_hit *hits;
    size_t hit_count;
    struct quote_place *place; /* in the file that a rule was quoted from last */
    FILE *out;
};

/* Which rules were considered, and what came of each. After rules_match. */
void explain_rules(const struct explanation *e);

/* ---- explain_live.c ------------------------------------------------------------------------ */

/* A running agent that is asked the same. */
struct explain_live {
    const char *address; /* of its admin server; NULL: none is asked */
    struct endpoint endpoint;
    const char *token_file;              /* NULL: none */
    char *arguments[QUESTION_ARGUMENTS]; /* as they were given */
    enum value_type types[QUESTION_ARGUMENTS];
    size_t count;
};

/* Prints what limits stand at, and the answer. False, with the reason on stderr, when the agent
 * can't be asked. */
bool explain_live(const struct explain_live *live, struct slice message);
