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

/* Where a file is checked and not used. */
struct check {
    const struct rules_sent_list *sent;
};

struct loading {
    const char *name; /* of the file, for people */
    const struct check *check;
    file_problem *problem;
    void *context;
};

static void tell(const struct loading *loading, struct slice text,
                 const struct rules_report *report, bool warning)
{
    char line[LINE_MAX_BYTES];
    for (size_t i = 0; i < report->count; i++) {
        const struct rules_problem *found = &report->problems[i];
        rules_problem_print(found, loading->name, line, sizeof(line));
        loading->problem(loading->context,
                         &(struct file_finding){line, quote_line(text, found->line), found->line,
                                                found->column, warning});
    }
    if (report->omitted) {
        snprintf(line, sizeof(line), "%s: and %zu more", loading->name, report->omitted);
        say(loading->problem, loading->context, line);
    }
}

static struct rules_set *compile(const struct loading *loading, struct slice text, uint64_t seed)
{
    struct rules_report *report = calloc(1, sizeof(*report));
    if (!report) {
        say(loading->problem, loading->context, "out of memory");
        return NULL;
    }
    struct rules_overrides overrides = {
        .mode = variable(RULES_MODE_VARIABLE),
        .nodes = variable(RULES_NODES_VARIABLE),
        .instance_id = variable(RULES_INSTANCE_VARIABLE),
    };
    struct rules_set *set = rules_load_with(text, seed, &overrides, report);
    tell(loading, text, report, false);
    rules_report_free(report);
    if (set && loading->check) {
        rules_warn(set, loading->check->sent, report);
        tell(loading, text, report, true);
        rules_report_free(report);
    }
    free(report);
    return set;
}

uint8_t *file_read(const char *path, size_t *size)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *stream = standard ? stdin : fopen(path, "re");
    uint8_t *bytes = stream ? read_all(stream, size) : NULL;
    if (stream && !standard) {
        int error = errno;
        fclose(stream);
        errno = error;
    }
    return bytes;
}

/* kept: where the text goes; NULL: it isn't needed behind. */
static struct rules_set *load(const char *path, uint64_t seed, struct loading loading,
                              struct slice *kept)
{
    loading.name = strcmp(path, "-") == 0 ? "<stdin>" : path;
    struct rules_set *set = NULL;
    size_t size;
    uint8_t *bytes = file_read(path, &size);
    if (bytes) {
        set = compile(&loading, slice_of(bytes, size), seed);
    } else {
        char line[LINE_MAX_BYTES];
        snprintf(line, sizeof(line), "%s: %s", loading.name, strerror(errno));
        say(loading.problem, loading.context, line);
    }
    if (set && kept)
        *kept = slice_of(bytes, size);
    else
        free(bytes);
    return set;
}

struct rules_set *file_load_rules(const char *path, uint64_t seed, file_problem *problem,
                                  void *context)
{
    return load(path, seed, (struct loading){.problem = problem, .context = context}, NULL);
}

struct rules_set *file_check_rules(const char *path, const struct rules_sent_list *sent,
                                   file_problem *problem, void *context)
{
    const struct check check = {sent};
    return load(path, 0, (struct loading){.check = &check, .problem = problem, .context = context},
                NULL);
}

struct rules_set *file_load_rules_and_text(const char *path, struct slice *text,
                                           file_problem *problem, void *context)
{
    return load(path, 0, (struct loading){.problem = problem, .context = context}, text);
}

void file_print_problem(void *context, const struct file_finding *finding)
{
    (void)context;
    fprintf(stderr, "%s\n", finding->text);
}
