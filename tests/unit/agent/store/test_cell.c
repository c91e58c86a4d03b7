#include "cell_fleet.h"
#include "main.h"

/* What one sees of cells, in fleets that are led by hand; test_cell_fleet.c leads them by chance.
 */

static struct random unimportant;

static struct fleet *fleet_of(const struct limit *limit, unsigned agents)
{
    struct fleet_options options = {.limits = {*limit, *limit}, .agents = agents};
    struct fleet *fleet = fleet_open(&options, &unimportant);
    fleet->now = START;
    return fleet;
}

static const struct limit of_each_kind[] = {
    {LIMIT_FIXED_WINDOW, 10, MINUTE, 0},
    {LIMIT_SLIDING_WINDOW, 10, MINUTE, 0},
    {LIMIT_TOKEN_BUCKET, 10, MINUTE, 10},
    {LIMIT_SLIDING_LOG, 10, MINUTE, 0},
};

#define KINDS (sizeof(of_each_kind) / sizeof(of_each_kind[0]))

static const struct limit ten = {LIMIT_FIXED_WINDOW, 10, MINUTE, 0};
static const struct limit ten_thousand = {LIMIT_FIXED_WINDOW, 10000, MINUTE, 0};

static void expect_take(int line, const struct fleet_take *take, enum store_source source,
                        uint64_t granted)
{
    ck_assert_msg(take->fate == FLEET_ANSWERED && take->take.source == source &&
                      take->take.result.granted == granted,
                  "line %d: fate %d, source %.*s, %" PRIu64 " granted", line, take->fate,
                  SLICE_ARGS(store_source_name(take->take.source)), take->take.result.granted);
}

/* A take that is answered before anything else happens. */
static struct fleet_take *take_now(struct fleet *fleet, unsigned agent, uint64_t wanted,
                                   bool leased)
{
    struct fleet_take *take = fleet_take(fleet, agent, wanted, leased);
    fleet_deliver_all(fleet);
    return take;
}

/* ---- together ------------------------------------------------------------------------------ */

START_TEST(takes_that_come_while_one_is_under_way_go_together)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    struct fleet_take *takes[13];
    for (size_t i = 0; i < 13; i++)
        takes[i] = fleet_take(fleet, 0, 1, false);
    ck_assert_uint_eq(fleet->batches, 1);
    fleet_deliver_all(fleet);
    ck_assert_uint_eq(fleet->batches, 2);
    for (size_t i = 0; i < 13; i++)
        expect_take(__LINE__, takes[i], STORE_SOURCE_REDIS, i < 10);
    ck_assert_uint_eq(takes[0]->take.result.remaining, 9);
    ck_assert_uint_eq(takes[5]->take.result.remaining, 4);
    ck_assert_uint_eq(takes[9]->take.result.remaining, 0);
    ck_assert_uint_eq(takes[10]->take.result.retry_after, MINUTE);
    fleet_free(fleet);
}
END_TEST

START_TEST(what_one_take_can_not_use_the_next_may)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    take_now(fleet, 0, 8, false);
    fleet_take(fleet, 0, 1, false); /* under way, so that the others go together */
    struct fleet_take *large = fleet_take(fleet, 0, 5, false);
    struct fleet_take *small = fleet_take(fleet, 0, 1, false);
    fleet_deliver_all(fleet);
    expect_take(__LINE__, large, STORE_SOURCE_REDIS, 0);
    expect_take(__LINE__, small, STORE_SOURCE_REDIS, 1);
    ck_assert_uint_eq(fleet_counted(fleet), 10);
    fleet_free(fleet);
}
END_TEST

