#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/clock.h"
#include "agent/command.h"
#include "agent/question.h"
#include "agent/socket.h"
#include "spop/spop.h"

#define ASK_TIMEOUT_MS 5000

#define ASK_STREAM 1
#define ASK_FRAME  1

struct conversation {
    int fd;
    uint64_t deadline; /* by clock_now: an agent that says a byte now and then gets no more time */
    struct spop_session session;
    uint8_t input[SPOP_LENGTH_SIZE + QUESTION_FRAME_MAX];
    size_t input_size;
    size_t consumed; /* of the input, by the event that was told last */
};

static void print_help(FILE *stream)
{
    fprintf(
        stream,
        "usage: sluice ask ADDRESS [--message NAME] [NAME=VALUE...]\n\n"
        "Connects to an agent as HAProxy does, sends one message with these arguments, and\n"
        "prints the variables of the answer, one NAME=VALUE a line.\n\n"
        "  ADDRESS             tcp://HOST:PORT, unix:///PATH or unix://@NAME\n"
        "  -m, --message NAME  the SPOE message's name (default: sluice-request)\n"
        "  -t, --timeout MS    how long the agent may take (default: %d)\n"
        "  -h, --help          this text\n\n" QUESTION_HELP "\n"
        "exit status: 0 when the agent answered, 1 when it didn't, 2 for a wrong command line\n",
        ASK_TIMEOUT_MS);
}

/* ---- the conversation ---------------------------------------------------------------------- */

static bool send_all(int fd, struct slice bytes)
{
    bool sent = socket_send_all(fd, bytes);
    if (!sent)
        fprintf(stderr, "sluice ask: send: %s\n", strerror(errno));
    return sent;
}

static bool receive_more(struct conversation *talk)
{
    uint64_t now = clock_now();
    struct pollfd readable = {.fd = talk->fd, .events = POLLIN};
    int left_ms = now < talk->deadline ? (int)((talk->deadline - now + 999) / 1000) : 0;
    int ready = poll(&readable, 1, left_ms);
    if (ready == 0) {
        fprintf(stderr, "sluice ask: no answer: timed out\n");
        return false;
    }
    ssize_t got = ready < 0 ? -1
                            : recv(talk->fd, talk->input + talk->input_size,
                                   sizeof(talk->input) - talk->input_size, 0);
    if (got < 0 && errno == EINTR)
        return true; /* nothing more has come, which the next look at it finds */
    if (got == 0)
        fprintf(stderr, "sluice ask: the agent closed the connection\n");
    else if (got < 0)
        fprintf(stderr, "sluice ask: no answer: %s\n", strerror(errno));
    else
        talk->input_size += (size_t)got;
    return got > 0;
}

/* The next event of this type; an ACK only of our question. Its frame's payload stays where it is
 * until the next call. */
static bool wait_for(struct conversation *talk, enum spop_event_type wanted,
                     struct spop_event *event)
{
    uint8_t bytes[SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN];
    for (;;) {
        struct writer w = writer_open(bytes, sizeof(bytes));
        talk->input_size -= talk->consumed;
        memmove(talk->input, talk->input + talk->consumed, talk->input_size);
        *event = spop_session_next(&talk->session, slice_of(talk->input, talk->input_size), &w);
        talk->consumed = event->consumed;
        if (writer_size(&w) && !send_all(talk->fd, writer_slice(&w)))
            return false;
        bool others = event->type == SPOP_EVENT_ACK &&
                      (event->frame.stream_id != ASK_STREAM || event->frame.frame_id != ASK_FRAME);
        if (event->type == wanted && !others)
            return true;
        if (event->type == SPOP_EVENT_CLOSE) {
            fprintf(stderr, "sluice ask: %s: %u (%s)\n",
                    event->by_peer ? "the agent disconnected" : "the agent broke the protocol",
                    event->status, spop_status_text(event->status));
            return false;
        }
        if (event->type == SPOP_EVENT_MORE && !receive_more(talk))
            return false;
    }
}

static bool say_hello(struct conversation *talk)
{
    uint8_t bytes[SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN];
    struct writer w = writer_open(bytes, sizeof(bytes));
    struct spop_event event;
    struct spop_haproxy_hello hello = {
        .version_2 = true,
        .max_frame_size = QUESTION_FRAME_MAX,
        .capabilities = SPOP_PIPELINING,
        .engine_id = SLICE("sluice-ask"),
    };
    spop_session_open(&talk->session, SPOP_HAPROXY, QUESTION_FRAME_MAX, SPOP_PIPELINING);
    return spop_write_haproxy_hello(&w, &hello) && send_all(talk->fd, writer_slice(&w)) &&
           wait_for(talk, SPOP_EVENT_HELLO, &event);
}

