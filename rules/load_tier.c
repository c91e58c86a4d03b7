#include <stdio.h>

#include "rules/loader.h"

/* Tiers while they are read. */
struct draft {
    struct rules__tiers *tiers;
    struct rules__limits_draft *limits;
    struct rules__names lines; /* of the keys so far */
    const struct rules__node *by;
    size_t count; /* of tiers, right or wrong */
};

/* False, reported, when the key is none or there again. */
static bool check_key(struct rules__loader *loader, struct draft *draft,
                      const struct rules__node *key)
{
    const char *expected = "by, default, or a value of the argument, of 1 to 64 bytes";
    if (!rules__scalar(loader, "a key of tiers", key, expected))
        return false;
    if (key->text.size < 1 || key->text.size > RULES_NAME_MAX) {
        rules__wrong(loader, "a key of tiers", key, expected);
        return false;
    }
    int64_t line = rules__names_find(&draft->lines, key->text);
    if (line >= 0) {
        rules__problem(loader, key, "key %s again in tiers, expected it once (it is on line %u)",
                       RULES__QUOTE(key->text), (unsigned)line);
        return false;
    }
    if (!rules__names_put(&draft->lines, &loader->scratch, key->text, key->line))
        rules__no_memory(loader);
    return true;
}

static void load_by(struct rules__loader *loader, struct draft *draft,
                    const struct rules__node *node)
{
    draft->by = node;
    struct slice argument = rules__identifier(loader, "by", node, true);
    int slot = argument.size ? rules__slot_of(loader, node, argument) : -1;
    draft->tiers->slot = slot < 0 ? 0 : (uint32_t)slot;
}

static void load_one(struct rules__loader *loader, struct draft *draft,
                     const struct rules__node *key)
{
    char label[RULES__QUOTED_MAX + 8];
    snprintf(label, sizeof(label), "tier %s", RULES__QUOTE(key->text));
    uint32_t number = (uint32_t)draft->limits->count;
    if (!rules__load_list(loader, draft->limits, label, key->next))
        return;
    if (slice_equal(key->text, SLICE("default"))) {
        draft->tiers->has_default = true;
        draft->limits->own = number;
    } else if (!rules__names_put(&draft->tiers->names, &loader->set->arena,
                                 rules__keep(loader, key->text), number)) {
        rules__no_memory(loader);
    }
}

static void load_key(struct rules__loader *loader, struct draft *draft,
                     const struct rules__node *key)
{
    bool is_by = key->kind == RULES__SCALAR && slice_equal(key->text, SLICE("by"));
    if (!is_by && draft->count++ == RULES_MAX_TIERS)
        rules__problem(loader, key, "one tier too many in a rule, expected at most %d",
                       RULES_MAX_TIERS);
    if ((!is_by && draft->count > RULES_MAX_TIERS) || !check_key(loader, draft, key))
        return;
    if (is_by)
        load_by(loader, draft, key->next);
    else
        load_one(loader, draft, key);
}

void rules__load_tiers(struct rules__loader *loader, struct rules__limits_draft *limits,
                       const struct rules__node *node)
{
    struct draft draft = {
        .tiers = rules__allocate(loader, 1, sizeof(*draft.tiers)),
        .limits = limits,
        .lines = {.seed = loader->set->seed},
    };
    if (node->kind != RULES__MAPPING) {
        rules__wrong(loader, "tiers", node,
                     "a mapping, as in { by: plan, default: { limit: 100, window: 1s } }");
        return;
    }
    if (!draft.tiers)
        return;
    draft.tiers->names.seed = loader->set->seed;
    const struct rules__node *key = node->children.first;
    for (size_t left = node->children.count; left >= 2; left -= 2, key = key->next->next)
        load_key(loader, &draft, key);
    if (!draft.by)
        rules__problem(loader, node, "tiers has no key \"by\", expected an argument, as in plan");
    if (draft.count == 0)
        rules__problem(loader, node,
                       "tiers has no tier, expected limits for values of its argument, as in "
                       "gold: { limit: 1000, window: 1s }");
    limits->rule->tiers = draft.tiers;
}
