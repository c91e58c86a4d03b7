/* Against a real redis-server, started and stopped by each test. */
#include <signal.h>
#include <stdio.h>

#include "redis_bench.h"

static bool all_answered(struct bench *bench)
{
    return bench->replies + bench->lost == 3;
}

static void on_reply(redisAsyncContext *redis, void *data, void *context)
{
    struct bench *bench = context;
    (void)redis;
    if (data)
        bench->replies++;
    else
        bench->lost++;
}

static void send_three(struct bench *bench)
{
    bench->replies = bench->lost = 0;
    for (int i = 0; i < 3; i++)
        ck_assert(redis_link_send(bench->link, SLICE("*1\r\n$4\r\nPING\r\n"), on_reply, bench));
}

START_TEST(comes_up_and_knows_the_servers_clock)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, NULL);
    bench_connect(bench, false);
    bench_wait(bench, bench_is_up);
    const struct redis_link_counters *counters = redis_link_counters(bench->link);
    /* One machine, one clock: the reading is right to half of its round trip. */
    int64_t offset = (int64_t)counter_read(&counters->clock_offset);
    int64_t bound = (int64_t)counter_read(&counters->round_trip) / 2 + 1;
    ck_assert_int_le(offset, bound);
    ck_assert_int_ge(offset, -bound);
    send_three(bench);
    bench_wait(bench, all_answered);
    ck_assert_uint_eq(bench->replies, 3);
    bench_close(bench);
}
END_TEST

START_TEST(a_server_that_is_not_there_opens_the_breaker_and_is_found_when_it_comes)
{
    struct bench *bench = bench_open();
    bench_connect(bench, false);
    bench_wait(bench, bench_breaker_is_open);
    ck_assert(!redis_link_send(bench->link, SLICE("*1\r\n$4\r\nPING\r\n"), on_reply, bench));
    bench_start_server(bench, NULL);
    bench_wait(bench, bench_is_up);
    ck_assert_uint_eq(counter_read(&redis_link_counters(bench->link)->breaker), BREAKER_CLOSED);
    bench_close(bench);
}
END_TEST

START_TEST(what_is_under_way_when_the_server_dies_is_told_lost)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, NULL);
    bench_connect(bench, false);
    bench_wait(bench, bench_is_up);
    kill(bench->server, SIGSTOP); /* so that it can't answer before it dies */
    send_three(bench);
    bench_stop_server(bench, SIGKILL);
    bench_wait(bench, all_answered);
    ck_assert_uint_eq(bench->lost, 3);
    ck_assert(!redis_link_is_up(bench->link));
    ck_assert_uint_eq(bench->changes, 2); /* up, down */
    bench_start_server(bench, NULL);
    bench_wait(bench, bench_is_up);
    bench_close(bench);
}
END_TEST

START_TEST(a_silent_server_is_given_up_and_found_again)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, NULL);
    redisFree(bench_client(bench)); /* waits for it: an attempt in vain would count */
    bench_connect(bench, false);
    bench_wait(bench, bench_is_up);
    kill(bench->server, SIGSTOP);
    send_three(bench);
    /* The store tells of deadlines that have passed; with the third the breaker opens. */
    for (int i = 0; i < 3; i++)
        redis_link_failed(bench->link, false, "no answer in time");
    ck_assert(!redis_link_is_up(bench->link));
    ck_assert_uint_eq(bench->lost, 3);
    /* It still accepts connections, which alone must not count as being there. */
    uint64_t failures = counter_read(&redis_link_counters(bench->link)->failures);
    ck_assert_uint_eq(failures, 4);
    kill(bench->server, SIGCONT);
    bench_wait(bench, bench_is_up);
    bench_close(bench);
}
END_TEST

static const char *const with_password[] = {"--requirepass", "secret-of-ours", NULL};

START_TEST(a_password_that_is_wrong_keeps_it_down)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, with_password);
    bench_access(bench, NULL, "guess");
    bench_connect(bench, false);
    bench_wait(bench, bench_breaker_is_open);
    ck_assert(bench_is_down(bench));
    redis_link_close(bench->link);
    bench_access(bench, NULL, "secret-of-ours");
    bench_connect(bench, false);
    bench_wait(bench, bench_is_up);
    bench_close(bench);
}
END_TEST

