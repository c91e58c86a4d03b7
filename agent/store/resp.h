/* Commands in Redis's protocol (RESP): an array of bulk strings each. For agent/store/. */
#pragma once

#include "base/base.h"

/* How many arguments follow, the command's name among them. */
static inline void resp_array(struct writer *w, uint64_t arguments)
{
    writer_uint8(w, '*');
    writer_decimal(w, arguments);
    writer_bytes(w, SLICE("\r\n"));
}

/* One argument, in two parts. */
static inline void resp_joined(struct writer *w, struct slice a, struct slice b)
{
    writer_uint8(w, '$');
    writer_decimal(w, (uint64_t)a.size + b.size);
    writer_bytes(w, SLICE("\r\n"));
    writer_bytes(w, a);
    writer_bytes(w, b);
    writer_bytes(w, SLICE("\r\n"));
}

static inline void resp_text(struct writer *w, struct slice text)
{
    resp_joined(w, text, slice_of(NULL, 0));
}

static inline void resp_number(struct writer *w, uint64_t number)
{
    uint8_t digits[20];
    struct writer d = writer_open(digits, sizeof(digits));
    writer_decimal(&d, number);
    resp_text(w, writer_slice(&d));
}
