/* A bound on what a server's replies can make hiredis allocate. A reply says how many elements it
 * has before it has any, and hiredis makes room for them at once: twelve bytes could cost 16 GB,
 * and freeing them minutes.
 */
#pragma once

#include <hiredis/hiredis.h>

#include "base/base.h"

/* What is left of a reply's allowance of elements, those of nested arrays included. */
struct redis_reader_budget {
    size_t most;
    size_t left;
};

/* A reply of more elements than budget->most is an error of the connection. budget outlives the
 * context; one for each, or one for those of a thread that read one reply to its end, or give the
 * connection up, before they begin another. */
void redis_reader_bound(redisContext *redis, struct redis_reader_budget *budget);
