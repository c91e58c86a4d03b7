#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/inherited.h"

/* What systemd allows a name to have. */
#define NAME_MAX_BYTES 255

/* What one socket is told to be, by the environment. */
struct passed {
    int fd;
    struct slice name; /* empty: none was given */
};

static bool wrong(char *why, const char *what)
{
    snprintf(why, SOCKET_WHY_MAX, "%s", what);
    return false;
}

/* ---- the environment ----------------------------------------------------------------------- */

static bool is_number(const char *text, uint64_t *number)
{
    return text && slice_to_uint64(slice_of_string(text), number);
}

/* Names stand between colons, as many as there are sockets. */
static bool split_names(const char *names, struct passed *passed, size_t count, char *why)
{
    struct slice rest = slice_of_string(names);
    size_t found = 0;
    for (bool more = true; more; found++) {
        const uint8_t *colon = rest.size ? memchr(rest.data, ':', rest.size) : NULL;
        size_t size = colon ? (size_t)(colon - rest.data) : rest.size;
        if (found < count)
            passed[found].name = slice_of(rest.data, size);
        if (size > NAME_MAX_BYTES)
            return wrong(why, "a name in LISTEN_FDNAMES is too long, expected at most 255 bytes");
        more = colon;
        rest = slice_from(rest, size + 1);
    }
    if (found != count)
        snprintf(why, SOCKET_WHY_MAX,
                 "LISTEN_FDNAMES has %zu names, expected %zu, which LISTEN_FDS says", found, count);
    return found == count;
}

/* The sockets passed to this process, at most INHERITED_MAX. What was meant for another process,
 * from which this one has its environment, is none. */
static bool read_environment(int first, struct passed *passed, size_t *count, char *why)
{
    const char *process = getenv("LISTEN_PID");
    const char *sockets = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    uint64_t number = 0;
    *count = 0;
    if (!process || !sockets)
        return true;
    if (!is_number(process, &number))
        return wrong(why, "LISTEN_PID is not a number, expected a process's");
    if (number != (uint64_t)getpid())
        return true;
    if (!is_number(sockets, &number) || number > INHERITED_MAX) {
        snprintf(why, SOCKET_WHY_MAX, "LISTEN_FDS is \"%.20s\", expected a number from 0 to %d",
                 sockets, INHERITED_MAX);
        return false;
    }
    *count = (size_t)number;
    for (size_t i = 0; i < *count; i++)
        passed[i] = (struct passed){.fd = first + (int)i};
    return !names || !*count || split_names(names, passed, *count, why);
}

/* ---- one socket ---------------------------------------------------------------------------- */

static bool option_is(int fd, int option, int wanted)
{
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

static bool prepare(const struct passed *passed, char *why)
{
    if (!option_is(passed->fd, SO_TYPE, SOCK_STREAM) || !option_is(passed->fd, SO_ACCEPTCONN, 1)) {
        snprintf(why, SOCKET_WHY_MAX,
                 "descriptor %d (%.*s) is not a listening stream socket, expected one "
                 "(ListenStream= with Accept=no)",
                 passed->fd, SLICE_ARGS(passed->name));
        return false;
    }
    int flags = fcntl(passed->fd, F_GETFL);
    if (flags < 0 || fcntl(passed->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(passed->fd, F_SETFD, FD_CLOEXEC) != 0) {
        snprintf(why, SOCKET_WHY_MAX, "descriptor %d: %s", passed->fd, strerror(errno));
        return false;
    }
    return true;
}

/* A name says what a socket is for, if it is one of ours; systemd's own is that of the unit. */
static bool may_be(const struct passed *passed, struct slice purpose)
{
    return slice_equal(passed->name, purpose) || (!slice_equal(passed->name, SLICE("spop")) &&
                                                  !slice_equal(passed->name, SLICE("admin")));
}

/* Where the descriptor of the entry that the socket is for goes; NULL when there is none. */
static int *place_of(struct inherited *inherited, const struct rules_settings *settings,
                     const struct passed *passed, bool **is_shared)
{
    for (size_t i = 0; may_be(passed, SLICE("spop")) && i < settings->listener_count; i++) {
        if (!socket_is_at(passed->fd, &settings->listeners[i].endpoint))
            continue;
        *is_shared = &inherited->is_shared[i];
        return &inherited->listeners[i];
    }
    *is_shared = &inherited->admin_is_shared;
    bool is_admin = may_be(passed, SLICE("admin")) && settings->has_admin &&
                    socket_is_at(passed->fd, &settings->admin);
    return is_admin ? &inherited->admin : NULL;
}

static bool place(struct inherited *inherited, const struct rules_settings *settings,
                  const struct passed *passed, char *why)
{
    char name[SOCKET_NAME_MAX];
    if (!prepare(passed, why))
        return false;
    socket_own_name(passed->fd, name);
    bool *is_shared;
    int *place = place_of(inherited, settings, passed, &is_shared);
    if (!place || *place >= 0) {
        snprintf(why, SOCKET_WHY_MAX, "the passed socket %s (%.*s) %s", name,
                 SLICE_ARGS(passed->name),
                 place ? "was passed twice, expected once"
                       : "is no address of the rule file, expected one of `listen`, or `admin`, "
                         "and a name that fits (spop, admin)");
        return false;
    }
    *place = passed->fd;
    *is_shared = true;
    log_event(LOG_INFO, "socket passed", LOG_STRING("address", name),
              LOG_SLICE("name", passed->name));
    return true;
}

bool inherited_receive(struct inherited *inherited, const struct rules_settings *settings,
                       int first, char *why)
{
    struct passed passed[INHERITED_MAX];
    size_t count = 0;
    *inherited = (struct inherited){.admin = -1};
    for (size_t i = 0; i < RULES_MAX_LISTENERS; i++)
        inherited->listeners[i] = -1;
    bool right = read_environment(first, passed, &count, why);
    for (size_t i = 0; right && i < count; i++)
        right = place(inherited, settings, &passed[i], why);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return right;
}

bool inherited_keep(struct inherited *inherited, const struct rules_settings *settings, int fd,
                    bool is_shared)
{
    const struct passed kept = {.fd = fd};
    bool *place_is_shared;
    int *place = place_of(inherited, settings, &kept, &place_is_shared);
    if (!place || *place >= 0)
        return false;
    *place = fd;
    *place_is_shared = is_shared;
    return true;
}
