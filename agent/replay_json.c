#include "agent/replay.h"
#include "agent/spoe_config.h"

/* One object a line, by RFC 8259; what is inside a member's value is skipped. */

#define DEPTH_MAX 64

struct parser {
    uint8_t *at;
    uint8_t *end;
    const char *why;
};

static bool fail(struct parser *p, const char *why)
{
    if (!p->why)
        p->why = why;
    return false;
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\r'))
        p->at++;
}

static bool take(struct parser *p, uint8_t byte)
{
    skip_blanks(p);
    if (p->at == p->end || *p->at != byte)
        return false;
    p->at++;
    return true;
}

/* ---- strings ------------------------------------------------------------------------------- */

static bool read_hex(struct parser *p, uint32_t *number)
{
    *number = 0;
    if (p->end - p->at < 4)
        return fail(p, "four hexadecimal digits behind \\u");
    for (int i = 0; i < 4; i++) {
        uint8_t c = *p->at++;
        uint8_t letter = c | 0x20;
        uint32_t digit = 16;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)c - '0';
        else if (letter >= 'a' && letter <= 'f')
            digit = (uint32_t)letter - 'a' + 10;
        if (digit == 16)
            return fail(p, "four hexadecimal digits behind \\u");
        *number = *number << 4 | digit;
    }
    return true;
}

static uint8_t *write_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (uint8_t)c;
        return to;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (uint8_t)(first[more] | c >> (6 * more));
    while (more-- > 0)
        *to++ = (uint8_t)(0x80 | (c >> (6 * more) & 0x3f));
    return to;
}

