#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/command.h"
#include "agent/control.h"
#include "base/base.h"

static void print_help(FILE *stream)
{
    fprintf(
        stream,
        "usage: sluice serve -c FILE [--candidate FILE] [--watch] [--log-format FORMAT]\n"
        "                    [--log-level LEVEL]\n\n"
        "Listens where FILE says and answers HAProxy by its rules, until SIGTERM or SIGINT.\n\n"
        "  -c, --config FILE    the rule file\n"
        "  --candidate FILE     a rule file that is asked the same, without effect, and compared\n"
        "                       with the one in force; in place of the one that this names\n"
        "  --watch              reload the files when one of them changes, too, about a second\n"
        "                       after the last change\n"
        "  --log-format FORMAT  logfmt (the default) or json, to standard error\n"
        "  --log-level LEVEL    debug, info (the default), warning or error\n"
        "  -h, --help           this text\n\n"
        "signals:\n"
        "  SIGHUP           reload the files; where one is wrong, the old rules stay in force\n"
        "  SIGUSR2          start anew in place, for an upgrade or what a reload can't change:\n"
        "                   connections and listeners stay; where that would fail, all stays\n"
        "  SIGTERM, SIGINT  answer what was received, say goodbye to HAProxy, exit;\n"
        "                   a second one exits at once\n\n"
        "exit status: 0 after a drain, 1 when it couldn't start, 2 for a wrong command line\n");
}

static int usage_error(const char *option, const char *expected)
{
    fprintf(stderr, "sluice serve: %s: expected %s\n", option, expected);
    return EXIT_USAGE;
}

int command_serve(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"candidate", required_argument, NULL, 'C'},
        {"watch", no_argument, NULL, 'w'},
        {"log-format", required_argument, NULL, 'f'},
        {"log-level", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *file = NULL;
    const char *candidate = NULL;
    bool watched = false;
    enum log_format format = LOG_LOGFMT;
    enum log_level level = LOG_INFO;

    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'C':
            candidate = optarg;
            break;
        case 'w':
            watched = true;
            break;
        case 'f':
            if (!log_format_parse(slice_of_string(optarg), &format))
                return usage_error("--log-format", "logfmt or json");
            break;
        case 'l':
            if (!log_level_parse(slice_of_string(optarg), &level))
                return usage_error("--log-level", "debug, info, warning or error");
            break;
        case 'h':
            print_help(stdout);
            return EXIT_SUCCESS;
        default:
            print_help(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc)
        return usage_error(argv[optind], "no argument but options");
    if (!file)
        return usage_error("-c", "the rule file's name after it");
    if (watched && strcmp(file, "-") == 0)
        return usage_error("--watch", "-c to name a file, since standard input is read once");
    log_configure(format, level);
    return control_serve(file, candidate, watched);
}
