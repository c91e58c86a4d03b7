/* SPOP 2.0, the protocol HAProxy speaks to its stream processing agents, both sides of it.
 *
 * Source: HAProxy's doc/SPOE.txt, section 3 ("SPOP specification").
 *
 * A pure library: no I/O, no allocation, no clock. Decoding yields slices that point into the
 * caller's buffer and live as long as it does. Encoding goes through base's writer: what does not
 * fit leaves writer.error set. Functions are thread-safe on distinct objects.
 *
 * The few functions defined in this header are those that run for every argument of every message.
 */
#pragma once

#include "base/base.h"

/* ---- numbers and values -------------------------------------------------------------------- */

#define SPOP_VARINT_MAX 10 /* bytes that UINT64_MAX takes */

#define SPOP_VARINT_ONE_BYTE 240 /* numbers below it take one byte, which is the number itself */

/* HAProxy's "Peers" variable-length integers. Every number has exactly one encoding; reading one
 * that is longer than 10 bytes or above 2^64-1 fails the cursor with ERROR_MALFORMED. */
size_t spop_varint_size(uint64_t number);

uint64_t spop__read_long_varint(struct cursor *c);
void spop__write_long_varint(struct writer *w, uint64_t number);
uint8_t *spop__put_long_varint(uint8_t *at, uint64_t number);

/* Where there is room for SPOP_VARINT_MAX bytes; returns where they end. */
static inline uint8_t *spop_put_varint(uint8_t *at, uint64_t number)
{
    if (number >= SPOP_VARINT_ONE_BYTE)
        return spop__put_long_varint(at, number);
    *at = (uint8_t)number;
    return at + 1;
}

static inline void spop_write_varint(struct writer *w, uint64_t number)
{
    if (number < SPOP_VARINT_ONE_BYTE)
        writer_uint8(w, (uint8_t)number);
    else
        spop__write_long_varint(w, number);
}

static inline uint64_t spop_read_varint(struct cursor *c)
{
    if (cursor_left(c) > 0 && *c->position < SPOP_VARINT_ONE_BYTE)
        return *c->position++;
    return spop__read_long_varint(c);
}

/* A string: its length as a varint, then its bytes (any bytes). */
static inline void spop_write_string(struct writer *w, struct slice s)
{
    spop_write_varint(w, s.size);
    writer_bytes(w, s);
}

static inline struct slice spop_read_string(struct cursor *c)
{
    uint64_t size = spop_read_varint(c);
    return cursor_bytes(c, size);
}

/* The first byte of a true BOOL; of a false one it is VALUE_BOOL. */
#define SPOP_TRUE 0x11

/* A typed value. Negative integers are sign-extended to 64 bits on the wire, as HAProxy does. Both
 * ways an unknown type is ERROR_MALFORMED, and a 32-bit integer that doesn't fit 32 bits
 * ERROR_RANGE. What could not be read is VALUE_NULL. */
void spop_write_value(struct writer *w, const struct value *value);
void spop__read_other_value(struct cursor *c, struct value *value);

/* Nearly all values are texts. */
static inline void spop_read_value(struct cursor *c, struct value *value)
{
    if (cursor_left(c) == 0 || *c->position != VALUE_STRING) {
        spop__read_other_value(c, value);
        return;
    }
    c->position++;
    value->bytes = spop_read_string(c);
    value->type = c->error ? VALUE_NULL : VALUE_STRING;
}

/* ---- status codes -------------------------------------------------------------------------- */

