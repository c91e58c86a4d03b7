/* Against a real redis-server, started and stopped by each test. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/store/redis_link.h"
#include "main.h"

/* How long a condition may take to come true (seconds); it comes true much earlier. */
#define PATIENCE 20.

struct bench {
    struct ev_loop *loop;
    ev_check clock;
    ev_timer deadline;
    ev_prepare watch;
    uint64_t now;
    bool (*reached)(struct bench *bench);
    bool gave_up;
    char folder[64];
    char path[96];
    pid_t server;
    struct redis_access *access;
    struct redis_link *link;
    unsigned changes;
    unsigned replies;
    unsigned lost;
};

static uint64_t read_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void on_check(struct ev_loop *loop, ev_check *watcher, int events)
{
    (void)loop;
    (void)events;
    ((struct bench *)watcher->data)->now = read_clock();
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

static void wait_until(struct bench *bench, bool (*reached)(struct bench *bench))
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

/* Not waited for: the link is to come up whenever the server does. */
static void start_server(struct bench *bench, const char *password)
{
    bench->server = fork();
    ck_assert_int_ge(bench->server, 0);
    if (bench->server == 0) {
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", bench->path, "--dir",
               bench->folder, "--save", "", "--logfile", "redis.log", "--requirepass", password,
               (char *)NULL);
        _exit(127);
    }
}

static void stop_server(struct bench *bench, int signal)
{
    if (!bench->server)
        return;
    kill(bench->server, signal);
    while (waitpid(bench->server, NULL, 0) < 0 && errno == EINTR)
        continue;
    bench->server = 0;
}

static void changed(void *context)
{
    ((struct bench *)context)->changes++;
}

/* The password comes from the environment; NULL: none. */
static void connect_link(struct bench *bench, const char *password)
{
    char why[REDIS_WHY_MAX];
    struct rules_store store = {0};
    if (password) {
        setenv("SLUICE_TEST_PASSWORD", password, 1);
        store.password_env = SLICE("SLUICE_TEST_PASSWORD");
    }
    redis_access_close(bench->access);
    bench->access = redis_access_open(&store, false, why);
    ck_assert_msg(bench->access != NULL, "%s", why);
    bench->link = redis_link_open(&(struct redis_link_options){
        .loop = bench->loop,
        .now = &bench->now,
        .host = bench->path,
        .name = bench->path,
        .access = bench->access,
        .patience = 1000000,
        .breaker = {.failures = 3, .within = 10000000, .pause = 50000, .max_pause = 200000},
        .changed = changed,
        .context = bench,
    });
    ck_assert_ptr_nonnull(bench->link);
}

