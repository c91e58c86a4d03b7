#include "traces.h"

/* Any whole number of windows since the epoch. */
static uint64_t start_of(const struct limit *limit)
{
    return limit->window * 1000;
}

/* One key, at a fraction of the limit's rate, each gap within half of the mean. */
static void fill_steady(const struct limit *limit, struct random *random, struct request *requests,
                        size_t count, uint64_t rate_percent)
{
    uint64_t gap = limit->window * 100 / (limit->units * rate_percent);
    uint64_t now = start_of(limit);
    for (size_t i = 0; i < count; i++) {
        now += gap / 2 + random_below(random, gap + 1);
        requests[i] = (struct request){now, 0};
    }
}

static void fill_half(const struct limit *limit, struct random *random, struct request *requests,
                      size_t count)
{
    fill_steady(limit, random, requests, count, 50);
}

static void fill_full(const struct limit *limit, struct random *random, struct request *requests,
                      size_t count)
{
    fill_steady(limit, random, requests, count, 100);
}

static void fill_double(const struct limit *limit, struct random *random, struct request *requests,
                        size_t count)
{
    fill_steady(limit, random, requests, count, 200);
}

/* One key: up to three limits' worth within a fraction of a window, then nothing for up to two
 * windows, and again. */
static void fill_bursty(const struct limit *limit, struct random *random, struct request *requests,
                        size_t count)
{
    uint64_t now = start_of(limit);
    for (size_t i = 0; i < count;) {
        now += random_below(random, 2 * limit->window);
        size_t burst = 1 + random_below(random, 3 * limit->units);
        for (; burst && i < count; burst--) {
            now += random_below(random, limit->window / 5000);
            requests[i++] = (struct request){now, 0};
        }
    }
}

/* 1,000 keys, the one of rank r asked for in proportion to 1 / r; in all at 50 times the rate of
 * one limit, so that the first six or so are asked for more than is allowed. */
static void fill_zipf(const struct limit *limit, struct random *random, struct request *requests,
                      size_t count)
{
    static uint64_t sums[TRACE_KEYS]; /* of the weights up to each key */
    uint64_t sum = 0;
    for (size_t key = 0; key < TRACE_KEYS; key++)
        sums[key] = sum += 1000000 / (key + 1);

    uint64_t gap = limit->window / (50 * limit->units);
    uint64_t now = start_of(limit);
    for (size_t i = 0; i < count; i++) {
        now += random_below(random, 2 * gap + 1);
        uint64_t at = random_below(random, sum);
        uint32_t key = 0;
        while (sums[key] <= at)
            key++;
        requests[i] = (struct request){now, key};
    }
}

struct requests {
    struct request *at;
    size_t left;
};

static void put(struct requests *requests, uint64_t time, uint64_t times)
{
    for (; times && requests->left; times--, requests->left--)
        *requests->at++ = (struct request){time, 0};
}

/* One key, nobody asking for windows on end, so that every algorithm has all to give. Then twice
 * the limit in the last microsecond of a window, and again in the first of the next: a fixed window
 * admits both. And then all through that window a request at each moment at which a sliding window
 * admits another (when the window before weighs one unit less), or a token bucket does (when one
 * more unit is refilled since that last microsecond), and every hundredth of the time between. */
static void fill_adversarial(const struct limit *limit, struct random *random,
                             struct request *requests, size_t count)
{
    (void)random;
    struct requests r = {requests, count};
    uint64_t window = limit->window;
    uint64_t unit = window / limit->units;
    for (uint64_t edge = start_of(limit); r.left; edge += 4 * window) {
        put(&r, edge - 1, 2 * limit->units);
        put(&r, edge, 2 * limit->units);
        for (uint64_t at = unit; at < window; at += unit) {
            for (uint64_t between = unit / 10; between < unit - 1; between += unit / 10)
                put(&r, edge + at - unit + between, 1);
            put(&r, edge + at - 1, 2);
            put(&r, edge + at, 2);
        }
    }
}

const struct trace traces[TRACES] = {
    {"steady, 0.5x", fill_half}, {"steady, 1x", fill_full},       {"steady, 2x", fill_double},
    {"bursty", fill_bursty},     {"Zipf, 1,000 keys", fill_zipf}, {"adversarial", fill_adversarial},
};
const struct trace *const trace_adversarial = &traces[TRACES - 1];
