/* What `sluice top` shows of an agent: what it said of itself twice, as rates. */
#pragma once

#include <jansson.h>

#include "base/base.h"

/* What a terminal might obey becomes '?', whoever wrote it. */
void top_clean(char *text);

/* As many rules as /stats/distributed tells of, and keys as are asked of /top. */
#define TOP_RULES_MAX 1000
#define TOP_KEYS_MAX  50

/* Of names and keys, what is shown; longer ones end with "...". */
#define TOP_TEXT_MAX 64

/* What an agent's pages said at one time. */
struct top_sample {
    json_t *stats;  /* /stats/distributed; NULL: none has been taken */
    json_t *health; /* /health/distributed */
    json_t *top;    /* /top; NULL: it isn't told */
    double at;      /* seconds, by a clock that isn't set */
};

/* Leaves it as if none had been taken. */
void top_sample_free(struct top_sample *sample);

/* What the tables are sorted by. */
enum top_order {
    TOP_BY_REFUSED,
    TOP_BY_REQUESTS,
};

/* Rates are a second, and NaN where they aren't known. Texts are printable ASCII, whatever the
 * agent said. */
struct top_rule {
    char name[TOP_TEXT_MAX + 1];
    double decisions;
    double refused;
    double shadow;
    double delayed;
    size_t place; /* in the file */
};

struct top_key {
    char rule[TOP_TEXT_MAX + 1];
    char key[TOP_TEXT_MAX + 1];
    double requests;
    double refused;
};

struct top_view {
    char version[TOP_TEXT_MAX + 1];
    char instance[TOP_TEXT_MAX + 1]; /* empty: it shares no counters */
    char store[TOP_TEXT_MAX + 1];
    char status[TOP_TEXT_MAX + 1];
    uint64_t agents;
    uint64_t shards;
    uint64_t shards_up; /* every worker is connected */
    uint64_t closed;    /* shards, by their breaker */
    uint64_t half_open;
    uint64_t open;
    uint64_t connections;
    uint64_t connections_max;
    uint64_t keys_held;
    uint64_t keys_max;
    double decisions;
    double refused;
    double shadow;
    double delayed;
    double fallbacks;
    bool tells_keys;
    double keys_seconds; /* that the keys' rates are of */
    size_t rule_count;
    size_t key_count;
    struct top_rule rules[TOP_RULES_MAX]; /* sorted */
    struct top_key keys[TOP_KEYS_MAX];    /* as /top sorts them */
};

/* before: the sample that rates are counted from. Anything that JSON can be is taken. */
void top_view_make(struct top_view *view, const struct top_sample *now,
                   const struct top_sample *before, enum top_order order);
