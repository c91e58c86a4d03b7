#include <stdio.h>
#include <stdlib.h>

#include "agent/command.h"

int command_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("sluice " SLUICE_VERSION);
    return EXIT_SUCCESS;
}
