#include <stddef.h>

#include "rules/loader.h"

struct draft {
    const struct rules__node *message;
    const struct rules__node *match;
};

static const struct rules__field charge_fields[] = {
    {"message", rules__load_node, "the name of a SPOE message, as in response", true,
     offsetof(struct draft, message), 0, 0, 0},
    {"match", rules__load_node, "a mapping, as in { status: { in: [ 401, 403 ] } }", false,
     offsetof(struct draft, match), 0, 0, 0},
};
static const struct rules__schema charge_schema = RULES__SCHEMA("charge", charge_fields);

/* -1, reported, when it isn't one at which the rule can be charged. */
static int32_t read_message(struct rules__loader *loader, const struct rules_rule *rule,
                            const struct rules__node *node)
{
    struct slice name = rules__identifier(loader, "message", node, true);
    int32_t message = name.size ? rules__message_of(loader, node, name) : -1;
    if (message < 0)
        return -1;
    if (rule->message < 0) {
        rules__problem(loader, node,
                       "charge in a rule for every message, expected one at which the rule is "
                       "checked, as in message: request");
        return -1;
    }
    if (rule->message == message) {
        rules__problem(loader, node,
                       "message of charge is %s, at which the rule is checked, expected another "
                       "one",
                       RULES__QUOTE(name));
        return -1;
    }
    return message;
}

void rules__load_charge(struct rules__loader *loader, struct rules_rule *rule,
                        const struct rules__node *node)
{
    struct draft draft = {NULL, NULL};
    struct rules__charge *charge = rules__allocate(loader, 1, sizeof(*charge));
    rules__walk(loader, &charge_schema, node, &draft);
    if (!charge)
        return;
    charge->message = draft.message ? read_message(loader, rule, draft.message) : -1;
    loader->message = charge->message;
    if (draft.match)
        charge->conditions = rules__load_match(loader, draft.match, &charge->condition_count);
    /* Whom it counts is read from both messages. */
    for (size_t i = 0; i < rule->key_count; i++)
        rules__use_slot(loader, node, rule->key[i].slot);
    if (rule->tiers)
        rules__use_slot(loader, node, rule->tiers->slot);
    rule->charge = charge;
    rule->charged_later = true;
}
