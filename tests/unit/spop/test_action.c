#include "expect.h"
#include "main.h"

static void expect_actions(const char *text, const char *transcript, enum error error)
{
    char buffer[4096];
    struct slice payload = wire_parse(text);
    struct writer w = writer_open(buffer, sizeof(buffer));
    ck_assert_int_eq(transcript_actions(payload, &w), error == ERROR_NONE);
    ck_assert_msg(slice_equal(writer_slice(&w), slice_of_string(transcript)), "%s gives %.*s", text,
                  SLICE_ARGS(writer_slice(&w)));
    struct cursor c = cursor_open(payload);
    struct spop_action action;
    while (spop_next_action(&c, &action))
        continue;
    ck_assert_msg(c.error == error, "%s: %s", text, error_text(c.error));
    wire_free(payload);
}

START_TEST(well_formed_and_not)
{
    expect_actions("", "", ERROR_NONE);
    expect_actions("01 03 02 'allowed' 11", " set txn.allowed=bool:true", ERROR_NONE);
    expect_actions("02 02 00 'a' 01 03 04 'b' 03 05", " unset proc.a set res.b=uint32:5",
                   ERROR_NONE);
    /* haproxy#855: without data is a NULL; without its value at all is cut off. */
    expect_actions("01 03 02 'a' 00", " set txn.a=null:null", ERROR_NONE);
    expect_actions("01 03 02 'a'", "", ERROR_TRUNCATED);
    expect_actions("01 03 02", "", ERROR_TRUNCATED);
    expect_actions("01 03", "", ERROR_TRUNCATED);
    expect_actions("01", "", ERROR_TRUNCATED);
    expect_actions("00 03 02 'a' 11", "", ERROR_MALFORMED); /* unknown actions */
    expect_actions("03 03 02 'a' 11", "", ERROR_MALFORMED);
    expect_actions("01 02 02 'a' 11", "", ERROR_MALFORMED); /* argument counts */
    expect_actions("01 04 02 'a' 11", "", ERROR_MALFORMED);
    expect_actions("02 03 02 'a' 11", "", ERROR_MALFORMED);
    expect_actions("02 01 02 'a'", "", ERROR_MALFORMED);
    expect_actions("01 03 05 'a' 11", "", ERROR_MALFORMED); /* scopes */
    expect_actions("02 02 ff 'a'", "", ERROR_MALFORMED);
    expect_actions("01 03 02 'a' 0a", "", ERROR_MALFORMED);
    expect_actions("02 02 02 'a' 01 03 02 'b' 02 f0f1fefe3e", " unset txn.a", ERROR_RANGE);
}
END_TEST

START_TEST(every_action_in_every_scope)
{
    static const struct value values[] = {
        {.type = VALUE_INT64, .integer = -5},
        {.type = VALUE_NULL},
        {.type = VALUE_STRING, .bytes = {(const uint8_t *)"text", 4}},
        {.type = VALUE_IPV4, .address = {127, 0, 0, 1}},
        {.type = VALUE_BOOL, .boolean = false},
    };
    static const char names[] = "abcde";
    uint8_t buffer[512];
    struct writer w = writer_open(buffer, sizeof(buffer));
    uint8_t *start = spop_frame_begin(&w, SPOP_FRAME_ACK, SPOP_FLAG_FIN, 249011, 2);
    for (unsigned scope = SPOP_SCOPE_PROCESS; scope <= SPOP_SCOPE_RESPONSE; scope++)
        spop_write_set_var(&w, scope, slice_of(&names[scope], 1), &values[scope]);
    for (unsigned scope = SPOP_SCOPE_PROCESS; scope <= SPOP_SCOPE_RESPONSE; scope++)
        spop_write_unset_var(&w, scope, slice_of(&names[scope], 1));
    ck_assert(spop_frame_end(&w, start, WIRE_FRAME_SIZE));
    expect_written(&w, ACK_EVERY_SCOPE);

    struct spop_frame frame;
    ck_assert_int_gt(spop_frame_decode(writer_slice(&w), WIRE_FRAME_SIZE, &frame), 0);
    struct cursor c = cursor_open(frame.payload);
    struct spop_action action;
    for (unsigned i = 0; i < 10; i++) {
        ck_assert(spop_next_action(&c, &action));
        ck_assert_uint_eq(action.type, i < 5 ? SPOP_SET_VAR : SPOP_UNSET_VAR);
        ck_assert_uint_eq(action.scope, i % 5);
        ck_assert(slice_equal(action.name, slice_of(&names[i % 5], 1)));
        ck_assert(i < 5 ? value_equal(&action.value, &values[i]) : action.value.type == VALUE_NULL);
    }
    ck_assert(!spop_next_action(&c, &action));
    ck_assert_int_eq(c.error, ERROR_NONE);
}
END_TEST

