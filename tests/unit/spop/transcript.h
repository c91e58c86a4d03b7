/* What a session says about a stream of bytes, as text. */
#pragma once

#include "spop/spop.h"
#include "tests/unit/random.h"

/* How to cut a stream into pieces. */
struct transcript_pieces {
    size_t size;           /* of a piece; 0: all at once */
    struct random *random; /* pieces of 1 to size bytes; NULL: all of them of size */
};

/* Feeds stream to a new session that accepts frames of max_frame_size and can do pipelining; adds
 * to text every event, with the contents of its payload, and every frame that the session answers
 * ("> ..."). A NOTIFY or ACK with a malformed payload is refused with SPOP_INVALID. Checks what
 * must hold for all input, and ends the program where it doesn't. */
void transcript_write(enum spop_role role, uint32_t max_frame_size, struct slice stream,
                      struct transcript_pieces pieces, struct writer *text);

/* A NOTIFY's or ACK's payload as text; false when it is malformed. */
bool transcript_messages(struct slice payload, struct writer *text);
bool transcript_actions(struct slice payload, struct writer *text);
