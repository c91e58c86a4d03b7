/* Endpoints of tests, by their text. */
#pragma once

#include <check.h>

#include "base/base.h"

static inline struct endpoint endpoint_of(const char *text)
{
    struct endpoint endpoint;
    const char *expected = NULL;
    ck_assert_msg(endpoint_parse(slice_of_string(text), &endpoint, &expected), "%s: %s", text,
                  expected);
    return endpoint;
}
