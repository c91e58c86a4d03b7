#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/adapters/libev.h>

#include "agent/store/redis_link.h"
#include "agent/store/redis_reader.h"

/* The rest between attempts while the breaker is closed, and by how much more it is jittered
 * (microseconds). */
#define RECONNECT_REST   UINT64_C(20000)
#define RECONNECT_JITTER UINT64_C(80000)

/* Elements of a reply: ROLE's, which lists the replicas, has most. Bytes that have been received
 * and are no reply yet: several times what all that may be under way is answered with at once. */
#define ELEMENTS_MAX 4096
#define UNREAD_MAX   ((size_t)64 << 20)

/* How often a link looks at its time-outs (seconds). */
#define TICK 0.02

struct redis_link {
    struct redis_link_options options;
    char *host;
    char *name;
    enum redis_link_phase phase;
    redisAsyncContext *redis; /* NULL when down */
    struct redis_reader_budget budget;
    struct breaker breaker;
    uint64_t era; /* of the breaker, when it allowed what is under way */
    bool closing;
    uint64_t chance;   /* the state of its random numbers */
    uint64_t next_at;  /* down: the next attempt */
    uint64_t asked_at; /* what is waited for, the greeting or a clock reading; 0: nothing */
    uint64_t read_at;  /* the last clock reading */
    uint64_t told;     /* the hash of the failure told last; 0: none since it came up */
    int64_t offset;
    ev_timer tick;
    struct redis_link_counters counters;
    pthread_mutex_t lock; /* of last_error */
    char last_error[REDIS_WHY_MAX];
};

static uint64_t now_of(const struct redis_link *link)
{
    return *link->options.now;
}

static void publish(struct redis_link *link)
{
    struct redis_link_counters *counters = &link->counters;
    atomic_store(&counters->phase.number, link->phase);
    atomic_store(&counters->breaker.number, link->breaker.phase);
    atomic_store(&counters->opened.number, link->breaker.opened);
    for (int phase = 0; phase < BREAKER_PHASES; phase++)
        counter_set(&counters->entered[phase], link->breaker.entered[phase]);
    atomic_store(&counters->clock_offset.number, (uint64_t)link->offset);
}

/* ---- going up and down --------------------------------------------------------------------- */

static void count_failure(struct redis_link *link, const char *reason)
{
    static struct log_limiter limiters[2];
    enum breaker_phase before = link->breaker.phase;
    char why[REDIS_WHY_MAX];
    counter_add(&link->counters.failures, 1);
    breaker_failed(&link->breaker, &link->options.breaker, now_of(link), chance_next(&link->chance),
                   link->era);
    redis_access_hide(link->options.access, reason, why);
    pthread_mutex_lock(&link->lock);
    memcpy(link->last_error, why, sizeof(why));
    pthread_mutex_unlock(&link->lock);
    bool opened = before == BREAKER_CLOSED && link->breaker.phase == BREAKER_OPEN;
    uint64_t hash = hash64(slice_of_string(why), 0);
    if (opened || hash != link->told)
        log_limited(&limiters[opened], LOG_WARNING, opened ? "breaker opened" : "redis failed",
                    LOG_STRING("redis", link->name), LOG_STRING("address", link->host),
                    LOG_STRING("error", why));
    link->told = hash;
}

/* Told by hiredis, or found by us: the connection is gone. */
static void went_down(struct redis_link *link, const char *why)
{
    bool was_up = link->phase == REDIS_LINK_UP;
    link->redis = NULL;
    link->phase = REDIS_LINK_DOWN;
    link->asked_at = 0;
    if (link->closing)
        return;
    count_failure(link, why);
    link->next_at =
        link->breaker.phase == BREAKER_CLOSED
            ? now_of(link) + RECONNECT_REST + chance_next(&link->chance) % RECONNECT_JITTER
            : link->breaker.ends_at;
    publish(link);
    if (was_up && link->options.changed)
        link->options.changed(link->options.context);
}

static void drop(struct redis_link *link, const char *why)
{
    redisAsyncContext *redis = link->redis;
    if (!redis)
        return;
    /* First, so that what its callbacks do finds a link that is down. */
    redis->data = NULL;
    went_down(link, why);
    redisAsyncFree(redis);
}

static void came_up(struct redis_link *link)
{
    static struct log_limiter limiters[2];
    bool was_open = link->breaker.phase != BREAKER_CLOSED;
    breaker_succeeded(&link->breaker, link->era);
    link->era = link->breaker.era;
    link->phase = REDIS_LINK_UP;
    link->told = 0;
    counter_add(&link->counters.connects, 1);
    publish(link);
    /* A server may accept a connection and drop it again and again. */
    log_limited(&limiters[was_open], LOG_INFO, was_open ? "breaker closed" : "connected",
                LOG_STRING("redis", link->name), LOG_STRING("address", link->host));
    if (link->options.changed)
        link->options.changed(link->options.context);
}

/* ---- the clock ----------------------------------------------------------------------------- */

