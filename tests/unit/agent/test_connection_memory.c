/* Each allocation of a conversation fails in turn: whatever it was for, nothing is answered wrongly
 * or twice, the peer is told or cut off, and nothing leaks. */
#include "agent/connection_bench.h"
#include "main.h"
#include "nth_allocation.h"

static void agent_turns(struct bench *bench)
{
    armed = true;
    turn(bench);
    turn(bench);
    armed = false;
}

static void agent_answers(struct bench *bench)
{
    while (bench->store.count) {
        struct store_take *take = bench->store.waiting[--bench->store.count];
        armed = true;
        take->answered(take, STORE_UNAVAILABLE);
        armed = false;
    }
}

/* A HELLO, answers at once (so many that the output must grow), answers that come late, and a
 * drain; with the n-th allocation failing. Returns whether there were so many. */
static bool converse_with_failure(size_t n)
{
    static uint8_t bytes[65536];
    struct bench *bench = bench_open("");
    struct peer *peer = calloc(1, sizeof(*peer));
    struct writer w = writer_open(bytes, sizeof(bytes));
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *peer = (struct peer){.fd = fds[1], .disconnect = -1, .unordered = true};
    write_hello(&w, FRAME_MAX);
    for (uint64_t stream = 1; stream <= 1000; stream++)
        write_notify(&w, stream);
    ck_assert_int_eq(send(peer->fd, bytes, writer_size(&w), MSG_NOSIGNAL),
                     (ssize_t)writer_size(&w));

    left = n;
    has_failed = false;
    armed = true;
    connection_open(&bench->host, fds[0], 0);
    agent_turns(bench);
    while (peer_read(peer, SIZE_MAX))
        agent_turns(bench);
    if (!peer->closed) {
        bench->store.defer = true;
        w = writer_open(bytes, sizeof(bytes));
        for (uint64_t stream = 1001; stream <= 1003; stream++)
            write_notify(&w, stream);
        ck_assert_int_gt(send(peer->fd, bytes, writer_size(&w), MSG_NOSIGNAL), 0);
        agent_turns(bench);
        agent_answers(bench);
        connections_drain(&bench->host);
        agent_turns(bench);
        while (peer_read(peer, SIZE_MAX))
            agent_turns(bench);
    }
    if (!has_failed) {
        ck_assert_uint_eq(peer->acks, 1003);
        ck_assert_int_eq(peer->disconnect, SPOP_NORMAL);
    }
    peer_free(peer);
    bench_close(bench);
    return has_failed;
}

START_TEST(every_allocation_may_fail)
{
    size_t n = 0;
    while (converse_with_failure(n))
        n++;
    ck_assert_uint_gt(n, 4);
}
END_TEST

UNIT_MAIN("connection memory", every_allocation_may_fail)