/* Cut between two actions it's a shorter list; anywhere else it's truncated. */
START_TEST(truncated_actions)
{
    struct slice bytes = wire_parse(ACK_EVERY_SCOPE);
    struct spop_frame frame;
    struct spop_action action;
    ck_assert_int_gt(spop_frame_decode(bytes, WIRE_FRAME_SIZE, &frame), 0);
    struct cursor whole = cursor_open(frame.payload);
    size_t between = 0;
    for (size_t size = 0; size < frame.payload.size; size++) {
        struct slice cut = wire_copy(slice_of(frame.payload.data, size));
        struct cursor c = cursor_open(cut);
        while (spop_next_action(&c, &action))
            continue;
        bool expected = frame.payload.data + size == whole.position;
        ck_assert_int_eq(c.error, expected ? ERROR_NONE : ERROR_TRUNCATED);
        wire_free(cut);
        if (expected) {
            ck_assert(spop_next_action(&whole, &action));
            between++;
        }
    }
    ck_assert_uint_eq(between, 10);
    wire_free(bytes);
}
END_TEST

static bool write_actions(struct writer *w)
{
    struct value value = {.type = VALUE_STRING, .bytes = SLICE("login")};
    spop_write_set_var(w, SPOP_SCOPE_TRANSACTION, SLICE("rule"), &value);
    spop_write_unset_var(w, SPOP_SCOPE_SESSION, SLICE("seen"));
    return !w->error;
}

static bool write_ack(struct writer *w)
{
    uint8_t *start = spop_frame_begin(w, SPOP_FRAME_ACK, SPOP_FLAG_FIN, 1, 1);
    write_actions(w);
    return spop_frame_end(w, start, SPOP_FRAME_SIZE_MIN);
}

START_TEST(writes_all_or_nothing)
{
    expect_needs_room(write_actions, false);
    expect_needs_room(write_ack, true);
}
END_TEST

START_TEST(random_actions_come_back)
{
    struct random random = random_open("random_actions_come_back");
    for (int round = 0; round < 5000; round++) {
        uint8_t buffer[4096];
        struct spop_action actions[16];
        struct spop_action read;
        size_t count = random_below(&random, 17);
        struct writer w = writer_open(buffer, sizeof(buffer));
        for (size_t i = 0; i < count; i++) {
            uint64_t bits = random_next(&random);
            actions[i] = (struct spop_action){
                .type = bits & 1 ? SPOP_SET_VAR : SPOP_UNSET_VAR,
                .scope = (enum spop_scope)((bits >> 8) % 5),
                .name = slice_of("a name of some length", (bits >> 16) % 22),
                .value = {.type = VALUE_INT64, .integer = (int64_t)bits},
            };
            if (actions[i].type == SPOP_SET_VAR)
                spop_write_set_var(&w, actions[i].scope, actions[i].name, &actions[i].value);
            else
                spop_write_unset_var(&w, actions[i].scope, actions[i].name);
        }
        struct slice payload = wire_copy(writer_slice(&w));
        struct cursor c = cursor_open(payload);
        for (size_t i = 0; i < count; i++) {
            ck_assert(spop_next_action(&c, &read));
            ck_assert(read.type == actions[i].type && read.scope == actions[i].scope);
            ck_assert(slice_equal(read.name, actions[i].name));
            if (read.type == SPOP_SET_VAR)
                ck_assert(value_equal(&read.value, &actions[i].value));
        }
        ck_assert(!spop_next_action(&c, &read) && !c.error);
        wire_free(payload);
    }
}
END_TEST

/* Made beforehand, an action is the same as any other. */
START_TEST(a_variable_made_beforehand)
{
    static const struct spop_variable variable = SPOP_VARIABLE(SPOP_SCOPE_TRANSACTION, "name");
    static const uint8_t bytes[300] = {'x'};
    static const uint64_t numbers[] = {0, 239, 240, 2287, 2288, UINT64_MAX};
    uint8_t written[1024];
    uint8_t put[1024];
    struct writer w = writer_open(written, sizeof(written));
    uint8_t *at = put;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct value number = {.type = VALUE_UINT64, .natural = numbers[i]};
        struct value text = {.type = VALUE_STRING, .bytes = {bytes, i * 50}};
        struct value boolean = {.type = VALUE_BOOL, .boolean = i % 2};
        spop_write_set_var(&w, SPOP_SCOPE_TRANSACTION, SLICE("name"), &number);
        at = spop_put_number(spop_put_variable(at, &variable), numbers[i]);
        spop_write_set_var(&w, SPOP_SCOPE_TRANSACTION, SLICE("name"), &text);
        at = spop_put_text(spop_put_variable(at, &variable), text.bytes);
        spop_write_set_var(&w, SPOP_SCOPE_TRANSACTION, SLICE("name"), &boolean);
        at = spop_put_bool(spop_put_variable(at, &variable), boolean.boolean);
    }
    ck_assert_uint_eq(writer_size(&w), (size_t)(at - put));
    ck_assert_mem_eq(written, put, writer_size(&w));
}
END_TEST

UNIT_MAIN("action", well_formed_and_not, every_action_in_every_scope, a_variable_made_beforehand,
          truncated_actions, writes_all_or_nothing, random_actions_come_back)
