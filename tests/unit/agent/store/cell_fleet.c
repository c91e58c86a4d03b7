#include "cell_fleet.h"
#include "main.h"

/* A counter is not asked for when it may be gone already (REDIS_LIMIT_SLACK): an agent has given up
 * a take long before. */
#define UNDER_WAY_MAX (REDIS_LIMIT_SLACK / 2)

static struct fleet_take *fleet_take_of(struct store_take *take)
{
    return (struct fleet_take *)take;
}

static bool same(const struct limit *a, const struct limit *b)
{
    return a->algorithm == b->algorithm && a->units == b->units && a->window == b->window &&
           a->burst == b->burst;
}

uint64_t fleet_clock(const struct fleet *fleet, unsigned number)
{
    return fleet->now + fleet->agents[number].ahead_of_server;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static void open_agent(struct fleet *fleet, unsigned number)
{
    struct fleet_agent *agent = &fleet->agents[number];
    struct limit_log *log = agent->alone.log;
    uint64_t connection = agent->connection + 1;
    *agent = (struct fleet_agent){
        .ahead_of_server = random_below(fleet->random, 3600 * SECOND),
        .connection = connection,
    };
    agent->alone.log = log;
    cell_open(&agent->cell);
}

static struct limit_log *open_log(const struct fleet_options *options)
{
    const struct limit *limits = options->limits;
    const struct limit *larger = &limits[limits[1].units > limits[0].units];
    struct limit_log *log = allocate(limit_log_size(larger));
    log->capacity = (uint32_t)larger->units;
    return log;
}

struct fleet *fleet_open(const struct fleet_options *options, struct random *random)
{
    static struct fleet only; /* to have fresh pages for each takes longer than all the rest */
    struct fleet *fleet = &only;
    memset(fleet, 0, sizeof(*fleet));
    fleet->options = *options;
    if (!fleet->options.wanted_max)
        fleet->options.wanted_max = 1;
    if (!options->reloads)
        fleet->options.limits[1] = options->limits[0];
    fleet->random = random;
    fleet->now = START + random_below(random, MINUTE);
    bool log = options->limits[0].algorithm == LIMIT_SLIDING_LOG;
    if (log)
        fleet->state.log = open_log(&fleet->options);
    for (unsigned i = 0; i < options->agents; i++) {
        if (log)
            fleet->agents[i].alone.log = open_log(&fleet->options);
        open_agent(fleet, i);
    }
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    if (fleet->options.limits[0].algorithm == LIMIT_SLIDING_LOG) {
        free(fleet->state.log);
        for (unsigned i = 0; i < fleet->options.agents; i++)
            free(fleet->agents[i].alone.log);
    }
}

/* ---- what is sent -------------------------------------------------------------------------- */

static void write_commands(struct fleet_request *request)
{
    struct writer w = writer_open(request->bytes, sizeof(request->bytes));
    request->commands = request->kind == FLEET_TAKE ? redis_limit_write_take(&w, &request->of)
                                                    : redis_limit_write_give(&w, &request->of);
    UNIT_ASSERT(w.error == ERROR_NONE);
    request->steps = request->commands.count;
}

/* A place at the end of the connection. */
static struct fleet_request *append(struct fleet *fleet, unsigned number, enum fleet_kind kind,
                                    const struct limit *limit)
{
    struct fleet_agent *agent = &fleet->agents[number];
    UNIT_ASSERT(agent->line_count < FLEET_LINE);
    struct fleet_request *request =
        &agent->line[(agent->line_head + agent->line_count++) % FLEET_LINE];
    *request = (struct fleet_request){.kind = kind, .limit = *limit, .steps = 1};
    request->of = (struct redis_limit_request){
        .limit = &request->limit, .key = SLICE("k"), .now = fleet->now};
    return request;
}

static void send_take(struct fleet *fleet, unsigned number)
{
    struct fleet_agent *agent = &fleet->agents[number];
    const struct cell_batch *batch = &agent->cell.batch;
    struct fleet_request *request = append(fleet, number, FLEET_TAKE, &batch->limit);
    request->of.units = batch->units;
    request->of.first = redis_limit_first(&batch->limit, agent->first_at, fleet->now);
    request->of.previous = agent->previous;
    if (fleet->options.commands)
        write_commands(request);
    fleet->batches++;
}

static void send_give(struct fleet *fleet, unsigned number, const struct limit *limit,
                      uint64_t taken_at, uint64_t units)
{
    if (units == 0)
        return;
    struct fleet_request *request = append(fleet, number, FLEET_GIVE, limit);
    request->of.units = units;
    request->of.taken_at = taken_at;
    if (fleet->options.commands)
        write_commands(request);
    if (request->steps == 0) /* its window has passed */
        fleet->agents[number].line_count--;
}

static void send_repair(struct fleet *fleet, unsigned number, const struct limit *limit,
                        const struct redis_limit_repair *repair)
{
    struct fleet_request *request = append(fleet, number, FLEET_REPAIR, limit);
    struct writer w = writer_open(request->bytes, sizeof(request->bytes));
    request->commands = redis_limit_write_repair(&w, &request->of, repair);
    request->steps = request->commands.count;
}

/* ---- takes --------------------------------------------------------------------------------- */

/* Those that are equal are answered in the order in which they came. */
static void expect_none_before(const struct store_takes *takes, const struct store_take *answered)
{
    const struct store_take *other;
    TAILQ_FOREACH(other, takes, pending.of_key)
    {
        bool equal = other->wanted == answered->wanted && other->probe == answered->probe &&
                     other->leased == answered->leased && same(other->limit, answered->limit);
        UNIT_ASSERT(!equal || other > answered);
    }
}

/* And when it no longer does, the units are there, if nobody else has taken them. It is counted
 * from when the question was sent, not from when it arrived. */
static void expect_denial_holds(const struct fleet *fleet, const struct store_take *take)
{
    UNIT_ASSERT(fleet_available(fleet, take->limit) < take->wanted);
    if (fleet->options.agents > 1 || fleet->options.commands)
        return;
    uint64_t then = fleet->now + take->result.retry_after + UNDER_WAY_MAX;
    UNIT_ASSERT(limit_peek(take->limit, &fleet->state, then, take->wanted).granted == take->wanted);
}

static bool lease_answers(const struct cell *cell, const struct store_take *take, uint64_t now)
{
    return take->leased && cell->leased >= take->wanted && cell->lease_ends > now &&
           same(&cell->lease_limit, take->limit);
}

static void expect_denied(struct fleet *fleet, unsigned number, const struct store_take *take)
{
    const struct fleet_agent *agent = &fleet->agents[number];
    UNIT_ASSERT(same(take->limit, &agent->told_limit));
    UNIT_ASSERT(take->result.granted == 0);
    UNIT_ASSERT(take->result.retry_after > 0);
    UNIT_ASSERT(!lease_answers(&agent->cell, take, fleet_clock(fleet, number)));
    if (fleet->options.denials_hold)
        expect_denial_holds(fleet, take);
    fleet->denied_from_memory++;
}

/* It was charged before, by no more than a lease's life, in the same window. */
static void expect_leased(struct fleet *fleet, unsigned number, const struct store_take *take)
{
    const struct limit *limit = take->limit;
    uint64_t life = cell_lease_life(limit);
    UNIT_ASSERT(take->leased);
    UNIT_ASSERT(same(limit, &fleet->agents[number].lease_limit));
    UNIT_ASSERT(take->result.granted == take->wanted);
    UNIT_ASSERT(take->taken_at <= fleet->now && fleet->now - take->taken_at < life);
    bool is_window =
        limit->algorithm == LIMIT_FIXED_WINDOW || limit->algorithm == LIMIT_SLIDING_WINDOW;
    UNIT_ASSERT(!is_window || fleet->now / limit->window == take->taken_at / limit->window);
    fleet->granted_from_leases += take->wanted;
}

static void answer(struct fleet *fleet, unsigned number, struct store_take *store_take)
{
    struct fleet_agent *agent = &fleet->agents[number];
    struct fleet_take *take = fleet_take_of(store_take);
    UNIT_ASSERT(take->fate == FLEET_PENDING);
    UNIT_ASSERT(take->agent == number);
    UNIT_ASSERT(store_take->result.granted == 0 ||
                store_take->result.granted == store_take->wanted);
    take->fate = FLEET_ANSWERED;
    take->answered_at = fleet->now;
    take->connection =
        store_take->source == STORE_SOURCE_LEASE ? agent->lease_connection : agent->connection;
    expect_none_before(&agent->cell.sent, store_take);
    expect_none_before(&agent->cell.waiting, store_take);
    if (store_take->source == STORE_SOURCE_DENIED)
        expect_denied(fleet, number, store_take);
    else if (store_take->source == STORE_SOURCE_LEASE)
        expect_leased(fleet, number, store_take);
}

/* What is remembered would have refused whatever it could; no more is held than may be. */
static void expect_batch(const struct fleet *fleet, const struct fleet_agent *agent, uint64_t now)
{
    const struct cell *cell = &agent->cell;
    const struct cell_batch *batch = &cell->batch;
    struct store_take probe = {.limit = &batch->limit, .wanted = 1};
    UNIT_ASSERT(!cell_refuses(cell, &probe, now));
    UNIT_ASSERT(batch->ahead <= cell->remaining / CELL_LEASE_SHARE / fleet->options.agents);
    UNIT_ASSERT(!batch->ahead || !cell->leased);
    UNIT_ASSERT(!batch->ahead || same(&batch->limit, &agent->told_limit));
    uint64_t units = batch->ahead;
    const struct store_take *take;
    TAILQ_FOREACH(take, &cell->sent, pending.of_key)
    {
        UNIT_ASSERT(same(take->limit, &batch->limit));
        units += take->probe ? 0 : take->wanted;
    }
    UNIT_ASSERT(batch->units == units);
}

static void pump(struct fleet *fleet, unsigned number)
{
    struct fleet_agent *agent = &fleet->agents[number];
    uint64_t now = fleet_clock(fleet, number);
    if (!cell_begin(&agent->cell, now, fleet->options.agents))
        return;
    expect_batch(fleet, agent, now);
    UNIT_ASSERT(!cell_begin(&agent->cell, now, fleet->options.agents));
    send_take(fleet, number);
}

static struct fleet_take *begin(struct fleet *fleet, unsigned number, const struct store_take *like)
{
    struct fleet_agent *agent = &fleet->agents[number];
    UNIT_ASSERT(fleet->take_count < FLEET_TAKES_MAX);
    struct fleet_take *take = &fleet->takes[fleet->take_count++];
    take->take = *like;
    take->take.limit = &fleet->options.limits[agent->limit];
    take->agent = number;
    if (cell_answer(&agent->cell, &take->take, fleet_clock(fleet, number))) {
        answer(fleet, number, &take->take);
        return take;
    }
    cell_join(&agent->cell, &take->take);
    pump(fleet, number);
    return take;
}

struct fleet_take *fleet_take(struct fleet *fleet, unsigned number, uint64_t wanted, bool leased)
{
    return begin(fleet, number, &(struct store_take){.wanted = wanted, .leased = leased});
}

struct fleet_take *fleet_probe(struct fleet *fleet, unsigned number, uint64_t wanted, bool leased)
{
    return begin(fleet, number,
                 &(struct store_take){.wanted = wanted, .leased = leased, .probe = true});
}

uint64_t fleet_charge(const struct fleet_take *take)
{
    bool charged = take->fate == FLEET_ANSWERED && !take->returned && !take->take.probe;
    return charged ? take->take.result.granted : 0;
}

void fleet_give(struct fleet *fleet, struct fleet_take *take)
{
    struct fleet_agent *agent = &fleet->agents[take->agent];
    uint64_t units = fleet_charge(take);
    if (units == 0 || take->connection != agent->connection)
        return;
    take->returned = true;
    cell_forget_denial(&agent->cell);
    send_give(fleet, take->agent, take->take.limit, take->take.taken_at, units);
}

void fleet_expire(struct fleet *fleet, struct fleet_take *take)
{
    UNIT_ASSERT(take->fate == FLEET_PENDING);
    cell_expire(&fleet->agents[take->agent].cell, &take->take);
    take->fate = FLEET_LATE;
}

void fleet_withdraw(struct fleet *fleet, struct fleet_take *take)
{
    if (take->fate != FLEET_LATE || take->withdrawn)
        return;
    cell_withdraw(&fleet->agents[take->agent].cell, &take->take);
    take->withdrawn = true;
}

/* ---- what arrives -------------------------------------------------------------------------- */

/* Of the batch that is under way, what stays charged for takes that were answered elsewhere. */
static uint64_t late_of(const struct fleet *fleet, unsigned number)
{
    uint64_t serial = fleet->agents[number].cell.batch.serial;
    uint64_t units = 0;
    for (size_t i = 0; i < fleet->take_count; i++) {
        const struct fleet_take *take = &fleet->takes[i];
        if (take->agent == number && take->fate == FLEET_LATE && take->take.ticket == serial &&
            !take->withdrawn && !take->take.probe)
            units += take->take.wanted;
    }
    return units;
}

static void expect_known(const struct fleet *fleet, unsigned number,
                         const struct redis_limit_outcome *outcome, uint64_t left)
{
    const struct fleet_agent *agent = &fleet->agents[number];
    uint64_t capacity = limit_capacity(&agent->told_limit);
    uint64_t known = cell_known(&agent->cell, &agent->told_limit, fleet_clock(fleet, number));
    UNIT_ASSERT(known == capacity - outcome->result.remaining - left);
}

/* What is granted together is what would have been granted one by one, and whoever is refused may
 * come back when it is told to; for one unit, no sooner. */
static void expect_alone(const struct fleet_agent *agent, const struct limit *limit,
                         const struct redis_limit_outcome *outcome, const struct store_take *take)
{
    uint64_t then = outcome->taken_at + take->result.retry_after;
    UNIT_ASSERT(take->result.granted == ((const struct fleet_take *)take)->expected);
    if (take->result.granted)
        return;
    UNIT_ASSERT(limit_peek(limit, &agent->alone, then, take->wanted).granted == take->wanted);
    UNIT_ASSERT(take->wanted > 1 || !limit_peek(limit, &agent->alone, then - 1, 1).granted);
}

/* Every unit that was granted is somewhere, once. */
static void settle(struct fleet *fleet, unsigned number, const struct limit *limit,
                   const struct redis_limit_outcome *outcome)
{
    struct fleet_agent *agent = &fleet->agents[number];
    struct cell *cell = &agent->cell;
    struct store_takes answered = TAILQ_HEAD_INITIALIZER(answered);
    uint64_t granted = outcome->result.granted;
    uint64_t late = late_of(fleet, number);
    late = late < granted ? late : granted;
    uint64_t leased = cell->leased;
    uint64_t back = cell_settle(cell, outcome, fleet_clock(fleet, number), &answered);
    agent->told_limit = *limit;
    if (leased == 0) {
        agent->lease_limit = *limit;
        agent->lease_connection = agent->connection;
    }

    uint64_t handed = 0;
    const struct store_take *before = NULL;
    while (!TAILQ_EMPTY(&answered)) {
        struct store_take *take = TAILQ_FIRST(&answered);
        TAILQ_REMOVE(&answered, take, pending.of_key);
        UNIT_ASSERT(!before || before < take);
        before = take;
        answer(fleet, number, take);
        handed += fleet_charge(fleet_take_of(take));
        if (take->source == STORE_SOURCE_REDIS && !fleet->options.commands && !fleet->options.late)
            expect_alone(agent, limit, outcome, take);
    }
    UNIT_ASSERT(granted + outcome->surplus + leased == late + handed + cell->leased + back);
    if (late)
        fleet->late[fleet->late_count++] = (struct fleet_late){outcome->taken_at, late};
    expect_known(fleet, number, outcome, back - outcome->surplus);
    send_give(fleet, number, limit, outcome->taken_at, back);
}

static void fail_batch(struct fleet *fleet, unsigned number)
{
    struct store_takes failed = TAILQ_HEAD_INITIALIZER(failed);
    cell_fail(&fleet->agents[number].cell, &failed);
    struct store_take *take;
    TAILQ_FOREACH(take, &failed, pending.of_key)
    {
        UNIT_ASSERT(fleet_take_of(take)->fate == FLEET_PENDING);
        fleet_take_of(take)->fate = FLEET_FAILED;
    }
}

static void take_delivered(struct fleet *fleet, unsigned number, struct fleet_request *request)
{
    struct fleet_agent *agent = &fleet->agents[number];
    struct redis_limit_outcome outcome = request->outcome;
    const struct limit limit = request->limit; /* its place may be another's soon */
    if (fleet->options.commands) {
        enum redis_limit_status status =
            redis_limit_read_take(&request->of, request->replies, request->steps, &outcome);
        UNIT_ASSERT(status == REDIS_LIMIT_ANSWERED);
        if (request->of.first)
            agent->first_at = request->of.now;
        agent->previous = outcome.previous;
        if (outcome.repair.needed)
            send_repair(fleet, number, &limit, &outcome.repair);
    }
    settle(fleet, number, &limit, &outcome);
    pump(fleet, number);
}

bool fleet_deliver_one(struct fleet *fleet, unsigned number)
{
    struct fleet_agent *agent = &fleet->agents[number];
    struct fleet_request *request = &agent->line[agent->line_head];
    if (!agent->line_count || request->executed < request->steps)
        return false;
    agent->line_head = (agent->line_head + 1) % FLEET_LINE;
    agent->line_count--;
    if (request->kind == FLEET_TAKE) {
        struct fleet_request taken = *request;
        taken.of.limit = &taken.limit;
        take_delivered(fleet, number, &taken);
    }
    return true;
}

/* ---- all at once --------------------------------------------------------------------------- */

void fleet_execute_all(struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->options.agents; i++)
        while (fleet__execute_one(fleet, &fleet->agents[i]))
            continue;
}

