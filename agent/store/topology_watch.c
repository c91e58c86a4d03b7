#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "agent/store/topology_parts.h"

/* For this long topology_watch_stop waits for the threads. */
#define STOP_PATIENCE (TOPOLOGY__SECOND + TOPOLOGY__SECOND / 2)

/* ---- small parts --------------------------------------------------------------------------- */

uint64_t topology__now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * TOPOLOGY__SECOND + (uint64_t)now.tv_nsec / 1000;
}

uint64_t topology__between(uint64_t from, uint64_t to)
{
    uint64_t chance;
    if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
        chance = topology__now();
    return from + chance % (to - from);
}

void topology__name(const char *host, uint16_t port, char name[TOPOLOGY_NAME_MAX + 1])
{
    snprintf(name, TOPOLOGY_NAME_MAX + 1, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
             (unsigned)port);
}

bool topology__fail(struct topology__look *look, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(look->why, sizeof(look->why), format, arguments);
    va_end(arguments);
    return false;
}

void topology__set_time(struct counter *counter)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    topology__set(counter, (uint64_t)now.tv_sec * TOPOLOGY__SECOND + (uint64_t)now.tv_nsec / 1000);
}

void topology__wait(struct topology_watch *watch, uint64_t until)
{
    struct timespec at = {(time_t)(until / TOPOLOGY__SECOND),
                          (long)(until % TOPOLOGY__SECOND) * 1000};
    pthread_cond_timedwait(&watch->wake, &watch->lock, &at);
}

/* ---- threads ------------------------------------------------------------------------------- */

void topology__release(struct topology_watch *watch)
{
    if (atomic_fetch_sub(&watch->references, 1) != 1)
        return;
    topology_release(watch->newest);
    redis_access_close(watch->settings.access);
    redis_access_close(watch->settings.sentinel_access);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->lock);
    pthread_mutex_destroy(&watch->telling);
    arena_free(&watch->arena);
    free(watch);
}

/* A thread's last act. */
static void *leave(struct topology_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->running--;
    pthread_cond_broadcast(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    topology__release(watch);
    return NULL;
}

static void *run_looker(void *context)
{
    struct topology_watch *watch = context;
    pthread_setname_np(pthread_self(), "topology");
    topology__look_on(watch);
    return leave(watch);
}

static void *run_heart(void *context)
{
    struct topology_watch *watch = context;
    pthread_setname_np(pthread_self(), "heartbeat");
    topology__heartbeat(watch);
    return leave(watch);
}

static bool start_thread(struct topology_watch *watch, void *run(void *), char why[REDIS_WHY_MAX])
{
    pthread_mutex_lock(&watch->lock);
    watch->running++;
    pthread_mutex_unlock(&watch->lock);
    atomic_fetch_add(&watch->references, 1);
    int error = pthread_create(&watch->threads[watch->thread_count], NULL, run, watch);
    if (error) {
        snprintf(why, REDIS_WHY_MAX, "can't start a thread: %s", strerror(error));
        atomic_fetch_sub(&watch->references, 1);
        pthread_mutex_lock(&watch->lock);
        watch->running--;
        pthread_mutex_unlock(&watch->lock);
        return false;
    }
    watch->thread_count++;
    return true;
}

/* ---- starting and stopping ----------------------------------------------------------------- */

static struct slice copy(struct topology_watch *watch, struct slice text)
{
    return arena_copy(&watch->arena, text);
}

static struct slice agents_key(struct topology_watch *watch, struct slice prefix)
{
    static const char name[] = "{agents}:live";
    uint8_t *key = arena_allocate(&watch->arena, prefix.size + sizeof(name));
    if (!key)
        return slice_of(NULL, 0);
    if (prefix.size)
        memcpy(key, prefix.data, prefix.size);
    memcpy(key + prefix.size, name, sizeof(name));
    return slice_of(key, prefix.size + sizeof(name) - 1);
}

static bool copy_settings(struct topology_watch *watch, const struct rules_store *store,
                          const char *instance_id)
{
    struct topology__settings *settings = &watch->settings;
    struct rules_node *nodes = arena_array(&watch->arena, store->node_count, sizeof(*nodes));
    settings->mode = store->mode;
    settings->nodes = nodes;
    settings->node_count = store->node_count;
    settings->timeout = store->connect_timeout;
    settings->heartbeat = store->heartbeat;
    settings->tls = store->tls;
    struct slice master = copy(watch, store->master);
    settings->master = (const char *)master.data;
    settings->instance_id = copy(watch, slice_of_string(instance_id));
    settings->agents_key = agents_key(watch, store->prefix);
    bool good = nodes && master.data && settings->instance_id.data && settings->agents_key.data;
    for (size_t i = 0; good && i < store->node_count; i++) {
        nodes[i] = store->nodes[i];
        nodes[i].name = copy(watch, store->nodes[i].name);
        nodes[i].host = copy(watch, store->nodes[i].host);
        good = nodes[i].name.data && nodes[i].host.data;
    }
    return good;
}

static struct topology_watch *create(const struct topology_watch_options *options)
{
    struct topology_watch *watch = calloc(1, sizeof(*watch));
    pthread_condattr_t attributes;
    if (!watch)
        return NULL;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&watch->lock, NULL);
    pthread_mutex_init(&watch->telling, NULL);
    watch->references = 1;
    watch->changed = options->changed;
    watch->context = options->context;
    watch->counters.agents.number = 1;
    return watch;
}

