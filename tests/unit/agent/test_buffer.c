#include "agent/buffer.h"
#include "main.h"

#define CAPACITY 64

static struct buffer *filled(struct buffer_pool *pool, size_t size)
{
    struct buffer *buffer = buffer_get(pool);
    ck_assert_uint_eq(buffer_size(buffer), 0);
    ck_assert_uint_eq(buffer_room(buffer), CAPACITY);
    for (size_t i = 0; i < size; i++)
        buffer->data[i] = (uint8_t)i;
    buffer->end = size;
    return buffer;
}

static void expect_bytes(const struct buffer *buffer, size_t first, size_t size)
{
    ck_assert_uint_eq(buffer_size(buffer), size);
    for (size_t i = 0; i < size; i++)
        ck_assert_uint_eq(buffer_slice(buffer).data[i], first + i);
}

START_TEST(room_is_made_by_moving_then_by_growing_and_not_past_the_maximum)
{
    struct buffer_pool pool;
    buffer_pool_open(&pool, CAPACITY);
    struct buffer *buffer = filled(&pool, 60);
    const struct buffer *before = buffer;
    ck_assert(buffer_reserve(&buffer, 4, 1000));
    expect_bytes(buffer, 0, 60);

    buffer->start = 50;
    ck_assert(buffer_reserve(&buffer, 54, 1000)); /* moved */
    ck_assert_ptr_eq(buffer, before);
    expect_bytes(buffer, 50, 10);

    ck_assert(buffer_reserve(&buffer, 990, 1000)); /* grown: 10 and 990 are as many as may be */
    ck_assert_uint_ge(buffer_room(buffer), 990);
    expect_bytes(buffer, 50, 10);
    buffer->end = buffer->capacity;
    buffer->start = buffer->end - 10;
    ck_assert(!buffer_reserve(&buffer, 2000, 1000));
    ck_assert(!buffer_reserve(&buffer, SIZE_MAX, 1000));
    ck_assert_uint_eq(buffer_size(buffer), 10);

    buffer_put(&pool, buffer); /* not kept: it is larger than those of the pool */
    ck_assert_uint_eq(pool.count, 0);
    buffer_put(&pool, NULL);
    buffer_pool_close(&pool);
}
END_TEST

START_TEST(what_is_kept_is_bounded_and_comes_back_empty)
{
    static struct buffer *buffers[BUFFER_POOL_MAX + 10];
    struct buffer_pool pool;
    buffer_pool_open(&pool, CAPACITY);
    for (size_t i = 0; i < BUFFER_POOL_MAX + 10; i++)
        buffers[i] = filled(&pool, 7);
    for (size_t i = 0; i < BUFFER_POOL_MAX + 10; i++)
        buffer_put(&pool, buffers[i]);
    ck_assert_uint_eq(pool.count, BUFFER_POOL_MAX);
    buffer_put(&pool, filled(&pool, 7));
    ck_assert_uint_eq(pool.count, BUFFER_POOL_MAX);
    buffer_pool_close(&pool);
    ck_assert_uint_eq(pool.count, 0);
}
END_TEST

UNIT_MAIN("buffer", room_is_made_by_moving_then_by_growing_and_not_past_the_maximum,
          what_is_kept_is_bounded_and_comes_back_empty)
