#include "expect.h"
#include "main.h"

#define TEXT_ROOM 65536

/* The transcript, in a buffer that the caller frees. */
static struct writer transcript(enum spop_role role, struct slice stream,
                                struct transcript_pieces pieces)
{
    struct writer text = writer_open(malloc(TEXT_ROOM), TEXT_ROOM);
    ck_assert_ptr_nonnull(text.begin);
    transcript_write(role, WIRE_FRAME_SIZE, stream, pieces, &text);
    ck_assert_int_eq(text.error, ERROR_NONE);
    return text;
}

static void expect_transcript(const struct conversation *conversation, struct slice stream,
                              struct transcript_pieces pieces)
{
    struct writer text = transcript(conversation->role, stream, pieces);
    ck_assert_msg(slice_equal(writer_slice(&text), slice_of_string(conversation->transcript)),
                  "%s, in pieces of %zu:\n%.*s\nnot\n%s", conversation->name, pieces.size,
                  SLICE_ARGS(writer_slice(&text)), conversation->transcript);
    free(text.begin);
}

START_TEST(conversations_whole_and_in_pieces)
{
    struct random random = random_open("conversations_whole_and_in_pieces");
    for (size_t i = 0; i < wire_conversation_count; i++) {
        const struct conversation *conversation = &wire_conversations[i];
        struct slice stream = wire_parse(conversation->text);
        expect_transcript(conversation, stream, (struct transcript_pieces){0});
        for (size_t size = 1; size <= 16; size++)
            expect_transcript(conversation, stream, (struct transcript_pieces){.size = size});
        for (size_t round = 0; round < 20; round++)
            expect_transcript(conversation, stream,
                              (struct transcript_pieces){.size = 100, .random = &random});
        wire_free(stream);
    }
}
END_TEST

/* A conversation that ends anywhere: so far it was the same. */
START_TEST(conversations_cut_off)
{
    for (size_t i = 0; i < wire_conversation_count; i++) {
        const struct conversation *conversation = &wire_conversations[i];
        struct slice stream = wire_parse(conversation->text);
        for (size_t size = 0; size < stream.size; size++) {
            struct slice part = slice_of(stream.data, size);
            struct writer whole =
                transcript(conversation->role, part, (struct transcript_pieces){0});
            struct writer bytewise =
                transcript(conversation->role, part, (struct transcript_pieces){.size = 1});
            struct slice text = writer_slice(&whole);
            ck_assert_msg(slice_equal(text, writer_slice(&bytewise)), "%s", conversation->name);
            /* What is left is a frame that hasn't ended. */
            if (text.size >= 6 && slice_has_suffix(text, SLICE(" left; "))) {
                const uint8_t *last = memrchr(text.data, ';', text.size - 2);
                text.size = last ? (size_t)(last - text.data) + 2 : 0;
            }
            ck_assert_msg(slice_has_prefix(slice_of_string(conversation->transcript), text),
                          "%s, after %zu bytes: %.*s", conversation->name, size, SLICE_ARGS(text));
            free(whole.begin);
            free(bytewise.begin);
        }
        wire_free(stream);
    }
}
END_TEST

/* One frame of a stream, cut short with its length corrected. Where it no longer is what it was,
 * the session refuses it, and says so. */
