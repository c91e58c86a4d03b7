/* A fleet in one thread, for tests: agents that each have a cell of one key, the server that has
 * the key's counter, and between them connections that are as slow as the random numbers say, one
 * command at a time. The agents do what the redis store does with its cells. What has to hold at
 * every step is asserted as it goes; what has to hold over time is to be seen from the takes.
 */
#pragma once

#include "agent/store/cell.h"
#include "random.h"

#define FLEET_AGENTS_MAX 5
#define FLEET_TAKES_MAX  2048
#define FLEET_LINE       64 /* requests under way on one connection */
#define FLEET_COUNTERS   8

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define START  (UINT64_C(1750000020) * SECOND) /* the start of a minute */

struct fleet_options {
    /* The second is what a reload changes the first to, and back; the same where there are none. */
    struct limit limits[2];
    unsigned agents;
    uint64_t wanted_max; /* units of a take; 0 is 1 */
    unsigned leased;     /* how many of 100 takes may be leased */
    unsigned probes;     /* and how many only ask */
    uint64_t step;       /* time passes by less than this at once; 0: not at all */

    bool reloads;
    bool gives;  /* what was granted is given back now and then */
    bool late;   /* takes expire */
    bool losses; /* connections are lost, and agents are killed and replaced */

    /* The windows by the commands of redis_limit.h; otherwise all is by limit_take, which is what
     * its scripts do. */
    bool commands;
    /* No take is under way when a window ends. */
    bool settled;
    /* A refusal that is remembered is what the server would say. True of those that nobody gives
     * anything back to. */
    bool denials_hold;
};

enum fleet_fate {
    FLEET_PENDING,
    FLEET_ANSWERED,
    FLEET_FAILED, /* the connection was lost */
    FLEET_LATE,
    FLEET_GONE, /* with its agent */
};

struct fleet_take {
    struct store_take take;
    unsigned agent;
    enum fleet_fate fate;
    uint64_t connection; /* that it was granted on */
    uint64_t answered_at;
    bool returned;     /* was given back */
    bool withdrawn;    /* was late, and refused by what answered instead */
    uint64_t expected; /* what it would be granted were the takes of its batch alone */
};

enum fleet_kind {
    FLEET_TAKE,
    FLEET_GIVE,
    FLEET_REPAIR
};

struct fleet_request {
    enum fleet_kind kind;
    struct limit limit;
    struct redis_limit_request of;
    uint8_t bytes[256];
    struct redis_limit_commands commands;
    size_t steps; /* commands to be executed */
    size_t executed;
    struct redis_limit_reply replies[REDIS_LIMIT_COMMANDS];
    char text[24];                      /* of a reply */
    struct redis_limit_outcome outcome; /* without commands */
};

struct fleet_agent {
    struct cell cell;
    uint64_t ahead_of_server; /* its clock */
    size_t limit;             /* of options.limits, since the last reload */
    uint64_t connection;      /* number of it */
    uint64_t lease_connection;
    struct limit lease_limit;
    struct limit told_limit;
    uint64_t first_at; /* the windows: the last take that was first, and what it read */
    uint64_t previous;
    struct fleet_request line[FLEET_LINE]; /* a ring */
    size_t line_head;
    size_t line_count;
    struct limit_state alone; /* after the takes of the batch, one by one */
};

/* Units that were charged for takes which were late. */
struct fleet_late {
    uint64_t taken_at;
    uint64_t units;
};

struct fleet_counter {
    bool exists;
    uint64_t index;
    int64_t value;
    uint64_t expires; /* 0: never */
};

struct fleet {
    struct fleet_options options;
    struct random *random;
    uint64_t now; /* the server's clock */
    struct limit_state state;
    struct fleet_counter counters[FLEET_COUNTERS];
    struct fleet_agent agents[FLEET_AGENTS_MAX];
    struct fleet_take takes[FLEET_TAKES_MAX];
    size_t take_count;
    struct fleet_late late[FLEET_TAKES_MAX];
    size_t late_count;
    uint64_t stranded; /* units that losses may have left charged, at most */
    uint64_t batches;
    uint64_t denied_from_memory;
    uint64_t granted_from_leases; /* units */
};

/* One at a time. */
struct fleet *fleet_open(const struct fleet_options *options, struct random *random);
void fleet_free(struct fleet *fleet);

/* So many of all that may happen, by chance (cell_fleet_chance.c). */
void fleet_steps(struct fleet *fleet, size_t count);

/* By hand; agents are numbered from 0. */
struct fleet_take *fleet_take(struct fleet *fleet, unsigned number, uint64_t wanted, bool leased);
struct fleet_take *fleet_probe(struct fleet *fleet, unsigned number, uint64_t wanted, bool leased);
void fleet_give(struct fleet *fleet, struct fleet_take *take);
void fleet_expire(struct fleet *fleet, struct fleet_take *take); /* one that is pending */
/* What answered a late one in Redis's place has refused it. Of any other: nothing happens. */
void fleet_withdraw(struct fleet *fleet, struct fleet_take *take);
void fleet_pass(struct fleet *fleet, uint64_t time);
/* All that is under way arrives at the server. */
void fleet_execute_all(struct fleet *fleet);
/* The next reply arrives; false if none is there. */
bool fleet_deliver_one(struct fleet *fleet, unsigned number);
/* All that is under way is executed and answered, and what follows from that, until all is quiet.
 */
void fleet_deliver_all(struct fleet *fleet);
void fleet_upkeep(struct fleet *fleet, unsigned number, bool anyway);
void fleet_lose_connection(struct fleet *fleet, unsigned number);
void fleet_kill(struct fleet *fleet, unsigned number); /* another takes its place */

/* All replies arrive and all leases are given back. */
void fleet_rest(struct fleet *fleet);

/* Units that the take was granted and has not given back. */
uint64_t fleet_charge(const struct fleet_take *take);

uint64_t fleet_clock(const struct fleet *fleet, unsigned number);

/* Units that the server would grant now. */
uint64_t fleet_available(const struct fleet *fleet, const struct limit *limit);

/* Units that the server counts in the window, or the log, of now. */
uint64_t fleet_counted(const struct fleet *fleet);

/* What it should count by that: what takes were granted and have not given back, and what is
 * charged for takes that were late. */
uint64_t fleet_owed(const struct fleet *fleet);

/* cell_fleet_server.c: the next command on an agent's connection; false when there is none. */
bool fleet__execute_one(struct fleet *fleet, struct fleet_agent *agent);
