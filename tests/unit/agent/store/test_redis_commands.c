#include "redis_limits.h"

static void expect_written(int line, const char *expected,
                           const struct redis_limit_request *request,
                           struct redis_limit_commands (*write)(struct writer *,
                                                                const struct redis_limit_request *))
{
    struct writer w = writer_open(buffer, sizeof(buffer));
    struct redis_limit_commands commands = write(&w, request);
    ck_assert_int_eq(w.error, ERROR_NONE);
    expect_commands(line, &commands, expected);
}

#define expect_take_commands(request, expected)                                                    \
    expect_written(__LINE__, (expected), (request), redis_limit_write_take)
#define expect_give_commands(request, expected)                                                    \
    expect_written(__LINE__, (expected), (request), redis_limit_write_give)

#define expect_reset_commands(request, expected)                                                   \
    expect_written(__LINE__, (expected), (request), redis_limit_write_reset)

START_TEST(bytes_on_the_wire)
{
    struct writer w = writer_open(buffer, sizeof(buffer));
    struct redis_limit_request request = request_of(&fixed, 7 * MINUTE, 3);
    request.first = true;
    struct redis_limit_commands commands = redis_limit_write_take(&w, &request);
    ck_assert_uint_eq(commands.count, 2);
    ck_assert(
        slice_equal(commands.command[0], SLICE("*6\r\n$3\r\nSET\r\n$8\r\ns{a}:r:7\r\n$1\r\n0\r\n"
                                               "$2\r\nPX\r\n$5\r\n61000\r\n$2\r\nNX\r\n")));
    ck_assert(slice_equal(commands.command[1],
                          SLICE("*3\r\n$6\r\nINCRBY\r\n$8\r\ns{a}:r:7\r\n$1\r\n3\r\n")));
    ck_assert_ptr_eq(commands.command[0].data + commands.command[0].size, commands.command[1].data);
}
END_TEST

START_TEST(a_window_is_made_by_its_first_take)
{
    struct redis_limit_request request = request_of(&fixed, START + 1, 3);
    expect_take_commands(&request, "INCRBY s{a}:r:29166667 3");
    request.first = true;
    expect_take_commands(&request, "SET s{a}:r:29166667 0 PX 61000 NX; INCRBY s{a}:r:29166667 3");
    request.now = START + MINUTE - 1;
    expect_take_commands(&request, "SET s{a}:r:29166667 0 PX 1001 NX; INCRBY s{a}:r:29166667 3");
    request.now = START + MINUTE;
    expect_take_commands(&request, "SET s{a}:r:29166668 0 PX 61000 NX; INCRBY s{a}:r:29166668 3");
}
END_TEST

START_TEST(a_sliding_window_outlives_the_next)
{
    struct redis_limit_request request = request_of(&sliding, START, 1);
    expect_take_commands(&request, "INCRBY s{a}:r:29166667 1");
    request.first = true;
    expect_take_commands(&request, "GET s{a}:r:29166666; SET s{a}:r:29166667 0 PX 121000 NX; "
                                   "INCRBY s{a}:r:29166667 1");
    request.now = 5; /* there is none before */
    expect_take_commands(&request, "SET s{a}:r:0 0 PX 121000 NX; INCRBY s{a}:r:0 1");
}
END_TEST

START_TEST(no_more_is_drawn_than_can_be_had)
{
    struct redis_limit_request request = request_of(&fixed, START, UINT64_MAX);
    expect_take_commands(&request, "INCRBY s{a}:r:29166667 10");
    request.limit = &sliding;
    expect_take_commands(&request, "INCRBY s{a}:r:29166667 10");
}
END_TEST

START_TEST(the_windows_give_back_while_it_matters)
{
    struct redis_limit_request request = request_of(&fixed, START + MINUTE - 1, 3);
    request.taken_at = START;
    expect_give_commands(&request, "DECRBY s{a}:r:29166667 3");
    request.now = START + MINUTE;
    expect_give_commands(&request, "");
    request.limit = &sliding;
    expect_give_commands(&request, "DECRBY s{a}:r:29166667 3");
    request.now = START + 2 * MINUTE - 1;
    expect_give_commands(&request, "DECRBY s{a}:r:29166667 3");
    request.now = START + 2 * MINUTE;
    expect_give_commands(&request, "");
    request.now = START - 1; /* the clock has been set a little back since */
    expect_give_commands(&request, "DECRBY s{a}:r:29166667 3");
    request.units = 0;
    expect_give_commands(&request, "");
}
END_TEST

START_TEST(a_reset_deletes_what_still_counts)
{
    struct redis_limit_request request = request_of(&fixed, START + 1, 0);
    expect_reset_commands(&request, "DEL s{a}:r:29166667");
    request.limit = &sliding;
    expect_reset_commands(&request, "DEL s{a}:r:29166666; DEL s{a}:r:29166667");
    request.now = 5; /* there is none before */
    expect_reset_commands(&request, "DEL s{a}:r:0");
    request.limit = &bucket;
    expect_reset_commands(&request, "DEL s{a}:r:bucket");
    request.limit = &log_of_10;
    expect_reset_commands(&request, "DEL s{a}:r:log");
}
END_TEST