/* SPOE.txt 3.5; the texts are HAProxy's. */
#define SPOP_STATUS_TABLE(X)                                                                       \
    X(NORMAL, 0, "normal")                                                                         \
    X(IO_ERROR, 1, "I/O error")                                                                    \
    X(TIMEOUT, 2, "a timeout occurred")                                                            \
    X(TOO_BIG, 3, "frame is too big")                                                              \
    X(INVALID, 4, "invalid frame received")                                                        \
    X(NO_VERSION, 5, "version value not found")                                                    \
    X(NO_FRAME_SIZE, 6, "max-frame-size value not found")                                          \
    X(NO_CAPABILITIES, 7, "capabilities value not found")                                          \
    X(BAD_VERSION, 8, "unsupported version")                                                       \
    X(BAD_FRAME_SIZE, 9, "max-frame-size too big or too small")                                    \
    X(FRAGMENTED, 10, "fragmentation not supported")                                               \
    X(INTERLACED, 11, "invalid interlaced frames")                                                 \
    X(UNKNOWN_FRAME, 12, "frame-id not found")                                                     \
    X(RESOURCES, 13, "resource allocation error")                                                  \
    X(UNKNOWN, 99, "an unknown error occurred")

enum spop_status {
#define SPOP_STATUS_ENUM(name, number, text) SPOP_##name = (number),
    SPOP_STATUS_TABLE(SPOP_STATUS_ENUM)
#undef SPOP_STATUS_ENUM
};

/* The text that belongs to a code; a fixed one for codes outside the table. Never NULL. */
const char *spop_status_text(uint32_t status);

/* ---- frames -------------------------------------------------------------------------------- */

enum spop_frame_type {
    SPOP_FRAME_UNSET = 0, /* a later fragment; never accepted here */
    SPOP_FRAME_HAPROXY_HELLO = 1,
    SPOP_FRAME_HAPROXY_DISCONNECT = 2,
    SPOP_FRAME_NOTIFY = 3,
    SPOP_FRAME_AGENT_HELLO = 101,
    SPOP_FRAME_AGENT_DISCONNECT = 102,
    SPOP_FRAME_ACK = 103,
};

#define SPOP_FLAG_FIN   UINT32_C(1)
#define SPOP_FLAG_ABORT UINT32_C(2)

#define SPOP_LENGTH_SIZE    4   /* the length before every frame; not counted in a frame's size */
#define SPOP_FRAME_SIZE_MIN 256 /* no peer may ask for less */

struct spop_frame {
    uint8_t type; /* enum spop_frame_type, or any other byte */
    uint32_t flags;
    uint64_t stream_id;
    uint64_t frame_id;
    struct slice payload;
};

/* Decodes the frame at the start of input. Returns the bytes consumed, its length prefix included;
 * 0 when input holds no whole frame yet; or -(enum spop_status): SPOP_TOO_BIG as soon as the length
 * says more than max_frame_size (before its bytes are waited for), SPOP_INVALID when the length is
 * too small for a frame or the header is not well formed. Flags and type are not judged here. */
int64_t spop_frame_decode(struct slice input, uint32_t max_frame_size, struct spop_frame *frame);

/* Starts a frame, length included; the payload is then written through w, and spop_frame_end fills
 * the length in. Nesting is not possible. Returns where the frame starts, for spop_frame_end; NULL
 * where its header doesn't fit. w must come without an error: spop_frame_end would clear it. */
uint8_t *spop_frame_begin(struct writer *w, enum spop_frame_type type, uint32_t flags,
                          uint64_t stream_id, uint64_t frame_id);

/* Fills in the length. When the frame didn't fit the writer, or is over max_frame_size, takes the
 * whole frame back out of the writer (its earlier content stays), clears the error and returns
 * false. start is what spop_frame_begin returned, NULL included. */
bool spop_frame_end(struct writer *w, uint8_t *start, uint32_t max_frame_size);

/* The same where it is known beforehand that there is room: what spop_frame_begin writes, of which
 * the return value is the end, and, once the payload is written too, its length. */
