/* Restarting without an end: the process becomes its program anew, with the sockets it has. HAProxy
 * notices nothing: what it asks meanwhile waits in its connections, and neither those nor the
 * process's number change, so a service manager, or a container whose first process this is, sees
 * no end either. The program is that which its path names now: a newer one after an upgrade.
 *
 * For the control thread alone. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/rules.h"

enum restart_kind {
    RESTART_LISTENER,   /* opened by this process */
    RESTART_PASSED,     /* a listener that the service manager holds too */
    RESTART_CONNECTION, /* from HAProxy, between two frames */
};

struct restart_socket {
    enum restart_kind kind;
    int fd;
    uint32_t max_frame_size; /* of a connection: as agreed; 0: its handshake is yet to come */
};

/* Zero-initialised is empty. */
struct restart_sockets {
    struct restart_socket *all;
    size_t count;
    size_t room;
};

/* False when out of memory. */
bool restart_add(struct restart_sockets *sockets, const struct restart_socket *socket);

/* Closes none of them. */
void restart_free(struct restart_sockets *sockets);

/* Where the program is, and how it was called, while that can be told. */
struct restart_program {
    char path[4096];
    char arguments[65536]; /* each followed by a NUL */
    size_t size;           /* 0: this can't be told, so there is no restart in place */
    ev_child check;
    void (*checked)(void *context, bool right);
    void *context;
};

/* Call at the start. */
void restart_remember(struct restart_program *program);

/* Asks the program that is there now whether it would take the rule file: `validate FILE`. Calls
 * checked with the answer, from the (default) loop, and returns NULL. When that can't be asked, or
 * is being asked already, returns why, a static string, and never calls it. The file's name
 * outlives the question. */
const char *restart_check(struct restart_program *program, const char *rule_file,
                          struct ev_loop *loop, void (*checked)(void *context, bool right),
                          void *context);

/* Becomes the program. Of the descriptors only these and the first three stay open. Signals stay
 * blocked until restart_receive. Returns only when it fails, with errno; call after all other
 * threads have ended. */
void restart_now(const struct restart_program *program, const struct restart_sockets *sockets);

/* What restart_now has left to this process, in its order; none where it wasn't started so.
 * Unblocks the signals. False when it is malformed, in which nothing but a bug could result. */
bool restart_receive(struct restart_sockets *sockets);

/* Says in the log if a reload changed what only a restart can. */
void restart_warn(const struct rules_settings *started, const struct rules_settings *now);
