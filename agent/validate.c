#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/command.h"
#include "agent/file_both.h"
#include "agent/quote.h"
#include "agent/spoe_config_read.h"
#include "agent/store/redis_access.h"

static void print_help(FILE *stream)
{
    fputs("usage: sluice validate FILE [--spoe SPOE_FILE]\n\n"
          "Checks a rule file ('-' is standard input), its candidate and all files that they\n"
          "read, and prints each mistake in them, the line it is in, and where in that:\n\n"
          "  FILE:LINE:COLUMN: WHAT, expected WHAT\n\n"
          "What is right and yet of no use comes as FILE:LINE:COLUMN: warning: WHAT; a file with\n"
          "warnings alone is right.\n\n"
          "  -s, --spoe SPOE_FILE  HAProxy's SPOE configuration: warn of messages and arguments\n"
          "                        that the rules read and that it doesn't send\n"
          "  -h, --help            this text\n\n"
          "As in sluice serve, ${NAME} in a value is what the environment's NAME says, "
          "and\n" RULES_MODE_VARIABLE ", " RULES_NODES_VARIABLE " and " RULES_INSTANCE_VARIABLE "\n"
          "stand in place of the file's store.mode, store.nodes and store.instance_id.\n\n"
          "exit status: 0 when the file is right, 1 when it isn't or can't be read,\n"
          "2 for a wrong command line\n",
          stream);
}

static void print_finding(void *context, const struct file_finding *finding)
{
    char lines[QUOTE_MAX];
    struct writer w = writer_open(lines, sizeof(lines));
    (void)context;
    if (finding->source.size)
        quote_write(finding->source, finding->line, finding->column, &w);
    fprintf(stderr, "%s\n%.*s", finding->text, SLICE_ARGS(writer_slice(&w)));
}

static void print_size(const char *path, const char *what, const struct rules_set *set)
{
    printf("%s: %s, %zu rules, %zu limits, %zu arguments\n", file_shown_name(path), what,
           set->rule_count, set->limit_count, set->slot_count);
}

static int validate(const char *path, const struct rules_sent_list *sent)
{
    struct file_both rules;
    if (!file_both_check(&rules, path, sent, print_finding, NULL))
        return EXIT_FAILURE;
    const char *lacking = rules.active->settings.store.tls ? redis_access_lacks_tls() : NULL;
    if (lacking) {
        fprintf(stderr, "%s: store.tls: %s\n", file_shown_name(path), lacking);
    } else {
        print_size(path, "ok", rules.active);
        if (rules.candidate)
            print_size(path, "its candidate is ok", rules.candidate);
    }
    file_both_free(&rules);
    return lacking ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int validate_with(const char *path, const char *spoe_path)
{
    const char *name = file_shown_name(spoe_path);
    struct spoe_sent sent;
    const char *expected;
    size_t size;
    uint8_t *bytes = file_read(spoe_path, &size);
    if (!bytes) {
        fprintf(stderr, "%s: %s\n", name, strerror(errno));
        return EXIT_FAILURE;
    }
    bool is_read = spoe_sent_read(&sent, slice_of(bytes, size), name, &expected);
    free(bytes);
    int status = EXIT_FAILURE;
    if (is_read)
        status = validate(path, &sent.list);
    else
        fprintf(stderr, "%s: no message could be read, expected %s\n", name, expected);
    spoe_sent_free(&sent);
    return status;
}

int command_validate(int argc, char **argv)
{
    static const struct option options[] = {
        {"spoe", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *spoe_path = NULL;
    for (int option; (option = getopt_long(argc, argv, "s:h", options, NULL)) != -1;) {
        if (option != 's') {
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        }
        spoe_path = optarg;
    }
    if (argc - optind != 1) {
        fputs("sluice validate: expected one rule file\n\n", stderr);
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *path = argv[optind];
    if (spoe_path && strcmp(path, "-") == 0 && strcmp(spoe_path, "-") == 0) {
        fprintf(stderr, "sluice validate: both files are standard input, expected one of them\n");
        return EXIT_USAGE;
    }
    return spoe_path ? validate_with(path, spoe_path) : validate(path, NULL);
}
