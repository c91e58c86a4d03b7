#include "helper.h"
#include "random.h"
#include "rules/loader.h"

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

static void expect_duration(const char *text, uint64_t microseconds, const char *printed)
{
    uint64_t parsed = 0;
    char buffer[64];
    struct writer w = writer_open(buffer, sizeof(buffer));
    ck_assert_msg(rules_parse_duration(slice_of_string(text), &parsed), "%s", text);
    ck_assert_uint_eq(parsed, microseconds);
    rules_print_duration(microseconds, &w);
    ck_assert_msg(slice_equal(writer_slice(&w), slice_of_string(printed)), "%s prints as %.*s",
                  text, SLICE_ARGS(writer_slice(&w)));
}

START_TEST(durations_have_a_unit)
{
    expect_duration("250ms", 250 * MS, "250ms");
    expect_duration("10s", 10 * S, "10s");
    expect_duration("15m", 900 * S, "15m");
    expect_duration("1h", 3600 * S, "1h");
    expect_duration("1d", 86400 * S, "1d");
    expect_duration("0s", 0, "0s");
    expect_duration("0d", 0, "0s");
    expect_duration("007s", 7 * S, "7s");
}
END_TEST

START_TEST(durations_print_in_the_largest_exact_unit)
{
    expect_duration("1000ms", S, "1s");
    expect_duration("90s", 90 * S, "90s");
    expect_duration("120s", 120 * S, "2m");
    expect_duration("48h", 172800 * S, "2d");
    expect_duration("36h", 129600 * S, "36h");
    char buffer[64];
    struct writer w = writer_open(buffer, sizeof(buffer));
    rules_print_duration(1500, &w); /* no file can say it */
    ck_assert(slice_equal(writer_slice(&w), SLICE("1500us")));
}
END_TEST

START_TEST(what_is_not_a_duration)
{
    static const char *const wrong[] = {
        "",     "s",      "15", "-1s",  "+1s",   "1.5s",  "1 s",  " 1s",       "1s ",
        "1us",  "1S",     "1D", "1min", "1hour", "1h30m", "1w",   "1y",        "0x1s",
        "1e3s", "1_000s", "ms", "1ss",  "1sm",   "1M",    "1,5s", "\xc2\xb2s",
    };
    uint64_t microseconds = 42;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(!rules_parse_duration(slice_of_string(wrong[i]), &microseconds), "%s",
                      wrong[i]);
    ck_assert(!rules_parse_duration(slice_of("1s\0", 3), &microseconds));
    ck_assert(!rules_parse_duration(slice_of(NULL, 0), &microseconds));
    ck_assert_uint_eq(microseconds, 42);
}
END_TEST

START_TEST(durations_do_not_overflow)
{
    uint64_t parsed;
    ck_assert(rules_parse_duration(SLICE("213503982d"), &parsed));
    ck_assert_uint_eq(parsed, UINT64_C(213503982) * 86400 * S);
    ck_assert(!rules_parse_duration(SLICE("213503983d"), &parsed));
    ck_assert(rules_parse_duration(SLICE("18446744073709551ms"), &parsed));
    ck_assert(!rules_parse_duration(SLICE("18446744073709552ms"), &parsed));
    ck_assert(!rules_parse_duration(SLICE("18446744073709551616ms"), &parsed));
}
END_TEST

START_TEST(printed_durations_and_sizes_parse_to_themselves)
{
    struct random random = random_open("durations");
    for (int i = 0; i < 20000; i++) {
        uint64_t number = random_next(&random) >> random_below(&random, 64);
        uint64_t milliseconds = number / MS * MS;
        uint64_t parsed;
        char buffer[64];
        struct writer w = writer_open(buffer, sizeof(buffer));
        rules_print_duration(milliseconds, &w);
        ck_assert(rules_parse_duration(writer_slice(&w), &parsed));
        ck_assert_uint_eq(parsed, milliseconds);
        w = writer_open(buffer, sizeof(buffer));
        rules__print_size(number, &w);
        ck_assert(rules__parse_size(writer_slice(&w), &parsed));
        ck_assert_uint_eq(parsed, number);
    }
}
END_TEST

START_TEST(sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } right[] = {
        {"0", 0},
        {"65532", 65532},
        {"512KiB", 512 << 10},
        {"64MiB", 64 << 20},
        {"1GiB", 1 << 30},
        {"17179869183GiB", UINT64_C(17179869183) << 30},
    };
    static const char *const wrong[] = {
        "", "KiB", "1KB", "1MB", "1M", "1k", "1kib", "1 MiB", "-1", "1.5GiB", "17179869184GiB"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        ck_assert_msg(rules__parse_size(slice_of_string(right[i].text), &bytes), "%s",
                      right[i].text);
        ck_assert_uint_eq(bytes, right[i].bytes);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(!rules__parse_size(slice_of_string(wrong[i]), &bytes), "%s", wrong[i]);
}
END_TEST

UNIT_MAIN("duration", durations_have_a_unit, durations_print_in_the_largest_exact_unit,
          what_is_not_a_duration, durations_do_not_overflow,
          printed_durations_and_sizes_parse_to_themselves, sizes)
