#include "agent/connection_bench.h"
#include "main.h"
#include "random.h"

#define LINGER SECOND /* what a connection that is to close waits for its peer's next move */

static struct peer *connected(struct bench *bench)
{
    struct peer *peer = peer_open(bench);
    say_hello(bench, peer);
    return peer;
}

/* ---- conversations -------------------------------------------------------------------------- */

START_TEST(a_conversation_in_single_bytes_is_one_in_one_piece)
{
    struct bench *bench = bench_open("");
    struct peer *peer = peer_open(bench);
    uint8_t bytes[1024];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_hello(&w, FRAME_MAX);
    for (uint64_t stream = 1; stream <= 5; stream++)
        write_notify(&w, stream);
    for (size_t i = 0; i < writer_size(&w); i++)
        peer_send(bench, peer, slice_of(bytes + i, 1));
    converse(bench, peer);
    ck_assert(peer->hello && peer->acks == 5);

    struct peer *other = peer_open(bench);
    peer_send(bench, other, writer_slice(&w));
    converse(bench, other);
    ck_assert(other->hello && other->acks == 5);
    peer_free(peer);
    peer_free(other);
    bench_close(bench);
}
END_TEST

START_TEST(a_peer_that_has_said_all_still_hears_all)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    ask(bench, peer, 1, 500);
    shutdown(peer->fd, SHUT_WR);
    for (int i = 0; i < 10; i++)
        turn(bench);
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 500);
    ck_assert(peer->closed);
    ck_assert_uint_eq(bench->closed, 1);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

START_TEST(half_a_frame_before_the_end_is_dropped_with_its_connection)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    peer_send(bench, peer, slice_of("\0\0\0\x20\x03", 5));
    peer_close(peer);
    turn(bench);
    turn(bench);
    ck_assert_uint_eq(bench->host.count, 0);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

START_TEST(a_refused_frame_comes_after_the_answers_before_it)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    ask(bench, peer, 1, 3);
    peer_send(bench, peer, slice_of("\0\0\0\1\3", 5));
    ask(bench, peer, 4, 4); /* what comes after it isn't read */
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 3);
    ck_assert_int_eq(peer->disconnect, SPOP_INVALID);
    ck_assert(peer->closed);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

START_TEST(the_frame_size_stays_whatever_a_reload_says)
{
    struct bench *bench = bench_open("connections: { max_frame_size: 1000 }\n");
    struct ruleset *rules = load_rules("listen: tcp://127.0.0.1:0\nrules: []\n"
                                       "connections: { max_frame_size: 1048576 }\n");
    ck_assert(engine_use(bench->host.engine, rules));
    ruleset_release(rules);
    struct peer *peer = connected(bench);
    ck_assert_uint_eq(peer->max_frame_size, 1000);
    peer_send(bench, peer, slice_of("\0\0\3\xe9", 4)); /* 1001 */
    converse(bench, peer);
    ck_assert_int_eq(peer->disconnect, SPOP_TOO_BIG);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

/* ---- peers that don't read ------------------------------------------------------------------ */

/* How many requests a connection takes from a peer that doesn't read, before it stops reading too.
 */
static uint64_t requests_until_stalled(void)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    uint64_t count = 0;
    while (counter_read(&bench->host.counters.stalled) == 0) {
        count++;
        ask(bench, peer, count, count);
        ck_assert_uint_lt(count, 100000);
    }
    /* The last of them waits; it and all others are answered once the peer reads. */
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, count);
    ask(bench, peer, count + 1, count + 1);
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, count + 1);
    peer_free(peer);
    bench_close(bench);
    return count;
}

/* Whether asked to end while the answers that wait are few or as many as may be. */
static void drain_a_slow_reader(uint64_t requests)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    ask(bench, peer, 1, requests);
    connections_drain(&bench->host);
    while (!peer->closed) {
        /* Slow, but never so slow as to be taken for dead. */
        peer_read(peer, 65536);
        turn(bench);
        pass(bench, LINGER - 1);
    }
    ck_assert_uint_eq(peer->acks, requests);
    ck_assert_int_eq(peer->disconnect, SPOP_NORMAL);
    peer_free(peer);
    bench_close(bench);
}

START_TEST(a_slow_reader_gets_all_answers_and_the_goodbye)
{
    uint64_t full = requests_until_stalled();
    drain_a_slow_reader(1);
    drain_a_slow_reader(full / 2);
    drain_a_slow_reader(full - 1);
    drain_a_slow_reader(full);
}
END_TEST

