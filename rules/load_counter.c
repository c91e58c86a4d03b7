#include <stdio.h>

#include "rules/loader.h"

/* What a limit counts in: one for each algorithm and window of a rule. Limits of several tiers and
 * overrides share them, so that who changes its tier keeps its counts. */
struct counter_draft {
    enum limit_algorithm algorithm;
    uint64_t window;
    struct slice name; /* of a limit that has none of its own */
    struct slice store_name;
    struct hash128 identity;
};

struct counters {
    struct rules_rule *rule;
    struct counter_draft counters[RULES_MAX_COUNTERS];
    size_t count;
};

/* In the table of limits' names: counters of a rule, and those of its penalty. */
#define NUMBERS (RULES_MAX_COUNTERS + RULES__PENALTY_COUNTERS)

static uint32_t number_of(const struct rules_rule *rule, size_t counter)
{
    return rule->index * NUMBERS + (uint32_t)counter;
}

/* ---- names --------------------------------------------------------------------------------- */

static bool shares_window(const struct counters *counters, size_t at)
{
    for (size_t i = 0; i < counters->count; i++)
        if (i != at && counters->counters[i].window == counters->counters[at].window)
            return true;
    return false;
}

/* "login", "login-15m", or "login-15m-token-bucket": as long as it has to be to be unlike its
 * neighbours. */
static struct slice default_name(const struct counters *counters, size_t at, char *buffer,
                                 size_t size)
{
    const struct counter_draft *counter = &counters->counters[at];
    struct writer w = writer_open(buffer, size);
    writer_bytes(&w, counters->rule->name);
    if (counters->count > 1) {
        writer_uint8(&w, '-');
        rules_print_duration(counter->window, &w);
    }
    if (shares_window(counters, at)) {
        writer_uint8(&w, '-');
        writer_bytes(&w, slice_of_string(limit_algorithm_name(counter->algorithm)));
    }
    return writer_slice(&w);
}

/* Metrics and the RateLimit headers tell limits apart by it. */
struct slice rules__claim_name(struct rules__loader *loader, const struct rules_rule *rule,
                               size_t counter, struct slice name, const struct rules__node *node)
{
    if (name.size > RULES_NAME_MAX) {
        rules__problem(loader, node,
                       "the name %.*s of this limit is too long, expected a shorter name of the "
                       "rule, or a name of the limit's own, of at most %d bytes",
                       SLICE_ARGS(name), RULES_NAME_MAX);
        return slice_of(NULL, 0);
    }
    struct slice kept = rules__keep(loader, name);
    int64_t owner = rules__names_find(&loader->limit_names, name);
    if (owner < 0) {
        if (!rules__names_put(&loader->limit_names, &loader->scratch, kept,
                              number_of(rule, counter)))
            rules__no_memory(loader);
    } else if ((uint32_t)owner != number_of(rule, counter)) {
        const struct rules_rule *other = &loader->set->rules[owner / NUMBERS];
        rules__problem(
            loader, node,
            "a limit named %.*s again, expected a name of its own (rule %.*s on %s has one "
            "so named)",
            SLICE_ARGS(name), SLICE_ARGS(other->name),
            RULES__WHERE(loader->set, other, node->file));
    }
    return kept;
}

/* ---- what a counter is called by stores ---------------------------------------------------- */

struct hash128 rules__identity(const struct rules__loader *loader, const struct rules_rule *rule,
                               uint8_t kind, const struct limit *limit)
{
    uint8_t buffer[RULES_NAME_MAX + 16];
    struct writer w = writer_open(buffer, sizeof(buffer));
    /* What has a fixed size first, so that no name can imitate it. */
    writer_uint8(&w, kind);
    writer_uint8(&w, loader->environment->is_candidate);
    writer_uint8(&w, (uint8_t)limit->algorithm);
    writer_uint32(&w, (uint32_t)(limit->window >> 32));
    writer_uint32(&w, (uint32_t)limit->window);
    writer_bytes(&w, rule->name);
    return hash128(writer_slice(&w), loader->set->seed);
}

/* Rules' names have no ':', so that no name of the one kind is one of the other. */
void rules__begin_store_name(const struct rules__loader *loader, const struct rules_rule *rule,
                             struct writer *w)
{
    if (loader->environment->is_candidate)
        writer_bytes(w, SLICE("candidate:"));
    writer_bytes(w, rule->name);
    writer_uint8(w, ':');
}

