#include "rules/explain.h"
#include "rules/loader.h"

/* Notes that the rule which is being read mentions a name. */
static void note_use(struct rules__loader *loader, const struct rules__node *node,
                     enum rules_use_kind kind, uint32_t number)
{
    struct rules__index *index = loader->set->index;
    struct rules_use *use = rules__allocate(loader, 1, sizeof(*use));
    if (!use)
        return;
    *use = (struct rules_use){
        .kind = kind,
        .rule = (uint32_t)loader->set->rule_count,
        .number = number,
        .message = loader->message,
        .file = node->file,
        .line = node->line,
        .column = node->column,
    };
    if (index->last_use)
        index->last_use->next = use;
    else
        index->uses = use;
    index->last_use = use;
}

static int slot_of(struct rules__loader *loader, const struct rules__node *node,
                   struct slice argument)
{
    struct rules_set *set = loader->set;
    int64_t known = rules__names_find(&set->index->slots, argument);
    if (known >= 0)
        return (int)known;
    if (set->slot_count == RULES_MAX_SLOTS) {
        rules__problem(loader, node, "one argument name too many, expected at most %d in a file",
                       RULES_MAX_SLOTS);
        return -1;
    }
    struct slice name = rules__keep(loader, argument);
    if (!rules__names_put(&set->index->slots, &set->arena, name, (uint32_t)set->slot_count)) {
        rules__no_memory(loader);
        return -1;
    }
    loader->slot_names[set->slot_count] = name;
    return (int)set->slot_count++;
}

int rules__slot_of(struct rules__loader *loader, const struct rules__node *node,
                   struct slice argument)
{
    int slot = slot_of(loader, node, argument);
    if (slot >= 0)
        note_use(loader, node, RULES_USE_ARGUMENT, (uint32_t)slot);
    return slot;
}

void rules__use_slot(struct rules__loader *loader, const struct rules__node *node, uint32_t slot)
{
    note_use(loader, node, RULES_USE_ARGUMENT, slot);
}

static int32_t message_of(struct rules__loader *loader, const struct rules__node *node,
                          struct slice message)
{
    struct rules_set *set = loader->set;
    struct rules__names *messages = &set->index->messages;
    int64_t known = rules__names_find(messages, message);
    if (known >= 0)
        return (int32_t)known;
    if (messages->count == RULES_MAX_MESSAGES) {
        rules__problem(loader, node, "one message name too many, expected at most %d in a file",
                       RULES_MAX_MESSAGES);
        return -1;
    }
    uint32_t number = (uint32_t)messages->count;
    if (!rules__names_put(messages, &set->arena, rules__keep(loader, message), number))
        rules__no_memory(loader);
    return (int32_t)number;
}

int32_t rules__message_of(struct rules__loader *loader, const struct rules__node *node,
                          struct slice message)
{
    int32_t number = message_of(loader, node, message);
    if (number >= 0)
        note_use(loader, node, RULES_USE_MESSAGE, (uint32_t)number);
    return number;
}
