#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/clock.h"
#include "agent/engine/top.h"
#include "agent/worker.h"

/* Time-outs are looked at this often (seconds); they are kept to about as much. */
#define EXPIRY_PERIOD 0.1

struct worker {
    struct connection_host host; /* first: closed() finds the worker from it */
    struct worker_options options;
    pthread_t thread;
    struct ev_loop *loop;
    ev_async wake;
    ev_prepare before_sleep;
    ev_check after_sleep;
    ev_timer expiry;
    struct store *redis; /* NULL: counters aren't shared */
    struct candidate candidate;
    struct top *top;
    int64_t wall_ahead; /* of host.now, as it was a moment ago */
    atomic_uint load;
    bool told_drained;

    pthread_mutex_t lock;          /* of the mailbox, which is all below */
    struct connection_left *inbox; /* as many as connections may be open */
    size_t inbox_count;
    size_t inbox_room;
    struct ruleset *new_rules;
    STAILQ_HEAD(worker_errands, worker_errand) errands;
    bool drain;
    bool leave;
    bool stop;
};

static void connection_closed(struct connection_host *host)
{
    atomic_fetch_sub(&((struct worker *)host)->load, 1);
}

static void use_rules(struct worker *worker, struct ruleset *rules)
{
    if (!rules)
        return;
    if (!engine_use(worker->host.engine, rules))
        log_event(LOG_ERROR, "out of memory: a worker keeps its old rules",
                  LOG_INT("worker", worker->options.index));
    else
        candidate_use(&worker->candidate, worker->host.engine, rules->candidate);
    ruleset_release(rules);
}

static void report_drained(struct worker *worker)
{
    if (!worker->host.draining || worker->told_drained || worker->host.count)
        return;
    worker->told_drained = true;
    worker->options.drained(worker->options.context);
}

static void run_errands(struct worker *worker, struct worker_errands *errands)
{
    while (!STAILQ_EMPTY(errands)) {
        struct worker_errand *errand = STAILQ_FIRST(errands);
        STAILQ_REMOVE_HEAD(errands, next);
        errand->run(errand, worker->host.engine, worker->host.now);
    }
}

static void on_wake(struct ev_loop *loop, ev_async *watcher, int events)
{
    struct worker *worker = watcher->data;
    struct worker_errands errands = STAILQ_HEAD_INITIALIZER(errands);
    (void)events;

    pthread_mutex_lock(&worker->lock);
    struct connection_left *inbox = worker->inbox;
    size_t count = worker->inbox_count;
    worker->inbox = NULL;
    worker->inbox_count = worker->inbox_room = 0;
    struct ruleset *rules = worker->new_rules;
    worker->new_rules = NULL;
    STAILQ_CONCAT(&errands, &worker->errands);
    bool drain = worker->drain;
    bool leave = worker->leave;
    bool stop = worker->stop;
    pthread_mutex_unlock(&worker->lock);

    use_rules(worker, rules);
    if (worker->redis && !stop)
        store_redis_follow(worker->redis);
    if (!stop)
        candidate_follow(&worker->candidate);
    for (size_t i = 0; i < count; i++)
        connection_open(&worker->host, inbox[i].fd, inbox[i].max_frame_size);
    free(inbox);
    if (leave && !worker->host.draining)
        connections_leave(&worker->host);
    if (drain && !worker->host.draining)
        connections_drain(&worker->host);
    run_errands(worker, &errands); /* before what they wait for is cancelled */
    if (stop) {
        if (worker->redis)
            store_redis_cancel(worker->redis);
        connections_abort(&worker->host);
        ev_break(loop, EVBREAK_ALL);
    }
}

static void on_before_sleep(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct worker *worker = watcher->data;
    (void)loop;
    (void)events;
    connections_flush(&worker->host);
    if (worker->host.latency.count)
        latency_end_turn(&worker->host.latency, clock_now());
    report_drained(worker);
}

static void on_after_sleep(struct ev_loop *loop, ev_check *watcher, int events)
{
    struct worker *worker = watcher->data;
    (void)loop;
    (void)events;
    worker->host.now = clock_now();
}

static void on_expiry(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct worker *worker = watcher->data;
    (void)loop;
    (void)events;
    worker->wall_ahead = clock_wall_ahead();
    connections_expire(&worker->host);
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    char name[16];
    snprintf(name, sizeof(name), "worker-%u", worker->options.index);
    pthread_setname_np(pthread_self(), name);
    ev_run(worker->loop, 0);
    connections_flush(&worker->host);
    return NULL;
}

static void watch(struct worker *worker)
{
    ev_async_init(&worker->wake, on_wake);
    ev_prepare_init(&worker->before_sleep, on_before_sleep);
    ev_check_init(&worker->after_sleep, on_after_sleep);
    ev_timer_init(&worker->expiry, on_expiry, EXPIRY_PERIOD, EXPIRY_PERIOD);
    worker->wake.data = worker->before_sleep.data = worker;
    worker->after_sleep.data = worker->expiry.data = worker;
    /* The clock is read before any other watcher of the turn runs. */
    ev_set_priority(&worker->after_sleep, EV_MAXPRI);
    ev_async_start(worker->loop, &worker->wake);
    ev_prepare_start(worker->loop, &worker->before_sleep);
    ev_check_start(worker->loop, &worker->after_sleep);
    ev_timer_start(worker->loop, &worker->expiry);
}

static unsigned live_agents(void *context)
{
    return topology_watch_agents(context);
}

