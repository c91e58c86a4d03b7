#include "agent/top/fetcher.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 5000

struct top_fetcher {
    const struct top_source *source;
    double interval;
    int news;  /* eventfd, to who shows them */
    int hurry; /* eventfd, to the thread */
    _Atomic int order;
    pthread_mutex_t lock; /* of what follows */
    struct top_sample sample;
    char why[ADMIN_WHY_MAX]; /* empty: there is a sample */
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

bool top_fetch(const struct top_source *source, enum top_order order, struct top_sample *sample,
               char why[ADMIN_WHY_MAX])
{
    char path[64];
    char why_not[ADMIN_WHY_MAX];
    unsigned status;
    *sample = (struct top_sample){0};
    sample->stats = admin_fetch(&source->endpoint, "/stats/distributed", source->token_file,
                                TIMEOUT_MS, NULL, why);
    sample->at = now();
    if (sample->stats)
        sample->health = admin_fetch(&source->endpoint, "/health/distributed", source->token_file,
                                     TIMEOUT_MS, &status, why);
    if (!sample->health) {
        top_sample_free(sample);
        return false;
    }
    snprintf(path, sizeof(path), "/top?by=%s&count=%d",
             order == TOP_BY_REFUSED ? "refused" : "requests", TOP_KEYS_MAX);
    sample->top =
        admin_fetch(&source->endpoint, path, source->token_file, TIMEOUT_MS, NULL, why_not);
    return true;
}

static void tell(int descriptor)
{
    uint64_t one = 1;
    ssize_t written = write(descriptor, &one, sizeof(one));
    (void)written; /* full: it is told already */
}

static bool hear(int descriptor)
{
    uint64_t times;
    return read(descriptor, &times, sizeof(times)) > 0;
}

/* Until then, or until it is told to hurry. */
static void wait_until(struct top_fetcher *fetcher, double due)
{
    struct pollfd hurry = {.fd = fetcher->hurry, .events = POLLIN};
    double left = due - now();
    if (poll(&hurry, 1, left > 0 ? (int)ceil(left * 1000) : 0) > 0)
        hear(fetcher->hurry);
}

/* Never ends: the process does. */
static void *run(void *argument)
{
    struct top_fetcher *fetcher = argument;
    double due = now();
    for (;;) {
        struct top_sample sample;
        char why[ADMIN_WHY_MAX] = "";
        wait_until(fetcher, due + fetcher->interval);
        due = now();
        bool is_answered = top_fetch(fetcher->source, (enum top_order)fetcher->order, &sample, why);
        pthread_mutex_lock(&fetcher->lock);
        top_sample_free(&fetcher->sample);
        fetcher->sample = sample;
        snprintf(fetcher->why, sizeof(fetcher->why), "%s", is_answered ? "" : why);
        pthread_mutex_unlock(&fetcher->lock);
        tell(fetcher->news);
    }
    return NULL;
}

struct top_fetcher *top_fetcher_start(const struct top_source *source, double interval,
                                      enum top_order order)
{
    struct top_fetcher *fetcher = calloc(1, sizeof(*fetcher));
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    if (!fetcher)
        return NULL;
    fetcher->source = source;
    fetcher->interval = interval;
    fetcher->order = order;
    fetcher->news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fetcher->hurry = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&fetcher->lock, NULL);
    /* Signals are for the thread that shows. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_started = fetcher->news >= 0 && fetcher->hurry >= 0 &&
                      pthread_create(&thread, NULL, run, fetcher) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (is_started) {
        pthread_detach(thread);
        return fetcher;
    }
    if (fetcher->news >= 0)
        close(fetcher->news);
    if (fetcher->hurry >= 0)
        close(fetcher->hurry);
    pthread_mutex_destroy(&fetcher->lock);
    free(fetcher);
    return NULL;
}

int top_fetcher_descriptor(const struct top_fetcher *fetcher)
{
    return fetcher->news;
}

bool top_fetcher_take(struct top_fetcher *fetcher, struct top_sample *sample,
                      char why[ADMIN_WHY_MAX])
{
    hear(fetcher->news);
    pthread_mutex_lock(&fetcher->lock);
    *sample = fetcher->sample;
    fetcher->sample = (struct top_sample){0};
    snprintf(why, ADMIN_WHY_MAX, "%s", fetcher->why);
    pthread_mutex_unlock(&fetcher->lock);
    return sample->stats != NULL;
}

void top_fetcher_sort(struct top_fetcher *fetcher, enum top_order order)
{
    fetcher->order = order;
    tell(fetcher->hurry);
}