#define SPOP_FRAME_HEAD_MAX (SPOP_LENGTH_SIZE + 1 + 4 + SPOP_VARINT_MAX + SPOP_VARINT_MAX)
static inline uint8_t *spop_put_frame(uint8_t *at, enum spop_frame_type type, uint32_t flags,
                                      uint64_t stream_id, uint64_t frame_id)
{
    writer_put_uint32(at, 0);
    at[SPOP_LENGTH_SIZE] = (uint8_t)type;
    writer_put_uint32(at + SPOP_LENGTH_SIZE + 1, flags);
    return spop_put_varint(spop_put_varint(at + SPOP_LENGTH_SIZE + 5, stream_id), frame_id);
}

static inline void spop_put_frame_size(uint8_t *start, const uint8_t *end)
{
    writer_put_uint32(start, (uint32_t)(end - start) - SPOP_LENGTH_SIZE);
}

/* ---- handshake ----------------------------------------------------------------------------- */

enum spop_capability {
    SPOP_FRAGMENTATION = 1,
    SPOP_PIPELINING = 2,
    SPOP_ASYNC = 4,
};

struct spop_haproxy_hello {
    bool version_2;          /* "2.x" is among the supported versions; not looked at in writing */
    uint32_t max_frame_size; /* as announced, >= SPOP_FRAME_SIZE_MIN */
    unsigned capabilities;   /* of enum spop_capability; unknown words are ignored */
    bool healthcheck;
    struct slice engine_id; /* empty when not sent */
};

struct spop_agent_hello {
    struct slice version;    /* "2.x" */
    uint32_t max_frame_size; /* >= SPOP_FRAME_SIZE_MIN; whether we can do it is for the caller */
    unsigned capabilities;
};

/* SPOP_NORMAL, or the code to disconnect with, the first of these that applies: SPOP_INVALID for
 * bytes that don't parse, or a known key of a wrong type or sent twice; SPOP_NO_VERSION,
 * SPOP_BAD_VERSION (no well-formed "2.x" in it); SPOP_NO_FRAME_SIZE, SPOP_BAD_FRAME_SIZE (below
 * SPOP_FRAME_SIZE_MIN); SPOP_NO_CAPABILITIES. Unknown keys are skipped. *hello is
 * complete only with SPOP_NORMAL. */
enum spop_status spop_read_haproxy_hello(struct slice payload, struct spop_haproxy_hello *hello);
enum spop_status spop_read_agent_hello(struct slice payload, struct spop_agent_hello *hello);

/* Whole frames. False (and nothing written) when they don't fit, a HAPROXY-HELLO also when it is
 * over the max_frame_size that it announces. The versions are "2.0". */
bool spop_write_haproxy_hello(struct writer *w, const struct spop_haproxy_hello *hello);
bool spop_write_agent_hello(struct writer *w, uint32_t max_frame_size, unsigned capabilities);

/* ---- disconnect ---------------------------------------------------------------------------- */

struct spop_disconnect {
    uint32_t status; /* enum spop_status, or a code of the peer's own */
    struct slice message;
};

/* SPOP_NORMAL, or SPOP_INVALID where an item is absent, of a wrong type, or sent twice, or where
 * the bytes don't parse. */
enum spop_status spop_read_disconnect(struct slice payload, struct spop_disconnect *disconnect);

/* A whole frame of either DISCONNECT type, with the code's text. False when it doesn't fit. */
bool spop_write_disconnect(struct writer *w, enum spop_frame_type type, uint32_t status);

/* ---- NOTIFY: messages and their arguments -------------------------------------------------- */

struct spop_message {
    struct slice name;
    uint8_t arguments_left; /* counts down as spop_next_argument yields them */
};

struct spop_argument {
    struct slice name; /* empty where HAProxy's configuration named none */
    struct value value;
};

/* Reading a NOTIFY's payload, opened with cursor_open:
 *     struct spop_message message = {0};
 *     while (spop_next_message(&c, &message))
 *         while (spop_next_argument(&c, &message, &argument))
 *             ...
 *     if (c.error) it was malformed
 * Arguments that the caller didn't read are skipped by the next spop_next_message, hence the {0}
 * before the first. Both return false at the end and at the first error. */
