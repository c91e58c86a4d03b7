#include <stdio.h>
#include <stdlib.h>

#include "agent/replay.h"
#include "main.h"

/* ---- times --------------------------------------------------------------------------------- */

START_TEST(times_are_read)
{
    /* By `date -u -d ... +%s`. */
    static const struct {
        const char *text;
        uint64_t time;
    } right[] = {
        {"06/Feb/2009:12:14:14.655", UINT64_C(1233922454655000)},
        {"24/Nov/2026:17:17:53 +0000", UINT64_C(1795540673000000)},
        {"24/Nov/2026:17:17:53 +0130", UINT64_C(1795535273000000)},
        {"29/Feb/2024:00:00:00.000", UINT64_C(1709164800000000)},
        {"01/Jan/1970:00:00:00", 0},
        {"31/Dec/2099:23:59:59", UINT64_C(4102444799000000)},
        {"2026-11-24T17:17:53Z", UINT64_C(1795540673000000)},
        {"2026-11-24T17:17:53.000001Z", UINT64_C(1795540673000001)},
        {"2026-11-24 17:17:53.5-01:00", UINT64_C(1795544273500000)},
        {"1795540673", UINT64_C(1795540673000000)},
        {"1795540673.25", UINT64_C(1795540673250000)},
        {"1795540673250", UINT64_C(1795540673250000)},
        {"1795540673250.5", UINT64_C(1795540673250500)},
    };
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        uint64_t time;
        ck_assert_msg(replay_time(slice_of_string(right[i].text), &time), "%s", right[i].text);
        ck_assert_uint_eq(time, right[i].time);
    }
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
    static const char *const wrong[] = {
        "",
        "-",
        "x",
        "24/Nov/2026",
        "24/Nvo/2026:17:17:53",
        "24/Nov/2026:17:17:53x",
        "24/Nov/2026:17:17",
        "2026-11-24T17:17",
        "2026-11-24X17:17:53Z",
        "2026-11-24T17:17:53+1",
        "01/Jan/0001:00:00:00",
        "99999999999999999999999999999999999",
        "17955 40673",
        "-5",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t time;
        ck_assert_msg(!replay_time(slice_of_string(wrong[i]), &time), "%s", wrong[i]);
    }
}
END_TEST

/* ---- lines --------------------------------------------------------------------------------- */

static struct replay_fields fields;
static struct replay_format format;
static struct replay_json json;
static struct replay_request request;
static char said[4096];

/* "name=value ..." of what has come, or "no request", or "expected WHY". */
static const char *say(enum replay_outcome outcome, const char *why)
{
    struct writer w = writer_open(said, sizeof(said) - 1);
    if (outcome == REPLAY_NO_REQUEST)
        return "no request";
    if (outcome == REPLAY_UNREADABLE) {
        ck_assert_ptr_nonnull(why);
        snprintf(said, sizeof(said), "expected %s", why);
        return said;
    }
    for (size_t i = 0; i < fields.count; i++) {
        if (request.values[i].type == VALUE_NULL)
            continue;
        writer_bytes(&w, writer_size(&w) ? SLICE(" ") : SLICE(""));
        writer_bytes(&w, fields.names[i]);
        writer_uint8(&w, '=');
        value_print(&request.values[i], &w);
    }
    ck_assert(!w.error);
    *w.position = 0;
    return said;
}

static void open_format(const char *text, const char *captures)
{
    const char *what;
    size_t at;
    fields = (struct replay_fields){.count = 0};
    ck_assert_msg(replay_format_read(&format, text, captures, &fields, &what, &at),
                  "%s: expected %s at %zu", text, what ? what : "", at);
}

/* A copy that ends where the text does, so that a read past it is seen. */
static uint8_t *exact_copy(const char *text, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(copy);
    for (size_t i = 0; i < size; i++)
        copy[i] = (uint8_t)text[i];
    return copy;
}

static const char *read_line(const char *line)
{
    const char *why = NULL;
    size_t size = strlen(line);
    uint8_t *exact = exact_copy(line, size);
    enum replay_outcome outcome =
        replay_format_line(&format, slice_of(exact, size), &request, &why);
    const char *result = say(outcome, why);
    free(exact);
    return result;
}

#define TAIL "www api/api1 0/0/1/3/4 429 512 - - PR-- 1/1/0/0/0 0/0"

START_TEST(haproxys_default_is_read)
{
    open_format(REPLAY_HTTP_FORMAT, NULL);
    ck_assert_str_eq(
        read_line("192.0.2.1:4000 [24/Nov/2026:17:17:53.123] " TAIL " \"GET /a/b?c=d HTTP/1.1\""),
        "src=192.0.2.1 src_port=4000 frontend=www ssl=false status=429 method=GET "
        "url=/a/b?c=d path=/a/b query=c=d http_version=1.1");
    ck_assert_uint_eq(request.time, UINT64_C(1795540673123000));
    ck_assert_str_eq(read_line("2001:db8::1:4000 [24/Nov/2026:17:17:53.123] www~ api/<NOSRV> "
                               "-1/-1/-1/-1/4 -1 0 - - PR-- 1/1/0/0/0 0/0 {curl|x} {} \"POST "
                               "http://h/x HTTP/2.0\" rule=login source=memory"),
                     "src=2001:db8::1 src_port=4000 frontend=www ssl=true status=-1 method=POST "
                     "url=http://h/x path=/x http_version=2.0");
}
END_TEST

