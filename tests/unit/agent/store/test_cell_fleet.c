#include "cell_fleet.h"
#include "main.h"
#include "tests/oracle/measure.h"

/* Properties of cells in a simulated fleet (cell_fleet.h). Each run has limits, agents and events
 * of its own. */

#define RUNS  1200
#define STEPS 1500

static const char *const algorithm_names[] = {"fixed-window", "sliding-window", "token-bucket",
                                              "sliding-log"};

/* Units and burst can be divided by 20: a lease's life and share of them are whole. */
static struct limit any_limit(struct random *random, enum limit_algorithm algorithm)
{
    static const uint64_t windows[] = {SECOND, 2 * SECOND, 20 * SECOND};
    return (struct limit){
        .algorithm = algorithm,
        .units = 20 + 20 * random_below(random, 10),
        .window = windows[random_below(random, 3)],
        .burst = algorithm == LIMIT_TOKEN_BUCKET ? 20 + 20 * random_below(random, 5) : 0,
    };
}

static bool is_window(enum limit_algorithm algorithm)
{
    return algorithm == LIMIT_FIXED_WINDOW || algorithm == LIMIT_SLIDING_WINDOW;
}

/* What a run has of its own. */
static void vary(struct fleet_options *options, enum limit_algorithm algorithm,
                 struct random *random)
{
    options->limits[0] = any_limit(random, algorithm);
    options->limits[1] = options->limits[0];
    options->limits[1].units = 20 + 20 * random_below(random, 10);
    options->agents = 1 + (unsigned)random_below(random, FLEET_AGENTS_MAX);
    options->probes = (unsigned)random_below(random, 2) * 20;
    if (options->step)
        options->step = 1 + options->limits[0].window / (5 + random_below(random, 200));
}

/* ---- the promise --------------------------------------------------------------------------- */

static int by_time(const void *left, const void *right)
{
    const struct decision *a = left;
    const struct decision *b = right;
    return (a->time > b->time) - (a->time < b->time);
}

/* The units that Redis admitted and that were not given back, and those that are charged for late
 * takes, at the server's clock: when they were charged, or when those of leases were spent. */
static uint64_t excess_of(const struct fleet *fleet, const struct limit *promise, bool when_spent)
{
    static struct decision decisions[FLEET_TAKES_MAX * 8];
    size_t count = 0;
    for (size_t i = 0; i < fleet->take_count; i++) {
        const struct fleet_take *take = &fleet->takes[i];
        bool spent = when_spent && take->take.source == STORE_SOURCE_LEASE;
        for (uint64_t unit = 0; unit < fleet_charge(take); unit++)
            decisions[count++] = (struct decision){
                .time = spent ? take->answered_at : take->take.taken_at, .allowed = true};
    }
    for (size_t i = 0; i < fleet->late_count; i++)
        for (uint64_t unit = 0; unit < fleet->late[i].units; unit++)
            decisions[count++] =
                (struct decision){.time = fleet->late[i].taken_at, .allowed = true};
    qsort(decisions, count, sizeof(decisions[0]), by_time);
    for (size_t i = 0; i < count; i++)
        decisions[i].order = (uint32_t)i;
    return measure(promise, decisions, count).excess;
}

static void expect_promise(const struct fleet *fleet, const struct limit *promise, bool when_spent)
{
    ck_assert_msg(excess_of(fleet, promise, when_spent) == 0,
                  "%s, %" PRIu64 " units of %" PRIu64 " us, burst %" PRIu64 ", %u agents: %" PRIu64
                  " too many",
                  algorithm_names[promise->algorithm], promise->units, promise->window,
                  promise->burst, fleet->options.agents, excess_of(fleet, promise, when_spent));
}

/* Where a unit counts when it is spent, two bounds hold. What is admitted in a span of time is at
 * most what the limit admits in it and all that is held in leases when it begins, which is at most
 * a share of what the key can have ... */
static struct limit with_a_share_more(const struct limit *limit)
{
    struct limit more = *limit;
    if (limit->algorithm == LIMIT_TOKEN_BUCKET)
        more.burst += limit->burst / CELL_LEASE_SHARE;
    else if (limit->algorithm == LIMIT_SLIDING_LOG)
        more.units += limit->units / CELL_LEASE_SHARE;
    return more;
}

/* ... and at most what the limit admits in a span that is longer by a lease's life. */
static struct limit with_a_life_more(const struct limit *limit)
{
    struct limit more = *limit;
    uint64_t life = cell_lease_life(limit);
    if (limit->algorithm == LIMIT_TOKEN_BUCKET)
        more.burst += limit->units * life / limit->window;
    else if (limit->algorithm == LIMIT_SLIDING_LOG)
        more.window -= life;
    return more;
}