START_TEST(a_hot_key_costs_one_command_a_round_trip)
{
    struct fleet *fleet = fleet_of(&ten_thousand, 1);
    for (uint64_t round = 0; round < 40; round++) {
        for (int i = 0; i < 50; i++)
            fleet_take(fleet, 0, 1, false);
        ck_assert_uint_eq(fleet->batches, round + 1);
        fleet_execute_all(fleet);
        fleet_deliver_one(fleet, 0);
    }
    fleet_deliver_all(fleet);
    ck_assert_uint_eq(fleet->batches, 41);
    ck_assert_uint_eq(fleet_counted(fleet), 2000);
    fleet_free(fleet);
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------ */

START_TEST(a_refusal_is_remembered_until_a_unit_can_be_had)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    take_now(fleet, 0, 10, false);
    expect_take(__LINE__, take_now(fleet, 0, 1, false), STORE_SOURCE_REDIS, 0);
    uint64_t batches = fleet->batches;
    for (int second = 0; second < 60; second++) {
        struct fleet_take *refused = fleet_take(fleet, 0, 1, false);
        expect_take(__LINE__, refused, STORE_SOURCE_DENIED, 0);
        ck_assert_uint_eq(refused->take.result.retry_after, MINUTE - (uint64_t)second * SECOND);
        fleet_pass(fleet, SECOND);
    }
    ck_assert_uint_eq(fleet->batches, batches);
    expect_take(__LINE__, take_now(fleet, 0, 1, false), STORE_SOURCE_REDIS, 1);
    fleet_free(fleet);
}
END_TEST

/* Those that waited meanwhile are refused by it too. */
START_TEST(a_refusal_answers_those_that_wait)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    take_now(fleet, 0, 10, false);
    uint64_t batches = fleet->batches;
    struct fleet_take *first = fleet_take(fleet, 0, 1, false);
    struct fleet_take *second = fleet_take(fleet, 0, 1, false);
    fleet_deliver_all(fleet);
    expect_take(__LINE__, first, STORE_SOURCE_REDIS, 0);
    expect_take(__LINE__, second, STORE_SOURCE_DENIED, 0);
    ck_assert_uint_eq(fleet->batches, batches + 1);
    fleet_free(fleet);
}
END_TEST

/* When more than one can be had isn't remembered, but when all can. */
START_TEST(a_refusal_tells_those_who_want_more_to_wait_for_longer)
{
    struct fleet *fleet = fleet_of(&of_each_kind[2], 1);
    take_now(fleet, 0, 10, false);
    take_now(fleet, 0, 1, false);
    struct fleet_take *one = fleet_take(fleet, 0, 1, false);
    struct fleet_take *more = fleet_take(fleet, 0, 2, false);
    expect_take(__LINE__, one, STORE_SOURCE_DENIED, 0);
    expect_take(__LINE__, more, STORE_SOURCE_DENIED, 0);
    ck_assert_uint_eq(one->take.result.retry_after, MINUTE / 10);
    ck_assert_uint_eq(more->take.result.retry_after, MINUTE);
    fleet_free(fleet);
}
END_TEST

START_TEST(a_limit_that_was_changed_is_asked_for_at_once)
{
    struct fleet_options options = {
        .limits = {ten, {LIMIT_FIXED_WINDOW, 12, MINUTE, 0}}, .agents = 1, .reloads = true};
    struct fleet *fleet = fleet_open(&options, &unimportant);
    take_now(fleet, 0, 10, false);
    take_now(fleet, 0, 1, false);
    expect_take(__LINE__, take_now(fleet, 0, 1, false), STORE_SOURCE_DENIED, 0);
    fleet->agents[0].limit = 1;
    expect_take(__LINE__, take_now(fleet, 0, 2, false), STORE_SOURCE_REDIS, 2);
    expect_take(__LINE__, take_now(fleet, 0, 1, false), STORE_SOURCE_REDIS, 0);
    expect_take(__LINE__, take_now(fleet, 0, 1, false), STORE_SOURCE_DENIED, 0);
    fleet->agents[0].limit = 0;
    expect_take(__LINE__, take_now(fleet, 0, 1, false), STORE_SOURCE_REDIS, 0);
    fleet_free(fleet);
}
END_TEST

START_TEST(what_is_given_back_by_this_agent_is_had_at_once)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    struct fleet_take *all = take_now(fleet, 0, 10, false);
    take_now(fleet, 0, 1, false);
    fleet_give(fleet, all);
    expect_take(__LINE__, take_now(fleet, 0, 10, false), STORE_SOURCE_REDIS, 10);
    fleet_free(fleet);
}
END_TEST

