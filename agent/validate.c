#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"
#include "agent/file.h"
#include "agent/store/redis_access.h"

int command_validate(int argc, char **argv)
{
    bool help = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (help || argc != 2 || (argv[1][0] == '-' && argv[1][1])) {
        fprintf(help ? stdout : stderr,
                "usage: sluice validate FILE\n\n"
                "Checks a rule file ('-' is standard input) and prints each mistake in it as\n"
                "FILE:LINE:COLUMN: WHAT, expected WHAT. As in sluice serve, the "
                "environment's\n" RULES_MODE_VARIABLE ", " RULES_NODES_VARIABLE
                " and " RULES_INSTANCE_VARIABLE
                "\nstand in place of the file's store.mode, store.nodes and store.instance_id.\n\n"
                "exit status: 0 when the file is right, 1 when it isn't or can't be read,\n"
                "2 for a wrong command line\n");
        return help ? EXIT_SUCCESS : EXIT_USAGE;
    }
    struct rules_set *set = file_load_rules(argv[1], 0, file_print_problem, NULL);
    if (!set)
        return EXIT_FAILURE;
    const char *lacking = set->settings.store.tls ? redis_access_lacks_tls() : NULL;
    if (lacking) {
        fprintf(stderr, "%s: store.tls: %s\n", argv[1], lacking);
        rules_free(set);
        return EXIT_FAILURE;
    }
    printf("%s: ok, %zu rules, %zu limits, %zu arguments\n", argv[1], set->rule_count,
           set->limit_count, set->slot_count);
    rules_free(set);
    return EXIT_SUCCESS;
}
