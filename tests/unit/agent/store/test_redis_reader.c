#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/store/redis_reader.h"
#include "main.h"

#define MOST 6

static struct redis_reader_budget budget;
static int fds[2];
static redisContext *redis;

static void setup(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    redis = redisConnectFd(fds[0]); /* which it will close */
    ck_assert_ptr_nonnull(redis);
    budget = (struct redis_reader_budget){.most = MOST};
    redis_reader_bound(redis, &budget);
}

static void teardown(void)
{
    redisFree(redis);
    close(fds[1]);
}

/* Whether the bytes are one reply. */
static bool read_reply(const char *bytes)
{
    void *reply = NULL;
    ck_assert_int_eq(redisReaderFeed(redis->reader, bytes, strlen(bytes)), REDIS_OK);
    bool good = redisReaderGetReply(redis->reader, &reply) == REDIS_OK && reply;
    if (reply)
        freeReplyObject(reply);
    return good;
}

START_TEST(as_many_elements_as_are_allowed)
{
    setup();
    for (int i = 0; i < 3; i++) { /* each reply has the whole allowance */
        ck_assert(read_reply("*6\r\n:1\r\n:2\r\n:3\r\n$1\r\n4\r\n+5\r\n:6\r\n"));
        ck_assert(read_reply("*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:1\r\n:2\r\n"));
        ck_assert(read_reply(":7\r\n"));
    }
    ck_assert(read_reply("*0\r\n"));
    ck_assert(read_reply("*-1\r\n"));
    teardown();
}
END_TEST

START_TEST(one_element_too_many)
{
    setup();
    ck_assert(!read_reply("*7\r\n"));
    ck_assert_int_ne(redis->reader->err, 0);
    teardown();
}
END_TEST

START_TEST(one_element_too_many_in_nested_arrays)
{
    setup();
    ck_assert(!read_reply("*3\r\n*3\r\n:1\r\n:2\r\n:3\r\n*1\r\n"));
    ck_assert_int_ne(redis->reader->err, 0);
    teardown();
}
END_TEST

START_TEST(the_largest_that_can_be_said)
{
    setup();
    ck_assert(!read_reply("*2147483647\r\n"));
    ck_assert_int_ne(redis->reader->err, 0);
    teardown();
}
END_TEST

UNIT_MAIN("redis reader", as_many_elements_as_are_allowed, one_element_too_many,
          one_element_too_many_in_nested_arrays, the_largest_that_can_be_said)
