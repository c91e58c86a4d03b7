#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "agent/bench/client.h"
#include "agent/bench/load.h"
#include "agent/bench/schedule.h"
#include "agent/socket.h"

#define SECOND UINT64_C(1000000000)
#define EVENTS 64

volatile sig_atomic_t bench_interrupted;

struct load {
    const struct bench_options *options;
    struct bench_notify *notify;
    struct bench_result *result;
    char *why;
    int epoll;
    struct bench_client *clients;
    size_t client_count;
    size_t greeted;
    size_t turn; /* whose it is, in an open loop */
    bool full;   /* there, nobody had a place for a question that is due */
    struct bench_schedule schedule;
    struct bench_keys keys;
    uint64_t waiting;  /* questions without an answer yet */
    uint64_t heard_at; /* when the agent last answered, or was asked with nothing to answer */
    uint64_t told_at;  /* when progress was */
    uint64_t told;     /* how many answers it was then */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static uint64_t patience(const struct load *load)
{
    return load->options->timeout * 1000;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void ask(struct load *load, struct bench_client *client, uint64_t due, uint64_t now)
{
    if (load->waiting++ == 0)
        load->heard_at = now;
    bench_client_ask(client, load->notify, bench_keys_next(&load->keys), due);
}

static bool write_questions(struct load *load, struct bench_client *client)
{
    bool was_blocked = client->blocked;
    if (!bench_client_write(client, load->why))
        return false;
    if (client->blocked != was_blocked) {
        struct epoll_event wanted = {.events = client->blocked ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                     .data.ptr = client};
        epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &wanted);
    }
    return true;
}

/* A closed loop: as many as the connection has places for. */
static bool ask_all(struct load *load, struct bench_client *client, uint64_t now)
{
    uint64_t due;
    do {
        while (bench_client_may_ask(client, load->notify->size) &&
               bench_schedule_take(&load->schedule, now, &due))
            ask(load, client, due, now);
        if (!write_questions(load, client))
            return false;
    } while (!client->blocked && bench_client_may_ask(client, load->notify->size) &&
             bench_schedule_next(&load->schedule, now) <= now);
    return true;
}

/* An open loop: those that are due, on one connection after the other. */
static bool ask_due(struct load *load, uint64_t now)
{
    uint64_t due;
    size_t without_place = 0;
    while (without_place < load->client_count) {
        struct bench_client *client = &load->clients[load->turn];
        bool may_ask = bench_client_may_ask(client, load->notify->size);
        if (may_ask && !bench_schedule_take(&load->schedule, now, &due))
            break;
        if (may_ask)
            ask(load, client, due, now);
        without_place = may_ask ? 0 : without_place + 1;
        load->turn = (load->turn + 1) % load->client_count;
    }
    load->full = without_place == load->client_count;
    for (size_t i = 0; i < load->client_count; i++)
        if (!load->clients[i].blocked && !write_questions(load, &load->clients[i]))
            return false;
    return true;
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool count_answer(struct load *load, struct slice payload, uint64_t due, uint64_t now)
{
    struct bench_result *result = load->result;
    enum error error = bench_answers_add(&result->answers, payload);
    if (error) {
        snprintf(load->why, BENCH_WHY_MAX, "an answer is malformed: %s", error_text(error));
        return false;
    }
    bench_histogram_add(&result->latency, now > due ? now - due : 0);
    result->answered++;
    result->took = now - load->schedule.began_at;
    load->waiting--;
    load->heard_at = now;
    return true;
}

static bool read_answers(struct load *load, struct bench_client *client, uint64_t *now)
{
    uint64_t due;
    struct slice payload;
    if (!bench_client_read(client, load->why))
        return false;
    *now = now_ns();
    for (;;) {
        switch (bench_client_next(client, &due, &payload, load->why)) {
        case BENCH_CLIENT_NONE:
            return true;
        case BENCH_CLIENT_GREETED:
            load->greeted++;
            break;
        case BENCH_CLIENT_ANSWER:
            if (!count_answer(load, payload, due, *now))
                return false;
            break;
        case BENCH_CLIENT_FAILED:
            return false;
        }
    }
}

/* Waits until something comes, at the latest until then. */
static int wait_for_events(const struct load *load, struct epoll_event *events, uint64_t until)
{
    uint64_t now = now_ns();
    uint64_t left = until > now ? until - now : 0;
    struct timespec timeout = {(time_t)(left / SECOND), (long)(left % SECOND)};
    int count = epoll_pwait2(load->epoll, events, EVENTS, &timeout, NULL);
    if (count >= 0 || errno == EINTR)
        return count < 0 ? 0 : count;
    snprintf(load->why, BENCH_WHY_MAX, "epoll_pwait2: %s", strerror(errno));
    return -1;
}

/* One turn of the loop. running: questions are asked. */
static bool turn(struct load *load, uint64_t until, bool running)
{
    struct epoll_event events[EVENTS];
    int count = wait_for_events(load, events, until);
    bool closed_loop = load->schedule.rate == 0;
    uint64_t now = 0;
    for (int i = 0; i < count; i++) {
        struct bench_client *client = events[i].data.ptr;
        now = 0;
        if (events[i].events & ~(uint32_t)EPOLLOUT && !read_answers(load, client, &now))
            return false;
        now = now ? now : now_ns();
        if (events[i].events & EPOLLOUT && !write_questions(load, client))
            return false;
        if (running && closed_loop && !client->blocked && !ask_all(load, client, now))
            return false;
    }
    return count >= 0 && (!running || closed_loop || ask_due(load, now_ns()));
}

/* ---- the beginning --------------------------------------------------------------------------- */

static bool connect_one(struct load *load, struct bench_client *client)
{
    char why[SOCKET_WHY_MAX];
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = client};
    int fd = socket_connect(&load->options->endpoint, (int)(load->options->timeout / 1000), why);
    if (fd < 0) {
        snprintf(load->why, BENCH_WHY_MAX, "%.*s", BENCH_WHY_MAX - 1, why);
        return false;
    }
    if (!bench_client_open(client, fd, (uint32_t)load->options->in_flight, load->why))
        return false;
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &wanted) == 0)
        return true;
    snprintf(load->why, BENCH_WHY_MAX, "epoll_ctl: %s", strerror(errno));
    return false;
}

