#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/bench/floor.h"
#include "agent/socket.h"
#include "spop/spop.h"

#define CONNECTIONS_MAX 1024
#define FRAME_MAX       16380
#define BUFFER          65536
#define EVENTS          64

/* The payload of every ACK: set-var, three arguments, transaction, the name, a boolean. */
static const uint8_t actions[] = {
    SPOP_SET_VAR, 3, SPOP_SCOPE_TRANSACTION, 5, 'a', 'l', 'l', 'o', 'w', 0x11,
    SPOP_SET_VAR, 3, SPOP_SCOPE_TRANSACTION, 4, 'd', 'e', 'n', 'y', 0x01};

/* No ACK is larger than its NOTIFY, but for a NOTIFY that is nearly empty. */
#define ACK_MAX (SPOP_LENGTH_SIZE + 1 + 4 + 2 * SPOP_VARINT_MAX + sizeof(actions))

struct guest {
    int fd;
    bool closing; /* once the output is written */
    bool blocked; /* the output waits until the socket takes more */
    struct spop_session session;
    size_t input_end;
    size_t output_start;
    size_t output_end;
    uint8_t input[BUFFER];
    uint8_t output[BUFFER];
};

struct house {
    int epoll;
    int listener;
    int signals;
    size_t guests;
};

/* What isn't a guest has its descriptor as data. */
static bool watch(const struct house *house, int operation, int fd, uint32_t events, void *data)
{
    struct epoll_event wanted = {.events = events, .data.ptr = data};
    return epoll_ctl(house->epoll, operation, fd, &wanted) == 0;
}

static void leave(struct house *house, struct guest *guest)
{
    close(guest->fd);
    free(guest);
    house->guests--;
}

static void welcome(struct house *house)
{
    for (int fd; (fd = socket_accept(house->listener)) >= 0;) {
        struct guest *guest = house->guests < CONNECTIONS_MAX ? malloc(sizeof(*guest)) : NULL;
        if (!guest) {
            close(fd);
            continue;
        }
        guest->fd = fd;
        guest->closing = guest->blocked = false;
        guest->input_end = guest->output_start = guest->output_end = 0;
        spop_session_open(&guest->session, SPOP_AGENT, FRAME_MAX, SPOP_PIPELINING);
        house->guests++;
        if (!watch(house, EPOLL_CTL_ADD, fd, EPOLLIN, guest))
            leave(house, guest);
    }
}

/* A NOTIFY's answer, if the frame that the input begins with is a whole one: how many bytes it has;
 * 0 when the session has to say what it is. */
static size_t answer_notify(struct guest *guest, struct slice input)
{
    const uint8_t *at = input.data;
    if (guest->session.state != SPOP_STATE_RUN || input.size < SPOP_LENGTH_SIZE + 7)
        return 0;
    uint32_t length = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    if (length > input.size - SPOP_LENGTH_SIZE || length > FRAME_MAX || length < 7 ||
        at[4] != SPOP_FRAME_NOTIFY || !(at[8] & SPOP_FLAG_FIN))
        return 0;
    struct cursor c = cursor_open(slice_of(at + 9, length - 5));
    spop_read_varint(&c);
    spop_read_varint(&c);
    if (c.error)
        return 0;
    size_t ids = (size_t)(c.position - (at + 9));
    uint8_t *to = guest->output + guest->output_end;
    writer_put_uint32(to, (uint32_t)(5 + ids + sizeof(actions)));
    to[4] = SPOP_FRAME_ACK;
    writer_put_uint32(to + 5, SPOP_FLAG_FIN);
    memcpy(to + 9, at + 9, ids);
    memcpy(to + 9 + ids, actions, sizeof(actions));
    guest->output_end += 9 + ids + sizeof(actions);
    return SPOP_LENGTH_SIZE + length;
}

