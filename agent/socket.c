#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/socket.h"

/* A HAProxy that reloads opens all its connections anew at once. */
#define BACKLOG 4096

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
};

/* Leaves errno as it was. */
static int fail(char *why, int fd, const char *what)
{
    int error = errno;
    snprintf(why, SOCKET_WHY_MAX, "%s: %s", what, strerror(error));
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

static socklen_t unix_address(const struct endpoint *endpoint, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    /* An abstract name starts with a NUL and has no NUL at its end. */
    size_t skip = endpoint->kind == ENDPOINT_ABSTRACT ? 1 : 0;
    memcpy(address->sun_path + skip, endpoint->path.data, endpoint->path.size);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + endpoint->path.size + 1);
}

static struct addrinfo *resolve(const struct endpoint *endpoint, int flags, char *why)
{
    char host[ENDPOINT_HOST_MAX + 1];
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    snprintf(host, sizeof(host), "%.*s", SLICE_ARGS(endpoint->host));
    snprintf(port, sizeof(port), "%u", endpoint->port);
    int error = getaddrinfo(endpoint->host.size ? host : NULL, port, &hints, &found);
    if (error)
        snprintf(why, SOCKET_WHY_MAX, "%s: %s", host, gai_strerror(error));
    return error ? NULL : found;
}

/* ---- listening ----------------------------------------------------------------------------- */

static int start_listening(int fd, const struct sockaddr *address, socklen_t size, char *why)
{
    if (bind(fd, address, size) != 0)
        return fail(why, fd, "bind");
    if (listen(fd, BACKLOG) != 0)
        return fail(why, fd, "listen");
    return fd;
}

static int listen_at(const struct sockaddr *address, socklen_t size, char *why)
{
    int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(why, fd, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return start_listening(fd, address, size, why);
}

/* IPv6's socket takes IPv4's connections as well; where there is no IPv6, IPv4's does. */
static int listen_everywhere(uint16_t port, char *why)
{
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    int off = 0;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return listen_at((const struct sockaddr *)&ipv4, sizeof(ipv4), why);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    return start_listening(fd, (const struct sockaddr *)&ipv6, sizeof(ipv6), why);
}

/* A name may have addresses that this machine hasn't, as localhost's ::1 where IPv6 is off. */
static int listen_tcp(const struct endpoint *endpoint, char *why)
{
    if (!endpoint->host.size)
        return listen_everywhere(endpoint->port, why);
    struct addrinfo *found = resolve(endpoint, AI_PASSIVE, why);
    int fd = -1;
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = listen_at(at->ai_addr, at->ai_addrlen, why);
        if (fd < 0 && errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT)
            break;
    }
    if (found)
        freeaddrinfo(found);
    return fd;
}

/* Whether the path is a socket that nobody listens on any more. */
static bool is_stale(const struct sockaddr_un *address, socklen_t size)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, (const struct sockaddr *)address, size) != 0 &&
                   (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return refused;
}

/* Why bind failed, where something else than a socket was in its way. */
static void tell_other_file(const char *path, char *why)
{
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
        snprintf(why, SOCKET_WHY_MAX, "bind: what is there is no socket");
}

static int listen_unix(const struct endpoint *endpoint, uint32_t mode, char *why)
{
    union address address;
    socklen_t size = unix_address(endpoint, &address.local);
    bool has_path = endpoint->kind == ENDPOINT_UNIX;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(why, fd, "socket");
    if (has_path && is_stale(&address.local, size))
        unlink(address.local.sun_path);
    /* The file has its final permissions from its first moment. */
    mode_t before = mode ? umask((mode_t)(~mode & 0777)) : 0;
    fd = start_listening(fd, &address.any, size, why);
    if (mode)
        umask(before);
    if (fd < 0 && has_path)
        tell_other_file(address.local.sun_path, why);
    return fd;
}

int socket_listen(const struct endpoint *endpoint, uint32_t mode, char *why)
{
    return endpoint->kind == ENDPOINT_TCP ? listen_tcp(endpoint, why)
                                          : listen_unix(endpoint, mode, why);
}

void socket_unlink(int listener, const struct endpoint *endpoint)
{
    union address address;
    if (endpoint->kind != ENDPOINT_UNIX)
        return;
    socklen_t size = unix_address(endpoint, &address.local);
    /* Once our listener is shut, a path that still answers belongs to somebody else. */
    shutdown(listener, SHUT_RDWR);
    if (is_stale(&address.local, size))
        unlink(address.local.sun_path);
}

int socket_accept(int listener)
{
    int on = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) /* fails on a unix socket, which has nothing to delay */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* ---- connecting ---------------------------------------------------------------------------- */

static int connect_to(int family, const struct sockaddr *address, socklen_t size, int timeout_ms,
                      char *why)
{
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000L};
    int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(why, fd, "socket");
    /* A send timeout bounds connect as well (socket(7)). */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, address, size) != 0) {
        if (errno == EINPROGRESS)
            errno = ETIMEDOUT;
        return fail(why, fd, "connect");
    }
    return fd;
}

