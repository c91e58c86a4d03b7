/* Connections on a loop of the test's own, driven turn by turn, with a clock that the test sets and
 * a peer at the other end of a socket pair. */
#pragma once

#include <check.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/connection.h"
#include "agent/scripted_store.h"

#define SECOND UINT64_C(1000000)
#define START  (UINT64_C(1750000000) * SECOND)

#define FRAME_MAX 16380

struct bench {
    struct connection_host host; /* first: closed() finds the bench from it */
    struct ev_loop *loop;
    struct scripted_store store;
    size_t closed;
};

/* HAProxy's end. What has come is parsed at once; ACKs must come in the order of their streams
 * unless `unordered`. */
struct peer {
    int fd;
    bool unordered;
    bool hello;
    uint32_t max_frame_size; /* as the agent's HELLO said */
    uint64_t acks;
    int64_t disconnect; /* the code of the agent's DISCONNECT, the last frame there was; -1: none */
    bool closed;
    size_t size;
    uint8_t bytes[1 << 20];
};

static inline struct ruleset *load_rules(const char *text)
{
    struct rules_report *report = calloc(1, sizeof(*report));
    struct rules_set *set = rules_load(slice_of_string(text), 1, report);
    ck_assert_msg(set, "%zu:%.*s", report->problems[0].line, SLICE_ARGS(report->problems[0].text));
    rules_report_free(report);
    free(report);
    return ruleset_create(set);
}

static inline void count_closed(struct connection_host *host)
{
    ((struct bench *)host)->closed++;
}

/* scripted: the store does as it is told; else it is a memory store as agents have it. */
static inline struct bench *bench_with(const char *text, bool scripted)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct ruleset *rules = load_rules(text);
    scripted_open(&bench->store);
    bench->loop = ev_loop_new(EVFLAG_AUTO);
    struct engine *engine = engine_create(
        &(struct engine_options){.store = scripted ? &bench->store.store : bench->store.memory,
                                 .max_pending = 10000,
                                 .rules = rules});
    connection_host_open(&bench->host, bench->loop, engine, rules->set->settings.max_frame_size);
    bench->host.closed = count_closed;
    bench->host.now = START;
    ruleset_release(rules);
    return bench;
}

/* settings: lines of a rule file besides listen and rules. */
static inline struct bench *bench_open(const char *settings)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "listen: tcp://127.0.0.1:0\n%s"
             "rules: [ { name: client, key: src, limits: { limit: 1000000, window: 1h } } ]\n",
             settings);
    return bench_with(text, true);
}

/* What a worker does in one turn of its loop. */
static inline void turn(struct bench *bench)
{
    connections_flush(&bench->host);
    ev_run(bench->loop, EVRUN_NOWAIT);
    connections_flush(&bench->host);
}

static inline void pass(struct bench *bench, uint64_t microseconds)
{
    bench->host.now += microseconds;
    connections_expire(&bench->host);
    turn(bench);
}

static inline void bench_close(struct bench *bench)
{
    connections_abort(&bench->host);
    while (bench->store.count)
        scripted_answer(&bench->store, 0, bench->host.now);
    turn(bench);
    ck_assert_uint_eq(bench->host.count, 0);
    connection_host_close(&bench->host);
    engine_free(bench->host.engine);
    scripted_close(&bench->store);
    ev_loop_destroy(bench->loop);
    free(bench);
}

static inline void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

static inline void peer_free(struct peer *peer)
{
    peer_close(peer);
    free(peer);
}

/* The kernel keeps few bytes on the way to this peer, so that a peer that doesn't read is felt. */
static inline struct peer *peer_open(struct bench *bench)
{
    int fds[2];
    int small = 4096;
    struct peer *peer = calloc(1, sizeof(*peer));
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    peer->fd = fds[1];
    peer->disconnect = -1;
    connection_open(&bench->host, fds[0], 0);
    return peer;
}

static inline void peer_send(struct bench *bench, struct peer *peer, struct slice bytes)
{
    while (bytes.size) {
        ssize_t sent = send(peer->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent > 0)
            bytes = slice_from(bytes, (size_t)sent);
        else
            ck_assert_int_eq(errno, EAGAIN);
        turn(bench);
    }
}

static inline void peer_parse(struct peer *peer)
{
    struct spop_frame frame;
    struct spop_agent_hello hello;
    struct spop_disconnect disconnect;
    size_t at = 0;
    for (int64_t size;
         (size = spop_frame_decode(slice_of(peer->bytes + at, peer->size - at), 1 << 20, &frame));
         at += (size_t)size) {
        ck_assert_int_gt(size, 0);
        ck_assert_int_eq(peer->disconnect, -1);
        if (frame.type == SPOP_FRAME_ACK) {
            peer->acks++;
            ck_assert(peer->unordered || frame.stream_id == peer->acks);
        } else if (frame.type == SPOP_FRAME_AGENT_HELLO) {
            ck_assert_uint_eq(spop_read_agent_hello(frame.payload, &hello), SPOP_NORMAL);
            peer->max_frame_size = hello.max_frame_size;
            peer->hello = true;
        } else {
            ck_assert_uint_eq(frame.type, SPOP_FRAME_AGENT_DISCONNECT);
            ck_assert_uint_eq(spop_read_disconnect(frame.payload, &disconnect), SPOP_NORMAL);
            peer->disconnect = disconnect.status;
        }
    }
    memmove(peer->bytes, peer->bytes + at, peer->size - at);
    peer->size -= at;
}

/* Reads at most so many bytes of what is there. Returns how many there were. */
static inline size_t peer_read(struct peer *peer, size_t most)
{
    size_t room = sizeof(peer->bytes) - peer->size;
    ssize_t got = recv(peer->fd, peer->bytes + peer->size, most < room ? most : room, 0);
    if (got == 0 || (got < 0 && errno == ECONNRESET))
        peer->closed = true;
    if (got <= 0)
        return 0;
    peer->size += (size_t)got;
    peer_parse(peer);
    return (size_t)got;
}

/* Turns and reads until nothing moves any more. */
static inline void converse(struct bench *bench, struct peer *peer)
{
    for (int idle = 0; idle < 3 && !peer->closed;) {
        turn(bench);
        idle = peer_read(peer, SIZE_MAX) ? 0 : idle + 1;
    }
}

static inline void write_hello(struct writer *w, uint32_t max_frame_size)
{
    struct spop_haproxy_hello hello = {
        .version_2 = true, .max_frame_size = max_frame_size, .capabilities = SPOP_PIPELINING};
    ck_assert(spop_write_haproxy_hello(w, &hello));
}

static inline void write_notify(struct writer *w, uint64_t stream_id)
{
    struct value src = {.type = VALUE_IPV4, .address = {192, 0, 2, 1}};
    uint8_t *frame = spop_frame_begin(w, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN, stream_id, 1);
    spop_write_message(w, SLICE("m"), 1);
    spop_write_argument(w, SLICE("src"), &src);
    ck_assert(spop_frame_end(w, frame, FRAME_MAX));
}

static inline void say_hello(struct bench *bench, struct peer *peer)
{
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_hello(&w, FRAME_MAX);
    peer_send(bench, peer, writer_slice(&w));
    converse(bench, peer);
    ck_assert(peer->hello);
}

/* NOTIFYs of the streams first..last. */
static inline void ask(struct bench *bench, struct peer *peer, uint64_t first, uint64_t last)
{
    uint8_t bytes[128];
    for (uint64_t stream = first; stream <= last; stream++) {
        struct writer w = writer_open(bytes, sizeof(bytes));
        write_notify(&w, stream);
        peer_send(bench, peer, writer_slice(&w));
    }
}
