#include "agent/question.h"

static bool parse_bool(struct slice text, struct value *value)
{
    value->type = VALUE_BOOL;
    value->boolean = slice_equal(text, SLICE("true"));
    return value->boolean || slice_equal(text, SLICE("false"));
}

static bool parse_signed(struct slice text, struct value *value)
{
    value->type = VALUE_INT64;
    return slice_to_int64(text, &value->integer);
}

static bool parse_int32(struct slice text, struct value *value)
{
    bool parsed =
        parse_signed(text, value) && value->integer >= INT32_MIN && value->integer <= INT32_MAX;
    value->type = VALUE_INT32;
    return parsed;
}

static bool parse_unsigned(struct slice text, struct value *value)
{
    value->type = VALUE_UINT64;
    return slice_to_uint64(text, &value->natural);
}

static bool parse_uint32(struct slice text, struct value *value)
{
    bool parsed = parse_unsigned(text, value) && value->natural <= UINT32_MAX;
    value->type = VALUE_UINT32;
    return parsed;
}

static bool parse_ipv4(struct slice text, struct value *value)
{
    return value_parse_address(text, value) && value->type == VALUE_IPV4;
}

static bool parse_ipv6(struct slice text, struct value *value)
{
    return value_parse_address(text, value) && value->type == VALUE_IPV6;
}

static bool parse_null(struct slice text, struct value *value)
{
    value->type = VALUE_NULL;
    return text.size == 0;
}

static bool parse_string(struct slice text, struct value *value)
{
    value->type = VALUE_STRING;
    value->bytes = text;
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decoded in place: two digits make one byte, and the argument is ours to change. */
static bool parse_binary(struct slice text, struct value *value)
{
    uint8_t *bytes = (uint8_t *)text.data;
    for (size_t i = 0; i < text.size; i++)
        if (hex_digit(text.data[i]) < 0)
            return false;
    if (text.size % 2)
        return false;
    for (size_t i = 0; i < text.size; i += 2)
        bytes[i / 2] = (uint8_t)(hex_digit(text.data[i]) << 4 | hex_digit(text.data[i + 1]));
    value->type = VALUE_BINARY;
    value->bytes = slice_of(bytes, text.size / 2);
    return true;
}

static const struct type {
    const char *name;
    bool (*parse)(struct slice text, struct value *value);
    enum value_type type;
    bool inferred; /* tried, in this order, where no type is given */
} types[] = {
    {"ipv4", parse_ipv4, VALUE_IPV4, true},          {"ipv6", parse_ipv6, VALUE_IPV6, true},
    {"int64", parse_signed, VALUE_INT64, true},      {"bool", parse_bool, VALUE_BOOL, true},
    {"string", parse_string, VALUE_STRING, true},    {"null", parse_null, VALUE_NULL, false},
    {"int32", parse_int32, VALUE_INT32, false},      {"uint32", parse_uint32, VALUE_UINT32, false},
    {"uint64", parse_unsigned, VALUE_UINT64, false}, {"binary", parse_binary, VALUE_BINARY, false},
};

#define TYPES (sizeof(types) / sizeof(types[0]))

const char *question_type_name(enum value_type type)
{
    size_t i = 0;
    while (i < TYPES - 1 && types[i].type != type)
        i++;
    return types[i].name;
}

static bool parse_value(struct slice type, struct slice text, struct value *value)
{
    for (size_t i = 0; i < TYPES; i++) {
        bool wanted =
            type.size ? slice_equal(type, slice_of_string(types[i].name)) : types[i].inferred;
        if (!wanted)
            continue;
        if (types[i].parse(text, value))
            return true;
        if (type.size)
            return false;
    }
    return false;
}

bool question_argument(char *text, struct spop_argument *argument)
{
    char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return false;
    struct slice name = slice_of(text, (size_t)(equals - text));
    struct slice type = slice_of(NULL, 0);
    const uint8_t *colon = memchr(name.data, ':', name.size);
    if (colon) {
        type = slice_of(colon + 1, (size_t)((const uint8_t *)equals - colon - 1));
        name.size = (size_t)(colon - name.data);
        if (type.size == 0)
            return false;
    }
    argument->name = name;
    return parse_value(type, slice_of_string(equals + 1), &argument->value);
}

enum error question_print_answer(struct slice payload, const char *prefix, FILE *out)
{
    struct cursor c = cursor_open(payload);
    struct spop_action action;
    while (spop_next_action(&c, &action)) {
        char text[4 * QUESTION_FRAME_MAX]; /* every byte escaped */
        struct writer w = writer_open(text, sizeof(text));
        struct value name = {.type = VALUE_STRING, .bytes = action.name};
        value_print(&name, &w);
        writer_uint8(&w, '=');
        value_print(&action.value, &w);
        if (action.type == SPOP_SET_VAR)
            fprintf(out, "%s%.*s\n", prefix, SLICE_ARGS(writer_slice(&w)));
    }
    return c.error;
}
