/* To HAProxy, as a client with keep-alive does: one request at a time. */
#include <strings.h>

#include "tests/load/connection.h"

static void greet(struct connection *connection, struct writer *output)
{
    (void)output;
    connection->greeted = true;
}

static void ask(struct connection *connection, uint32_t question, struct writer *output)
{
    char text[CONNECTION_QUESTION];
    int size = snprintf(text, sizeof(text),
                        "GET /api/orders HTTP/1.1\r\nHost: load\r\nX-Api-Key: %s%u\r\n\r\n",
                        connection->tally->prefix, connection->questions[question].request.key);
    writer_bytes(output, slice_of(text, (size_t)size));
}

/* The value of Content-Length in a head; 0 where there is none. */
static uint64_t body_size(struct slice head)
{
    static const char name[] = "\r\ncontent-length:";
    const size_t length = sizeof(name) - 1;
    for (size_t at = 0; head.size - at > length; at++) {
        if (strncasecmp((const char *)head.data + at, name, length) != 0)
            continue;
        uint64_t size = 0;
        for (at += length; at < head.size && head.data[at] == ' ';)
            at++;
        for (; at < head.size && head.data[at] >= '0' && head.data[at] <= '9'; at++)
            size = size * 10 + head.data[at] - '0';
        return size;
    }
    return 0;
}

static int64_t read_response(struct connection *connection, struct slice input)
{
    const uint8_t *end = memmem(input.data, input.size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - input.data) + 4;
    if (head < sizeof("HTTP/1.1 200") || !slice_has_prefix(input, SLICE("HTTP/1.1 ")))
        return -1;
    uint64_t body = body_size(slice_of(input.data, head));
    if (body > input.size - head)
        return body > CONNECTION_INPUT ? -1 : 0;
    struct slice status = slice_of(input.data + 9, 3);
    connection_answer(connection, 0, connection->questions[0].serial,
                      slice_equal(status, SLICE("200")), status);
    return (int64_t)(head + body);
}

const struct protocol protocol_http = {1, greet, ask, read_response};
