/* Reaches a server as an agent does, on both ways there are, and says what came of it.
 *
 *     redis_reach WAY ADDRESS PORT NAME [SETTING=VALUE...]
 *
 * WAY is `wait`, what the thread that may block does, or `link`, what workers do: as many at once,
 * each in a thread of its own, as LINKS says. NAME is HOST:PORT, who the server should be. The
 * settings are timeout (milliseconds, default 10000), user, password_file, password_env, and with
 * tls=yes: ca, certificate, key, server_name. Prints "up" and ends with 0 when the server has
 * answered a PING (of a link: each of PINGS that were sent at once, with what it was sent), or
 * prints why it was not reached. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/store/redis_link.h"
#include "agent/store/resp.h"

#define LINKS 4

/* So many, and up to so many bytes in each, that no buffer on the way takes them all. */
#define PINGS    1000
#define PING_MAX 8192

struct server {
    const char *address;
    int port;
    const char *name;
    const struct redis_access *access;
    uint64_t timeout;
};

/* ---- blocking ------------------------------------------------------------------------------ */

static int reach_blocking(const struct server *server)
{
    char why[REDIS_WHY_MAX];
    redisContext *redis = redis_access_connect(server->access, server->address, server->port,
                                               server->name, server->timeout, why);
    redisReply *reply = redis ? redisCommand(redis, "PING") : NULL;
    bool good = reply && reply->type != REDIS_REPLY_ERROR;
    if (redis && !reply)
        redis_access_explain(redis, why);
    else if (reply && !good)
        redis_access_hide(server->access, reply->str, why);
    puts(good ? "up" : why);
    if (reply)
        freeReplyObject(reply);
    if (redis)
        redisFree(redis);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- by a loop ----------------------------------------------------------------------------- */

struct worker {
    const struct server *server;
    struct ev_loop *loop;
    ev_check clock;
    uint64_t now;
    struct redis_link *link;
    size_t answered;
};

static uint64_t read_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What the ping of a number says. */
static struct slice payload(size_t number, char text[PING_MAX])
{
    size_t size = 1 + number * 7919 % PING_MAX;
    memset(text, 'a' + (int)(number % 26), size);
    return slice_of(text, size);
}

static void on_pong(redisAsyncContext *redis, void *data, void *context)
{
    const redisReply *reply = data;
    struct worker *worker = context;
    char text[PING_MAX];
    (void)redis;
    bool right = reply && reply->type == REDIS_REPLY_STRING &&
                 slice_equal(slice_of(reply->str, reply->len), payload(worker->answered, text));
    worker->answered += right;
    if (!right || worker->answered == PINGS)
        ev_break(worker->loop, EVBREAK_ALL);
}

static void send_pings(struct worker *worker)
{
    char text[PING_MAX];
    char command[PING_MAX + 64];
    for (size_t i = 0; i < PINGS; i++) {
        struct writer w = writer_open(command, sizeof(command));
        resp_array(&w, 2);
        resp_text(&w, SLICE("PING"));
        resp_text(&w, payload(i, text));
        redis_link_send(worker->link, writer_slice(&w), on_pong, worker);
    }
}

static void on_check(struct ev_loop *loop, ev_check *watcher, int events)
{
    struct worker *worker = watcher->data;
    (void)events;
    worker->now = read_clock();
    if (redis_link_breaker(worker->link) != BREAKER_CLOSED)
        ev_break(loop, EVBREAK_ALL);
}

static void changed(void *context)
{
    struct worker *worker = context;
    if (redis_link_is_up(worker->link))
        send_pings(worker);
}

static void *run_worker(void *context)
{
    struct worker *worker = context;
    worker->loop = ev_loop_new(EVFLAG_AUTO);
    worker->now = read_clock();
    ev_check_init(&worker->clock, on_check);
    worker->clock.data = worker;
    ev_check_start(worker->loop, &worker->clock);
    worker->link = redis_link_open(&(struct redis_link_options){
        .loop = worker->loop,
        .now = &worker->now,
        .host = worker->server->address,
        .port = worker->server->port,
        .name = worker->server->name,
        .access = worker->server->access,
        .patience = worker->server->timeout,
        .primary = true,
        .breaker = {.failures = 3, .within = 60000000, .pause = 60000000, .max_pause = 60000000},
        .changed = changed,
        .context = worker,
    });
    if (worker->link)
        ev_run(worker->loop, 0);
    redis_link_close(worker->link);
    ev_loop_destroy(worker->loop);
    return NULL;
}

static int reach_by_links(const struct server *server)
{
    struct worker workers[LINKS] = {0};
    pthread_t threads[LINKS];
    bool good = true;
    for (size_t i = 0; i < LINKS; i++) {
        workers[i].server = server;
        if (pthread_create(&threads[i], NULL, run_worker, &workers[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < LINKS; i++) {
        pthread_join(threads[i], NULL);
        good = good && workers[i].answered == PINGS;
    }
    puts(good ? "up" : "the log says why"); /* on standard error */
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- settings ------------------------------------------------------------------------------ */

static struct slice *setting(struct rules_store *store, struct slice name)
{
    const struct {
        const char *name;
        struct slice *value;
    } settings[] = {
        {"user", &store->user},
        {"password_file", &store->password_file},
        {"password_env", &store->password_env},
        {"ca", &store->tls_ca},
        {"certificate", &store->tls_certificate},
        {"key", &store->tls_key},
        {"server_name", &store->tls_server_name},
    };
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (slice_equal(name, slice_of_string(settings[i].name)))
            return settings[i].value;
    return NULL;
}

static bool read_setting(struct rules_store *store, const char *word)
{
    const char *equals = strchr(word, '=');
    struct slice name = slice_of(word, equals ? (size_t)(equals - word) : 0);
    struct slice text = equals ? slice_of_string(equals + 1) : SLICE("");
    struct slice *value = setting(store, name);
    uint64_t number;
    if (value)
        *value = text;
    else if (slice_equal(name, SLICE("tls")))
        store->tls = slice_equal(text, SLICE("yes"));
    else if (slice_equal(name, SLICE("timeout")) && slice_to_uint64(text, &number))
        store->connect_timeout = number * 1000;
    else
        return false;
    return true;
}

int main(int count, char **words)
{
    char why[REDIS_WHY_MAX];
    struct rules_store store = {.connect_timeout = 10000000};
    if (count < 5) {
        fprintf(stderr, "usage: %s wait|link ADDRESS PORT NAME [SETTING=VALUE...]\n", words[0]);
        return 2;
    }
    for (int i = 5; i < count; i++) {
        if (!read_setting(&store, words[i])) {
            fprintf(stderr, "%s: no setting '%s'\n", words[0], words[i]);
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    struct redis_access *access = redis_access_open(&store, false, why);
    if (!access) {
        puts(why);
        return EXIT_FAILURE;
    }
    struct server server = {words[2], (int)strtol(words[3], NULL, 10), words[4], access,
                            store.connect_timeout};
    int status = strcmp(words[1], "wait") == 0 ? reach_blocking(&server) : reach_by_links(&server);
    redis_access_close(access);
    return status;
}
