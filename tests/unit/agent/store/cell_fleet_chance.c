#include "cell_fleet.h"

static bool chance(struct fleet *fleet, uint64_t of_100)
{
    return random_below(fleet->random, 100) < of_100;
}

static struct fleet_take *any_take(struct fleet *fleet)
{
    if (!fleet->take_count)
        return NULL;
    uint64_t back = random_below(fleet->random, fleet->take_count < 50 ? fleet->take_count : 50);
    return &fleet->takes[fleet->take_count - 1 - back];
}

/* Gives and repairs may not pile up without end. */
static void make_room(struct fleet *fleet, unsigned number)
{
    struct fleet_agent *agent = &fleet->agents[number];
    while (agent->line_count > FLEET_LINE / 2) {
        fleet__execute_one(fleet, agent);
        fleet_deliver_one(fleet, number);
    }
}

static void step_loss(struct fleet *fleet, unsigned number)
{
    if (chance(fleet, 70))
        fleet_lose_connection(fleet, number);
    else
        fleet_kill(fleet, number);
}

static void step_take(struct fleet *fleet, unsigned number)
{
    uint64_t wanted = 1;
    if (fleet->options.wanted_max > 1 && chance(fleet, 30))
        wanted = 2 + random_below(fleet->random, fleet->options.wanted_max - 1);
    bool leased = chance(fleet, fleet->options.leased);
    if (fleet->take_count == FLEET_TAKES_MAX)
        return;
    if (chance(fleet, fleet->options.probes))
        fleet_probe(fleet, number, wanted, leased);
    else
        fleet_take(fleet, number, wanted, leased);
}

static void step_late(struct fleet *fleet, unsigned number)
{
    const struct cell *cell = &fleet->agents[number].cell;
    struct store_take *oldest = TAILQ_FIRST(&cell->sent);
    if (!oldest)
        oldest = TAILQ_FIRST(&cell->waiting);
    if (oldest)
        fleet_expire(fleet, (struct fleet_take *)oldest);
    if (chance(fleet, 50) && fleet->take_count)
        fleet_withdraw(fleet, any_take(fleet));
}

static void step(struct fleet *fleet)
{
    const struct fleet_options *options = &fleet->options;
    unsigned number = (unsigned)random_below(fleet->random, options->agents);
    uint64_t what = random_below(fleet->random, 1000);
    make_room(fleet, number);
    if (what < 400) {
        step_take(fleet, number);
    } else if (what < 650) {
        fleet__execute_one(fleet, &fleet->agents[number]);
    } else if (what < 800) {
        fleet_deliver_one(fleet, number);
    } else if (what < 890 && options->step) {
        fleet_pass(fleet, random_below(fleet->random, options->step));
    } else if (what < 920) {
        fleet_upkeep(fleet, number, chance(fleet, 20));
    } else if (what < 950 && options->gives && fleet->take_count) {
        fleet_give(fleet, any_take(fleet));
    } else if (what < 980 && options->late) {
        step_late(fleet, number);
    } else if (what < 985 && options->losses) {
        step_loss(fleet, number);
    } else if (what < 990 && options->reloads) {
        fleet->agents[number].limit ^= 1;
    }
}

void fleet_steps(struct fleet *fleet, size_t count)
{
    while (count--)
        step(fleet);
}
