/* The thread that says that this agent lives, and learns how many others do.
 *
 * A sorted set, on the shard that its name belongs to: a member for each agent, its score the
 * server's time in milliseconds when it last said so. Times are the server's alone, so that no
 * agent's clock matters. */
#include <stdio.h>

#include "agent/store/resp.h"
#include "agent/store/topology_parts.h"

/* What is left of a set that nobody writes to any more goes after so many heartbeats. */
#define EXPIRY_HEARTBEATS (TOPOLOGY_HEARTBEATS + 2)

/* Redirects that are followed for one heartbeat. */
#define REDIRECTS_MAX 3

/* For saying goodbye. */
#define GOODBYE_PATIENCE (TOPOLOGY__SECOND * 3 / 10)

/* Room for the commands of one heartbeat: each names the set. */
#define BUFFER_SIZE 8192

enum {
    ZADD,
    DROP_DEAD,
    DROP_FUTURE,
    PEXPIRE,
    ZCARD,
    COMMANDS
};

struct heart {
    struct topology_watch *watch;
    redisContext *redis;                /* NULL: not connected */
    struct topology_shard shard;        /* that it is, or was, connected to */
    uint64_t seen[TOPOLOGY_HEARTBEATS]; /* how many lived, by the last heartbeats */
    size_t next;                        /* of seen */
    bool failing;
    char why[REDIS_WHY_MAX];
};

static bool fail(struct heart *heart, const char *why)
{
    snprintf(heart->why, sizeof(heart->why), "%s", why);
    return false;
}

/* ---- the exchange -------------------------------------------------------------------------- */

static void disconnect(struct heart *heart)
{
    if (heart->redis)
        redisFree(heart->redis);
    heart->redis = NULL;
}

static bool connect_to(struct heart *heart, const struct topology_shard *shard)
{
    const struct topology__settings *settings = &heart->watch->settings;
    if (heart->redis && heart->shard.port == shard->port &&
        strcmp(heart->shard.address, shard->address) == 0)
        return true;
    disconnect(heart);
    heart->shard = *shard;
    if (!shard->address[0])
        return fail(heart, "its name doesn't resolve");
    heart->redis = redis_access_connect(settings->access, shard->address, shard->port, shard->name,
                                        settings->timeout, heart->why);
    return heart->redis != NULL;
}

/* Milliseconds. */
static bool read_time(struct heart *heart, uint64_t *time)
{
    redisReply *reply;
    uint64_t seconds;
    uint64_t microseconds;
    if (redisAppendCommand(heart->redis, "TIME") != REDIS_OK ||
        !topology__replies(heart->redis, heart->watch->settings.timeout, &reply, 1, heart->why))
        return false;
    bool good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                topology__number(reply->element[0], INT64_MAX / 2000, &seconds) &&
                topology__number(reply->element[1], 999999, &microseconds);
    if (good)
        *time = seconds * 1000 + microseconds / 1000;
    else
        fail(heart,
             reply->type == REDIS_REPLY_ERROR ? reply->str : "TIME wasn't answered by a time");
    freeReplyObject(reply);
    return good;
}

/* One command about the set. */
static void begin(const struct heart *heart, struct writer *w, bool asking, struct slice name,
                  uint64_t more)
{
    if (asking) {
        resp_array(w, 1);
        resp_text(w, SLICE("ASKING"));
    }
    resp_array(w, 2 + more);
    resp_text(w, name);
    resp_text(w, heart->watch->settings.agents_key);
}

/* now: milliseconds, by the server. Who hasn't been heard of for TOPOLOGY_HEARTBEATS is dead; who
 * will be heard of in the future was, by a clock that has been set back. */
static void write_beat(const struct heart *heart, struct writer *w, bool asking, uint64_t now)
{
    const struct topology__settings *settings = &heart->watch->settings;
    uint64_t life = TOPOLOGY_HEARTBEATS * settings->heartbeat / 1000;
    begin(heart, w, asking, SLICE("ZADD"), 2);
    resp_number(w, now);
    resp_text(w, settings->instance_id);
    begin(heart, w, asking, SLICE("ZREMRANGEBYSCORE"), 2);
    resp_text(w, SLICE("-inf"));
    resp_number(w, now > life ? now - life : 0);
    begin(heart, w, asking, SLICE("ZREMRANGEBYSCORE"), 2);
    resp_number(w, now + life);
    resp_text(w, SLICE("+inf"));
    begin(heart, w, asking, SLICE("PEXPIRE"), 1);
    resp_number(w, EXPIRY_HEARTBEATS * settings->heartbeat / 1000);
    begin(heart, w, asking, SLICE("ZCARD"), 0);
}

/* Writes and sends, and waits for COMMANDS replies, `asking` or not. */
static bool exchange(struct heart *heart, bool asking, redisReply **replies)
{
    uint8_t buffer[BUFFER_SIZE];
    struct writer w = writer_open(buffer, sizeof(buffer));
    redisReply *all[2 * COMMANDS];
    size_t each = asking ? 2 : 1;
    uint64_t now;
    if (!read_time(heart, &now))
        return false;
    write_beat(heart, &w, asking, now);
    if (w.error || redisAppendFormattedCommand(heart->redis, (const char *)buffer,
                                               writer_size(&w)) != REDIS_OK)
        return fail(heart, error_text(ERROR_NO_ROOM));
    if (!topology__replies(heart->redis, heart->watch->settings.timeout, all, each * COMMANDS,
                           heart->why))
        return false;
    for (size_t i = 0; i < COMMANDS; i++) {
        replies[i] = all[each * i + each - 1];
        all[each * i + each - 1] = NULL;
    }
    topology__free_replies(all, each * COMMANDS);
    return true;
}

/* ---- one heartbeat ------------------------------------------------------------------------- */

