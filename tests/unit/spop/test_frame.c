#include "expect.h"
#include "main.h"

START_TEST(a_frame_in_place)
{
    struct slice bytes = wire_parse("00000009 03 00000001 f001 05 ff 00");
    struct spop_frame frame;
    ck_assert_int_eq(spop_frame_decode(bytes, 256, &frame), 13);
    ck_assert_uint_eq(frame.type, SPOP_FRAME_NOTIFY);
    ck_assert_uint_eq(frame.flags, SPOP_FLAG_FIN);
    ck_assert_uint_eq(frame.stream_id, 256);
    ck_assert_uint_eq(frame.frame_id, 5);
    ck_assert_uint_eq(frame.payload.size, 1); /* not the byte after it */
    ck_assert_ptr_eq(frame.payload.data, bytes.data + 12);
    wire_free(bytes);
}
END_TEST

START_TEST(type_and_flags_are_not_judged)
{
    struct slice bytes = wire_parse("[2a fedcba98 00 fff0fefefefefefefe0e]");
    struct spop_frame frame;
    ck_assert_int_eq(spop_frame_decode(bytes, 256, &frame), (int64_t)bytes.size);
    ck_assert_uint_eq(frame.type, 0x2a);
    ck_assert_uint_eq(frame.flags, 0xfedcba98);
    ck_assert_uint_eq(frame.frame_id, UINT64_MAX);
    ck_assert_uint_eq(frame.payload.size, 0);
    wire_free(bytes);
}
END_TEST

static const char *const frames[] = {
    HAPROXY_HELLO, HAPROXY_CHECK, NOTIFY,    HAPROXY_IDLE, HAPROXY_BYE,
    NOTIFY_BARE,   AGENT_HELLO,   AGENT_BYE, ACK,          ACK_EVERY_SCOPE,
};

START_TEST(half_a_frame_is_waited_for)
{
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct slice whole = wire_parse(frames[i]);
        struct spop_frame frame;
        for (size_t size = 0; size < whole.size; size++) {
            struct slice part = wire_copy(slice_of(whole.data, size));
            ck_assert_int_eq(spop_frame_decode(part, WIRE_FRAME_SIZE, &frame), 0);
            wire_free(part);
        }
        ck_assert_int_eq(spop_frame_decode(whole, WIRE_FRAME_SIZE, &frame), (int64_t)whole.size);
        wire_free(whole);
    }
    ck_assert_int_eq(spop_frame_decode(slice_of(NULL, 0), 256, &(struct spop_frame){0}), 0);
}
END_TEST

static void expect_status(const char *text, uint32_t max_frame_size, enum spop_status status)
{
    struct slice bytes = wire_parse(text);
    struct spop_frame frame;
    ck_assert_msg(spop_frame_decode(bytes, max_frame_size, &frame) == -(int64_t)status, "%s", text);
    wire_free(bytes);
}

START_TEST(size_is_judged_before_the_bytes_are_there)
{
    expect_status("00000100", 256, 0);
    expect_status("00000101", 256, SPOP_TOO_BIG);
    expect_status("0000fffc", 65532, 0);
    expect_status("0000fffd", 65532, SPOP_TOO_BIG);
    expect_status("ffffffff", 65532, SPOP_TOO_BIG);
    expect_status("ffffffff", UINT32_MAX, 0);
    expect_status("00000007", 65532, 0);
    expect_status("00000006", 65532, SPOP_INVALID);
    expect_status("00000000", 65532, SPOP_INVALID); /* haproxy#2490 */
    expect_status("000000", 65532, 0);
}
END_TEST

START_TEST(header_that_does_not_fit_its_frame)
{
    /* Identifiers may not reach into what comes after the frame. */
    expect_status("00000007 03 00000001 00 f0 00", 256, SPOP_INVALID);
    expect_status("00000007 03 00000001 f000 00", 256, SPOP_INVALID);
    expect_status("[03 00000001 ffffffffffffffffffff00 00]", 256, SPOP_INVALID);
    expect_status("[03 00000001 00 f0f1fefefefefefefe0e]", 256, SPOP_INVALID);
}
END_TEST