/* What is behind "\u"; a pair of surrogates is one character. Never longer than it was written. */
static bool read_unicode(struct parser *p, uint8_t **to)
{
    uint32_t c;
    uint32_t low;
    if (!read_hex(p, &c))
        return false;
    if (c >= 0xd800 && c < 0xdc00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
        p->at += 2;
        if (!read_hex(p, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(p, "the second half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = write_utf8(*to, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    return true;
}

static bool read_escape(struct parser *p, uint8_t **to)
{
    static const char from[] = "\"\\/bfnrt";
    static const char into[] = "\"\\/\b\f\n\r\t";
    if (p->at == p->end)
        return fail(p, "a character behind \\");
    uint8_t c = *p->at++;
    if (c == 'u')
        return read_unicode(p, to);
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return fail(p, "an escape of JSON's behind \\");
    *(*to)++ = (uint8_t)into[found - from];
    return true;
}

/* The text between quotes, of which the first has been taken; escapes are written over. */
static bool read_string(struct parser *p, struct slice *text)
{
    uint8_t *begin = p->at;
    uint8_t *to = begin;
    while (p->at < p->end && *p->at != '"') {
        uint8_t c = *p->at++;
        if (c != '\\')
            *to++ = c;
        else if (!read_escape(p, &to))
            return false;
    }
    if (p->at == p->end)
        return fail(p, "a '\"' at the end of a text");
    p->at++;
    *text = slice_of(begin, (size_t)(to - begin));
    return true;
}

/* ---- values -------------------------------------------------------------------------------- */

/* An array or object, whatever is in it; its first bracket has been taken. */
static bool skip_nested(struct parser *p)
{
    struct slice text;
    size_t depth = 1;
    while (depth) {
        if (p->at == p->end)
            return fail(p, "a bracket that closes");
        uint8_t c = *p->at++;
        if (c == '"' && !read_string(p, &text))
            return false;
        if ((c == '[' || c == '{') && depth++ == DEPTH_MAX)
            return fail(p, "at most 64 brackets inside one another");
        if (c == ']' || c == '}')
            depth--;
    }
    return true;
}

/* true, false, null or a number: one that has a fraction or is too large is its text. */
static bool read_word(struct parser *p, struct value *value)
{
    uint8_t *begin = p->at;
    while (p->at<p->end && * p->at> ' ' && !strchr(",]}", *p->at))
        p->at++;
    struct slice word = slice_of(begin, (size_t)(p->at - begin));
    if (slice_equal(word, SLICE("true")) || slice_equal(word, SLICE("false"))) {
        *value = (struct value){.type = VALUE_BOOL, .boolean = word.data[0] == 't'};
    } else if (slice_equal(word, SLICE("null"))) {
        *value = (struct value){.type = VALUE_NULL};
    } else {
        bool is_number =
            word.size && (word.data[0] == '-' || (word.data[0] >= '0' && word.data[0] <= '9'));
        if (!is_number)
            return fail(p, "a value");
        value->type = VALUE_INT64;
        if (!slice_to_int64(word, &value->integer))
            *value = (struct value){.type = VALUE_STRING, .bytes = word};
    }
    return true;
}

static bool read_value(struct parser *p, struct value *value)
{
    skip_blanks(p);
    *value = (struct value){.type = VALUE_NULL};
    if (take(p, '"')) {
        value->type = VALUE_STRING;
        return read_string(p, &value->bytes);
    }
    if (take(p, '{') || take(p, '['))
        return skip_nested(p);
    return read_word(p, value);
}

/* ---- members ------------------------------------------------------------------------------- */

static bool is_time(const struct replay_json *json, struct slice name)
{
    static const char *const usual[] = {"time", "timestamp", "@timestamp", "ts", "date"};
    if (json->time.size)
        return slice_equal(name, json->time);
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (slice_equal(name, slice_of_string(usual[i])))
            return true;
    return false;
}

static struct slice argument_of(const struct replay_json *json, struct slice name)
{
    for (size_t i = 0; i < json->rename_count; i++)
        if (slice_equal(json->renames[i].field, name))
            return json->renames[i].argument;
    return name;
}

static bool read_time(struct parser *p, const struct value *value, uint64_t *time)
{
    char digits[24];
    struct slice text = value->bytes;
    if (value->type == VALUE_INT64) {
        struct writer w = writer_open(digits, sizeof(digits));
        writer_decimal(&w, value->integer < 0 ? 0 : (uint64_t)value->integer);
        text = writer_slice(&w);
    } else if (value->type != VALUE_STRING) {
        return fail(p, "a time");
    }
    return replay_time(text, time) || fail(p, "a time");
}

static void put_member(const struct replay_json *json, struct slice name, struct value *value,
                       struct replay_request *request)
{
    struct slice argument = argument_of(json, name);
    int field = replay_field(json->fields, argument, false);
    struct value address;
    if (field < 0)
        return;
    if (value->type == VALUE_STRING && spoe_is_address(argument) &&
        value_parse_address(value->bytes, &address))
        *value = address;
    request->values[field] = *value;
    json->fields->seen[field] = json->fields->seen[field] || value->type != VALUE_NULL;
}

enum replay_outcome replay_json_line(const struct replay_json *json, uint8_t *line, size_t size,
                                     struct replay_request *request, const char **why)
{
    struct parser p = {line, line + size, NULL};
    bool has_time = false;
    bool first = true;
    for (size_t i = 0; i < json->fields->count; i++)
        request->values[i].type = VALUE_NULL;
    if (!take(&p, '{'))
        fail(&p, "an object, as in {\"time\": ...}");
    while (!p.why && !take(&p, '}')) {
        struct slice name;
        struct value value;
        if (!first && !take(&p, ','))
            fail(&p, "a ',' or '}' behind a member");
        else if (!take(&p, '"'))
            fail(&p, "a member's name");
        else if (read_string(&p, &name) && (take(&p, ':') || fail(&p, "a ':' behind a name")) &&
                 read_value(&p, &value)) {
            if (is_time(json, name))
                has_time = read_time(&p, &value, &request->time);
            put_member(json, name, &value, request);
        }
        first = false;
    }
    skip_blanks(&p);
    if (!p.why && p.at < p.end)
        fail(&p, "nothing behind the object");
    if (!p.why && !has_time)
        fail(&p, "a member with the time");
    *why = p.why;
    return p.why ? REPLAY_UNREADABLE : REPLAY_REQUEST;
}
