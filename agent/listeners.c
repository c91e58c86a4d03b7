#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/listeners.h"
#include "agent/socket.h"

/* Connections accepted before the other watchers get their turn. */
#define ACCEPT_BATCH 64

/* How long accepting rests when the process has no descriptors left (seconds): the waiting
 * connection would otherwise wake the loop without end. */
#define ACCEPT_REST 0.1

/* ---- accepting ----------------------------------------------------------------------------- */

void listeners_accept(struct listeners *listeners, bool accepting)
{
    for (size_t i = 0; i < listeners->count; i++) {
        if (accepting)
            ev_io_start(listeners->loop, &listeners->all[i].watcher);
        else
            ev_io_stop(listeners->loop, &listeners->all[i].watcher);
    }
    ev_timer_stop(listeners->loop, &listeners->rest);
}

static void rest_from_accepting(struct listeners *listeners)
{
    static struct log_limiter limiter;
    log_limited(&limiter, LOG_ERROR, "no connection can be accepted",
                LOG_STRING("error", strerror(errno)));
    listeners_accept(listeners, false);
    ev_timer_set(&listeners->rest, ACCEPT_REST, 0.);
    ev_timer_start(listeners->loop, &listeners->rest);
}

static void on_rest(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    listeners_accept(watcher->data, true);
}

static void on_connection(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct listeners *listeners = ((struct listener *)watcher)->owner;
    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = socket_accept(watcher->fd);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            rest_from_accepting(listeners);
        if (fd < 0)
            return;
        listeners->accepted(listeners->context, fd);
    }
}

/* ---- opening ------------------------------------------------------------------------------- */

/* Those that the file names no more are closed. */
static void keep(struct listeners *listeners, const struct restart_sockets *kept)
{
    for (size_t i = 0; i < kept->count; i++) {
        const struct restart_socket *socket = &kept->all[i];
        if (socket->kind != RESTART_CONNECTION &&
            !inherited_keep(&listeners->inherited, listeners->settings, socket->fd,
                            socket->kind == RESTART_PASSED))
            close(socket->fd);
    }
}

static bool open_one(struct listeners *listeners, size_t index)
{
    const struct rules_listener *wanted = &listeners->settings->listeners[index];
    struct listener *listener = &listeners->all[index];
    char why[SOCKET_WHY_MAX];
    char name[SOCKET_NAME_MAX];
    int fd = listeners->inherited.listeners[index];
    if (fd < 0)
        fd = socket_listen(&wanted->endpoint, wanted->mode, why);
    if (fd < 0) {
        struct writer w = writer_open(name, sizeof(name));
        endpoint_print(&wanted->endpoint, &w);
        log_event(LOG_ERROR, "can't listen", LOG_SLICE("address", writer_slice(&w)),
                  LOG_STRING("error", why));
        return false;
    }
    listener->owner = listeners;
    listener->settings = wanted;
    ev_io_init(&listener->watcher, on_connection, fd, EV_READ);
    listeners->count++;
    socket_own_name(fd, name);
    log_event(LOG_INFO, "listening", LOG_STRING("address", name));
    return true;
}

bool listeners_open(struct listeners *listeners, struct ev_loop *loop,
                    const struct rules_settings *settings, const struct restart_sockets *kept)
{
    char why[SOCKET_WHY_MAX];
    listeners->loop = loop;
    listeners->settings = settings;
    listeners->admin = -1;
    ev_timer_init(&listeners->rest, on_rest, ACCEPT_REST, 0.);
    listeners->rest.data = listeners;
    if (!inherited_receive(&listeners->inherited, settings, INHERITED_FIRST, why)) {
        log_event(LOG_ERROR, "can't use the sockets that were passed", LOG_STRING("error", why));
        return false;
    }
    keep(listeners, kept);
    for (size_t i = 0; i < settings->listener_count; i++)
        if (!open_one(listeners, i))
            return false;
    return true;
}

int listeners_open_admin(struct listeners *listeners, char *why)
{
    const struct rules_settings *settings = listeners->settings;
    int fd = listeners->inherited.admin;
    if (fd < 0)
        fd = socket_listen(&settings->admin, settings->admin_mode, why);
    /* The admin server closes its descriptor when it ends. */
    listeners->admin = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return fd;
}

/* ---- closing ------------------------------------------------------------------------------- */

void listeners_close(struct listeners *listeners)
{
    if (listeners->count)
        listeners_accept(listeners, false);
    for (size_t i = 0; i < listeners->count; i++) {
        int fd = listeners->all[i].watcher.fd;
        if (!listeners->inherited.is_shared[i])
            socket_unlink(fd, &listeners->all[i].settings->endpoint);
        close(fd);
    }
    listeners->count = 0;
}

void listeners_close_admin(struct listeners *listeners)
{
    if (!listeners->settings || listeners->admin < 0)
        return;
    if (!listeners->inherited.admin_is_shared)
        socket_unlink(listeners->admin, &listeners->settings->admin);
    close(listeners->admin);
    listeners->admin = -1;
}

static bool leave(struct restart_sockets *sockets, int fd, bool is_shared)
{
    enum restart_kind kind = is_shared ? RESTART_PASSED : RESTART_LISTENER;
    return fd < 0 || restart_add(sockets, &(struct restart_socket){.kind = kind, .fd = fd});
}

bool listeners_leave(struct listeners *listeners, struct restart_sockets *sockets)
{
    const struct inherited *inherited = &listeners->inherited;
    bool all = leave(sockets, listeners->admin, inherited->admin_is_shared);
    for (size_t i = 0; all && i < listeners->count; i++)
        all = leave(sockets, listeners->all[i].watcher.fd, inherited->is_shared[i]);
    return all;
}