static struct slice store_name_of(struct rules__loader *loader, const struct rules_rule *rule,
                                  const struct counter_draft *counter)
{
    char buffer[RULES_STORE_NAME_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    rules__begin_store_name(loader, rule, &w);
    writer_bytes(&w, slice_of_string(limit_algorithm_name(counter->algorithm)));
    writer_uint8(&w, '-');
    rules_print_duration(counter->window, &w);
    return rules__keep(loader, writer_slice(&w));
}

/* draft-ietf-httpapi-ratelimit-headers, section 3: seconds are all it has. */
void rules__write_policy(struct rules__loader *loader, struct rules_limit *limit)
{
    char buffer[RULES_NAME_MAX + 64];
    struct writer w = writer_open(buffer, sizeof(buffer));
    writer_uint8(&w, '"');
    writer_bytes(&w, limit->name);
    writer_bytes(&w, SLICE("\";q="));
    writer_decimal(&w, limit->limit.units);
    writer_bytes(&w, SLICE(";w="));
    writer_decimal(&w, (limit->limit.window + 999999) / 1000000);
    limit->policy = rules__keep(loader, writer_slice(&w));
}

/* ---- a rule's limits, all together --------------------------------------------------------- */

/* RULES_MAX_COUNTERS when there is none. */
static size_t find_counter(const struct counters *counters, const struct limit *limit)
{
    for (size_t i = 0; i < counters->count; i++)
        if (counters->counters[i].algorithm == limit->algorithm &&
            counters->counters[i].window == limit->window)
            return i;
    return RULES_MAX_COUNTERS;
}

/* False, reported, when there are too many. */
static bool add_counters(struct rules__loader *loader, struct counters *counters,
                         const struct rules__list_draft *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct limit *limit = &list->limits[i].limit;
        if (!limit->window || find_counter(counters, limit) < RULES_MAX_COUNTERS)
            continue;
        if (counters->count == RULES_MAX_COUNTERS) {
            rules__problem(loader, list->drafts[i].node,
                           "one algorithm or window too many in the limits of a rule, expected at "
                           "most %d that differ",
                           RULES_MAX_COUNTERS);
            return false;
        }
        struct counter_draft *counter = &counters->counters[counters->count++];
        counter->algorithm = limit->algorithm;
        counter->window = limit->window;
        counter->identity = rules__identity(loader, counters->rule, 'L', limit);
        counter->store_name = store_name_of(loader, counters->rule, counter);
    }
    return true;
}

static bool is_again(struct rules__loader *loader, const struct rules__list_draft *list, size_t at)
{
    const struct limit *limit = &list->limits[at].limit;
    for (size_t i = 0; i < at; i++) {
        char buffer[32];
        struct writer w = writer_open(buffer, sizeof(buffer));
        if (list->limits[i].limit.algorithm != limit->algorithm ||
            list->limits[i].limit.window != limit->window)
            continue;
        rules_print_duration(limit->window, &w);
        rules__problem(loader, list->drafts[at].node,
                       "a second limit with algorithm %s and window %.*s, expected one of them to "
                       "differ",
                       limit_algorithm_name(limit->algorithm), SLICE_ARGS(writer_slice(&w)));
        return true;
    }
    return false;
}

static void finish_limit(struct rules__loader *loader, struct counters *counters,
                         struct rules_limit *limit, const struct rules__limit_draft *draft)
{
    size_t at = find_counter(counters, &limit->limit);
    struct counter_draft *counter = &counters->counters[at];
    char buffer[RULES_NAME_MAX + 64];
    if (draft->name.size) {
        limit->name = rules__claim_name(loader, counters->rule, at, draft->name, draft->name_node);
    } else {
        if (!counter->name.size)
            counter->name =
                rules__claim_name(loader, counters->rule, at,
                                  default_name(counters, at, buffer, sizeof(buffer)), draft->node);
        limit->name = counter->name;
    }
    limit->identity = counter->identity;
    limit->store_name = counter->store_name;
    rules__write_policy(loader, limit);
}

void rules__finish_limits(struct rules__loader *loader, const struct rules__limits_draft *draft)
{
    struct rules_rule *rule = draft->rule;
    struct counters counters = {.rule = rule};
    struct rules_limit_list *lists = rules__allocate(loader, draft->count, sizeof(*lists));
    if (!lists || !rule->name.size)
        return; /* reported */
    for (size_t i = 0; i < draft->count; i++)
        if (!add_counters(loader, &counters, &draft->lists[i]))
            return;
    for (size_t i = 0; i < draft->count && !loader->out_of_memory; i++) {
        const struct rules__list_draft *list = &draft->lists[i];
        for (size_t k = 0; k < list->count; k++)
            if (list->limits[k].limit.window && !is_again(loader, list, k))
                finish_limit(loader, &counters, &list->limits[k], &list->drafts[k]);
        lists[i] = (struct rules_limit_list){list->limits, list->count};
        loader->set->limit_count += list->count;
    }
    rule->lists = lists;
    rule->list_count = draft->count;
}
