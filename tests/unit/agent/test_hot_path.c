/* Decisions as most are: a memory store, and many NOTIFYs in what is read at once. */
#include "agent/connection_bench.h"
#include "allocations.h"
#include "main.h"

static uint64_t allocations;

static bool fails(void)
{
    allocations++;
    return false;
}

static const char rules[] =
    "listen: tcp://127.0.0.1:0\n"
    "rules:\n"
    "  - { name: open, match: { path: /open }, key: user, limits: { limit: 900000, window: 1d } }\n"
    "  - { name: shut, match: { path: /shut }, key: user, limits: { limit: 1, window: 1d } }\n"
    "  - { name: slow, match: { path: /slow }, key: user, mode: delay, max_delay: 1m,\n"
    "      limits: { algorithm: token-bucket, limit: 10000, burst: 1, window: 1s } }\n"
    "  - { name: both, match: { path: { prefix: /s } }, key: [ user, src ],\n"
    "      limits: [ { limit: 900000, window: 1d }, { limit: 800000, window: 1h } ] }\n";

#define USERS 100

static void write_request(struct writer *w, uint64_t stream)
{
    static const char *const paths[] = {"/open", "/shut", "/slow"};
    char user[32];
    struct value src = {.type = VALUE_IPV4, .address = {192, 0, 2, 1}};
    struct value path = {.type = VALUE_STRING, .bytes = slice_of_string(paths[stream % 3])};
    snprintf(user, sizeof(user), "user-%03u", (unsigned)(stream % USERS));
    struct value name = {.type = VALUE_STRING, .bytes = slice_of_string(user)};
    uint8_t *frame = spop_frame_begin(w, SPOP_FRAME_NOTIFY, SPOP_FLAG_FIN, stream, 1);
    spop_write_message(w, SLICE("m"), 5);
    spop_write_argument(w, SLICE("src"), &src);
    spop_write_argument(w, SLICE("path"), &path);
    spop_write_argument(w, SLICE("user"), &name);
    spop_write_argument(w, SLICE("method"), &path);
    spop_write_argument(w, SLICE("host"), &name);
    ck_assert(spop_frame_end(w, frame, FRAME_MAX));
}

/* ---- in their order ------------------------------------------------------------------------ */

/* However many are begun before the store is asked, and whatever ends them. */
START_TEST(answers_come_in_order_and_before_the_goodbye)
{
    for (uint64_t count = 0; count < 40; count++) {
        struct bench *bench = bench_with(rules, false);
        struct peer *peer = peer_open(bench);
        static uint8_t bytes[16384];
        struct writer w = writer_open(bytes, sizeof(bytes));
        write_hello(&w, FRAME_MAX);
        for (uint64_t stream = 1; stream <= count; stream++)
            write_request(&w, stream);
        if (count % 2) /* a payload, or a frame, that is malformed */
            writer_bytes(&w, slice_of("\0\0\0\x0a\3\0\0\0\1\1\1\5no", 14));
        else
            writer_bytes(&w, slice_of("\0\0\0\1\3", 5));
        peer_send(bench, peer, writer_slice(&w));
        converse(bench, peer);
        ck_assert_uint_eq(peer->acks, count);
        ck_assert_int_eq(peer->disconnect, SPOP_INVALID);
        ck_assert_uint_eq(counter_read(&engine_counters(bench->host.engine)->allowed) +
                              counter_read(&engine_counters(bench->host.engine)->refused),
                          count);
        peer_free(peer);
        bench_close(bench);
    }
}
END_TEST

/* ---- without allocation -------------------------------------------------------------------- */

#define AT_ONCE   600
#define DECISIONS 1000000

/* Sends the same requests again and reads what is answered, by the frames' lengths alone.
 * (Check itself allocates at each of its assertions.) */
static void decide(struct bench *bench, struct peer *peer, struct slice requests)
{
    size_t acks = 0;
    ssize_t sent = send(peer->fd, requests.data, requests.size, MSG_NOSIGNAL);
    UNIT_ASSERT(sent == (ssize_t)requests.size);
    while (acks < AT_ONCE) {
        turn(bench);
        ssize_t got = recv(peer->fd, peer->bytes + peer->size, sizeof(peer->bytes) - peer->size, 0);
        if (got > 0)
            peer->size += (size_t)got;
        struct spop_frame frame;
        size_t at = 0;
        for (int64_t size; (size = spop_frame_decode(slice_of(peer->bytes + at, peer->size - at),
                                                     FRAME_MAX, &frame));
             at += (size_t)size, acks++)
            UNIT_ASSERT(size > 0 && frame.type == SPOP_FRAME_ACK);
        memmove(peer->bytes, peer->bytes + at, peer->size - at);
        peer->size -= at;
    }
    bench->host.now += 100;
}

START_TEST(a_million_decisions_allocate_nothing)
{
    static uint8_t bytes[AT_ONCE * 128];
    struct bench *bench = bench_with(rules, false);
    struct peer *peer = peer_open(bench);
    struct writer w = writer_open(bytes, sizeof(bytes));
    const struct engine_counters *counters = engine_counters(bench->host.engine);
    say_hello(bench, peer);
    for (uint64_t stream = 1; stream <= AT_ONCE; stream++)
        write_request(&w, stream);
    decide(bench, peer, writer_slice(&w)); /* keys and buffers come to be */
    decide(bench, peer, writer_slice(&w));

    uint64_t before = allocations;
    for (size_t decided = 0; decided < DECISIONS; decided += AT_ONCE)
        decide(bench, peer, writer_slice(&w));
    ck_assert_uint_eq(allocations, before);
    ck_assert_uint_gt(counter_read(&counters->allowed), DECISIONS / 2);
    ck_assert_uint_gt(counter_read(&counters->refused), DECISIONS / 4);
    ck_assert_uint_gt(counter_read(&counters->delayed), DECISIONS / 4);
    peer_free(peer);
    bench_close(bench);
}
END_TEST

UNIT_MAIN("hot path", answers_come_in_order_and_before_the_goodbye,
          a_million_decisions_allocate_nothing)
