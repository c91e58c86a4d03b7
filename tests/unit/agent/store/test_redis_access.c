/* How a server is reached: what is read and what is refused, and a real redis-server reached. */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redis_bench.h"

#define ENV "SLUICE_TEST_PASSWORD"

/* Settings with a password's file, which holds what is given. */
struct secret {
    char path[64];
    struct rules_store store;
    char why[REDIS_WHY_MAX];
};

static struct secret *secret_open(struct slice content)
{
    struct secret *secret = calloc(1, sizeof(*secret));
    strcpy(secret->path, "/tmp/sluice-access.XXXXXX");
    int file = mkstemp(secret->path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, content.data, content.size), (ssize_t)content.size);
    close(file);
    secret->store.password_file = slice_of_string(secret->path);
    return secret;
}

static void secret_close(struct secret *secret)
{
    unlink(secret->path);
    free(secret);
}

/* The greeting that a file's content makes; "" with why when it is refused. */
static void expect_greeting(struct slice content, const char *greeting, const char *why)
{
    struct secret *secret = secret_open(content);
    struct redis_access *access = redis_access_open(&secret->store, false, secret->why);
    if (why) {
        ck_assert_ptr_null(access);
        ck_assert_ptr_nonnull(strstr(secret->why, secret->path));
        ck_assert_msg(strstr(secret->why, why) != NULL, "%s", secret->why);
    } else {
        ck_assert_msg(access != NULL, "%s", secret->why);
        ck_assert(slice_equal(redis_access_greeting(access), slice_of_string(greeting)));
    }
    redis_access_close(access);
    secret_close(secret);
}

START_TEST(a_password_is_a_file_without_the_end_of_its_line)
{
    static const char greeting[] = "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n";
    expect_greeting(SLICE("secret"), greeting, NULL);
    expect_greeting(SLICE("secret\n"), greeting, NULL);
    expect_greeting(SLICE("secret\r\n"), greeting, NULL);
    expect_greeting(SLICE("secret\n\n"), greeting, NULL);
    expect_greeting(SLICE(" a b "), "*2\r\n$4\r\nAUTH\r\n$5\r\n a b \r\n", NULL);
}
END_TEST

START_TEST(a_file_that_holds_no_password_is_refused)
{
    expect_greeting(SLICE(""), NULL, "is empty");
    expect_greeting(SLICE("\n"), NULL, "is empty");
    expect_greeting(SLICE("one\ntwo\n"), NULL, "more than one line");
    expect_greeting(SLICE("se\0cret"), NULL, "more than one line");
}
END_TEST

START_TEST(a_password_has_a_longest_length)
{
    char text[REDIS_PASSWORD_MAX + 16];
    char greeting[REDIS_PASSWORD_MAX + 64];
    memset(text, 'x', sizeof(text));
    snprintf(greeting, sizeof(greeting), "*2\r\n$4\r\nAUTH\r\n$%d\r\n%.*s\r\n", REDIS_PASSWORD_MAX,
             REDIS_PASSWORD_MAX, text);
    expect_greeting(slice_of(text, REDIS_PASSWORD_MAX), greeting, NULL);
    expect_greeting(slice_of(text, REDIS_PASSWORD_MAX + 1), NULL, "at most 512 bytes");
    expect_greeting(slice_of(text, sizeof(text)), NULL, "at most 512 bytes");
    text[REDIS_PASSWORD_MAX] = '\r';
    text[REDIS_PASSWORD_MAX + 1] = '\n';
    expect_greeting(slice_of(text, REDIS_PASSWORD_MAX + 2), greeting, NULL);
}
END_TEST

static void expect_refusal(const struct rules_store *store, bool sentinel, const char *wanted)
{
    char why[REDIS_WHY_MAX] = "";
    ck_assert_ptr_null(redis_access_open(store, sentinel, why));
    ck_assert_str_eq(why, wanted);
}

START_TEST(what_cannot_be_read_is_named)
{
    struct rules_store store = {.password_file = SLICE("/nowhere/password")};
    expect_refusal(&store, false,
                   "auth.password_file \"/nowhere/password\": No such file or directory");
    store.password_file = SLICE("/");
    expect_refusal(&store, false, "auth.password_file \"/\": Is a directory");
    unsetenv(ENV);
    store = (struct rules_store){.password_env = SLICE(ENV)};
    expect_refusal(&store, false,
                   "auth.password_env \"" ENV
                   "\": is not set, expected a variable of the environment");
    setenv(ENV, "", 1);
    expect_refusal(&store, false, "auth.password_env \"" ENV "\": is empty, expected a password");
    store = (struct rules_store){.user = SLICE("limiter")};
    expect_refusal(&store, false,
                   "auth.user: has no password, expected password_file or password_env");
    store = (struct rules_store){.sentinel_password_file = SLICE("/nowhere/password")};
    expect_refusal(&store, true,
                   "sentinel_auth.password_file \"/nowhere/password\": No such file or directory");
}
END_TEST

