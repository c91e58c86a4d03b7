/* One connection of the load: to an agent, as HAProxy has it; or to HAProxy, as a client has it. */
#pragma once

#include "spop/spop.h"
#include "tests/load/tally.h"

struct connection;

/* What is spoken on it. */
struct protocol {
    uint32_t in_flight_max;
    /* What is said before the first question, into output. Then greeted has to become true, at once
     * or by what is read. */
    void (*greet)(struct connection *connection, struct writer *output);
    void (*ask)(struct connection *connection, uint32_t question, struct writer *output);
    /* Takes one answer, or whatever else comes, off the input. Returns the bytes it used, 0 when
     * there is no whole one, -1 when it is none: the connection is of no more use then. */
    int64_t (*read)(struct connection *connection, struct slice input);
};

extern const struct protocol protocol_spop;
extern const struct protocol protocol_http;

struct question {
    bool waiting;
    uint32_t serial; /* how often its place has been asked from */
    struct tally_request request;
};

#define CONNECTION_INPUT    65536
#define CONNECTION_QUESTION 256 /* the most bytes that one takes */

struct connection {
    const struct protocol *protocol;
    struct tally *tally;
    int fd; /* -1: it is over */
    bool greeted;
    uint32_t in_flight;
    uint32_t waiting;
    struct question *questions; /* in_flight of them */
    uint64_t now;               /* when what is being read came */
    struct spop_session session;

    uint8_t *output;
    size_t output_start;
    size_t output_end;
    size_t output_size;
    size_t input_end;
    uint8_t input[CONNECTION_INPUT];
};

/* NULL after saying why on stderr. */
struct connection *connection_open(const char *address, const struct protocol *protocol,
                                   uint32_t in_flight, struct tally *tally);
void connection_free(struct connection *connection);

static inline bool connection_may_ask(const struct connection *connection)
{
    return connection->fd >= 0 && connection->greeted &&
           connection->waiting < connection->in_flight;
}

/* Only when it may. The question goes out with the next connection_write. */
void connection_ask(struct connection *connection, struct tally_request request);

/* The answer to a question has come; one that nobody asked is counted as a stray. */
void connection_answer(struct connection *connection, uint64_t question, uint64_t serial,
                       bool allowed, struct slice source);

/* When the socket may be read from or written to. What was waiting when it broke is lost. */
void connection_read(struct connection *connection, uint64_t now);
void connection_write(struct connection *connection);

static inline bool connection_has_output(const struct connection *connection)
{
    return connection->output_end > connection->output_start;
}
