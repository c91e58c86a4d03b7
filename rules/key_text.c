#include "rules/compiled.h"

void rules_subject_text(const struct rules_rule *rule, const struct value *values, struct writer *w)
{
    struct hash128 subject;
    static const char hex[] = "0123456789abcdef";
    struct value canonical[RULES_MAX_SLOTS];
    if (!rule->key_count) {
        writer_uint8(w, '*');
        return;
    }
    for (size_t i = 0; i < rule->key_count; i++)
        canonical[rule->key[i].slot] = rules__canonical(&values[rule->key[i].slot]);
    rules__subject(rule, 0, canonical, &subject);
    for (unsigned shift = 64; shift > 0; shift -= 4)
        writer_uint8(w, (uint8_t)hex[subject.high >> (shift - 4) & 15]);
}
