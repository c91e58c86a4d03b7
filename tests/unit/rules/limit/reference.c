#include "reference.h"
#include "main.h"

__extension__ typedef unsigned __int128 wide;

void reference_open(struct reference *reference, const struct limit *limit)
{
    *reference = (struct reference){.limit = *limit};
}

void reference_close(struct reference *reference)
{
    free(reference->grants);
    reference->grants = NULL;
}

/* The units granted in the window with this number, counted from the epoch. */
static uint64_t in_window(const struct reference *reference, uint64_t number)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < reference->count; i++)
        if (reference->grants[i].time / reference->limit.window == number)
            sum += reference->grants[i].units;
    return sum;
}

static bool fixed_window_admits(const struct reference *reference, uint64_t now, uint64_t n)
{
    return in_window(reference, now / reference->limit.window) + n <= reference->limit.units;
}

static bool sliding_window_admits(const struct reference *reference, uint64_t now, uint64_t n)
{
    uint64_t window = reference->limit.window;
    uint64_t number = now / window;
    uint64_t before = number ? in_window(reference, number - 1) : 0;
    wide weighted = (wide)before * (window - now % window);
    return weighted + (wide)(in_window(reference, number) + n) * window <=
           (wide)reference->limit.units * window;
}

/* burst + rate x t in any span of t: of those that end now, each that starts with a grant. */
static bool token_bucket_admits(const struct reference *reference, uint64_t now, uint64_t n)
{
    const struct limit *limit = &reference->limit;
    wide sum = n;
    if (n > limit->burst)
        return false;
    for (size_t i = reference->count; i--;) {
        sum += reference->grants[i].units;
        if (reference->grants[i].units &&
            sum * limit->window > (wide)limit->burst * limit->window +
                                      (wide)(now - reference->grants[i].time) * limit->units)
            return false;
    }
    return true;
}

static bool sliding_log_admits(const struct reference *reference, uint64_t now, uint64_t n)
{
    uint64_t sum = n;
    for (size_t i = 0; i < reference->count; i++)
        if (now - reference->grants[i].time < reference->limit.window)
            sum += reference->grants[i].units;
    return sum <= reference->limit.units;
}

bool reference_admits(const struct reference *reference, uint64_t now, uint64_t n)
{
    if (now < reference->clock)
        now = reference->clock;
    if (n == 0)
        return true;
    if (reference->limit.units == 0)
        return false;
    switch (reference->limit.algorithm) {
    case LIMIT_FIXED_WINDOW:
        return fixed_window_admits(reference, now, n);
    case LIMIT_SLIDING_WINDOW:
        return sliding_window_admits(reference, now, n);
    case LIMIT_TOKEN_BUCKET:
        return token_bucket_admits(reference, now, n);
    case LIMIT_SLIDING_LOG:
        return sliding_log_admits(reference, now, n);
    default:
        ck_abort_msg("no such algorithm");
        return false;
    }
}

void reference_note(struct reference *reference, uint64_t now, uint64_t n)
{
    if (n == 0)
        return;
    if (reference->count % 64 == 0) {
        size_t size = (reference->count + 64) * sizeof(*reference->grants);
        reference->grants = realloc(reference->grants, size);
        ck_assert_ptr_nonnull(reference->grants);
    }
    if (reference->clock < now)
        reference->clock = now;
    reference->grants[reference->count++] =
        (struct reference_grant){.asked_at = now, .time = reference->clock, .units = n};
}
