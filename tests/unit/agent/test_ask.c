/* `sluice ask` against agents that behave, and against those that don't. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/command.h"
#include "agent/socket.h"
#include "main.h"
#include "spop/spop.h"

#define OTHER 7 /* a stream that isn't the asker's */

struct agent {
    int listener;
    void (*play)(int fd);
    char address[SOCKET_NAME_MAX];
    pthread_t thread;
};

static void say(int fd, const struct writer *w)
{
    ck_assert_int_eq(w->error, ERROR_NONE);
    send(fd, w->begin, writer_size(w), MSG_NOSIGNAL);
}

/* Whatever the asker says, and whether in one piece or not: it isn't looked at. */
static bool hear(int fd)
{
    uint8_t bytes[4096];
    return recv(fd, bytes, sizeof(bytes), 0) > 0;
}

static void write_ack(struct writer *w, uint64_t stream, struct slice name, struct slice text)
{
    struct value value = {.type = VALUE_STRING, .bytes = text};
    uint8_t *frame = spop_frame_begin(w, SPOP_FRAME_ACK, SPOP_FLAG_FIN, stream, 1);
    spop_write_set_var(w, SPOP_SCOPE_TRANSACTION, name, &value);
    spop_frame_end(w, frame, 16380);
}

static void say_hello(int fd)
{
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    hear(fd);
    spop_write_agent_hello(&w, 16380, SPOP_PIPELINING);
    say(fd, &w);
    hear(fd);
}

static void play_well(int fd)
{
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    say_hello(fd);
    write_ack(&w, OTHER, SLICE("wrong"), SLICE("answer"));
    write_ack(&w, 1, SLICE("na\nme"), SLICE("te\x1bxt"));
    say(fd, &w);
    hear(fd);
}

static void play_dead(int fd)
{
    (void)fd;
}

static void play_silent(int fd)
{
    while (hear(fd))
        ;
}

static void play_rubbish(int fd)
{
    hear(fd);
    send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
    while (hear(fd))
        ;
}

static void play_refusing(int fd)
{
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    hear(fd);
    spop_write_disconnect(&w, SPOP_FRAME_AGENT_DISCONNECT, SPOP_RESOURCES);
    say(fd, &w);
    while (hear(fd))
        ;
}

static void play_malformed(int fd)
{
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    say_hello(fd);
    uint8_t *frame = spop_frame_begin(&w, SPOP_FRAME_ACK, SPOP_FLAG_FIN, 1, 1);
    writer_bytes(&w, SLICE("\1\3\2\3abc")); /* set-var without its data */
    spop_frame_end(&w, frame, 16380);
    say(fd, &w);
    while (hear(fd))
        ;
}

/* A byte now and then of a frame that would take minutes. */
static void play_slowly(int fd)
{
    say_hello(fd);
    send(fd, "\0\0\x3f\0", 4, MSG_NOSIGNAL);
    while (send(fd, "", 1, MSG_NOSIGNAL) == 1)
        usleep(20000);
}

static void *run(void *argument)
{
    struct agent *agent = argument;
    struct pollfd waiting = {.fd = agent->listener, .events = POLLIN};
    poll(&waiting, 1, -1);
    int fd = accept(agent->listener, NULL, NULL);
    agent->play(fd);
    close(fd);
    return NULL;
}

/* Each test is a process of its own, so that stdout and stderr may be given away. */
static int ask(void (*play)(int fd), char *output, size_t size)
{
    struct agent agent = {.play = play};
    struct endpoint endpoint;
    const char *expected;
    char why[SOCKET_WHY_MAX];
    char *words[] = {(char[]){"ask"}, (char[]){"--timeout"},     (char[]){"400"},
                     agent.address,   (char[]){"src=192.0.2.1"}, NULL};
    FILE *file = tmpfile();
    endpoint_parse(SLICE("tcp://127.0.0.1:0"), &endpoint, &expected);
    agent.listener = socket_listen(&endpoint, 0, why);
    ck_assert_msg(agent.listener >= 0, "%s", why);
    socket_own_name(agent.listener, agent.address);
    ck_assert_int_eq(pthread_create(&agent.thread, NULL, run, &agent), 0);
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int status = command_ask(5, words);
    fflush(stdout);
    pthread_join(agent.thread, NULL);
    close(agent.listener);
    rewind(file);
    size_t got = fread(output, 1, size - 1, file);
    output[got] = 0;
    fclose(file);
    return status;
}

static void expect(void (*play)(int fd), int status, const char *output)
{
    char told[1024];
    ck_assert_int_eq(ask(play, told, sizeof(told)), status);
    ck_assert_str_eq(told, output);
}

START_TEST(an_answer_is_printed_on_lines_of_its_own)
{
    expect(play_well, EXIT_SUCCESS, "na\\x0ame=te\\x1bxt\n");
}
END_TEST

START_TEST(an_agent_that_hangs_up)
{
    char told[1024];
    ck_assert_int_eq(ask(play_dead, told, sizeof(told)), EXIT_FAILURE);
    ck_assert_ptr_nonnull(strstr(told, "sluice ask: ")); /* closed or reset, as the kernel has it */
}
END_TEST

START_TEST(an_agent_that_says_nothing)
{
    expect(play_silent, EXIT_FAILURE, "sluice ask: no answer: timed out\n");
}
END_TEST

START_TEST(an_agent_that_says_it_slowly)
{
    expect(play_slowly, EXIT_FAILURE, "sluice ask: no answer: timed out\n");
}
END_TEST

START_TEST(an_agent_that_is_none)
{
    expect(play_rubbish, EXIT_FAILURE,
           "sluice ask: the agent broke the protocol: 3 (frame is too big)\n");
}
END_TEST

START_TEST(an_agent_that_refuses)
{
    expect(play_refusing, EXIT_FAILURE,
           "sluice ask: the agent disconnected: 13 (resource allocation error)\n");
}
END_TEST

START_TEST(an_answer_that_is_malformed)
{
    expect(play_malformed, EXIT_FAILURE,
           "sluice ask: the answer is malformed: the data ends before the value does\n");
}
END_TEST

UNIT_MAIN("ask", an_answer_is_printed_on_lines_of_its_own, an_agent_that_hangs_up,
          an_agent_that_says_nothing, an_agent_that_says_it_slowly, an_agent_that_is_none,
          an_agent_that_refuses, an_answer_that_is_malformed)