static struct bench *bench_open(void)
{
    struct bench *bench = calloc(1, sizeof(*bench));
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

static void bench_close(struct bench *bench)
{
    char log[96];
    redis_link_close(bench->link);
    redis_access_close(bench->access);
    stop_server(bench, SIGKILL);
    ev_loop_destroy(bench->loop);
    snprintf(log, sizeof(log), "%s/redis.log", bench->folder);
    unlink(log);
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
}

static bool is_up(struct bench *bench)
{
    return redis_link_is_up(bench->link);
}

static bool is_down(struct bench *bench)
{
    return !redis_link_is_up(bench->link);
}

static bool breaker_is_open(struct bench *bench)
{
    return counter_read(&redis_link_counters(bench->link)->opened) > 0;
}

static bool all_answered(struct bench *bench)
{
    return bench->replies + bench->lost == 3;
}

static void on_reply(redisAsyncContext *redis, void *data, void *context)
{
    struct bench *bench = context;
    (void)redis;
    if (data)
        bench->replies++;
    else
        bench->lost++;
}

static void send_three(struct bench *bench)
{
    bench->replies = bench->lost = 0;
    for (int i = 0; i < 3; i++)
        ck_assert(redis_link_send(bench->link, SLICE("*1\r\n$4\r\nPING\r\n"), on_reply, bench));
}

START_TEST(comes_up_and_knows_the_servers_clock)
{
    struct bench *bench = bench_open();
    start_server(bench, "");
    connect_link(bench, NULL);
    wait_until(bench, is_up);
    const struct redis_link_counters *counters = redis_link_counters(bench->link);
    /* One machine, one clock: the reading is right to half of its round trip. */
    int64_t offset = (int64_t)counter_read(&counters->clock_offset);
    int64_t bound = (int64_t)counter_read(&counters->round_trip) / 2 + 1;
    ck_assert_int_le(offset, bound);
    ck_assert_int_ge(offset, -bound);
    send_three(bench);
    wait_until(bench, all_answered);
    ck_assert_uint_eq(bench->replies, 3);
    bench_close(bench);
}
END_TEST

START_TEST(a_server_that_is_not_there_opens_the_breaker_and_is_found_when_it_comes)
{
    struct bench *bench = bench_open();
    connect_link(bench, NULL);
    wait_until(bench, breaker_is_open);
    ck_assert(!redis_link_send(bench->link, SLICE("*1\r\n$4\r\nPING\r\n"), on_reply, bench));
    start_server(bench, "");
    wait_until(bench, is_up);
    ck_assert_uint_eq(counter_read(&redis_link_counters(bench->link)->breaker), BREAKER_CLOSED);
    bench_close(bench);
}
END_TEST

START_TEST(what_is_under_way_when_the_server_dies_is_told_lost)
{
    struct bench *bench = bench_open();
    start_server(bench, "");
    connect_link(bench, NULL);
    wait_until(bench, is_up);
    kill(bench->server, SIGSTOP); /* so that it can't answer before it dies */
    send_three(bench);
    stop_server(bench, SIGKILL);
    wait_until(bench, all_answered);
    ck_assert_uint_eq(bench->lost, 3);
    ck_assert(!redis_link_is_up(bench->link));
    ck_assert_uint_eq(bench->changes, 2); /* up, down */
    start_server(bench, "");
    wait_until(bench, is_up);
    bench_close(bench);
}
END_TEST

START_TEST(a_silent_server_is_given_up_and_found_again)
{
    struct bench *bench = bench_open();
    start_server(bench, "");
    connect_link(bench, NULL);
    wait_until(bench, is_up);
    kill(bench->server, SIGSTOP);
    send_three(bench);
    /* The store tells of deadlines that have passed; with the third the breaker opens. */
    for (int i = 0; i < 3; i++)
        redis_link_failed(bench->link, false, "no answer in time");
    ck_assert(!redis_link_is_up(bench->link));
    ck_assert_uint_eq(bench->lost, 3);
    /* It still accepts connections, which alone must not count as being there. */
    uint64_t failures = counter_read(&redis_link_counters(bench->link)->failures);
    ck_assert_uint_eq(failures, 4);
    kill(bench->server, SIGCONT);
    wait_until(bench, is_up);
    bench_close(bench);
}
END_TEST

START_TEST(a_password_that_is_wrong_keeps_it_down)
{
    struct bench *bench = bench_open();
    start_server(bench, "secret");
    connect_link(bench, "guess");
    wait_until(bench, breaker_is_open);
    ck_assert(is_down(bench));
    redis_link_close(bench->link);
    connect_link(bench, "secret");
    wait_until(bench, is_up);
    bench_close(bench);
}
END_TEST

START_TEST(closing_tells_what_is_under_way)
{
    struct bench *bench = bench_open();
    start_server(bench, "");
    connect_link(bench, NULL);
    wait_until(bench, is_up);
    send_three(bench);
    redis_link_close(bench->link);
    bench->link = NULL;
    ck_assert_uint_eq(bench->lost, 3);
    ck_assert_uint_eq(bench->changes, 1); /* who closes it needs no telling */
    bench_close(bench);
}
END_TEST

UNIT_MAIN("redis link", comes_up_and_knows_the_servers_clock,
          a_server_that_is_not_there_opens_the_breaker_and_is_found_when_it_comes,
          what_is_under_way_when_the_server_dies_is_told_lost,
          a_silent_server_is_given_up_and_found_again, a_password_that_is_wrong_keeps_it_down,
          closing_tells_what_is_under_way)
