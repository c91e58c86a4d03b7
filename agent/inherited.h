/* Listening sockets that a service manager opened before it started this process, and keeps while
 * one process follows another, so that connections wait in the kernel's queue meanwhile and none is
 * refused (sd_listen_fds(3); systemd's .socket units). They are found by the environment, as
 * LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, with no library, so that any parent may pass them. */
#pragma once

#include "agent/socket.h"
#include "rules/rules.h"

/* At most so many: one for each address that a rule file can name. */
#define INHERITED_MAX (RULES_MAX_LISTENERS + 1)

/* The descriptor of the first; the others follow it. */
#define INHERITED_FIRST 3

struct inherited {
    int listeners[RULES_MAX_LISTENERS]; /* by index of settings.listeners; -1: none was passed */
    int admin;                          /* -1: none was passed */
    /* Whether somebody else holds it too: then it is to be closed, and neither to be shut down nor
     * its path taken away. */
    bool is_shared[RULES_MAX_LISTENERS];
    bool admin_is_shared;
};

/* Matches what was passed with the addresses of the settings. A socket's name (FileDescriptorName=)
 * restricts what it may be for: `spop` an entry of `listen`, `admin` that of `admin`, any other
 * name either. Where nothing was passed to this process, all are -1.
 *
 * Sockets become non-blocking and close-on-exec. They are the caller's, and shared.
 *
 * False, with a sentence in *why (SOCKET_WHY_MAX bytes), when the environment makes no sense, or a
 * socket matches no address, one that another has already, or isn't one that a connection can be
 * accepted from: to serve without it would leave its callers waiting for good. first:
 * INHERITED_FIRST, but in tests. Host names in the settings are resolved, which may block.
 *
 * Takes the three variables out of the environment: call before the first thread starts. */
bool inherited_receive(struct inherited *inherited, const struct rules_settings *settings,
                       int first, char *why);

/* Adds a listener that this process has had before a restart in place (restart.h). False, and it
 * stays the caller's, where it is at no address of the settings any more. */
bool inherited_keep(struct inherited *inherited, const struct rules_settings *settings, int fd,
                    bool is_shared);
