/* Reading what HAProxy's SPOE configuration says is sent (SPOE.txt, section 2). */
#pragma once

#include "base/base.h"
#include "rules/explain.h"

/* The messages of a file and the names of their arguments. */
struct spoe_sent {
    struct rules_sent_list list;
    struct arena arena; /* that all of it is in */
};

#define SPOE_FILE_MAX (16u << 20) /* bytes */

/* Reads what a SPOE file says: the `args` of each `spoe-message`, whatever the scope; arguments
 * without a name, which no rule can read, are left out. What it doesn't know it passes over:
 * HAProxy checks its files itself. name: the file's, for people; kept. False when there is no
 * message, or out of memory: `what` is then what was expected. Freed by spoe_sent_free either way.
 */
bool spoe_sent_read(struct spoe_sent *sent, struct slice text, const char *name, const char **what);
void spoe_sent_free(struct spoe_sent *sent);
