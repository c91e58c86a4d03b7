/* When a rule file, or one that it reads, has changed: `sluice serve --watch`.
 *
 * By looking, twice a second, not by inotify: that tells of one name in one folder, while a rule
 * file is reached through links that are swapped (the `..data` of a Kubernetes ConfigMap), replaced
 * by editors, and on file systems that tell nobody (NFS). What is looked at is who the files are,
 * and when they were written to, at the end of all links; and of folders with a pattern, when
 * something came or went. */
#pragma once

#include <ev.h>
#include <pthread.h>

#include "agent/file_seen.h"

/* Between two looks (seconds). */
#define WATCH_PERIOD 0.5

/* What goes on changing is waited for at most so many looks: reading it will say what it is. */
#define WATCH_PATIENCE 20

typedef void watch_changed(void *context);

/* One thread's, but for watch_newest. */
struct watch {
    ev_timer timer;
    pthread_mutex_t lock;  /* of the changes of seen */
    struct file_seen seen; /* what was read last */
    struct hash128 before; /* what had been read before it */
    uint64_t last_look;
    unsigned restless;      /* looks since it began to change */
    watch_changed *changed; /* NULL: nothing is watched */
    void *context;
};

/* It watches nothing yet. */
void watch_open(struct watch *watch);
void watch_close(struct watch *watch);

/* Calls changed in the loop's thread, once something has changed and nothing did since the look
 * before. The watch stays until watch_stop, and so does context. */
void watch_start(struct watch *watch, struct ev_loop *loop, watch_changed *changed, void *context);
void watch_stop(struct watch *watch, struct ev_loop *loop);

/* After each reading of the files, whoever asked for it: what was read, which it takes over. */
void watch_read(struct watch *watch, const struct file_seen *seen);

/* file_seen_newest of what was read last. Thread-safe. */
bool watch_newest(struct watch *watch, int64_t *seconds);

/* Whether what was read last says anything else than what was read before. */
bool watch_has_news(const struct watch *watch);

/* One look: true when it is time to read. What the timer does; for tests. */
bool watch_look(struct watch *watch);
