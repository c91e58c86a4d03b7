/* What every other part of sluice stands on: bytes and how to read and write them, typed values,
 * memory that is freed at once, hashes, addresses, errors, and the log.
 *
 * Nothing here does I/O or reads a clock, the log excepted. Unless a function says otherwise it is
 * thread-safe as long as no two threads are given the same object.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- errors ------------------------------------------------------------------------------- */

#define ERROR_TABLE(X)                                                                             \
    X(NONE, "no error")                                                                            \
    X(TRUNCATED, "the data ends before the value does")                                            \
    X(MALFORMED, "the data is not of the expected form")                                           \
    X(RANGE, "the value is out of range")                                                          \
    X(NO_ROOM, "the result does not fit its buffer")                                               \
    X(NO_MEMORY, "out of memory")

enum error {
#define ERROR_ENUM(name, text) ERROR_##name,
    ERROR_TABLE(ERROR_ENUM)
#undef ERROR_ENUM
};

/* A sentence for people, without a full stop; never NULL. */
const char *error_text(enum error error);

/* ---- slices: bytes that somebody else owns ------------------------------------------------- */

struct slice {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;
};

/* For a string literal, so that its length is known when compiling. */
#define SLICE(literal) ((struct slice){(const uint8_t *)(literal), sizeof(literal) - 1})

/* For printf: "%.*s", SLICE_ARGS(s). Sizes above INT_MAX are cut. */
#define SLICE_ARGS(s)                                                                              \
    (int)((s).size > INT32_MAX ? INT32_MAX : (s).size),                                            \
        (const char *)((s).data ? (s).data : (const uint8_t *)"")

static inline struct slice slice_of(const void *data, size_t size)
{
    return (struct slice){data, size};
}

static inline struct slice slice_of_string(const char *text)
{
    return slice_of(text, strlen(text));
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_has_prefix(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size &&
           (prefix.size == 0 || memcmp(s.data, prefix.data, prefix.size) == 0);
}

static inline bool slice_has_suffix(struct slice s, struct slice suffix)
{
    return s.size >= suffix.size && (suffix.size == 0 || memcmp(s.data + (s.size - suffix.size),
                                                                suffix.data, suffix.size) == 0);
}

/* The part of s from `from` on; empty when from is past the end. */
static inline struct slice slice_from(struct slice s, size_t from)
{
    return from < s.size ? slice_of(s.data + from, s.size - from) : slice_of(NULL, 0);
}

/* Byte order, then length: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);

/* The length of the UTF-8 sequence that s starts with and, in *character, what it says; 0 when it
 * starts with none. RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t slice_utf8(struct slice s, uint32_t *character);

/* A decimal number that is the whole of s: digits, a leading '-' where signed. False when it is
 * anything else or does not fit. */
bool slice_to_uint64(struct slice s, uint64_t *number);
bool slice_to_int64(struct slice s, int64_t *number);

/* ---- cursor: reads bytes, with a sticky error ---------------------------------------------- */

/* A read past the end sets the error, moves nothing and yields 0; so does every read after it. A
 * parser reads all it wants and looks at the error once. */
struct cursor {
    const uint8_t *position;
    const uint8_t *end; /* with an error, the position: nothing is left, and no read asks why */
    enum error error;
};

static inline struct cursor cursor_open(struct slice s)
{
    /* A NULL pointer may not be added to, not even 0. */
    const uint8_t *data = s.data ? s.data : (const uint8_t *)"";
    return (struct cursor){data, data + s.size, ERROR_NONE};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->position);
}

/* The first error stays. */
static inline void cursor_fail(struct cursor *c, enum error error)
{
    if (!c->error)
        c->error = error;
    c->end = c->position;
}

static inline uint8_t cursor_uint8(struct cursor *c)
{
    if (cursor_left(c) < 1) {
        cursor_fail(c, ERROR_TRUNCATED);
        return 0;
    }
    return *c->position++;
}