bool spop_next_message(struct cursor *c, struct spop_message *message);

static inline bool spop_next_argument(struct cursor *c, struct spop_message *message,
                                      struct spop_argument *argument)
{
    if (message->arguments_left == 0)
        return false;
    message->arguments_left--;
    argument->name = spop_read_string(c);
    spop_read_value(c, &argument->value);
    return !c->error;
}

/* The client's side, inside a NOTIFY frame begun with spop_frame_begin: a message, then exactly
 * `arguments` arguments. */
void spop_write_message(struct writer *w, struct slice name, uint8_t arguments);
void spop_write_argument(struct writer *w, struct slice name, const struct value *value);

/* ---- ACK: actions -------------------------------------------------------------------------- */

enum spop_scope {
    SPOP_SCOPE_PROCESS = 0,
    SPOP_SCOPE_SESSION = 1,
    SPOP_SCOPE_TRANSACTION = 2,
    SPOP_SCOPE_REQUEST = 3,
    SPOP_SCOPE_RESPONSE = 4,
};

enum spop_action_type {
    SPOP_SET_VAR = 1,
    SPOP_UNSET_VAR = 2,
};

struct spop_action {
    enum spop_action_type type;
    enum spop_scope scope;
    struct slice name;
    struct value value; /* SPOP_SET_VAR only; NULL otherwise */
};

/* Inside an ACK frame begun with spop_frame_begin. */
void spop_write_set_var(struct writer *w, enum spop_scope scope, struct slice name,
                        const struct value *value);
void spop_write_unset_var(struct writer *w, enum spop_scope scope, struct slice name);

/* ---- set-var of names that are always the same ---------------------------------------------- */

/* For answers of which it is known beforehand that there is room: the functions below write at a
 * place that has it and return where what they wrote ends. What a set-var begins with is made
 * beforehand: SPOP_VARIABLE(scope, "name") is the initialiser of one. The value is to follow. */
struct spop_variable {
    uint8_t head[4]; /* type, arguments, scope, the name's length */
    char name[28];   /* without a NUL; so long that the length takes one byte */
};

#define SPOP_VARIABLE(scope, name)                                                                 \
    {                                                                                              \
        {SPOP_SET_VAR, 3, (scope), sizeof(name) - 1}, name                                         \
    }

/* Takes room for the whole of a struct spop_variable, so that its copy has a size that is known
 * when compiling. */
static inline uint8_t *spop_put_variable(uint8_t *at, const struct spop_variable *variable)
{
    memcpy(at, variable, sizeof(*variable));
    return at + sizeof(variable->head) + variable->head[3];
}

/* The values of one, as spop_write_value has them. */
static inline uint8_t *spop_put_bool(uint8_t *at, bool boolean)
{
    *at = boolean ? SPOP_TRUE : VALUE_BOOL;
    return at + 1;
}

static inline uint8_t *spop_put_number(uint8_t *at, uint64_t number)
{
    *at = VALUE_UINT64;
    return spop_put_varint(at + 1, number);
}

