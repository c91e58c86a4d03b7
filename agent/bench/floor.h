/* The do-nothing agent: the least that any SPOE agent costs. It agrees to every HELLO, and answers
 * each NOTIFY with `allow` true and `deny` false, having looked at no more than the frame's header.
 * One thread. */
#pragma once

#include "base/base.h"

/* Serves there until SIGTERM or SIGINT. Prints the address to stdout once it listens. Returns the
 * exit status; what is wrong is said on stderr. */
int bench_floor_serve(const struct endpoint *endpoint);
