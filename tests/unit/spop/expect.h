/* What the Check programs of this folder expect again and again. */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/random.h"
#include "transcript.h"
#include "wire.h"

/* The writer holds what the text describes (see wire_parse). */
static inline void expect_written(const struct writer *w, const char *text)
{
    struct slice expected = wire_parse(text);
    ck_assert_int_eq(w->error, ERROR_NONE);
    ck_assert_mem_eq(w->begin, expected.data,
                     writer_size(w) < expected.size ? writer_size(w) : expected.size);
    ck_assert_uint_eq(writer_size(w), expected.size);
    wire_free(expected);
}

#define EXPECT_ROOM 4096

/* encode() succeeds with the room that it needs and with no byte less, and then leaves the bytes
 * after the writer's end alone: they are on the heap, and these are the guards of a build without
 * sanitizers. */
static inline void expect_needs_room(bool (*encode)(struct writer *w), bool takes_back)
{
    uint8_t whole[EXPECT_ROOM];
    struct writer w = writer_open(whole, sizeof(whole));
    ck_assert(encode(&w));
    size_t needed = writer_size(&w);
    ck_assert_uint_gt(needed, 0);
    for (size_t room = 0; room <= needed; room++) {
        uint8_t *buffer = malloc(1 + room + 16);
        ck_assert_ptr_nonnull(buffer);
        memset(buffer, 0xa5, 1 + room + 16);
        w = writer_open(buffer, 1 + room);
        writer_uint8(&w, 0x5a); /* what was written before stays */
        ck_assert_int_eq(encode(&w), room == needed);
        ck_assert_uint_eq(buffer[0], 0x5a);
        if (room == needed)
            ck_assert_mem_eq(buffer + 1, whole, needed);
        else if (takes_back)
            ck_assert(writer_size(&w) == 1 && w.error == ERROR_NONE);
        else
            ck_assert_int_eq(w.error, ERROR_NO_ROOM);
        for (size_t i = 0; i < 16; i++)
            ck_assert_uint_eq(buffer[1 + room + i], 0xa5);
        free(buffer);
    }
}
