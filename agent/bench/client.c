#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/bench/client.h"
#include "agent/bench/schedule.h"

bool bench_client_open(struct bench_client *client, int fd, uint32_t in_flight, char *why)
{
    struct spop_haproxy_hello hello = {
        .version_2 = true,
        .max_frame_size = QUESTION_FRAME_MAX,
        .capabilities = SPOP_PIPELINING,
        .engine_id = SLICE("sluice-bench"),
    };
    *client = (struct bench_client){
        .fd = fd,
        .in_flight = in_flight,
        .free_count = in_flight,
        .free = calloc(in_flight, sizeof(*client->free)),
        .due = calloc(in_flight, sizeof(*client->due)),
        .output = malloc(BENCH_OUTPUT),
        .input = malloc(BENCH_INPUT),
    };
    if (!client->free || !client->due || !client->output || !client->input) {
        snprintf(why, BENCH_WHY_MAX, "out of memory");
        return false;
    }
    for (uint32_t i = 0; i < in_flight; i++) {
        client->free[i] = in_flight - 1 - i;
        client->due[i] = BENCH_NEVER;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    spop_session_open(&client->session, SPOP_HAPROXY, QUESTION_FRAME_MAX, SPOP_PIPELINING);
    struct writer w = writer_open(client->output, BENCH_OUTPUT);
    spop_write_haproxy_hello(&w, &hello);
    client->output_end = writer_size(&w);
    return bench_client_write(client, why);
}

void bench_client_close(struct bench_client *client)
{
    uint8_t bytes[SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN];
    struct writer w = writer_open(bytes, sizeof(bytes));
    if (client->fd >= 0) {
        /* As a courtesy, where it can be had: behind half a frame it would make no sense. */
        if (client->greeted && client->output_start == client->output_end)
            spop_session_refuse(&client->session, SPOP_NORMAL, &w);
        if (writer_size(&w))
            send(client->fd, bytes, writer_size(&w), MSG_NOSIGNAL | MSG_DONTWAIT);
        close(client->fd);
    }
    free(client->free);
    free(client->due);
    free(client->output);
    free(client->input);
    *client = (struct bench_client){.fd = -1};
}

void bench_client_ask(struct bench_client *client, const struct bench_notify *notify, uint64_t key,
                      uint64_t due)
{
    uint32_t stream = client->free[--client->free_count];
    client->due[stream] = due;
    bench_notify_write(notify, client->output + client->output_end, stream, key);
    client->output_end += notify->size;
}

bool bench_client_write(struct bench_client *client, char *why)
{
    size_t left = client->output_end - client->output_start;
    if (left == 0)
        return true;
    ssize_t sent = send(client->fd, client->output + client->output_start, left, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        /* What an agent said before it closed says more than that it did. */
        if (errno != EPIPE && errno != ECONNRESET) {
            snprintf(why, BENCH_WHY_MAX, "send: %s", strerror(errno));
            return false;
        }
        client->output_start = client->output_end = 0;
        client->blocked = false;
        return true;
    }
    client->output_start += sent < 0 ? 0 : (size_t)sent;
    client->blocked = client->output_start < client->output_end;
    if (client->blocked && client->output_start > BENCH_OUTPUT / 2) {
        left = client->output_end - client->output_start;
        memmove(client->output, client->output + client->output_start, left);
        client->output_start = 0;
        client->output_end = left;
    }
    if (!client->blocked)
        client->output_start = client->output_end = 0;
    return true;
}

bool bench_client_read(struct bench_client *client, char *why)
{
    size_t kept = client->input_end - client->input_start;
    memmove(client->input, client->input + client->input_start, kept);
    client->input_start = 0;
    client->input_end = kept;
    ssize_t got = recv(client->fd, client->input + kept, BENCH_INPUT - kept, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) {
        snprintf(why, BENCH_WHY_MAX, "the agent closed the connection%s%s", got ? ": " : "",
                 got ? strerror(errno) : "");
        return false;
    }
    client->input_end += (size_t)got;
    return true;
}

/* An answer to a question that is asked no more, or never was. */
static enum bench_client_event take_answer(struct bench_client *client,
                                           const struct spop_frame *frame, uint64_t *due, char *why)
{
    uint64_t stream = frame->stream_id - client->first_stream;
    if (stream >= client->in_flight || client->due[stream] == BENCH_NEVER) {
        snprintf(why, BENCH_WHY_MAX,
                 "the agent answered on stream %" PRIu64 ", on which nothing was asked",
                 frame->stream_id);
        return BENCH_CLIENT_FAILED;
    }
    *due = client->due[stream];
    client->due[stream] = BENCH_NEVER;
    client->free[client->free_count++] = (uint32_t)stream;
    return BENCH_CLIENT_ANSWER;
}

enum bench_client_event bench_client_next(struct bench_client *client, uint64_t *due,
                                          struct slice *payload, char *why)
{
    uint8_t bytes[SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN];
    struct writer w = writer_open(bytes, sizeof(bytes));
    struct slice input =
        slice_of(client->input + client->input_start, client->input_end - client->input_start);
    struct spop_event event = spop_session_next(&client->session, input, &w);
    client->input_start += event.consumed;
    switch (event.type) {
    case SPOP_EVENT_MORE:
        return BENCH_CLIENT_NONE;
    case SPOP_EVENT_HELLO:
        client->greeted = true;
        return BENCH_CLIENT_GREETED;
    case SPOP_EVENT_ACK:
        *payload = event.frame.payload;
        return take_answer(client, &event.frame, due, why);
    default:
        snprintf(why, BENCH_WHY_MAX, "%s: %u (%s)",
                 event.by_peer ? "the agent disconnected" : "the agent broke the protocol",
                 event.status, spop_status_text(event.status));
        return BENCH_CLIENT_FAILED;
    }
}
