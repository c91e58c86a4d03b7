/* The admin HTTP server, on a thread of its own. What it serves is listed in server.c.
 *
 * Pages read counters, or ask a worker to look: nothing that a client does here, and no number of
 * clients, holds up a decision. JSON says durations in seconds and times in seconds since the
 * epoch.
 */
#pragma once

#include "agent/control.h"

struct admin;

/* Takes over the listening socket, which it closes on failure as well. control outlives it.
 * token_file: what a client has to know, read anew for each request that needs it; empty: nothing,
 * and nothing can be changed either. NULL when the thread can't be started. */
struct admin *admin_start(int listener, const struct control *control, struct slice token_file);

/* After the last worker has been stopped: whoever waits for one has been answered then. Accepts
 * NULL. */
void admin_stop(struct admin *admin);

#define ADMIN_TOKEN_MAX 1024

/* The token that a file's first line is. The file's name is followed by a NUL. Why it can't be had,
 * or NULL. */
const char *admin_read_token(struct slice token_file, char token[ADMIN_TOKEN_MAX + 1]);
