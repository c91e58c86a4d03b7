#include <assert.h>

#include "spop/spop.h"

/* What differs between the two sides of the conversation. */
static const struct side {
    enum spop_frame_type peer_hello;
    enum spop_frame_type peer_disconnect;
    enum spop_frame_type peer_data;
    enum spop_event_type data_event;
    enum spop_frame_type our_disconnect;
} sides[] = {
    [SPOP_AGENT] =
        {
            .peer_hello = SPOP_FRAME_HAPROXY_HELLO,
            .peer_disconnect = SPOP_FRAME_HAPROXY_DISCONNECT,
            .peer_data = SPOP_FRAME_NOTIFY,
            .data_event = SPOP_EVENT_NOTIFY,
            .our_disconnect = SPOP_FRAME_AGENT_DISCONNECT,
        },
    [SPOP_HAPROXY] =
        {
            .peer_hello = SPOP_FRAME_AGENT_HELLO,
            .peer_disconnect = SPOP_FRAME_AGENT_DISCONNECT,
            .peer_data = SPOP_FRAME_ACK,
            .data_event = SPOP_EVENT_ACK,
            .our_disconnect = SPOP_FRAME_HAPROXY_DISCONNECT,
        },
};

void spop_session_open(struct spop_session *s, enum spop_role role, uint32_t max_frame_size,
                       unsigned capabilities)
{
    assert(max_frame_size >= SPOP_FRAME_SIZE_MIN);
    *s = (struct spop_session){
        .role = role,
        .state = SPOP_STATE_HELLO,
        .max_frame_size = max_frame_size,
        .capabilities = capabilities & ~(unsigned)SPOP_FRAGMENTATION,
    };
}

/* The only place where the state changes. */
static void move(struct spop_session *s, enum spop_state to)
{
    bool legal = to == SPOP_STATE_RUN ? s->state == SPOP_STATE_HELLO
                                      : to == SPOP_STATE_CLOSED && s->state != SPOP_STATE_CLOSED;
    assert(legal);
    (void)legal; /* where NDEBUG is defined */
    s->state = to;
}

void spop_session_resume(struct spop_session *s, enum spop_role role, uint32_t agreed_frame_size,
                         unsigned agreed_capabilities)
{
    spop_session_open(s, role, agreed_frame_size, agreed_capabilities);
    move(s, SPOP_STATE_RUN);
}

static void close_event(struct spop_event *event, uint32_t status, bool by_peer)
{
    event->type = SPOP_EVENT_CLOSE;
    event->status = status;
    event->by_peer = by_peer;
}

static void refuse(struct spop_session *s, uint32_t status, struct writer *output,
                   struct spop_event *event)
{
    spop_session_refuse(s, status, output);
    close_event(event, status, false);
}

static enum spop_status agree_with_haproxy(struct spop_session *s, struct slice payload)
{
    struct spop_haproxy_hello hello;
    enum spop_status status = spop_read_haproxy_hello(payload, &hello);
    if (status != SPOP_NORMAL)
        return status;
    if (s->max_frame_size > hello.max_frame_size)
        s->max_frame_size = hello.max_frame_size;
    s->capabilities &= hello.capabilities;
    s->healthcheck = hello.healthcheck;
    size_t size = hello.engine_id.size;
    s->engine_id_size = (uint8_t)(size < sizeof(s->engine_id) ? size : sizeof(s->engine_id));
    if (s->engine_id_size)
        memcpy(s->engine_id, hello.engine_id.data, s->engine_id_size);
    return SPOP_NORMAL;
}

static enum spop_status agree_with_agent(struct spop_session *s, struct slice payload)
{
    struct spop_agent_hello hello;
    enum spop_status status = spop_read_agent_hello(payload, &hello);
    if (status != SPOP_NORMAL)
        return status;
    if (hello.max_frame_size > s->max_frame_size)
        return SPOP_BAD_FRAME_SIZE;
    s->max_frame_size = hello.max_frame_size;
    s->capabilities &= hello.capabilities;
    return SPOP_NORMAL;
}

