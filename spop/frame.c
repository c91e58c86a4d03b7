#include "spop/spop.h"

/* Source: HAProxy's doc/SPOE.txt 3.2. */

int64_t spop_frame_decode(struct slice input, uint32_t max_frame_size, struct spop_frame *frame)
{
    if (input.size < SPOP_LENGTH_SIZE)
        return 0;
    struct cursor c = cursor_open(input);
    uint32_t length = cursor_uint32(&c);
    if (length > max_frame_size)
        return -SPOP_TOO_BIG;
    /* Type, flags and two identifiers of a byte each. */
    if (length < 1 + 4 + 1 + 1)
        return -SPOP_INVALID;
    if (length > cursor_left(&c))
        return 0;
    c.end = c.position + length;
    frame->type = cursor_uint8(&c);
    frame->flags = cursor_uint32(&c);
    frame->stream_id = spop_read_varint(&c);
    frame->frame_id = spop_read_varint(&c);
    if (c.error)
        return -SPOP_INVALID;
    frame->payload = slice_of(c.position, cursor_left(&c));
    return SPOP_LENGTH_SIZE + (int64_t)length;
}

uint8_t *spop_frame_begin(struct writer *w, enum spop_frame_type type, uint32_t flags,
                          uint64_t stream_id, uint64_t frame_id)
{
    uint8_t head[SPOP_FRAME_HEAD_MAX];
    size_t size = (size_t)(spop_put_frame(head, type, flags, stream_id, frame_id) - head);
    uint8_t *start = writer_reserve(w, size);
    if (start)
        memcpy(start, head, size);
    return start;
}

bool spop_frame_end(struct writer *w, uint8_t *start, uint32_t max_frame_size)
{
    bool whole = start && !w->error;
    if (whole) {
        size_t size = (size_t)(w->position - start) - SPOP_LENGTH_SIZE;
        if (size <= max_frame_size) {
            spop_put_frame_size(start, w->position);
            return true;
        }
    }
    if (start)
        w->position = start;
    w->error = ERROR_NONE;
    return false;
}
