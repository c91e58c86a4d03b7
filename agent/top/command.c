/* sluice top: what an agent does, in a terminal. */
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/command.h"
#include "agent/top/fetcher.h"
#include "agent/top/screen.h"
#include "agent/top/terminal.h"

#define INTERVAL     2.0 /* seconds */
#define INTERVAL_MIN 0.1
#define INTERVAL_MAX 3600.0

static void print_help(FILE *stream)
{
    fputs("usage: sluice top ADMIN [--token-file FILE] [--interval SECONDS] [--once]\n\n"
          "Shows what a running agent does, as top shows processes: decisions and refusals a\n"
          "second, of each rule too, the keys that are refused most, and how the servers that\n"
          "counters are shared through are.\n\n"
          "  ADMIN               the agent's admin address: HOST:PORT or unix:///PATH\n"
          "  --token-file FILE   with the admin server's token\n"
          "  --interval SECONDS  between two looks, from 0.1 to 3600 (default: 2)\n"
          "  --once              print it once, with the rates of one interval, and end; for what\n"
          "                      is no terminal\n"
          "  -h, --help          this text\n\n"
          "keys: q quits, r sorts by requests, d by refusals (denied)\n\n"
          "exit status: 0 when it was ended, 1 when the agent can't be asked or there is no\n"
          "terminal, 2 for a wrong command line\n",
          stream);
}

struct top {
    struct top_source source;
    const char *address;
    double interval;
    enum top_order order;
    struct top_sample now;
    struct top_sample before;
    char trouble[ADMIN_WHY_MAX + 64];
    struct top_view view;
};

/* One that came early, since it was to be sorted anew, takes the last one's place: a rate wants
 * about an interval. */
static void keep(struct top *top, const struct top_sample *sample)
{
    bool is_early = top->now.stats && sample->at - top->now.at < top->interval / 2;
    top_sample_free(is_early ? &top->now : &top->before);
    if (!is_early)
        top->before = top->now;
    top->now = *sample;
}

/* False: with what is wrong on standard error. */
static bool look(struct top *top)
{
    struct top_sample sample;
    char why[ADMIN_WHY_MAX];
    if (!top_fetch(&top->source, top->order, &sample, why)) {
        top_clean(why);
        fprintf(stderr, "sluice top: %s: %s\n", top->address, why);
        return false;
    }
    keep(top, &sample);
    return true;
}

static bool show_once(struct top *top)
{
    double whole;
    double part = modf(top->interval, &whole);
    struct timespec pause = {.tv_sec = (time_t)whole, .tv_nsec = (long)(part * 1e9)};
    struct top_screen screen = {.order = top->order};
    if (!look(top))
        return false;
    nanosleep(&pause, NULL);
    if (!look(top))
        return false;
    top_view_make(&top->view, &top->now, &top->before, top->order);
    top_screen_write(&top->view, &screen, stdout);
    return true;
}

/* ---- on a terminal --------------------------------------------------------------------------- */

static bool draw(struct top *top)
{
    struct top_screen screen = {.order = top->order,
                                .trouble = *top->trouble ? top->trouble : NULL};
    terminal_size(&screen.columns, &screen.rows);
    top_view_make(&top->view, &top->now, &top->before, top->order);
    top_screen_write(&top->view, &screen, stdout);
    return fflush(stdout) == 0;
}

static void take_news(struct top *top, struct top_fetcher *fetcher)
{
    struct top_sample sample;
    char why[ADMIN_WHY_MAX];
    if (top_fetcher_take(fetcher, &sample, why)) {
        keep(top, &sample);
        *top->trouble = '\0';
    } else if (*why) {
        top_clean(why);
        snprintf(top->trouble, sizeof(top->trouble), "NO ANSWER, what is shown is old: %s", why);
    }
}

/* False: it is to end. */
static bool obey(struct top *top, struct top_fetcher *fetcher, char key)
{
    if (key == 'q' || key == 'Q')
        return false;
    if (key == 'r' || key == 'd') {
        top->order = key == 'r' ? TOP_BY_REQUESTS : TOP_BY_REFUSED;
        top_fetcher_sort(fetcher, top->order);
    }
    return true;
}

static void show(struct top *top, struct top_fetcher *fetcher)
{
    bool goes_on = draw(top);
    while (goes_on) {
        char key;
        switch (terminal_wait(top_fetcher_descriptor(fetcher), &key)) {
        case TERMINAL_KEY:
            goes_on = obey(top, fetcher, key);
            break;
        case TERMINAL_RESIZED:
            break;
        case TERMINAL_READABLE:
            take_news(top, fetcher);
            break;
        case TERMINAL_ENDED:
            goes_on = false;
            break;
        }
        goes_on = goes_on && draw(top);
    }
}

static bool show_on_terminal(struct top *top)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fprintf(stderr, "sluice top: standard input or output is no terminal: --once needs none\n");
        return false;
    }
    /* What is wrong from the beginning is told where it stays to be read. */
    if (!look(top))
        return false;
    if (!terminal_open())
        return false;
    struct top_fetcher *fetcher = top_fetcher_start(&top->source, top->interval, top->order);
    if (fetcher)
        show(top, fetcher);
    terminal_close();
    return fetcher != NULL;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int usage_error(const char *what, const char *expected)
{
    fprintf(stderr, "sluice top: %s: expected %s\n", what, expected);
    return EXIT_USAGE;
}

static bool read_interval(const char *text, double *interval)
{
    char *end;
    *interval = strtod(text, &end);
    return end != text && !*end && *interval >= INTERVAL_MIN && *interval <= INTERVAL_MAX;
}

int command_top(int argc, char **argv)
{
    static const struct option options[] = {
        {"token-file", required_argument, NULL, 't'},
        {"interval", required_argument, NULL, 'i'},
        {"once", no_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static struct top top;
    const char *expected;
    bool once = false;
    top = (struct top){.interval = INTERVAL};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 't':
            top.source.token_file = optarg;
            break;
        case 'i':
            if (!read_interval(optarg, &top.interval))
                return usage_error(optarg, "seconds from 0.1 to 3600");
            break;
        case 'o':
            once = true;
            break;
        default:
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        }
    }
    if (argc - optind != 1)
        return usage_error("ADMIN", "one admin address (sluice top --help)");
    top.address = argv[optind];
    if (!endpoint_parse(slice_of_string(top.address), &top.source.endpoint, &expected))
        return usage_error(top.address, expected);
    bool done = once ? show_once(&top) : show_on_terminal(&top);
    top_sample_free(&top.now);
    top_sample_free(&top.before);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
