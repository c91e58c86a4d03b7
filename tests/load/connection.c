#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/socket.h"
#include "tests/load/connection.h"

#define CONNECT_TIMEOUT_MS 10000

static int connect_to(const char *address)
{
    struct endpoint endpoint;
    const char *expected;
    char why[SOCKET_WHY_MAX];
    if (!endpoint_parse(slice_of_string(address), &endpoint, &expected)) {
        fprintf(stderr, "load: %s: expected %s\n", address, expected);
        return -1;
    }
    int fd = socket_connect(&endpoint, CONNECT_TIMEOUT_MS, why);
    if (fd < 0)
        fprintf(stderr, "load: %s: %s\n", address, why);
    else
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

struct connection *connection_open(const char *address, const struct protocol *protocol,
                                   uint32_t in_flight, struct tally *tally)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->protocol = protocol;
    connection->tally = tally;
    connection->in_flight =
        in_flight < protocol->in_flight_max ? in_flight : protocol->in_flight_max;
    connection->output_size = ((size_t)connection->in_flight + 4) * CONNECTION_QUESTION;
    connection->output = malloc(connection->output_size);
    connection->questions = calloc(connection->in_flight, sizeof(*connection->questions));
    connection->fd = -1;
    if (connection->output && connection->questions)
        connection->fd = connect_to(address);
    if (connection->fd < 0) {
        connection_free(connection);
        return NULL;
    }
    struct writer w = writer_open(connection->output, connection->output_size);
    protocol->greet(connection, &w);
    connection->output_end = writer_size(&w);
    return connection;
}

void connection_free(struct connection *connection)
{
    if (connection->fd >= 0)
        close(connection->fd);
    free(connection->output);
    free(connection->questions);
    free(connection);
}

static void break_off(struct connection *connection)
{
    close(connection->fd);
    connection->fd = -1;
    connection->output_start = connection->output_end = 0;
    for (uint32_t i = 0; i < connection->in_flight; i++) {
        if (connection->questions[i].waiting)
            tally_lose(connection->tally, &connection->questions[i].request);
        connection->questions[i].waiting = false;
    }
    connection->waiting = 0;
}

void connection_ask(struct connection *connection, struct tally_request request)
{
    uint32_t i = 0;
    while (connection->questions[i].waiting)
        i++;
    struct question *question = &connection->questions[i];
    question->waiting = true;
    question->serial++;
    question->request = request;
    connection->waiting++;

    struct writer w = writer_open(connection->output, connection->output_size);
    w.position = w.begin + connection->output_end;
    connection->protocol->ask(connection, i, &w);
    connection->output_end = writer_size(&w);
}

void connection_answer(struct connection *connection, uint64_t question, uint64_t serial,
                       bool allowed, struct slice source)
{
    struct question *asked =
        question < connection->in_flight ? &connection->questions[question] : NULL;
    if (!asked || !asked->waiting || asked->serial != serial) {
        connection->tally->strays++;
        return;
    }
    asked->waiting = false;
    connection->waiting--;
    tally_answer(connection->tally, &asked->request, allowed, source, connection->now);
}

void connection_write(struct connection *connection)
{
    ssize_t sent =
        send(connection->fd, connection->output + connection->output_start,
             connection->output_end - connection->output_start, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        break_off(connection);
        return;
    }
    connection->output_start += sent < 0 ? 0 : (size_t)sent;
    size_t left = connection->output_end - connection->output_start;
    memmove(connection->output, connection->output + connection->output_start, left);
    connection->output_start = 0;
    connection->output_end = left;
}

void connection_read(struct connection *connection, uint64_t now)
{
    ssize_t got = recv(connection->fd, connection->input + connection->input_end,
                       CONNECTION_INPUT - connection->input_end, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        break_off(connection);
        return;
    }
    connection->input_end += (size_t)got;
    connection->now = now;
    size_t used = 0;
    for (int64_t more = 1; more > 0; used += (size_t)more) {
        more = connection->protocol->read(
            connection, slice_of(connection->input + used, connection->input_end - used));
        if (more < 0) {
            break_off(connection);
            return;
        }
    }
    connection->input_end -= used;
    memmove(connection->input, connection->input + used, connection->input_end);
}
