#include "spop/kv.h"

static struct spop__item *find(struct spop__item *items, size_t count, struct slice key)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(items[i].key, key))
            return &items[i];
    return NULL;
}

bool spop__read_items(struct slice payload, struct spop__item *items, size_t count)
{
    struct cursor c = cursor_open(payload);
    while (cursor_left(&c)) {
        struct slice key = spop_read_string(&c);
        struct value value;
        spop_read_value(&c, &value);
        if (c.error)
            return false;
        struct spop__item *item = find(items, count, key);
        if (!item)
            continue;
        if (item->found || value.type != item->type)
            return false;
        item->found = true;
        item->value = value;
    }
    return true;
}

void spop__write_string_item(struct writer *w, struct slice key, struct slice string)
{
    struct value value = {.type = VALUE_STRING, .bytes = string};
    spop_write_string(w, key);
    spop_write_value(w, &value);
}

void spop__write_uint32_item(struct writer *w, struct slice key, uint32_t number)
{
    struct value value = {.type = VALUE_UINT32, .natural = number};
    spop_write_string(w, key);
    spop_write_value(w, &value);
}
