/* How metrics are written: Prometheus' text format. Internal to the metrics files. */
#pragma once

#include <inttypes.h>
#include <stdio.h>

#include "agent/metrics.h"

static inline void metrics__head(FILE *stream, const char *name, const char *type, const char *help)
{
    fprintf(stream, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static inline void metrics__single(FILE *stream, const char *name, const char *type,
                                   const char *help, uint64_t number)
{
    metrics__head(stream, name, type, help);
    fprintf(stream, "%s %" PRIu64 "\n", name, number);
}

/* The samples; labels: what each has between its braces, without le. */
void metrics__histogram(FILE *stream, const char *name, const char *labels,
                        const struct histogram *histogram);

/* ---- metrics_process.c --------------------------------------------------------------------- */

/* What Prometheus's own libraries tell of a process, by their names. */
void metrics__write_process(FILE *stream);

/* ---- metrics_rules.c ----------------------------------------------------------------------- */

/* Rules that have counters of their own, the first of the file; those of the others are added up.
 */
#define METRICS_RULES_MAX 1000

void metrics__write_rules(const struct control *control, FILE *stream);

/* ---- metrics_candidate.c ------------------------------------------------------------------- */

/* Where the candidate's answers differ from those that were given. */
void metrics__write_candidate(const struct control *control, FILE *stream);

/* ---- metrics_redis.c ----------------------------------------------------------------------- */

/* What a store that is shared with other agents does; nothing where there is none. */
void metrics__write_redis(const struct control *control, FILE *stream);
