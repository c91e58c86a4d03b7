#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/connection.h"
#include "agent/socket.h"

/* A peer that doesn't read its answers is not read from past this many bytes of them. */
#define OUTPUT_MAX (1u << 20)

/* Decisions of one connection that may be pending: each keeps its answer's room in the output. */
#define PENDING_MAX (OUTPUT_MAX / ENGINE_ANSWER_MAX / 2)

/* How long the peer has, from the last byte it let us send, to take the next one and, after our
 * goodbye, to close: closing first, with bytes of its unread, would make the kernel reset the
 * connection and drop the goodbye. */
#define LINGER_MAX UINT64_C(1000000)

/* Reads of one connection when draining; under load its peer might never pause. */
#define DRAIN_READS 64

struct connection {
    struct connection_host *host;
    struct engine_client client;
    struct spop_session session;
    enum connection_phase phase;
    bool is_dirty;
    bool stalled;   /* not read from until answers have gone out */
    bool peer_done; /* no more bytes will come */
    bool is_left;   /* its socket stays open, for another process */
    size_t pending;
    uint64_t active_at;
    struct buffer *input;
    struct buffer *output;
    ev_io readable;
    ev_io writable;
    TAILQ_ENTRY(connection) phase_link;
    TAILQ_ENTRY(connection) dirty_link;
};

/* ---- phases -------------------------------------------------------------------------------- */

static void release_socket(struct connection *c)
{
    struct connection_host *host = c->host;
    ev_io_stop(host->loop, &c->readable);
    ev_io_stop(host->loop, &c->writable);
    if (!c->is_left)
        close(c->readable.fd);
    buffer_put(&host->buffers, c->input);
    buffer_put(&host->buffers, c->output);
    c->input = c->output = NULL;
    if (c->is_dirty)
        TAILQ_REMOVE(&host->dirty, c, dirty_link);
    c->is_dirty = false;
    host->count--;
    host->closed(host);
}

/* Every change of phase. */
static void enter(struct connection *c, enum connection_phase phase)
{
    static const bool legal[CONNECTION_PHASES][CONNECTION_PHASES] = {
        [CONNECTION_HELLO] =
            {[CONNECTION_RUN] = true, [CONNECTION_CLOSING] = true, [CONNECTION_DEAD] = true},
        [CONNECTION_RUN] = {[CONNECTION_CLOSING] = true, [CONNECTION_DEAD] = true},
        [CONNECTION_CLOSING] = {[CONNECTION_DEAD] = true},
    };
    assert(legal[c->phase][phase]);
    TAILQ_REMOVE(&c->host->phases[c->phase], c, phase_link);
    c->phase = phase;
    c->active_at = c->host->now;
    TAILQ_INSERT_TAIL(&c->host->phases[phase], c, phase_link);
    if (phase == CONNECTION_DEAD)
        release_socket(c);
}

/* Something went in or out. A HELLO has its time from the connection's start on, however slowly it
 * trickles in. */
static void touch(struct connection *c)
{
    if (c->phase == CONNECTION_HELLO || c->active_at == c->host->now)
        return;
    c->active_at = c->host->now;
    TAILQ_REMOVE(&c->host->phases[c->phase], c, phase_link);
    TAILQ_INSERT_TAIL(&c->host->phases[c->phase], c, phase_link);
}

static void mark_dirty(struct connection *c)
{
    if (c->is_dirty || c->phase == CONNECTION_DEAD)
        return;
    c->is_dirty = true;
    TAILQ_INSERT_TAIL(&c->host->dirty, c, dirty_link);
}

/* ---- output -------------------------------------------------------------------------------- */

static bool is_open(const struct connection *c)
{
    return c->phase == CONNECTION_HELLO || c->phase == CONNECTION_RUN;
}

/* What is held, what pending decisions will need, one answer more, and the goodbye: whenever a
 * connection is to end, there is room to say so. */
static bool output_is_full(const struct connection *c)
{
    size_t held = c->output ? buffer_size(c->output) : 0;
    return c->pending >= PENDING_MAX || held + (c->pending + 2) * ENGINE_ANSWER_MAX > OUTPUT_MAX;
}

/* Room for `answers` more on top of those that pending decisions will need. Without memory for it
 * the connection ends here: a peer that lost an answer would only notice by its time-out. */
static bool reserve_output(struct connection *c, size_t answers)
{
    if (!c->output)
        c->output = buffer_get(&c->host->buffers);
    if (c->output &&
        buffer_reserve(&c->output, (c->pending + answers) * ENGINE_ANSWER_MAX, OUTPUT_MAX))
        return true;
    /* What has been begun reads the input yet; for its answers there is room. */
    engine_finish(c->host->engine);
    enter(c, CONNECTION_DEAD);
    return false;
}

