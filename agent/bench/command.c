#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/bench/floor.h"
#include "agent/bench/report.h"
#include "agent/bench/schedule.h"
#include "agent/command.h"
#include "rules/rules.h"

#define DURATION_MAX UINT64_C(86400000000) /* microseconds */
#define TIMEOUT_MAX  UINT64_C(3600000000)

/* What rules can use of what HAProxy sends with the shipped configuration. */
static const char *const usual_arguments[] = {
    "src:ipv4={key}", "method=GET", "path=/api/orders", "host=www.example.org", "api_key=key-{key}",
};

static void print_help(FILE *stream)
{
    fprintf(
        stream,
        "usage: sluice bench ADDRESS [OPTION...] [NAME=VALUE...]\n"
        "       sluice bench --floor ADDRESS\n\n"
        "Asks an agent as HAProxy does, as fast as it answers or at a fixed rate, and says how\n"
        "many answers came, how long they took, and what they said. The requests count: ask an\n"
        "agent whose counters are of no use to anybody.\n\n"
        "  ADDRESS             tcp://HOST:PORT, unix:///PATH or unix://@NAME\n"
        "  --connections N     to the agent (default: 4)\n"
        "  --in-flight N       questions on each that wait for their answers (default: 20, as\n"
        "                      HAProxy 3.1 and later have at most)\n"
        "  --rate N            requests a second, whether those before are answered or not; the\n"
        "                      time of each counts from when it was due, sent or not\n"
        "                      (default: the next as soon as an answer has come)\n"
        "  --duration TIME     as in 500ms, 10s or 2m (default: 10s, or none with --count)\n"
        "  --count N           requests in all (default: as many as the duration has room for)\n"
        "  --keys N            different keys, up to %d (default: 10000)\n"
        "  --zipf S            key k comes in proportion to 1 / k^S (default: all as often)\n"
        "  --in-turn           keys one after the other instead of at random\n"
        "  --seed N            of what is random (default: 1)\n"
        "  -m, --message NAME  the SPOE message's name (default: sluice-request)\n"
        "  --timeout TIME      how long the agent may be silent (default: 5s)\n"
        "  --pid PID           the agent's process: its CPU time a decision is told as well\n"
        "  --json              the result as one JSON object\n"
        "  --progress          a line a second on standard error (the default on a terminal)\n"
        "  --floor             be an agent that answers and does nothing else, to compare with\n"
        "  -h, --help          this text\n\n"
        "The arguments of the message are NAME=VALUE or NAME:TYPE=VALUE. {key} in a string is\n"
        "the key's number; NAME:ipv4={key} and NAME:ipv6={key} are an address for each. Without\n"
        "any it is these, which haproxy/spoe-sluice.conf sends too:\n ",
        BENCH_KEYS_MAX);
    for (size_t i = 0; i < sizeof(usual_arguments) / sizeof(usual_arguments[0]); i++)
        fprintf(stream, "%s%s", i == 3 ? "\n  " : " ", usual_arguments[i]);
    fprintf(stream,
            "\n\n" QUESTION_HELP "\n"
            "Percentiles are from a histogram of 128 buckets to each power of two: at most 0.8 %%\n"
            "above the true ones. Requests without an answer are among them, with how long they\n"
            "have waited.\n\n"
            "exit status: 0 when all was answered, 1 when something wasn't or there is no agent,\n"
            "2 for a wrong command line\n");
}

static int usage_error(const char *what, const char *expected)
{
    fprintf(stderr, "sluice bench: %s: expected %s\n", what, expected);
    return EXIT_USAGE;
}

/* ---- the command line ------------------------------------------------------------------------ */

enum {
    OPTION_CONNECTIONS = 256,
    OPTION_IN_FLIGHT,
    OPTION_RATE,
    OPTION_COUNT,
    OPTION_KEYS,
    OPTION_SEED,
    OPTION_PID,
    OPTION_DURATION,
    OPTION_TIMEOUT,
    OPTION_ZIPF,
    OPTION_IN_TURN,
    OPTION_JSON,
    OPTION_PROGRESS,
    OPTION_FLOOR,
};

static const struct option options_known[] = {
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"zipf", required_argument, NULL, OPTION_ZIPF},
    {"in-turn", no_argument, NULL, OPTION_IN_TURN},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"message", required_argument, NULL, 'm'},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"pid", required_argument, NULL, OPTION_PID},
    {"json", no_argument, NULL, OPTION_JSON},
    {"progress", no_argument, NULL, OPTION_PROGRESS},
    {"floor", no_argument, NULL, OPTION_FLOOR},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int wrong_value(int option, const char *value, const char *expected)
{
    char what[128];
    for (const struct option *known = options_known; known->name; known++)
        if (known->val == option)
            snprintf(what, sizeof(what), "--%s %s", known->name, value);
    return usage_error(what, expected);
}

struct command_line {
    struct bench_options options;
    uint64_t pid;
    bool floor;
};