static bool connect_all(struct load *load)
{
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->clients = calloc(load->options->connections, sizeof(*load->clients));
    if (load->epoll < 0 || !load->clients) {
        snprintf(load->why, BENCH_WHY_MAX, "%s", strerror(errno));
        return false;
    }
    for (size_t i = 0; i < load->options->connections; i++)
        load->clients[i].fd = -1;
    while (load->client_count < load->options->connections)
        if (!connect_one(load, &load->clients[load->client_count++]))
            return false;
    uint64_t deadline = now_ns() + patience(load);
    while (load->greeted < load->client_count && !bench_interrupted) {
        if (!turn(load, deadline, false))
            return false;
        if (load->greeted < load->client_count && now_ns() >= deadline) {
            snprintf(load->why, BENCH_WHY_MAX, "the agent didn't answer the HELLO in time");
            return false;
        }
    }
    return true;
}

/* What the agent has agreed to must do for what is to be asked. */
static bool make_questions(struct load *load)
{
    uint32_t max_frame_size = QUESTION_FRAME_MAX;
    for (size_t i = 0; i < load->client_count; i++) {
        const struct spop_session *session = &load->clients[i].session;
        if (session->max_frame_size < max_frame_size)
            max_frame_size = session->max_frame_size;
        if (!(session->capabilities & SPOP_PIPELINING) && load->options->in_flight > 1) {
            snprintf(load->why, BENCH_WHY_MAX,
                     "the agent doesn't do pipelining, expected --in-flight 1");
            return false;
        }
    }
    if (!bench_notify_make(load->notify, load->options->message, (uint32_t)load->options->in_flight,
                           max_frame_size)) {
        snprintf(load->why, BENCH_WHY_MAX, "the arguments are larger than a frame of %u bytes",
                 max_frame_size);
        return false;
    }
    for (size_t i = 0; i < load->client_count; i++)
        load->clients[i].first_stream = load->notify->first_stream;
    return true;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void tell_progress(struct load *load, uint64_t now)
{
    if (now < load->told_at + SECOND)
        return;
    const struct bench_result *result = load->result;
    double seconds = (double)(now - load->told_at) / 1e9;
    fprintf(stderr,
            "%4.0f s: %.0f answers/s, %" PRIu64 " allowed, %" PRIu64 " refused, %" PRIu64
            " waiting, p99 %.1f us\n",
            (double)(now - load->schedule.began_at) / 1e9,
            (double)(result->answered - load->told) / seconds, result->answers.allowed,
            result->answers.refused, load->waiting,
            (double)bench_histogram_percentile(&result->latency, 99000) / 1000);
    load->told_at = now;
    load->told = result->answered;
}

/* What is left has waited in vain: the questions that were asked, and those for which there was no
 * place. */
static void give_up(struct load *load, uint64_t now)
{
    struct bench_result *result = load->result;
    uint64_t due;
    for (size_t i = 0; i < load->client_count; i++) {
        const struct bench_client *client = &load->clients[i];
        for (uint32_t stream = 0; stream < client->in_flight; stream++)
            if (client->due[stream] != BENCH_NEVER)
                bench_histogram_add(&result->latency, now - client->due[stream]);
    }
    result->unanswered = load->waiting;
    while (load->schedule.rate && bench_schedule_take(&load->schedule, now, &due)) {
        bench_histogram_add(&result->latency, now - due);
        result->unanswered++;
    }
}

static bool run(struct load *load)
{
    uint64_t now = now_ns();
    load->heard_at = load->told_at = load->schedule.began_at = now;
    load->schedule.ends_at =
        load->options->duration ? now + load->options->duration * 1000 : BENCH_NEVER;
    for (size_t i = 0; i < load->client_count && !load->schedule.rate; i++)
        if (!ask_all(load, &load->clients[i], now))
            return false;
    for (;;) {
        if (bench_interrupted && load->schedule.ends_at > now)
            load->schedule.ends_at = now;
        /* Where there is no place for the next question, an answer has to come before it. */
        uint64_t due = bench_schedule_next(&load->schedule, now);
        bool for_answers = !load->schedule.rate || load->full || due == BENCH_NEVER;
        uint64_t until = for_answers ? load->heard_at + patience(load) : due;
        if (due == BENCH_NEVER && load->waiting == 0)
            return true;
        if (load->waiting && now >= load->heard_at + patience(load)) {
            give_up(load, now);
            return true;
        }
        if (load->options->progress && until > load->told_at + SECOND)
            until = load->told_at + SECOND;
        if (!turn(load, until, true))
            return false;
        now = now_ns();
        if (load->options->progress)
            tell_progress(load, now);
    }
}

static bool measure(struct load *load)
{
    const struct bench_options *options = load->options;
    struct bench_result *result = load->result;
    struct bench_usage own;
    struct bench_usage agent = {0};
    if (!bench_usage_read(0, &own) ||
        (options->agent && !bench_usage_read(options->agent, &agent))) {
        snprintf(load->why, BENCH_WHY_MAX, "there is no process %d", (int)options->agent);
        return false;
    }
    if (!run(load))
        return false;
    result->asked = load->schedule.asked;
    bench_usage_read(0, &result->own);
    result->own.cpu -= own.cpu;
    result->own.user -= own.user;
    result->own.system -= own.system;
    if (!options->agent)
        return true;
    if (!bench_usage_read(options->agent, &result->agent)) {
        snprintf(load->why, BENCH_WHY_MAX, "process %d has ended", (int)options->agent);
        return false;
    }
    result->agent.cpu -= agent.cpu;
    result->agent.user -= agent.user;
    result->agent.system -= agent.system;
    return true;
}

bool bench_load_run(const struct bench_options *options, struct bench_notify *notify,
                    struct bench_result *result, char *why)
{
    struct load load = {
        .options = options,
        .notify = notify,
        .result = result,
        .why = why,
        .schedule = {.rate = options->rate, .count = options->count},
    };
    /* Otherwise the kernel lets a wait go on for 50 us more, so as to wake less often. */
    prctl(PR_SET_TIMERSLACK, 1);
    bench_keys_open(&load.keys, options->order, options->keys, options->exponent, options->seed);
    bool done = connect_all(&load) && make_questions(&load) && measure(&load);
    for (size_t i = 0; i < load.client_count; i++)
        bench_client_close(&load.clients[i]);
    free(load.clients);
    if (load.epoll >= 0)
        close(load.epoll);
    return done;
}
