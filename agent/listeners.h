/* Where an agent is called: the listeners of a rule file, opened here, passed by a service manager
 * (inherited.h), or kept through a restart in place (restart.h). For the control thread alone. */
#pragma once

#include <ev.h>

#include "agent/inherited.h"
#include "agent/restart.h"

struct listeners;

struct listener {
    ev_io watcher;
    struct listeners *owner;
    const struct rules_listener *settings;
};

struct listeners {
    struct ev_loop *loop;
    const struct rules_settings *settings;
    void (*accepted)(void *context, int fd); /* takes the socket over */
    void *context;
    struct inherited inherited;
    struct listener all[RULES_MAX_LISTENERS];
    size_t count;
    int admin; /* a descriptor besides the admin server's; -1: none */
    ev_timer rest;
};

/* Opens all of `listen`; nothing is accepted yet. The settings outlive the listeners. kept: from
 * before a restart in place. False, having said why in the log, when one can't be had. */
bool listeners_open(struct listeners *listeners, struct ev_loop *loop,
                    const struct rules_settings *settings, const struct restart_sockets *kept);

/* One for the admin server to take over, which ends without shutting it down; -1 with a sentence in
 * *why (SOCKET_WHY_MAX bytes). */
int listeners_open_admin(struct listeners *listeners, char *why);

/* Calls accepted for each connection from now on; or leaves them waiting. */
void listeners_accept(struct listeners *listeners, bool accepting);

/* No more connections, and none is kept waiting but by whoever else holds the sockets. Does nothing
 * when done already, or never opened. */
void listeners_close(struct listeners *listeners);

/* The same for the admin server's, once that has ended. */
void listeners_close_admin(struct listeners *listeners);

/* Puts all of them among the sockets for a restart in place. False when out of memory. */
bool listeners_leave(struct listeners *listeners, struct restart_sockets *sockets);