int socket_connect(const struct endpoint *endpoint, int timeout_ms, char *why)
{
    if (endpoint->kind != ENDPOINT_TCP) {
        union address address;
        socklen_t size = unix_address(endpoint, &address.local);
        return connect_to(AF_UNIX, &address.any, size, timeout_ms, why);
    }
    struct addrinfo *found = resolve(endpoint, 0, why);
    int fd = -1;
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = connect_to(at->ai_family, at->ai_addr, at->ai_addrlen, timeout_ms, why);
    if (found)
        freeaddrinfo(found);
    return fd;
}

/* ---- names --------------------------------------------------------------------------------- */

static void print_name(const union address *address, socklen_t size, char *name)
{
    char host[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->ipv4.sin_addr, host, sizeof(host));
        snprintf(name, SOCKET_NAME_MAX, "tcp://%s:%u", host, ntohs(address->ipv4.sin_port));
    } else if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->ipv6.sin6_addr, host, sizeof(host));
        snprintf(name, SOCKET_NAME_MAX, "tcp://[%s]:%u", host, ntohs(address->ipv6.sin6_port));
    } else if (size <= offsetof(struct sockaddr_un, sun_path)) {
        snprintf(name, SOCKET_NAME_MAX, "unix");
    } else {
        bool abstract = address->local.sun_path[0] == 0;
        size_t length = size - offsetof(struct sockaddr_un, sun_path);
        snprintf(name, SOCKET_NAME_MAX, "unix://%s%.*s", abstract ? "@" : "",
                 (int)(length - (abstract ? 1 : 0)), address->local.sun_path + (abstract ? 1 : 0));
    }
}

void socket_peer_name(int fd, char *name)
{
    union address address = {0};
    socklen_t size = sizeof(address);
    if (getpeername(fd, &address.any, &size) != 0)
        snprintf(name, SOCKET_NAME_MAX, "unknown");
    else
        print_name(&address, size, name);
}

void socket_own_name(int fd, char *name)
{
    union address address = {0};
    socklen_t size = sizeof(address);
    if (getsockname(fd, &address.any, &size) != 0)
        snprintf(name, SOCKET_NAME_MAX, "unknown");
    else
        print_name(&address, size, name);
}

/* ---- whether a listener is where it should be ---------------------------------------------- */

static bool is_at_path(const union address *own, socklen_t size, const struct endpoint *endpoint)
{
    union address wanted;
    socklen_t wanted_size = unix_address(endpoint, &wanted.local);
    struct stat ours;
    struct stat theirs;
    const char *path = own->local.sun_path;
    if (endpoint->kind == ENDPOINT_ABSTRACT)
        return size == wanted_size && memcmp(own, &wanted, size) == 0;
    if (size <= offsetof(struct sockaddr_un, sun_path) || !path[0])
        return false;
    /* A file has one name more where /var/run is a link to /run. */
    return strcmp(path, wanted.local.sun_path) == 0 ||
           (stat(path, &ours) == 0 && stat(wanted.local.sun_path, &theirs) == 0 &&
            ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino);
}

static bool is_every_address(const union address *own)
{
    return own->any.sa_family == AF_INET
               ? own->ipv4.sin_addr.s_addr == htonl(INADDR_ANY)
               : memcmp(&own->ipv6.sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0;
}

static bool same_host(const union address *own, const struct addrinfo *found)
{
    union address other;
    if (own->any.sa_family != found->ai_family)
        return false;
    memcpy(&other, found->ai_addr, found->ai_addrlen);
    return own->any.sa_family == AF_INET ? own->ipv4.sin_addr.s_addr == other.ipv4.sin_addr.s_addr
                                         : memcmp(&own->ipv6.sin6_addr, &other.ipv6.sin6_addr,
                                                  sizeof(own->ipv6.sin6_addr)) == 0;
}

static bool is_at_host(const union address *own, const struct endpoint *endpoint)
{
    char why[SOCKET_WHY_MAX];
    in_port_t port = own->any.sa_family == AF_INET ? own->ipv4.sin_port : own->ipv6.sin6_port;
    if (endpoint->port && ntohs(port) != endpoint->port)
        return false;
    if (!endpoint->host.size)
        return is_every_address(own);
    struct addrinfo *found = resolve(endpoint, AI_PASSIVE, why);
    bool same = false;
    for (struct addrinfo *at = found; at && !same; at = at->ai_next)
        same = same_host(own, at);
    if (found)
        freeaddrinfo(found);
    return same;
}

bool socket_is_at(int listener, const struct endpoint *endpoint)
{
    union address own = {0};
    socklen_t size = sizeof(own);
    if (getsockname(listener, &own.any, &size) != 0)
        return false;
    if (own.any.sa_family == AF_UNIX)
        return endpoint->kind != ENDPOINT_TCP && is_at_path(&own, size, endpoint);
    return (own.any.sa_family == AF_INET || own.any.sa_family == AF_INET6) &&
           endpoint->kind == ENDPOINT_TCP && is_at_host(&own, endpoint);
}

bool socket_send_all(int fd, struct slice bytes)
{
    while (bytes.size) {
        ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        bytes = slice_from(bytes, (size_t)sent);
    }
    return true;
}
