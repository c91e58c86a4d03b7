#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/command.h"
#include "agent/file.h"
#include "agent/quote.h"
#include "agent/store/redis_access.h"

static void print_help(FILE *stream)
{
    fputs("usage: sluice validate FILE\n\n"
          "Checks a rule file ('-' is standard input) and prints each mistake in it, the line it\n"
          "is in, and where in that:\n\n"
          "  FILE:LINE:COLUMN: WHAT, expected WHAT\n\n"
          "As in sluice serve, the environment's " RULES_MODE_VARIABLE ", " RULES_NODES_VARIABLE
          "\nand " RULES_INSTANCE_VARIABLE
          " stand in place of the file's store.mode, store.nodes and\nstore.instance_id.\n\n"
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

static int validate(const char *path)
{
    struct rules_set *set = file_load_rules(path, 0, print_finding, NULL);
    if (!set)
        return EXIT_FAILURE;
    const char *lacking = set->settings.store.tls ? redis_access_lacks_tls() : NULL;
    if (lacking)
        fprintf(stderr, "%s: store.tls: %s\n", path, lacking);
    else
        printf("%s: ok, %zu rules, %zu limits, %zu arguments\n", path, set->rule_count,
               set->limit_count, set->slot_count);
    rules_free(set);
    return lacking ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_validate(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        print_help(option == 'h' ? stdout : stderr);
        return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
    }
    if (argc - optind != 1) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    return validate(argv[optind]);
}