START_TEST(a_path_of_any_length_is_refused_in_a_sentence_that_ends)
{
    char path[5000];
    char why[REDIS_WHY_MAX];
    memset(path, 'p', sizeof(path));
    struct rules_store store = {.password_file = slice_of(path, sizeof(path))};
    ck_assert_ptr_null(redis_access_open(&store, false, why));
    ck_assert_ptr_nonnull(strstr(why, "ppp...\": is no path of a file"));
    store.password_file.size = 4000;
    ck_assert_ptr_null(redis_access_open(&store, false, why));
    ck_assert_ptr_nonnull(strstr(why, "ppp...\": File name too long"));
}
END_TEST

START_TEST(servers_and_sentinels_have_credentials_of_their_own)
{
    char why[REDIS_WHY_MAX];
    struct rules_store store = {.user = SLICE("limiter"),
                                .password_env = SLICE(ENV),
                                .sentinel_password_env = SLICE(ENV "_2")};
    setenv(ENV, "one", 1);
    setenv(ENV "_2", "two\n", 1);
    struct redis_access *access = redis_access_open(&store, false, why);
    ck_assert(slice_equal(redis_access_greeting(access),
                          SLICE("*3\r\n$4\r\nAUTH\r\n$7\r\nlimiter\r\n$3\r\none\r\n")));
    redis_access_close(access);
    access = redis_access_open(&store, true, why);
    ck_assert(
        slice_equal(redis_access_greeting(access), SLICE("*2\r\n$4\r\nAUTH\r\n$3\r\ntwo\r\n")));
    redis_access_close(access);
    store = (struct rules_store){0};
    access = redis_access_open(&store, false, why);
    ck_assert_uint_eq(redis_access_greeting(access).size, 0);
    redis_access_close(access);
}
END_TEST

static void expect_hidden(const char *password, const char *text, const char *shown)
{
    char why[REDIS_WHY_MAX];
    struct rules_store store = {.password_env = SLICE(ENV)};
    setenv(ENV, password, 1);
    struct redis_access *access = redis_access_open(&store, false, why);
    redis_access_hide(access, text, why);
    ck_assert_str_eq(why, shown);
    redis_access_close(access);
}

START_TEST(what_a_server_says_back_is_not_shown)
{
    /* What Redis answers to a command that it doesn't know. */
    expect_hidden("correct horse", "ERR unknown command 'AUTH', with args beginning with: 'x' 'co",
                  "ERR unknown command 'AUTH', ...");
    expect_hidden("correct horse", "-no, 'correct horse' it isn't", "-no, '...");
    expect_hidden("correct horse", "-no, 'correct h'", "-no, '...");
    expect_hidden("abc", "what is abc?", "what is ...");
    expect_hidden("correct horse", "WRONGPASS invalid username-password pair or user is disabled.",
                  "WRONGPASS invalid username-password pair or user is disabled.");
    char text[1000];
    char cut[REDIS_WHY_MAX];
    memset(text, 't', sizeof(text));
    memset(cut, 't', sizeof(cut));
    text[sizeof(text) - 1] = cut[sizeof(cut) - 1] = '\0';
    expect_hidden("correct horse", text, cut);
}
END_TEST

/* ---- a server ------------------------------------------------------------------------------ */

static redisContext *reach(struct bench *bench, uint64_t timeout, char why[REDIS_WHY_MAX])
{
    if (!bench->access)
        bench_access(bench, NULL, NULL);
    return redis_access_connect(bench->access, bench->path, 0, "redis-1:6379", timeout, why);
}

static const char *const with_password[] = {
    "--requirepass", "correct horse", "--user", "limiter", "on", ">battery", "~*", "+ping", NULL};

/* What a connection with these credentials can do. */
static void expect_served(struct bench *bench, const char *user, const char *password)
{
    char why[REDIS_WHY_MAX];
    bench_access(bench, user, password);
    redisContext *redis = reach(bench, 10000000, why);
    ck_assert_msg(redis != NULL, "%s", why);
    redisReply *reply = redisCommand(redis, "PING");
    ck_assert_ptr_nonnull(reply);
    ck_assert_str_eq(reply->str, "PONG");
    freeReplyObject(reply);
    redisFree(redis);
}

START_TEST(a_server_is_reached_with_a_password_or_a_user)
{
    struct bench *bench = bench_open();
    bench_start_server(bench, with_password);
    redisFree(bench_client(bench)); /* waits for it */
    expect_served(bench, NULL, "correct horse");
    expect_served(bench, "default", "correct horse");
    expect_served(bench, "limiter", "battery");
    bench_close(bench);
}
END_TEST