/* Network byte order. */
static inline uint32_t cursor_uint32(struct cursor *c)
{
    if (cursor_left(c) < 4) {
        cursor_fail(c, ERROR_TRUNCATED);
        return 0;
    }
    const uint8_t *p = c->position;
    c->position += 4;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The bytes stay where they are; size comes from the wire and may be anything. */
static inline struct slice cursor_bytes(struct cursor *c, uint64_t size)
{
    if (size > cursor_left(c)) {
        cursor_fail(c, ERROR_TRUNCATED);
        return slice_of(NULL, 0);
    }
    struct slice s = slice_of(c->position, (size_t)size);
    c->position += size;
    return s;
}

/* ---- writer: writes bytes, with a sticky error --------------------------------------------- */

/* What does not fit sets ERROR_NO_ROOM and writes nothing; so does every write after it. */
struct writer {
    uint8_t *begin;
    uint8_t *position;
    uint8_t *end;
    enum error error;
};

static inline struct writer writer_open(void *buffer, size_t size)
{
    return (struct writer){buffer, buffer, (uint8_t *)buffer + size, ERROR_NONE};
}

static inline size_t writer_size(const struct writer *w)
{
    return (size_t)(w->position - w->begin);
}

static inline size_t writer_room(const struct writer *w)
{
    return w->error ? 0 : (size_t)(w->end - w->position);
}

static inline struct slice writer_slice(const struct writer *w)
{
    return slice_of(w->begin, writer_size(w));
}

/* Reserves size bytes to be filled in by the caller; NULL when they don't fit. */
static inline uint8_t *writer_reserve(struct writer *w, size_t size)
{
    if (size > writer_room(w)) {
        if (!w->error)
            w->error = ERROR_NO_ROOM;
        return NULL;
    }
    uint8_t *reserved = w->position;
    w->position += size;
    return reserved;
}

static inline void writer_uint8(struct writer *w, uint8_t byte)
{
    uint8_t *p = writer_reserve(w, 1);
    if (p)
        *p = byte;
}

static inline void writer_put_uint32(uint8_t *at, uint32_t number)
{
    at[0] = (uint8_t)(number >> 24);
    at[1] = (uint8_t)(number >> 16);
    at[2] = (uint8_t)(number >> 8);
    at[3] = (uint8_t)number;
}

/* Network byte order. */
static inline void writer_uint32(struct writer *w, uint32_t number)
{
    uint8_t *p = writer_reserve(w, 4);
    if (p)
        writer_put_uint32(p, number);
}

static inline void writer_bytes(struct writer *w, struct slice s)
{
    uint8_t *p = writer_reserve(w, s.size);
    if (p && s.size)
        memcpy(p, s.data, s.size);
}

/* Decimal digits, no sign. */
void writer_decimal(struct writer *w, uint64_t number);

/* The same where there is room for DECIMAL_MAX bytes; returns where they end. */
#define DECIMAL_MAX 20
uint8_t *decimal_put(uint8_t *at, uint64_t number);

/* ---- values: what a proxy tells about a request -------------------------------------------- */

/* The numbers are those of SPOP's types, so that decoding is a copy; spop/ asserts it. */
enum value_type {
    VALUE_NULL = 0,
    VALUE_BOOL = 1,
    VALUE_INT32 = 2,
    VALUE_UINT32 = 3,
    VALUE_INT64 = 4,
    VALUE_UINT64 = 5,
    VALUE_IPV4 = 6,
    VALUE_IPV6 = 7,
    VALUE_STRING = 8,
    VALUE_BINARY = 9,
};

struct value {
    enum value_type type;
    union {
        bool boolean;        /* BOOL */
        int64_t integer;     /* INT32, INT64 */
        uint64_t natural;    /* UINT32, UINT64 */
        uint8_t address[16]; /* IPV4: the first 4 bytes; network byte order */
        struct slice bytes;  /* STRING, BINARY: points into the buffer it was decoded from */
    };
};

bool value_equal(const struct value *a, const struct value *b);

/* For people: true, -5, 192.0.2.1, 2001:db8::1; strings as they are; NULL is "null". Bytes that are
 * not printable ASCII come as \xNN. What does not fit sets the writer's error. */
void value_print(const struct value *value, struct writer *w);

/* "192.0.2.1" or "2001:db8::1", the whole of text, into an IPV4 or IPV6 value. */
bool value_parse_address(struct slice text, struct value *value);

/* ---- endpoint: where to listen, or what to call -------------------------------------------- */

enum endpoint_kind {
    ENDPOINT_TCP,
    ENDPOINT_UNIX,     /* a path in the file system */
    ENDPOINT_ABSTRACT, /* Linux's abstract sockets, HAProxy's abns@ */
};

struct endpoint {
    enum endpoint_kind kind;
    struct slice host; /* TCP: name or address, without brackets; empty means every address */
    uint16_t port;     /* TCP */
    struct slice path; /* UNIX: at most ENDPOINT_PATH_MAX bytes; ABSTRACT: the name without '@' */
};

/* sun_path holds 108 bytes, the last of them a NUL. */
#define ENDPOINT_PATH_MAX 107
#define ENDPOINT_HOST_MAX 255

/* Parses "tcp://HOST:PORT", "tcp://[V6]:PORT", "tcp://:PORT" (or the same without "tcp://"),
 * "unix:///PATH", "unix://@NAME". The slices point into text. On failure returns false and sets
 * *expected to what would have been right, a static string. Port 0 is accepted: "any free port". */
bool endpoint_parse(struct slice text, struct endpoint *endpoint, const char **expected);

/* The form that endpoint_parse reads. */
void endpoint_print(const struct endpoint *endpoint, struct writer *w);

/* ---- arena: memory that is freed at once --------------------------------------------------- */

struct arena_chunk;

/* Zero-initialised is empty and ready, with no limit. */
struct arena {
    struct arena_chunk *chunks;
    size_t used;    /* bytes asked of the system */
    size_t maximum; /* 0: none; otherwise allocation fails past it */
};

/* Zeroed, aligned for any type; NULL when out of memory or past the maximum. */
void *arena_allocate(struct arena *arena, size_t size);

/* The same for an array, NULL also when count * size overflows. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* A copy, followed by a NUL that is not part of the slice. A failed copy has data NULL. */
struct slice arena_copy(struct arena *arena, struct slice s);

/* Frees all of it; the arena is empty and ready again. */
void arena_free(struct arena *arena);

/* ---- hashes -------------------------------------------------------------------------------- */

struct hash128 {
    uint64_t low;
    uint64_t high;
};

/* xxHash's XXH3, seeded: fast and well spread. Not cryptographic: seed it with a secret where the
 * bytes come from strangers. */
uint64_t hash64(struct slice s, uint64_t seed);
struct hash128 hash128(struct slice s, uint64_t seed);

static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

/* ---- chance -------------------------------------------------------------------------------- */

/* The next of a series of numbers that look random; the state is any number at first. For jitter
 * and samples, not for secrets. SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
 * generators, 2014). */
static inline uint64_t chance_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- counters ------------------------------------------------------------------------------ */

/* A number with one writing thread and any number of readers: no locked instruction is needed. */
struct counter {
    _Atomic uint64_t number;
};

static inline void counter_add(struct counter *counter, uint64_t more)
{
    uint64_t now = atomic_load_explicit(&counter->number, memory_order_relaxed);
    atomic_store_explicit(&counter->number, now + more, memory_order_relaxed);
}

static inline void counter_set(struct counter *counter, uint64_t number)
{
    atomic_store_explicit(&counter->number, number, memory_order_relaxed);
}

static inline uint64_t counter_read(const struct counter *counter)
{
    return atomic_load_explicit(&counter->number, memory_order_relaxed);
}

/* ---- histograms ---------------------------------------------------------------------------- */

/* Durations in microseconds, counted by how long they were, in steps of 1, 2 and 5: each count is
 * of those that are at most its bound and above the bound before it; the last, of those above all
 * bounds. One writing thread and any number of readers, like counters; a reader may see a duration
 * counted and not yet summed. */
#define HISTOGRAM_BOUNDS 17
extern const uint32_t histogram_bounds[HISTOGRAM_BOUNDS]; /* 5 us to 1 s, ascending */

struct histogram {
    struct counter counts[HISTOGRAM_BOUNDS + 1];
    struct counter sum; /* of the durations, modulo 2^64 */
};

void histogram_add(struct histogram *histogram, uint64_t duration, uint64_t times);

/* Adds what `from` has counted to `to`, whose writer the caller is. */
void histogram_merge(struct histogram *to, const struct histogram *from);

/* ---- log ----------------------------------------------------------------------------------- */

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARNING,
    LOG_ERROR,
};

