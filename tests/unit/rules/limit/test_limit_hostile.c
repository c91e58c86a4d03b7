#include "run.h"

/* Whatever comes - times in any order, units given back at any time, limits changed by a reload,
 * states that no limit made - never is more granted than the promise, nobody is refused for longer
 * than the limit can cause, and those who are refused change nothing. */

#define TRACES 1000
#define STEPS  150

static uint64_t tolerated(const struct limit *limit)
{
    return limit->window > LIMIT_LATE_MAX ? limit->window : LIMIT_LATE_MAX;
}

/* A time that may be late, but not so late that the clock must have been set back. */
static uint64_t some_time(struct run *run)
{
    const struct limit *limit = &run->key.limit;
    uint64_t late = 0;
    switch (random_below(&run->random, 6)) {
    case 0:
        late = random_below(&run->random, limit->window);
        break;
    case 1:
        late = random_below(&run->random, limit->window / (limit->units + 1) + 1);
        break;
    case 2:
        late = random_below(&run->random, 8) ? random_below(&run->random, 3)
                                             : random_below(&run->random, tolerated(limit) + 1);
        break;
    default:
        break;
    }
    return late < run->now ? run->now - late : 0;
}

static void check_bounds(const struct run *run, struct limit_result r, uint64_t wanted)
{
    const struct limit *limit = &run->key.limit;
    expect(r.granted <= wanted);
    expect(r.granted + r.remaining <= limit_capacity(limit));
    if (r.granted == wanted)
        expect(r.retry_after == 0);
    else if (wanted > limit_capacity(limit))
        expect(r.retry_after == LIMIT_NEVER);
    else
        expect(r.retry_after > 0 && r.retry_after <= longest_wait(limit));
    expect(r.reset_after <= longest_wait(limit));
}

static struct limit_result take_within_promise(struct run *run, uint64_t now, uint64_t wanted)
{
    struct key before = key_clone(&run->key);
    struct limit_result r = key_take(&run->key, now, wanted);
    check_bounds(run, r, wanted);
    expect(reference_admits(&run->reference, now, r.granted));
    expect(r.granted || key_same(&run->key, &before));
    reference_note(&run->reference, now, r.granted);
    key_close(&before);
    return r;
}

/* Gives back some of some earlier grant. */
static void give_some(struct run *run, struct key *twin)
{
    if (run->reference.count == 0)
        return;
    size_t back = random_below(&run->random, run->reference.count < 8 ? run->reference.count : 8);
    struct reference_grant *grant = &run->reference.grants[run->reference.count - 1 - back];
    uint64_t units = random_below(&run->random, grant->units + 1);
    uint64_t now = some_time(run);
    if (now < grant->asked_at)
        now = grant->asked_at;
    key_give(&run->key, now, grant->asked_at, units);
    if (twin)
        key_give(twin, now, grant->asked_at, units);
    grant->units -= units;
}

static void trace_in_any_order(struct random *random, enum limit_algorithm algorithm)
{
    struct run run;
    run_open(&run, random, algorithm);
    for (int i = 0; i < STEPS; i++) {
        uint64_t wanted = trace_wanted(&run.random, &run.key.limit);
        struct limit_result last = take_within_promise(&run, some_time(&run), wanted);
        if (random_below(&run.random, 3) == 0)
            give_some(&run, NULL);
        run.now += trace_gap(&run.random, &run.key.limit, run.now, &last);
    }
    run_close(&run);
}

START_TEST(never_over_the_promise_in_any_order)
{
    struct random random = random_open("never_over_the_promise_in_any_order");
    for (int i = 0; i < TRACES * LIMIT_ALGORITHMS; i++)
        trace_in_any_order(&random, (enum limit_algorithm)(i % LIMIT_ALGORITHMS));
}
END_TEST

/* The twin is spared all that is refused, and yet is answered the same. */
static void trace_with_twin(struct random *random, enum limit_algorithm algorithm)
{
    struct run all;
    struct run *run = &all;
    run_open(run, random, algorithm);
    struct key twin = key_clone(&run->key);
    for (int i = 0; i < STEPS; i++) {
        uint64_t wanted = trace_wanted(&run->random, &run->key.limit);
        uint64_t now = some_time(run);
        struct limit_result r = take_within_promise(run, now, wanted);
        struct limit_result spared = key_peek(&twin, now, wanted);
        expect(result_equal(r, spared));
        if (spared.granted)
            key_take(&twin, now, wanted);
        for (int hammer = 0; hammer < 5; hammer++) {
            uint64_t when = some_time(run);
            if (key_peek(&twin, when, 1).granted == 0)
                key_take(&run->key, when, 1);
        }
        if (random_below(&run->random, 4) == 0)
            give_some(run, &twin);
        run->now += trace_gap(&run->random, &run->key.limit, run->now, &r);
    }
    key_close(&twin);
    run_close(run);
}

START_TEST(the_refused_change_nothing)
{
    struct random random = random_open("the_refused_change_nothing");
    for (int i = 0; i < TRACES * LIMIT_ALGORITHMS; i++)
        trace_with_twin(&random, (enum limit_algorithm)(i % LIMIT_ALGORITHMS));
}
END_TEST

