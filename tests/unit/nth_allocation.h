/* One allocation that fails: that behind `left` others, while `armed`. Those that the test and
 * Check make in between, unarmed, don't count. */
#pragma once

#include "allocations.h"

static size_t left;
static bool armed;
static bool has_failed;

static bool fails(void)
{
    bool now = armed && !has_failed && left-- == 0;
    has_failed = has_failed || now;
    return now;
}
