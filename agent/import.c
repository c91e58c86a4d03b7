#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/command.h"
#include "agent/file_texts.h"
#include "agent/import_envoy.h"
#include "agent/quote.h"

static void print_help(FILE *stream)
{
    fputs(
        "usage: sluice import envoy FILE\n\n"
        "Writes the rules of envoyproxy/ratelimit ('-' is standard input), one domain in YAML, as\n"
        "a rule file to standard output. What can't be said by rules, or means something else\n"
        "there, is in comments at its head, and on standard error.\n\n"
        "  -h, --help  this text\n\n"
        "exit status: 0 when a rule file was written, 1 when what there is can't be read,\n"
        "2 for a wrong command line\n",
        stream);
}

struct source {
    const char *name;
    struct slice text;
};

static void print_finding(void *context, const struct envoy_finding *finding)
{
    const struct source *source = context;
    char lines[QUOTE_MAX];
    struct writer w = writer_open(lines, sizeof(lines));
    if (finding->line == 0) {
        fprintf(stderr, "%s: %s\n", source->name, finding->text);
        return;
    }
    struct slice line = quote_line(source->text, finding->line);
    if (line.data)
        quote_write(line, finding->line, finding->column, &w);
    fprintf(stderr, "%s:%zu:%zu: %s%s\n%.*s", source->name, finding->line, finding->column,
            finding->wrong ? "" : "not converted: ", finding->text, SLICE_ARGS(writer_slice(&w)));
}

static int import_envoy(const char *path)
{
    size_t size;
    struct source source = {.name = file_shown_name(path)};
    uint8_t *bytes = file_read(path, &size);
    if (!bytes) {
        fprintf(stderr, "%s: %s\n", source.name, strerror(errno));
        return EXIT_FAILURE;
    }
    source.text = slice_of(bytes, size);
    char *rules = envoy_convert(source.text, source.name, &size, print_finding, &source);
    if (rules)
        fwrite(rules, 1, size, stdout);
    bool converted = rules;
    free(rules);
    free(bytes);
    return converted ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_import(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option = getopt_long(argc, argv, "h", options, NULL);
    if (option != -1 || argc - optind != 2) {
        if (option == -1)
            fputs("sluice import: expected envoy and one file\n\n", stderr);
        print_help(option == 'h' ? stdout : stderr);
        return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
    }
    if (strcmp(argv[optind], "envoy") != 0) {
        fprintf(stderr, "sluice import: rules of \"%s\", expected envoy\n", argv[optind]);
        return EXIT_USAGE;
    }
    return import_envoy(argv[optind + 1]);
}
