#include "spop/spop.h"

/* Source: HAProxy's doc/SPOE.txt 3.4. */
#define SET_VAR_ARGUMENTS   3 /* scope, name, value */
#define UNSET_VAR_ARGUMENTS 2 /* scope, name */

static void write_action(struct writer *w, enum spop_action_type type, uint8_t arguments,
                         enum spop_scope scope, struct slice name)
{
    const uint8_t head[] = {(uint8_t)type, arguments, (uint8_t)scope};
    writer_bytes(w, slice_of(head, sizeof(head)));
    spop_write_string(w, name);
}

void spop_write_set_var(struct writer *w, enum spop_scope scope, struct slice name,
                        const struct value *value)
{
    write_action(w, SPOP_SET_VAR, SET_VAR_ARGUMENTS, scope, name);
    spop_write_value(w, value);
}

void spop_write_unset_var(struct writer *w, enum spop_scope scope, struct slice name)
{
    write_action(w, SPOP_UNSET_VAR, UNSET_VAR_ARGUMENTS, scope, name);
}

bool spop_next_action(struct cursor *c, struct spop_action *action)
{
    if (cursor_left(c) == 0)
        return false;
    uint8_t type = cursor_uint8(c);
    uint8_t arguments = cursor_uint8(c);
    uint8_t scope = cursor_uint8(c);
    if (c->error)
        return false;
    bool known = (type == SPOP_SET_VAR && arguments == SET_VAR_ARGUMENTS) ||
                 (type == SPOP_UNSET_VAR && arguments == UNSET_VAR_ARGUMENTS);
    if (!known || scope > SPOP_SCOPE_RESPONSE) {
        cursor_fail(c, ERROR_MALFORMED);
        return false;
    }
    action->type = (enum spop_action_type)type;
    action->scope = (enum spop_scope)scope;
    action->name = spop_read_string(c);
    if (action->type == SPOP_SET_VAR)
        spop_read_value(c, &action->value);
    else
        action->value = (struct value){.type = VALUE_NULL};
    return !c->error;
}