enum log_format {
    LOG_LOGFMT, /* time=2026-01-02T03:04:05.678Z level=info msg="rules loaded" rules=3 */
    LOG_JSON,   /* the same fields as one JSON object a line */
};

struct log_field {
    const char *name; /* NULL ends a list of fields */
    enum {
        LOG_TEXT,
        LOG_NUMBER,
    } kind;
    struct slice text;
    int64_t number;
};

#define LOG_STRING(name, string)                                                                   \
    {                                                                                              \
        (name), LOG_TEXT, slice_of_string(string), 0                                               \
    }
#define LOG_SLICE(name, slice)                                                                     \
    {                                                                                              \
        (name), LOG_TEXT, (slice), 0                                                               \
    }
#define LOG_INT(name, integer)                                                                     \
    {                                                                                              \
        (name), LOG_NUMBER, {NULL, 0}, (int64_t)(integer)                                          \
    }
#define LOG_END                                                                                    \
    {                                                                                              \
        NULL, LOG_TEXT, {NULL, 0}, 0                                                               \
    }

/* One line to stderr in one write(2), so that lines of several threads don't mix. Whatever is in
 * the texts, it is one line, and in JSON valid UTF-8 (bytes that aren't become U+FFFD). The first
 * field that would make it longer than LOG_LINE_MAX and those after it are left out, and "..." says
 * so. Thread-safe. Reads the clock. Waits where whoever reads stderr doesn't. */
