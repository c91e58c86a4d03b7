#include "spop/spop.h"

/* Source: HAProxy's doc/SPOE.txt 3.2, LIST-OF-MESSAGES. */

bool spop_next_message(struct cursor *c, struct spop_message *message)
{
    struct spop_argument skipped;
    while (spop_next_argument(c, message, &skipped))
        continue;
    if (cursor_left(c) == 0)
        return false;
    message->name = spop_read_string(c);
    message->arguments_left = cursor_uint8(c);
    return !c->error;
}

void spop_write_message(struct writer *w, struct slice name, uint8_t arguments)
{
    spop_write_string(w, name);
    writer_uint8(w, arguments);
}

void spop_write_argument(struct writer *w, struct slice name, const struct value *value)
{
    spop_write_string(w, name);
    spop_write_value(w, value);
}