START_TEST(a_slow_reader_that_shuts_its_side_gets_all_answers)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    ask(bench, peer, 1, 1000);
    connections_drain(&bench->host);
    turn(bench);
    shutdown(peer->fd, SHUT_WR);
    turn(bench);
    turn(bench);
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 1000);
    ck_assert_int_eq(peer->disconnect, SPOP_NORMAL);
    ck_assert_uint_eq(bench->host.count, 0);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

START_TEST(a_peer_that_never_reads_is_given_up)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    ask(bench, peer, 1, 1000);
    connections_drain(&bench->host);
    turn(bench);
    pass(bench, LINGER - 1);
    ck_assert_uint_eq(bench->host.count, 1);
    pass(bench, 1);
    ck_assert_uint_eq(bench->host.count, 0);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

START_TEST(a_peer_that_does_not_close_after_the_goodbye_is_cut_off)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    connections_drain(&bench->host);
    converse(bench, peer);
    ck_assert_int_eq(peer->disconnect, SPOP_NORMAL);
    for (int i = 0; i < 4; i++) { /* nor does it help to go on talking */
        ck_assert_uint_eq(bench->host.count, 1);
        ck_assert_int_eq(send(peer->fd, "x", 1, MSG_NOSIGNAL), 1);
        pass(bench, LINGER / 4);
    }
    ck_assert_uint_eq(bench->host.count, 0);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

/* ---- decisions that wait -------------------------------------------------------------------- */

START_TEST(the_goodbye_waits_for_the_last_pending_answer)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    bench->store.defer = true;
    peer->unordered = true;
    ask(bench, peer, 1, 3);
    connections_drain(&bench->host);
    ask(bench, peer, 4, 9); /* too late: it would keep the drain from ending */
    converse(bench, peer);
    ck_assert_uint_eq(bench->store.count, 3);
    for (size_t left = 3; left; left--) {
        ck_assert_int_eq(peer->disconnect, -1);
        scripted_answer(&bench->store, left / 2, bench->host.now);
        converse(bench, peer);
    }
    ck_assert_uint_eq(peer->acks, 3);
    ck_assert_int_eq(peer->disconnect, SPOP_NORMAL);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

START_TEST(a_peer_that_has_said_all_waits_for_pending_answers)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    bench->store.defer = true;
    ask(bench, peer, 1, 2);
    shutdown(peer->fd, SHUT_WR);
    turn(bench);
    scripted_answer(&bench->store, 0, bench->host.now);
    turn(bench);
    scripted_answer(&bench->store, 0, bench->host.now);
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 2);
    ck_assert(peer->closed);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

START_TEST(an_answer_to_nobody_is_dropped)
{
    struct bench *bench = bench_open("");
    struct peer *gone = connected(bench);
    struct peer *refused = connected(bench);
    bench->store.defer = true;
    ask(bench, gone, 1, 3);
    ask(bench, refused, 1, 3);
    peer_close(gone);
    peer_send(bench, refused, slice_of("\0\0\0\1\3", 5));
    converse(bench, refused);
    while (bench->store.count) {
        scripted_answer(&bench->store, bench->store.count - 1, bench->host.now);
        turn(bench);
    }
    converse(bench, refused);
    ck_assert_uint_eq(refused->acks, 0);
    ck_assert_int_eq(refused->disconnect, SPOP_INVALID);
    peer_close(refused);
    turn(bench);
    ck_assert_uint_eq(bench->host.count, 0);
    peer_free(gone);
    peer_free(refused);
    bench_close(bench);
}
END_TEST

START_TEST(pending_decisions_of_a_connection_are_bounded)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    bench->store.defer = true;
    peer->unordered = true;
    ask(bench, peer, 1, 600); /* what the agent doesn't read fits the kernel's buffer */
    converse(bench, peer);
    size_t most = bench->store.count;
    ck_assert_uint_lt(most, 600);
    ck_assert_uint_gt(counter_read(&bench->host.counters.stalled), 0);
    while (bench->store.count) {
        scripted_answer(&bench->store, 0, bench->host.now);
        converse(bench, peer);
        ck_assert_uint_le(bench->store.count, most);
    }
    ck_assert_uint_eq(peer->acks, 600);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

/* ---- time ----------------------------------------------------------------------------------- */

