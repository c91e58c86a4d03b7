#include "transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire.h"

static void add_line(struct writer *text, const char *line, int size)
{
    require(size >= 0 && size < 256);
    writer_bytes(text, slice_of(line, (size_t)size));
}

/* A format and what it takes. */
#define add(text, ...)                                                                             \
    do {                                                                                           \
        char line[256];                                                                            \
        add_line((text), line, snprintf(line, sizeof(line), __VA_ARGS__));                         \
    } while (0)

static void add_bytes(struct writer *text, struct slice bytes)
{
    struct value value = {.type = VALUE_BINARY, .bytes = bytes};
    value_print(&value, text);
}

static void add_value(struct writer *text, const struct value *value)
{
    static const char *const types[] = {"null",   "bool", "int32", "uint32", "int64",
                                        "uint64", "ipv4", "ipv6",  "string", "binary"};
    add(text, "=%s:", types[value->type]);
    value_print(value, text);
}

bool transcript_messages(struct slice payload, struct writer *text)
{
    struct cursor c = cursor_open(payload);
    struct spop_message message = {0};
    struct spop_argument argument;
    while (spop_next_message(&c, &message)) {
        add(text, " ");
        add_bytes(text, message.name);
        add(text, "(%u:", message.arguments_left);
        while (spop_next_argument(&c, &message, &argument)) {
            add(text, " ");
            add_bytes(text, argument.name);
            add_value(text, &argument.value);
        }
        add(text, ")");
    }
    require(c.error || c.position == c.end);
    return !c.error;
}

bool transcript_actions(struct slice payload, struct writer *text)
{
    static const char *const scopes[] = {"proc", "sess", "txn", "req", "res"};
    struct cursor c = cursor_open(payload);
    struct spop_action action;
    while (spop_next_action(&c, &action)) {
        add(text, " %s %s.", action.type == SPOP_SET_VAR ? "set" : "unset", scopes[action.scope]);
        add_bytes(text, action.name);
        if (action.type == SPOP_SET_VAR)
            add_value(text, &action.value);
    }
    require(c.error || c.position == c.end);
    return !c.error;
}

/* Every frame that a session writes is one that its peer can read. */
static void add_answers(struct writer *text, struct slice answers)
{
    while (answers.size) {
        struct spop_frame frame;
        struct spop_agent_hello hello;
        struct spop_disconnect disconnect;
        int64_t size = spop_frame_decode(answers, SPOP_FRAME_SIZE_MIN, &frame);
        require(size > 0 && frame.flags == SPOP_FLAG_FIN && !frame.stream_id && !frame.frame_id);
        if (frame.type == SPOP_FRAME_AGENT_HELLO) {
            require(spop_read_agent_hello(frame.payload, &hello) == SPOP_NORMAL);
            add(text, "> AGENT-HELLO %.*s %" PRIu32 " %u; ", SLICE_ARGS(hello.version),
                hello.max_frame_size, hello.capabilities);
        } else {
            require(spop_read_disconnect(frame.payload, &disconnect) == SPOP_NORMAL);
            require(slice_equal(disconnect.message,
                                slice_of_string(spop_status_text(disconnect.status))));
            add(text, "> %s-DISCONNECT %" PRIu32 "; ",
                frame.type == SPOP_FRAME_AGENT_DISCONNECT ? "AGENT" : "HAPROXY", disconnect.status);
        }
        answers = slice_from(answers, (size_t)size);
    }
}

static void add_event(struct writer *text, struct spop_session *s, const struct spop_event *event,
                      struct writer *answers)
{
    const struct spop_frame *frame = &event->frame;
    bool well_formed = true;
    switch (event->type) {
    case SPOP_EVENT_MORE:
        break;
    case SPOP_EVENT_HELLO:
        require(s->state == SPOP_STATE_RUN);
        add(text, "hello %" PRIu32 " %u ", s->max_frame_size, s->capabilities);
        add_bytes(text, slice_of(s->engine_id, s->engine_id_size));
        add(text, "; ");
        break;
    case SPOP_EVENT_HEALTHCHECK:
        require(s->state == SPOP_STATE_CLOSED);
        add(text, "healthcheck; ");
        break;
    case SPOP_EVENT_NOTIFY:
        add(text, "notify %" PRIu64 ".%" PRIu64, frame->stream_id, frame->frame_id);
        well_formed = transcript_messages(frame->payload, text);
        break;
    case SPOP_EVENT_ACK:
        add(text, "ack %" PRIu64 ".%" PRIu64, frame->stream_id, frame->frame_id);
        well_formed = transcript_actions(frame->payload, text);
        break;
    case SPOP_EVENT_CLOSE:
        require(s->state == SPOP_STATE_CLOSED);
        add(text, "close %" PRIu32 " %s; ", event->status, event->by_peer ? "by peer" : "refused");
        break;
    }
    if (event->type == SPOP_EVENT_NOTIFY || event->type == SPOP_EVENT_ACK)
        add(text, "%s; ", well_formed ? "" : " malformed");
    if (!well_formed)
        spop_session_refuse(s, SPOP_INVALID, answers);
}

/* All that the session makes of the bytes it is given now; how many of them it used. */
static size_t add_events(struct writer *text, struct spop_session *s, struct slice input)
{
    uint8_t buffer[SPOP_FRAME_SIZE_MIN + SPOP_LENGTH_SIZE];
    struct spop_event event;
    size_t used = 0;
    do {
        struct writer answers = writer_open(buffer, sizeof(buffer));
        event = spop_session_next(s, slice_from(input, used), &answers);
        require(event.consumed <= input.size - used);
        require(event.consumed > 0 || event.type == SPOP_EVENT_MORE ||
                event.type == SPOP_EVENT_CLOSE);
        used += event.consumed;
        add_answers(text, writer_slice(&answers));
        answers = writer_open(buffer, sizeof(buffer));
        add_event(text, s, &event, &answers);
        add_answers(text, writer_slice(&answers));
    } while (event.type != SPOP_EVENT_MORE);
    return used;
}

void transcript_write(enum spop_role role, uint32_t max_frame_size, struct slice stream,
                      struct transcript_pieces pieces, struct writer *text)
{
    struct spop_session s;
    require(pieces.size > 0 || !pieces.random);
    spop_session_open(&s, role, max_frame_size, SPOP_PIPELINING);
    size_t begin = 0; /* what the session has not used yet is stream[begin, end) */
    size_t end = 0;
    while (end < stream.size) {
        size_t piece = pieces.size ? pieces.size : stream.size;
        if (pieces.random)
            piece = 1 + random_below(pieces.random, pieces.size);
        end = piece < stream.size - end ? end + piece : stream.size;
        struct slice input = wire_copy(slice_of(stream.data + begin, end - begin));
        begin += add_events(text, &s, input);
        wire_free(input);
    }
    if (begin < end)
        add(text, "%zu left; ", end - begin);
}
