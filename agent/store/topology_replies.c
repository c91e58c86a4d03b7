/* Asking a server a question, and not waiting for it for ever. */
#include <stdio.h>

#include "agent/store/topology_parts.h"

void topology__free_replies(redisReply **replies, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (replies[i])
            freeReplyObject(replies[i]);
        replies[i] = NULL;
    }
}

/* One reply, or false with why. Each read waits for no longer than the connection's time-out, but a
 * server that sends a byte at a time could make any number of them. */
static bool wait_for_reply(redisContext *redis, uint64_t deadline, size_t *room, void **reply,
                           char why[REDIS_WHY_MAX])
{
    for (;;) {
        if (redisReaderGetReply(redis->reader, reply) != REDIS_OK) {
            snprintf(why, REDIS_WHY_MAX, "%s", redis->reader->errstr);
            return false;
        }
        if (*reply)
            return true;
        size_t before = redis->reader->len;
        if (redisBufferRead(redis) != REDIS_OK) {
            redis_access_explain(redis, why);
            return false;
        }
        size_t more = redis->reader->len - before;
        if (more > *room) {
            snprintf(why, REDIS_WHY_MAX, "the answer is too long");
            return false;
        }
        *room -= more;
        if (topology__now() > deadline) {
            snprintf(why, REDIS_WHY_MAX, "no answer in time");
            return false;
        }
    }
}

bool topology__replies(redisContext *redis, uint64_t timeout, redisReply **replies, size_t count,
                       char why[REDIS_WHY_MAX])
{
    uint64_t deadline = topology__now() + timeout;
    size_t room = TOPOLOGY__ANSWER_MAX;
    int sent = 0;
    for (size_t i = 0; i < count; i++)
        replies[i] = NULL;
    while (!sent) {
        if (redisBufferWrite(redis, &sent) != REDIS_OK) {
            redis_access_explain(redis, why);
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        void *reply = NULL;
        if (!wait_for_reply(redis, deadline, &room, &reply, why)) {
            topology__free_replies(replies, count);
            return false;
        }
        replies[i] = reply;
    }
    return true;
}