static struct writer output_open(struct connection *c)
{
    return writer_open(c->output->data + c->output->end, buffer_room(c->output));
}

static void output_commit(struct connection *c, const struct writer *w)
{
    c->output->end += writer_size(w);
    if (buffer_size(c->output))
        mark_dirty(c);
}

/* Sends what there is; false when the connection broke. */
static bool send_output(struct connection *c)
{
    while (c->output && buffer_size(c->output)) {
        struct slice bytes = buffer_slice(c->output);
        ssize_t sent = send(c->writable.fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            ev_io_start(c->host->loop, &c->writable);
            return true;
        }
        if (sent < 0)
            return false;
        c->output->start += (size_t)sent;
        touch(c);
    }
    ev_io_stop(c->host->loop, &c->writable);
    buffer_put(&c->host->buffers, c->output);
    c->output = NULL;
    return true;
}

/* ---- closing ------------------------------------------------------------------------------- */

static void refuse(struct connection *c, uint32_t status)
{
    if (!reserve_output(c, 1))
        return;
    struct writer w = output_open(c);
    spop_session_refuse(&c->session, status, &w);
    output_commit(c, &w);
    enter(c, CONNECTION_CLOSING);
    mark_dirty(c);
}

static void count_refused(struct connection *c, uint32_t status)
{
    static struct log_limiter limiter;
    char peer[SOCKET_NAME_MAX];
    size_t slot = status < CONNECTION_CODES - 1 ? status : CONNECTION_CODES - 1;
    counter_add(&c->host->counters.frames_refused[slot], 1);
    socket_peer_name(c->readable.fd, peer);
    log_limited(&limiter, LOG_WARNING, "frame refused, connection closed", LOG_STRING("peer", peer),
                LOG_INT("code", status), LOG_STRING("reason", spop_status_text(status)));
}

/* Once the last bytes are out: our side is shut, and the peer's close is waited for. */
static void finish_closing(struct connection *c)
{
    if (c->output)
        return;
    if (c->peer_done) {
        enter(c, CONNECTION_DEAD);
        return;
    }
    shutdown(c->readable.fd, SHUT_WR);
    ev_io_start(c->host->loop, &c->readable);
}

static bool leave(struct connection *c)
{
    struct connection_host *host = c->host;
    struct connection_left *larger =
        reallocarray(host->left, host->left_count + 1, sizeof(*larger));
    if (!larger)
        return false;
    larger[host->left_count++] = (struct connection_left){
        c->readable.fd, c->phase == CONNECTION_RUN ? c->session.max_frame_size : 0};
    host->left = larger;
    c->is_left = true;
    enter(c, CONNECTION_DEAD);
    return true;
}

/* A connection that has nothing more to answer, when it is to end. */
static void close_if_done(struct connection *c)
{
    if (!is_open(c) || c->pending || c->stalled)
        return;
    if (c->peer_done) {
        enter(c, CONNECTION_CLOSING);
        mark_dirty(c);
    } else if (c->host->leaving && (c->input || c->output)) {
        /* The rest of a frame is to come, or of an answer to go. */
        return;
    } else if (c->host->draining && !(c->host->leaving && leave(c))) {
        refuse(c, SPOP_NORMAL);
    }
}

/* ---- input --------------------------------------------------------------------------------- */

static void stall(struct connection *c)
{
    c->stalled = true;
    ev_io_stop(c->host->loop, &c->readable);
    mark_dirty(c);
    counter_add(&c->host->counters.stalled, 1);
}

static void answered(struct engine_client *client, const struct engine_decision *decision)
{
    struct connection *c =
        (struct connection *)((char *)client - offsetof(struct connection, client));
    /* After a goodbye there is nothing more to say. */
    if (c->phase == CONNECTION_RUN && reserve_output(c, 0)) {
        struct writer w = output_open(c);
        engine_write(decision, c->session.max_frame_size, &w);
        output_commit(c, &w);
    }
    c->pending--;
    latency_note(&c->host->latency, engine_begun_at(decision));
    mark_dirty(c);
}

static void decide(struct connection *c, const struct spop_frame *notify)
{
    struct connection_host *host = c->host;
    counter_add(&host->counters.notifies, 1);
    c->pending++;
    enum engine_outcome outcome = engine_begin(host->engine, &c->client, notify, host->now);
    if (outcome == ENGINE_PENDING)
        return;
    uint32_t status = outcome == ENGINE_MALFORMED ? SPOP_INVALID : SPOP_RESOURCES;
    c->pending--;
    engine_finish(host->engine);
    count_refused(c, status);
    refuse(c, status);
}

/* What the session says of itself comes behind the answers to what was received before. */
static void say(struct connection *c, struct slice said)
{
    engine_finish(c->host->engine);
    struct writer w = output_open(c);
    writer_bytes(&w, said);
    output_commit(c, &w);
}