/* Takes room for SPOP_VARINT_MAX bytes besides the text. */
static inline uint8_t *spop_put_text(uint8_t *at, struct slice text)
{
    *at = VALUE_STRING;
    at = spop_put_varint(at + 1, text.size);
    if (text.size)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

/* Reading an ACK's payload. False at its end or at the first error, which c.error then tells: an
 * unknown action, scope or argument count is ERROR_MALFORMED. A set-var whose value is missing is
 * ERROR_TRUNCATED. */
bool spop_next_action(struct cursor *c, struct spop_action *action);

/* ---- session: bytes in, events out --------------------------------------------------------- */

enum spop_role {
    SPOP_AGENT,   /* we are the agent, the peer is HAProxy */
    SPOP_HAPROXY, /* we speak as HAProxy does: the test client, the load generator */
};

/* What the caller is told. The session itself writes what the protocol demands in return: the
 * AGENT-HELLO, and the DISCONNECT before SPOP_EVENT_CLOSE. */
enum spop_event_type {
    SPOP_EVENT_MORE,        /* no whole frame is left in the input: come back with more bytes */
    SPOP_EVENT_HELLO,       /* the handshake is done */
    SPOP_EVENT_HEALTHCHECK, /* agent: a health check was answered: flush, then close */
    SPOP_EVENT_NOTIFY,      /* agent: answer frame.stream_id, frame.frame_id with an ACK */
    SPOP_EVENT_ACK,         /* client */
    SPOP_EVENT_CLOSE,       /* flush, then close: the peer said goodbye or broke the protocol */
};

struct spop_event {
    enum spop_event_type type;
    size_t consumed; /* bytes of input used up; drop them before the next call, MORE's too */
    struct spop_frame frame; /* NOTIFY, ACK */
    uint32_t status;         /* CLOSE: the code sent or received; SPOP_NORMAL for a plain goodbye */
    bool by_peer;            /* CLOSE: the peer disconnected; false when we refused what it sent */
};

enum spop_state {
    SPOP_STATE_HELLO,  /* waiting for the peer's HELLO */
    SPOP_STATE_RUN,    /* NOTIFY and ACK flow */
    SPOP_STATE_CLOSED, /* nothing more is read */
};

struct spop_session {
    enum spop_role role;
    enum spop_state state;
    uint32_t max_frame_size; /* ours until the handshake, then the negotiated one */
    unsigned capabilities;   /* ours until the handshake, then what both can */
    bool healthcheck;
    /* The peer's engine-id, cut to what fits; HAProxy sends a UUID of 36 bytes. */
    uint8_t engine_id[64];
    uint8_t engine_id_size;
};

/* max_frame_size is the most this side accepts, at least SPOP_FRAME_SIZE_MIN. SPOP_FRAGMENTATION is
 * dropped from the capabilities: fragments are refused here. A client writes its HAPROXY-HELLO
 * itself, with the same numbers. */
void spop_session_open(struct spop_session *s, enum spop_role role, uint32_t max_frame_size,
                       unsigned capabilities);

/* The same, past a handshake that somebody else has had with the peer: on with what they agreed. */
void spop_session_resume(struct spop_session *s, enum spop_role role, uint32_t agreed_frame_size,
                         unsigned agreed_capabilities);

/* Takes the next frame of input, whole or not, and says what it means. The protocol's own answers
 * go to output, which needs SPOP_FRAME_SIZE_MIN + SPOP_LENGTH_SIZE bytes of room to be sure of
 * them: a DISCONNECT that doesn't fit is not sent, and an AGENT-HELLO that doesn't ends the session
 * with SPOP_RESOURCES.
 *
 * What is refused, and with which code: frames over the negotiated size (TOO_BIG); without FIN or
 * of type UNSET (FRAGMENTED); a header or payload that doesn't parse, a frame of the peer's that
 * makes no sense in this state, anything but a HELLO as the first, a HELLO or DISCONNECT with
 * stream or frame id (INVALID); a HELLO that can't be agreed with, see spop_read_haproxy_hello.
 * Once the handshake is done, frames of unknown type are skipped, as SPOE.txt 3.2.2 allows. The
 * payload of a NOTIFY or ACK is the caller's to read; spop_session_refuse answers one that turns
 * out malformed.
 *
 * A closed session consumes all input and says SPOP_EVENT_MORE, so that a caller can go on reading
 * until the peer has closed too. */
struct spop_event spop_session_next(struct spop_session *s, struct slice input,
                                    struct writer *output);

/* Ends the session from our side: writes our DISCONNECT with this code (agent: after a drain,
 * SPOP_NORMAL). Does nothing when it is already closed. */
void spop_session_refuse(struct spop_session *s, uint32_t status, struct writer *output);
