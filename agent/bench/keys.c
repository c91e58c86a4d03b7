#include <math.h>

#include "agent/bench/keys.h"
#include "base/base.h"

/* ---- Zipf ------------------------------------------------------------------------------------ */

/* Rejection-inversion (Hörmann, Derflinger: Rejection-inversion to generate variates from monotone
 * discrete distributions, 1996): no table, and a time that doesn't depend on the number of keys.
 * integral() is that of the density x^-exponent, from 1 on. The two helpers are what is left of it
 * where the exponent is near 1 and the plain formulas lose their digits. */

static double log1p_by_x(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x * (0.5 - x * (1.0 / 3 - 0.25 * x));
}

static double expm1_by_x(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x * 0.5 * (1 + x / 3 * (1 + 0.25 * x));
}

static double density(double exponent, double x)
{
    return exp(-exponent * log(x));
}

static double integral(double exponent, double x)
{
    return expm1_by_x((1 - exponent) * log(x)) * log(x);
}

static double integral_inverse(double exponent, double y)
{
    double t = y * (1 - exponent);
    return exp(log1p_by_x(t < -1 ? -1 : t) * y);
}

static uint64_t zipf_next(struct bench_keys *keys)
{
    for (;;) {
        double uniform = (double)(chance_next(&keys->state) >> 11) * 0x1p-53;
        double y = keys->last + uniform * (keys->first - keys->last);
        double x = integral_inverse(keys->exponent, y);
        double rank = floor(x + 0.5);
        rank = rank < 1 ? 1 : rank;
        rank = rank > (double)keys->count ? (double)keys->count : rank;
        if (rank - x <= keys->near ||
            y >= integral(keys->exponent, rank + 0.5) - density(keys->exponent, rank))
            return (uint64_t)rank - 1;
    }
}

void bench_keys_open(struct bench_keys *keys, enum bench_order order, uint64_t count,
                     double exponent, uint64_t seed)
{
    *keys = (struct bench_keys){.order = order, .count = count, .exponent = exponent};
    keys->state = order == BENCH_IN_TURN ? 0 : seed;
    if (order != BENCH_ZIPF)
        return;
    keys->first = integral(exponent, 1.5) - 1;
    keys->last = integral(exponent, (double)count + 0.5);
    keys->near = 2 - integral_inverse(exponent, integral(exponent, 2.5) - density(exponent, 2));
}

uint64_t bench_keys_next(struct bench_keys *keys)
{
    switch (keys->order) {
    case BENCH_ZIPF:
        return zipf_next(keys);
    case BENCH_IN_TURN:
        return keys->state++ % keys->count;
    default:
        return (uint64_t)((unsigned __int128)chance_next(&keys->state) * keys->count >> 64);
    }
}
