#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "rules/loader.h"

/* A limit while its keys are read. */
struct draft {
    struct limit limit;
    uint64_t burst_at_once;
    bool unlimited;
    struct slice name;
    const struct rules__node *units_node;
    const struct rules__node *window_node;
    const struct rules__node *burst_node;
    const struct rules__node *name_node;
};

static bool is_unlimited(const struct rules__node *node)
{
    return node->kind == RULES__SCALAR && slice_equal(node->text, SLICE("unlimited"));
}

static void load_units(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->units_node = node;
    draft->unlimited = is_unlimited(node);
    if (draft->unlimited || !rules__scalar(loader, field->name, node, field->expected))
        return;
    if (slice_to_uint64(node->text, &draft->limit.units) && draft->limit.units <= LIMIT_UNITS_MAX)
        return;
    draft->limit.units = 0;
    rules__wrong(loader, field->name, node, field->expected);
}

static void load_window(struct rules__loader *loader, const struct rules__field *field,
                        const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->window_node = node;
    rules__load_duration(loader, field, node, object);
}

static void load_burst(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->burst_node = node;
    rules__load_number(loader, field, node, object);
}

static void load_name(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->name_node = node;
    draft->name = rules__identifier(loader, field->name, node, false);
}

#define LIMIT(member)                                                                              \
    offsetof(struct draft, limit) + offsetof(struct limit, member),                                \
        sizeof(((struct limit *)NULL)->member)

static const char window_expected[] = "a duration, as in 10s";

static const struct rules__field limit_fields[] = {
    {"limit", load_units, "a whole number from 0 to 1000000000, or unlimited", true, 0, 0, 0, 0},
    {"window", load_window, window_expected, false, LIMIT(window), LIMIT_WINDOW_MIN,
     LIMIT_WINDOW_MAX},
    {"burst", load_burst, "a whole number from 1 to 1000000000", false, LIMIT(burst), 1,
     LIMIT_UNITS_MAX},
    {"algorithm", rules__load_algorithm, "a word, as in token-bucket", false, LIMIT(algorithm), 0,
     0},
    {"name", load_name, "a name, as in login-burst", false, 0, 0, 0, 0},
};
static const struct rules__schema limit_schema = RULES__SCHEMA("a limit", limit_fields);

/* ---- what its keys mean together ----------------------------------------------------------- */

static bool check_algorithm(struct rules__loader *loader, const struct draft *draft)
{
    const struct limit *limit = &draft->limit;
    if (draft->burst_node && limit->algorithm != LIMIT_TOKEN_BUCKET) {
        rules__problem(loader, draft->burst_node,
                       "burst of a limit with algorithm %s, expected only with token-bucket",
                       limit_algorithm_name(limit->algorithm));
        return false;
    }
    if (limit->algorithm == LIMIT_SLIDING_LOG && limit->units > LIMIT_LOG_UNITS_MAX) {
        rules__problem(loader, draft->units_node,
                       "limit is %" PRIu64 ", expected at most %" PRIu64
                       " with algorithm sliding-log, which remembers each unit",
                       limit->units, LIMIT_LOG_UNITS_MAX);
        return false;
    }
    return true;
}

static void report_slow(struct rules__loader *loader, const struct limit *limit, uint64_t max_delay,
                        const struct rules__node *node)
{
    char buffer[64];
    struct writer w = writer_open(buffer, sizeof(buffer));
    uint64_t unit = (limit->window + limit->units - 1) / limit->units;
    rules_print_duration(max_delay, &w);
    size_t size = writer_size(&w);
    rules_print_duration((unit + 999) / 1000 * 1000, &w);
    rules__problem(loader, node,
                   "a limit of which no unit comes within max_delay: %.*s, expected a max_delay of "
                   "at least %.*s",
                   (int)size, buffer, (int)(writer_size(&w) - size), buffer + size);
}

/* A request that waits takes its unit ahead: the burst grows by what comes within the longest
 * wait. */
static void add_delay(struct rules__loader *loader, const struct rules_rule *rule,
                      struct draft *draft, const struct rules__node *node)
{
    struct limit *limit = &draft->limit;
    if (limit->algorithm != LIMIT_TOKEN_BUCKET) {
        rules__problem(loader, node,
                       "a limit with algorithm %s in a rule with mode: delay, expected "
                       "token-bucket, which knows how long to wait",
                       limit_algorithm_name(limit->algorithm));
        return;
    }
    if (limit->units == 0 || rule->max_delay == 0)
        return;
    uint64_t ahead = limit->units * rule->max_delay / limit->window; /* 2^30 times 2^26 */
    draft->burst_at_once = limit->burst;
    limit->burst += ahead;
    const char *expected = limit_check(limit);
    if (ahead == 0)
        report_slow(loader, limit, rule->max_delay, node);
    else if (expected)
        rules__problem(loader, node,
                       "a limit that can't be kept with what max_delay adds to its burst, expected "
                       "%s",
                       expected);
}