START_TEST(a_password_that_is_missing_keeps_it_down)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, with_password);
    bench_connect(bench, false);
    bench_wait(bench, bench_breaker_is_open);
    ck_assert(bench_is_down(bench));
    bench_close(bench);
}
END_TEST

static bool many_turns(struct bench *bench)
{
    return bench->turns > 20;
}

/* An attempt costs the server a hash and the log a line: they keep to the breaker's pauses. */
START_TEST(a_password_that_is_wrong_is_not_tried_before_its_time)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, with_password);
    bench_access(bench, NULL, "guess");
    bench_connect(bench, false);
    bench_wait(bench, bench_breaker_is_open);
    bench->frozen = true;
    uint64_t failures = bench_failures(bench);
    uint64_t connects = counter_read(&redis_link_counters(bench->link)->phase);
    ck_assert_uint_eq(connects, REDIS_LINK_DOWN);
    bench->turns = 0;
    bench_wait(bench, many_turns); /* each longer than a tick */
    ck_assert_uint_eq(bench_failures(bench), failures);
    bench_close(bench);
}
END_TEST

/* Only what the greeting can't do without. */
START_TEST(an_acl_user_needs_few_rights)
{
    static const char *const options[] = {
        "--user", "limiter", "on", ">its-password", "~*", "+auth", "+time",
        "--user", "blind",   "on", ">its-password", "~*", NULL};
    struct bench *bench = bench_open();
    bench_start_server(bench, options);
    bench_access(bench, "limiter", "its-password");
    bench_connect(bench, true);
    bench_wait(bench, bench_is_up);
    redis_link_close(bench->link);
    bench_access(bench, "blind", "its-password");
    bench_connect(bench, true);
    bench_wait(bench, bench_breaker_is_open);
    ck_assert(bench_is_down(bench));
    bench_close(bench);
}
END_TEST

START_TEST(a_replica_is_no_primary_until_it_is_promoted)
{
    static const char *const options[] = {"--replicaof", "127.0.0.1", "1", NULL};
    struct bench *bench = bench_open();
    bench_start_server(bench, options);
    bench_connect(bench, true);
    bench_wait(bench, bench_breaker_is_open);
    ck_assert(bench_is_down(bench));
    bench_command(bench, "REPLICAOF NO ONE");
    bench_wait(bench, bench_is_up);
    bench_close(bench);
}
END_TEST

START_TEST(a_replica_may_do_where_no_primary_is_asked_for)
{
    static const char *const options[] = {"--replicaof", "127.0.0.1", "1", NULL};
    struct bench *bench = bench_open();
    bench_start_server(bench, options);
    bench_connect(bench, false);
    bench_wait(bench, bench_is_up);
    bench_close(bench);
}
END_TEST

START_TEST(a_replica_without_its_primary_is_not_up)
{
    static const char *const options[] = {
        "--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "no", NULL};
    struct bench *bench = bench_open();
    bench_start_server(bench, options);
    bench_connect(bench, false);
    bench_wait(bench, bench_breaker_is_open);
    ck_assert(bench_is_down(bench));
    bench_command(bench, "REPLICAOF NO ONE");
    bench_wait(bench, bench_is_up);
    bench_close(bench);
}
END_TEST

START_TEST(a_server_is_up_when_it_has_loaded_its_data)
{
    static const char *const slow[] = {"--key-load-delay", "10000",
                                       "--loading-process-events-interval-bytes", "1024", NULL};
    static const char *const able[] = {"--enable-debug-command", "yes", NULL};
    struct bench *bench = bench_open();
    bench_start_server(bench, able);
    bench_command(bench, "DEBUG POPULATE 10000");
    bench_command(bench, "SAVE");
    bench_stop_server(bench, SIGKILL);
    bench_start_server(bench, slow); /* takes 100 s, if nobody tells it not to */
    bench_connect(bench, true);
    bench_wait(bench, bench_breaker_is_open);
    ck_assert(bench_is_down(bench));
    bench_command(bench, "CONFIG SET key-load-delay 0");
    bench_wait(bench, bench_is_up);
    bench_close(bench);
}
END_TEST

static redisReply *as_read(struct bench *bench, const char *command)
{
    redisContext *redis = bench_client(bench);
    redisReply *reply = redisCommand(redis, command);
    ck_assert_ptr_nonnull(reply);
    redisFree(redis);
    return reply;
}

START_TEST(what_a_demoted_server_answers_ends_the_connection)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, NULL);
    redisFree(bench_client(bench)); /* waits for it */
    bench_connect(bench, true);
    bench_wait(bench, bench_is_up);
    uint64_t session = redis_link_session(bench->link);
    ck_assert_uint_eq(session, 1);
    bench_command(bench, "REPLICAOF 127.0.0.1 1");
    redisReply *reply = as_read(bench, "INCRBY k 1");
    ck_assert(redis_link_is_fatal(reply));
    redis_link_failed(bench->link, true, reply->str);
    ck_assert(bench_is_down(bench));
    ck_assert_int_eq(redis_link_breaker(bench->link), BREAKER_CLOSED);
    freeReplyObject(reply);
    bench_wait(bench, bench_breaker_is_open); /* a replica isn't taken for up again */
    ck_assert_int_ne(redis_link_breaker(bench->link), BREAKER_CLOSED);
    ck_assert_uint_eq(redis_link_session(bench->link), session);
    bench_command(bench, "REPLICAOF NO ONE");
    bench_wait(bench, bench_is_up);
    ck_assert_int_eq(redis_link_breaker(bench->link), BREAKER_CLOSED);
    ck_assert_uint_eq(redis_link_session(bench->link), session + 1);
    bench_close(bench);
}
END_TEST

