#include "agent/connection_bench.h"
#include "main.h"

static struct peer *connected(struct bench *bench)
{
    struct peer *peer = peer_open(bench);
    say_hello(bench, peer);
    return peer;
}

/* What the next process does with what this one has left. Returns its bench. */
static struct bench *next_of(struct bench *bench, size_t connections, const char *settings)
{
    struct bench *next = bench_open(settings);
    ck_assert_uint_eq(bench->host.count, 0);
    ck_assert_uint_eq(bench->host.left_count, connections);
    for (size_t i = 0; i < connections; i++)
        connection_open(&next->host, bench->host.left[i].fd, bench->host.left[i].max_frame_size);
    bench_close(bench);
    return next;
}

static void end(struct bench *bench, struct peer *peer)
{
    peer_free(peer);
    bench_close(bench);
}

/* With the next question, and to the end of a test. */
static void go_on(struct bench *bench, struct peer *peer)
{
    uint64_t next = peer->acks + 1;
    ask(bench, peer, next, next);
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, next);
    ck_assert_int_eq(peer->disconnect, -1);
    end(bench, peer);
}

START_TEST(a_quiet_connection_is_left_at_once_and_goes_on)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    ask(bench, peer, 1, 3);
    converse(bench, peer);
    connections_leave(&bench->host);
    ck_assert_uint_eq(bench->closed, 1);
    ck_assert_uint_eq(bench->host.left[0].max_frame_size, FRAME_MAX);
    ask(bench, peer, 4, 5); /* to nobody, as yet */
    ck_assert_uint_eq(peer_read(peer, SIZE_MAX), 0);
    bench = next_of(bench, 1, "");
    ask(bench, peer, 6, 6);
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 6);
    ck_assert_int_eq(peer->disconnect, -1);
    connections_drain(&bench->host);
    converse(bench, peer);
    ck_assert_int_eq(peer->disconnect, SPOP_NORMAL);
    end(bench, peer);
}
END_TEST

START_TEST(what_is_pending_is_answered_first_and_what_comes_meanwhile_afterwards)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    bench->store.defer = true;
    ask(bench, peer, 1, 2);
    connections_leave(&bench->host);
    ask(bench, peer, 3, 9);
    ck_assert_uint_eq(bench->store.count, 2);
    while (bench->store.count) {
        ck_assert_uint_eq(bench->host.left_count, 0);
        scripted_answer(&bench->store, 0, bench->host.now);
        converse(bench, peer);
    }
    ck_assert_uint_eq(peer->acks, 2);
    bench = next_of(bench, 1, "");
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 9);
    go_on(bench, peer);
}
END_TEST

/* Wherever a read has cut the bytes of a handshake and a question. */
START_TEST(no_frame_is_torn)
{
    uint8_t bytes[1024];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_hello(&w, FRAME_MAX);
    size_t hello = writer_size(&w);
    write_notify(&w, 1);
    size_t size = writer_size(&w);
    for (size_t cut = 0; cut <= size; cut++) {
        struct bench *bench = bench_open("");
        struct peer *peer = peer_open(bench);
        bool whole = cut == 0 || cut == hello || cut == size;
        peer_send(bench, peer, slice_of(bytes, cut));
        turn(bench);
        connections_leave(&bench->host);
        ck_assert_uint_eq(bench->host.left_count, whole);
        for (size_t i = cut; i < size; i++)
            peer_send(bench, peer, slice_of(bytes + i, 1));
        turn(bench);
        ck_assert_uint_eq(bench->host.left[0].max_frame_size, cut ? FRAME_MAX : 0);
        bench = next_of(bench, 1, "");
        ask(bench, peer, 2, 2);
        converse(bench, peer);
        ck_assert(peer->hello);
        ck_assert_uint_eq(peer->acks, 2);
        end(bench, peer);
    }
}
END_TEST

START_TEST(a_slow_reader_has_read_its_answers_when_it_is_left)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    ask(bench, peer, 1, 1000);
    connections_leave(&bench->host);
    turn(bench);
    ck_assert_uint_eq(bench->host.left_count, 0);
    while (!bench->host.left_count) {
        peer_read(peer, 4096);
        turn(bench);
    }
    bench = next_of(bench, 1, "");
    converse(bench, peer);
    ck_assert_uint_eq(peer->acks, 1000);
    go_on(bench, peer);
}
END_TEST

START_TEST(who_has_closed_is_not_left)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    struct peer *other = connected(bench);
    shutdown(peer->fd, SHUT_WR);
    turn(bench);
    connections_leave(&bench->host);
    converse(bench, peer);
    ck_assert(peer->closed);
    peer_free(peer);
    bench = next_of(bench, 1, "");
    go_on(bench, other);
}
END_TEST

START_TEST(who_may_send_larger_frames_than_are_read_now_has_to_ask_anew)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    connections_leave(&bench->host);
    bench = next_of(bench, 1, "connections: { max_frame_size: 1024 }\n");
    converse(bench, peer);
    ck_assert_int_eq(peer->disconnect, SPOP_NORMAL);
    end(bench, peer);
}
END_TEST

START_TEST(who_comes_late_is_left_as_he_is)
{
    struct bench *bench = bench_open("");
    connections_leave(&bench->host);
    struct peer *peer = peer_open(bench);
    turn(bench);
    bench = next_of(bench, 1, "");
    say_hello(bench, peer);
    end(bench, peer);
}
END_TEST

START_TEST(those_that_are_not_done_in_time_are_cut_off)
{
    struct bench *bench = bench_open("");
    struct peer *peer = connected(bench);
    struct peer *quiet = connected(bench);
    bench->store.defer = true;
    ask(bench, peer, 1, 1);
    connections_leave(&bench->host);
    connections_abort(&bench->host);
    scripted_answer(&bench->store, 0, bench->host.now);
    converse(bench, peer);
    ck_assert(peer->closed);
    peer_free(peer);
    bench = next_of(bench, 1, "");
    go_on(bench, quiet);
}
END_TEST

UNIT_MAIN("connection_leave", a_quiet_connection_is_left_at_once_and_goes_on,
          what_is_pending_is_answered_first_and_what_comes_meanwhile_afterwards, no_frame_is_torn,
          a_slow_reader_has_read_its_answers_when_it_is_left, who_has_closed_is_not_left,
          who_may_send_larger_frames_than_are_read_now_has_to_ask_anew,
          who_comes_late_is_left_as_he_is, those_that_are_not_done_in_time_are_cut_off)
