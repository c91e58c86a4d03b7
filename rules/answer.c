#include "rules/rules.h"

struct slice rules_answer_name(enum rules_answer answer)
{
    switch (answer) {
#define RULES_ANSWER_CASE(name, text)                                                              \
    case RULES_ANSWER_##name:                                                                      \
        return SLICE(text);
        RULES_ANSWER_TABLE(RULES_ANSWER_CASE)
#undef RULES_ANSWER_CASE
    case RULES_ANSWERS:
        break;
    }
    return SLICE("");
}
