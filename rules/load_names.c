#include "rules/loader.h"

int rules__slot_of(struct rules__loader *loader, const struct rules__node *node,
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

int32_t rules__message_of(struct rules__loader *loader, const struct rules__node *node,
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
