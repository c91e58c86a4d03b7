/* A connection from HAProxy: bytes between a socket and an SPOP session, decisions by the engine.
 *
 * All connections of a worker live on its thread. What they share of it is the host.
 *
 * Life: HELLO -> RUN -> CLOSING -> dead. Closing is two-phase: a dead connection's socket is closed
 * at once, its memory is freed only when no decision of its is pending any more.
 */
#pragma once

#include <ev.h>
#include <sys/queue.h>

#include "agent/buffer.h"
#include "agent/engine/engine.h"
#include "agent/latency.h"
#include "base/base.h"
#include "spop/spop.h"

enum connection_phase {
    CONNECTION_HELLO,   /* the handshake isn't done */
    CONNECTION_RUN,     /* NOTIFYs are decided */
    CONNECTION_CLOSING, /* the last bytes are written, then the peer's close is waited for */
    CONNECTION_DEAD,    /* no socket any more; waits for its pending decisions */
    CONNECTION_PHASES,
};

/* Frames refused are counted by the code they were refused with: one counter for each code of
 * SPOE.txt up to 13, the last for all others. */
#define CONNECTION_CODES 15

struct connection_counters {
    struct counter healthchecks;
    struct counter notifies;
    struct counter frames_refused[CONNECTION_CODES];
    struct counter timeouts; /* idle, or without a HELLO, for too long */
    struct counter stalled; /* reading was stopped: the peer doesn't read, or too much is pending */
};

TAILQ_HEAD(connection_list, connection);

/* A connection that another process is to go on with. */
struct connection_left {
    int fd;
    uint32_t max_frame_size; /* as agreed with the peer; 0: the handshake is yet to come */
};

/* What a worker lends its connections. */
struct connection_host {
    struct ev_loop *loop;
    struct engine *engine;
    uint32_t max_frame_size; /* the most that is agreed on with a peer */
    uint64_t now;            /* read once a turn of the loop */
    bool draining;
    bool leaving; /* draining, and connections are left to another process rather than ended */
    struct connection_left *left;
    size_t left_count;
    struct buffer_pool buffers;
    struct connection_list phases[CONNECTION_PHASES]; /* each in order of last activity */
    struct connection_list dirty;                     /* have something to write */
    size_t count;                                     /* of connections that aren't dead */
    struct connection_counters counters;
    struct latency latency; /* what is noted has gone out when connections_flush returns */
    void (*closed)(struct connection_host *host); /* told each time that count has gone down */
};

/* max_frame_size: the buffers are made for it, so whatever a reload says it stays while the host
 * lives. */
void connection_host_open(struct connection_host *host, struct ev_loop *loop, struct engine *engine,
                          uint32_t max_frame_size);

/* All connections must be dead, and none pending. */
void connection_host_close(struct connection_host *host);

/* Takes over a non-blocking socket; closes it when out of memory. agreed_frame_size: 0, or that of
 * a connection which another process has left. */
void connection_open(struct connection_host *host, int fd, uint32_t agreed_frame_size);

/* To be called before each sleep of the loop: writes what the turn has produced, one write a
 * connection, and frees the dead. */
void connections_flush(struct connection_host *host);

/* Ends the connections whose time is over. */
void connections_expire(struct connection_host *host);

/* Answers what has been received, says goodbye, and lets no new NOTIFY in. Returns before it is
 * done: count reaches 0 then. */
void connections_drain(struct connection_host *host);

/* Answers what has been read, and leaves each connection, as soon as nothing of it is in this
 * process any more, in host->left, its socket open. What can't be left is ended as by
 * connections_drain. Returns before it is done: count reaches 0 then. */
void connections_leave(struct connection_host *host);

/* Closes all sockets now. */
void connections_abort(struct connection_host *host);
