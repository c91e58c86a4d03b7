/* One connection of the load to an agent, as HAProxy has them. Never blocks; one thread.
 *
 * Functions that can fail say why in a buffer of BENCH_WHY_MAX bytes; the connection is of no use
 * then but to be closed.
 */
#pragma once

#include "agent/bench/notify.h"

#define BENCH_INPUT  65536
#define BENCH_OUTPUT 262144 /* questions beyond it wait until the agent has read those before */

struct bench_client {
    int fd; /* -1: none */
    bool greeted;
    bool blocked; /* the socket takes no more now */
    struct spop_session session;
    uint32_t in_flight;
    uint32_t free_count; /* streams that no question is on, a stack of their numbers */
    uint32_t *free;
    uint64_t *due; /* when the time of a stream's question began; BENCH_NEVER where none is */
    uint64_t first_stream;
    size_t output_start;
    size_t output_end;
    size_t input_start;
    size_t input_end;
    uint8_t *output;
    uint8_t *input;
};

enum bench_client_event {
    BENCH_CLIENT_NONE,
    BENCH_CLIENT_GREETED,
    BENCH_CLIENT_ANSWER,
    BENCH_CLIENT_FAILED,
};

/* Takes a connected socket over, and says HELLO. False when out of memory, or when the agent has
 * gone already. Either way bench_client_close is due. */
bool bench_client_open(struct bench_client *client, int fd, uint32_t in_flight, char *why);
void bench_client_close(struct bench_client *client);

static inline bool bench_client_may_ask(const struct bench_client *client, size_t size)
{
    return client->free_count && BENCH_OUTPUT - client->output_end >= size;
}

/* Only when it may. Goes out with the next bench_client_write. */
void bench_client_ask(struct bench_client *client, const struct bench_notify *notify, uint64_t key,
                      uint64_t due);

bool bench_client_write(struct bench_client *client, char *why);

/* Reads what has come, at most BENCH_INPUT bytes; then bench_client_next is to be called until it
 * says BENCH_CLIENT_NONE. */
bool bench_client_read(struct bench_client *client, char *why);

/* ANSWER: due is its question's; the payload stays until the next read. */
enum bench_client_event bench_client_next(struct bench_client *client, uint64_t *due,
                                          struct slice *payload, char *why);
