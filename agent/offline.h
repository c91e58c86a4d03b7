/* An engine that no connection asks, with a memory store of its own: what rules make of messages,
 * at once, where no agent runs. Not thread-safe. */
#pragma once

#include "agent/engine/engine.h"
#include "spop/spop.h"

#define OFFLINE_ROOM (SPOP_LENGTH_SIZE + ENGINE_ANSWER_MAX) /* bytes; what an answer needs */

struct offline {
    struct store *store;
    struct engine *engine; /* NULL: out of memory */
};

/* Bounds of the store as store_memory_create has them. Takes a reference of its own to the rules.
 * False when out of memory; to be closed all the same. */
bool offline_open(struct offline *offline, struct ruleset *rules, uint64_t max_keys,
                  uint64_t log_memory);

void offline_close(struct offline *offline);

/* The payload of a NOTIFY, and that of the ACK, which stays in the room; now, in microseconds,
 * never goes back. False: out of memory, or the payload is none. */
bool offline_ask(struct offline *offline, struct slice payload, uint64_t now,
                 uint8_t room[OFFLINE_ROOM], struct slice *answer);
