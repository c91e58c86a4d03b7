/* Any bytes, to a session of either role or as a payload. Beside what the sanitizers and
 * transcript_write see: a session says the same of a stream however it is cut, and what was decoded
 * is the same again when it is encoded and decoded once more. */
#include "fuzz_spop.h"

#include <stdlib.h>

#include "spop/spop.h"
#include "tests/unit/random.h"
#include "tests/unit/spop/transcript.h"
#include "tests/unit/spop/wire.h"

#define TEXT_ROOM ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two texts to compare. Where both are full, what fitted is compared. */
static uint8_t first_text[TEXT_ROOM];
static uint8_t second_text[TEXT_ROOM];

static void fuzz_session(enum spop_role role, uint32_t max_frame_size, uint64_t seed,
                         struct slice stream)
{
    struct writer whole = writer_open(first_text, sizeof(first_text));
    transcript_write(role, max_frame_size, stream, (struct transcript_pieces){0}, &whole);
    struct writer cut = writer_open(second_text, sizeof(second_text));
    struct random random = {seed};
    struct transcript_pieces pieces = {.size = 1 + seed % 64, .random = &random};
    transcript_write(role, max_frame_size, stream, pieces, &cut);
    require(slice_equal(writer_slice(&whole), writer_slice(&cut)));
}

/* As many bytes as there were: a number has one encoding, and so has all else but for flags that
 * mean nothing. */
static void fuzz_messages(struct slice payload, struct writer *again)
{
    struct cursor c = cursor_open(payload);
    struct spop_message message = {0};
    struct spop_argument argument;
    while (spop_next_message(&c, &message)) {
        spop_write_message(again, message.name, message.arguments_left);
        while (spop_next_argument(&c, &message, &argument))
            spop_write_argument(again, argument.name, &argument.value);
    }
}

static void fuzz_actions(struct slice payload, struct writer *again)
{
    struct cursor c = cursor_open(payload);
    struct spop_action action;
    while (spop_next_action(&c, &action)) {
        if (action.type == SPOP_SET_VAR)
            spop_write_set_var(again, action.scope, action.name, &action.value);
        else
            spop_write_unset_var(again, action.scope, action.name);
    }
}

static void fuzz_list(struct slice payload, bool (*transcript)(struct slice, struct writer *),
                      void (*encode)(struct slice, struct writer *))
{
    struct writer text = writer_open(first_text, sizeof(first_text));
    if (!transcript(payload, &text))
        return;
    uint8_t *buffer = malloc(payload.size + 1);
    require(buffer);
    struct writer again = writer_open(buffer, payload.size);
    encode(payload, &again);
    require(!again.error && writer_size(&again) == payload.size);
    struct writer text_again = writer_open(second_text, sizeof(second_text));
    require(transcript(writer_slice(&again), &text_again));
    require(slice_equal(writer_slice(&text), writer_slice(&text_again)));
    free(buffer);
}

static void fuzz_hellos(struct slice payload)
{
    struct spop_haproxy_hello hello;
    struct spop_haproxy_hello hello_again;
    struct spop_agent_hello agent_hello;
    struct spop_disconnect disconnect;
    struct spop_frame frame;
    struct writer w = writer_open(first_text, sizeof(first_text));

    if (spop_read_haproxy_hello(payload, &hello) == SPOP_NORMAL &&
        spop_write_haproxy_hello(&w, &hello)) {
        require(spop_frame_decode(writer_slice(&w), hello.max_frame_size, &frame) > 0);
        require(spop_read_haproxy_hello(frame.payload, &hello_again) == SPOP_NORMAL);
        require(hello.version_2 && hello_again.version_2);
        require(hello.max_frame_size == hello_again.max_frame_size);
        require(hello.capabilities == hello_again.capabilities);
        require(hello.healthcheck == hello_again.healthcheck);
        require(slice_equal(hello.engine_id, hello_again.engine_id));
    }
    if (spop_read_agent_hello(payload, &agent_hello) == SPOP_NORMAL)
        require(agent_hello.max_frame_size >= SPOP_FRAME_SIZE_MIN && agent_hello.version.size > 2);
    if (spop_read_disconnect(payload, &disconnect) == SPOP_NORMAL)
        require(disconnect.message.size <= payload.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t sizes[] = {65532, 16380, 1024, SPOP_FRAME_SIZE_MIN};
    if (size < FUZZ_SPOP_HEAD)
        return 0;
    uint64_t seed = (uint64_t)data[1] << 8 | data[2];
    struct slice rest = slice_of(data + FUZZ_SPOP_HEAD, size - FUZZ_SPOP_HEAD);
    switch (data[0] & FUZZ_SPOP_WHAT) {
    case FUZZ_SPOP_AGENT:
        fuzz_session(SPOP_AGENT, sizes[FUZZ_SPOP_SIZE(data[0])], seed, rest);
        break;
    case FUZZ_SPOP_HAPROXY:
        fuzz_session(SPOP_HAPROXY, sizes[FUZZ_SPOP_SIZE(data[0])], seed, rest);
        break;
    default:
        fuzz_list(rest, transcript_messages, fuzz_messages);
        fuzz_list(rest, transcript_actions, fuzz_actions);
        fuzz_hellos(rest);
    }
    return 0;
}