static void handle(struct connection *c, const struct spop_event *event, struct slice said)
{
    switch (event->type) {
    case SPOP_EVENT_NOTIFY:
        decide(c, &event->frame);
        return;
    case SPOP_EVENT_HELLO:
        say(c, said);
        enter(c, CONNECTION_RUN);
        return;
    case SPOP_EVENT_HEALTHCHECK:
        counter_add(&c->host->counters.healthchecks, 1);
        break;
    case SPOP_EVENT_CLOSE:
        if (!event->by_peer)
            count_refused(c, event->status);
        break;
    case SPOP_EVENT_ACK: /* an agent's session has none */
    case SPOP_EVENT_MORE:
        return;
    }
    say(c, said);
    enter(c, CONNECTION_CLOSING);
    mark_dirty(c);
}

/* Decides all whole frames that have come, as far as their answers have room. */
static void process(struct connection *c)
{
    struct spop_event event = {.type = SPOP_EVENT_NOTIFY};
    while (event.type != SPOP_EVENT_MORE && is_open(c) && c->input && buffer_size(c->input)) {
        if (output_is_full(c)) {
            stall(c);
            break;
        }
        if (!reserve_output(c, 1))
            return;
        uint8_t bytes[SPOP_FRAME_SIZE_MIN + SPOP_LENGTH_SIZE];
        struct writer said = writer_open(bytes, sizeof(bytes));
        event = spop_session_next(&c->session, buffer_slice(c->input), &said);
        handle(c, &event, writer_slice(&said));
        if (c->input)
            c->input->start += event.consumed;
    }
    engine_finish(c->host->engine);
    if (c->input && buffer_size(c->input) == 0) {
        buffer_put(&c->host->buffers, c->input);
        c->input = NULL;
    }
    /* Borrowed for answers of which there were none. */
    if (c->output && buffer_size(c->output) == 0 && !c->pending) {
        buffer_put(&c->host->buffers, c->output);
        c->output = NULL;
    }
}

/* One read. False when there was nothing to be read. */
static bool receive(struct connection *c)
{
    if (!c->input)
        c->input = buffer_get(&c->host->buffers);
    if (!c->input) {
        enter(c, CONNECTION_DEAD);
        return false;
    }
    buffer_compact(c->input);
    ssize_t got = recv(c->readable.fd, c->input->data + c->input->end, buffer_room(c->input), 0);
    if (got > 0) {
        c->input->end += (size_t)got;
        touch(c);
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    if (got < 0) {
        enter(c, CONNECTION_DEAD);
        return false;
    }
    c->peer_done = true;
    ev_io_stop(c->host->loop, &c->readable);
    return false;
}

/* After the goodbye: what still comes is not read as frames, only its end matters. */
static void discard(struct connection *c)
{
    uint8_t bytes[4096];
    ssize_t got = recv(c->readable.fd, bytes, sizeof(bytes), 0);
    if (got == 0) { /* it may have shut its side only, and still read */
        c->peer_done = true;
        ev_io_stop(c->host->loop, &c->readable);
        finish_closing(c);
    } else if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        enter(c, CONNECTION_DEAD);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct connection *c = watcher->data;
    (void)loop;
    (void)events;
    if (c->phase == CONNECTION_CLOSING) {
        discard(c);
        return;
    }
    receive(c);
    process(c);
    if (c->host->leaving && !c->input)
        ev_io_stop(c->host->loop, &c->readable);
    close_if_done(c);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    mark_dirty(watcher->data);
}

/* ---- the host's side ----------------------------------------------------------------------- */

void connection_host_open(struct connection_host *host, struct ev_loop *loop, struct engine *engine,
                          uint32_t max_frame_size)
{
    *host =
        (struct connection_host){.loop = loop, .engine = engine, .max_frame_size = max_frame_size};
    /* Past the largest frame, so that several fit one read. */
    buffer_pool_open(&host->buffers, SPOP_LENGTH_SIZE + (size_t)max_frame_size + 65536);
    for (int i = 0; i < CONNECTION_PHASES; i++)
        TAILQ_INIT(&host->phases[i]);
    TAILQ_INIT(&host->dirty);
}

void connection_host_close(struct connection_host *host)
{
    buffer_pool_close(&host->buffers);
    free(host->left);
}

/* Its buffers are of the host's frame size, so a peer that may send larger ones has to ask anew. */
static void resume(struct connection *c, uint32_t agreed_frame_size)
{
    spop_session_resume(&c->session, SPOP_AGENT, agreed_frame_size, SPOP_PIPELINING);
    enter(c, CONNECTION_RUN);
    if (agreed_frame_size > c->host->max_frame_size)
        refuse(c, SPOP_NORMAL);
}

void connection_open(struct connection_host *host, int fd, uint32_t agreed_frame_size)
{
    struct connection *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        host->closed(host);
        return;
    }
    c->host = host;
    c->client.answered = answered;
    c->active_at = host->now;
    c->readable.data = c->writable.data = c;
    spop_session_open(&c->session, SPOP_AGENT, host->max_frame_size, SPOP_PIPELINING);
    ev_io_init(&c->readable, on_readable, fd, EV_READ);
    ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
    ev_io_start(host->loop, &c->readable);
    TAILQ_INSERT_TAIL(&host->phases[CONNECTION_HELLO], c, phase_link);
    host->count++;
    if (host->draining)
        mark_dirty(c);
    if (agreed_frame_size)
        resume(c, agreed_frame_size);
}

