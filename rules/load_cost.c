#include <inttypes.h>
#include <stddef.h>

#include "rules/loader.h"

/* A cost while its keys are read. */
struct draft {
    struct rules__cost cost;
    const struct rules__node *default_node;
    const struct rules__node *minimum_node;
    const struct rules__node *maximum_node;
};

static void load_argument(struct rules__loader *loader, const struct rules__field *field,
                          const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    struct slice argument = rules__identifier(loader, field->name, node, true);
    int slot = argument.size ? rules__slot_of(loader, node, argument) : -1;
    draft->cost.from_argument = true;
    draft->cost.slot = slot < 0 ? 0 : (uint32_t)slot;
}

static void load_default(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->default_node = node;
    rules__load_number(loader, field, node, object);
}

static void load_minimum(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->minimum_node = node;
    rules__load_number(loader, field, node, object);
}

static void load_maximum(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->maximum_node = node;
    rules__load_number(loader, field, node, object);
}

#define COST(member)                                                                               \
    offsetof(struct draft, cost) + offsetof(struct rules__cost, member),                           \
        sizeof(((struct rules__cost *)NULL)->member), 1, LIMIT_UNITS_MAX

static const char number_expected[] = "a whole number from 1 to 1000000000";

static const struct rules__field cost_fields[] = {
    {"arg", load_argument, "an argument, as in units", true, 0, 0, 0, 0},
    {"default", load_default, number_expected, false, COST(units)},
    {"min", load_minimum, number_expected, false, COST(minimum)},
    {"max", load_maximum, number_expected, false, COST(maximum)},
};
static const struct rules__schema cost_schema = RULES__SCHEMA("cost", cost_fields);

static void finish_cost(struct rules__loader *loader, struct draft *draft)
{
    struct rules__cost *cost = &draft->cost;
    /* Without a default that is said, the smallest cost is. */
    if (!draft->default_node)
        cost->units = cost->minimum;
    if (cost->minimum > cost->maximum)
        rules__problem(loader, draft->minimum_node ? draft->minimum_node : draft->maximum_node,
                       "min of cost is %" PRIu64 " and max %" PRIu64
                       ", expected max to be at least min",
                       cost->minimum, cost->maximum);
    else if (draft->default_node && (cost->units < cost->minimum || cost->units > cost->maximum))
        rules__problem(loader, draft->default_node,
                       "default of cost is %" PRIu64 ", expected a number from %" PRIu64
                       ", its min, to %" PRIu64 ", its max",
                       cost->units, cost->minimum, cost->maximum);
}

/* The number itself. */
static void load_fixed(struct rules__loader *loader, struct rules__cost *cost,
                       const struct rules__node *node)
{
    const char *expected = "a whole number from 1 to 1000000000, or a mapping, as in "
                           "{ arg: units, max: 100 }";
    if (!rules__scalar(loader, "cost", node, expected))
        return;
    if (slice_to_uint64(node->text, &cost->units) && cost->units >= 1 &&
        cost->units <= LIMIT_UNITS_MAX)
        cost->minimum = cost->units;
    else
        rules__wrong(loader, "cost", node, expected);
}

void rules__load_cost(struct rules__loader *loader, struct rules_rule *rule,
                      const struct rules__node *node)
{
    struct draft draft = {.cost = {.units = 1, .minimum = 1, .maximum = LIMIT_UNITS_MAX}};
    if (node->kind == RULES__MAPPING) {
        rules__walk(loader, &cost_schema, node, &draft);
        finish_cost(loader, &draft);
    } else {
        load_fixed(loader, &draft.cost, node);
    }
    struct rules__cost *cost = rules__allocate(loader, 1, sizeof(*cost));
    if (cost)
        *cost = draft.cost;
    rule->cost = cost;
}

/* Such a cost would be refused always, which a limit of 0 says better. */
void rules__check_cost(struct rules__loader *loader, const struct rules_rule *rule,
                       const struct rules__node *node)
{
    for (size_t i = 0; i < rule->list_count; i++) {
        for (size_t k = 0; k < rule->lists[i].count; k++) {
            const struct rules_limit *limit = &rule->lists[i].limits[k];
            uint64_t capacity = limit_capacity(&limit->limit);
            if (capacity == 0 || capacity >= rule->cost->minimum)
                continue;
            rules__problem(loader, node,
                           "cost is %" PRIu64
                           " at least, which limit %.*s never grants, expected at most %" PRIu64,
                           rule->cost->minimum, SLICE_ARGS(limit->name), capacity);
            return;
        }
    }
}