void fleet_deliver_all(struct fleet *fleet)
{
    bool more = true;
    while (more) {
        more = false;
        fleet_execute_all(fleet);
        for (unsigned i = 0; i < fleet->options.agents; i++)
            while (fleet_deliver_one(fleet, i))
                more = true;
    }
}

void fleet_pass(struct fleet *fleet, uint64_t time)
{
    uint64_t window = fleet->options.limits[0].window;
    bool ends = fleet->now / window != (fleet->now + time) / window;
    bool all = fleet->options.settled && ends;
    for (unsigned i = 0; i < fleet->options.agents; i++) {
        struct fleet_agent *agent = &fleet->agents[i];
        uint64_t oldest = agent->line[agent->line_head].of.now;
        bool old = agent->line_count && fleet->now + time - oldest > UNDER_WAY_MAX;
        while ((all || old) && fleet__execute_one(fleet, agent))
            continue;
    }
    fleet->now += time;
}

void fleet_upkeep(struct fleet *fleet, unsigned number, bool anyway)
{
    struct fleet_agent *agent = &fleet->agents[number];
    uint64_t units = cell_end_lease(&agent->cell, fleet_clock(fleet, number), anyway);
    if (agent->lease_connection == agent->connection)
        send_give(fleet, number, &agent->cell.lease_limit, agent->cell.lease_taken_at, units);
}

