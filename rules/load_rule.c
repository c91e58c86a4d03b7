#include <stddef.h>
#include <stdio.h>

#include "rules/loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A rule while its keys are read: those whose meaning depends on one another are only noted. */
struct draft {
    struct rules_rule *rule;
    const struct rules__node *action;
    const struct rules__node *on_store_error;
    const struct rules__node *consistency;
    const struct rules__node *charge_denied;
    const struct rules__node *match;
    const struct rules__node *key;
    struct rules__limit_nodes nodes;
    const struct rules__node *cost;
    const struct rules__node *charge;
    const struct rules__node *penalty;
    struct rules__enforce_nodes enforce;
    bool intact; /* all keys are known and have a value */
};

/* ---- words that defaults has too ----------------------------------------------------------- */

void rules__load_fallback(struct rules__loader *loader, const struct rules__field *field,
                          const struct rules__node *node, void *object)
{
    static const char *const words[] = {
        [RULES_FALLBACK_LOCAL] = "local",
        [RULES_FALLBACK_ALLOW] = "allow",
        [RULES_FALLBACK_DENY] = "deny",
    };
    int word = rules__word(loader, field->name, node, words, COUNT(words));
    enum rules_fallback fallback = (enum rules_fallback)word;
    if (word >= 0)
        memcpy((uint8_t *)object + field->offset, &fallback, sizeof(fallback));
}

void rules__load_algorithm(struct rules__loader *loader, const struct rules__field *field,
                           const struct rules__node *node, void *object)
{
    const char *words[LIMIT_ALGORITHMS];
    for (int i = 0; i < LIMIT_ALGORITHMS; i++)
        words[i] = limit_algorithm_name((enum limit_algorithm)i);
    int word = rules__word(loader, field->name, node, words, COUNT(words));
    enum limit_algorithm algorithm = (enum limit_algorithm)word;
    if (word >= 0)
        memcpy((uint8_t *)object + field->offset, &algorithm, sizeof(algorithm));
}

void rules__load_consistency(struct rules__loader *loader, const struct rules__field *field,
                             const struct rules__node *node, void *object)
{
    static const char *const words[] = {
        [RULES_EXACT] = "exact",
        [RULES_LEASED] = "leased",
    };
    int word = rules__word(loader, field->name, node, words, COUNT(words));
    enum rules_consistency consistency = (enum rules_consistency)word;
    if (word >= 0)
        memcpy((uint8_t *)object + field->offset, &consistency, sizeof(consistency));
}

static void load_name(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    struct slice name = rules__identifier(loader, field->name, node, false);
    if (!name.size)
        return;
    int64_t known = rules__names_find(&loader->rule_names, name);
    if (known >= 0) {
        rules__problem(loader, node, "rule %s again, expected a name of its own (%s has it)",
                       RULES__QUOTE(name),
                       RULES__WHERE(loader->set, &loader->set->rules[known], node->file));
        return;
    }
    draft->rule->name = rules__keep(loader, name);
    if (!rules__names_put(&loader->rule_names, &loader->scratch, name, draft->rule->index))
        rules__no_memory(loader);
}

static void load_message(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    struct slice name = rules__identifier(loader, field->name, node, true);
    if (name.size)
        draft->rule->message = rules__message_of(loader, node, name);
}

/* ---- keys that are only noted -------------------------------------------------------------- */

static void load_action(struct rules__loader *loader, const struct rules__field *field,
                        const struct rules__node *node, void *object)
{
    static const struct {
        const char *word;
        enum rules_action action;
    } actions[] = {{"allow", RULES_ACTION_ALLOW}, {"deny", RULES_ACTION_DENY}};
    const char *words[COUNT(actions)];
    struct draft *draft = object;
    for (size_t i = 0; i < COUNT(actions); i++)
        words[i] = actions[i].word;
    int word = rules__word(loader, field->name, node, words, COUNT(words));
    draft->action = node;
    if (word >= 0)
        draft->rule->action = actions[word].action;
}

static void load_rule_fallback(struct rules__loader *loader, const struct rules__field *field,
                               const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    struct rules__field into_rule = *field;
    into_rule.offset = offsetof(struct rules_rule, on_store_error);
    draft->on_store_error = node;
    rules__load_fallback(loader, &into_rule, node, draft->rule);
}

static void load_rule_consistency(struct rules__loader *loader, const struct rules__field *field,
                                  const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    struct rules__field into_rule = *field;
    into_rule.offset = offsetof(struct rules_rule, consistency);
    draft->consistency = node;
    rules__load_consistency(loader, &into_rule, node, draft->rule);
}

static void load_charge_denied(struct rules__loader *loader, const struct rules__field *field,
                               const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    struct rules__field into_rule = *field;
    into_rule.offset = offsetof(struct rules_rule, charge_denied);
    draft->charge_denied = node;
    rules__load_bool(loader, &into_rule, node, draft->rule);
}