static bool open_access(struct topology_watch *watch, const struct rules_store *store,
                        char why[REDIS_WHY_MAX])
{
    watch->settings.access = redis_access_open(store, false, why);
    if (watch->settings.access && store->mode == RULES_STORE_SENTINEL)
        watch->settings.sentinel_access = redis_access_open(store, true, why);
    return watch->settings.access &&
           (store->mode != RULES_STORE_SENTINEL || watch->settings.sentinel_access);
}

struct topology_watch *topology_watch_start(const struct topology_watch_options *options,
                                            char why[REDIS_WHY_MAX])
{
    struct topology_watch *watch = create(options);
    if (!watch || !copy_settings(watch, options->store, options->instance_id)) {
        snprintf(why, REDIS_WHY_MAX, "%s", error_text(ERROR_NO_MEMORY));
        if (watch)
            topology__release(watch);
        return NULL;
    }
    if (!open_access(watch, options->store, why) || !start_thread(watch, run_looker, why) ||
        !start_thread(watch, run_heart, why)) {
        topology_watch_stop(watch);
        return NULL;
    }
    return watch;
}

/* False when they still run after STOP_PATIENCE. */
static bool wait_for_threads(struct topology_watch *watch)
{
    uint64_t until = topology__now() + STOP_PATIENCE;
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_cond_broadcast(&watch->wake);
    while (watch->running && topology__now() < until)
        topology__wait(watch, until);
    bool ended = watch->running == 0;
    pthread_mutex_unlock(&watch->lock);
    return ended;
}

void topology_watch_stop(struct topology_watch *watch)
{
    if (!watch)
        return;
    bool ended = wait_for_threads(watch);
    for (size_t i = 0; i < watch->thread_count; i++) {
        if (ended)
            pthread_join(watch->threads[i], NULL);
        else
            pthread_detach(watch->threads[i]);
    }
    if (!ended)
        log_event(LOG_WARNING, "topology still being looked at, left alone");
    /* Whoever was calling `changed` has returned; nobody begins to. */
    pthread_mutex_lock(&watch->telling);
    pthread_mutex_unlock(&watch->telling);
    topology__release(watch);
}

/* ---- asking -------------------------------------------------------------------------------- */

struct topology *topology_watch_hold(struct topology_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    struct topology *newest = topology_hold(watch->newest);
    pthread_mutex_unlock(&watch->lock);
    return newest;
}

void topology_watch_refresh(struct topology_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    if (!watch->asked) {
        watch->asked = true;
        pthread_cond_broadcast(&watch->wake);
    }
    pthread_mutex_unlock(&watch->lock);
}

unsigned topology_watch_agents(const struct topology_watch *watch)
{
    return (unsigned)counter_read(&watch->counters.agents);
}

const struct topology_counters *topology_watch_counters(const struct topology_watch *watch)
{
    return &watch->counters;
}
