/* All counters in Prometheus's text exposition format, version 0.0.4. */
#pragma once

#include <stdio.h>

#include "agent/control.h"

/* Thread-safe. */
void metrics_write(const struct control *control, FILE *stream);
