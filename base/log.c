#include <assert.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

static enum log_format log_chosen_format = LOG_LOGFMT;
static enum log_level log_minimum = LOG_INFO;

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

void log_configure(enum log_format format, enum log_level minimum)
{
    log_chosen_format = format;
    log_minimum = minimum;
}

bool log_level_parse(struct slice text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (slice_equal(text, slice_of_string(level_names[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(struct slice text, enum log_format *format)
{
    if (slice_equal(text, SLICE("logfmt")))
        *format = LOG_LOGFMT;
    else if (slice_equal(text, SLICE("json")))
        *format = LOG_JSON;
    else
        return false;
    return true;
}

/* Both formats quote alike: JSON's escapes are also what logfmt readers expect. Control characters
 * are escaped, C1's too, which some terminals obey; and so is what isn't UTF-8 at all. */
static void put_quoted(struct writer *w, struct slice s)
{
    writer_uint8(w, '"');
    while (s.size) {
        uint32_t c = 0xfffd;
        size_t length = slice_utf8(s, &c);
        char escape[8];
        if (c == '"' || c == '\\')
            writer_uint8(w, '\\');
        if (length && c >= 0x20 && (c < 0x7f || c >= 0xa0)) {
            writer_bytes(w, slice_of(s.data, length));
        } else {
            snprintf(escape, sizeof(escape), "\\u%04x", length ? c : 0xfffd);
            writer_bytes(w, slice_of_string(escape));
        }
        s = slice_from(s, length ? length : 1);
    }
    writer_uint8(w, '"');
}

static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f || s.data[i] == '"' || s.data[i] == '=' ||
            s.data[i] == '\\')
            return false;
    return s.size > 0;
}

static void put_field(struct writer *w, const struct log_field *field)
{
    bool json = log_chosen_format == LOG_JSON;
    writer_uint8(w, json ? ',' : ' ');
    if (json)
        put_quoted(w, slice_of_string(field->name));
    else
        writer_bytes(w, slice_of_string(field->name));
    writer_uint8(w, json ? ':' : '=');
    if (field->kind == LOG_NUMBER) {
        struct value number = {.type = VALUE_INT64, .integer = field->number};
        value_print(&number, w);
    } else if (json || !is_plain(field->text)) {
        put_quoted(w, field->text);
    } else {
        writer_bytes(w, field->text);
    }
}

static void put_head(struct writer *w, enum log_level level, const char *message)
{
    struct timespec now;
    struct tm parts;
    char time[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t size = strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(time + size, sizeof(time) - size, ".%03ldZ", now.tv_nsec / 1000000);

    bool json = log_chosen_format == LOG_JSON;
    writer_bytes(w, json ? SLICE("{\"time\":\"") : SLICE("time="));
    writer_bytes(w, slice_of_string(time));
    writer_bytes(w, json ? SLICE("\",\"level\":\"") : SLICE(" level="));
    writer_bytes(w, slice_of_string(level_names[level]));
    writer_bytes(w, json ? SLICE("\",\"msg\":") : SLICE(" msg="));
    put_quoted(w, slice_of_string(message));
    assert(!w->error); /* messages are sentences of ours */
}

static void write_line(enum log_level level, const char *message, const struct log_field *fields,
                       uint32_t suppressed)
{
    /* Room for the closing mark is kept back, so that a cut line still says that it was cut. */
    static const struct slice cut[] = {
        [LOG_LOGFMT] = {(const uint8_t *)" ...", 4},
        [LOG_JSON] = {(const uint8_t *)",\"...\":true", 11},
    };
    char buffer[LOG_LINE_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer) - 16);

    put_head(&w, level, message);
    for (; fields && fields->name && !w.error; fields++) {
        uint8_t *before = w.position;
        put_field(&w, fields);
        if (w.error)
            w.position = before;
    }
    if (suppressed && !w.error) {
        struct log_field count = LOG_INT("suppressed", suppressed);
        put_field(&w, &count);
    }
    bool was_cut = w.error != ERROR_NONE;
    w.error = ERROR_NONE;
    w.end = (uint8_t *)buffer + sizeof(buffer);
    if (was_cut)
        writer_bytes(&w, cut[log_chosen_format]);
    writer_bytes(&w, log_chosen_format == LOG_JSON ? SLICE("}\n") : SLICE("\n"));
    /* A log that can't be written has nobody to be reported to. */
    ssize_t ignored = write(STDERR_FILENO, buffer, writer_size(&w));
    (void)ignored;
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    if (level >= log_minimum)
        write_line(level, message, fields, 0);
}

bool log_may_write(struct log_limiter *limiter, uint32_t per_second, uint32_t *suppressed)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    /* Two threads that cross a second together may each write a line more: that is no harm. */
    uint64_t second = (uint64_t)now.tv_sec + 1; /* never 0, which a fresh limiter has */
    if (atomic_exchange(&limiter->second, second) != second)
        atomic_store(&limiter->written, 0);
    if (atomic_fetch_add(&limiter->written, 1) >= per_second) {
        atomic_fetch_add(&limiter->dropped, 1);
        return false;
    }
    *suppressed = atomic_exchange(&limiter->dropped, 0);
    return true;
}

void log_write_limited(struct log_limiter *limiter, enum log_level level, const char *message,
                       const struct log_field *fields)
{
    uint32_t suppressed;
    if (level >= log_minimum && log_may_write(limiter, LOG_BURST, &suppressed))
        write_line(level, message, fields, suppressed);
}