static const struct rules__field rule_fields[] = {
    {"name", load_name, "a name, as in login", true, 0, 0, 0, 0},
    {"message", load_message, "the name of a SPOE message", false, 0, 0, 0, 0},
    {"match", rules__load_node, "a mapping, as in { path: { prefix: /api } }", false,
     offsetof(struct draft, match), 0, 0, 0},
    {"key", rules__load_node,
     "a list of arguments, as in [ src/64 ], or [] for one counter for all", false,
     offsetof(struct draft, key), 0, 0, 0},
    {"limits", rules__load_node, "a list of limits, as in [ { limit: 5, window: 15m } ]", false,
     offsetof(struct draft, nodes.limits), 0, 0, 0},
    {"tiers", rules__load_node,
     "a mapping, as in { by: plan, default: { limit: 100, window: 1s } }", false,
     offsetof(struct draft, nodes.tiers), 0, 0, 0},
    {"overrides", rules__load_node,
     "a list, as in [ { key: [ acme ], limits: { limit: 500, window: 1s } } ]", false,
     offsetof(struct draft, nodes.overrides), 0, 0, 0},
    {"cost", rules__load_node,
     "a whole number from 1 to 1000000000, or a mapping, as in { arg: units, max: 100 }", false,
     offsetof(struct draft, cost), 0, 0, 0},
    {"mode", rules__load_node, "enforce, shadow or delay", false,
     offsetof(struct draft, enforce.mode), 0, 0, 0},
    {"max_delay", rules__load_node, "a duration, as in 500ms", false,
     offsetof(struct draft, enforce.max_delay), 0, 0, 0},
    {"enforce", rules__load_node, "a part of the subjects from 0% to 100%, as in 10% or 0.25%",
     false, offsetof(struct draft, enforce.percentage), 0, 0, 0},
    {"charge", rules__load_node,
     "a mapping, as in { message: response, match: { status: { in: [ 401, 403 ] } } }", false,
     offsetof(struct draft, charge), 0, 0, 0},
    {"penalty", rules__load_node, "a mapping, as in { after: 20, within: 1m, for: 10m }", false,
     offsetof(struct draft, penalty), 0, 0, 0},
    {"action", load_action, "allow or deny", false, 0, 0, 0, 0},
    {"on_store_error", load_rule_fallback, "local, allow or deny", false, 0, 0, 0, 0},
    {"consistency", load_rule_consistency, "exact or leased", false, 0, 0, 0, 0},
    {"charge_denied", load_charge_denied, "true or false", false, 0, 0, 0, 0},
};
static const struct rules__schema rule_schema = RULES__SCHEMA("a rule", rule_fields);

/* ---- a rule -------------------------------------------------------------------------------- */

/* A rule that stops the search counts nothing. */
static void finish_stop(struct rules__loader *loader, const struct draft *draft)
{
    const struct {
        const char *name;
        const struct rules__node *node;
    } useless[] = {
        {"key", draft->key},
        {"limits", draft->nodes.limits},
        {"tiers", draft->nodes.tiers},
        {"overrides", draft->nodes.overrides},
        {"cost", draft->cost},
        {"mode", draft->enforce.mode},
        {"max_delay", draft->enforce.max_delay},
        {"enforce", draft->enforce.percentage},
        {"charge", draft->charge},
        {"penalty", draft->penalty},
        {"on_store_error", draft->on_store_error},
        {"consistency", draft->consistency},
        {"charge_denied", draft->charge_denied},
    };
    for (size_t i = 0; i < COUNT(useless); i++)
        if (useless[i].node)
            rules__problem(loader, useless[i].node,
                           "%s in a rule with an action, expected only in a rule that limits",
                           useless[i].name);
}

static void require_key_and_limits(struct rules__loader *loader, const struct draft *draft,
                                   const struct rules__node *node)
{
    bool limits = draft->nodes.limits || draft->nodes.tiers;
    if (!limits && !draft->key)
        rules__problem(loader, node,
                       "a rule without limits and without action, expected either key and limits, "
                       "or an action: allow or deny");
    else if (!limits)
        rules__problem(loader, node, "a rule with a key and without limits, expected both");
    else if (!draft->key)
        rules__problem(loader, node,
                       "a rule with limits and without key, expected the arguments that are "
                       "counted apart, as in key: [ src/64 ], or key: [] for one counter for all");
}

