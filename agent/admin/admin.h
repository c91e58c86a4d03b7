/* The admin HTTP server, on a thread of its own:
 *     GET /metrics   all counters, in Prometheus's text format
 *     GET /health    200 while the process is alive
 *     GET /ready     200 while it serves, 503 before and while it drains
 * Nothing it does waits for, or is waited for by, a decision.
 */
#pragma once

#include "agent/control.h"

struct admin;

/* Takes over the listening socket, which it closes on failure as well. control outlives it. NULL
 * when the thread can't be started. */
struct admin *admin_start(int listener, const struct control *control);

/* Accepts NULL. */
void admin_stop(struct admin *admin);
