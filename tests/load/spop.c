/* To an agent, as HAProxy does. */
#include "tests/load/connection.h"

#define FRAME_MAX 16380 /* what HAProxy announces by default */

static void greet(struct connection *connection, struct writer *output)
{
    struct spop_haproxy_hello hello = {
        .version_2 = true,
        .max_frame_size = FRAME_MAX,
        .capabilities = SPOP_PIPELINING,
        .engine_id = SLICE("load"),
    };
    spop_session_open(&connection->session, SPOP_HAPROXY, FRAME_MAX, SPOP_PIPELINING);
    spop_write_haproxy_hello(output, &hello);
}

/* The arguments that the shipped spoe-sluice.conf sends. */
static void ask(struct connection *connection, uint32_t question, struct writer *output)
{
    const struct question *asked = &connection->questions[question];
    char name[64];
    int size = snprintf(name, sizeof(name), "%s%u", connection->tally->prefix, asked->request.key);
    const struct value key = {.type = VALUE_STRING, .bytes = slice_of(name, (size_t)size)};
    static const struct value source = {.type = VALUE_IPV4, .address = {192, 0, 2, 1}};
    static const struct value method = {.type = VALUE_STRING, .bytes = {(const uint8_t *)"GET", 3}};
    static const struct value path = {.type = VALUE_STRING, .bytes = {(const uint8_t *)"/", 1}};

    uint8_t *frame = spop_frame_begin(output, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN,
                                      (uint64_t)question + 1, asked->serial);
    spop_write_message(output, SLICE("sluice-request"), 4);
    spop_write_argument(output, SLICE("src"), &source);
    spop_write_argument(output, SLICE("method"), &method);
    spop_write_argument(output, SLICE("path"), &path);
    spop_write_argument(output, SLICE("api_key"), &key);
    spop_frame_end(output, frame, connection->session.max_frame_size);
}

static bool read_ack(struct connection *connection, const struct spop_frame *frame)
{
    struct cursor c = cursor_open(frame->payload);
    struct spop_action action;
    struct slice source = SLICE("none");
    bool allowed = false;
    while (spop_next_action(&c, &action)) {
        if (slice_equal(action.name, SLICE("allow")))
            allowed = action.value.type == VALUE_BOOL && action.value.boolean;
        else if (slice_equal(action.name, SLICE("source")))
            source = action.value.bytes;
    }
    if (c.error)
        return false;
    connection_answer(connection, frame->stream_id - 1, frame->frame_id, allowed, source);
    return true;
}

static int64_t read_frame(struct connection *connection, struct slice input)
{
    uint8_t bytes[SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN];
    struct writer w = writer_open(bytes, sizeof(bytes));
    struct spop_event event = spop_session_next(&connection->session, input, &w);
    if (event.type == SPOP_EVENT_CLOSE)
        return -1;
    if (event.type == SPOP_EVENT_HELLO)
        connection->greeted = true;
    if (event.type == SPOP_EVENT_ACK && !read_ack(connection, &event.frame))
        return -1;
    return (int64_t)event.consumed;
}

const struct protocol protocol_spop = {4096, greet, ask, read_frame};
