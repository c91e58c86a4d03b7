#include "rules/compiled.h"

/* Undoes the escapes of a text, behind its '='. */
static bool read_text(struct slice text, struct value *value, struct writer *room)
{
    const uint8_t *begin = room->position;
    while (text.size) {
        int escaped = rules__escaped(text);
        if (escaped < 0 && text.data[0] == '%')
            return false;
        writer_uint8(room, escaped < 0 ? text.data[0] : (uint8_t)escaped);
        text = slice_from(text, escaped < 0 ? 1 : 3);
    }
    value->type = VALUE_STRING;
    value->bytes = slice_of(begin, (size_t)(room->position - begin));
    return !room->error;
}

static bool read_address(struct slice text, struct value *value)
{
    const uint8_t *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
    if (slash)
        text.size = (size_t)(slash - text.data);
    return value_parse_address(text, value);
}

static bool read_value(struct slice text, struct value *value, struct writer *room)
{
    if (text.size && text.data[0] == '=')
        return read_text(slice_from(text, 1), value, room);
    value->type = VALUE_BOOL;
    value->boolean = slice_equal(text, SLICE("true"));
    if (value->boolean || slice_equal(text, SLICE("false")))
        return true;
    value->type = VALUE_UINT64;
    if (slice_to_uint64(text, &value->natural))
        return true;
    value->type = VALUE_INT64;
    return slice_to_int64(text, &value->integer) || read_address(text, value);
}

static struct slice part_of(struct slice *rest)
{
    const uint8_t *comma = rest->size ? memchr(rest->data, ',', rest->size) : NULL;
    struct slice part = comma ? slice_of(rest->data, (size_t)(comma - rest->data)) : *rest;
    *rest = slice_from(*rest, part.size + 1);
    return part;
}

/* What was read is what is meant exactly when it is written so. */
bool rules_subject_parse(const struct rules_rule *rule, struct slice text, struct value *values,
                         struct writer *room)
{
    uint8_t again[RULES_SUBJECT_MAX];
    struct writer w = writer_open(again, sizeof(again));
    struct slice rest = text;
    for (size_t i = 0; i < rule->key_count; i++)
        if (!read_value(part_of(&rest), &values[rule->key[i].slot], room))
            return false;
    rules_subject_text(rule, values, &w);
    return slice_equal(writer_slice(&w), text);
}
