#include "agent/replay.h"

enum kind {
    KIND_NOTHING, /* of no use here */
    KIND_TEXT,
    KIND_NUMBER,
    KIND_ADDRESS,
    KIND_TIME,
    KIND_MILLISECONDS, /* of the time's second */
    KIND_FRONTEND,     /* with '~' behind it, where TLS was spoken */
    KIND_REQUEST,      /* "GET /path?query HTTP/1.1" */
    KIND_URL,
    KIND_QUERY, /* with its '?' */
    KIND_VERSION,
    KIND_CAPTURES,
    KIND_RESPONSE_CAPTURES,
};

/* HAProxy's log variables (Configuration Manual, "Custom log format"), those that are of use and
 * those of which only the length is. */
struct replay_variable {
    const char *name;
    enum kind kind;
    const char *field;
};

static const struct replay_variable variables[] = {
    {"ci", KIND_ADDRESS, "src"},
    {"cp", KIND_NUMBER, "src_port"},
    {"fi", KIND_ADDRESS, "dst"},
    {"fp", KIND_NUMBER, "dst_port"},
    {"ft", KIND_FRONTEND, "frontend"},
    {"f", KIND_TEXT, "frontend"},
    {"HM", KIND_TEXT, "method"},
    {"HP", KIND_TEXT, "path"},
    {"HPO", KIND_TEXT, "path"},
    {"HU", KIND_URL, "url"},
    {"HQ", KIND_QUERY, "query"},
    {"HV", KIND_VERSION, "http_version"},
    {"r", KIND_REQUEST, NULL},
    {"ST", KIND_NUMBER, "status"},
    {"sslv", KIND_TEXT, "ssl_version"},
    {"sslc", KIND_TEXT, "ssl_cipher"},
    {"hr", KIND_CAPTURES, NULL},
    {"hs", KIND_RESPONSE_CAPTURES, NULL},
    {"tr", KIND_TIME, NULL},
    {"trg", KIND_TIME, NULL},
    {"trl", KIND_TIME, NULL},
    {"t", KIND_TIME, NULL},
    {"T", KIND_TIME, NULL},
    {"Tl", KIND_TIME, NULL},
    {"Ts", KIND_TIME, NULL},
    {"ms", KIND_MILLISECONDS, NULL},
};

/* The others are skipped. */
static const struct replay_variable others = {"", KIND_NOTHING, NULL};
static const struct replay_variable expression = {"[]", KIND_TEXT, NULL};

/* ---- compiling ----------------------------------------------------------------------------- */

struct compiler {
    struct replay_format *format;
    const char *text;
    size_t at;
    bool quoted; /* by an %o before */
    const char *what;
};

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static const struct replay_variable *find_variable(struct slice name)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        if (slice_equal(name, slice_of_string(variables[i].name)))
            return &variables[i];
    return &others;
}

/* "%{+Q,-X}": whether it says that values are in quotes. */
static bool read_flags(struct compiler *c, bool *quoted)
{
    const char *begin = c->text + c->at;
    const char *end = strchr(begin, '}');
    if (!end) {
        c->what = "a '}' behind the flags";
        return false;
    }
    for (const char *flag = begin; flag < end; flag++)
        if (flag[1] == 'Q' && (*flag == '+' || *flag == '-'))
            *quoted = *flag == '+';
    c->at += (size_t)(end - begin) + 1;
    return true;
}

/* The name between brackets that may have brackets in them. */
static bool read_expression(struct compiler *c, struct replay_token *token)
{
    const char *begin = c->text + c->at + 1;
    size_t depth = 1;
    const char *end = begin;
    for (; *end && depth; end++)
        depth = depth + (*end == '[') - (*end == ']');
    if (depth) {
        c->what = "a ']' behind the name of an argument";
        return false;
    }
    token->variable = &expression;
    token->argument = slice_of(begin, (size_t)(end - begin) - 1);
    c->at += (size_t)(end - begin) + 1;
    return true;
}

static bool read_name(struct compiler *c, struct replay_token *token)
{
    size_t size = 0;
    while (is_name(c->text[c->at + size]))
        size++;
    if (size == 0) {
        c->what = "the name of a variable behind '%', or %[ARGUMENT]";
        return false;
    }
    token->variable = find_variable(slice_of(c->text + c->at, size));
    c->at += size;
    return true;
}

