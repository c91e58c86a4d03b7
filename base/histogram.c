#include "base/base.h"

const uint32_t histogram_bounds[HISTOGRAM_BOUNDS] = {
    5,    10,    20,    50,    100,    200,    500,    1000,    2000,
    5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000,
};

void histogram_add(struct histogram *histogram, uint64_t duration, uint64_t times)
{
    size_t i = 0;
    while (i < HISTOGRAM_BOUNDS && duration > histogram_bounds[i])
        i++;
    counter_add(&histogram->counts[i], times);
    counter_add(&histogram->sum, duration * times);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
        counter_add(&to->counts[i], counter_read(&from->counts[i]));
    counter_add(&to->sum, counter_read(&from->sum));
}
