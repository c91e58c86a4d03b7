#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"
#include "captured_log.h"
#include "main.h"

/* The line without its time, which is what the test can't know. */
static void expect_line(const char *expected)
{
    const char *line = captured();
    const char *level = strstr(line, "level");
    ck_assert_ptr_nonnull(level);
    ck_assert_str_eq(level, expected);
}

/* ---- lines ------------------------------------------------------------------------------------
 */

START_TEST(logfmt_quotes_what_would_be_read_otherwise)
{
    log_configure(LOG_LOGFMT, LOG_INFO);
    capture();
    log_event(LOG_INFO, "rules loaded", LOG_STRING("file", "/etc/a.yml"), LOG_INT("rules", -3),
              LOG_STRING("empty", ""), LOG_STRING("pair", "a=b"), LOG_STRING("words", "a b"));
    expect_line("level=info msg=\"rules loaded\" file=/etc/a.yml rules=-3 empty=\"\" pair=\"a=b\" "
                "words=\"a b\"\n");
    log_event(LOG_ERROR, "x", LOG_STRING("a", "\"\\\n\r\t\x1b\x7f"), LOG_STRING("b", "\xc3\xa9"),
              LOG_STRING("c", "\xc2\x9b\xff\xed\xa0\x80"), LOG_SLICE("d", slice_of("\0x", 2)));
    expect_line("level=error msg=\"x\" a=\"\\\"\\\\\\u000a\\u000d\\u0009\\u001b\\u007f\" "
                "b=\"\xc3\xa9\" c=\"\\u009b\\ufffd\\ufffd\\ufffd\\ufffd\" d=\"\\u0000x\"\n");
    release();
}
END_TEST

START_TEST(json_is_valid_whatever_is_in_it)
{
    log_configure(LOG_JSON, LOG_INFO);
    capture();
    log_event(LOG_WARNING, "it \"is\"", LOG_STRING("a", "\"\\\n\x01"), LOG_INT("n", INT64_MIN),
              LOG_STRING("b", "\xe2\x82\xac\xf0\x9f\x98\x80"), LOG_STRING("c", "\xe2\x82"));
    expect_line("level\":\"warning\",\"msg\":\"it \\\"is\\\"\",\"a\":\"\\\"\\\\\\u000a\\u0001\","
                "\"n\":-9223372036854775808,\"b\":\"\xe2\x82\xac\xf0\x9f\x98\x80\","
                "\"c\":\"\\ufffd\\ufffd\"}\n");
    log_event(LOG_INFO, "no fields");
    expect_line("level\":\"info\",\"msg\":\"no fields\"}\n");
    release();
}
END_TEST

static void expect_cut(const char *mark)
{
    static char text[LOG_LINE_MAX + 100];
    capture();
    for (size_t size = LOG_LINE_MAX - 200; size < sizeof(text) - 1; size++) {
        memset(text, 'a', size);
        text[size] = 0;
        log_event(LOG_INFO, "long", LOG_STRING("kept", "yes"), LOG_STRING("text", text),
                  LOG_INT("after", 1));
        const char *line = captured();
        size_t length = strlen(line);
        ck_assert_uint_le(length, LOG_LINE_MAX);
        ck_assert_uint_eq(lines_of(line), 1);
        ck_assert_ptr_nonnull(strstr(line, "kept"));
        bool whole = strstr(line, text) && strstr(line, "after");
        ck_assert(whole != (strstr(line, mark) != NULL));
    }
    release();
}

START_TEST(a_long_line_is_cut_and_says_so)
{
    log_configure(LOG_LOGFMT, LOG_INFO);
    expect_cut(" ...\n");
    log_configure(LOG_JSON, LOG_INFO);
    expect_cut(",\"...\":true}\n");
}
END_TEST

START_TEST(levels_below_the_least_are_dropped)
{
    log_configure(LOG_LOGFMT, LOG_WARNING);
    capture();
    log_event(LOG_DEBUG, "no");
    log_event(LOG_INFO, "no");
    log_event(LOG_WARNING, "yes");
    log_event(LOG_ERROR, "yes");
    const char *text = captured();
    ck_assert_uint_eq(lines_of(text), 2);
    ck_assert_ptr_null(strstr(text, "no"));
    release();
}
END_TEST

/* ---- the limiter ------------------------------------------------------------------------------
 */

#define THREADS 4
#define TIMES   5000

static struct log_limiter limiter;

static void *flood(void *argument)
{
    (void)argument;
    for (int i = 0; i < TIMES; i++)
        log_limited(&limiter, LOG_INFO, "flood");
    return NULL;
}

/* However long it takes, each line is written, or counted in one that is, or still to be counted.
 */
START_TEST(a_flood_is_cut_down_and_counted)
{
    pthread_t threads[THREADS];
    log_configure(LOG_LOGFMT, LOG_INFO);
    capture();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, flood, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    const char *text = captured();
    size_t written = lines_of(text);
    size_t told = 0;
    for (const char *at = text; (at = strstr(at, "suppressed=")); at++)
        told += strtoul(at + strlen("suppressed="), NULL, 10);
    release();
    ck_assert_uint_ge(written, LOG_BURST);
    ck_assert_uint_lt(written, (size_t)THREADS * TIMES / 2);
    ck_assert_uint_eq(written + told + atomic_load(&limiter.dropped), (size_t)THREADS * TIMES);
}
END_TEST

/* ---- words ------------------------------------------------------------------------------------
 */

START_TEST(utf8_as_rfc_3629_has_it)
{
    static const struct {
        const char *bytes;
        size_t length;
        uint32_t character;
    } cases[] = {
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xd7ff},
        {"\xee\x80\x80", 3, 0xe000},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"\x80", 0, 0},             /* a continuation */
        {"\xc1\xbf", 0, 0},         /* overlong */
        {"\xe0\x9f\xbf", 0, 0},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 0, 0}, /* overlong */
        {"\xed\xa0\x80", 0, 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0, 0}, /* past U+10FFFF */
        {"\xf8\x88\x80\x80", 0, 0},
        {"\xff", 0, 0},
        {"\xe2\x82", 0, 0}, /* its end is missing */
        {"\xe2\x28\xa1", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t character = 0;
        ck_assert_uint_eq(slice_utf8(slice_of_string(cases[i].bytes), &character), cases[i].length);
        if (cases[i].length)
            ck_assert_uint_eq(character, cases[i].character);
    }
}
END_TEST

START_TEST(levels_and_formats_are_words)
{
    enum log_level level;
    enum log_format format;
    ck_assert(log_level_parse(SLICE("error"), &level) && level == LOG_ERROR);
    ck_assert(!log_level_parse(SLICE("err"), &level));
    ck_assert(!log_level_parse(SLICE(""), &level));
    ck_assert(log_format_parse(SLICE("json"), &format) && format == LOG_JSON);
    ck_assert(!log_format_parse(SLICE("JSON"), &format));
}
END_TEST

UNIT_MAIN("log", logfmt_quotes_what_would_be_read_otherwise, json_is_valid_whatever_is_in_it,
          a_long_line_is_cut_and_says_so, levels_below_the_least_are_dropped,
          a_flood_is_cut_down_and_counted, utf8_as_rfc_3629_has_it, levels_and_formats_are_words)