/* However far the clock is set back, who is refused then is granted after the longer of a window
 * and a minute and the longest wait of the limit, if nobody else takes any. */
static void trace_set_back(struct random *random, enum limit_algorithm algorithm)
{
    struct run all;
    struct run *run = &all;
    run_open(run, random, algorithm);
    run->now += 3 * LIMIT_LATE_MAX;
    for (int i = 0; i < STEPS; i++) {
        uint64_t wanted = trace_wanted(&run->random, &run->key.limit);
        struct limit_result last = key_take(&run->key, run->now, wanted);
        check_bounds(run, last, wanted);
        run->now += trace_gap(&run->random, &run->key.limit, run->now, &last);
    }
    uint64_t back = tolerated(&run->key.limit);
    back = random_below(&run->random, 2) ? back - 2 + random_below(&run->random, 4)
                                         : random_below(&run->random, run->now);
    run->now -= back < run->now ? back : run->now;
    uint64_t wanted = trace_wanted(&run->random, &run->key.limit);
    struct limit_result r = key_take(&run->key, run->now, wanted);
    check_bounds(run, r, wanted);
    if (r.granted == 0 && wanted <= limit_capacity(&run->key.limit)) {
        run->now += tolerated(&run->key.limit) + longest_wait(&run->key.limit);
        expect(key_take(&run->key, run->now, wanted).granted == wanted);
    }
    run_close(run);
}

START_TEST(a_clock_set_back_refuses_for_a_bounded_time)
{
    struct random random = random_open("a_clock_set_back_refuses_for_a_bounded_time");
    for (int i = 0; i < TRACES * LIMIT_ALGORITHMS; i++)
        trace_set_back(&random, (enum limit_algorithm)(i % LIMIT_ALGORITHMS));
}
END_TEST

/* After a reload the new limit's promise holds for what is granted from then on, and its waits are
 * exact. */
static void check_reloaded(struct run *run)
{
    for (int i = 0; i < STEPS / 10; i++) {
        uint64_t wanted = trace_wanted(&run->random, &run->key.limit);
        struct key before = key_clone(&run->key);
        struct limit_result r = take_within_promise(run, run->now, wanted);
        if (r.retry_after && r.retry_after != LIMIT_NEVER) {
            expect(key_peek(&before, run->now + r.retry_after, wanted).granted == wanted);
            expect(key_peek(&before, run->now + r.retry_after - 1, wanted).granted < wanted);
        }
        key_close(&before);
        run->now += trace_gap(&run->random, &run->key.limit, run->now, &r);
    }
}

static void trace_reloads(struct random *random, enum limit_algorithm algorithm)
{
    struct run run = {.now = trace_start(random)};
    run.random.state = random_next(random);
    /* A log with room for every limit to come. */
    run.key = key_open((struct limit){algorithm, 50, LIMIT_WINDOW_MIN, 50});
    for (int reload = 0; reload < 10; reload++) {
        struct limit limit = trace_limit(&run.random, algorithm);
        if (random_below(&run.random, 2))
            limit.window = run.key.limit.window;
        if (limit_check(&limit))
            continue;
        run.key.limit = limit;
        reference_open(&run.reference, &limit);
        check_reloaded(&run);
        reference_close(&run.reference);
    }
    key_close(&run.key);
}

START_TEST(reloads)
{
    struct random random = random_open("reloads");
    for (int i = 0; i < TRACES * LIMIT_ALGORITHMS; i++)
        trace_reloads(&random, (enum limit_algorithm)(i % LIMIT_ALGORITHMS));
}
END_TEST

static uint64_t rubbish(struct run *run)
{
    switch (random_below(&run->random, 5)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX - random_below(&run->random, 3);
    case 2:
        return run->now + random_below(&run->random, 3 * LIMIT_WINDOW_MIN);
    case 3:
        return run->now - random_below(&run->random, run->now + 1);
    default:
        return random_next(&run->random) >> random_below(&run->random, 64);
    }
}

/* A state that no limit can have made answers within bounds, and is as new after a while. */
START_TEST(rubbish_states)
{
    struct random random = random_open("rubbish_states");
    for (int i = 0; i < 100 * TRACES * LIMIT_SLIDING_LOG; i++) { /* a log isn't the store's bytes */
        struct run all;
        struct run *run = &all;
        run_open(run, &random, (enum limit_algorithm)(i % LIMIT_SLIDING_LOG));
        const struct limit *limit = &run->key.limit;
        run->key.state = (struct limit_state){
            .sliding = {.start = rubbish(run), .current = rubbish(run), .previous = rubbish(run)}};
        uint64_t wanted = trace_wanted(&run->random, limit);
        check_bounds(run, key_take(&run->key, run->now, wanted), wanted);
        key_give(&run->key, run->now, rubbish(run), rubbish(run));
        check_bounds(run, key_peek(&run->key, run->now, wanted), wanted);
        run->now += tolerated(limit) + 2 * longest_wait(limit);
        wanted = limit_capacity(limit);
        expect(key_peek(&run->key, run->now, wanted).granted == wanted);
        run_close(run);
    }
}
END_TEST

UNIT_MAIN("limit_hostile", never_over_the_promise_in_any_order, the_refused_change_nothing,
          a_clock_set_back_refuses_for_a_bounded_time, reloads, rubbish_states)
