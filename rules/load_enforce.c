#include <stddef.h>

#include "rules/loader.h"

#define SECOND UINT64_C(1000000)

static void load_mode(struct rules__loader *loader, struct rules_rule *rule,
                      const struct rules__node *node)
{
    static const char *const words[] = {
        [RULES_ENFORCE] = "enforce",
        [RULES_SHADOW] = "shadow",
        [RULES_DELAY] = "delay",
    };
    int word = rules__word(loader, "mode", node, words, sizeof(words) / sizeof(words[0]));
    if (word >= 0)
        rule->mode = (enum rules_mode)word;
}

static void load_max_delay(struct rules__loader *loader, struct rules_rule *rule,
                           const struct rules__node *node)
{
    static const struct rules__field field = {
        .name = "max_delay",
        .offset = offsetof(struct rules_rule, max_delay),
        .size = sizeof(((struct rules_rule *)NULL)->max_delay),
        .minimum = RULES_DELAY_MIN,
        .maximum = RULES_DELAY_MAX,
    };
    rules__load_duration(loader, &field, node, rule);
}

/* "10%", "0.25%": hundredths of a percent. */
static bool parse_percentage(struct slice text, uint32_t *parts)
{
    uint64_t whole;
    uint64_t hundredths = 0;
    if (!slice_has_suffix(text, SLICE("%")))
        return false;
    text.size--;
    const uint8_t *point = text.size ? memchr(text.data, '.', text.size) : NULL;
    struct slice behind = point ? slice_from(text, (size_t)(point - text.data) + 1) : SLICE("00");
    if (point)
        text.size = (size_t)(point - text.data);
    if (behind.size < 1 || behind.size > 2 || !slice_to_uint64(behind, &hundredths) ||
        !slice_to_uint64(text, &whole) || whole > 100)
        return false;
    if (behind.size == 1)
        hundredths *= 10;
    *parts = (uint32_t)(whole * 100 + hundredths);
    return *parts <= RULES_ENFORCE_ALL;
}

static void load_percentage(struct rules__loader *loader, struct rules_rule *rule,
                            const struct rules__node *node)
{
    const char *expected = "a part of the subjects from 0% to 100%, as in 10% or 0.25%";
    if (rules__scalar(loader, "enforce", node, expected) &&
        !parse_percentage(node->text, &rule->enforce_parts))
        rules__wrong(loader, "enforce", node, expected);
}

/* What the mode doesn't go with, where the mode is known. */
static void check(struct rules__loader *loader, const struct rules_rule *rule,
                  const struct rules__enforce_nodes *nodes)
{
    if (rule->mode == RULES_DELAY && !nodes->max_delay)
        rules__problem(loader, nodes->mode,
                       "mode: delay without max_delay, expected how long a request may wait, as "
                       "in max_delay: 500ms");
    if (rule->mode != RULES_DELAY && nodes->max_delay)
        rules__problem(loader, nodes->max_delay,
                       "max_delay in a rule without mode: delay, expected both or none");
    if (rule->mode == RULES_SHADOW && nodes->percentage)
        rules__problem(loader, nodes->percentage,
                       "enforce in a rule with mode: shadow, which refuses nobody, expected it "
                       "with another mode");
}

void rules__load_enforce(struct rules__loader *loader, struct rules_rule *rule,
                         const struct rules__enforce_nodes *nodes, bool intact)
{
    size_t before = loader->report->count + loader->report->omitted;
    if (nodes->mode)
        load_mode(loader, rule, nodes->mode);
    if (nodes->max_delay)
        load_max_delay(loader, rule, nodes->max_delay);
    if (nodes->percentage)
        load_percentage(loader, rule, nodes->percentage);
    if (intact && loader->report->count + loader->report->omitted == before)
        check(loader, rule, nodes);
}