/* TIME's reply: seconds and microseconds, as strings. */
static bool read_time(const redisReply *reply, uint64_t *time)
{
    uint64_t parts[2];
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return false;
    for (size_t i = 0; i < 2; i++) {
        const redisReply *part = reply->element[i];
        if (part->type != REDIS_REPLY_STRING ||
            !slice_to_uint64(slice_of(part->str, (size_t)part->len), &parts[i]))
            return false;
    }
    if (parts[0] > UINT64_MAX / 4000000 || parts[1] >= 1000000)
        return false;
    *time = parts[0] * 1000000 + parts[1];
    return true;
}

static void on_time(redisAsyncContext *redis, void *data, void *context)
{
    struct redis_link *link = redis->data;
    const redisReply *reply = data;
    uint64_t time;
    (void)context;
    if (!link || !reply)
        return;
    if (!read_time(reply, &time)) {
        drop(link,
             reply->type == REDIS_REPLY_ERROR ? reply->str : "TIME wasn't answered by a time");
        return;
    }
    uint64_t round_trip = now_of(link) - link->asked_at;
    /* The reading was made, as far as can be known, in the middle of the round trip. */
    link->offset = (int64_t)(time - (link->asked_at + round_trip / 2));
    link->read_at = now_of(link);
    link->asked_at = 0;
    atomic_store(&link->counters.round_trip.number, round_trip);
    if (link->phase == REDIS_LINK_GREETING)
        came_up(link);
    publish(link);
}

static void ask_time(struct redis_link *link)
{
    link->asked_at = now_of(link);
    if (redisAsyncCommand(link->redis, on_time, NULL, "TIME") != REDIS_OK)
        drop(link, "out of memory");
}

/* ---- the greeting -------------------------------------------------------------------------- */

static bool has_code(const redisReply *reply, const char *code)
{
    struct slice word = slice_of_string(code);
    struct slice text = slice_of(reply->str, (size_t)reply->len);
    return reply->type == REDIS_REPLY_ERROR && slice_has_prefix(text, word) &&
           (text.size == word.size || text.data[word.size] == ' ');
}

/* Whether a question of the greeting went well, or at least didn't go wrong: a user's rights may
 * not go so far. Drops the link where it did go wrong. */
static bool went_well(struct redis_link *link, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR || has_code(reply, "NOPERM"))
        return true;
    drop(link, reply->str);
    return false;
}

static void on_auth(redisAsyncContext *redis, void *data, void *context)
{
    const redisReply *reply = data;
    struct redis_link *link = redis->data;
    (void)context;
    if (link && reply && reply->type == REDIS_REPLY_ERROR)
        drop(link, reply->str);
}

static bool is_primary(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1)
        return false;
    const redisReply *role = reply->element[0];
    return role->type == REDIS_REPLY_STRING &&
           slice_equal(slice_of(role->str, (size_t)role->len), SLICE("master"));
}

static void on_role(redisAsyncContext *redis, void *data, void *context)
{
    const redisReply *reply = data;
    struct redis_link *link = redis->data;
    (void)context;
    if (link && reply && went_well(link, reply) && reply->type != REDIS_REPLY_ERROR &&
        !is_primary(reply))
        drop(link, "is a replica, expected a primary");
}

static void on_ping(redisAsyncContext *redis, void *data, void *context)
{
    struct redis_link *link = redis->data;
    (void)context;
    /* Asked only now, so that the reading's round trip has no part in connecting. */
    if (link && data && went_well(link, data))
        ask_time(link);
}

static void greet(struct redis_link *link)
{
    redisAsyncContext *redis = link->redis;
    struct slice auth = redis_access_greeting(link->options.access);
    link->asked_at = now_of(link);
    if ((auth.size && redisAsyncFormattedCommand(redis, on_auth, NULL, (const char *)auth.data,
                                                 auth.size) != REDIS_OK) ||
        (link->options.primary && redisAsyncCommand(redis, on_role, NULL, "ROLE") != REDIS_OK) ||
        redisAsyncCommand(redis, on_ping, NULL, "PING") != REDIS_OK)
        drop(link, "out of memory");
}

/* ---- connecting ---------------------------------------------------------------------------- */

static void on_connected(const redisAsyncContext *redis, int status)
{
    struct redis_link *link = redis->data;
    char why[REDIS_WHY_MAX];
    if (status == REDIS_OK)
        return;
    redis_access_explain(&redis->c, why);
    if (link)
        went_down(link, why);
}

static void on_disconnected(const redisAsyncContext *redis, int status)
{
    struct redis_link *link = redis->data;
    char why[REDIS_WHY_MAX] = "disconnected";
    if (status != REDIS_OK)
        redis_access_explain(&redis->c, why);
    if (link)
        went_down(link, why);
}

/* A connection that has been begun, with TLS on it where that is wanted. */
static redisAsyncContext *begin(struct redis_link *link, char why[REDIS_WHY_MAX])
{
    const struct redis_link_options *options = &link->options;
    redisAsyncContext *redis = NULL;
    snprintf(why, REDIS_WHY_MAX, "out of memory"); /* what isn't explained otherwise */
    if (!*link->host)
        snprintf(why, REDIS_WHY_MAX, "the name doesn't resolve");
    else if (options->port)
        redis = redisAsyncConnect(link->host, options->port);
    else
        redis = redisAsyncConnectUnix(link->host);
    if (!redis)
        return NULL;
    if (redis->err)
        redis_access_explain(&redis->c, why);
    else if (redis_access_secure(options->access, redis, link->name, why) &&
             redisLibevAttach(options->loop, redis) == REDIS_OK)
        return redis;
    redisAsyncFree(redis);
    return NULL;
}

