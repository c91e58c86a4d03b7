#include "expect.h"
#include "main.h"

#define VERSION      "'supported-versions' 08'2.0'"
#define FRAME_SIZE   "'max-frame-size' 03 fcf01e"
#define CAPABILITIES "'capabilities' 08'pipelining,async'"

static enum spop_status read_haproxy(const char *text, struct spop_haproxy_hello *hello)
{
    struct slice payload = wire_parse(text);
    enum spop_status status = spop_read_haproxy_hello(payload, hello);
    wire_free(payload);
    hello->engine_id = slice_of(NULL, 0); /* it pointed into the payload */
    return status;
}

static enum spop_status read_agent(const char *text, struct spop_agent_hello *hello)
{
    struct slice payload = wire_parse(text);
    enum spop_status status = spop_read_agent_hello(payload, hello);
    wire_free(payload);
    hello->version = slice_of(NULL, 0);
    return status;
}

START_TEST(haproxy_hello_as_sent)
{
    struct slice bytes = wire_parse(HAPROXY_HELLO);
    struct spop_frame frame;
    struct spop_haproxy_hello hello;
    ck_assert_int_gt(spop_frame_decode(bytes, WIRE_FRAME_SIZE, &frame), 0);
    ck_assert_int_eq(spop_read_haproxy_hello(frame.payload, &hello), SPOP_NORMAL);
    ck_assert(hello.version_2 && !hello.healthcheck);
    ck_assert_uint_eq(hello.max_frame_size, 65532);
    ck_assert_uint_eq(hello.capabilities, SPOP_PIPELINING | SPOP_ASYNC);
    ck_assert(slice_equal(hello.engine_id, SLICE("0175fb64-918b-439d-aa5c-816c85a36fff")));
    wire_free(bytes);
}
END_TEST

START_TEST(health_check_as_sent)
{
    struct slice bytes = wire_parse(HAPROXY_CHECK);
    struct spop_frame frame;
    struct spop_haproxy_hello hello;
    ck_assert_int_gt(spop_frame_decode(bytes, WIRE_FRAME_SIZE, &frame), 0);
    ck_assert_int_eq(spop_read_haproxy_hello(frame.payload, &hello), SPOP_NORMAL);
    ck_assert(hello.version_2 && hello.healthcheck);
    ck_assert_uint_eq(hello.capabilities, 0);
    ck_assert_uint_eq(hello.engine_id.size, 0);
    wire_free(bytes);
}
END_TEST