/* What stands up to the next variable; "%%" is left as it is, which no log has. */
static struct slice read_text(struct compiler *c)
{
    size_t begin = c->at;
    while (c->text[c->at] && c->text[c->at] != '%')
        c->at++;
    return slice_of(c->text + begin, c->at - begin);
}

static bool add_token(struct compiler *c, const struct replay_token *token)
{
    struct replay_format *format = c->format;
    const struct replay_token *last = format->count ? &format->tokens[format->count - 1] : NULL;
    if (format->count == REPLAY_TOKENS_MAX) {
        c->what = "at most 128 variables";
        return false;
    }
    if (last && last->variable && last->text.size == 0 && !last->quoted && token->variable) {
        c->what = "a text between two variables, by which their ends are found";
        return false;
    }
    format->tokens[format->count++] = *token;
    return true;
}

static bool read_token(struct compiler *c)
{
    struct replay_token token = {.quoted = c->quoted};
    c->at++;
    if (c->text[c->at] == '{' && !(c->at++, read_flags(c, &token.quoted)))
        return false;
    if (c->text[c->at] == 'o' && !is_name(c->text[c->at + 1])) {
        /* %o sets the flags of all that follow, and is nothing itself. */
        c->quoted = token.quoted;
        c->at++;
        while (c->text[c->at] == ' ')
            c->at++;
        return true;
    }
    bool read = c->text[c->at] == '[' ? read_expression(c, &token) : read_name(c, &token);
    if (!read)
        return false;
    token.text = read_text(c);
    return add_token(c, &token);
}

static bool read_captures(struct replay_format *format, const char *captures)
{
    while (captures && *captures) {
        size_t size = strcspn(captures, ",");
        if (format->capture_count == REPLAY_CAPTURES_MAX)
            return false;
        format->captures[format->capture_count++] =
            size ? replay_field(format->fields, slice_of(captures, size), true) : -1;
        captures += size + (captures[size] == ',');
    }
    return true;
}

static void add_parts(struct replay_format *format, enum kind kind)
{
    static const char *const names[] = {"method", "url", "path", "query", "http_version", "ssl"};
    for (int i = 0; i < REPLAY_PARTS; i++) {
        bool of_url = i == REPLAY_URL || i == REPLAY_PATH || i == REPLAY_QUERY;
        bool is_there = i == REPLAY_SSL ? kind == KIND_FRONTEND
                                        : kind == KIND_REQUEST || (kind == KIND_URL && of_url);
        if (is_there)
            format->parts[i] = replay_field(format->fields, slice_of_string(names[i]), true);
    }
}

/* Notes what lines of the format can say. */
static void add_fields(struct replay_format *format)
{
    for (size_t i = 0; i < format->count; i++) {
        struct replay_token *token = &format->tokens[i];
        enum kind kind = token->variable ? token->variable->kind : KIND_NOTHING;
        struct slice name = token->argument;
        if (token->variable && token->variable->field)
            name = slice_of_string(token->variable->field);
        token->field = name.size ? replay_field(format->fields, name, true) : -1;
        add_parts(format, kind);
    }
}

bool replay_format_read(struct replay_format *format, const char *text, const char *captures,
                        struct replay_fields *fields, const char **what, size_t *at)
{
    struct compiler c = {.format = format, .text = text};
    *format = (struct replay_format){.fields = fields};
    for (int i = 0; i < REPLAY_PARTS; i++)
        format->parts[i] = -1;
    bool has_time = false;
    struct replay_token first = {.text = read_text(&c)};
    if (first.text.size)
        add_token(&c, &first);
    while (text[c.at] && read_token(&c))
        ;
    for (size_t i = 0; i < format->count; i++)
        has_time = has_time ||
                   (format->tokens[i].variable && format->tokens[i].variable->kind == KIND_TIME);
    if (!c.what && !has_time)
        c.what = "a time in it, as in %tr";
    if (!c.what && !read_captures(format, captures))
        c.what = "at most 16 captures";
    *what = c.what;
    *at = c.at;
    if (c.what)
        return false;
    add_fields(format);
    return true;
}

/* ---- lines --------------------------------------------------------------------------------- */

struct reader {
    const struct replay_format *format;
    struct replay_request *request;
    struct slice rest; /* of the line */
    bool no_request;
    uint64_t milliseconds;
};

