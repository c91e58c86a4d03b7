#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "rules/loader.h"

/* A limit while its keys are read. */
struct draft {
    struct limit limit;
    struct slice name;
    const struct rules__node *units_node;
    const struct rules__node *burst_node;
    const struct rules__node *name_node;
};

static void load_units(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->units_node = node;
    rules__load_number(loader, field, node, object);
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

static const struct rules__field limit_fields[] = {
    {"limit", load_units, "a whole number from 0 to 1000000000", true, LIMIT(units), 0,
     LIMIT_UNITS_MAX},
    {"window", rules__load_duration, "a duration, as in 10s", true, LIMIT(window), LIMIT_WINDOW_MIN,
     LIMIT_WINDOW_MAX},
    {"burst", load_burst, "a whole number from 1 to 1000000000", false, LIMIT(burst), 1,
     LIMIT_UNITS_MAX},
    {"algorithm", rules__load_algorithm, "a word, as in token-bucket", false, LIMIT(algorithm), 0,
     0},
    {"name", load_name, "a name, as in login-burst", false, 0, 0, 0, 0},
};
static const struct rules__schema limit_schema = RULES__SCHEMA("a limit", limit_fields);

/* What the keys mean together; a window of 0 was missing or wrong. */
static void finish_limit(struct rules__loader *loader, struct draft *draft,
                         const struct rules__node *node)
{
    struct limit *limit = &draft->limit;
    bool is_bucket = limit->algorithm == LIMIT_TOKEN_BUCKET;
    if (draft->burst_node && !is_bucket) {
        rules__problem(loader, draft->burst_node,
                       "burst of a limit with algorithm %s, expected only with token-bucket",
                       limit_algorithm_name(limit->algorithm));
        return;
    }
    if (is_bucket && !draft->burst_node)
        limit->burst = limit->units;
    if (limit->algorithm == LIMIT_SLIDING_LOG && limit->units > LIMIT_LOG_UNITS_MAX) {
        rules__problem(loader, draft->units_node,
                       "limit is %" PRIu64 ", expected at most %" PRIu64
                       " with algorithm sliding-log, which remembers each unit",
                       limit->units, LIMIT_LOG_UNITS_MAX);
        return;
    }
    bool complete = limit->window && draft->units_node && (limit->burst || !draft->burst_node);
    const char *expected = complete ? limit_check(limit) : NULL;
    if (expected)
        rules__problem(loader, node, "a limit that can't be kept, expected %s", expected);
}

/* ---- what follows from a rule's limits together -------------------------------------------- */

static struct slice window_text(const struct limit *limit, char *buffer, size_t size)
{
    struct writer w = writer_open(buffer, size);
    rules_print_duration(limit->window, &w);
    return writer_slice(&w);
}

static bool same_window(const struct rules_limit *limits, size_t count, size_t at, bool algorithm)
{
    for (size_t i = 0; i < count; i++)
        if (i != at && limits[i].limit.window == limits[at].limit.window &&
            (!algorithm || limits[i].limit.algorithm == limits[at].limit.algorithm))
            return true;
    return false;
}

/* "login", "login-15m", or "login-15m-token-bucket": as long as it has to be to be unlike its
 * neighbours. */
static struct slice default_name(const struct rules_rule *rule, size_t at, char *buffer,
                                 size_t size)
{
    const struct limit *limit = &rule->limits[at].limit;
    struct writer w = writer_open(buffer, size);
    writer_bytes(&w, rule->name);
    if (rule->limit_count > 1) {
        writer_uint8(&w, '-');
        rules_print_duration(limit->window, &w);
    }
    if (same_window(rule->limits, rule->limit_count, at, false)) {
        writer_uint8(&w, '-');
        writer_bytes(&w, slice_of_string(limit_algorithm_name(limit->algorithm)));
    }
    return writer_slice(&w);
}

/* The name is unique in the set, since it is what metrics and the RateLimit headers tell limits
 * apart by. */
static void name_limit(struct rules__loader *loader, const struct rules_rule *rule,
                       struct rules_limit *limit, struct slice given,
                       const struct rules__node *node)
{
    char buffer[RULES_NAME_MAX + 64];
    struct slice name = given;
    if (!name.size)
        name = default_name(rule, (size_t)(limit - rule->limits), buffer, sizeof(buffer));
    if (name.size > RULES_NAME_MAX) {
        rules__problem(loader, node,
                       "the name %.*s of this limit is too long, expected a shorter name of the "
                       "rule, or a name of the limit's own, of at most %d bytes",
                       SLICE_ARGS(name), RULES_NAME_MAX);
        return;
    }
    limit->name = rules__keep(loader, name);
    int64_t owner = rules__names_find(&loader->limit_names, limit->name);
    if (owner >= 0) {
        const struct rules_rule *other = &loader->set->rules[owner];
        rules__problem(loader, node,
                       "a limit named %.*s again, expected a name of its own (rule %.*s on line %u "
                       "has one so named)",
                       SLICE_ARGS(name), SLICE_ARGS(other->name), other->line);
    } else if (!rules__names_put(&loader->limit_names, &loader->scratch, limit->name,
                                 rule->index)) {
        rules__no_memory(loader);
    }
}

/* draft-ietf-httpapi-ratelimit-headers, section 3: seconds are all it has. */
static void write_policy(struct rules__loader *loader, struct rules_limit *limit)
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

static void write_identity(struct rules_limit *limit, uint64_t seed)
{
    uint8_t buffer[RULES_NAME_MAX + 16];
    struct writer w = writer_open(buffer, sizeof(buffer));
    /* What has a fixed size first, so that no name can imitate it. */
    writer_uint8(&w, 'L');
    writer_uint8(&w, (uint8_t)limit->limit.algorithm);
    writer_uint32(&w, (uint32_t)(limit->limit.window >> 32));
    writer_uint32(&w, (uint32_t)limit->limit.window);
    writer_bytes(&w, limit->rule->name);
    limit->identity = hash128(writer_slice(&w), seed);
}

static void write_store_name(struct rules__loader *loader, struct rules_limit *limit)
{
    char buffer[RULES_STORE_NAME_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    writer_bytes(&w, limit->rule->name);
    writer_uint8(&w, ':');
    writer_bytes(&w, slice_of_string(limit_algorithm_name(limit->limit.algorithm)));
    writer_uint8(&w, '-');
    rules_print_duration(limit->limit.window, &w);
    limit->store_name = rules__keep(loader, writer_slice(&w));
}

static void finish_rule(struct rules__loader *loader, struct rules_rule *rule,
                        struct rules_limit *limits, const struct draft *drafts,
                        const struct rules__node *items)
{
    const struct rules__node *node = items;
    for (size_t i = 0; i < rule->limit_count; i++, node = node->next) {
        if (!limits[i].limit.window || !rule->name.size)
            continue; /* reported */
        if (same_window(limits, i + 1, i, true)) {
            char buffer[32];
            rules__problem(loader, node,
                           "a second limit with algorithm %s and window %.*s, expected one of "
                           "them to differ",
                           limit_algorithm_name(limits[i].limit.algorithm),
                           SLICE_ARGS(window_text(&limits[i].limit, buffer, sizeof(buffer))));
            continue;
        }
        name_limit(loader, rule, &limits[i], drafts[i].name,
                   drafts[i].name_node ? drafts[i].name_node : node);
        write_policy(loader, &limits[i]);
        write_identity(&limits[i], loader->set->seed);
        write_store_name(loader, &limits[i]);
    }
}

void rules__load_limits(struct rules__loader *loader, struct rules_rule *rule,
                        const struct rules__node *node)
{
    struct draft drafts[RULES_MAX_LIMITS] = {0};
    size_t count;
    const struct rules__node *items = rules__items(node, &count);
    const struct rules__node *item = items;
    if (count == 0)
        rules__problem(loader, node, "limits is an empty list, expected at least one limit");
    struct rules_limit *limits = rules__allocate(
        loader, count < RULES_MAX_LIMITS ? count : RULES_MAX_LIMITS, sizeof(*limits));
    if (!limits)
        return;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (i == RULES_MAX_LIMITS) {
            rules__problem(loader, item, "one limit too many in a rule, expected at most %d",
                           RULES_MAX_LIMITS);
            break;
        }
        drafts[i].limit.algorithm = loader->algorithm;
        rules__walk(loader, &limit_schema, item, &drafts[i]);
        finish_limit(loader, &drafts[i], item);
        limits[i].limit = drafts[i].limit;
        limits[i].rule = rule;
        rule->limit_count = i + 1;
    }
    rule->limits = limits;
    finish_rule(loader, rule, limits, drafts, items);
}
