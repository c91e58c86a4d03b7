#include "rules/explain.h"

#include "rules/compiled.h"

const struct rules_use *rules_uses(const struct rules_set *set)
{
    return set->index->uses;
}

size_t rules_message_count(const struct rules_set *set)
{
    return set->index->messages.count;
}

struct slice rules_message_name(const struct rules_set *set, int message)
{
    const struct rules__names *names = &set->index->messages;
    for (size_t i = 0; message >= 0 && i < names->capacity; i++)
        if (names->entries[i].name.data && names->entries[i].number == (uint32_t)message)
            return names->entries[i].name;
    return slice_of(NULL, 0);
}
