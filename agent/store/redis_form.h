/* What one limit algorithm on Redis is to redis_limit.c: a row of its table. For redis_limit.c and
 * the files of its rows only; limits given here have units of at least 1. */
#pragma once

#include "agent/store/redis_limit.h"
#include "agent/store/resp.h"

struct redis_limit__form {
    struct redis_limit_commands (*write_take)(struct writer *w,
                                              const struct redis_limit_request *request);
    enum redis_limit_status (*read_take)(const struct redis_limit_request *request,
                                         const struct redis_limit_reply *replies, size_t count,
                                         struct redis_limit_outcome *outcome);
    struct redis_limit_commands (*write_give)(struct writer *w,
                                              const struct redis_limit_request *request);
    enum redis_limit_status (*read_give)(const struct redis_limit_request *request,
                                         const struct redis_limit_reply *reply,
                                         struct redis_limit_repair *repair);
    struct redis_limit_commands (*write_reset)(struct writer *w,
                                               const struct redis_limit_request *request);
};

extern const struct redis_limit__form redis_limit__window; /* fixed or sliding */
extern const struct redis_limit__form redis_limit__token_bucket;
extern const struct redis_limit__form redis_limit__sliding_log;

/* A script of this folder (NAME.lua), as the build has embedded it. */
struct redis_limit__script {
    struct slice sha1; /* in hexadecimal, as EVALSHA takes it */
    struct slice text;
};

extern const struct redis_limit__script redis_limit__script_token_bucket;
extern const struct redis_limit__script redis_limit__script_sliding_log;

/* Appends the command that was written from `begin` on. Nothing is kept of a request that doesn't
 * fit as a whole. */
static inline void redis_limit__append(struct redis_limit_commands *commands,
                                       const struct writer *w, size_t begin)
{
    if (w->error)
        commands->count = 0;
    else
        commands->command[commands->count++] = slice_from(writer_slice(w), begin);
}

/* limit_take, or what is said where nothing is wanted. */
struct limit_result redis_limit__take(const struct limit *limit, struct limit_state *state,
                                      uint64_t now, uint64_t units);

static inline uint64_t redis_limit__min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
