/* A load for tests: asks agents (or HAProxy) as fast as they answer, or at a given rate, and counts
 * what they answer. Told by standard input, a line each:
 *
 *   phase NAME        requests due from now on are counted as this phase
 *   connect ADDRESS   so many more connections, to another agent
 *   stop              asks no more, as does the end of the input
 *
 * Writes a line of JSON ten times a second and, once all is answered, {"result": ...}.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/clock.h"
#include "tests/load/connection.h"

#define CONNECTIONS_MAX 1024
#define KEYS_MAX        1000000
#define REPORT_PERIOD   UINT64_C(100000) /* microseconds */

struct load {
    uint64_t requests;    /* 0: until it is told to stop */
    uint64_t connections; /* to each address */
    uint64_t in_flight;
    uint64_t keys;
    uint64_t rate; /* a second; 0: as fast as answers come */
    uint64_t grants;
    uint64_t patience; /* microseconds */
    const struct protocol *protocol;

    struct tally tally;
    struct connection *open[CONNECTIONS_MAX];
    size_t open_count;
    size_t next; /* whose turn it is, with a rate */
    bool stopping;
    char line[512];
    size_t line_size;
    uint64_t started_at;
    uint64_t answered_at;
    uint64_t reported_at;
};

static bool connect_more(struct load *load, const char *address)
{
    for (uint64_t i = 0; i < load->connections; i++) {
        struct connection *connection =
            load->open_count < CONNECTIONS_MAX
                ? connection_open(address, load->protocol, (uint32_t)load->in_flight, &load->tally)
                : NULL;
        if (!connection)
            return false;
        load->open[load->open_count++] = connection;
    }
    return true;
}

static bool begin_phase(struct load *load, const char *name)
{
    if (tally_begin_phase(&load->tally, slice_of_string(name), clock_now()))
        return true;
    fprintf(stderr, "load: phase '%s' is one too many, or its name too long\n", name);
    return false;
}

static bool obey(struct load *load, const char *line)
{
    if (strncmp(line, "phase ", 6) == 0)
        return begin_phase(load, line + 6);
    if (strncmp(line, "connect ", 8) == 0)
        return connect_more(load, line + 8);
    if (strcmp(line, "stop") == 0) {
        load->stopping = true;
        return true;
    }
    fprintf(stderr, "load: what is '%s'?\n", line);
    return false;
}

static bool read_orders(struct load *load)
{
    ssize_t got =
        read(STDIN_FILENO, load->line + load->line_size, sizeof(load->line) - 1 - load->line_size);
    if (got <= 0) {
        load->stopping = true;
        return true;
    }
    load->line_size += (size_t)got;
    for (char *end; (end = memchr(load->line, '\n', load->line_size));) {
        *end = 0;
        if (!obey(load, load->line))
            return false;
        load->line_size -= (size_t)(end + 1 - load->line);
        memmove(load->line, end + 1, load->line_size);
    }
    return load->line_size < sizeof(load->line) - 1;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Every key comes equally often, in an order that differs from round to round: otherwise a key
 * could always be the same connection's. */
static uint32_t next_key(const struct load *load)
{
    uint64_t round = load->tally.sent / load->keys;
    return (uint32_t)((load->tally.sent % load->keys + round * 7919) % load->keys);
}

static bool asks_more(const struct load *load)
{
    return !load->stopping && (!load->requests || load->tally.sent < load->requests);
}

static void ask(struct load *load, struct connection *connection, uint64_t due)
{
    connection_ask(connection, tally_ask(&load->tally, next_key(load), due));
}

/* When the next request is due; the time now where there is no rate. */
static uint64_t next_due(const struct load *load, uint64_t now)
{
    return load->rate ? load->started_at + load->tally.sent * 1000000 / load->rate : now;
}

/* One connection after the other, as long as any may ask. */
static void ask_due(struct load *load, uint64_t now)
{
    size_t tried = 0;
    while (tried < load->open_count && asks_more(load) && next_due(load, now) <= now) {
        struct connection *connection = load->open[load->next++ % load->open_count];
        tried++;
        if (!connection_may_ask(connection))
            continue;
        tried = 0;
        ask(load, connection, next_due(load, now));
    }
}

static void turn(struct load *load, bool *failed)
{
    struct pollfd polled[CONNECTIONS_MAX + 1];
    uint64_t now = clock_now();
    ask_due(load, now);
    for (size_t i = 0; i < load->open_count; i++) {
        struct connection *connection = load->open[i];
        if (connection->fd >= 0 && connection_has_output(connection))
            connection_write(connection);
        short events = connection_has_output(connection) ? POLLIN | POLLOUT : POLLIN;
        polled[i] = (struct pollfd){connection->fd, events, 0};
    }
    polled[load->open_count] = (struct pollfd){load->stopping ? -1 : STDIN_FILENO, POLLIN, 0};

    /* To the next report, or the next request of a rate. What is due but finds no free connection
     * waits for an answer. */
    uint64_t until = load->reported_at + REPORT_PERIOD;
    uint64_t due = asks_more(load) ? next_due(load, now) : until;
    if (load->rate && due > now && due < until)
        until = due;
    uint64_t wait = until > now ? until - now : 0;
    struct timespec timeout = {(time_t)(wait / 1000000), (long)(wait % 1000000 * 1000)};
    if (ppoll(polled, load->open_count + 1, &timeout, NULL) <= 0)
        return;
    now = clock_now();
    size_t count = load->open_count; /* an order may add to them */
    uint64_t answered = load->tally.answered;
    for (size_t i = 0; i < count; i++)
        if (polled[i].revents && load->open[i]->fd >= 0)
            connection_read(load->open[i], now);
    if (load->tally.answered > answered)
        load->answered_at = now;
    if (polled[count].revents)
        *failed = !read_orders(load);
}

/* Until all is asked and answered; or nothing was answered for so long that nothing will be. */
static bool run(struct load *load)
{
    bool failed = false;
    load->started_at = load->answered_at = clock_now();
    while (!failed) {
        turn(load, &failed);
        uint64_t now = clock_now();
        if (now - load->reported_at >= REPORT_PERIOD) {
            tally_print_progress(&load->tally, now, stdout);
            fflush(stdout);
            load->reported_at = now;
        }
        bool waiting = load->tally.sent > load->tally.answered + load->tally.lost;
        if (!waiting && !asks_more(load))
            break;
        size_t alive = 0;
        for (size_t i = 0; i < load->open_count; i++)
            alive += load->open[i]->fd >= 0;
        if (alive == 0 && !waiting) {
            fprintf(stderr, "load: no connection is left\n");
            break;
        }
        if (now - load->answered_at > load->patience) {
            fprintf(stderr, "load: nothing was answered for %.1f s\n",
                    (double)load->patience / 1e6);
            break;
        }
    }
    return !failed;
}

/* ---- the command line ------------------------------------------------------------------------ */

static void print_help(FILE *stream)
{
    fputs(
        "usage: load [OPTIONS] ADDRESS...\n\n"
        "  -n, --requests N     in all (default: until told to stop)\n"
        "  -c, --connections N  to each address (default 4)\n"
        "  -f, --in-flight N    on each connection (default 32)\n"
        "  -k, --keys N         (default 100)\n"
        "  -r, --rate N         requests a second, and latency from when each was due (default:\n"
        "                       as fast as answers come)\n"
        "  -w, --window US      count also by windows of so many microseconds\n"
        "  -p, --patience US    without any answer, then it gives up (default 30000000)\n"
        "      --http           the addresses are HAProxy's, for clients; one request at a time\n",
        stream);
}

static bool parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *number)
{
    return slice_to_uint64(slice_of_string(text), number) && *number >= minimum &&
           *number <= maximum;
}