/* What makes no sense together, and what does where whom to count apart is empty. */
static void check_limiting(struct rules__loader *loader, const struct draft *draft)
{
    const struct rules__limit_nodes *nodes = &draft->nodes;
    bool counts_all =
        draft->key && draft->key->kind == RULES__LIST && draft->key->children.count == 0;
    if (nodes->limits && nodes->tiers)
        rules__problem(loader, nodes->tiers,
                       "tiers in a rule with limits, expected one of them (a tier can be called "
                       "default)");
    if (nodes->overrides && counts_all)
        rules__problem(loader, nodes->overrides,
                       "overrides in a rule with an empty key, expected a key whose values they "
                       "name");
    if (draft->enforce.percentage && counts_all)
        rules__problem(loader, draft->enforce.percentage,
                       "enforce in a rule with an empty key, expected a key of whose subjects it "
                       "is a part");
    if (draft->charge && draft->rule->mode == RULES_DELAY)
        rules__problem(loader, draft->charge,
                       "charge in a rule with mode: delay, expected mode: enforce or shadow, since "
                       "nobody waits for what isn't charged yet");
    if (draft->charge && draft->charge_denied)
        rules__problem(loader, draft->charge_denied,
                       "charge_denied in a rule with charge, expected one of them, since no "
                       "request is charged when it is checked");
}

/* The keys of a rule that limits, those first on which others rely. */
static void load_limiting(struct rules__loader *loader, struct draft *draft)
{
    struct rules_rule *rule = draft->rule;
    if (draft->key)
        draft->nodes.key_known = rules__load_key(loader, rule, draft->key);
    rules__load_enforce(loader, rule, &draft->enforce, draft->intact);
    rules__load_limits(loader, rule, &draft->nodes);
    if (draft->charge)
        rules__load_charge(loader, rule, draft->charge);
    /* Of such a rule it is the message of charge that has to say the cost. */
    if (draft->cost)
        rules__load_cost(loader, rule, draft->cost);
    if (rule->cost)
        rules__check_cost(loader, rule, draft->cost);
    if (draft->penalty)
        rules__load_penalty(loader, rule, draft->penalty);
    check_limiting(loader, draft);
}

static const struct rules_words *keep_words(struct rules__loader *loader, const struct draft *draft)
{
    struct rules_words *words = rules__allocate(loader, 1, sizeof(*words));
    if (!words)
        return NULL;
    *words = (struct rules_words){
        .match = rules__words(loader, draft->match),
        .key = rules__words(loader, draft->key),
        .tiers = rules__words(loader, draft->nodes.tiers),
        .overrides = rules__words(loader, draft->nodes.overrides),
        .cost = rules__words(loader, draft->cost),
        .charge = rules__words(loader, draft->charge),
        .penalty = rules__words(loader, draft->penalty),
    };
    return words;
}

static void load_rule(struct rules__loader *loader, struct rules_rule *rule,
                      const struct rules__node *node)
{
    struct draft draft = {.rule = rule};
    rule->file = node->file;
    rule->line = node->line;
    rule->column = node->column;
    rule->message = -1;
    rule->on_store_error = loader->on_store_error;
    rule->consistency = loader->consistency;
    rule->enforce_parts = RULES_ENFORCE_ALL;
    draft.intact = rules__walk(loader, &rule_schema, node, &draft);
    if (rule->message < 0 && loader->default_message.size)
        rule->message = rules__message_of(loader, node, loader->default_message);
    loader->message = rule->message;
    if (draft.match)
        rule->conditions = rules__load_match(loader, draft.match, &rule->condition_count);
    rule->words = keep_words(loader, &draft);
    if (draft.action) {
        finish_stop(loader, &draft);
        return;
    }
    if (draft.intact)
        require_key_and_limits(loader, &draft, node);
    load_limiting(loader, &draft);
}

/* False when there are no more to be loaded. */
static bool load_list(struct rules__loader *loader, struct rules_rule *rules,
                      const struct rules__node *list)
{
    struct rules_set *set = loader->set;
    const struct rules__node *item = list->children.first;
    for (size_t i = 0; i < list->children.count; i++, item = item->next) {
        if (loader->out_of_memory)
            return false;
        if (set->rule_count == RULES_MAX_RULES) {
            rules__problem(loader, item, "one rule too many, expected at most %d", RULES_MAX_RULES);
            return false;
        }
        rules[set->rule_count].index = (uint32_t)set->rule_count;
        load_rule(loader, &rules[set->rule_count], item);
        set->rule_count++;
    }
    return true;
}

void rules__load_rules(struct rules__loader *loader)
{
    const struct rules__rule_lists *lists = &loader->rules;
    size_t count = lists->own ? lists->own->children.count : 0;
    for (size_t i = 0; i < lists->included_count; i++)
        count += lists->included[i]->children.count;
    if (count > RULES_MAX_RULES)
        count = RULES_MAX_RULES;
    struct rules_rule *rules = rules__allocate(loader, count, sizeof(*rules));
    if (!rules)
        return;
    loader->set->rules = rules;
    if (lists->own && !load_list(loader, rules, lists->own))
        return;
    for (size_t i = 0; i < lists->included_count; i++)
        if (!load_list(loader, rules, lists->included[i]))
            return;
}