START_TEST(supported_versions)
{
    static const struct {
        const char *list;
        bool version_2;
    } cases[] = {
        {"2.0", true},      {"1.0, 2.0", true}, {"2.1", true},    {" 2.0 ", true},
        {"1.5,2.0", true},  {"2.0,1.5", true},  {"x, 2.0", true}, {"\t1.0 ,\t 2.4\t", true},
        {"2.0,", true},     {",,2.0", true},    {"1.0", false},   {"3.0", false},
        {"20.0", false},    {"12.0", false},    {"2", false},     {"2.", false},
        {".0", false},      {"2.x", false},     {"-2.0", false},  {"2.-1", false},
        {"2 .0", false},    {"2. 0", false},    {"2.0.0", false}, {"2,0", false},
        {"", false},        {" ", false},       {",", false},     {"1.0 2.0", false},
        {"2.0;1.0", false}, {"+2.0", false},    {"0x2.0", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        struct spop_haproxy_hello hello;
        snprintf(text, sizeof(text), "'supported-versions' 08'%s' %s %s", cases[i].list, FRAME_SIZE,
                 CAPABILITIES);
        enum spop_status status = read_haproxy(text, &hello);
        ck_assert_msg(hello.version_2 == cases[i].version_2, "\"%s\"", cases[i].list);
        ck_assert_int_eq(status, cases[i].version_2 ? SPOP_NORMAL : SPOP_BAD_VERSION);
    }
}
END_TEST

START_TEST(capabilities)
{
    static const struct {
        const char *list;
        unsigned capabilities;
    } cases[] = {
        {"", 0},
        {"pipelining", SPOP_PIPELINING},
        {"async", SPOP_ASYNC},
        {"fragmentation", SPOP_FRAGMENTATION},
        {" pipelining , async ", SPOP_PIPELINING | SPOP_ASYNC},
        {"async,fragmentation,pipelining", SPOP_FRAGMENTATION | SPOP_PIPELINING | SPOP_ASYNC},
        {"async,async", SPOP_ASYNC},
        {"telepathy,pipelining,", SPOP_PIPELINING},
        {"Pipelining,pipelining2,pipe,,a sync", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        struct spop_haproxy_hello hello;
        snprintf(text, sizeof(text), "%s %s 'capabilities' 08'%s'", VERSION, FRAME_SIZE,
                 cases[i].list);
        ck_assert_int_eq(read_haproxy(text, &hello), SPOP_NORMAL);
        ck_assert_msg(hello.capabilities == cases[i].capabilities, "\"%s\"", cases[i].list);
    }
}
END_TEST

START_TEST(haproxy_hellos_refused)
{
    static const struct {
        const char *text;
        enum spop_status status;
    } cases[] = {
        {"", SPOP_NO_VERSION},
        {FRAME_SIZE CAPABILITIES, SPOP_NO_VERSION},
        {VERSION CAPABILITIES, SPOP_NO_FRAME_SIZE},
        {VERSION FRAME_SIZE, SPOP_NO_CAPABILITIES},
        {CAPABILITIES VERSION FRAME_SIZE, SPOP_NORMAL},                         /* any order */
        {VERSION "'max-frame-size' 03 ff00" CAPABILITIES, SPOP_BAD_FRAME_SIZE}, /* 255 */
        {VERSION "'max-frame-size' 03 f001" CAPABILITIES, SPOP_NORMAL},         /* 256 */
        {VERSION "'max-frame-size' 03 fff0fefe7e" CAPABILITIES, SPOP_NORMAL},   /* 2^32 - 1 */
        {VERSION "'max-frame-size' 03 00", SPOP_BAD_FRAME_SIZE}, /* before capabilities */
        {"'supported-versions' 08'1.0'", SPOP_BAD_VERSION},      /* before the rest */
        /* Of the wrong type. */
        {"'supported-versions' 03 02" FRAME_SIZE CAPABILITIES, SPOP_INVALID},
        {"'supported-versions' 09'2.0'" FRAME_SIZE CAPABILITIES, SPOP_INVALID},
        {VERSION "'max-frame-size' 02 fcf006" CAPABILITIES, SPOP_INVALID},
        {VERSION "'max-frame-size' 05 fcf006" CAPABILITIES, SPOP_INVALID},
        {VERSION "'max-frame-size' 08'16380'" CAPABILITIES, SPOP_INVALID},
        {VERSION "'max-frame-size' 00" CAPABILITIES, SPOP_INVALID},
        {VERSION FRAME_SIZE "'capabilities' 00", SPOP_INVALID},
        {VERSION FRAME_SIZE CAPABILITIES "'healthcheck' 03 01", SPOP_INVALID},
        {VERSION FRAME_SIZE CAPABILITIES "'engine-id' 03 01", SPOP_INVALID},
        {VERSION FRAME_SIZE CAPABILITIES "'engine-id' 08'' 'healthcheck' 01", SPOP_NORMAL},
        /* Twice. */
        {VERSION FRAME_SIZE CAPABILITIES VERSION, SPOP_INVALID},
        {VERSION FRAME_SIZE CAPABILITIES "'healthcheck' 01 'healthcheck' 11", SPOP_INVALID},
        /* Keys that aren't ours: longer, shorter, of other case, empty, of any type, twice. */
        {VERSION FRAME_SIZE CAPABILITIES "'healthchecks' 03 01 'health' 00 'Engine-Id' 11 "
                                         "'' 08'x' '' 07 20010db8000000000000000000000001",
         SPOP_NORMAL},
        {VERSION FRAME_SIZE "'capabilitie' 08'' 'capabilities ' 08''", SPOP_NO_CAPABILITIES},
        /* That don't parse. */
        {VERSION FRAME_SIZE CAPABILITIES "00", SPOP_INVALID},
        {VERSION FRAME_SIZE CAPABILITIES "'x' 0a", SPOP_INVALID},
        {VERSION FRAME_SIZE CAPABILITIES "'x' 03 f0f1fefe7e", SPOP_INVALID},
        {"ff", SPOP_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spop_haproxy_hello hello;
        enum spop_status status = read_haproxy(cases[i].text, &hello);
        ck_assert_msg(status == cases[i].status, "%s: %d, not %d", cases[i].text, (int)status,
                      (int)cases[i].status);
    }
}
END_TEST

#define AGENT_VERSION "'version' 08'2.0'"

START_TEST(agent_hellos)
{
    static const struct {
        const char *text;
        enum spop_status status;
    } cases[] = {
        {AGENT_VERSION FRAME_SIZE CAPABILITIES, SPOP_NORMAL},
        {"'version' 08' 2.17 '" FRAME_SIZE CAPABILITIES, SPOP_NORMAL},
        {"'version' 08'1.0'" FRAME_SIZE CAPABILITIES, SPOP_BAD_VERSION},
        {"'version' 08'3.0'" FRAME_SIZE CAPABILITIES, SPOP_BAD_VERSION},
        {"'version' 08'2'" FRAME_SIZE CAPABILITIES, SPOP_BAD_VERSION},
        {"'version' 08'1.0,2.0'" FRAME_SIZE CAPABILITIES, SPOP_BAD_VERSION}, /* it's one */
        {"'version' 08''" FRAME_SIZE CAPABILITIES, SPOP_BAD_VERSION},
        {VERSION FRAME_SIZE CAPABILITIES, SPOP_NO_VERSION}, /* HAProxy's key */
        {AGENT_VERSION CAPABILITIES, SPOP_NO_FRAME_SIZE},
        {AGENT_VERSION FRAME_SIZE, SPOP_NO_CAPABILITIES},
        {AGENT_VERSION "'max-frame-size' 03 ff00" CAPABILITIES, SPOP_BAD_FRAME_SIZE},
        {AGENT_VERSION "'max-frame-size' 03 f001" CAPABILITIES, SPOP_NORMAL},
        {AGENT_VERSION FRAME_SIZE CAPABILITIES AGENT_VERSION, SPOP_INVALID},
        {AGENT_VERSION FRAME_SIZE CAPABILITIES "'healthcheck' 03 01", SPOP_NORMAL}, /* unknown */
        {"'version' 03 02" FRAME_SIZE CAPABILITIES, SPOP_INVALID},
        {AGENT_VERSION FRAME_SIZE CAPABILITIES "ff", SPOP_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spop_agent_hello hello;
        enum spop_status status = read_agent(cases[i].text, &hello);
        ck_assert_msg(status == cases[i].status, "%s: %d, not %d", cases[i].text, (int)status,
                      (int)cases[i].status);
    }
    struct spop_agent_hello hello;
    ck_assert_int_eq(read_agent(cases[0].text, &hello), SPOP_NORMAL);
    ck_assert_uint_eq(hello.max_frame_size, 65532);
    ck_assert_uint_eq(hello.capabilities, SPOP_PIPELINING | SPOP_ASYNC);
}
END_TEST

/* Cut anywhere, a HELLO is one with fewer items if the cut is between two, and INVALID otherwise.
 */
static void expect_truncations(const char *text, bool haproxy, const enum spop_status *status)
{
    struct slice bytes = wire_parse(text);
    struct spop_frame frame;
    ck_assert_int_gt(spop_frame_decode(bytes, WIRE_FRAME_SIZE, &frame), 0);
    struct cursor items = cursor_open(frame.payload);
    struct value value;
    size_t count = 0;
    for (size_t size = 0; size < frame.payload.size; size++) {
        struct spop_haproxy_hello from_haproxy;
        struct spop_agent_hello from_agent;
        bool between = frame.payload.data + size == items.position;
        struct slice cut = wire_copy(slice_of(frame.payload.data, size));
        ck_assert_int_eq(haproxy ? spop_read_haproxy_hello(cut, &from_haproxy)
                                 : spop_read_agent_hello(cut, &from_agent),
                         between ? status[count] : SPOP_INVALID);
        wire_free(cut);
        if (between) {
            spop_read_string(&items);
            spop_read_value(&items, &value);
            count++;
        }
    }
    ck_assert(!items.error && cursor_left(&items) == 0);
    wire_free(bytes);
}

START_TEST(truncated_hellos)
{
    static const enum spop_status status[] = {SPOP_NO_VERSION, SPOP_NO_FRAME_SIZE,
                                              SPOP_NO_CAPABILITIES, SPOP_NORMAL};
    expect_truncations(HAPROXY_HELLO, true, status);
    expect_truncations(HAPROXY_CHECK, true, status);
    expect_truncations(AGENT_HELLO, false, status);
}
END_TEST

START_TEST(hellos_are_written)
{
    uint8_t buffer[1024];
    struct spop_haproxy_hello hello = {
        .max_frame_size = 65532,
        .capabilities = SPOP_PIPELINING | SPOP_ASYNC,
        .engine_id = SLICE("0175fb64-918b-439d-aa5c-816c85a36fff"),
    };
    struct writer w = writer_open(buffer, sizeof(buffer));
    ck_assert(spop_write_haproxy_hello(&w, &hello));
    expect_written(&w, HAPROXY_HELLO); /* byte for byte what HAProxy sends */

    hello = (struct spop_haproxy_hello){.max_frame_size = 65532, .healthcheck = true};
    w = writer_open(buffer, sizeof(buffer));
    ck_assert(spop_write_haproxy_hello(&w, &hello));
    expect_written(&w, HAPROXY_CHECK);

    w = writer_open(buffer, sizeof(buffer));
    ck_assert(spop_write_agent_hello(&w, 16380, SPOP_PIPELINING));
    expect_written(&w, AGENT_HELLO);

    /* The longest fits what every peer must accept. */
    w = writer_open(buffer, sizeof(buffer));
    ck_assert(spop_write_agent_hello(&w, UINT32_MAX, UINT32_MAX));
    expect_written(&w, "[65 00000001 00 00 'version' 08'2.0' 'max-frame-size' 03 fff0fefe7e "
                       "'capabilities' 08'fragmentation,pipelining,async']");
}
END_TEST

/* SPOE.txt 3.2.4: the HELLO itself must not be larger than the size that it announces. */
START_TEST(a_haproxy_hello_keeps_its_own_promise)
{
    static const uint8_t id[200] = {0};
    uint8_t buffer[1024];
    struct spop_haproxy_hello hello = {.max_frame_size = 256, .engine_id = {id, 0}};
    struct writer w = writer_open(buffer, sizeof(buffer));
    while (spop_write_haproxy_hello(&w, &hello)) {
        ck_assert_uint_le(writer_size(&w), SPOP_LENGTH_SIZE + 256);
        ck_assert_uint_lt(hello.engine_id.size, sizeof(id));
        hello.engine_id.size++;
        w = writer_open(buffer, sizeof(buffer));
    }
    ck_assert_uint_eq(writer_size(&w), 0);
    hello.engine_id.size--;
    ck_assert(spop_write_haproxy_hello(&w, &hello));
    ck_assert_uint_eq(writer_size(&w), SPOP_LENGTH_SIZE + 256);
}
END_TEST

static bool write_haproxy_hello(struct writer *w)
{
    struct spop_haproxy_hello hello = {
        .max_frame_size = 16380,
        .capabilities = SPOP_FRAGMENTATION | SPOP_PIPELINING | SPOP_ASYNC,
        .healthcheck = true,
        .engine_id = SLICE("engine"),
    };
    return spop_write_haproxy_hello(w, &hello);
}

static bool write_agent_hello(struct writer *w)
{
    return spop_write_agent_hello(w, 16380, SPOP_PIPELINING);
}

START_TEST(what_does_not_fit_is_taken_back)
{
    expect_needs_room(write_haproxy_hello, true);
    expect_needs_room(write_agent_hello, true);
}
END_TEST

START_TEST(random_hellos_come_back)
{
    struct random random = random_open("random_hellos_come_back");
    for (int i = 0; i < 20000; i++) {
        uint8_t buffer[1024];
        uint8_t id[300];
        for (size_t b = 0; b < sizeof(id); b++)
            id[b] = (uint8_t)random_next(&random);
        struct spop_haproxy_hello hello = {
            .max_frame_size = (uint32_t)(random_next(&random) >> (32 + i % 20)) + 512,
            .capabilities = random_next(&random) & 7,
            .healthcheck = random_next(&random) & 1,
            .engine_id = slice_of(id, random_below(&random, sizeof(id))),
        };
        struct writer w = writer_open(buffer, sizeof(buffer));
        struct spop_frame frame;
        struct spop_haproxy_hello read;
        ck_assert(spop_write_haproxy_hello(&w, &hello));
        ck_assert_int_gt(spop_frame_decode(writer_slice(&w), hello.max_frame_size, &frame), 0);
        ck_assert_int_eq(spop_read_haproxy_hello(frame.payload, &read), SPOP_NORMAL);
        ck_assert_uint_eq(read.max_frame_size, hello.max_frame_size);
        ck_assert_uint_eq(read.capabilities, hello.capabilities);
        ck_assert_int_eq(read.healthcheck, hello.healthcheck);
        ck_assert(slice_equal(read.engine_id, hello.engine_id));
    }
}
END_TEST

UNIT_MAIN("hello", haproxy_hello_as_sent, health_check_as_sent, supported_versions, capabilities,
          haproxy_hellos_refused, agent_hellos, truncated_hellos, hellos_are_written,
          a_haproxy_hello_keeps_its_own_promise, what_does_not_fit_is_taken_back,
          random_hellos_come_back)