/* Returns how many units were granted from leases. */
static uint64_t check_promise(struct fleet_options options, struct random *random)
{
    uint64_t leased = 0;
    for (int run = 0; run < RUNS; run++) {
        enum limit_algorithm algorithm = (enum limit_algorithm)(run % LIMIT_ALGORITHMS);
        vary(&options, algorithm, random);
        options.commands = is_window(algorithm) && random_below(random, 2);
        struct fleet *fleet = fleet_open(&options, random);
        fleet_steps(fleet, STEPS);
        const struct limit *limit = &options.limits[0];
        struct limit share = with_a_share_more(limit);
        struct limit life = with_a_life_more(limit);
        expect_promise(fleet, limit, false);
        expect_promise(fleet, &share, true);
        expect_promise(fleet, &life, true);
        leased += fleet->granted_from_leases;
        fleet_free(fleet);
    }
    return leased;
}

START_TEST(never_is_more_admitted_than_the_promise)
{
    struct random random = random_open("promise");
    struct fleet_options options = {
        .step = 1, .wanted_max = 5, .gives = true, .late = true, .losses = true, .settled = true};
    check_promise(options, &random);
}
END_TEST

START_TEST(never_is_more_admitted_than_the_promise_with_leases)
{
    struct random random = random_open("promise-leased");
    struct fleet_options options = {.step = 1,
                                    .wanted_max = 5,
                                    .leased = 80,
                                    .gives = true,
                                    .late = true,
                                    .losses = true,
                                    .settled = true};
    ck_assert_uint_gt(check_promise(options, &random), 10 * (uint64_t)RUNS);
}
END_TEST

/* A take may be charged after its window has ended. It is still one of its window. */
START_TEST(no_window_admits_more_than_its_units_however_late_its_takes_arrive)
{
    struct random random = random_open("windows");
    struct fleet_options options = {.step = 1,
                                    .wanted_max = 5,
                                    .leased = 50,
                                    .gives = true,
                                    .late = true,
                                    .losses = true,
                                    .reloads = true,
                                    .commands = true};
    for (int run = 0; run < RUNS; run++) {
        vary(&options, run % 2 ? LIMIT_FIXED_WINDOW : LIMIT_SLIDING_WINDOW, &random);
        struct fleet *fleet = fleet_open(&options, &random);
        fleet_steps(fleet, STEPS);
        struct limit promise = options.limits[options.limits[1].units > options.limits[0].units];
        promise.algorithm = LIMIT_FIXED_WINDOW;
        expect_promise(fleet, &promise, false);
        expect_promise(fleet, &promise, true);
        fleet_free(fleet);
    }
}
END_TEST

/* ---- nothing is lost ----------------------------------------------------------------------- */

/* When nothing is lost on the way, the server counts exactly what was admitted and not given back;
 * otherwise no less, and more only by what was lost. */
static void check_nothing_lost(struct fleet_options options, struct random *random)
{
    uint64_t step = options.step;
    for (int run = 0; run < RUNS; run++) {
        enum limit_algorithm algorithm = (enum limit_algorithm)(run % LIMIT_ALGORITHMS);
        bool bucket = algorithm == LIMIT_TOKEN_BUCKET;
        /* A bucket that refills forgets what was given back in the meantime, and what a unit is of
         * it depends on its limit. */
        options.step = bucket ? 0 : step;
        options.reloads = !bucket && random_below(random, 2);
        vary(&options, algorithm, random);
        options.commands = is_window(algorithm) && random_below(random, 2);
        struct fleet *fleet = fleet_open(&options, random);
        for (int rest = 0; rest < 4; rest++) {
            fleet_steps(fleet, STEPS / 4);
            fleet_rest(fleet);
            ck_assert_uint_ge(fleet_counted(fleet), fleet_owed(fleet));
            ck_assert_uint_le(fleet_counted(fleet), fleet_owed(fleet) + fleet->stranded);
        }
        fleet_free(fleet);
    }
}

START_TEST(what_is_given_back_is_there_again)
{
    struct random random = random_open("lost");
    struct fleet_options options = {.step = 1, .wanted_max = 5, .gives = true, .late = true};
    check_nothing_lost(options, &random);
    options.losses = true;
    check_nothing_lost(options, &random);
}
END_TEST