/* The names of the scripts change with every byte of them. */
static void expect_call(const struct redis_limit_commands *commands, const char *arguments)
{
    ck_assert_uint_eq(commands->count, 1);
    uint8_t text[REDIS_LIMIT_SCRIPT_ROOM];
    struct writer words = writer_open(text, sizeof(text));
    read_command(commands->command[0], &words);
    struct slice said = writer_slice(&words);
    ck_assert(slice_has_prefix(said, SLICE("EVALSHA ")));
    said = slice_from(said, 8);
    for (size_t i = 0; i < 40; i++)
        ck_assert((said.data[i] >= '0' && said.data[i] <= '9') ||
                  (said.data[i] >= 'a' && said.data[i] <= 'f'));
    ck_assert_msg(slice_equal(slice_from(said, 40), slice_of_string(arguments)), "%.*s",
                  SLICE_ARGS(said));
}

static void expect_script(const struct limit *limit, const char *take, const char *give,
                          const char *test)
{
    struct redis_limit_request request = request_of(limit, START, 3);
    request.taken_at = START - 1;
    struct writer w = writer_open(buffer, sizeof(buffer));
    struct redis_limit_commands commands = redis_limit_write_take(&w, &request);
    expect_call(&commands, take);
    commands = redis_limit_write_give(&w, &request);
    expect_call(&commands, give);
    request.test_now = 9;
    commands = redis_limit_write_take(&w, &request);
    expect_call(&commands, test);
}

START_TEST(scripts_are_called_by_name)
{
    expect_script(&bucket, " 1 s{a}:r:bucket 3 10 60000000 5",
                  " 1 s{a}:r:bucket 3 10 60000000 5 1750000019999999",
                  " 1 s{a}:r:bucket 3 10 60000000 5  9");
    expect_script(&log_of_10, " 1 s{a}:r:log 3 10 60000000",
                  " 1 s{a}:r:log 3 10 60000000 1750000019999999", " 1 s{a}:r:log 3 10 60000000  9");
}
END_TEST

START_TEST(scripts_are_sent_whole_on_demand)
{
    const struct limit *limits[] = {&bucket, &log_of_10};
    for (size_t i = 0; i < 2; i++) {
        struct redis_limit_request request = request_of(limits[i], START, 3);
        request.whole_script = true;
        struct writer w = writer_open(buffer, sizeof(buffer));
        struct redis_limit_commands commands = redis_limit_write_take(&w, &request);
        ck_assert_uint_eq(commands.count, 1);
        ck_assert(slice_has_prefix(commands.command[0], i ? SLICE("*7\r\n$4\r\nEVAL\r\n")
                                                          : SLICE("*8\r\n$4\r\nEVAL\r\n")));
        struct cursor c = cursor_open(slice_from(commands.command[0], 14));
        struct slice script = read_argument(&c);
        ck_assert(slice_has_prefix(script, SLICE("#!lua\n")));
        ck_assert(slice_equal(read_argument(&c), SLICE("1")));
        struct writer key = writer_open(buffer, 64);
        writer_bytes(&key, SLICE("s{a}:r:"));
        writer_bytes(&key, i ? SLICE("log") : SLICE("bucket"));
        ck_assert(slice_has_suffix(read_argument(&c), writer_slice(&key)));
    }
}
END_TEST

START_TEST(a_script_is_asked_for_what_can_be_had)
{
    struct redis_limit_request request = request_of(&bucket, START, UINT64_MAX);
    struct writer w = writer_open(buffer, sizeof(buffer));
    struct redis_limit_commands commands = redis_limit_write_take(&w, &request);
    expect_call(&commands, " 1 s{a}:r:bucket 5 10 60000000 5");
    request.limit = &log_of_10;
    commands = redis_limit_write_take(&w, &request);
    expect_call(&commands, " 1 s{a}:r:log 10 10 60000000");
}
END_TEST

START_TEST(a_limit_of_0_is_not_sent)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++) {
        struct limit none = {(enum limit_algorithm)i, 0, MINUTE, 0};
        struct redis_limit_request request = request_of(&none, START, 3);
        struct redis_limit_outcome outcome;
        struct redis_limit_repair repair;
        expect_take_commands(&request, "");
        ck_assert_int_eq(redis_limit_read_take(&request, NULL, 0, &outcome), REDIS_LIMIT_ANSWERED);
        ck_assert_uint_eq(outcome.result.granted, 0);
        ck_assert_uint_eq(outcome.result.retry_after, LIMIT_NEVER);
        ck_assert_uint_eq(outcome.surplus, 0);
        expect_give_commands(&request, "");
        ck_assert_int_eq(redis_limit_read_give(&request, NULL, 0, &repair), REDIS_LIMIT_ANSWERED);
        ck_assert(!redis_limit_first(&none, 0, START));
    }
}
END_TEST