void fleet_rest(struct fleet *fleet)
{
    fleet_deliver_all(fleet);
    for (unsigned i = 0; i < fleet->options.agents; i++) {
        fleet_upkeep(fleet, i, true);
        UNIT_ASSERT(cell_is_idle(&fleet->agents[i].cell));
    }
    fleet_deliver_all(fleet);
    for (size_t i = 0; i < fleet->take_count; i++)
        UNIT_ASSERT(fleet->takes[i].fate != FLEET_PENDING);
}

/* ---- losses -------------------------------------------------------------------------------- */

/* Part of what is under way is executed yet; no reply arrives. */
static void drop_line(struct fleet *fleet, struct fleet_agent *agent)
{
    for (size_t i = 0; i < agent->line_count; i++)
        fleet->stranded += agent->line[(agent->line_head + i) % FLEET_LINE].of.units;
    uint64_t more = random_below(fleet->random, 1 + FLEET_LINE / 8);
    while (more-- && fleet__execute_one(fleet, agent))
        continue;
    fleet->stranded += agent->cell.leased;
    agent->line_count = 0;
    agent->connection++;
    agent->first_at = 0;
}

void fleet_lose_connection(struct fleet *fleet, unsigned number)
{
    struct fleet_agent *agent = &fleet->agents[number];
    drop_line(fleet, agent);
    if (agent->cell.batch.serial)
        fail_batch(fleet, number);
    pump(fleet, number);
}

