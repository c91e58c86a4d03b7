/* Asks an agent from time to time, on a thread of its own, so that whoever shows what it says is
 * never kept by an agent that gives no answer. */
#pragma once

#include "agent/admin/client.h"
#include "agent/top/view.h"

struct top_source {
    struct endpoint endpoint;
    const char *token_file; /* NULL: none */
};

/* Asks once and waits for it: for each page 5 seconds at most for each step. On failure the sample
 * is as if none had been taken, and why says what is wrong. */
bool top_fetch(const struct top_source *source, enum top_order order, struct top_sample *sample,
               char why[ADMIN_WHY_MAX]);

struct top_fetcher;

/* Asks each `interval` seconds, the first time after one. source outlives it, which ends with the
 * process. NULL when it can't be started. */
struct top_fetcher *top_fetcher_start(const struct top_source *source, double interval,
                                      enum top_order order);

/* Readable once there is something new. */
int top_fetcher_descriptor(const struct top_fetcher *fetcher);

/* What came last: true with the sample, which is the caller's then; false, with why, where the last
 * answer was none. */
bool top_fetcher_take(struct top_fetcher *fetcher, struct top_sample *sample,
                      char why[ADMIN_WHY_MAX]);

/* Which keys /top is asked for. Asks anew at once. */
void top_fetcher_sort(struct top_fetcher *fetcher, enum top_order order);
