/* The agent's clock: microseconds since the Unix epoch that never go back.
 *
 * The wall clock is read once, when the agent starts; from then on the monotonic clock counts. A
 * step of the system's time moves no window and forgives no refusal. Over weeks the two may drift
 * apart by what NTP slews: windows are then aligned to a slightly older idea of the epoch.
 */
#pragma once

#include <stdint.h>

/* Thread-safe. */
uint64_t clock_now(void);

/* By how many microseconds the system's clock, which may have been set since, is ahead of it now.
 * Thread-safe. */
int64_t clock_wall_ahead(void);
