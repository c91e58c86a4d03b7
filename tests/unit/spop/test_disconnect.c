#include "expect.h"
#include "main.h"

/* SPOE.txt 3.5, all of it. */
static const uint32_t codes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99};

START_TEST(every_status_both_ways)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char text[256];
        uint8_t buffer[SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN];
        struct writer w = writer_open(buffer, sizeof(buffer));
        ck_assert(spop_write_disconnect(&w, SPOP_FRAME_AGENT_DISCONNECT, codes[i]));
        const char *message = spop_status_text(codes[i]);
        snprintf(text, sizeof(text), "[66 00000001 00 00 'status-code' 03 %02x 'message' 08'%s']",
                 (unsigned)codes[i], message);
        expect_written(&w, text);

        struct spop_frame frame;
        struct spop_disconnect disconnect;
        ck_assert_int_gt(spop_frame_decode(writer_slice(&w), SPOP_FRAME_SIZE_MIN, &frame), 0);
        ck_assert_int_eq(spop_read_disconnect(frame.payload, &disconnect), SPOP_NORMAL);
        ck_assert_uint_eq(disconnect.status, codes[i]);
        ck_assert(slice_equal(disconnect.message, slice_of_string(message)));
        ck_assert_str_ne(message, spop_status_text(UINT32_MAX));
    }
}
END_TEST

START_TEST(both_sides_say_goodbye)
{
    uint8_t buffer[512];
    struct writer w = writer_open(buffer, sizeof(buffer));
    ck_assert(spop_write_disconnect(&w, SPOP_FRAME_HAPROXY_DISCONNECT, SPOP_TIMEOUT));
    ck_assert(spop_write_disconnect(&w, SPOP_FRAME_AGENT_DISCONNECT, SPOP_NORMAL));
    expect_written(&w, HAPROXY_IDLE AGENT_BYE);
}
END_TEST

START_TEST(a_code_of_our_own)
{
    uint8_t buffer[512];
    struct writer w = writer_open(buffer, sizeof(buffer));
    struct spop_frame frame;
    struct spop_disconnect disconnect;
    ck_assert(spop_write_disconnect(&w, SPOP_FRAME_AGENT_DISCONNECT, UINT32_MAX));
    ck_assert_int_gt(spop_frame_decode(writer_slice(&w), SPOP_FRAME_SIZE_MIN, &frame), 0);
    ck_assert_int_eq(spop_read_disconnect(frame.payload, &disconnect), SPOP_NORMAL);
    ck_assert_uint_eq(disconnect.status, UINT32_MAX);
    ck_assert_uint_gt(disconnect.message.size, 0);
}
END_TEST

START_TEST(disconnects_refused)
{
    static const struct {
        const char *text;
        enum spop_status status;
    } cases[] = {
        {"'status-code' 03 04 'message' 08'x'", SPOP_NORMAL},
        {"'message' 08'' 'status-code' 03 04", SPOP_NORMAL},
        {"'x' 00 'message' 08'' 'y' 11 'status-code' 03 04 'x' 00", SPOP_NORMAL},
        {"", SPOP_INVALID},
        {"'status-code' 03 04", SPOP_INVALID},
        {"'message' 08''", SPOP_INVALID},
        {"'status-code' 02 04 'message' 08'x'", SPOP_INVALID},
        {"'status-code' 03 04 'message' 09'x'", SPOP_INVALID},
        {"'status-code' 03 04 'message' 08'x' 'status-code' 03 04", SPOP_INVALID},
        {"'status-code' 03 f0f1fefe7e 'message' 08'x'", SPOP_INVALID},
        {"'status-code' 03 04 'message' 08'x' 01", SPOP_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spop_disconnect disconnect = {.status = 77};
        struct slice payload = wire_parse(cases[i].text);
        enum spop_status status = spop_read_disconnect(payload, &disconnect);
        ck_assert_msg(status == cases[i].status, "%s: %d", cases[i].text, (int)status);
        if (status == SPOP_NORMAL)
            ck_assert_uint_eq(disconnect.status, 4);
        wire_free(payload);
    }
}
END_TEST

START_TEST(truncated_disconnects)
{
    struct slice bytes = wire_parse(HAPROXY_IDLE);
    struct spop_frame frame;
    struct spop_disconnect disconnect;
    ck_assert_int_gt(spop_frame_decode(bytes, WIRE_FRAME_SIZE, &frame), 0);
    for (size_t size = 0; size < frame.payload.size; size++) {
        struct slice cut = wire_copy(slice_of(frame.payload.data, size));
        ck_assert_int_eq(spop_read_disconnect(cut, &disconnect), SPOP_INVALID);
        wire_free(cut);
    }
    wire_free(bytes);
}
END_TEST

static bool write_disconnect(struct writer *w)
{
    return spop_write_disconnect(w, SPOP_FRAME_HAPROXY_DISCONNECT, SPOP_BAD_FRAME_SIZE);
}

START_TEST(what_does_not_fit_is_taken_back)
{
    expect_needs_room(write_disconnect, true);
}
END_TEST

UNIT_MAIN("disconnect", every_status_both_ways, both_sides_say_goodbye, a_code_of_our_own,
          disconnects_refused, truncated_disconnects, what_does_not_fit_is_taken_back)