START_TEST(truncated_frames_are_refused_or_shorter)
{
    static const struct {
        enum spop_role role;
        const char *before;
        const char *frame;
    } cases[] = {
        {SPOP_AGENT, "", HAPROXY_HELLO},
        {SPOP_AGENT, "", HAPROXY_CHECK},
        {SPOP_AGENT, HAPROXY_HELLO, NOTIFY},
        {SPOP_AGENT, HAPROXY_HELLO, HAPROXY_IDLE},
        {SPOP_HAPROXY, "", AGENT_HELLO},
        {SPOP_HAPROXY, AGENT_HELLO, ACK},
        {SPOP_HAPROXY, AGENT_HELLO, ACK_EVERY_SCOPE},
        {SPOP_HAPROXY, AGENT_HELLO, AGENT_BYE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice before = wire_parse(cases[i].before);
        struct slice frame = wire_parse(cases[i].frame);
        for (size_t size = SPOP_LENGTH_SIZE; size < frame.size; size++) {
            uint8_t stream[1024];
            struct writer w = writer_open(stream, sizeof(stream));
            writer_bytes(&w, before);
            writer_uint32(&w, (uint32_t)(size - SPOP_LENGTH_SIZE));
            writer_bytes(&w, slice_of(frame.data + SPOP_LENGTH_SIZE, size - SPOP_LENGTH_SIZE));
            ck_assert_int_eq(w.error, ERROR_NONE);
            struct writer whole =
                transcript(cases[i].role, writer_slice(&w), (struct transcript_pieces){0});
            struct writer bytewise =
                transcript(cases[i].role, writer_slice(&w), (struct transcript_pieces){.size = 1});
            ck_assert(slice_equal(writer_slice(&whole), writer_slice(&bytewise)));
            ck_assert(!slice_has_suffix(writer_slice(&whole), SLICE(" left; ")));
            ck_assert_uint_gt(writer_size(&whole), 0);
            free(whole.begin);
            free(bytewise.begin);
        }
        wire_free(before);
        wire_free(frame);
    }
}
END_TEST

/* spoa-mirror#40: HAProxy with 64 KiB buffers sends frames up to the last byte of them. */
START_TEST(frames_of_64_kib)
{
    struct slice hello = wire_parse(HAPROXY_HELLO);
    size_t size = SPOP_LENGTH_SIZE + WIRE_FRAME_SIZE;
    uint8_t *body = calloc(1, size);
    uint8_t *stream = malloc(hello.size + 2 * size);
    ck_assert(body && stream);
    for (size_t pieces = 0; pieces < 3; pieces++) {
        struct writer w = writer_open(stream, hello.size + 2 * size);
        writer_bytes(&w, hello);
        for (int i = 0; i < 2; i++) {
            uint8_t *start = spop_frame_begin(&w, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN, 0, 1);
            struct value value = {.type = VALUE_BINARY, .bytes = {body, WIRE_FRAME_SIZE - 16}};
            spop_write_message(&w, SLICE("m"), 1);
            spop_write_argument(&w, SLICE("a"), &value);
            ck_assert(spop_frame_end(&w, start, WIRE_FRAME_SIZE));
        }
        ck_assert_uint_eq(writer_size(&w), hello.size + 2 * size);

        static const size_t sizes[] = {0, 16384, 4099};
        static char text[8 * (SPOP_LENGTH_SIZE + WIRE_FRAME_SIZE) + 1024];
        struct writer out = writer_open(text, sizeof(text));
        transcript_write(SPOP_AGENT, WIRE_FRAME_SIZE, writer_slice(&w),
                         (struct transcript_pieces){.size = sizes[pieces]}, &out);
        ck_assert_int_eq(out.error, ERROR_NONE);
        /* Each byte as \x00, and some words. */
        ck_assert_uint_ge(writer_size(&out), (size_t)2 * 4 * (WIRE_FRAME_SIZE - 16));
        ck_assert(slice_has_suffix(writer_slice(&out), SLICE("\\x00); ")));
    }
    free(body);
    free(stream);
    wire_free(hello);
}
END_TEST

/* The smaller of the two sizes holds, and before the handshake ours. */
START_TEST(negotiated_size)
{
    static const uint8_t too_long[] = {0, 0, 4, 1};
    uint8_t buffer[512];
    struct spop_session s;
    struct slice hello = wire_parse(HAPROXY_HELLO);
    spop_session_open(&s, SPOP_AGENT, 1024, SPOP_PIPELINING);
    struct writer w = writer_open(buffer, sizeof(buffer));
    ck_assert_int_eq(spop_session_next(&s, hello, &w).type, SPOP_EVENT_HELLO);
    ck_assert_uint_eq(s.max_frame_size, 1024); /* HAProxy's is 65532 */
    struct spop_event event = spop_session_next(&s, slice_of(too_long, 4), &w);
    ck_assert(event.type == SPOP_EVENT_CLOSE && event.status == SPOP_TOO_BIG && !event.by_peer);

    spop_session_open(&s, SPOP_AGENT, 1024, SPOP_PIPELINING);
    event = spop_session_next(&s, slice_of(too_long, 4), &w);
    ck_assert(event.type == SPOP_EVENT_CLOSE && event.status == SPOP_TOO_BIG);
    wire_free(hello);
}
END_TEST

START_TEST(the_smallest_size_of_ours)
{
    uint8_t buffer[SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN];
    struct spop_session s;
    struct slice hello = wire_parse(HAPROXY_HELLO);
    struct writer w = writer_open(buffer, sizeof(buffer));
    spop_session_open(&s, SPOP_AGENT, SPOP_FRAME_SIZE_MIN, 0);
    ck_assert_int_eq(spop_session_next(&s, hello, &w).type, SPOP_EVENT_HELLO);
    ck_assert_uint_eq(s.max_frame_size, SPOP_FRAME_SIZE_MIN);
    wire_free(hello);
}
END_TEST

START_TEST(capabilities_are_what_both_can)
{
    uint8_t buffer[512];
    struct spop_session s;
    struct slice hello = wire_parse(HAPROXY_HELLO); /* pipelining, async */
    static const unsigned all = SPOP_FRAGMENTATION | SPOP_PIPELINING | SPOP_ASYNC;
    static const struct {
        unsigned ours;
        unsigned both;
    } cases[] = {
        {0, 0},
        {SPOP_PIPELINING, SPOP_PIPELINING},
        {all, SPOP_PIPELINING | SPOP_ASYNC},
        {SPOP_FRAGMENTATION, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct writer w = writer_open(buffer, sizeof(buffer));
        spop_session_open(&s, SPOP_AGENT, 16380, cases[i].ours);
        ck_assert_int_eq(spop_session_next(&s, hello, &w).type, SPOP_EVENT_HELLO);
        ck_assert_uint_eq(s.capabilities, cases[i].both);
    }
    spop_session_open(&s, SPOP_HAPROXY, 16380, all);
    ck_assert_uint_eq(s.capabilities & SPOP_FRAGMENTATION, 0);
    wire_free(hello);
}
END_TEST

START_TEST(a_long_engine_id_is_cut)
{
    static const uint8_t id[100] = {[63] = 7, [64] = 8};
    uint8_t buffer[1024];
    uint8_t answers[512];
    struct spop_session s;
    struct spop_haproxy_hello hello = {.max_frame_size = 16380, .engine_id = {id, sizeof(id)}};
    struct writer w = writer_open(buffer, sizeof(buffer));
    ck_assert(spop_write_haproxy_hello(&w, &hello));
    struct writer output = writer_open(answers, sizeof(answers));
    spop_session_open(&s, SPOP_AGENT, 16380, 0);
    ck_assert_int_eq(spop_session_next(&s, writer_slice(&w), &output).type, SPOP_EVENT_HELLO);
    ck_assert_uint_eq(s.engine_id_size, sizeof(s.engine_id));
    ck_assert_mem_eq(s.engine_id, id, sizeof(s.engine_id));
}
END_TEST

START_TEST(answers_without_room)
{
    uint8_t byte;
    struct writer none = writer_open(&byte, 0);
    struct spop_session s;
    struct slice hello = wire_parse(HAPROXY_HELLO);
    spop_session_open(&s, SPOP_AGENT, 16380, 0);
    struct spop_event event = spop_session_next(&s, hello, &none);
    ck_assert(event.type == SPOP_EVENT_CLOSE && event.status == SPOP_RESOURCES && !event.by_peer);
    ck_assert(writer_size(&none) == 0 && none.error == ERROR_NONE);
    ck_assert_int_eq(s.state, SPOP_STATE_CLOSED);

    struct slice nonsense = wire_parse("00000000");
    spop_session_open(&s, SPOP_AGENT, 16380, 0);
    event = spop_session_next(&s, nonsense, &none);
    ck_assert(event.type == SPOP_EVENT_CLOSE && event.status == SPOP_INVALID);
    ck_assert(writer_size(&none) == 0 && none.error == ERROR_NONE);
    wire_free(hello);
    wire_free(nonsense);
}
END_TEST

START_TEST(refusing_ends_a_session_once)
{
    uint8_t buffer[512];
    struct spop_session s;
    for (int role = SPOP_AGENT; role <= SPOP_HAPROXY; role++) {
        struct writer w = writer_open(buffer, sizeof(buffer));
        spop_session_open(&s, (enum spop_role)role, 16380, 0);
        spop_session_refuse(&s, SPOP_NORMAL, &w);
        spop_session_refuse(&s, SPOP_INVALID, &w);
        expect_written(&w, role == SPOP_AGENT ? AGENT_BYE : HAPROXY_BYE);
        struct slice late = wire_parse(NOTIFY HAPROXY_BYE);
        struct spop_event event = spop_session_next(&s, late, &w);
        ck_assert_int_eq(event.type, SPOP_EVENT_MORE);
        ck_assert_uint_eq(event.consumed, late.size);
        wire_free(late);
    }
}
END_TEST

/* Both sides of this library understand each other. */
START_TEST(a_client_and_an_agent)
{
    uint8_t to_agent[1024];
    uint8_t to_client[1024];
    struct spop_session agent;
    struct spop_session client;
    struct writer up = writer_open(to_agent, sizeof(to_agent));
    struct writer down = writer_open(to_client, sizeof(to_client));
    spop_session_open(&agent, SPOP_AGENT, 4096, SPOP_PIPELINING);
    spop_session_open(&client, SPOP_HAPROXY, 16380, SPOP_PIPELINING | SPOP_ASYNC);

    struct spop_haproxy_hello hello = {.max_frame_size = client.max_frame_size,
                                       .capabilities = client.capabilities};
    ck_assert(spop_write_haproxy_hello(&up, &hello));
    uint8_t *start = spop_frame_begin(&up, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN, 7, 8);
    spop_write_message(&up, SLICE("check"), 0);
    ck_assert(spop_frame_end(&up, start, 4096));

    struct slice sent = writer_slice(&up);
    struct spop_event event = spop_session_next(&agent, sent, &down);
    ck_assert_int_eq(event.type, SPOP_EVENT_HELLO);
    sent = slice_from(sent, event.consumed);
    event = spop_session_next(&agent, sent, &down);
    ck_assert_int_eq(event.type, SPOP_EVENT_NOTIFY);
    ck_assert_uint_eq(event.consumed, sent.size);
    start = spop_frame_begin(&down, SPOP_FRAME_ACK, SPOP_FLAG_FIN, event.frame.stream_id,
                             event.frame.frame_id);
    ck_assert(spop_frame_end(&down, start, agent.max_frame_size));
    spop_session_refuse(&agent, SPOP_NORMAL, &down);

    static const enum spop_event_type expected[] = {SPOP_EVENT_HELLO, SPOP_EVENT_ACK,
                                                    SPOP_EVENT_CLOSE, SPOP_EVENT_MORE};
    struct slice received = writer_slice(&down);
    up = writer_open(to_agent, sizeof(to_agent));
    for (size_t i = 0; i < 4; i++) {
        event = spop_session_next(&client, received, &up);
        ck_assert_int_eq(event.type, expected[i]);
        received = slice_from(received, event.consumed);
        if (event.type == SPOP_EVENT_ACK)
            ck_assert(event.frame.stream_id == 7 && event.frame.frame_id == 8);
    }
    ck_assert_uint_eq(client.max_frame_size, 4096);
    ck_assert_uint_eq(client.capabilities, SPOP_PIPELINING);
    ck_assert_uint_eq(received.size, 0);
    ck_assert_uint_eq(writer_size(&up), 0); /* an agent's goodbye is not answered */
}
END_TEST

UNIT_MAIN("session", conversations_whole_and_in_pieces, conversations_cut_off,
          truncated_frames_are_refused_or_shorter, frames_of_64_kib, negotiated_size,
          the_smallest_size_of_ours, capabilities_are_what_both_can, a_long_engine_id_is_cut,
          answers_without_room, refusing_ends_a_session_once, a_client_and_an_agent)
