/* KV-LISTs, the payload of HELLO and DISCONNECT frames (HAProxy's doc/SPOE.txt 3.2). Internal to
 * spop/. */
#pragma once

#include "spop/spop.h"

/* An item that a payload may hold: its key and type are the caller's, the rest is filled in. */
struct spop__item {
    struct slice key;
    enum value_type type;
    bool found;
    struct value value; /* VALUE_NULL when not found */
};

/* Reads the whole payload into those of items whose key occurs; other keys are skipped. False when
 * it doesn't parse, an item has another type than it should, or occurs twice. */
bool spop__read_items(struct slice payload, struct spop__item *items, size_t count);

void spop__write_string_item(struct writer *w, struct slice key, struct slice string);
void spop__write_uint32_item(struct writer *w, struct slice key, uint32_t number);
