/* What each algorithm may grant, from its definition and a list of all that was granted: slow,
 * plain, and sharing nothing with rules/limit/. */
#pragma once

#include "rules/limit/limit.h"

struct reference_grant {
    uint64_t asked_at; /* the time given */
    uint64_t time;     /* on the key's clock */
    uint64_t units;    /* what is left of it after what was given back */
};

struct reference {
    struct limit limit;
    uint64_t clock; /* the latest time at which any was granted */
    struct reference_grant *grants;
    size_t count;
};

void reference_open(struct reference *reference, const struct limit *limit);
void reference_close(struct reference *reference);

/* Whether n units (0 always) may be granted at `now`, which is taken as the clock where it is
 * before it. */
bool reference_admits(const struct reference *reference, uint64_t now, uint64_t n);

/* Notes a grant, 0 units excepted, whether or not it is admissible. */
void reference_note(struct reference *reference, uint64_t now, uint64_t n);