static void on_hello(struct spop_session *s, struct slice payload, struct writer *output,
                     struct spop_event *event)
{
    bool agent = s->role == SPOP_AGENT;
    enum spop_status status = agent ? agree_with_haproxy(s, payload) : agree_with_agent(s, payload);
    if (status == SPOP_NORMAL && agent &&
        !spop_write_agent_hello(output, s->max_frame_size, s->capabilities))
        status = SPOP_RESOURCES;
    if (status != SPOP_NORMAL) {
        refuse(s, status, output, event);
        return;
    }
    move(s, SPOP_STATE_RUN);
    event->type = SPOP_EVENT_HELLO;
    if (s->healthcheck) {
        move(s, SPOP_STATE_CLOSED);
        event->type = SPOP_EVENT_HEALTHCHECK;
    }
}

static void on_disconnect(struct spop_session *s, struct slice payload, struct writer *output,
                          struct spop_event *event)
{
    struct spop_disconnect disconnect;
    enum spop_status status = spop_read_disconnect(payload, &disconnect);
    if (status != SPOP_NORMAL) {
        refuse(s, status, output, event);
        return;
    }
    /* HAProxy waits for the agent's DISCONNECT; an agent closes right after its own. */
    if (s->role == SPOP_AGENT)
        spop_session_refuse(s, SPOP_NORMAL, output);
    else
        move(s, SPOP_STATE_CLOSED);
    close_event(event, disconnect.status, true);
}

static bool is_known(uint8_t type)
{
    return type <= SPOP_FRAME_NOTIFY || (type >= SPOP_FRAME_AGENT_HELLO && type <= SPOP_FRAME_ACK);
}

/* False when the frame is to be skipped. */
static bool on_frame(struct spop_session *s, struct writer *output, struct spop_event *event)
{
    const struct side *side = &sides[s->role];
    const struct spop_frame *frame = &event->frame;
    bool without_ids = frame->stream_id == 0 && frame->frame_id == 0;

    if (frame->type == SPOP_FRAME_UNSET || !(frame->flags & SPOP_FLAG_FIN)) {
        refuse(s, SPOP_FRAGMENTED, output, event);
    } else if (s->state == SPOP_STATE_RUN && frame->type == side->peer_data) {
        event->type = side->data_event;
    } else if (s->state == SPOP_STATE_HELLO && frame->type == side->peer_hello && without_ids) {
        on_hello(s, frame->payload, output, event);
    } else if ((s->state == SPOP_STATE_RUN || s->role == SPOP_HAPROXY) &&
               frame->type == side->peer_disconnect && without_ids) {
        /* An agent may refuse the handshake; HAProxy's first frame is always its HELLO. */
        on_disconnect(s, frame->payload, output, event);
    } else if (s->state == SPOP_STATE_RUN && !is_known(frame->type)) {
        return false;
    } else {
        refuse(s, SPOP_INVALID, output, event);
    }
    return true;
}

struct spop_event spop_session_next(struct spop_session *s, struct slice input,
                                    struct writer *output)
{
    struct spop_event event = {.type = SPOP_EVENT_MORE};
    if (s->state == SPOP_STATE_CLOSED) {
        event.consumed = input.size;
        return event;
    }
    do {
        int64_t used =
            spop_frame_decode(slice_from(input, event.consumed), s->max_frame_size, &event.frame);
        if (used < 0)
            refuse(s, (uint32_t)-used, output, &event);
        if (used <= 0)
            break;
        event.consumed += (size_t)used;
    } while (!on_frame(s, output, &event));
    return event;
}

void spop_session_refuse(struct spop_session *s, uint32_t status, struct writer *output)
{
    if (s->state == SPOP_STATE_CLOSED)
        return;
    move(s, SPOP_STATE_CLOSED);
    spop_write_disconnect(output, sides[s->role].our_disconnect, status);
}
