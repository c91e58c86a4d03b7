#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/command.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", command_serve, "answer HAProxy by the rules of a file"},
    {"init", command_init, "write a rule file and HAProxy's files to begin with"},
    {"import", command_import, "write another limiter's rules as a rule file"},
    {"validate", command_validate, "check a rule file and say all that is wrong with it"},
    {"explain", command_explain, "say what the rules make of a message, and why"},
    {"replay", command_replay, "say what the rules would have made of an access log"},
    {"spoe-config", command_spoe_config, "print the configuration of HAProxy that the rules need"},
    {"ask", command_ask, "ask a running agent as HAProxy would, and print its answer"},
    {"bench", command_bench, "put a load on an agent and measure it"},
    {"top", command_top, "show what a running agent does, as top shows processes"},
    {"version", command_version, "print the version"},
};

static void print_help(FILE *stream)
{
    fprintf(stream, "sluice limits request rates for HAProxy, over SPOP.\n\n"
                    "usage: sluice COMMAND [ARGUMENT...]\n\ncommands:\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(stream, "  %-11s %s\n", commands[i].name, commands[i].help);
    fprintf(stream, "\n'sluice COMMAND --help' says more of one.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "sluice: no command '%s'\n\n", name);
    print_help(stderr);
    return EXIT_USAGE;
}
