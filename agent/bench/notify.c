#include "agent/bench/notify.h"

#define HOLE       "{key}"
#define HOLE_SIZE  (sizeof(HOLE) - 1)
#define FRAME_ID   1
#define DIGITS_MAX 20

static const char expected_argument[] =
    "NAME=VALUE, or NAME:TYPE=VALUE with a value of that type; {key} in a string, or as the whole "
    "of an ipv4 or ipv6";

void bench_notify_open(struct bench_notify *notify, uint64_t keys)
{
    notify->digits = 1;
    for (uint64_t largest = keys - 1; largest >= 10; largest /= 10)
        notify->digits++;
    notify->argument_count = 0;
    notify->hole_count = 0;
    notify->texts = (struct arena){.maximum = 1 << 20};
}

void bench_notify_close(struct bench_notify *notify)
{
    arena_free(&notify->texts);
}

/* ---- arguments ------------------------------------------------------------------------------- */

static bool add_hole(struct bench_notify *notify, enum bench_hole_kind kind, size_t at)
{
    if (notify->hole_count == BENCH_HOLES_MAX)
        return false;
    notify->holes[notify->hole_count++] =
        (struct bench_hole){.kind = kind, .argument = notify->argument_count, .at = at};
    return true;
}

/* Puts zeros, as many as the key has digits, in the place of each {key}. */
static bool expand(struct bench_notify *notify, const char *text, struct value *value)
{
    size_t holes = 0;
    for (const char *hole = text; (hole = strstr(hole, HOLE)); hole += HOLE_SIZE)
        holes++;
    size_t size = strlen(text) - holes * HOLE_SIZE + holes * notify->digits;
    uint8_t *bytes = arena_allocate(&notify->texts, size + 1);
    size_t at = 0;
    if (!bytes)
        return false;
    while (*text) {
        if (strncmp(text, HOLE, HOLE_SIZE) != 0) {
            bytes[at++] = (uint8_t)*text++;
            continue;
        }
        if (!add_hole(notify, BENCH_HOLE_DIGITS, at))
            return false;
        memset(bytes + at, '0', notify->digits);
        at += notify->digits;
        text += HOLE_SIZE;
    }
    *value = (struct value){.type = VALUE_STRING, .bytes = slice_of(bytes, size)};
    return true;
}

static bool address_with_hole(struct bench_notify *notify, struct slice type, const char *text,
                              struct value *value)
{
    bool version_4 = slice_equal(type, SLICE("ipv4"));
    if (strcmp(text, HOLE) != 0 || (!version_4 && !slice_equal(type, SLICE("ipv6"))))
        return false;
    value_parse_address(version_4 ? SLICE("10.0.0.0") : SLICE("2001:db8::1"), value);
    return add_hole(notify, version_4 ? BENCH_HOLE_IPV4 : BENCH_HOLE_IPV6, 0);
}

static bool argument_with_hole(struct bench_notify *notify, char *text,
                               struct spop_argument *argument)
{
    char *equals = strchr(text, '=');
    struct slice name = slice_of(text, (size_t)(equals - text));
    struct slice type = SLICE("string");
    const uint8_t *colon = memchr(name.data, ':', name.size);
    if (colon) {
        type = slice_of(colon + 1, (size_t)((const uint8_t *)equals - colon - 1));
        name.size = (size_t)(colon - name.data);
    }
    argument->name = name;
    return name.size && (slice_equal(type, SLICE("string"))
                             ? expand(notify, equals + 1, &argument->value)
                             : address_with_hole(notify, type, equals + 1, &argument->value));
}

bool bench_notify_add(struct bench_notify *notify, char *text, const char **expected)
{
    const char *equals = strchr(text, '=');
    *expected = "at most 255 arguments";
    if (notify->argument_count == QUESTION_ARGUMENTS)
        return false;
    struct spop_argument *argument = &notify->arguments[notify->argument_count];
    *expected = expected_argument;
    if (equals && strstr(equals, HOLE) ? !argument_with_hole(notify, text, argument)
                                       : !question_argument(text, argument))
        return false;
    notify->argument_count++;
    return true;
}

/* ---- the frame ------------------------------------------------------------------------------- */

/* Streams are numbered from where so many numbers have one size. */
static uint64_t first_stream(uint32_t in_flight)
{
    static const uint64_t starts[] = {0, 240, 2288}; /* 1, 2 and 3 bytes */
    for (size_t i = 0; i + 1 < sizeof(starts) / sizeof(starts[0]); i++)
        if (starts[i] + in_flight <= starts[i + 1])
            return starts[i];
    return starts[sizeof(starts) / sizeof(starts[0]) - 1];
}

static size_t value_size(const struct value *value)
{
    switch (value->type) {
    case VALUE_IPV4:
        return 4;
    case VALUE_IPV6:
        return 16;
    default:
        return value->bytes.size;
    }
}

bool bench_notify_make(struct bench_notify *notify, struct slice message, uint32_t in_flight,
                       uint32_t max_frame_size)
{
    struct writer w = writer_open(notify->frame, sizeof(notify->frame));
    notify->first_stream = first_stream(in_flight);
    uint8_t *frame =
        spop_frame_begin(&w, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN, notify->first_stream, FRAME_ID);
    notify->stream_at = SPOP_LENGTH_SIZE + 1 + 4;
    spop_write_message(&w, message, (uint8_t)notify->argument_count);
    struct bench_hole *hole = notify->holes;
    for (size_t i = 0; i < notify->argument_count; i++) {
        const struct spop_argument *argument = &notify->arguments[i];
        spop_write_argument(&w, argument->name, &argument->value);
        for (; hole < notify->holes + notify->hole_count && hole->argument == i; hole++)
            hole->at += writer_size(&w) - value_size(&argument->value);
    }
    bool fits = spop_frame_end(&w, frame, max_frame_size);
    notify->size = writer_size(&w);
    return fits;
}

void bench_notify_write(const struct bench_notify *notify, uint8_t *to, uint32_t stream,
                        uint64_t key)
{
    uint8_t digits[DIGITS_MAX];
    uint64_t rest = key;
    for (unsigned i = notify->digits; i-- > 0; rest /= 10)
        digits[i] = (uint8_t)('0' + rest % 10);

    memcpy(to, notify->frame, notify->size);
    struct writer w = writer_open(to + notify->stream_at, SPOP_VARINT_MAX);
    spop_write_varint(&w, notify->first_stream + stream);
    for (size_t i = 0; i < notify->hole_count; i++) {
        uint8_t *at = to + notify->holes[i].at;
        if (notify->holes[i].kind == BENCH_HOLE_DIGITS)
            memcpy(at, digits, notify->digits);
        else if (notify->holes[i].kind == BENCH_HOLE_IPV4)
            writer_put_uint32(at, (uint32_t)(UINT32_C(10) << 24) + (uint32_t)key);
        else
            writer_put_uint32(at + 4, (uint32_t)key);
    }
}