/* The largest numbers that there are, in as much room as is said, and in a byte less than needed.
 */
static void check_room(const struct limit *limit, bool whole_script)
{
    static uint8_t key[1000];
    memset(key, 'k', sizeof(key));
    struct redis_limit_request request = {
        .limit = limit,
        .key = slice_of(key, sizeof(key)),
        .units = UINT64_MAX,
        .now = (UINT64_C(1) << 62) - 1,
        .first = true,
        .taken_at = (UINT64_C(1) << 62) - 1,
        .whole_script = whole_script,
        .test_now = (UINT64_C(1) << 52) - 1,
    };
    struct redis_limit_repair repair = {true, request.now, LIMIT_UNITS_MAX};
    size_t room = REDIS_LIMIT_COMMANDS * sizeof(key) +
                  (whole_script ? REDIS_LIMIT_SCRIPT_ROOM : REDIS_LIMIT_ROOM);
    for (int i = 0; i < 3; i++) {
        struct writer w = writer_open(buffer, room);
        struct redis_limit_commands commands =
            i == 0   ? redis_limit_write_take(&w, &request)
            : i == 1 ? redis_limit_write_give(&w, &request)
                     : redis_limit_write_repair(&w, &request, &repair);
        ck_assert_int_eq(w.error, ERROR_NONE);
        ck_assert_uint_gt(commands.count, 0);
        size_t size = writer_size(&w);
        w = writer_open(buffer, size - 1);
        commands = i == 0   ? redis_limit_write_take(&w, &request)
                   : i == 1 ? redis_limit_write_give(&w, &request)
                            : redis_limit_write_repair(&w, &request, &repair);
        ck_assert_int_eq(w.error, ERROR_NO_ROOM);
        ck_assert_uint_eq(commands.count, 0);
    }
}

START_TEST(commands_fit_their_room)
{
    for (int i = 0; i < LIMIT_ALGORITHMS; i++) {
        struct limit largest = {(enum limit_algorithm)i, LIMIT_UNITS_MAX, LIMIT_WINDOW_MAX,
                                LIMIT_UNITS_MAX};
        if (i == LIMIT_SLIDING_LOG)
            largest.units = LIMIT_LOG_UNITS_MAX;
        ck_assert_ptr_null(limit_check(&largest));
        check_room(&largest, false);
        check_room(&largest, true);
        /* The least window has the longest index. */
        struct limit shortest = {(enum limit_algorithm)i, 1, LIMIT_WINDOW_MIN, 1};
        check_room(&shortest, false);
    }
}
END_TEST

/* ---- which take is the first --------------------------------------------------------------- */

START_TEST(first_in_a_window)
{
    ck_assert(redis_limit_first(&fixed, 0, START));
    ck_assert(!redis_limit_first(&fixed, START, START + MINUTE - 1));
    ck_assert(redis_limit_first(&fixed, START, START + MINUTE));
    ck_assert(redis_limit_first(&fixed, START, START - 1));
    ck_assert(!redis_limit_first(&bucket, 0, START));
    ck_assert(!redis_limit_first(&log_of_10, 0, START));
}
END_TEST

START_TEST(first_once_more_when_the_window_before_has_settled)
{
    ck_assert(redis_limit_first(&sliding, 0, START));
    ck_assert(!redis_limit_first(&sliding, START, START + 99999));
    ck_assert(redis_limit_first(&sliding, START, START + 100000));
    ck_assert(redis_limit_first(&sliding, START + 99999, START + MINUTE - 1));
    ck_assert(!redis_limit_first(&sliding, START + 100000, START + MINUTE - 1));
    ck_assert(redis_limit_first(&sliding, START + 100000, START + MINUTE));
    struct limit shortest = {LIMIT_SLIDING_WINDOW, 10, 1000, 0};
    ck_assert(!redis_limit_first(&shortest, START, START + 249));
    ck_assert(redis_limit_first(&shortest, START, START + 250));
    ck_assert(!redis_limit_first(&shortest, START + 250, START + 999));
}
END_TEST

UNIT_MAIN("redis_commands", bytes_on_the_wire, a_window_is_made_by_its_first_take,
          a_sliding_window_outlives_the_next, no_more_is_drawn_than_can_be_had,
          the_windows_give_back_while_it_matters, scripts_are_called_by_name,
          scripts_are_sent_whole_on_demand, a_script_is_asked_for_what_can_be_had,
          a_limit_of_0_is_not_sent, commands_fit_their_room, first_in_a_window,
          first_once_more_when_the_window_before_has_settled, a_reset_deletes_what_still_counts)
