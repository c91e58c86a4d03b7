/* Any bytes as what the tools read besides rules: lines of logs in HAProxy's format, in one of the
 * input's own and in JSON; HAProxy's SPOE file; and lines that are quoted. The first byte says
 * which. What is read is inside the input, or what was expected is told. */
#include <stdlib.h>

#include "agent/quote.h"
#include "agent/replay.h"
#include "agent/spoe_config_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct replay_fields fields;
static struct replay_request request;

static void check_values(enum replay_outcome outcome, const char *why, struct slice line)
{
    require((outcome == REPLAY_UNREADABLE) == (why != NULL));
    for (size_t i = 0; outcome != REPLAY_UNREADABLE && i < fields.count; i++) {
        const struct value *value = &request.values[i];
        if (value->type != VALUE_STRING || value->bytes.size == 0)
            continue;
        require(value->bytes.data >= line.data &&
                value->bytes.size <= line.size - (size_t)(value->bytes.data - line.data));
    }
}

static void read_line(const char *text, struct slice line)
{
    static struct replay_format format;
    const char *what = NULL;
    const char *why = NULL;
    size_t at = 0;
    memset(&fields, 0, sizeof(fields));
    if (!replay_format_read(&format, text, "host,,agent", &fields, &what, &at)) {
        require(what && at <= strlen(text));
        return;
    }
    enum replay_outcome outcome = replay_format_line(&format, line, &request, &why);
    check_values(outcome, why, line);
}

static void read_own(struct slice input)
{
    char text[256];
    size_t size = 0;
    while (size < input.size && size < sizeof(text) - 1 && input.data[size] != '\n')
        size++;
    memcpy(text, input.data ? input.data : (const uint8_t *)"", size);
    text[size] = 0;
    read_line(text, slice_from(input, size + 1));
}

static void read_json(struct slice input)
{
    static const char *const names[] = {"src", "method", "path", "units"};
    const struct replay_json json = {.fields = &fields};
    const char *why = NULL;
    uint8_t *line = malloc(input.size + 1);
    require(line);
    if (input.size)
        memcpy(line, input.data, input.size);
    memset(&fields, 0, sizeof(fields));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        replay_field(&fields, slice_of_string(names[i]), true);
    enum replay_outcome outcome = replay_json_line(&json, line, input.size, &request, &why);
    check_values(outcome, why, slice_of(line, input.size));
    free(line);
}

static void read_spoe(struct slice input)
{
    struct spoe_sent sent;
    const char *what = NULL;
    require(spoe_sent_read(&sent, input, "file", &what) || what);
    for (size_t i = 0; i < sent.list.count; i++)
        for (size_t a = 0; a < sent.list.messages[i].count; a++)
            require(strlen(sent.list.messages[i].arguments[a]) <= input.size);
    spoe_sent_free(&sent);
}

static void quote(struct slice input)
{
    uint8_t out[QUOTE_MAX];
    for (size_t column = 1; column <= 200; column += 19) {
        struct writer w = writer_open(out, sizeof(out));
        struct slice line = quote_line(input, 1 + column % 3);
        quote_write(line, 4000000000, column, &w);
        require(!w.error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_from(slice_of(data, size), 1);
    switch (size ? data[0] : '0') {
    case '0':
        read_line(REPLAY_HTTP_FORMAT, input);
        break;
    case '1':
        read_own(input);
        break;
    case '2':
        read_json(input);
        break;
    case '3':
        read_spoe(input);
        break;
    default:
        quote(input);
        break;
    }
    return 0;
}
