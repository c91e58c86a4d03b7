#include "agent/store/redis_reader.h"

#include <pthread.h>

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static void *(*create_array)(const redisReadTask *task, element_count count);
static redisReplyObjectFunctions bounded;

static void *create_bounded_array(const redisReadTask *task, element_count count)
{
    struct redis_reader_budget *budget = task->privdata;
    if (!task->parent)
        budget->left = budget->most;
    if (count > 0 && (size_t)count > budget->left)
        return NULL;
    budget->left -= count > 0 ? (size_t)count : 0;
    return create_array(task, count);
}

void redis_reader_bound(redisContext *redis, struct redis_reader_budget *budget)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    /* hiredis's own functions are in none of its headers, but in each reader. */
    if (!create_array) {
        bounded = *redis->reader->fn;
        create_array = bounded.createArray;
        bounded.createArray = create_bounded_array;
    }
    pthread_mutex_unlock(&lock);
    redis->reader->fn = &bounded;
    redis->reader->privdata = budget;
}
