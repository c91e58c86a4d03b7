/* Sockets by endpoint. Functions return a descriptor, or -1 with a sentence in *why (a buffer of
 * SOCKET_WHY_MAX bytes). Resolving a host name may block: never on a worker. */
#pragma once

#include "base/base.h"

#define SOCKET_WHY_MAX  512
#define SOCKET_NAME_MAX 160

/* A non-blocking listener. A TCP endpoint without host listens on all addresses of IPv6 and IPv4;
 * one with a name on the first of its addresses that can be listened on.
 * A unix socket that nobody answers on (its agent has died) is replaced; one that is answered on is
 * an error. mode: permission bits of a unix socket, 0 for the umask's. */
int socket_listen(const struct endpoint *endpoint, uint32_t mode, char *why);

/* Takes away the path of a listener that is about to be closed, unless another agent has put its
 * own there meanwhile. */
void socket_unlink(int listener, const struct endpoint *endpoint);

/* A blocking connection, made within timeout_ms; reads and writes on it time out likewise. */
int socket_connect(const struct endpoint *endpoint, int timeout_ms, char *why);

/* On a blocking connection. False, with errno, when it can't all be sent. */
bool socket_send_all(int fd, struct slice bytes);

/* One waiting connection, non-blocking; -1 with errno when there is none. */
int socket_accept(int listener);

/* "tcp://127.0.0.1:50312", "unix"; name has SOCKET_NAME_MAX bytes. */
void socket_peer_name(int fd, char *name);

/* Where a listener really listens: the port that the system chose for port 0. */
void socket_own_name(int fd, char *name);

/* Whether that is the endpoint: the same path, or another to the same file; the same port and one
 * of the host's addresses; every address where the endpoint has no host. Any port will do
 * where the endpoint's is 0. Resolves host names. */
bool socket_is_at(int listener, const struct endpoint *endpoint);
