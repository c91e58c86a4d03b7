#include <stdalign.h>
#include <stdlib.h>

#include "base/base.h"

#define ARENA_CHUNK 16384

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

static struct arena_chunk *arena_grow(struct arena *arena, size_t size)
{
    size_t room = size > ARENA_CHUNK ? size : ARENA_CHUNK;
    if (room > SIZE_MAX - sizeof(struct arena_chunk))
        return NULL;
    size_t total = sizeof(struct arena_chunk) + room;
    if (arena->maximum && (arena->used > arena->maximum || total > arena->maximum - arena->used))
        return NULL;
    struct arena_chunk *chunk = calloc(1, total);
    if (!chunk)
        return NULL;
    chunk->size = room;
    arena->used += total;
    /* A big allocation must not hide a chunk that still has room behind it. */
    if (size > ARENA_CHUNK && arena->chunks) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}

void *arena_allocate(struct arena *arena, size_t size)
{
    size_t alignment = alignof(max_align_t);
    if (size > SIZE_MAX - alignment)
        return NULL;
    size = (size + alignment - 1) / alignment * alignment;
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || size > chunk->size - chunk->used)
        chunk = arena_grow(arena, size);
    if (!chunk)
        return NULL;
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_allocate(arena, total);
}

struct slice arena_copy(struct arena *arena, struct slice s)
{
    uint8_t *copy = s.size < SIZE_MAX ? arena_allocate(arena, s.size + 1) : NULL;
    if (!copy)
        return slice_of(NULL, 0);
    if (s.size)
        memcpy(copy, s.data, s.size);
    return slice_of(copy, s.size);
}

void arena_free(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    arena->chunks = NULL;
    arena->used = 0;
}