static bool notify(struct conversation *talk, struct slice message,
                   const struct spop_argument *arguments, size_t count)
{
    uint8_t bytes[SPOP_LENGTH_SIZE + QUESTION_FRAME_MAX];
    struct writer w = writer_open(bytes, sizeof(bytes));
    uint8_t *frame = spop_frame_begin(&w, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN, ASK_STREAM, ASK_FRAME);
    spop_write_message(&w, message, (uint8_t)count);
    for (size_t i = 0; i < count; i++)
        spop_write_argument(&w, arguments[i].name, &arguments[i].value);
    if (!spop_frame_end(&w, frame, talk->session.max_frame_size)) {
        fprintf(stderr, "sluice ask: the arguments are larger than a frame of %u bytes\n",
                talk->session.max_frame_size);
        return false;
    }
    return send_all(talk->fd, writer_slice(&w));
}

static bool print_answer(struct slice payload)
{
    enum error error = question_print_answer(payload, "", stdout);
    if (error)
        fprintf(stderr, "sluice ask: the answer is malformed: %s\n", error_text(error));
    return !error;
}

static int converse(const struct endpoint *endpoint, int timeout_ms, struct slice message,
                    const struct spop_argument *arguments, size_t count)
{
    static struct conversation talk;
    uint8_t bytes[SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN];
    char why[SOCKET_WHY_MAX];
    struct spop_event event;

    talk.deadline = clock_now() + (uint64_t)timeout_ms * 1000;
    talk.fd = socket_connect(endpoint, timeout_ms, why);
    if (talk.fd < 0) {
        char address[SOCKET_NAME_MAX];
        struct writer name = writer_open(address, sizeof(address));
        endpoint_print(endpoint, &name);
        fprintf(stderr, "sluice ask: %.*s: %s\n", SLICE_ARGS(writer_slice(&name)), why);
        return EXIT_FAILURE;
    }
    bool answered = say_hello(&talk) && notify(&talk, message, arguments, count) &&
                    wait_for(&talk, SPOP_EVENT_ACK, &event) && print_answer(event.frame.payload);
    struct writer w = writer_open(bytes, sizeof(bytes));
    spop_session_refuse(&talk.session, SPOP_NORMAL, &w);
    if (answered && writer_size(&w))
        send_all(talk.fd, writer_slice(&w));
    close(talk.fd);
    return answered ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int usage_error(const char *what, const char *expected)
{
    fprintf(stderr, "sluice ask: %s: expected %s\n", what, expected);
    return EXIT_USAGE;
}

int command_ask(int argc, char **argv)
{
    static const struct option options[] = {
        {"message", required_argument, NULL, 'm'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static struct spop_argument arguments[QUESTION_ARGUMENTS];
    const char *message = "sluice-request";
    uint64_t timeout_ms = ASK_TIMEOUT_MS;
    struct endpoint endpoint;
    const char *expected;
    size_t count = 0;

    for (int option; (option = getopt_long(argc, argv, "m:t:h", options, NULL)) != -1;) {
        if (option == 'm') {
            message = optarg;
        } else if (option == 't') {
            if (!slice_to_uint64(slice_of_string(optarg), &timeout_ms) || timeout_ms < 1 ||
                timeout_ms > 3600000)
                return usage_error("--timeout", "milliseconds, from 1 to 3600000");
        } else {
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        }
    }
    if (optind == argc)
        return usage_error("ADDRESS", "an agent's address first (sluice ask --help)");
    if (!endpoint_parse(slice_of_string(argv[optind]), &endpoint, &expected))
        return usage_error(argv[optind], expected);
    for (int i = optind + 1; i < argc; i++) {
        if (count == QUESTION_ARGUMENTS)
            return usage_error(argv[i], "at most 255 arguments");
        if (!question_argument(argv[i], &arguments[count++]))
            return usage_error(argv[i], "NAME=VALUE, or NAME:TYPE=VALUE with a value of that type");
    }
    return converse(&endpoint, (int)timeout_ms, slice_of_string(message), arguments, count);
}
