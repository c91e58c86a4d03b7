#include "expect.h"
#include "main.h"

static struct slice payload_of(struct slice bytes)
{
    struct spop_frame frame;
    ck_assert_int_gt(spop_frame_decode(bytes, WIRE_FRAME_SIZE, &frame), 0);
    return frame.payload;
}

START_TEST(messages_are_read_in_place)
{
    struct slice bytes = wire_parse(NOTIFY);
    struct cursor c = cursor_open(payload_of(bytes));
    struct spop_message message = {0};
    struct spop_argument argument;
    ck_assert(spop_next_message(&c, &message));
    ck_assert(slice_equal(message.name, SLICE("m1")));
    ck_assert_uint_eq(message.arguments_left, 10);
    ck_assert(spop_next_argument(&c, &message, &argument));
    ck_assert(slice_equal(argument.name, SLICE("src")));
    ck_assert_int_eq(argument.value.type, VALUE_IPV4);
    ck_assert(spop_next_argument(&c, &message, &argument));
    ck_assert(slice_equal(argument.value.bytes, SLICE("/a/b")));
    ck_assert(argument.value.bytes.data > bytes.data &&
              argument.value.bytes.data < bytes.data + bytes.size);
    ck_assert_uint_eq(message.arguments_left, 8);
    /* The other eight are skipped. */
    ck_assert(spop_next_message(&c, &message));
    ck_assert(slice_equal(message.name, SLICE("m2")));
    ck_assert(!spop_next_argument(&c, &message, &argument));
    ck_assert(!spop_next_message(&c, &message));
    ck_assert(!spop_next_message(&c, &message));
    ck_assert_int_eq(c.error, ERROR_NONE);
    wire_free(bytes);
}
END_TEST

static void expect_messages(const char *text, const char *transcript, enum error error)
{
    char buffer[4096];
    struct slice payload = wire_parse(text);
    struct writer w = writer_open(buffer, sizeof(buffer));
    ck_assert_int_eq(transcript_messages(payload, &w), error == ERROR_NONE);
    ck_assert_msg(slice_equal(writer_slice(&w), slice_of_string(transcript)), "%s gives %.*s", text,
                  SLICE_ARGS(writer_slice(&w)));

    /* Whether the arguments are read or skipped, the error is the same. */
    struct cursor c = cursor_open(payload);
    struct spop_message message = {0};
    while (spop_next_message(&c, &message))
        continue;
    ck_assert_msg(c.error == error, "%s: %s", text, error_text(c.error));
    wire_free(payload);
}

START_TEST(well_formed_and_not)
{
    expect_messages("", "", ERROR_NONE);
    expect_messages("'m' 00", " m(0:)", ERROR_NONE);
    expect_messages("00 00", " (0:)", ERROR_NONE); /* no name: odd, but of the right form */
    expect_messages("'m' 01 '' 00 'n' 00", " m(1: =null:null) n(0:)", ERROR_NONE);
    expect_messages("'m' 01 'a' 03 05 'm' 01 'a' 03 06", " m(1: a=uint32:5) m(1: a=uint32:6)",
                    ERROR_NONE);
    expect_messages("'m'", "", ERROR_TRUNCATED);
    expect_messages("05", "", ERROR_TRUNCATED);
    expect_messages("'m' 01", " m(1:)", ERROR_TRUNCATED);
    expect_messages("'m' 01 'a'", " m(1:)", ERROR_TRUNCATED);
    expect_messages("'m' 01 'a' 0a", " m(1:)", ERROR_MALFORMED);
    expect_messages("'m' 02 'a' 11", " m(2: a=bool:true)", ERROR_TRUNCATED);
    expect_messages("'m' 01 'a' 03 f0f1fefe7e 'n' 00", " m(1:)", ERROR_RANGE);
    expect_messages("'m' 00 'a' 11", " m(0:) a(17:)", ERROR_TRUNCATED); /* more than counted */
    expect_messages("fff0fefefefefefefe0e", "", ERROR_TRUNCATED);
    expect_messages("f0f1fefefefefefefe0e", "", ERROR_MALFORMED);
}
END_TEST