/* A window of 0 was missing or wrong. */
static void finish_limit(struct rules__loader *loader, const struct rules_rule *rule,
                         struct draft *draft, const struct rules__node *node)
{
    struct limit *limit = &draft->limit;
    if (!check_algorithm(loader, draft))
        return;
    if (limit->algorithm == LIMIT_TOKEN_BUCKET && !draft->burst_node)
        limit->burst = limit->units;
    bool complete = limit->window && draft->units_node && (limit->burst || !draft->burst_node);
    const char *expected = complete ? limit_check(limit) : NULL;
    if (expected)
        rules__problem(loader, node, "a limit that can't be kept, expected %s", expected);
    else if (complete && rule->mode == RULES_DELAY)
        add_delay(loader, rule, draft, node);
}

/* False where there is none. */
static bool read_limit(struct rules__loader *loader, const struct rules_rule *rule,
                       struct draft *draft, const struct rules__node *node)
{
    draft->limit.algorithm = loader->algorithm;
    if (is_unlimited(node))
        return false;
    if (node->kind != RULES__MAPPING) {
        rules__wrong(loader, "a limit", node,
                     "a mapping, as in { limit: 5, window: 15m }, or unlimited");
        return false;
    }
    bool intact = rules__walk(loader, &limit_schema, node, draft);
    if (draft->unlimited)
        return false;
    if (intact && !draft->window_node)
        rules__problem(loader, node, "a limit has no key \"window\", expected %s", window_expected);
    finish_limit(loader, rule, draft, node);
    return true;
}

/* ---- a list -------------------------------------------------------------------------------- */

static struct rules__list_draft *open_list(struct rules__loader *loader,
                                           struct rules__limits_draft *draft, size_t room)
{
    struct rules__list_draft *list = &draft->lists[draft->count];
    list->limits = rules__allocate(loader, room, sizeof(*list->limits));
    list->drafts = arena_array(&loader->scratch, room, sizeof(*list->drafts));
    if (!list->drafts)
        rules__no_memory(loader);
    if (!list->limits || !list->drafts)
        return NULL;
    draft->count++;
    return list;
}

struct rules__list_draft *rules__load_list(struct rules__loader *loader,
                                           struct rules__limits_draft *draft, const char *name,
                                           const struct rules__node *node)
{
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    struct rules__list_draft *list =
        open_list(loader, draft, count < RULES_MAX_LIMITS ? count : RULES_MAX_LIMITS);
    if (count == 0)
        rules__problem(loader, node, "%s is an empty list, expected at least one limit", name);
    for (size_t i = 0; list && i < count; i++, item = item->next) {
        struct draft limit = {.unlimited = false};
        if (i == RULES_MAX_LIMITS) {
            rules__problem(loader, item, "one limit too many in a rule, expected at most %d",
                           RULES_MAX_LIMITS);
            break;
        }
        if (!read_limit(loader, draft->rule, &limit, item))
            continue;
        list->limits[list->count] = (struct rules_limit){
            .limit = limit.limit,
            .rule = draft->rule,
            .burst_at_once = limit.burst_at_once,
        };
        list->drafts[list->count++] = (struct rules__limit_draft){
            .node = item,
            .name_node = limit.name_node,
            .name = limit.name,
        };
    }
    return list;
}

/* ---- a rule's ------------------------------------------------------------------------------ */

static size_t count_lists(const struct rules__limit_nodes *nodes)
{
    size_t count = 1;
    size_t overrides = 0;
    if (nodes->tiers && nodes->tiers->kind == RULES__MAPPING)
        count += nodes->tiers->children.count / 2;
    if (nodes->overrides)
        rules__items(nodes->overrides, &overrides);
    return count + (overrides < RULES_MAX_OVERRIDES ? overrides : RULES_MAX_OVERRIDES);
}

void rules__load_limits(struct rules__loader *loader, struct rules_rule *rule,
                        const struct rules__limit_nodes *nodes)
{
    struct rules__limits_draft draft = {
        .rule = rule,
        .key_known = nodes->key_known,
        .own = SIZE_MAX,
    };
    draft.lists = arena_array(&loader->scratch, count_lists(nodes), sizeof(*draft.lists));
    if (!draft.lists) {
        rules__no_memory(loader);
        return;
    }
    if (nodes->limits && rules__load_list(loader, &draft, "limits", nodes->limits))
        draft.own = 0;
    if (nodes->tiers)
        rules__load_tiers(loader, &draft, nodes->tiers);
    if (nodes->overrides)
        rules__load_overrides(loader, &draft, nodes->overrides);
    rules__finish_limits(loader, &draft);
    if (draft.own < rule->list_count) {
        rule->limits = rule->lists[draft.own].limits;
        rule->limit_count = rule->lists[draft.own].count;
    }
}
