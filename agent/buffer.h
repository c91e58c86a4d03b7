/* Buffers that connections borrow while they hold bytes: an idle connection has none.
 *
 * A pool belongs to one thread.
 */
#pragma once

#include <sys/queue.h>

#include "base/base.h"

struct buffer {
    SLIST_ENTRY(buffer) next;
    size_t capacity;
    size_t start; /* of the bytes held: data[start .. end) */
    size_t end;
    uint8_t data[];
};

/* Kept for reuse; more are freed. Every connection that is read from in a turn holds one to its
 * end, and pages of a buffer just allocated cost more than a decision. Only what was once written
 * to takes memory. */
#define BUFFER_POOL_MAX 1024

struct buffer_pool {
    SLIST_HEAD(, buffer) free;
    size_t count;
    size_t capacity; /* of each buffer; set once */
};

static inline size_t buffer_size(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline size_t buffer_room(const struct buffer *buffer)
{
    return buffer->capacity - buffer->end;
}

static inline struct slice buffer_slice(const struct buffer *buffer)
{
    return slice_of(buffer->data + buffer->start, buffer_size(buffer));
}

void buffer_pool_open(struct buffer_pool *pool, size_t capacity);
void buffer_pool_close(struct buffer_pool *pool);

/* An empty buffer; NULL when out of memory. */
struct buffer *buffer_get(struct buffer_pool *pool);

/* Accepts NULL. */
void buffer_put(struct buffer_pool *pool, struct buffer *buffer);

/* Moves the bytes to the front. */
void buffer_compact(struct buffer *buffer);

/* Makes room for `room` more bytes after the end, moving or enlarging the buffer; with them it may
 * hold up to `maximum` bytes (and have allocated up to twice as many). False, and nothing lost,
 * when that is not to be had. */
bool buffer_reserve(struct buffer **buffer, size_t room, size_t maximum);