START_TEST(a_hello_has_its_time_and_no_more)
{
    struct bench *bench = bench_open("connections: { hello_timeout: 2s }\n");
    struct peer *peer = peer_open(bench);
    pass(bench, SECOND);
    peer_send(bench, peer, slice_of("\0", 1)); /* buys no time */
    pass(bench, SECOND - 1);
    ck_assert_uint_eq(counter_read(&bench->host.counters.timeouts), 0);
    pass(bench, 1);
    converse(bench, peer);
    ck_assert_int_eq(peer->disconnect, SPOP_TIMEOUT);
    ck_assert_uint_eq(counter_read(&bench->host.counters.timeouts), 1);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

START_TEST(the_idle_are_closed_in_their_order)
{
    struct bench *bench = bench_open("connections: { idle_timeout: 10s }\n");
    struct peer *first = connected(bench);
    pass(bench, SECOND);
    struct peer *second = connected(bench);
    pass(bench, SECOND);
    ask(bench, first, 1, 1);
    pass(bench, 9 * SECOND - 1);
    converse(bench, second);
    ck_assert_int_eq(second->disconnect, -1);
    pass(bench, 1);
    converse(bench, second);
    converse(bench, first);
    ck_assert_int_eq(second->disconnect, SPOP_TIMEOUT);
    ck_assert_int_eq(first->disconnect, -1);
    pass(bench, SECOND);
    converse(bench, first);
    ck_assert_int_eq(first->disconnect, SPOP_TIMEOUT);
    ck_assert_uint_eq(first->acks, 1);
    peer_free(first);
    peer_free(second);
    bench_close(bench);
}
END_TEST

START_TEST(who_waits_for_an_answer_is_not_idle)
{
    struct bench *bench = bench_open("connections: { idle_timeout: 10s }\n");
    struct peer *peer = connected(bench);
    bench->store.defer = true;
    ask(bench, peer, 1, 1);
    pass(bench, 100 * SECOND);
    scripted_answer(&bench->store, 0, bench->host.now);
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 1);
    ck_assert_int_eq(peer->disconnect, -1);
    pass(bench, 10 * SECOND);
    converse(bench, peer);
    ck_assert_int_eq(peer->disconnect, SPOP_TIMEOUT);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

/* ---- many ----------------------------------------------------------------------------------- */

#define MANY 200

START_TEST(connections_come_and_go_in_any_order)
{
    struct random random = random_open("connections");
    struct bench *bench = bench_open("");
    struct peer *peers[MANY] = {0};
    uint64_t asked[MANY] = {0};
    for (int i = 0; i < 20000; i++) {
        size_t at = random_below(&random, MANY);
        bench->store.defer = random_below(&random, 2) && bench->store.count < 800;
        if (!peers[at]) {
            peers[at] = connected(bench);
            peers[at]->unordered = true;
            asked[at] = 0;
        } else if (random_below(&random, 4) == 0) {
            peer_free(peers[at]);
            peers[at] = NULL;
        } else {
            asked[at]++;
            ask(bench, peers[at], asked[at], asked[at]);
        }
        while (bench->store.count && random_below(&random, 2))
            scripted_answer(&bench->store, random_below(&random, bench->store.count),
                            bench->host.now);
    }
    connections_drain(&bench->host);
    while (bench->store.count)
        scripted_answer(&bench->store, 0, bench->host.now);
    for (size_t i = 0; i < MANY; i++) {
        if (!peers[i])
            continue;
        converse(bench, peers[i]);
        ck_assert_uint_eq(peers[i]->acks, asked[i]);
        ck_assert_int_eq(peers[i]->disconnect, SPOP_NORMAL);
        peer_free(peers[i]);
    }
    turn(bench);
    ck_assert_uint_eq(bench->host.count, 0);
    bench_close(bench);
}
END_TEST

UNIT_MAIN("connection", a_conversation_in_single_bytes_is_one_in_one_piece,
          a_peer_that_has_said_all_still_hears_all,
          half_a_frame_before_the_end_is_dropped_with_its_connection,
          a_refused_frame_comes_after_the_answers_before_it,
          the_frame_size_stays_whatever_a_reload_says,
          a_slow_reader_gets_all_answers_and_the_goodbye,
          a_slow_reader_that_shuts_its_side_gets_all_answers, a_peer_that_never_reads_is_given_up,
          a_peer_that_does_not_close_after_the_goodbye_is_cut_off,
          the_goodbye_waits_for_the_last_pending_answer,
          a_peer_that_has_said_all_waits_for_pending_answers, an_answer_to_nobody_is_dropped,
          pending_decisions_of_a_connection_are_bounded, a_hello_has_its_time_and_no_more,
          the_idle_are_closed_in_their_order, who_waits_for_an_answer_is_not_idle,
          connections_come_and_go_in_any_order)
