/* hiredis's replies as redis_limit.h wants them. */
#pragma once

#include <hiredis/hiredis.h>

#include "agent/store/redis_limit.h"

/* The text stays hiredis's. NULL, as hiredis says that a connection was lost, is OTHER. */
static inline struct redis_limit_reply redis_limit_reply_of(const redisReply *reply)
{
    struct redis_limit_reply r = {.type = REDIS_LIMIT_REPLY_OTHER};
    switch (reply ? reply->type : 0) {
    case REDIS_REPLY_NIL:
        r.type = REDIS_LIMIT_REPLY_NIL;
        break;
    case REDIS_REPLY_INTEGER:
        r.type = REDIS_LIMIT_REPLY_INTEGER;
        r.integer = reply->integer;
        break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        r.type =
            reply->type == REDIS_REPLY_ERROR ? REDIS_LIMIT_REPLY_ERROR : REDIS_LIMIT_REPLY_TEXT;
        r.text = slice_of(reply->str, reply->len);
        break;
    case REDIS_REPLY_ARRAY:
        if (reply->elements > REDIS_LIMIT_NUMBERS)
            break;
        r.type = REDIS_LIMIT_REPLY_NUMBERS;
        r.count = reply->elements;
        for (size_t i = 0; i < r.count; i++) {
            if (reply->element[i]->type != REDIS_REPLY_INTEGER)
                return (struct redis_limit_reply){.type = REDIS_LIMIT_REPLY_OTHER};
            r.numbers[i] = reply->element[i]->integer;
        }
        break;
    default:
        break;
    }
    return r;
}