START_TEST(more_than_can_ever_be_had_is_not_asked_for)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct fleet *fleet = fleet_of(&of_each_kind[i], 1);
        struct fleet_take *never = fleet_take(fleet, 0, 11, false);
        expect_take(__LINE__, never, STORE_SOURCE_MEMORY, 0);
        ck_assert_uint_eq(never->take.result.retry_after, LIMIT_NEVER);
        ck_assert_uint_eq(fleet->batches, 0);
        /* When it is known when the key is as good as new, that is said. */
        take_now(fleet, 0, 10, false);
        never = fleet_take(fleet, 0, 11, false);
        ck_assert_uint_eq(never->take.result.retry_after, LIMIT_NEVER);
        ck_assert_uint_gt(never->take.result.reset_after, 0);
        fleet_free(fleet);
    }
}
END_TEST

START_TEST(a_limit_of_zero_asks_nobody)
{
    struct limit none = {LIMIT_TOKEN_BUCKET, 0, MINUTE, 0};
    struct fleet *fleet = fleet_of(&none, 1);
    struct fleet_take *refused = fleet_take(fleet, 0, 1, true);
    expect_take(__LINE__, refused, STORE_SOURCE_MEMORY, 0);
    ck_assert_uint_eq(refused->take.result.retry_after, LIMIT_NEVER);
    fleet_free(fleet);
}
END_TEST

/* ---- leases -------------------------------------------------------------------------------- */

/* A take a millisecond, and as often a round trip, for so long. */
static void ask(struct fleet *fleet, unsigned agent, uint64_t milliseconds)
{
    for (uint64_t i = 0; i < milliseconds; i++) {
        struct fleet_take *take = take_now(fleet, agent, 1, true);
        ck_assert_uint_eq(take->take.result.granted, 1);
        ck_assert_uint_gt(take->take.result.reset_after, 0);
        fleet_pass(fleet, 1000);
        fleet_upkeep(fleet, agent, false);
    }
}

/* In a window of ten seconds, of which a lease lives for one. */
START_TEST(a_lease_takes_the_place_of_many_commands)
{
    static const struct limit limit = {LIMIT_FIXED_WINDOW, 10000, 10 * SECOND, 0};
    struct fleet *fleet = fleet_of(&limit, 1);
    uint64_t most = 0;
    for (int second = 0; second < 2; second++) {
        for (int i = 0; i < 1000; i++) {
            ask(fleet, 0, 1);
            uint64_t leased = fleet->agents[0].cell.leased;
            most = leased > most ? leased : most;
        }
    }
    /* One of a quarter of what remains would be 2500. */
    ck_assert_uint_le(most, 1000);
    ck_assert_uint_eq(fleet_owed(fleet), 2000);
    ck_assert_uint_eq(fleet_counted(fleet), 2000 + fleet->agents[0].cell.leased);
    ck_assert_uint_le(fleet->batches, 2000 / 100);
    fleet_free(fleet);
}
END_TEST

START_TEST(an_exact_take_spends_no_lease)
{
    struct fleet *fleet = fleet_of(&ten_thousand, 1);
    ask(fleet, 0, 100);
    uint64_t leased = fleet->agents[0].cell.leased;
    ck_assert_uint_gt(leased, 0);
    expect_take(__LINE__, take_now(fleet, 0, 1, false), STORE_SOURCE_REDIS, 1);
    ck_assert_uint_eq(fleet->agents[0].cell.leased, leased);
    fleet_free(fleet);
}
END_TEST

START_TEST(a_lease_that_is_not_used_goes_back_after_its_life)
{
    struct fleet *fleet = fleet_of(&ten_thousand, 1);
    const struct cell *cell = &fleet->agents[0].cell;
    ask(fleet, 0, 100);
    ck_assert_uint_gt(cell->leased, 0);
    ck_assert_uint_gt(fleet_counted(fleet), fleet_owed(fleet));
    uint64_t left = cell->lease_ends - fleet_clock(fleet, 0);
    ck_assert_uint_le(left, cell_lease_life(&ten_thousand));

    fleet_pass(fleet, left - 1);
    fleet_upkeep(fleet, 0, false);
    ck_assert_uint_gt(cell->leased, 0);
    fleet_pass(fleet, 1);
    fleet_upkeep(fleet, 0, false);
    fleet_deliver_all(fleet);
    ck_assert_uint_eq(cell->leased, 0);
    ck_assert_uint_eq(fleet_counted(fleet), fleet_owed(fleet));
    fleet_free(fleet);
}
END_TEST