static void flush(struct connection *c)
{
    TAILQ_REMOVE(&c->host->dirty, c, dirty_link);
    c->is_dirty = false;
    if (!send_output(c)) {
        enter(c, CONNECTION_DEAD);
        return;
    }
    if (c->phase == CONNECTION_CLOSING) {
        finish_closing(c);
        return;
    }
    if (c->stalled && c->pending < PENDING_MAX / 2 &&
        (!c->output || buffer_size(c->output) < OUTPUT_MAX / 2)) {
        c->stalled = false;
        if (!c->peer_done && (!c->host->draining || c->host->leaving))
            ev_io_start(c->host->loop, &c->readable);
        process(c);
    }
    close_if_done(c);
}

void connections_flush(struct connection_host *host)
{
    while (!TAILQ_EMPTY(&host->dirty))
        flush(TAILQ_FIRST(&host->dirty));
    struct connection *c = TAILQ_FIRST(&host->phases[CONNECTION_DEAD]);
    while (c) {
        struct connection *next = TAILQ_NEXT(c, phase_link);
        if (!c->pending) {
            TAILQ_REMOVE(&host->phases[CONNECTION_DEAD], c, phase_link);
            free(c);
        }
        c = next;
    }
}

/* Lists are in order of activity, so only those whose time is over are looked at. */
static struct connection *first_expired(struct connection_host *host, enum connection_phase phase,
                                        uint64_t timeout)
{
    struct connection *c = TAILQ_FIRST(&host->phases[phase]);
    return timeout && c && host->now - c->active_at >= timeout ? c : NULL;
}

void connections_expire(struct connection_host *host)
{
    const struct rules_settings *settings = engine_settings(host->engine);
    struct connection *c;
    while ((c = first_expired(host, CONNECTION_HELLO, settings->hello_timeout))) {
        counter_add(&host->counters.timeouts, 1);
        refuse(c, SPOP_TIMEOUT);
    }
    while ((c = first_expired(host, CONNECTION_RUN, settings->idle_timeout))) {
        if (c->pending) { /* the store's deadline is what ends this, not the peer's silence */
            touch(c);
            continue;
        }
        counter_add(&host->counters.timeouts, 1);
        refuse(c, SPOP_TIMEOUT);
    }
    while ((c = first_expired(host, CONNECTION_CLOSING, LINGER_MAX)))
        enter(c, CONNECTION_DEAD);
}

/* Reads what has come by now, and nothing after it. */
static void drain(struct connection *c)
{
    int reads = 0;
    while (is_open(c) && !c->stalled && !c->peer_done && reads++ < DRAIN_READS && receive(c))
        process(c);
    if (is_open(c))
        ev_io_stop(c->host->loop, &c->readable);
    close_if_done(c);
}

static void end_all(struct connection_host *host, void (*end)(struct connection *c))
{
    host->draining = true;
    for (int phase = CONNECTION_HELLO; phase <= CONNECTION_RUN; phase++) {
        struct connection *c = TAILQ_FIRST(&host->phases[phase]);
        while (c) {
            /* Draining one moves no other. It may itself go to the end of its list and be met
             * again there, but only once in a turn. */
            struct connection *next = TAILQ_NEXT(c, phase_link);
            end(c);
            c = next;
        }
    }
}

void connections_drain(struct connection_host *host)
{
    end_all(host, drain);
}

static void leave_when_done(struct connection *c)
{
    if (!c->input)
        ev_io_stop(c->host->loop, &c->readable);
    close_if_done(c);
}

void connections_leave(struct connection_host *host)
{
    host->leaving = true;
    end_all(host, leave_when_done);
}

void connections_abort(struct connection_host *host)
{
    for (int phase = CONNECTION_HELLO; phase < CONNECTION_DEAD; phase++)
        while (!TAILQ_EMPTY(&host->phases[phase]))
            enter(TAILQ_FIRST(&host->phases[phase]), CONNECTION_DEAD);
}