#define LOG_LINE_MAX 4096
void log_write(enum log_level level, const char *message, const struct log_field *fields);

/* log_event(LOG_INFO, "rules loaded", LOG_STRING("file", path), LOG_INT("rules", n)); */
#define log_event(level, message, ...)                                                             \
    log_write((level), (message), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ) LOG_END})

/* Call before the first thread starts. Lines below the level are dropped. */
void log_configure(enum log_format format, enum log_level minimum);
bool log_level_parse(struct slice text, enum log_level *level);
bool log_format_parse(struct slice text, enum log_format *format);

/* Keeps one kind of line from flooding the log: at most LOG_BURST lines a second; the next line
 * that passes says how many were dropped (suppressed=N). Static, zero-initialised, thread-safe:
 *     static struct log_limiter limiter;
 *     log_limited(&limiter, LOG_WARNING, "frame refused", ...); */
#define LOG_BURST 10
struct log_limiter {
    _Atomic uint64_t second;
    _Atomic uint32_t written;
    _Atomic uint32_t dropped;
};
void log_write_limited(struct log_limiter *limiter, enum log_level level, const char *message,
                       const struct log_field *fields);

/* Whether another line of the kind may be written when at most per_second a second may; if so,
 * *suppressed is how many could not be since the last that could. Thread-safe. */
bool log_may_write(struct log_limiter *limiter, uint32_t per_second, uint32_t *suppressed);
#define log_limited(limiter, level, message, ...)                                                  \
    log_write_limited((limiter), (level), (message),                                               \
                      (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ) LOG_END})