START_TEST(a_lease_lives_for_a_tenth_of_the_window_up_to_a_limit)
{
    static const struct {
        struct limit limit;
        uint64_t life;
    } cases[] = {
        {{LIMIT_FIXED_WINDOW, 10, SECOND, 0}, SECOND / 10},
        {{LIMIT_SLIDING_WINDOW, 10, 100 * SECOND, 0}, 10 * SECOND},
        {{LIMIT_FIXED_WINDOW, 10, 1000 * SECOND, 0}, 10 * SECOND},
        {{LIMIT_TOKEN_BUCKET, 10, 10 * SECOND, 10}, SECOND},
        {{LIMIT_TOKEN_BUCKET, 10, 1000 * SECOND, 10}, SECOND},
        {{LIMIT_SLIDING_LOG, 10, 1000 * SECOND, 0}, SECOND},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_uint_eq(cell_lease_life(&cases[i].limit), cases[i].life);
}
END_TEST

/* The window ends in less than a lease's life, at the server. */
START_TEST(a_lease_ends_with_its_window)
{
    struct fleet *fleet = fleet_of(&ten_thousand, 1);
    fleet_pass(fleet, MINUTE - 100000);
    ask(fleet, 0, 99);
    ck_assert_uint_gt(fleet->agents[0].cell.leased, 0);
    fleet_pass(fleet, 1000);
    expect_take(__LINE__, take_now(fleet, 0, 1, true), STORE_SOURCE_REDIS, 1);
    ck_assert_uint_eq(fleet_counted(fleet), 1);
    fleet_free(fleet);
}
END_TEST

/* Of a minute's ten thousand units, asked for in a few seconds. */
START_TEST(leases_become_small_as_a_key_runs_out)
{
    struct fleet *fleet = fleet_of(&ten_thousand, 2);
    take_now(fleet, 1, 8500, false);
    uint64_t most = UINT64_MAX;
    for (int i = 0; i < 1500; i++) {
        uint64_t remaining = fleet_available(fleet, &ten_thousand);
        ask(fleet, 0, 1);
        uint64_t leased = fleet->agents[0].cell.leased;
        ck_assert_uint_le(leased, (remaining + leased) / CELL_LEASE_SHARE);
        most = leased && remaining < 100 && leased < most ? leased : most;
    }
    ck_assert_uint_le(most, 100 / CELL_LEASE_SHARE / 2);
    ck_assert_uint_eq(fleet_owed(fleet), 10000);
    ck_assert_uint_eq(fleet_counted(fleet), 10000);
    fleet_free(fleet);
}
END_TEST

static const struct limit large_of_each_kind[] = {
    {LIMIT_FIXED_WINDOW, 1000, MINUTE, 0},
    {LIMIT_SLIDING_WINDOW, 1000, MINUTE, 0},
    {LIMIT_TOKEN_BUCKET, 1000, MINUTE, 1000},
    {LIMIT_SLIDING_LOG, 1000, MINUTE, 0},
};

START_TEST(an_agent_that_is_killed_strands_its_lease_until_the_window_is_over)
{
    for (size_t i = 0; i < KINDS; i++) {
        const struct limit *limit = &large_of_each_kind[i];
        struct fleet *fleet = fleet_of(limit, 4);
        for (unsigned agent = 0; agent < 4; agent++)
            ask(fleet, agent, 20);
        uint64_t counted = fleet_counted(fleet);
        uint64_t leased = fleet->agents[0].cell.leased;
        ck_assert_uint_gt(leased, 0);
        ck_assert_uint_le(leased, limit->units / CELL_LEASE_SHARE / 4);
        fleet_kill(fleet, 0);
        fleet_rest(fleet);
        uint64_t stranded = fleet_counted(fleet) - fleet_owed(fleet);
        if (limit->algorithm != LIMIT_TOKEN_BUCKET) /* it has refilled some of it */
            ck_assert_uint_eq(stranded, leased);
        ck_assert_uint_le(fleet_counted(fleet), counted);
        fleet_pass(fleet, 2 * MINUTE);
        ck_assert_uint_eq(fleet_available(fleet, limit), 1000);
        fleet_free(fleet);
    }
}
END_TEST

/* What one agent holds may come back: so another that was refused asks again. */
START_TEST(what_a_lease_gives_back_another_agent_has_within_a_life)
{
    struct fleet *fleet = fleet_of(&large_of_each_kind[0], 1);
    fleet->options.agents = 2;
    cell_open(&fleet->agents[1].cell);
    ask(fleet, 0, 20);
    uint64_t leased = fleet->agents[0].cell.leased;
    ck_assert_uint_gt(leased, 0);
    take_now(fleet, 1, fleet_available(fleet, &large_of_each_kind[0]), true);
    expect_take(__LINE__, take_now(fleet, 1, 1, true), STORE_SOURCE_REDIS, 0);
    struct fleet_take *denied = take_now(fleet, 1, 1, true);
    expect_take(__LINE__, denied, STORE_SOURCE_DENIED, 0);
    ck_assert_uint_eq(denied->take.result.retry_after, START + MINUTE - fleet->now);
    fleet_pass(fleet, cell_lease_life(&large_of_each_kind[0]));
    fleet_upkeep(fleet, 0, false);
    fleet_deliver_all(fleet);
    expect_take(__LINE__, take_now(fleet, 1, leased, true), STORE_SOURCE_REDIS, leased);
    fleet_free(fleet);
}
END_TEST

/* A take under the new limit waits while the lease begins under the old. */
START_TEST(a_lease_is_spent_under_its_own_limit_only)
{
    struct limit fewer = ten_thousand;
    fewer.units = 9000;
    struct fleet_options options = {.limits = {ten_thousand, fewer}, .agents = 1, .reloads = true};
    struct fleet *fleet = fleet_open(&options, &unimportant);
    take_now(fleet, 0, 1, true);
    fleet_pass(fleet, 1000);
    fleet_take(fleet, 0, 1, true);
    fleet->agents[0].limit = 1;
    struct fleet_take *waits = fleet_take(fleet, 0, 1, true);
    fleet_deliver_all(fleet);
    ck_assert_uint_gt(fleet->agents[0].cell.leased, 0);
    expect_take(__LINE__, waits, STORE_SOURCE_REDIS, 1);
    expect_take(__LINE__, take_now(fleet, 0, 1, true), STORE_SOURCE_REDIS, 1);
    fleet->agents[0].limit = 0;
    expect_take(__LINE__, take_now(fleet, 0, 1, true), STORE_SOURCE_LEASE, 1);
    fleet_rest(fleet);
    ck_assert_uint_eq(fleet_counted(fleet), fleet_owed(fleet));
    fleet_free(fleet);
}
END_TEST

START_TEST(a_lease_that_arrives_after_its_life_is_not_held)
{
    struct fleet *fleet = fleet_of(&ten_thousand, 1);
    take_now(fleet, 0, 1, true);
    fleet_pass(fleet, 1000);
    fleet_take(fleet, 0, 1, true);
    ck_assert_uint_gt(fleet->agents[0].cell.batch.ahead, 0);
    fleet_execute_all(fleet);
    fleet_pass(fleet, cell_lease_life(&ten_thousand));
    fleet_deliver_all(fleet);
    ck_assert_uint_eq(fleet->agents[0].cell.leased, 0);
    ck_assert_uint_eq(fleet_counted(fleet), 2);
    fleet_free(fleet);
}
END_TEST

/* What is held in leases when a log's window begins comes on top of what the window admits. */
START_TEST(a_lease_spent_late_adds_to_a_log_what_it_held)
{
    const struct limit *limit = &large_of_each_kind[3];
    struct fleet *fleet = fleet_of(limit, 1);
    take_now(fleet, 0, 100, true);
    fleet_pass(fleet, 1);
    fleet_take(fleet, 0, 1, true);
    fleet_deliver_all(fleet);
    uint64_t leased = fleet->agents[0].cell.leased;
    ck_assert_uint_eq(leased, 900 / CELL_LEASE_SHARE);
    uint64_t charged_at = fleet->now;
    fleet_pass(fleet, CELL_LEASE_MAX - 1);
    uint64_t begin = fleet->now;
    expect_take(__LINE__, fleet_take(fleet, 0, leased, true), STORE_SOURCE_LEASE, leased);
    fleet_pass(fleet, charged_at + limit->window - begin);
    expect_take(__LINE__, take_now(fleet, 0, 1000, false), STORE_SOURCE_REDIS, 1000);
    ck_assert_uint_lt(fleet->now - begin, limit->window);
    fleet_free(fleet);
}
END_TEST

/* ---- what is known ------------------------------------------------------------------------- */

START_TEST(what_was_told_is_known_until_it_comes_free)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct limit fewer = of_each_kind[i];
        struct fleet *fleet = fleet_of(&of_each_kind[i], 1);
        const struct cell *cell = &fleet->agents[0].cell;
        fewer.units = fewer.burst = 5;
        ck_assert_uint_eq(cell_known(cell, &of_each_kind[i], fleet_clock(fleet, 0)), 0);
        take_now(fleet, 0, 7, false);
        ck_assert_uint_eq(cell_known(cell, &of_each_kind[i], fleet_clock(fleet, 0)), 7);
        ck_assert_uint_eq(cell_known(cell, &fewer, fleet_clock(fleet, 0)), 5);
        fleet_pass(fleet, 2 * MINUTE);
        ck_assert_uint_eq(cell_known(cell, &of_each_kind[i], fleet_clock(fleet, 0)), 0);
        fleet_free(fleet);
    }
}
END_TEST