START_TEST(what_leases_do_not_use_is_there_again)
{
    struct random random = random_open("lost-leased");
    struct fleet_options options = {
        .step = 1, .wanted_max = 5, .leased = 80, .gives = true, .late = true};
    check_nothing_lost(options, &random);
    options.losses = true;
    check_nothing_lost(options, &random);
}
END_TEST

/* ---- what is known ------------------------------------------------------------------------- */

/* Of the only agent of a fleet: no less than is true, as nobody else takes or gives. */
static uint64_t expect_known(const struct fleet *fleet)
{
    const struct limit *limit = &fleet->options.limits[0];
    const struct cell *cell = &fleet->agents[0].cell;
    uint64_t capacity = limit_capacity(limit);
    uint64_t known = cell_known(cell, limit, fleet_clock(fleet, 0));
    UNIT_ASSERT(known <= capacity);
    UNIT_ASSERT(known >= capacity - fleet_available(fleet, limit));
    return known;
}

START_TEST(what_is_known_falls_with_time_and_no_faster_than_what_is_true)
{
    struct random random = random_open("known");
    struct fleet_options options = {.step = 1};
    for (int run = 0; run < RUNS; run++) {
        enum limit_algorithm algorithm = (enum limit_algorithm)(run % LIMIT_ALGORITHMS);
        vary(&options, algorithm, &random);
        options.agents = 1;
        /* To a bucket less comes back than was taken, by what it has refilled meanwhile: here
         * nothing does. */
        bool bucket = algorithm == LIMIT_TOKEN_BUCKET;
        options.wanted_max = bucket ? 1 : 5;
        options.leased = bucket ? 0 : 50;
        struct fleet *fleet = fleet_open(&options, &random);
        for (int rest = 0; rest < 10; rest++) {
            fleet_steps(fleet, STEPS / 10);
            fleet_rest(fleet);
            uint64_t known = expect_known(fleet);
            for (int i = 0; i < 20; i++) {
                fleet_pass(fleet, random_below(&random, options.limits[0].window / 5));
                uint64_t less = expect_known(fleet);
                UNIT_ASSERT(less <= known);
                known = less;
            }
        }
        fleet_free(fleet);
    }
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------ */

/* Where nothing is given back, what is remembered of a refusal is what the server would say. In
 * redis_limit.h's sliding window a surplus is given back: then only of one agent. */
START_TEST(a_refusal_is_remembered_for_no_longer_than_it_is_true)
{
    struct random random = random_open("denied");
    struct fleet_options options = {.step = 1, .losses = true, .denials_hold = true};
    uint64_t denied = 0;
    for (int run = 0; run < RUNS; run++) {
        enum limit_algorithm algorithm = (enum limit_algorithm)(run % LIMIT_ALGORITHMS);
        vary(&options, algorithm, &random);
        options.commands = is_window(algorithm) && random_below(&random, 2);
        if (options.commands && algorithm == LIMIT_SLIDING_WINDOW)
            options.agents = 1;
        struct fleet *fleet = fleet_open(&options, &random);
        fleet_steps(fleet, STEPS);
        denied += fleet->denied_from_memory;
        fleet_free(fleet);
    }
    ck_assert_uint_gt(denied, 10 * (uint64_t)RUNS);
}
END_TEST

/* ---- together ------------------------------------------------------------------------------ */

START_TEST(takes_get_together_what_they_would_get_one_by_one)
{
    struct random random = random_open("together");
    struct fleet_options options = {.step = 1, .wanted_max = 8, .gives = true};
    for (int run = 0; run < RUNS; run++) {
        vary(&options, (enum limit_algorithm)(run % LIMIT_ALGORITHMS), &random);
        options.limits[0].units = 1 + random_below(&random, 8);
        if (options.limits[0].burst)
            options.limits[0].burst = 1 + random_below(&random, 8);
        options.leased = (unsigned)random_below(&random, 2) * 50;
        struct fleet *fleet = fleet_open(&options, &random);
        fleet_steps(fleet, STEPS);
        fleet_free(fleet);
    }
}
END_TEST

UNIT_MAIN("cell_fleet", never_is_more_admitted_than_the_promise,
          never_is_more_admitted_than_the_promise_with_leases,
          no_window_admits_more_than_its_units_however_late_its_takes_arrive,
          what_is_given_back_is_there_again, what_leases_do_not_use_is_there_again,
          what_is_known_falls_with_time_and_no_faster_than_what_is_true,
          a_refusal_is_remembered_for_no_longer_than_it_is_true,
          takes_get_together_what_they_would_get_one_by_one)