static bool parse_option(struct load *load, int option)
{
    switch (option) {
    case 'n':
        return parse_number(optarg, 1, UINT64_C(1) << 40, &load->requests);
    case 'c':
        return parse_number(optarg, 1, CONNECTIONS_MAX, &load->connections);
    case 'f':
        return parse_number(optarg, 1, 4096, &load->in_flight);
    case 'k':
        return parse_number(optarg, 1, KEYS_MAX, &load->keys);
    case 'r':
        return parse_number(optarg, 1, 10000000, &load->rate);
    case 'g':
        return parse_number(optarg, 1, 100000000, &load->grants);
    case 'p':
        return parse_number(optarg, 1, UINT64_C(1) << 40, &load->patience);
    case 'x':
        load->tally.prefix = optarg;
        return strlen(optarg) <= 32;
    case 'H':
        load->protocol = &protocol_http;
        return true;
    default:
        return false;
    }
}

static const struct option options[] = {
    {"requests", required_argument, NULL, 'n'},  {"connections", required_argument, NULL, 'c'},
    {"in-flight", required_argument, NULL, 'f'}, {"keys", required_argument, NULL, 'k'},
    {"rate", required_argument, NULL, 'r'},      {"grants", required_argument, NULL, 'g'},
    {"patience", required_argument, NULL, 'p'},  {"http", no_argument, NULL, 'H'},
    {"prefix", required_argument, NULL, 'x'},    {NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
    static struct load load = {
        .connections = 4,
        .in_flight = 32,
        .keys = 100,
        .patience = 30000000,
        .protocol = &protocol_spop,
        .tally = {.prefix = "k"},
    };
    for (int option; (option = getopt_long(argc, argv, "n:c:f:k:r:g:p:x:", options, NULL)) != -1;) {
        if (!parse_option(&load, option)) {
            print_help(stderr);
            return 2;
        }
    }
    if (optind == argc) {
        print_help(stderr);
        return 2;
    }
    if (!tally_open(&load.tally, (uint32_t)load.keys, load.grants, clock_now()))
        return EXIT_FAILURE;
    bool done = true;
    for (int i = optind; i < argc && done; i++)
        done = connect_more(&load, argv[i]);
    done = done && run(&load);
    if (done)
        tally_print(&load.tally, clock_now(), stdout);
    for (size_t i = 0; i < load.open_count; i++)
        connection_free(load.open[i]);
    tally_close(&load.tally);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