/* ---- late takes ---------------------------------------------------------------------------- */

START_TEST(a_late_take_stays_charged)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    struct fleet_take *late = fleet_take(fleet, 0, 4, false);
    fleet_expire(fleet, late);
    fleet_deliver_all(fleet);
    ck_assert_int_eq(late->fate, FLEET_LATE);
    ck_assert_uint_eq(fleet_counted(fleet), 4);
    expect_take(__LINE__, take_now(fleet, 0, 7, false), STORE_SOURCE_REDIS, 0);
    expect_take(__LINE__, take_now(fleet, 0, 6, false), STORE_SOURCE_REDIS, 6);
    fleet_free(fleet);
}
END_TEST

START_TEST(a_late_take_that_was_refused_is_given_back)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    struct fleet_take *late = fleet_take(fleet, 0, 4, false);
    fleet_expire(fleet, late);
    fleet_withdraw(fleet, late);
    fleet_deliver_all(fleet);
    ck_assert_uint_eq(fleet_counted(fleet), 0);
    fleet_free(fleet);
}
END_TEST

START_TEST(what_a_late_take_does_not_need_others_get)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    take_now(fleet, 0, 4, false);
    fleet_take(fleet, 0, 1, false); /* under way, so that the others go together */
    struct fleet_take *late = fleet_take(fleet, 0, 5, false);
    struct fleet_take *next = fleet_take(fleet, 0, 5, false);
    fleet_execute_all(fleet);
    fleet_deliver_one(fleet, 0);
    fleet_expire(fleet, late);
    fleet_withdraw(fleet, late);
    fleet_deliver_all(fleet);
    expect_take(__LINE__, next, STORE_SOURCE_REDIS, 5);
    ck_assert_uint_eq(fleet_counted(fleet), 10);
    fleet_free(fleet);
}
END_TEST