static void put(struct reader *r, int field, struct value value)
{
    if (field < 0)
        return;
    r->request->values[field] = value;
    r->format->fields->seen[field] = true;
}

static struct value text_value(struct slice text)
{
    return (struct value){.type = VALUE_STRING, .bytes = text};
}

static size_t find(struct slice text, struct slice what)
{
    if (what.size == 0)
        return text.size;
    if (text.size == 0)
        return SIZE_MAX;
    const uint8_t *found = what.size == 1 ? memchr(text.data, what.data[0], text.size)
                                          : memmem(text.data, text.size, what.data, what.size);
    return found ? (size_t)(found - text.data) : SIZE_MAX;
}

/* Of addresses, which may have in them what stands behind them: the last place in the word. */
static size_t find_last(struct slice text, struct slice what)
{
    size_t blank = find(text, SLICE(" "));
    size_t end = blank == SIZE_MAX ? text.size : blank;
    if (what.size == 0 || memchr(what.data, ' ', what.size))
        return what.size ? find(text, what) : end;
    for (size_t at = end; at-- > 0;)
        if (end - at >= what.size && memcmp(text.data + at, what.data, what.size) == 0)
            return at;
    return SIZE_MAX;
}

/* A path and query of what the client asked for, which may begin with a scheme and a host. */
static void put_url(struct reader *r, struct slice url)
{
    size_t scheme = find(url, SLICE("://"));
    struct slice path = url;
    if (url.size && url.data[0] != '/' && scheme != SIZE_MAX && scheme != url.size) {
        struct slice behind = slice_from(url, scheme + 3);
        size_t slash = find(behind, SLICE("/"));
        path = slash == SIZE_MAX ? slice_of(NULL, 0) : slice_from(behind, slash);
    }
    size_t question = find(path, SLICE("?"));
    put(r, r->format->parts[REPLAY_URL], text_value(url));
    if (question != SIZE_MAX && question < path.size) {
        put(r, r->format->parts[REPLAY_QUERY], text_value(slice_from(path, question + 1)));
        path.size = question;
    }
    if (path.size)
        put(r, r->format->parts[REPLAY_PATH], text_value(path));
}

static void put_request(struct reader *r, struct slice line)
{
    size_t first = find(line, SLICE(" "));
    if (first == SIZE_MAX || first == line.size) {
        r->no_request = true; /* <BADREQ> */
        return;
    }
    put(r, r->format->parts[REPLAY_METHOD], text_value(slice_of(line.data, first)));
    struct slice rest = slice_from(line, first + 1);
    size_t second = find_last(rest, SLICE(" "));
    struct slice url = slice_of(rest.data, second == SIZE_MAX ? rest.size : second);
    struct slice version = slice_from(rest, url.size + 1);
    put_url(r, url);
    if (slice_has_prefix(version, SLICE("HTTP/")))
        put(r, r->format->parts[REPLAY_VERSION], text_value(slice_from(version, 5)));
}

static void put_captures(struct reader *r, struct slice text)
{
    for (size_t i = 0; i < r->format->capture_count; i++) {
        size_t end = find(text, SLICE("|"));
        struct slice value = slice_of(text.data, end == SIZE_MAX ? text.size : end);
        if (value.size)
            put(r, r->format->captures[i], text_value(value));
        if (end == SIZE_MAX)
            return;
        text = slice_from(text, end + 1);
    }
}

static bool put_value(struct reader *r, const struct replay_token *token, struct slice text)
{
    const struct replay_variable *variable = token->variable;
    struct value value = text_value(text);
    bool is_absent = text.size == 0 || slice_equal(text, SLICE("-"));
    switch (variable->kind) {
    case KIND_NOTHING:
    case KIND_RESPONSE_CAPTURES:
        return true;
    case KIND_TIME:
        return replay_time(text, &r->request->time);
    case KIND_MILLISECONDS:
        return slice_to_uint64(text, &r->milliseconds) && r->milliseconds < 1000;
    case KIND_REQUEST:
        put_request(r, text);
        return true;
    case KIND_URL:
        put_url(r, text);
        return true;
    case KIND_CAPTURES:
        put_captures(r, text);
        return true;
    case KIND_FRONTEND:
        value = (struct value){.type = VALUE_BOOL, .boolean = slice_has_suffix(text, SLICE("~"))};
        put(r, r->format->parts[REPLAY_SSL], value);
        text.size -= value.boolean ? 1 : 0;
        value = text_value(text);
        break;
    case KIND_QUERY:
        if (text.size && text.data[0] == '?')
            value.bytes = slice_from(text, 1);
        break;
    case KIND_VERSION:
        if (slice_has_prefix(text, SLICE("HTTP/")))
            value.bytes = slice_from(text, 5);
        break;
    case KIND_NUMBER:
        value.type = VALUE_INT64;
        if (!is_absent && !slice_to_int64(text, &value.integer))
            return false;
        break;
    case KIND_ADDRESS:
        if (!is_absent && !value_parse_address(text, &value))
            value = text_value(text); /* "unix:1" */
        break;
    case KIND_TEXT:
        break;
    }
    if (!is_absent)
        put(r, token->field, value);
    return true;
}

