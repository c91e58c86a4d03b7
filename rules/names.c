#include "rules/compiled.h"

static struct rules__name *probe(const struct rules__names *names, struct slice name, uint32_t hash)
{
    size_t at = hash & (names->capacity - 1);
    for (;;) {
        struct rules__name *entry = &names->entries[at];
        if (!entry->name.data || (entry->hash == hash && slice_equal(entry->name, name)))
            return entry;
        at = (at + 1) & (names->capacity - 1);
    }
}

/* The old table stays in the arena: together the old ones are as large as the new one. */
static bool grow(struct rules__names *names, struct arena *arena)
{
    struct rules__names grown = *names;
    grown.capacity = names->capacity ? names->capacity * 2 : 16;
    grown.entries = arena_array(arena, grown.capacity, sizeof(*grown.entries));
    if (!grown.entries)
        return false;
    for (size_t i = 0; i < names->capacity; i++) {
        const struct rules__name *entry = &names->entries[i];
        if (entry->name.data)
            *probe(&grown, entry->name, entry->hash) = *entry;
    }
    *names = grown;
    return true;
}

bool rules__names_put(struct rules__names *names, struct arena *arena, struct slice name,
                      uint32_t number)
{
    if (names->count >= names->capacity / 2 && !grow(names, arena))
        return false;
    uint32_t hash = (uint32_t)hash64(name, names->seed);
    struct rules__name *entry = probe(names, name, hash);
    if (!entry->name.data)
        names->count++;
    /* Empty names may come with NULL, which marks a free entry. */
    entry->name = slice_of(name.data ? name.data : (const uint8_t *)"", name.size);
    entry->hash = hash;
    entry->number = number;
    return true;
}

int64_t rules__names_find(const struct rules__names *names, struct slice name)
{
    if (names->count == 0)
        return -1;
    const struct rules__name *entry = probe(names, name, (uint32_t)hash64(name, names->seed));
    return entry->name.data ? (int64_t)entry->number : -1;
}
