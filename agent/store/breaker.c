#include <assert.h>

#include "agent/store/breaker.h"

const char *breaker_phase_name(enum breaker_phase phase)
{
    static const char *const names[] = {
        [BREAKER_CLOSED] = "closed",
        [BREAKER_OPEN] = "open",
        [BREAKER_HALF_OPEN] = "half-open",
    };
    return names[phase];
}

/* Every change of phase. */
static void enter(struct breaker *breaker, enum breaker_phase phase)
{
    breaker->phase = phase;
    breaker->era++;
    breaker->entered[phase]++;
}

/* 3/4 to 5/4 of it. */
static uint64_t jittered(uint64_t pause, uint64_t chance)
{
    uint64_t quarter = pause / 4;
    return pause - quarter + chance % (2 * quarter + 1);
}

/* Opens it for the first pause, or, after a probe in vain, for one twice as long as the last. */
static void open_breaker(struct breaker *breaker, const struct breaker_settings *settings,
                         uint64_t now, uint64_t chance)
{
    uint64_t pause = settings->pause;
    if (breaker->phase == BREAKER_CLOSED)
        breaker->opened++;
    else
        pause = breaker->pause > settings->max_pause / 2 ? settings->max_pause : breaker->pause * 2;
    enter(breaker, BREAKER_OPEN);
    breaker->failed = 0;
    breaker->pause = pause;
    breaker->ends_at = now + jittered(pause, chance);
}

bool breaker_allows(struct breaker *breaker, const struct breaker_settings *settings, uint64_t now,
                    uint64_t chance, uint64_t *era)
{
    if (breaker->phase != BREAKER_CLOSED) {
        if (now < breaker->ends_at)
            return false;
        if (breaker->phase == BREAKER_HALF_OPEN) {
            open_breaker(breaker, settings, now, chance);
            return false;
        }
        enter(breaker, BREAKER_HALF_OPEN);
        breaker->ends_at = now + breaker->pause;
    }
    *era = breaker->era;
    return true;
}

void breaker_succeeded(struct breaker *breaker, uint64_t era)
{
    if (era != breaker->era || breaker->phase != BREAKER_HALF_OPEN)
        return;
    enter(breaker, BREAKER_CLOSED);
    breaker->pause = 0;
}

/* Notes a failure; true when it is one too many. */
static bool one_too_many(struct breaker *breaker, const struct breaker_settings *settings,
                         uint64_t now)
{
    /* Those that are too old to count make room. */
    while (breaker->failed && now - breaker->failed_at[breaker->oldest] >= settings->within) {
        breaker->oldest = (breaker->oldest + 1) % BREAKER_FAILURES_MAX;
        breaker->failed--;
    }
    breaker->failed_at[(breaker->oldest + breaker->failed) % BREAKER_FAILURES_MAX] = now;
    breaker->failed++;
    return breaker->failed >= settings->failures;
}

void breaker_failed(struct breaker *breaker, const struct breaker_settings *settings, uint64_t now,
                    uint64_t chance, uint64_t era)
{
    assert(settings->failures >= 1 && settings->failures <= BREAKER_FAILURES_MAX);
    if (era != breaker->era || breaker->phase == BREAKER_OPEN)
        return;
    if (breaker->phase == BREAKER_HALF_OPEN || one_too_many(breaker, settings, now))
        open_breaker(breaker, settings, now, chance);
}
