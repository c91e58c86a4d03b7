/* The control thread: listeners, signals, reload, drain; and what the other threads may read of it.
 */
#pragma once

#include "agent/sharing.h"
#include "agent/store/store.h"
#include "agent/watch.h"
#include "agent/worker.h"
#include "base/base.h"
#include "rules/rules.h"

#define CONTROL_MAX_WORKERS 256

/* Decisions of one worker that may wait for the store at once. */
#define CONTROL_MAX_PENDING 65536

/* Written by the control thread, read by any. */
struct control_counters {
    struct counter accepted;
    struct counter refused_connections; /* over the limit */
    struct counter reloads;
    struct counter reloads_failed;
    struct counter last_reload_failed; /* 1: the last one did */
    struct counter rules;              /* in force */
    struct counter
        candidate_rules;      /* compared with them; 0: there is no candidate, or none in it */
    struct counter loaded_at; /* or found unchanged; seconds since the epoch */
    struct counter max_connections;   /* that may be open */
    struct counter least_local_limit; /* units; of the limits with on_store_error: local; 0: none */
    _Atomic bool serving;             /* listening, and not draining */
};

struct control {
    struct worker *workers[CONTROL_MAX_WORKERS];
    unsigned worker_count;
    struct store *store; /* the memory store */
    /* The candidate's; NULL as long as there hasn't been one. */
    struct store *candidate_store;
    struct comparison_rules compared; /* rules that the candidate has differed by */
    struct sharing sharing;
    struct watch *watch; /* for watch_newest */
    struct control_counters counters;
};

/* Serves the rule file until SIGTERM or SIGINT and returns the process's exit status: 0 after a
 * drain, 1 when it couldn't start. candidate_file: a candidate in place of the one that the rule
 * file names; NULL: none. watched: the files are read again when they change, as on SIGHUP. */
int control_serve(const char *rule_file, const char *candidate_file, bool watched);
