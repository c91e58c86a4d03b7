#include "run.h"

/* On a clock that doesn't go back, every answer is exactly what the algorithm's definition says. */

#define TRACES 1000
#define STEPS  150

static bool admits(const struct run *run, uint64_t time, uint64_t n)
{
    return reference_admits(&run->reference, time, n);
}

/* As many as fit, not one less. */
static void check_granted(const struct run *run, struct limit_result r, uint64_t wanted)
{
    expect(r.granted <= wanted);
    expect(admits(run, run->now, r.granted));
    expect(r.granted == wanted || !admits(run, run->now, r.granted + 1));
}

/* `before` is the key before the take, which is the key with what was granted given back. */
static void check_retry(const struct run *run, const struct key *before, struct limit_result r,
                        uint64_t wanted)
{
    if (r.granted == wanted || wanted > limit_capacity(&run->key.limit)) {
        expect(r.retry_after == (r.granted == wanted ? 0 : LIMIT_NEVER));
        return;
    }
    expect(r.retry_after > 0);
    expect(admits(run, run->now + r.retry_after, wanted));
    expect(!admits(run, run->now + r.retry_after - 1, wanted));
    expect(key_peek(before, run->now + r.retry_after, wanted).granted == wanted);
    expect(key_peek(before, run->now + r.retry_after - 1, wanted).granted < wanted);
}

static void check_remaining(const struct run *run, struct limit_result r, uint64_t wanted)
{
    expect(admits(run, run->now, r.remaining));
    expect(!admits(run, run->now, r.remaining + 1));
    expect(key_peek(&run->key, run->now, r.remaining + 1).granted == r.remaining);
}

static void check_reset(struct run *run, struct limit_result r, uint64_t wanted)
{
    uint64_t capacity = limit_capacity(&run->key.limit);
    uint64_t reset = run->now + r.reset_after;
    if (capacity == 0) {
        expect(r.reset_after == 0);
        return;
    }
    expect(admits(run, reset, capacity));
    expect(r.reset_after == 0 || !admits(run, reset - 1, capacity));
    expect(r.reset_after == 0 || key_peek(&run->key, reset - 1, capacity).granted < capacity);

    /* From then on it can't be told from one never seen. */
    struct key old = key_clone(&run->key);
    struct key new = key_open(run->key.limit);
    struct random random = {run->random.state};
    struct limit_result last = {0};
    for (uint64_t i = 0, now = reset; i < 4; i++) {
        uint64_t n = trace_wanted(&random, &run->key.limit);
        last = key_take(&old, now, n);
        expect(result_equal(last, key_take(&new, now, n)));
        now += trace_gap(&random, &run->key.limit, now, &last);
    }
    key_close(&new);
    key_close(&old);
}

/* Giving back at once what was granted, or a part of it, leaves no trace. */
static void check_undo(struct run *run, const struct key *before, struct limit_result r,
                       uint64_t wanted)
{
    uint64_t kept = random_below(&run->random, r.granted + 1);
    struct key part = key_clone(before);
    if (kept)
        expect(key_take(&part, run->now, kept).granted == kept);
    key_give(&run->key, run->now, run->now, r.granted - kept);
    for (uint64_t later = 0; later < 3; later++) {
        uint64_t now = run->now + later * random_below(&run->random, run->key.limit.window);
        uint64_t n = trace_wanted(&run->random, &run->key.limit);
        expect(result_equal(key_peek(&run->key, now, n), key_peek(&part, now, n)));
    }
    key_close(&part);
    reference_note(&run->reference, run->now, kept);
}

static struct limit_result step(struct run *run)
{
    uint64_t wanted = trace_wanted(&run->random, &run->key.limit);
    struct key before = key_clone(&run->key);

    struct limit_result peeked = key_peek(&run->key, run->now, wanted);
    expect(key_same(&run->key, &before));
    struct limit_result r = key_take(&run->key, run->now, wanted);
    expect(result_equal(r, peeked));
    expect(r.granted || key_same(&run->key, &before));

    check_granted(run, r, wanted);
    check_retry(run, &before, r, wanted);
    if (r.granted && random_below(&run->random, 4) == 0) {
        check_undo(run, &before, r, wanted);
    } else {
        reference_note(&run->reference, run->now, r.granted);
        check_remaining(run, r, wanted);
        check_reset(run, r, wanted);
    }
    key_close(&before);
    return r;
}

static void trace(struct random *random, enum limit_algorithm algorithm)
{
    struct run run;
    run_open(&run, random, algorithm);
    for (int i = 0; i < STEPS; i++) {
        struct limit_result last = step(&run);
        run.now += trace_gap(&run.random, &run.key.limit, run.now, &last);
    }
    run_close(&run);
}

START_TEST(every_answer_is_exact)
{
    struct random random = random_open("every_answer_is_exact");
    for (int i = 0; i < TRACES * LIMIT_ALGORITHMS; i++)
        trace(&random, (enum limit_algorithm)(i % LIMIT_ALGORITHMS));
}
END_TEST

UNIT_MAIN("limit_exact", every_answer_is_exact)