START_TEST(a_late_take_that_was_not_sent_costs_nothing)
{
    struct fleet *fleet = fleet_of(&ten, 1);
    fleet_take(fleet, 0, 1, false);
    struct fleet_take *late = fleet_take(fleet, 0, 5, false);
    fleet_expire(fleet, late);
    fleet_withdraw(fleet, late);
    fleet_deliver_all(fleet);
    ck_assert_uint_eq(fleet_counted(fleet), 1);
    ck_assert_uint_eq(fleet->batches, 1);
    fleet_free(fleet);
}
END_TEST

/* Others' units may come back, when another limit of their requests has refused them. */
START_TEST(a_refusal_among_several_limits_is_remembered_for_a_short_while)
{
    struct cell cell;
    struct store_takes answered = TAILQ_HEAD_INITIALIZER(answered);
    struct store_take take = {.limit = &ten, .wanted = 1, .returns = true};
    struct redis_limit_outcome full = {.result = {.retry_after = MINUTE, .reset_after = MINUTE},
                                       .next_after = MINUTE};
    cell_open(&cell);
    cell_join(&cell, &take);
    ck_assert(cell_begin(&cell, START, 1));
    cell_settle(&cell, &full, START, &answered);
    ck_assert_uint_eq(take.result.retry_after, MINUTE);
    ck_assert(cell_refuses(&cell, &take, START + CELL_LEASE_MAX - 1));
    ck_assert_uint_eq(take.result.retry_after, MINUTE - CELL_LEASE_MAX + 1);
    ck_assert(!cell_refuses(&cell, &take, START + CELL_LEASE_MAX));
}
END_TEST

