/* A NOTIFY made beforehand, all of whose copies have one size: only its stream and the key in its
 * arguments change, in place.
 *
 * {key} in a string becomes the key's number, in as many digits as the largest has. As the whole
 * value of an address it becomes one of as many: NAME:ipv4={key} counts from 10.0.0.0 on, and
 * NAME:ipv6={key} gives each key a /64 of 2001:db8::/32.
 */
#pragma once

#include "agent/question.h"

#define BENCH_IN_FLIGHT_MAX 4096 /* streams of one connection */
#define BENCH_HOLES_MAX     64   /* places for the key in one message */
#define BENCH_WHY_MAX       256

enum bench_hole_kind {
    BENCH_HOLE_DIGITS,
    BENCH_HOLE_IPV4,
    BENCH_HOLE_IPV6,
};

struct bench_hole {
    enum bench_hole_kind kind;
    size_t argument;
    size_t at; /* in the argument's value; in the frame, once that is made */
};

struct bench_notify {
    unsigned digits;
    size_t argument_count;
    struct spop_argument arguments[QUESTION_ARGUMENTS];
    size_t hole_count;
    struct bench_hole holes[BENCH_HOLES_MAX];
    struct arena texts; /* values that {key} was in */

    uint64_t first_stream; /* those from it on, in_flight of them, have numbers of one size */
    size_t stream_at;
    size_t size; /* of the frame, its length included */
    uint8_t frame[SPOP_LENGTH_SIZE + QUESTION_FRAME_MAX];
};

void bench_notify_open(struct bench_notify *notify, uint64_t keys);
void bench_notify_close(struct bench_notify *notify);

/* "NAME=VALUE" or "NAME:TYPE=VALUE", as of a command line; the text is changed, and must stay. On
 * failure false, and *expected says what would have been right: a static string. */
bool bench_notify_add(struct bench_notify *notify, char *text, const char **expected);

/* Makes the frame, once all arguments are added. in_flight: from 1 to BENCH_IN_FLIGHT_MAX. False
 * when it would be larger than max_frame_size. */
bool bench_notify_make(struct bench_notify *notify, struct slice message, uint32_t in_flight,
                       uint32_t max_frame_size);

/* Writes notify->size bytes. stream: below in_flight; key: below the number of keys. */
void bench_notify_write(const struct bench_notify *notify, uint8_t *to, uint32_t stream,
                        uint64_t key);
