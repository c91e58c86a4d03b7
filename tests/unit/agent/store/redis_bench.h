/* A loop, a redis-server that a test starts and stops, and a link between them. */
#pragma once

#include <sys/types.h>

#include "agent/store/redis_link.h"
#include "main.h"

struct bench {
    struct ev_loop *loop;
    ev_check clock;
    ev_timer deadline;
    ev_prepare watch;
    uint64_t now;
    bool frozen; /* now stands still */
    bool (*reached)(struct bench *bench);
    bool gave_up;
    char folder[64];
    char path[96]; /* the server's socket */
    pid_t server;
    struct redis_access *access;
    struct redis_link *link;
    unsigned changes;
    unsigned replies;
    unsigned lost;
    unsigned turns; /* of the loop */
};

struct bench *bench_open(void);

/* All of it, the server too. */
void bench_close(struct bench *bench);

/* Runs the loop until it is so; fails the test when it doesn't come to be. */
void bench_wait(struct bench *bench, bool (*reached)(struct bench *bench));

/* options: more words of redis-server's command line, ended by NULL; NULL: none. Not waited for. */
void bench_start_server(struct bench *bench, const char *const *options);
void bench_stop_server(struct bench *bench, int signal);

/* A connection of hiredis's own, without a password. Waits for the server. */
redisContext *bench_client(struct bench *bench);

/* One command on a connection of its own, split at blanks; fails the test on an error. */
void bench_command(struct bench *bench, const char *command);

/* Opens the access: user and password, each NULL for none. The password comes from the environment.
 */
void bench_access(struct bench *bench, const char *user, const char *password);

/* Opens the link (an earlier one must be closed), with bench_access's access or, without one, no
 * password. */
void bench_connect(struct bench *bench, bool primary);

/* Conditions. */
bool bench_is_up(struct bench *bench);
bool bench_is_down(struct bench *bench);
bool bench_breaker_is_open(struct bench *bench);

static inline uint64_t bench_failures(const struct bench *bench)
{
    return counter_read(&redis_link_counters(bench->link)->failures);
}
