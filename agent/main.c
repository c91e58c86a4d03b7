#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
        fprintf(stream, "  %-12s %s\n", commands[i].name, commands[i].help);
    fprintf(stream, "\n'sluice COMMAND --help' says more of one.\n");
}

/* A standard stream that is closed would otherwise be what is opened first, and what is printed
 * would go there. Opened the wrong way round, it still can't be read or written. */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            exit(EXIT_FAILURE);
}

/* What can't be printed is a failure, too. */
static int finish(const char *name, int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "sluice %s: standard output: %s\n", name,
            errno ? strerror(errno) : "write error");
    return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

static int run(const struct command *command, int argc, char **argv)
{
    char title[32]; /* as getopt tells of a wrong option */
    snprintf(title, sizeof(title), "sluice %s", command->name);
    argv[0] = title;
    return finish(command->name, command->run(argc, argv));
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    occupy_standard_descriptors();
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return finish("--help", EXIT_SUCCESS);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(name, commands[i].name) == 0)
            return run(&commands[i], argc - 1, argv + 1);
    if (*name)
        fprintf(stderr, "sluice: no command '%s'\n\n", name);
    print_help(stderr);
    return EXIT_USAGE;
}
