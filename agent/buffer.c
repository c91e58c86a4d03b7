#include <stdlib.h>

#include "agent/buffer.h"

void buffer_pool_open(struct buffer_pool *pool, size_t capacity)
{
    SLIST_INIT(&pool->free);
    pool->count = 0;
    pool->capacity = capacity;
}

void buffer_pool_close(struct buffer_pool *pool)
{
    while (!SLIST_EMPTY(&pool->free)) {
        struct buffer *buffer = SLIST_FIRST(&pool->free);
        SLIST_REMOVE_HEAD(&pool->free, next);
        free(buffer);
    }
    pool->count = 0;
}

struct buffer *buffer_get(struct buffer_pool *pool)
{
    struct buffer *buffer = SLIST_FIRST(&pool->free);
    if (buffer) {
        SLIST_REMOVE_HEAD(&pool->free, next);
        pool->count--;
    } else {
        buffer = malloc(sizeof(*buffer) + pool->capacity);
        if (!buffer)
            return NULL;
        buffer->capacity = pool->capacity;
    }
    buffer->start = buffer->end = 0;
    return buffer;
}

void buffer_put(struct buffer_pool *pool, struct buffer *buffer)
{
    if (!buffer)
        return;
    if (buffer->capacity != pool->capacity || pool->count >= BUFFER_POOL_MAX) {
        free(buffer);
        return;
    }
    SLIST_INSERT_HEAD(&pool->free, buffer, next);
    pool->count++;
}

void buffer_compact(struct buffer *buffer)
{
    size_t size = buffer_size(buffer);
    if (buffer->start && size)
        memmove(buffer->data, buffer->data + buffer->start, size);
    buffer->start = 0;
    buffer->end = size;
}

bool buffer_reserve(struct buffer **buffer, size_t room, size_t maximum)
{
    if (buffer_room(*buffer) >= room)
        return true;
    buffer_compact(*buffer);
    if (buffer_room(*buffer) >= room)
        return true;
    size_t size = buffer_size(*buffer);
    if (room > maximum || size > maximum - room)
        return false;
    size_t capacity = (*buffer)->capacity;
    while (capacity - size < room)
        capacity *= 2;
    struct buffer *larger = realloc(*buffer, sizeof(*larger) + capacity);
    if (!larger)
        return false;
    larger->capacity = capacity;
    *buffer = larger;
    return true;
}