static struct engine *create_engine(struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    static struct log_limiter denials;
    struct engine_options engine = {
        .denials = &denials,
        .store = options->store,
        .wall_ahead = &worker->wall_ahead,
        .max_pending = options->max_pending,
        .rules = options->rules,
    };
    struct store_redis_options redis = {
        .loop = worker->loop,
        .now = &worker->host.now,
        .settings = options->settings,
        .access = options->access,
        .watch = options->watch,
        .max_keys = options->max_keys,
        .workers = options->workers,
    };
    if (options->watch) {
        worker->redis = store_redis_create(&redis);
        if (!worker->redis)
            return NULL;
        engine.store = worker->redis;
        engine.local = options->store;
        engine.agents = live_agents;
        engine.context = options->watch;
    }
    worker->candidate.options =
        (struct candidate_options){engine, redis, options->candidate_store, options->compared};
    worker->top = top_create(clock_now());
    engine.top = worker->top; /* of what the rules in force decide alone */
    return worker->top ? engine_create(&engine) : NULL;
}

/* What worker_start has made when it fails, and worker_free at the end. */
static void destroy(struct worker *worker)
{
    if (worker->redis)
        store_redis_cancel(worker->redis);
    candidate_use(&worker->candidate, worker->host.engine, NULL);
    engine_free(worker->host.engine);
    store_free(worker->redis);
    top_free(worker->top);
    if (worker->loop)
        ev_loop_destroy(worker->loop);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

struct worker *worker_start(const struct worker_options *options)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->options = *options;
    worker->host.now = clock_now();
    worker->wall_ahead = clock_wall_ahead();
    worker->loop = ev_loop_new(EVFLAG_AUTO);
    pthread_mutex_init(&worker->lock, NULL);
    STAILQ_INIT(&worker->errands);
    struct engine *engine = worker->loop ? create_engine(worker) : NULL;
    if (engine) {
        connection_host_open(&worker->host, worker->loop, engine, options->max_frame_size);
        worker->host.closed = connection_closed;
        worker->host.now = clock_now();
        candidate_use(&worker->candidate, engine, options->rules->candidate);
        watch(worker);
        if (pthread_create(&worker->thread, NULL, run, worker) == 0)
            return worker;
        connection_host_close(&worker->host);
    }
    destroy(worker);
    return NULL;
}

/* With the lock held. */
static bool put_in_inbox(struct worker *worker, int fd, uint32_t agreed_frame_size)
{
    if (worker->inbox_count == worker->inbox_room) {
        size_t room = worker->inbox_room ? 2 * worker->inbox_room : 16;
        struct connection_left *larger = reallocarray(worker->inbox, room, sizeof(*larger));
        if (!larger)
            return false;
        worker->inbox = larger;
        worker->inbox_room = room;
    }
    worker->inbox[worker->inbox_count++] = (struct connection_left){fd, agreed_frame_size};
    return true;
}

bool worker_give(struct worker *worker, int fd, uint32_t agreed_frame_size)
{
    pthread_mutex_lock(&worker->lock);
    bool given = put_in_inbox(worker, fd, agreed_frame_size);
    /* Before the worker can have closed it again. */
    if (given)
        atomic_fetch_add(&worker->load, 1);
    pthread_mutex_unlock(&worker->lock);
    if (given)
        ev_async_send(worker->loop, &worker->wake);
    return given;
}

void worker_use(struct worker *worker, struct ruleset *rules)
{
    ruleset_hold(rules);
    pthread_mutex_lock(&worker->lock);
    struct ruleset *unread = worker->new_rules;
    worker->new_rules = rules;
    pthread_mutex_unlock(&worker->lock);
    ruleset_release(unread);
    ev_async_send(worker->loop, &worker->wake);
}

void worker_follow(struct worker *worker)
{
    ev_async_send(worker->loop, &worker->wake);
}

bool worker_run(struct worker *worker, struct worker_errand *errand)
{
    pthread_mutex_lock(&worker->lock);
    bool taken = !worker->stop;
    if (taken)
        STAILQ_INSERT_TAIL(&worker->errands, errand, next);
    pthread_mutex_unlock(&worker->lock);
    if (taken)
        ev_async_send(worker->loop, &worker->wake);
    return taken;
}

void worker_drain(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->drain = true;
    pthread_mutex_unlock(&worker->lock);
    ev_async_send(worker->loop, &worker->wake);
}

void worker_leave(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->leave = true;
    pthread_mutex_unlock(&worker->lock);
    ev_async_send(worker->loop, &worker->wake);
}

const struct connection_left *worker_left(const struct worker *worker, size_t *count)
{
    *count = worker->host.left_count;
    return worker->host.left;
}

void worker_stop(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->stop = true;
    pthread_mutex_unlock(&worker->lock);
    ev_async_send(worker->loop, &worker->wake);
    pthread_join(worker->thread, NULL);
}

void worker_free(struct worker *worker)
{
    for (size_t i = 0; i < worker->inbox_count; i++)
        close(worker->inbox[i].fd);
    free(worker->inbox);
    ruleset_release(worker->new_rules);
    connection_host_close(&worker->host);
    destroy(worker);
}

unsigned worker_load(const struct worker *worker)
{
    return atomic_load(&worker->load);
}

const struct connection_counters *worker_connections(const struct worker *worker)
{
    return &worker->host.counters;
}

const struct histogram *worker_latency(const struct worker *worker)
{
    return &worker->host.latency.durations;
}

const struct engine_counters *worker_decisions(const struct worker *worker)
{
    return engine_counters(worker->host.engine);
}

struct rule_counters *worker_rule_counters(const struct worker *worker)
{
    return engine_rule_counters(worker->host.engine);
}

const struct comparison_counters *worker_comparison(const struct worker *worker)
{
    return &worker->candidate.counters;
}

struct top *worker_top(const struct worker *worker)
{
    return worker->top;
}

struct store *worker_redis(const struct worker *worker)
{
    return worker->redis;
}