/* Whatever is cut off the end of a frame, its length corrected: a shorter payload, or an error. */
START_TEST(truncated_frames)
{
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct slice whole = wire_parse(frames[i]);
        struct spop_frame frame;
        ck_assert_int_eq(spop_frame_decode(whole, WIRE_FRAME_SIZE, &frame), (int64_t)whole.size);
        size_t header = whole.size - frame.payload.size;
        for (size_t size = 4; size < whole.size; size++) {
            struct slice cut = wire_copy(slice_of(whole.data, size));
            writer_put_uint32((uint8_t *)cut.data, (uint32_t)size - 4);
            int64_t used = spop_frame_decode(cut, WIRE_FRAME_SIZE, &frame);
            ck_assert_int_eq(used, size < header ? -SPOP_INVALID : (int64_t)size);
            if (used > 0)
                ck_assert_uint_eq(frame.payload.size, size - header);
            wire_free(cut);
        }
        wire_free(whole);
    }
}
END_TEST

START_TEST(a_frame_is_written)
{
    uint8_t buffer[64];
    struct writer w = writer_open(buffer, sizeof(buffer));
    writer_uint8(&w, 0xee);
    uint8_t *start = spop_frame_begin(&w, SPOP_FRAME_ACK, SPOP_FLAG_FIN, 256, 5);
    ck_assert_ptr_eq(start, buffer + 1);
    writer_uint8(&w, 0xaa);
    ck_assert(spop_frame_end(&w, start, 256));
    expect_written(&w, "ee 00000009 67 00000001 f001 05 aa");
}
END_TEST

/* Exactly the largest frame, and one byte more; on both sides. */
START_TEST(the_largest_frame)
{
    size_t room = SPOP_LENGTH_SIZE + WIRE_FRAME_SIZE + 1;
    uint8_t *buffer = malloc(room);
    ck_assert_ptr_nonnull(buffer);
    struct spop_frame frame;
    for (size_t extra = 0; extra <= 1; extra++) {
        struct writer w = writer_open(buffer, room);
        uint8_t *start = spop_frame_begin(&w, SPOP_FRAME_ACK, SPOP_FLAG_FIN, 0, 1);
        uint8_t *payload = writer_reserve(&w, WIRE_FRAME_SIZE - 7 + extra);
        ck_assert_ptr_nonnull(payload);
        memset(payload, 0, WIRE_FRAME_SIZE - 7 + extra);
        ck_assert_int_eq(spop_frame_end(&w, start, WIRE_FRAME_SIZE), extra == 0);
        if (extra) {
            ck_assert_uint_eq(writer_size(&w), 0);
            continue;
        }
        ck_assert_int_eq(spop_frame_decode(writer_slice(&w), WIRE_FRAME_SIZE, &frame),
                         SPOP_LENGTH_SIZE + WIRE_FRAME_SIZE);
        ck_assert_int_eq(spop_frame_decode(writer_slice(&w), WIRE_FRAME_SIZE - 1, &frame),
                         -SPOP_TOO_BIG);
    }
    free(buffer);
}
END_TEST

static bool write_frame(struct writer *w)
{
    uint8_t *start = spop_frame_begin(w, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN, 1000, UINT64_MAX);
    writer_bytes(w, SLICE("payload"));
    return spop_frame_end(w, start, 256);
}

START_TEST(what_does_not_fit_is_taken_back)
{
    expect_needs_room(write_frame, true);
}
END_TEST

/* The frames of expect_needs_room end with the room; this one could go on after it. */
START_TEST(an_error_within_a_frame_takes_it_back)
{
    uint8_t buffer[64];
    struct value wrong = {.type = VALUE_UINT32, .natural = UINT64_MAX};
    struct writer w = writer_open(buffer, sizeof(buffer));
    writer_uint8(&w, 0xee);
    uint8_t *start = spop_frame_begin(&w, SPOP_FRAME_ACK, SPOP_FLAG_FIN, 1, 1);
    spop_write_set_var(&w, SPOP_SCOPE_TRANSACTION, SLICE("limit"), &wrong);
    ck_assert(!spop_frame_end(&w, start, 256));
    expect_written(&w, "ee");
}
END_TEST

UNIT_MAIN("frame", a_frame_in_place, type_and_flags_are_not_judged, half_a_frame_is_waited_for,
          size_is_judged_before_the_bytes_are_there, header_that_does_not_fit_its_frame,
          truncated_frames, a_frame_is_written, the_largest_frame, what_does_not_fit_is_taken_back,
          an_error_within_a_frame_takes_it_back)