void fleet_kill(struct fleet *fleet, unsigned number)
{
    struct fleet_agent *agent = &fleet->agents[number];
    drop_line(fleet, agent);
    for (size_t i = 0; i < fleet->take_count; i++) {
        struct fleet_take *take = &fleet->takes[i];
        if (take->agent == number && (take->fate == FLEET_PENDING || take->fate == FLEET_LATE))
            take->fate = FLEET_GONE;
    }
    open_agent(fleet, number);
}

/* ---- what is to be seen -------------------------------------------------------------------- */

/* Whether a charge of this time still counts, where a whole window or log is counted. */
static bool counts(const struct fleet *fleet, uint64_t taken_at)
{
    const struct limit *limit = &fleet->options.limits[0];
    switch (limit->algorithm) {
    case LIMIT_FIXED_WINDOW:
    case LIMIT_SLIDING_WINDOW:
        return taken_at / limit->window == fleet->now / limit->window;
    case LIMIT_TOKEN_BUCKET:
        return true;
    default:
        return fleet->now - taken_at < limit->window;
    }
}

uint64_t fleet_owed(const struct fleet *fleet)
{
    uint64_t owed = 0;
    for (size_t i = 0; i < fleet->take_count; i++) {
        const struct fleet_take *take = &fleet->takes[i];
        if (fleet_charge(take) && counts(fleet, take->take.taken_at))
            owed += fleet_charge(take);
    }
    for (size_t i = 0; i < fleet->late_count; i++)
        if (counts(fleet, fleet->late[i].taken_at))
            owed += fleet->late[i].units;
    return owed;
}