START_TEST(a_wrong_password_is_said_to_be_one)
{
    struct bench *bench = bench_open();
    char why[REDIS_WHY_MAX];
    bench_start_server(bench, with_password);
    redisFree(bench_client(bench));
    bench_access(bench, "limiter", "correct horse");
    ck_assert_ptr_null(reach(bench, 10000000, why));
    ck_assert_str_eq(why, "WRONGPASS invalid username-password pair or user is disabled.");
    bench_close(bench);
}
END_TEST

START_TEST(a_password_that_nobody_asked_for_is_an_error)
{
    struct bench *bench = bench_open();
    char why[REDIS_WHY_MAX];
    bench_start_server(bench, NULL);
    redisFree(bench_client(bench));
    bench_access(bench, NULL, "correct horse");
    ck_assert_ptr_null(reach(bench, 10000000, why));
    ck_assert_ptr_nonnull(strstr(why, "without any password configured for the default user"));
    bench_close(bench);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_an_error)
{
    struct bench *bench = bench_open();
    char why[REDIS_WHY_MAX];
    ck_assert_ptr_null(reach(bench, 10000000, why));
    ck_assert_str_eq(why, "No such file or directory");
    bench_close(bench);
}
END_TEST

START_TEST(a_silent_server_is_given_up)
{
    struct bench *bench = bench_open();
    char why[REDIS_WHY_MAX];
    bench_start_server(bench, with_password);
    redisFree(bench_client(bench));
    kill(bench->server, SIGSTOP);
    bench_access(bench, NULL, "correct horse");
    ck_assert_ptr_null(reach(bench, 20000, why));
    ck_assert_str_eq(why, "no answer in time");
    bench_close(bench);
}
END_TEST

START_TEST(a_server_that_falls_silent_later_is_given_up)
{
    struct bench *bench = bench_open();
    char why[REDIS_WHY_MAX];
    bench_start_server(bench, NULL);
    redisFree(bench_client(bench));
    redisContext *redis = reach(bench, 20000, why);
    ck_assert_msg(redis != NULL, "%s", why); /* asks for nothing yet */
    kill(bench->server, SIGSTOP);
    ck_assert_ptr_null(redisCommand(redis, "PING"));
    redis_access_explain(redis, why);
    ck_assert_str_eq(why, "no answer in time");
    redisFree(redis);
    bench_close(bench);
}
END_TEST

START_TEST(tls_where_there_is_none_is_an_error)
{
    char why[REDIS_WHY_MAX];
    struct rules_store store = {.tls = true};
    const char *lacks = redis_access_lacks_tls();
    struct redis_access *access = redis_access_open(&store, false, why);
    if (lacks) {
        ck_assert_ptr_null(access);
        ck_assert_str_eq(why, lacks);
        ck_assert_ptr_nonnull(strstr(why, "which has no TLS"));
    } else {
        ck_assert_msg(access != NULL, "%s", why);
        redis_access_close(access);
    }
}
END_TEST

/* Each byte comes well within the time-out, and the answer never. */
START_TEST(a_server_that_answers_a_byte_at_a_time_is_given_up)
{
    struct secret *secret = secret_open(SLICE("secret"));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s.sock", secret->path);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    pid_t server = fork();
    if (server == 0) {
        int client = accept(listener, NULL, NULL);
        while (send(client, "+", 1, MSG_NOSIGNAL) == 1)
            usleep(1000);
        _exit(0);
    }
    struct redis_access *access = redis_access_open(&secret->store, false, secret->why);
    ck_assert_msg(access != NULL, "%s", secret->why);
    ck_assert_ptr_null(
        redis_access_connect(access, address.sun_path, 0, "trickle", 10000000, secret->why));
    ck_assert_str_eq(secret->why, "AUTH was answered by too little at a time");
    redis_access_close(access);
    ck_assert_int_eq(waitpid(server, NULL, 0), server); /* which has seen the connection end */
    close(listener);
    unlink(address.sun_path);
    secret_close(secret);
}
END_TEST

UNIT_MAIN("redis access", a_password_is_a_file_without_the_end_of_its_line,
          a_file_that_holds_no_password_is_refused, a_password_has_a_longest_length,
          what_cannot_be_read_is_named, a_path_of_any_length_is_refused_in_a_sentence_that_ends,
          servers_and_sentinels_have_credentials_of_their_own, what_a_server_says_back_is_not_shown,
          a_server_is_reached_with_a_password_or_a_user, a_wrong_password_is_said_to_be_one,
          a_password_that_nobody_asked_for_is_an_error, a_server_that_is_not_there_is_an_error,
          a_silent_server_is_given_up, a_server_that_falls_silent_later_is_given_up,
          a_server_that_answers_a_byte_at_a_time_is_given_up, tls_where_there_is_none_is_an_error)