static bool is_fatal(int type, const char *text)
{
    char copy[128];
    snprintf(copy, sizeof(copy), "%s", text);
    redisReply reply = {.type = type, .str = copy, .len = strlen(copy)};
    return redis_link_is_fatal(&reply);
}

START_TEST(only_errors_of_the_connection_are_fatal)
{
    static const char *const fatal[] = {
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "NOAUTH Authentication required.",
        "ERR Protocol error: invalid bulk length",
        "LOADING",
    };
    static const char *const others[] = {
        "OOM command not allowed when used memory > 'maxmemory'.",
        "MOVED 3999 127.0.0.1:6381",
        "CLUSTERDOWN The cluster is down",
        "NOPERM this user has no permissions to run the 'incrby' command",
        "ERR unknown command 'X', with args beginning with: ",
        "READONLYISH",
        "",
    };
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        ck_assert_msg(is_fatal(REDIS_REPLY_ERROR, fatal[i]), "%s", fatal[i]);
        ck_assert_msg(!is_fatal(REDIS_REPLY_STRING, fatal[i]), "%s", fatal[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert_msg(!is_fatal(REDIS_REPLY_ERROR, others[i]), "%s", others[i]);
    ck_assert(!redis_link_is_fatal(NULL));
}
END_TEST

START_TEST(an_address_that_is_not_known_is_a_failure_like_others)
{
    struct bench *bench = bench_open();
    bench->path[0] = '\0';
    bench_connect(bench, false);
    bench_wait(bench, bench_breaker_is_open);
    ck_assert(bench_is_down(bench));
    bench_close(bench);
}
END_TEST

START_TEST(closing_tells_what_is_under_way)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, NULL);
    bench_connect(bench, false);
    bench_wait(bench, bench_is_up);
    send_three(bench);
    redis_link_close(bench->link);
    bench->link = NULL;
    ck_assert_uint_eq(bench->lost, 3);
    ck_assert_uint_eq(bench->changes, 1); /* who closes it needs no telling */
    bench_close(bench);
}
END_TEST

UNIT_MAIN("redis link", comes_up_and_knows_the_servers_clock,
          a_server_that_is_not_there_opens_the_breaker_and_is_found_when_it_comes,
          what_is_under_way_when_the_server_dies_is_told_lost,
          a_silent_server_is_given_up_and_found_again, a_password_that_is_wrong_keeps_it_down,
          a_password_that_is_missing_keeps_it_down,
          a_password_that_is_wrong_is_not_tried_before_its_time, an_acl_user_needs_few_rights,
          a_replica_is_no_primary_until_it_is_promoted,
          a_replica_may_do_where_no_primary_is_asked_for, a_replica_without_its_primary_is_not_up,
          a_server_is_up_when_it_has_loaded_its_data,
          what_a_demoted_server_answers_ends_the_connection,
          only_errors_of_the_connection_are_fatal,
          an_address_that_is_not_known_is_a_failure_like_others, closing_tells_what_is_under_way)
