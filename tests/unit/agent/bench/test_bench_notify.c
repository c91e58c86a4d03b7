/* The frames that are made beforehand are those that the protocol's own functions write. */
#include "agent/bench/notify.h"
#include "main.h"

static struct bench_notify notify;
static char texts[QUESTION_ARGUMENTS + 1][64];
static const char *expected;

static bool add(size_t place, const char *text)
{
    snprintf(texts[place], sizeof(texts[place]), "%s", text);
    return bench_notify_add(&notify, texts[place], &expected);
}

/* The stream, and the arguments as text, of the frame for this key. */
static uint64_t read_back(uint32_t stream, uint64_t key, char *text, size_t size)
{
    uint8_t bytes[SPOP_LENGTH_SIZE + QUESTION_FRAME_MAX];
    struct writer out = writer_open(text, size - 1);
    struct spop_message message = {0};
    struct spop_argument argument;
    struct spop_frame frame;
    bench_notify_write(&notify, bytes, stream, key);
    ck_assert_int_eq(spop_frame_decode(slice_of(bytes, notify.size), QUESTION_FRAME_MAX, &frame),
                     (int64_t)notify.size);
    ck_assert_uint_eq(frame.type, SPOP_FRAME_NOTIFY);
    ck_assert_uint_eq(frame.flags, SPOP_FLAG_FIN);
    struct cursor c = cursor_open(frame.payload);
    while (spop_next_message(&c, &message)) {
        writer_bytes(&out, message.name);
        while (spop_next_argument(&c, &message, &argument)) {
            writer_uint8(&out, ' ');
            writer_bytes(&out, argument.name);
            writer_uint8(&out, '=');
            value_print(&argument.value, &out);
        }
    }
    ck_assert_int_eq(c.error, ERROR_NONE);
    ck_assert_int_eq(out.error, ERROR_NONE);
    *out.position = 0;
    return frame.stream_id;
}

START_TEST(the_key_is_in_each_of_its_places)
{
    char text[512];
    bench_notify_open(&notify, 100000);
    ck_assert(add(0, "a=GET"));
    ck_assert(add(1, "b=/x/{key}/y/{key}"));
    ck_assert(add(2, "c:ipv4={key}"));
    ck_assert(add(3, "d=-5"));
    ck_assert(add(4, "e:ipv6={key}"));
    ck_assert(add(5, "f:string={key}"));
    ck_assert(bench_notify_make(&notify, SLICE("ask"), 20, QUESTION_FRAME_MAX));
    ck_assert_uint_eq(read_back(3, 259, text, sizeof(text)), 3);
    ck_assert_str_eq(text, "ask a=GET b=/x/00259/y/00259 c=10.0.1.3 d=-5 e=2001:db8:0:103::1 "
                           "f=00259");
    read_back(3, 99999, text, sizeof(text));
    ck_assert_str_eq(text, "ask a=GET b=/x/99999/y/99999 c=10.1.134.159 d=-5 "
                           "e=2001:db8:1:869f::1 f=99999");
    bench_notify_close(&notify);
}
END_TEST

START_TEST(streams_are_numbered_apart)
{
    static const uint32_t in_flight[] = {1, 240, 241, 2048, 2049, BENCH_IN_FLIGHT_MAX};
    char text[64];
    for (size_t i = 0; i < sizeof(in_flight) / sizeof(in_flight[0]); i++) {
        bench_notify_open(&notify, 10);
        ck_assert(add(0, "k={key}"));
        ck_assert(bench_notify_make(&notify, SLICE("m"), in_flight[i], QUESTION_FRAME_MAX));
        for (uint32_t stream = 0; stream < in_flight[i]; stream++) {
            uint64_t id = read_back(stream, 7, text, sizeof(text));
            UNIT_ASSERT(id == notify.first_stream + stream);
            UNIT_ASSERT(strcmp(text, "m k=7") == 0);
        }
        bench_notify_close(&notify);
    }
}
END_TEST

START_TEST(digits_are_as_many_as_the_largest_key_has)
{
    static const struct {
        uint64_t keys;
        unsigned digits;
    } cases[] = {{1, 1}, {10, 1}, {11, 2}, {100, 2}, {101, 3}, {100000000, 8}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench_notify_open(&notify, cases[i].keys);
        ck_assert_uint_eq(notify.digits, cases[i].digits);
    }
}
END_TEST

START_TEST(what_is_no_argument_is_refused)
{
    static const char *const wrong[] = {"",
                                        "a",
                                        "=b",
                                        ":string={key}",
                                        "={key}",
                                        "a:int64=x",
                                        "a:ipv4=x{key}",
                                        "a:int64={key}",
                                        "a:={key}"};
    bench_notify_open(&notify, 10);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expected = NULL;
        ck_assert_msg(!add(0, wrong[i]), "%s", wrong[i]);
        ck_assert_ptr_nonnull(expected);
    }
    ck_assert_uint_eq(notify.argument_count, 0);
    bench_notify_close(&notify);
}
END_TEST

START_TEST(arguments_holes_and_frames_have_limits)
{
    bench_notify_open(&notify, 10);
    for (size_t i = 0; i < QUESTION_ARGUMENTS; i++)
        ck_assert(add(i, i < BENCH_HOLES_MAX ? "a={key}" : "a=b"));
    ck_assert(!add(QUESTION_ARGUMENTS, "a=b"));
    ck_assert_str_eq(expected, "at most 255 arguments");
    ck_assert(bench_notify_make(&notify, SLICE("m"), 1, QUESTION_FRAME_MAX));
    size_t size = notify.size - SPOP_LENGTH_SIZE;
    bench_notify_close(&notify);

    bench_notify_open(&notify, 10);
    for (size_t i = 0; i < BENCH_HOLES_MAX; i++)
        ck_assert(add(i, "a={key}"));
    ck_assert(!add(BENCH_HOLES_MAX, "a={key}"));
    bench_notify_close(&notify);

    for (uint32_t short_of = 0; short_of < 2; short_of++) {
        bench_notify_open(&notify, 10);
        for (size_t i = 0; i < QUESTION_ARGUMENTS; i++)
            ck_assert(add(i, "a=b"));
        ck_assert_int_eq(bench_notify_make(&notify, SLICE("m"), 1, (uint32_t)size - short_of),
                         short_of == 0);
        bench_notify_close(&notify);
    }
}
END_TEST

UNIT_MAIN("bench notify", the_key_is_in_each_of_its_places, streams_are_numbered_apart,
          digits_are_as_many_as_the_largest_key_has, what_is_no_argument_is_refused,
          arguments_holes_and_frames_have_limits)
