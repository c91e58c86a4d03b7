/* An admin server, as the tools ask it. */
#pragma once

#include <jansson.h>

#include "base/base.h"

#define ADMIN_WHY_MAX 640

/* Bytes of an answer. */
#define ADMIN_ANSWER_MAX ((size_t)16 << 20)

/* The JSON of a page, to be given to json_decref. path: with its query, of which each name and
 * value is escaped (admin_escape). token_file: NULL: none. Waits timeout_ms at most, for each of
 * its steps. NULL with a sentence in why, also where the page isn't answered with 200; but with
 * *status (NULL: it isn't wanted) the answer of any status is returned, as long as it is JSON. */
json_t *admin_fetch(const struct endpoint *endpoint, const char *path, const char *token_file,
                    int timeout_ms, unsigned *status, char why[ADMIN_WHY_MAX]);

/* Writes text as a part of a query. What doesn't fit sets the writer's error. */
void admin_escape(struct slice text, struct writer *w);
