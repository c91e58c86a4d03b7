#include "redis_bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a condition may take to come true (seconds); it comes true much earlier. */
#define PATIENCE 20.

#define OPTIONS_MAX 32

/* ---- the loop ------------------------------------------------------------------------------ */

static uint64_t read_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void on_check(struct ev_loop *loop, ev_check *watcher, int events)
{
    struct bench *bench = watcher->data;
    (void)loop;
    (void)events;
    if (!bench->frozen)
        bench->now = read_clock();
    bench->turns++;
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct bench *bench = watcher->data;
    (void)events;
    if (bench->reached && bench->reached(bench))
        ev_break(loop, EVBREAK_ALL);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)events;
    ((struct bench *)watcher->data)->gave_up = true;
    ev_break(loop, EVBREAK_ALL);
}

void bench_wait(struct bench *bench, bool (*reached)(struct bench *bench))
{
    bench->reached = reached;
    bench->gave_up = false;
    ev_timer_set(&bench->deadline, PATIENCE, 0.);
    ev_timer_start(bench->loop, &bench->deadline);
    ev_run(bench->loop, 0);
    ev_timer_stop(bench->loop, &bench->deadline);
    bench->reached = NULL;
    ck_assert_msg(!bench->gave_up, "the condition has not come true");
}

struct bench *bench_open(void)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    ck_assert_ptr_nonnull(bench);
    strcpy(bench->folder, "/tmp/sluice-link.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/s", bench->folder);
    bench->loop = ev_loop_new(EVFLAG_AUTO);
    bench->now = read_clock();
    ev_check_init(&bench->clock, on_check);
    ev_set_priority(&bench->clock, EV_MAXPRI);
    ev_prepare_init(&bench->watch, on_prepare);
    ev_timer_init(&bench->deadline, on_deadline, PATIENCE, 0.);
    bench->clock.data = bench->watch.data = bench->deadline.data = bench;
    ev_check_start(bench->loop, &bench->clock);
    ev_prepare_start(bench->loop, &bench->watch);
    return bench;
}

void bench_close(struct bench *bench)
{
    static const char *const files[] = {"redis.log", "dump.rdb", "s"};
    redis_link_close(bench->link);
    redis_access_close(bench->access);
    bench_stop_server(bench, SIGKILL);
    ev_loop_destroy(bench->loop);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", bench->folder, files[i]);
        unlink(path);
    }
    rmdir(bench->folder);
    free(bench);
}

/* ---- the server ---------------------------------------------------------------------------- */

void bench_start_server(struct bench *bench, const char *const *options)
{
    const char *words[OPTIONS_MAX] = {
        "redis-server", "--port", "0", "--unixsocket", bench->path, "--dir",
        bench->folder,  "--save", "",  "--logfile",    "redis.log", "--repl-diskless-load",
        "disabled",
    };
    size_t count = 13;
    for (; options && *options; options++) {
        ck_assert_uint_lt(count + 1, OPTIONS_MAX);
        words[count++] = *options;
    }
    bench->server = fork();
    ck_assert_int_ge(bench->server, 0);
    if (bench->server == 0) {
        execvp(words[0], (char *const *)words);
        _exit(127);
    }
}

void bench_stop_server(struct bench *bench, int signal)
{
    if (!bench->server)
        return;
    kill(bench->server, signal);
    while (waitpid(bench->server, NULL, 0) < 0 && errno == EINTR)
        continue;
    bench->server = 0;
}

redisContext *bench_client(struct bench *bench)
{
    uint64_t end = read_clock() + (uint64_t)(PATIENCE * 1e6);
    for (;;) {
        redisContext *redis = redisConnectUnix(bench->path);
        ck_assert_ptr_nonnull(redis);
        if (!redis->err)
            return redis;
        redisFree(redis);
        ck_assert_msg(read_clock() < end, "no server at %s", bench->path);
        usleep(1000); /* polls for the server, which is another process */
    }
}

void bench_command(struct bench *bench, const char *command)
{
    redisContext *redis = bench_client(bench);
    redisReply *reply = redisCommand(redis, command);
    ck_assert_msg(reply != NULL, "%s: %s", command, redis->errstr);
    ck_assert_msg(reply->type != REDIS_REPLY_ERROR, "%s: %s", command, reply->str);
    freeReplyObject(reply);
    redisFree(redis);
}

/* ---- the link ------------------------------------------------------------------------------ */

static void changed(void *context)
{
    ((struct bench *)context)->changes++;
}

void bench_access(struct bench *bench, const char *user, const char *password)
{
    char why[REDIS_WHY_MAX];
    struct rules_store store = {0};
    if (user)
        store.user = slice_of_string(user);
    if (password) {
        setenv("SLUICE_TEST_PASSWORD", password, 1);
        store.password_env = SLICE("SLUICE_TEST_PASSWORD");
    }
    redis_access_close(bench->access);
    bench->access = redis_access_open(&store, false, why);
    ck_assert_msg(bench->access != NULL, "%s", why);
}

void bench_connect(struct bench *bench, bool primary)
{
    if (!bench->access)
        bench_access(bench, NULL, NULL);
    bench->link = redis_link_open(&(struct redis_link_options){
        .loop = bench->loop,
        .now = &bench->now,
        .host = bench->path,
        .name = bench->path,
        .access = bench->access,
        .patience = 1000000,
        .primary = primary,
        .breaker = {.failures = 3, .within = 10000000, .pause = 50000, .max_pause = 200000},
        .changed = changed,
        .context = bench,
    });
    ck_assert_ptr_nonnull(bench->link);
}

bool bench_is_up(struct bench *bench)
{
    return redis_link_is_up(bench->link);
}

bool bench_is_down(struct bench *bench)
{
    return !redis_link_is_up(bench->link);
}

bool bench_breaker_is_open(struct bench *bench)
{
    return counter_read(&redis_link_counters(bench->link)->opened) > 0;
}