/* Whatever isn't a NOTIFY. Returns the bytes used, 0 when more are to come. */
static size_t answer_other(struct guest *guest, struct slice input)
{
    struct writer w = writer_open(guest->output + guest->output_end, BUFFER - guest->output_end);
    struct spop_event event = spop_session_next(&guest->session, input, &w);
    guest->output_end += writer_size(&w);
    if (event.type == SPOP_EVENT_CLOSE || event.type == SPOP_EVENT_HEALTHCHECK)
        guest->closing = true;
    /* A NOTIFY that answer_notify refused: without its answer there is nothing to go on with. */
    if (event.type == SPOP_EVENT_NOTIFY)
        guest->closing = true;
    return event.consumed;
}

static void answer_all(struct guest *guest)
{
    size_t used = 0;
    while (!guest->closing &&
           BUFFER - guest->output_end >= ACK_MAX + SPOP_LENGTH_SIZE + SPOP_FRAME_SIZE_MIN) {
        struct slice input = slice_of(guest->input + used, guest->input_end - used);
        size_t size = answer_notify(guest, input);
        size = size ? size : answer_other(guest, input);
        if (size == 0)
            break;
        used += size;
    }
    guest->input_end -= used;
    memmove(guest->input, guest->input + used, guest->input_end);
}

/* False when the connection is over. What is blocked is written before more is read. */
static bool write_answers(const struct house *house, struct guest *guest)
{
    size_t left = guest->output_end - guest->output_start;
    ssize_t sent =
        left ? send(guest->fd, guest->output + guest->output_start, left, MSG_NOSIGNAL) : 0;
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    bool was_blocked = guest->blocked;
    guest->output_start += sent < 0 ? 0 : (size_t)sent;
    guest->blocked = guest->output_start < guest->output_end;
    if (!guest->blocked)
        guest->output_start = guest->output_end = 0;
    if (guest->blocked != was_blocked)
        watch(house, EPOLL_CTL_MOD, guest->fd, guest->blocked ? EPOLLOUT : EPOLLIN, guest);
    return guest->blocked || !guest->closing;
}

static bool serve_guest(const struct house *house, struct guest *guest, uint32_t events)
{
    if (events & EPOLLOUT && !write_answers(house, guest))
        return false;
    if (guest->blocked)
        return !(events & (EPOLLERR | EPOLLHUP));
    if (events & ~(uint32_t)EPOLLOUT) {
        ssize_t got =
            recv(guest->fd, guest->input + guest->input_end, BUFFER - guest->input_end, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (got <= 0)
            return false;
        guest->input_end += (size_t)got;
    }
    /* A round more whenever the answers filled the output and all of it could be written. */
    for (;;) {
        size_t before = guest->input_end;
        answer_all(guest);
        if (!write_answers(house, guest))
            return false;
        if (guest->blocked || guest->input_end == before || guest->input_end == 0)
            return true;
    }
}

static int serve(struct house *house)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(house->epoll, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) {
            fprintf(stderr, "sluice bench: epoll_wait: %s\n", strerror(errno));
            return EXIT_FAILURE;
        }
        for (int i = 0; i < count; i++) {
            void *data = events[i].data.ptr;
            if (data == &house->signals)
                return EXIT_SUCCESS;
            if (data == &house->listener)
                welcome(house);
            else if (!serve_guest(house, data, events[i].events))
                leave(house, data);
        }
    }
}

int bench_floor_serve(const struct endpoint *endpoint)
{
    char why[SOCKET_WHY_MAX];
    char name[SOCKET_NAME_MAX];
    sigset_t ending;
    struct house house = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    house.signals = signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
    house.listener = socket_listen(endpoint, 0, why);
    if (house.listener < 0) {
        fprintf(stderr, "sluice bench: %s\n", why);
        return EXIT_FAILURE;
    }
    int status = EXIT_FAILURE;
    if (watch(&house, EPOLL_CTL_ADD, house.signals, EPOLLIN, &house.signals) &&
        watch(&house, EPOLL_CTL_ADD, house.listener, EPOLLIN, &house.listener)) {
        socket_own_name(house.listener, name);
        printf("listening %s\n", name);
        fflush(stdout);
        status = serve(&house);
    } else {
        fprintf(stderr, "sluice bench: epoll: %s\n", strerror(errno));
    }
    socket_unlink(house.listener, endpoint);
    close(house.listener);
    return status;
}
