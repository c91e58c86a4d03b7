/* What the tests of the limits on Redis share: four limits, and a reader of commands. */
#pragma once

#include "agent/store/redis_limit.h"
#include "main.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define START  (UINT64_C(1750000020) * SECOND) /* the start of a minute */

static const struct limit fixed = {LIMIT_FIXED_WINDOW, 10, MINUTE, 0};
static const struct limit sliding = {LIMIT_SLIDING_WINDOW, 10, MINUTE, 0};
static const struct limit bucket = {LIMIT_TOKEN_BUCKET, 10, MINUTE, 5};
static const struct limit log_of_10 = {LIMIT_SLIDING_LOG, 10, MINUTE, 0};

static inline struct redis_limit_request request_of(const struct limit *limit, uint64_t now,
                                                    uint64_t units)
{
    return (struct redis_limit_request){
        .limit = limit, .key = SLICE("s{a}:r"), .units = units, .now = now};
}

static uint8_t buffer[REDIS_LIMIT_SCRIPT_ROOM + 4096];

/* What follows a '*' or '$'. */
static inline uint64_t read_count(struct cursor *c, char mark)
{
    uint64_t count = 0;
    UNIT_ASSERT(cursor_uint8(c) == (uint8_t)mark);
    for (uint8_t byte = cursor_uint8(c); byte != '\r'; byte = cursor_uint8(c)) {
        UNIT_ASSERT(byte >= '0' && byte <= '9');
        count = count * 10 + (uint64_t)(byte - '0');
    }
    UNIT_ASSERT(cursor_uint8(c) == '\n');
    return count;
}

static inline struct slice read_argument(struct cursor *c)
{
    struct slice argument = cursor_bytes(c, read_count(c, '$'));
    UNIT_ASSERT(slice_equal(cursor_bytes(c, 2), SLICE("\r\n")));
    return argument;
}

/* "SET key 0" of what Redis is sent. */
static inline void read_command(struct slice command, struct writer *words)
{
    struct cursor c = cursor_open(command);
    for (uint64_t count = read_count(&c, '*'); count; count--) {
        writer_bytes(words, read_argument(&c));
        writer_bytes(words, count > 1 ? SLICE(" ") : SLICE(""));
    }
    ck_assert_int_eq(c.error, ERROR_NONE);
    ck_assert_uint_eq(cursor_left(&c), 0);
}

static inline void expect_commands(int line, const struct redis_limit_commands *commands,
                                   const char *expected)
{
    uint8_t text[4096];
    struct writer words = writer_open(text, sizeof(text));
    for (size_t i = 0; i < commands->count; i++) {
        if (i)
            writer_bytes(&words, SLICE("; "));
        read_command(commands->command[i], &words);
    }
    ck_assert_msg(slice_equal(writer_slice(&words), slice_of_string(expected)),
                  "line %d: %.*s\nexpected: %s", line, SLICE_ARGS(writer_slice(&words)), expected);
}

static inline void expect_repair(int line, const struct redis_limit_request *request,
                                 const struct redis_limit_repair *repair, const char *expected)
{
    struct writer w = writer_open(buffer, sizeof(buffer));
    struct redis_limit_commands commands = redis_limit_write_repair(&w, request, repair);
    expect_commands(line, &commands, expected);
}
