/* How `sluice top` lays out what it shows. */
#pragma once

#include <stdio.h>

#include "agent/top/view.h"

struct top_screen {
    /* Of a terminal: what doesn't fit is cut. Plain text (rows is 0) is as long as it is, and has
     * no escapes. */
    unsigned columns;
    unsigned rows;
    enum top_order order;
    const char *trouble; /* why what is shown is old; NULL: it isn't */
};

void top_screen_write(const struct top_view *view, const struct top_screen *screen, FILE *stream);
