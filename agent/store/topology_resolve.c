/* Names into addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/store/topology_parts.h"

/* Whether something at an address accepts a connection to a port within timeout. */
static bool accepts(const struct sockaddr_storage *address, socklen_t size, uint16_t port,
                    uint64_t timeout)
{
    struct sockaddr_storage target = *address;
    if (target.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&target)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&target)->sin_port = htons(port);
    int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int error = connect(fd, (const struct sockaddr *)&target, size) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        struct pollfd waiting = {.fd = fd, .events = POLLOUT};
        socklen_t length = sizeof(error);
        int ready = poll(&waiting, 1, (int)(timeout / 1000));
        error = ETIMEDOUT;
        if (ready == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
            error = errno;
    }
    close(fd);
    return error == 0;
}

static void add(struct topology__addresses *addresses, const struct addrinfo *info)
{
    size_t n = addresses->count;
    char *text = addresses->list[n].text;
    if (info->ai_addrlen > sizeof(addresses->list[n].socket) ||
        getnameinfo(info->ai_addr, info->ai_addrlen, text, TOPOLOGY_ADDRESS_MAX + 1, NULL, 0,
                    NI_NUMERICHOST) != 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (strcmp(addresses->list[i].text, text) == 0)
            return;
    memcpy(&addresses->list[n].socket, info->ai_addr, info->ai_addrlen);
    addresses->list[n].size = info->ai_addrlen;
    addresses->count++;
}

int topology__addresses_of(const char *host, int flags, struct topology__addresses *addresses)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;
    addresses->count = 0;
    int error = getaddrinfo(host, NULL, &hints, &found);
    if (error)
        return error;
    for (struct addrinfo *i = found; i && addresses->count < TOPOLOGY__ADDRESSES_MAX;
         i = i->ai_next)
        add(addresses, i);
    freeaddrinfo(found);
    return addresses->count ? 0 : EAI_NONAME;
}

/* The one in use if it accepts connections; else the first that does; NULL when none does. A name
 * of one address needs no asking. */
static const char *choose(struct topology__look *look, const struct topology__addresses *addresses,
                          uint16_t port, size_t in_use)
{
    if (addresses->count == 1)
        return addresses->list[0].text;
    for (size_t i = 0; i < addresses->count && !*look->stopping; i++) {
        /* Itself, then the others in their order. */
        size_t n = i == 0 ? in_use : i - (i <= in_use);
        if (accepts(&addresses->list[n].socket, addresses->list[n].size, port,
                    look->settings->timeout))
            return addresses->list[n].text;
    }
    return NULL;
}

static bool settle(struct topology__look *look, const char *host, uint16_t port,
                   const struct topology__addresses *addresses,
                   char address[TOPOLOGY_ADDRESS_MAX + 1])
{
    size_t in_use = 0;
    for (size_t i = 0; i < addresses->count; i++)
        if (strcmp(addresses->list[i].text, address) == 0)
            in_use = i;
    const char *chosen = choose(look, addresses, port, in_use);
    snprintf(address, TOPOLOGY_ADDRESS_MAX + 1, "%s",
             chosen ? chosen : addresses->list[in_use].text);
    return chosen ? true
                  : topology__fail(look, "%s: none of its %zu addresses accepts a connection", host,
                                   addresses->count);
}

bool topology__resolve(struct topology__look *look, const char *host, uint16_t port,
                       char address[TOPOLOGY_ADDRESS_MAX + 1])
{
    struct topology__addresses addresses;
    int error;
    if (topology__addresses_of(host, AI_NUMERICHOST, &addresses) == 0)
        return settle(look, host, port, &addresses, address);
    if (look->names_known && address[0]) {
        look->names_reused = true;
        return true;
    }
    if (!topology__look_up(look, host, &addresses, &error))
        return false;
    if (!error)
        return settle(look, host, port, &addresses, address);
    if (error == EAI_NONAME || error == EAI_NODATA || error == EAI_ADDRFAMILY)
        address[0] = '\0';
    return topology__fail(look, "%s: %s", host, gai_strerror(error));
}
