#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"

int command_version(int argc, char **argv)
{
    if (argc > 1) {
        bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
        fputs("usage: sluice version\n\nPrints the version.\n", help ? stdout : stderr);
        return help ? EXIT_SUCCESS : EXIT_USAGE;
    }
    puts("sluice " SLUICE_VERSION);
    return EXIT_SUCCESS;
}