/* Cuts a variable's text off the line; false when its end isn't there. */
static bool cut(struct reader *r, const struct replay_token *token, struct slice *text)
{
    enum kind kind = token->variable->kind;
    bool is_captures = kind == KIND_CAPTURES || kind == KIND_RESPONSE_CAPTURES;
    struct slice end = token->text;
    if (is_captures && (r->rest.size == 0 || r->rest.data[0] != '{')) {
        /* Nothing is captured: HAProxy then writes one blank, not two. */
        *text = slice_of(NULL, 0);
        if (end.size && r->rest.size >= end.size - 1)
            r->rest = slice_from(r->rest, end.size - 1);
        return true;
    }
    size_t skip = 0;
    if (is_captures || (token->quoted && r->rest.size && r->rest.data[0] == '"')) {
        r->rest = slice_from(r->rest, 1);
        end = is_captures ? SLICE("}") : SLICE("\"");
        skip = token->text.size;
    }
    size_t at = kind == KIND_ADDRESS ? find_last(r->rest, end) : find(r->rest, end);
    if (at == SIZE_MAX)
        return false;
    *text = slice_of(r->rest.data, at);
    r->rest = slice_from(r->rest, at + end.size);
    if (skip && (!slice_has_prefix(r->rest, token->text)))
        return r->rest.size == 0;
    r->rest = slice_from(r->rest, skip);
    return true;
}

/* What syslog writes before a message: RFC 3164 "<134>Nov 24 17:17:53 host haproxy[1]: ", RFC 5424
 * "<134>1 2026-11-24T17:17:53Z host haproxy 1 - - ", or a part of it. */
static struct slice skip_header(struct slice line)
{
    size_t bracket = find(line, SLICE("]: "));
    if (line.size && line.data[0] == '<') {
        size_t close = find(line, SLICE(">"));
        struct slice rest = close == SIZE_MAX ? line : slice_from(line, close + 1);
        if (slice_has_prefix(rest, SLICE("1 "))) {
            for (int i = 0; i < 7 && rest.size; i++) {
                size_t blank = find(rest, SLICE(" "));
                rest = blank == SIZE_MAX ? rest : slice_from(rest, blank + 1);
            }
            return rest;
        }
        line = rest;
        bracket = find(line, SLICE("]: "));
    }
    bool is_header = bracket != SIZE_MAX && bracket != line.size && bracket < 256 &&
                     find(slice_of(line.data, bracket), SLICE("haproxy")) != SIZE_MAX;
    return is_header ? slice_from(line, bracket + 3) : line;
}

enum replay_outcome replay_format_line(const struct replay_format *format, struct slice line,
                                       struct replay_request *request, const char **why)
{
    struct reader r = {.format = format, .request = request, .rest = skip_header(line)};
    for (size_t i = 0; i < format->fields->count; i++)
        request->values[i].type = VALUE_NULL;
    for (size_t i = 0; i < format->count; i++) {
        const struct replay_token *token = &format->tokens[i];
        struct slice text;
        if (!token->variable) {
            if (!slice_has_prefix(r.rest, token->text))
                *why = "the text that the format begins with";
            else
                r.rest = slice_from(r.rest, token->text.size);
        } else if (!cut(&r, token, &text)) {
            *why = "what the format has behind a variable";
        } else if (!put_value(&r, token, text)) {
            *why = token->variable->kind == KIND_TIME ? "a time" : "a number";
        }
        if (*why)
            return REPLAY_UNREADABLE;
    }
    request->time += r.milliseconds * 1000;
    return r.no_request ? REPLAY_NO_REQUEST : REPLAY_REQUEST;
}
