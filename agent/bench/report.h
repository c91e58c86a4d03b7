/* What a load found, for people or as JSON. */
#pragma once

#include <stdio.h>

#include "agent/bench/load.h"

void bench_report(const struct bench_options *options, const struct bench_result *result,
                  FILE *stream);

/* One object, on one line. */
void bench_report_json(const struct bench_options *options, const struct bench_result *result,
                       FILE *stream);