START_TEST(what_syslog_writes_before_is_passed_over)
{
    static const char *const headers[] = {
        "Nov 24 17:17:53 host haproxy[1234]: ",
        "<134>Nov 24 17:17:53 haproxy[1]: ",
        "<134>1 2026-11-24T17:17:53.123Z host haproxy 1 - - ",
        "2026-11-24T17:17:53.123456+00:00 host haproxy[1]: ",
    };
    open_format(REPLAY_HTTP_FORMAT, NULL);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        char line[512];
        snprintf(line, sizeof(line),
                 "%s192.0.2.1:1 [24/Nov/2026:17:17:53.123] " TAIL " \"GET / HTTP/1.1\"",
                 headers[i]);
        ck_assert_msg(strstr(read_line(line), "src=192.0.2.1 src_port=1 ") == said, "%s: %s",
                      headers[i], said);
    }
}
END_TEST

START_TEST(what_is_no_request_is_told_apart)
{
    open_format(REPLAY_HTTP_FORMAT, NULL);
    ck_assert_str_eq(read_line("192.0.2.1:1 [24/Nov/2026:17:17:53.123] " TAIL " \"<BADREQ>\""),
                     "no request");
    ck_assert_str_eq(read_line("Proxy www started."),
                     "expected what the format has behind a variable");
    ck_assert_str_eq(read_line("192.0.2.1:1 [yesterday] " TAIL " \"GET / HTTP/1.1\""),
                     "expected a time");
    ck_assert_str_eq(
        read_line("192.0.2.1:x [24/Nov/2026:17:17:53.123] " TAIL " \"GET / HTTP/1.1\""),
        "expected a number");
    ck_assert_str_eq(read_line(""), "expected what the format has behind a variable");
}
END_TEST

START_TEST(captured_headers_have_the_names_given)
{
    open_format(REPLAY_HTTP_FORMAT, "host,,api_key");
    ck_assert_ptr_nonnull(strstr(read_line("192.0.2.1:1 [24/Nov/2026:17:17:53.123] " TAIL
                                           " {a.example|curl|k1} \"GET / HTTP/1.1\""),
                                 "host=a.example"));
    ck_assert_ptr_nonnull(strstr(said, "api_key=k1"));
    ck_assert_ptr_null(strstr(said, "curl"));
    ck_assert_ptr_null(strstr(
        read_line("192.0.2.1:1 [24/Nov/2026:17:17:53.123] " TAIL " {||} {x} \"GET / HTTP/1.1\""),
        "host="));
}
END_TEST

START_TEST(a_format_of_ones_own_is_read)
{
    open_format("client=%ci time=%Ts.%ms %HM %HP %HQ %{+Q}[user_agent] key=%[api_key] %ST", NULL);
    ck_assert_str_eq(
        read_line("client=192.0.2.1 time=1795540673.007 GET /x ?a=b \"Mozilla (X; Y)\" "
                  "key=- 200"),
        "src=192.0.2.1 method=GET path=/x query=a=b user_agent=Mozilla (X; Y) "
        "status=200");
    ck_assert_uint_eq(request.time, UINT64_C(1795540673007000));
    open_format("%{+Q}o %T %ci %[a]", NULL);
    ck_assert_str_eq(read_line("\"24/Nov/2026:17:17:53 +0000\" \"192.0.2.1\" \"b c\""),
                     "src=192.0.2.1 a=b c");
}
END_TEST

START_TEST(a_wrong_format_is_told)
{
    static const struct {
        const char *text;
        const char *what;
        size_t at;
    } wrong[] = {
        {"%ci%tr", "a text between two variables, by which their ends are found", 6},
        {"%tr %", "the name of a variable behind '%', or %[ARGUMENT]", 5},
        {"%tr %{+Q", "a '}' behind the flags", 6},
        {"%tr %[a", "a ']' behind the name of an argument", 5},
        {"%ci %r", "a time in it, as in %tr", 6},
        {"", "a time in it, as in %tr", 0},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *what;
        size_t at;
        ck_assert(!replay_format_read(&format, wrong[i].text, NULL, &fields, &what, &at));
        ck_assert_str_eq(what, wrong[i].what);
        ck_assert_uint_eq(at, wrong[i].at);
    }
}
END_TEST