START_TEST(a_key_that_was_reset_is_asked_for_again)
{
    struct cell cell;
    struct store_takes answered = TAILQ_HEAD_INITIALIZER(answered);
    struct store_take take = {.limit = &ten, .wanted = 1};
    struct redis_limit_outcome full = {.result = {.retry_after = MINUTE, .reset_after = MINUTE},
                                       .next_after = MINUTE};
    cell_open(&cell);
    cell_join(&cell, &take);
    ck_assert(cell_begin(&cell, START, 1));
    cell_settle(&cell, &full, START, &answered);
    ck_assert(cell_refuses(&cell, &take, START + MINUTE - 1));
    ck_assert_uint_eq(cell_known(&cell, &ten, START), 10);

    cell_forget(&cell);
    ck_assert(!cell_refuses(&cell, &take, START));
    ck_assert_uint_eq(cell_known(&cell, &ten, START), 0);
    /* What was under way meanwhile may be of before: it is believed for a short while. */
    cell_join(&cell, &take);
    ck_assert(cell_begin(&cell, START, 1));
    cell_forget(&cell);
    cell_settle(&cell, &full, START, &answered);
    ck_assert(cell_refuses(&cell, &take, START + CELL_LEASE_MAX - 1));
    ck_assert(!cell_refuses(&cell, &take, START + CELL_LEASE_MAX));
}
END_TEST

UNIT_MAIN("cell", a_key_that_was_reset_is_asked_for_again,
          a_refusal_among_several_limits_is_remembered_for_a_short_while,
          takes_that_come_while_one_is_under_way_go_together,
          what_one_take_can_not_use_the_next_may, a_hot_key_costs_one_command_a_round_trip,
          a_refusal_is_remembered_until_a_unit_can_be_had, a_refusal_answers_those_that_wait,
          a_refusal_tells_those_who_want_more_to_wait_for_longer,
          a_limit_that_was_changed_is_asked_for_at_once,
          what_is_given_back_by_this_agent_is_had_at_once,
          more_than_can_ever_be_had_is_not_asked_for, a_limit_of_zero_asks_nobody,
          a_lease_takes_the_place_of_many_commands, an_exact_take_spends_no_lease,
          a_lease_that_is_not_used_goes_back_after_its_life,
          a_lease_lives_for_a_tenth_of_the_window_up_to_a_limit, a_lease_ends_with_its_window,
          leases_become_small_as_a_key_runs_out,
          an_agent_that_is_killed_strands_its_lease_until_the_window_is_over,
          what_a_lease_gives_back_another_agent_has_within_a_life,
          a_lease_is_spent_under_its_own_limit_only,
          a_lease_that_arrives_after_its_life_is_not_held,
          a_lease_spent_late_adds_to_a_log_what_it_held, what_was_told_is_known_until_it_comes_free,
          a_late_take_stays_charged, a_late_take_that_was_refused_is_given_back,
          what_a_late_take_does_not_need_others_get, a_late_take_that_was_not_sent_costs_nothing)