static void learn(struct heart *heart, uint64_t living)
{
    static struct log_limiter limiter;
    uint64_t most = 1;
    heart->seen[heart->next] = living < TOPOLOGY_AGENTS_MAX ? living : TOPOLOGY_AGENTS_MAX;
    heart->next = (heart->next + 1) % TOPOLOGY_HEARTBEATS;
    for (size_t i = 0; i < TOPOLOGY_HEARTBEATS; i++)
        if (heart->seen[i] > most)
            most = heart->seen[i];
    struct counter *agents = &heart->watch->counters.agents;
    if (most != counter_read(agents))
        log_limited(&limiter, LOG_INFO, "agents that share the limits", LOG_INT("agents", most),
                    LOG_INT("before", counter_read(agents)));
    topology__set(agents, most);
}

/* "MOVED 3999 HOST:PORT" or "ASK 3999 HOST:PORT": the shard that is meant; -1: none, or unknown. */
static int redirected(const struct topology *topology, const redisReply *reply, int from,
                      bool *asking)
{
    struct slice text = slice_of(reply->str, (size_t)reply->len);
    *asking = slice_has_prefix(text, SLICE("ASK "));
    if (!*asking && !slice_has_prefix(text, SLICE("MOVED ")))
        return -1;
    size_t name = text.size;
    while (text.data[name - 1] != ' ')
        name--;
    return topology_find(topology, slice_from(text, name), from);
}

/* True when the agents were counted. Otherwise heart->why; *next is where to go instead, or -1. */
static bool beat_at(struct heart *heart, const struct topology *topology, int shard, bool *asking,
                    int *next)
{
    redisReply *replies[COMMANDS];
    uint64_t living;
    *next = -1;
    if (!connect_to(heart, &topology->shards[shard]))
        return false;
    if (!exchange(heart, *asking, replies)) {
        disconnect(heart);
        return false;
    }
    bool good = true;
    for (size_t i = 0; good && i < COMMANDS; i++) {
        if (replies[i]->type != REDIS_REPLY_ERROR)
            continue;
        good = fail(heart, replies[i]->str);
        *next = redirected(topology, replies[i], shard, asking);
        if (*next >= 0 && !*asking)
            topology_watch_refresh(heart->watch);
    }
    if (good && !topology__number(replies[ZCARD], INT64_MAX, &living))
        good = fail(heart, "ZCARD wasn't answered by a number");
    if (good)
        learn(heart, living);
    topology__free_replies(replies, COMMANDS);
    return good;
}

static bool beat(struct heart *heart, const struct topology *topology)
{
    int shard = topology_place(topology, heart->watch->settings.agents_key);
    bool asking = false;
    bool good = shard < 0 ? fail(heart, "its slot is served by nobody") : false;
    for (size_t i = 0; !good && shard >= 0 && i <= REDIRECTS_MAX; i++)
        good = beat_at(heart, topology, shard, &asking, &shard);
    return good;
}

static void beat_and_tell(struct heart *heart, struct topology *topology)
{
    static struct log_limiter limiter;
    struct topology_counters *counters = &heart->watch->counters;
    bool good = beat(heart, topology);
    counter_add(good ? &counters->heartbeats : &counters->heartbeat_failures, 1);
    if (good)
        topology__set_time(&counters->heartbeat_at);
    else
        topology_watch_refresh(heart->watch);
    if (good && heart->failing)
        log_limited(&limiter, LOG_INFO, "heartbeat is back", LOG_STRING("redis", heart->shard.name),
                    LOG_INT("agents", counter_read(&counters->agents)));
    else if (!good && !heart->failing)
        log_limited(&limiter, LOG_WARNING, "heartbeat failed",
                    LOG_STRING("redis", heart->shard.name), LOG_STRING("error", heart->why),
                    LOG_INT("agents", counter_read(&counters->agents)));
    heart->failing = !good;
}

/* Best effort: where it fails, the others see this agent die TOPOLOGY_HEARTBEATS later. */
static void say_goodbye(struct heart *heart)
{
    struct timeval patience = {0, GOODBYE_PATIENCE};
    uint8_t buffer[BUFFER_SIZE];
    struct writer w = writer_open(buffer, sizeof(buffer));
    redisReply *reply;
    if (!heart->redis || redisSetTimeout(heart->redis, patience) != REDIS_OK)
        return;
    begin(heart, &w, false, SLICE("ZREM"), 1);
    resp_text(&w, heart->watch->settings.instance_id);
    if (!w.error &&
        redisAppendFormattedCommand(heart->redis, (const char *)buffer, writer_size(&w)) ==
            REDIS_OK &&
        topology__replies(heart->redis, GOODBYE_PATIENCE, &reply, 1, heart->why))
        freeReplyObject(reply);
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* Until the next heartbeat is due and it is known where; NULL when the watch stops. */
static struct topology *wait_for_turn(struct topology_watch *watch, uint64_t due)
{
    struct topology *topology = NULL;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stopping && (!watch->newest || topology__now() < due))
        topology__wait(watch, watch->newest ? due : topology__now() + TOPOLOGY__SECOND);
    if (!watch->stopping)
        topology = topology_hold(watch->newest);
    pthread_mutex_unlock(&watch->lock);
    return topology;
}

void topology__heartbeat(struct topology_watch *watch)
{
    struct heart heart = {.watch = watch};
    uint64_t period = watch->settings.heartbeat;
    uint64_t due = 0;
    struct topology *topology;
    while ((topology = wait_for_turn(watch, due))) {
        beat_and_tell(&heart, topology);
        topology_release(topology);
        /* Jittered, so that agents that began at one moment don't stay in step. */
        due = topology__now() + topology__between(period - period / 10, period);
    }
    say_goodbye(&heart);
    disconnect(&heart);
}