START_TEST(truncated_messages)
{
    struct slice bytes = wire_parse(NOTIFY);
    struct slice payload = payload_of(bytes);
    /* Cut between the two messages, or before both, it's a shorter list. */
    size_t second = payload.size - 4;
    for (size_t size = 0; size < payload.size; size++) {
        char buffer[4096];
        struct slice cut = wire_copy(slice_of(payload.data, size));
        struct writer text = writer_open(buffer, sizeof(buffer));
        ck_assert_int_eq(transcript_messages(cut, &text), size == 0 || size == second);
        wire_free(cut);
    }
    wire_free(bytes);
}
END_TEST

/* 255 arguments, the most that a message can have. */
static bool write_full_message(struct writer *w)
{
    spop_write_message(w, SLICE("full"), UINT8_MAX);
    for (uint64_t i = 0; i < UINT8_MAX; i++) {
        struct value value = {.type = VALUE_UINT64, .natural = i};
        spop_write_argument(w, SLICE("n"), &value);
    }
    return !w->error;
}

START_TEST(the_most_arguments)
{
    uint8_t buffer[EXPECT_ROOM];
    struct writer w = writer_open(buffer, sizeof(buffer));
    ck_assert(write_full_message(&w));
    struct cursor c = cursor_open(writer_slice(&w));
    struct spop_message message = {0};
    struct spop_argument argument;
    uint64_t count = 0;
    ck_assert(spop_next_message(&c, &message));
    for (; spop_next_argument(&c, &message, &argument); count++)
        ck_assert_uint_eq(argument.value.natural, count);
    ck_assert_uint_eq(count, UINT8_MAX);
    ck_assert(!spop_next_message(&c, &message) && !c.error);
}
END_TEST

START_TEST(messages_are_written)
{
    uint8_t buffer[512];
    struct value anonymous = {.type = VALUE_STRING, .bytes = SLICE("anonymous")};
    struct value yes = {.type = VALUE_BOOL, .boolean = true};
    struct writer w = writer_open(buffer, sizeof(buffer));
    uint8_t *start = spop_frame_begin(&w, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN, 5, 300);
    spop_write_message(&w, SLICE("m1"), 2);
    spop_write_argument(&w, SLICE(""), &anonymous);
    spop_write_argument(&w, SLICE("b"), &yes);
    spop_write_message(&w, SLICE("m2"), 0);
    ck_assert(spop_frame_end(&w, start, WIRE_FRAME_SIZE));
    expect_written(&w, "[03 00000001 05 fc03 'm1' 02 '' 08'anonymous' 'b' 11 'm2' 00]");
}
END_TEST

START_TEST(writes_all_or_nothing)
{
    expect_needs_room(write_full_message, false);
}
END_TEST

START_TEST(random_messages_come_back)
{
    struct random random = random_open("random_messages_come_back");
    for (int round = 0; round < 5000; round++) {
        uint8_t buffer[4096];
        char expected[4096];
        char found[4096];
        struct writer w = writer_open(buffer, sizeof(buffer));
        struct writer text = writer_open(expected, sizeof(expected));
        for (uint64_t messages = random_below(&random, 4); messages; messages--) {
            uint8_t arguments = (uint8_t)(random_below(&random, 9));
            spop_write_message(&w, SLICE("message"), arguments);
            writer_bytes(&text, SLICE(" message("));
            writer_decimal(&text, arguments);
            writer_bytes(&text, SLICE(":"));
            for (; arguments; arguments--) {
                struct value value = {.type = VALUE_UINT64, .natural = random_next(&random)};
                value.natural >>= value.natural % 64;
                spop_write_argument(&w, SLICE("a"), &value);
                writer_bytes(&text, SLICE(" a=uint64:"));
                writer_decimal(&text, value.natural);
            }
            writer_bytes(&text, SLICE(")"));
        }
        ck_assert(!w.error && !text.error);
        struct slice payload = wire_copy(writer_slice(&w));
        struct writer again = writer_open(found, sizeof(found));
        ck_assert(transcript_messages(payload, &again));
        ck_assert(slice_equal(writer_slice(&text), writer_slice(&again)));
        wire_free(payload);
    }
}
END_TEST

UNIT_MAIN("message", messages_are_read_in_place, well_formed_and_not, truncated_messages,
          the_most_arguments, messages_are_written, writes_all_or_nothing,
          random_messages_come_back)
