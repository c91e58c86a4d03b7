#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/file.h"
#include "agent/quote.h"

#define LINE_MAX_BYTES 1024

/* The whole of a file in memory of its own; of one that is larger than a rule file may be, so much
 * that rules_load will see it is. NULL with errno. */
static uint8_t *read_all(FILE *stream, size_t *size)
{
    size_t capacity = 65536;
    uint8_t *bytes = malloc(capacity);
    *size = 0;
    while (bytes) {
        *size += fread(bytes + *size, 1, capacity - *size, stream);
        if (*size < capacity || *size > RULES_FILE_MAX)
            break;
        capacity *= 2;
        uint8_t *larger = realloc(bytes, capacity);
        if (!larger)
            free(bytes);
        bytes = larger;
    }
    if (bytes && ferror(stream)) {
        free(bytes);
        bytes = NULL;
    }
    return bytes;
}

/* Empty where a variable isn't set: an empty one says nothing either, as templates write them. */
static struct slice variable(const char *name)
{
    const char *value = getenv(name);
    return value ? slice_of_string(value) : slice_of(NULL, 0);
}

/* Says something that is about no line of the file. */
static void say(file_problem *problem, void *context, const char *text)
{
    problem(context, &(struct file_finding){.text = text});
}

static struct rules_set *compile(struct slice text, const char *name, uint64_t seed,
                                 file_problem *problem, void *context)
{
    struct rules_report *report = calloc(1, sizeof(*report));
    char line[LINE_MAX_BYTES];
    if (!report) {
        say(problem, context, "out of memory");
        return NULL;
    }
    struct rules_overrides overrides = {
        .mode = variable(RULES_MODE_VARIABLE),
        .nodes = variable(RULES_NODES_VARIABLE),
        .instance_id = variable(RULES_INSTANCE_VARIABLE),
    };
    struct rules_set *set = rules_load_with(text, seed, &overrides, report);
    for (size_t i = 0; i < report->count; i++) {
        const struct rules_problem *found = &report->problems[i];
        rules_problem_print(found, name, line, sizeof(line));
        problem(context, &(struct file_finding){line, quote_line(text, found->line), found->line,
                                                found->column});
    }
    if (report->omitted) {
        snprintf(line, sizeof(line), "%s: and %zu more", name, report->omitted);
        say(problem, context, line);
    }
    rules_report_free(report);
    free(report);
    return set;
}

struct rules_set *file_load_rules(const char *path, uint64_t seed, file_problem *problem,
                                  void *context)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "<stdin>" : path;
    char line[LINE_MAX_BYTES];
    size_t size;
    FILE *stream = standard ? stdin : fopen(path, "re");
    uint8_t *bytes = stream ? read_all(stream, &size) : NULL;
    struct rules_set *set = NULL;

    if (bytes) {
        set = compile(slice_of(bytes, size), name, seed, problem, context);
    } else {
        snprintf(line, sizeof(line), "%s: %s", name, strerror(errno));
        say(problem, context, line);
    }
    free(bytes);
    if (stream && !standard)
        fclose(stream);
    return set;
}

void file_print_problem(void *context, const struct file_finding *finding)
{
    (void)context;
    fprintf(stderr, "%s\n", finding->text);
}
