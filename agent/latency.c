#include "agent/latency.h"

void latency_end_turn(struct latency *latency, uint64_t now)
{
    for (size_t i = 0; i < latency->count; i++) {
        uint64_t begun_at = latency->noted[i].begun_at;
        histogram_add(&latency->durations, now > begun_at ? now - begun_at : 0,
                      latency->noted[i].decisions);
    }
    latency->count = 0;
}