/* Whatever a line has been cut to, nothing past its end is read (under ASan). */
START_TEST(lines_cut_anywhere_are_read_or_refused)
{
    static const char line[] =
        "<134>1 2026-11-24T17:17:53.123Z host haproxy 1 - - 192.0.2.1:1 "
        "[24/Nov/2026:17:17:53.123] " TAIL " {a|b} {c} \"GET http://a/b?c HTTP/1.1\"";
    open_format(REPLAY_HTTP_FORMAT, "host,agent");
    for (size_t size = 0; size < sizeof(line); size++) {
        char cut[sizeof(line)] = {0};
        memcpy(cut, line, size);
        read_line(cut);
    }
}
END_TEST

/* ---- JSON ---------------------------------------------------------------------------------- */

static const char *read_json(const char *line)
{
    static const char *const names[] = {"src", "method", "path", "ssl", "units", "tenant"};
    const char *why = NULL;
    size_t size = strlen(line);
    uint8_t *copy = exact_copy(line, size);
    fields = (struct replay_fields){.count = 0};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        replay_field(&fields, slice_of_string(names[i]), true);
    json.fields = &fields;
    enum replay_outcome outcome = replay_json_line(&json, copy, size, &request, &why);
    const char *result = say(outcome, why);
    free(copy);
    return result;
}

START_TEST(an_object_is_read)
{
    json = (struct replay_json){0};
    ck_assert_str_eq(
        read_json(
            "{\"time\": \"2026-11-24T17:17:53Z\", \"src\":\"192.0.2.1\",\"method\" : \"GET\", "
            "\"path\":\"\\/a\\u00fc\\n\\\"\", \"ssl\":true,\"units\":-5, \"tenant\":null, "
            "\"other\":{\"path\":[1,\"}\",{}]},\"x\":1.5e3}"),
        "src=192.0.2.1 method=GET path=/a\\xc3\\xbc\\x0a\" ssl=true units=-5");
    ck_assert_uint_eq(request.time, UINT64_C(1795540673000000));
    ck_assert_str_eq(read_json(" { \"ts\" : 1795540673.5 , \"tenant\" : \"\\ud83d\\ude00\" } "),
                     "tenant=\\xf0\\x9f\\x98\\x80");
    ck_assert_uint_eq(request.time, UINT64_C(1795540673500000));
    ck_assert_str_eq(read_json("{\"@timestamp\":1795540673123,\"units\":12345678901234567890123}"),
                     "units=12345678901234567890123");
}
END_TEST

START_TEST(members_may_have_other_names)
{
    json = (struct replay_json){.time = SLICE("at"), .rename_count = 1};
    json.renames[0].field = SLICE("client ip");
    json.renames[0].argument = SLICE("src");
    ck_assert_str_eq(read_json("{\"time\":\"never\",\"at\":5,\"client ip\":\"::1\"}"), "src=::1");
    ck_assert_uint_eq(request.time, 5000000);
    json = (struct replay_json){0};
}
END_TEST

START_TEST(what_is_no_object_is_told)
{
    static const char *const wrong[][2] = {
        {"", "expected an object, as in {\"time\": ...}"},
        {"[]", "expected an object, as in {\"time\": ...}"},
        {"{}", "expected a member with the time"},
        {"{\"src\":1}", "expected a member with the time"},
        {"{\"time\":true}", "expected a time"},
        {"{\"time\":\"x\"}", "expected a time"},
        {"{\"time\":1", "expected a ',' or '}' behind a member"},
        {"{\"time\":1,}", "expected a member's name"},
        {"{\"time\" 1}", "expected a ':' behind a name"},
        {"{\"time\":}", "expected a value"},
        {"{\"time\":x}", "expected a value"},
        {"{\"time\":1} {}", "expected nothing behind the object"},
        {"{\"ti", "expected a '\"' at the end of a text"},
        {"{\"a\\", "expected a character behind \\"},
        {"{\"a\\x\":1}", "expected an escape of JSON's behind \\"},
        {"{\"a\\u12g4\":1}", "expected four hexadecimal digits behind \\u"},
        {"{\"a\\u12", "expected four hexadecimal digits behind \\u"},
        {"{\"a\\ud800\\u0041\":1}", "expected the second half of a surrogate pair"},
        {"{\"a\":[1,2", "expected a bracket that closes"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_str_eq(read_json(wrong[i][0]), wrong[i][1]);
    char deep[200] = "{\"time\":1,\"a\":";
    memset(deep + strlen(deep), '[', 100);
    ck_assert_str_eq(read_json(deep), "expected at most 64 brackets inside one another");
}
END_TEST

UNIT_MAIN("replay", times_are_read, what_is_no_time_is_refused, haproxys_default_is_read,
          what_syslog_writes_before_is_passed_over, what_is_no_request_is_told_apart,
          captured_headers_have_the_names_given, a_format_of_ones_own_is_read,
          a_wrong_format_is_told, lines_cut_anywhere_are_read_or_refused, an_object_is_read,
          members_may_have_other_names, what_is_no_object_is_told)