static void connect_now(struct redis_link *link)
{
    char why[REDIS_WHY_MAX];
    link->phase = REDIS_LINK_GREETING;
    redisAsyncContext *redis = begin(link, why);
    if (!redis) {
        went_down(link, why);
        return;
    }
    link->redis = redis;
    redis->data = link;
    redis_reader_bound(&redis->c, &link->budget);
    redisAsyncSetConnectCallback(redis, on_connected);
    redisAsyncSetDisconnectCallback(redis, on_disconnected);
    greet(link);
    publish(link);
}

static void on_tick(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct redis_link *link = watcher->data;
    uint64_t now = now_of(link);
    (void)loop;
    (void)events;
    if (link->phase == REDIS_LINK_DOWN) {
        if (now < link->next_at || !breaker_allows(&link->breaker, &link->options.breaker, now,
                                                   chance_next(&link->chance), &link->era))
            return;
        if (link->breaker.phase == BREAKER_HALF_OPEN)
            log_event(LOG_DEBUG, "breaker half-open", LOG_STRING("redis", link->name),
                      LOG_STRING("address", link->host));
        connect_now(link);
    } else if (link->asked_at && now - link->asked_at > link->options.patience) {
        drop(link, "no answer in time");
    } else if (link->redis->c.reader->len > UNREAD_MAX) {
        drop(link, "the answer is too long");
    } else if (link->phase == REDIS_LINK_UP && !link->asked_at &&
               now - link->read_at > REDIS_LINK_CLOCK_PERIOD) {
        ask_time(link);
    }
}

/* ---- the public side ----------------------------------------------------------------------- */

struct redis_link *redis_link_open(const struct redis_link_options *options)
{
    struct redis_link *link = calloc(1, sizeof(*link));
    if (!link)
        return NULL;
    link->options = *options;
    pthread_mutex_init(&link->lock, NULL);
    link->budget.most = ELEMENTS_MAX;
    link->host = strdup(options->host);
    link->name = strdup(options->name);
    link->chance = *options->now ^ (uint64_t)(uintptr_t)link;
    ev_timer_init(&link->tick, on_tick, TICK, TICK);
    link->tick.data = link;
    ev_timer_start(options->loop, &link->tick);
    if (!link->host || !link->name) {
        redis_link_close(link);
        return NULL;
    }
    connect_now(link);
    return link;
}

void redis_link_close(struct redis_link *link)
{
    if (!link)
        return;
    link->closing = true;
    ev_timer_stop(link->options.loop, &link->tick);
    drop(link, "closing");
    free(link->host);
    free(link->name);
    pthread_mutex_destroy(&link->lock);
    free(link);
}

bool redis_link_is_up(const struct redis_link *link)
{
    return link->phase == REDIS_LINK_UP;
}

uint64_t redis_link_session(const struct redis_link *link)
{
    return counter_read(&link->counters.connects);
}

enum breaker_phase redis_link_breaker(const struct redis_link *link)
{
    return link->breaker.phase;
}

bool redis_link_send(struct redis_link *link, struct slice command, redisCallbackFn *answered,
                     void *context)
{
    if (link->phase != REDIS_LINK_UP ||
        redisAsyncFormattedCommand(link->redis, answered, context, (const char *)command.data,
                                   command.size) != REDIS_OK)
        return false;
    counter_add(&link->counters.commands, 1);
    return true;
}

void redis_link_time_answer(struct redis_link *link, uint64_t asked_at)
{
    histogram_add(&link->counters.answers, now_of(link) - asked_at, 1);
}

void redis_link_failed(struct redis_link *link, bool drop_it, const char *why)
{
    if (link->phase != REDIS_LINK_UP)
        return;
    if (!drop_it)
        count_failure(link, why);
    /* An open breaker's connection is replaced by its probe's. */
    if (drop_it || link->breaker.phase != BREAKER_CLOSED)
        drop(link, why);
    publish(link);
}

bool redis_link_is_fatal(const redisReply *reply)
{
    static const char *const codes[] = {"READONLY", "LOADING", "MASTERDOWN", "NOAUTH",
                                        "ERR Protocol error:"};
    for (size_t i = 0; reply && i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (has_code(reply, codes[i]))
            return true;
    }
    return false;
}

uint64_t redis_link_time(const struct redis_link *link)
{
    return now_of(link) + (uint64_t)link->offset;
}

const struct redis_link_counters *redis_link_counters(const struct redis_link *link)
{
    return &link->counters;
}

void redis_link_last_error(struct redis_link *link, char why[REDIS_WHY_MAX])
{
    pthread_mutex_lock(&link->lock);
    if (*link->last_error)
        memcpy(why, link->last_error, sizeof(link->last_error));
    pthread_mutex_unlock(&link->lock);
}
