/* Keys that somebody else has written: no take or give of one is answered, whatever is in it, and
 * what only looks like one of ours grants no more than a key never seen would.
 *
 *     redis_rubbish ADDRESS */
#include <inttypes.h>

#include "random.h"
#include "server.h"

#define LIMIT_UNITS 10

struct subject {
    struct server *server;
    struct random random;
    struct limit limit;
    const char *key;
    uint64_t now;
    char name[SERVER_KEY_MAX]; /* of the key that a take is of */
};

static struct redis_limit_request request_of(const struct subject *subject, uint64_t units)
{
    return (struct redis_limit_request){
        .limit = &subject->limit,
        .key = slice_of_string(subject->key),
        .units = units,
        .now = subject->now,
        .first = redis_limit_first(&subject->limit, 0, subject->now),
        .taken_at = subject->now,
    };
}

static void check_refused(struct subject *subject)
{
    struct redis_limit_outcome outcome;
    if (server_take(subject->server, request_of(subject, 1), &outcome) != REDIS_LIMIT_FAILED)
        fail("%s: a take of rubbish was answered", subject->name);
    if (server_give(subject->server, request_of(subject, 1)) != REDIS_LIMIT_FAILED)
        fail("%s: a give to rubbish was answered", subject->name);
    if (server_ask(subject->server, "DEL %s", subject->name) != 1)
        fail("%s: the rubbish is gone", subject->name);
}

static void run_rubbish(struct subject *subject)
{
    static const char *const texts[] = {
        "rubbish", "1e3", "9999999999999999999999", "0x10",
        "1.5",     " 1",  "b234567890123456789",    "l23456789012345"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        server_ask(subject->server, "SET %s %s", subject->name, texts[i]);
        check_refused(subject);
    }
    server_ask(subject->server, "RPUSH %s 1 2 3", subject->name);
    check_refused(subject);
    server_ask(subject->server, "HSET %s a b", subject->name);
    check_refused(subject);
    server_ask(subject->server, "SETBIT %s 80000000 1", subject->name); /* 10 MB */
    check_refused(subject);
}

/* ---- counters ------------------------------------------------------------------------------ */

static void check_counter(struct subject *subject, const char *count,
                          enum redis_limit_status expected, int64_t expected_after)
{
    struct redis_limit_outcome outcome;
    server_ask(subject->server, "SET %s %s", subject->name, count);
    enum redis_limit_status status =
        server_take(subject->server, request_of(subject, LIMIT_UNITS), &outcome);
    int64_t after = server_ask(subject->server, "INCRBY %s 0", subject->name);
    if (status != expected || outcome.result.granted || after != expected_after)
        fail("%s: of a counter at %s %" PRIu64 " units were granted, and it is at %" PRId64,
             subject->name, count, outcome.result.granted, after);
    server_ask(subject->server, "DEL %s", subject->name);
}

/* What a take draws it gives back, whether or not it can be answered; but not so far that nothing
 * would be left, so that a counter below nothing is lifted. */
static void run_counters(struct subject *subject)
{
    check_counter(subject, "-1", REDIS_LIMIT_FAILED, 0);
    check_counter(subject, "-1000000000000", REDIS_LIMIT_FAILED, -1000000000000 + LIMIT_UNITS);
    check_counter(subject, "9000000000000000000", REDIS_LIMIT_ANSWERED, 9000000000000000000);
    check_counter(subject, "9223372036854775807", REDIS_LIMIT_FAILED, INT64_MAX);
    if (subject->limit.algorithm != LIMIT_SLIDING_WINDOW)
        return;
    char before[SERVER_KEY_MAX];
    server_key(&subject->limit, subject->key, subject->now - subject->limit.window, before);
    server_ask(subject->server, "SET %s rubbish", before);
    check_counter(subject, "5", REDIS_LIMIT_FAILED, 5);
    server_ask(subject->server, "SET %s -1", before);
    check_counter(subject, "5", REDIS_LIMIT_FAILED, 5);
    server_ask(subject->server, "DEL %s", before);
}

/* ---- what scripts read --------------------------------------------------------------------- */

#define RUNS_MAX 140

/* The right size and tag, and nonsense in it. Returns its size. */
static size_t write_nonsense(struct random *random, bool bucket, uint8_t value[23 + 14 * RUNS_MAX])
{
    uint64_t runs = random_below(random, random_below(random, 2) ? 10 : RUNS_MAX + 1);
    size_t size = bucket ? 19 : 23 + 14 * (size_t)runs;
    for (size_t i = 1; i < size; i++) {
        bool zero = i % 7 < 5 && random_below(random, 8);
        value[i] = zero ? 0 : (uint8_t)random_next(random);
    }
    value[0] = bucket ? 'b' : 'l';
    if (!bucket) {
        writer_put_uint32(&value[1], (uint32_t)random_below(random, runs + 2));
        writer_put_uint32(&value[5], (uint32_t)(runs + random_below(random, 10) / 9));
    }
    return size;
}

static void check_nonsense(struct subject *subject)
{
    uint8_t value[23 + 14 * RUNS_MAX];
    size_t size =
        write_nonsense(&subject->random, subject->limit.algorithm == LIMIT_TOKEN_BUCKET, value);
    server_ask(subject->server, "SET %s %b", subject->name, value, size);

    struct redis_limit_outcome outcome;
    struct redis_limit_request request =
        request_of(subject, 1 + random_below(&subject->random, LIMIT_UNITS + 2));
    server_take(subject->server, request, &outcome);
    if (outcome.result.granted > request.units || outcome.result.granted > LIMIT_UNITS)
        fail("%s: of nonsense %" PRIu64 " units were granted", subject->name,
             outcome.result.granted);
    request.taken_at = random_below(&subject->random, 2 * subject->now);
    server_give(subject->server, request);
    server_ask(subject->server, "DEL %s", subject->name);
}

static void run(struct server *server, enum limit_algorithm algorithm)
{
    struct subject subject = {
        .server = server,
        .random = random_open(limit_algorithm_name(algorithm)),
        .limit = {algorithm, LIMIT_UNITS, 3600000000, LIMIT_UNITS},
        .key = "{rubbish}",
        .now = server_time(server),
    };
    server_key(&subject.limit, subject.key, subject.now, subject.name);
    server_ask(server, "DEL %s", subject.name);
    run_rubbish(&subject);
    if (algorithm == LIMIT_FIXED_WINDOW || algorithm == LIMIT_SLIDING_WINDOW)
        run_counters(&subject);
    else
        for (int i = 0; i < 2000; i++)
            check_nonsense(&subject);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        fail("usage: redis_rubbish ADDRESS");
    struct server server;
    server_open(&server, argv[1]);
    for (int i = 0; i < LIMIT_ALGORITHMS; i++)
        run(&server, (enum limit_algorithm)i);
    server_close(&server);
    return EXIT_SUCCESS;
}