static bool read_number(struct command_line *line, int option, const char *text,
                        const char **expected)
{
    struct bench_options *options = &line->options;
    const struct {
        int option;
        uint64_t *number;
        uint64_t minimum;
        uint64_t maximum;
        const char *expected;
    } numbers[] = {
        {OPTION_CONNECTIONS, &options->connections, 1, BENCH_CONNECTIONS_MAX, "from 1 to 1024"},
        {OPTION_IN_FLIGHT, &options->in_flight, 1, BENCH_IN_FLIGHT_MAX, "from 1 to 4096"},
        {OPTION_RATE, &options->rate, 1, BENCH_RATE_MAX, "requests a second, 1 to 100000000"},
        {OPTION_COUNT, &options->count, 1, UINT64_MAX, "how many requests, from 1 on"},
        {OPTION_KEYS, &options->keys, 1, BENCH_KEYS_MAX, "from 1 to 100000000"},
        {OPTION_SEED, &options->seed, 0, UINT64_MAX, "a number"},
        {OPTION_PID, &line->pid, 1, INT32_MAX, "the number of a process"},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i].option != option)
            continue;
        *expected = numbers[i].expected;
        return slice_to_uint64(slice_of_string(text), numbers[i].number) &&
               *numbers[i].number >= numbers[i].minimum && *numbers[i].number <= numbers[i].maximum;
    }
    return false;
}

static bool read_time(const char *text, uint64_t maximum, uint64_t *microseconds)
{
    return rules_parse_duration(slice_of_string(text), microseconds) && *microseconds > 0 &&
           *microseconds <= maximum;
}

static bool read_exponent(const char *text, double *exponent)
{
    char *end;
    errno = 0;
    *exponent = strtod(text, &end);
    return !errno && end != text && !*end && isfinite(*exponent) && *exponent > 0 &&
           *exponent <= BENCH_EXPONENT_MAX;
}

/* False, with what was expected of its value. */
static bool read_option(struct command_line *line, int option, const char *text,
                        const char **expected)
{
    struct bench_options *options = &line->options;
    switch (option) {
    case 'm':
        options->message = slice_of_string(text);
        *expected = "a name";
        return options->message.size > 0;
    case OPTION_DURATION:
        *expected = "a duration with its unit, as in 10s, up to 1d";
        return read_time(text, DURATION_MAX, &options->duration);
    case OPTION_TIMEOUT:
        *expected = "a duration with its unit, as in 5s, up to 1h";
        return read_time(text, TIMEOUT_MAX, &options->timeout);
    case OPTION_ZIPF:
        *expected = "an exponent above 0, up to 10";
        options->order = BENCH_ZIPF;
        return read_exponent(text, &options->exponent);
    case OPTION_IN_TURN:
        options->order = BENCH_IN_TURN;
        return true;
    case OPTION_JSON:
        options->json = true;
        return true;
    case OPTION_PROGRESS:
        options->progress = true;
        return true;
    case OPTION_FLOOR:
        line->floor = true;
        return true;
    default:
        return read_number(line, option, text, expected);
    }
}

static bool read_arguments(struct bench_notify *notify, char **arguments, int count)
{
    static char usual[sizeof(usual_arguments) / sizeof(usual_arguments[0])][32];
    const char *expected;
    for (int i = 0; i < count; i++) {
        char shown[128]; /* reading may change it */
        snprintf(shown, sizeof(shown), "%s", arguments[i]);
        if (!bench_notify_add(notify, arguments[i], &expected)) {
            usage_error(shown, expected);
            return false;
        }
    }
    for (size_t i = 0; count == 0 && i < sizeof(usual) / sizeof(usual[0]); i++) {
        snprintf(usual[i], sizeof(usual[i]), "%s", usual_arguments[i]);
        bench_notify_add(notify, usual[i], &expected);
    }
    return true;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void interrupt(int signal)
{
    (void)signal;
    bench_interrupted = 1;
}

static int run(const struct bench_options *options, struct bench_notify *notify)
{
    static struct bench_result result;
    char why[BENCH_WHY_MAX];
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    bool done = bench_load_run(options, notify, &result, why);
    bench_notify_close(notify);
    if (!done) {
        fprintf(stderr, "sluice bench: %s: %s\n", options->address, why);
        return EXIT_FAILURE;
    }
    (options->json ? bench_report_json : bench_report)(options, &result, stdout);
    if (result.unanswered)
        fprintf(stderr, "sluice bench: %s: %llu requests got no answer\n", options->address,
                (unsigned long long)result.unanswered);
    return result.unanswered ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_bench(int argc, char **argv)
{
    static struct bench_notify notify;
    struct command_line line = {
        .options = {.message = SLICE("sluice-request"),
                    .connections = 4,
                    .in_flight = 20,
                    .keys = 10000,
                    .seed = 1,
                    .timeout = 5000000,
                    .progress = isatty(STDERR_FILENO)},
    };
    struct bench_options *options = &line.options;
    const char *expected;

    for (int option; (option = getopt_long(argc, argv, "m:h", options_known, NULL)) != -1;) {
        if (option == 'h' || option == '?') {
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        }
        if (!read_option(&line, option, optarg, &expected))
            return wrong_value(option, optarg, expected);
    }
    if (optind == argc)
        return usage_error("ADDRESS", "an agent's address (sluice bench --help)");
    options->address = argv[optind++];
    if (!endpoint_parse(slice_of_string(options->address), &options->endpoint, &expected))
        return usage_error(options->address, expected);
    if (line.floor)
        return optind == argc ? bench_floor_serve(&options->endpoint)
                              : usage_error(argv[optind], "no argument but the address");
    if (!options->duration && !options->count)
        options->duration = 10000000;
    options->agent = (pid_t)line.pid;
    bench_notify_open(&notify, options->keys);
    if (!read_arguments(&notify, argv + optind, argc - optind)) {
        bench_notify_close(&notify);
        return EXIT_USAGE;
    }
    return run(options, &notify);
}
