/* The subcommands. Each gets its own arguments, argv[0] being "sluice" and its name, and returns
 * the exit status: 0 for success, 1 for failure, 2 for a wrong command line. */
#pragma once

#define EXIT_USAGE 2

int command_import(int argc, char **argv);
int command_init(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_validate(int argc, char **argv);
int command_spoe_config(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_ask(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_top(int argc, char **argv);
int command_version(int argc, char **argv);
