#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/file.h"
#include "agent/quote.h"

/* A path, and what is wrong. */
#define LINE_MAX_BYTES (PATH_MAX + 1024)

/* So often is read again what changes meanwhile. */
#define TRIES 5

struct loading {
    const char *name; /* of the file, for people */
    const struct file_reading *reading;
    file_problem *problem;
    void *context;
    struct file_texts texts;
};

/* ---- the environment ----------------------------------------------------------------------- */

/* Of struct rules_environment; data NULL where it isn't set. */
static struct slice variable(void *context, const char *name)
{
    const char *value = getenv(name);
    (void)context;
    return value ? slice_of_string(value) : slice_of(NULL, 0);
}

/* Of those that stand in place of the file, an empty one says nothing either, as templates write
 * them. */
static struct rules_environment environment_of(struct loading *loading)
{
    return (struct rules_environment){
        .overrides =
            {
                .mode = variable(NULL, RULES_MODE_VARIABLE),
                .nodes = variable(NULL, RULES_NODES_VARIABLE),
                .instance_id = variable(NULL, RULES_INSTANCE_VARIABLE),
            },
        .context = &loading->texts,
        .variable = variable,
        .read_file = file_texts_read_named,
        .list_files = file_texts_list,
        .wants_candidate = loading->reading->candidate != NULL,
        .is_candidate = loading->reading->is_candidate,
    };
}

/* ---- what is told -------------------------------------------------------------------------- */

/* Says something that is about no line of the file. */
static void say(const struct loading *loading, const char *what)
{
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof(line), "%s: %s", loading->name, what);
    loading->problem(loading->context, &(struct file_finding){.text = line});
}

static void tell(const struct loading *loading, const struct rules_report *report, bool warning)
{
    char line[LINE_MAX_BYTES];
    for (size_t i = 0; i < report->count; i++) {
        const struct rules_problem *found = &report->problems[i];
        struct slice text = file_text_of(&loading->texts, found->file);
        rules_problem_print(found, loading->name, line, sizeof(line));
        loading->problem(loading->context,
                         &(struct file_finding){line, quote_line(text, found->line), found->line,
                                                found->column, warning});
    }
    if (report->omitted) {
        char more[48];
        snprintf(more, sizeof(more), "and %zu more", report->omitted);
        say(loading, more);
    }
}

/* ---- a rule file --------------------------------------------------------------------------- */

/* Of files that change all the time, none is the one that is meant. */
static struct rules_set *changing(const struct loading *loading, struct rules_set *set)
{
    say(loading, "this file, or one that it reads, changed again and again while it was read, "
                 "expected it to stay as it is meanwhile");
    rules_free(set);
    return NULL;
}

/* False when out of memory, which has been told. */
static bool note_candidate(const struct loading *loading, const struct rules_report *report)
{
    char path[PATH_MAX];
    if (report->candidate.size == 0)
        return true;
    rules_path(loading->name, report->candidate, path, sizeof(path));
    *loading->reading->candidate = strdup(path);
    if (!*loading->reading->candidate)
        say(loading, "out of memory");
    return *loading->reading->candidate;
}

static struct rules_set *compile(struct loading *loading, struct rules_report *report)
{
    struct rules_environment environment = environment_of(loading);
    struct rules_set *set;
    for (int tries = 1;; tries++) {
        if (!file_texts_read(&loading->texts)) {
            say(loading, strerror(errno));
            return NULL;
        }
        set =
            rules_load_with(loading->texts.rule_file, loading->reading->seed, &environment, report);
        if (file_texts_unchanged(&loading->texts))
            break;
        rules_report_free(report);
        if (tries == TRIES)
            return changing(loading, set);
        rules_free(set);
    }
    tell(loading, report, false);
    if (!note_candidate(loading, report)) {
        rules_free(set);
        return NULL;
    }
    if (set && loading->reading->is_checked) {
        rules_report_free(report);
        rules_warn(set, loading->reading->sent, report);
        tell(loading, report, true);
    }
    return set;
}

/* kept: where what was read goes; NULL: it isn't needed behind. */
static struct rules_set *load(const struct file_reading *reading, struct file_texts *kept)
{
    struct rules_set *set = NULL;
    struct loading loading = {
        .name = file_shown_name(reading->path),
        .reading = reading,
        .problem = reading->problem,
        .context = reading->context,
        .texts = {.path = reading->path},
    };
    struct rules_report *report = calloc(1, sizeof(*report));
    if (report) {
        set = compile(&loading, report);
        rules_report_free(report);
        free(report);
    } else {
        say(&loading, strerror(errno));
    }
    if (reading->seen)
        file_texts_note(&loading.texts, reading->seen);
    if (kept)
        *kept = loading.texts;
    else
        file_texts_free(&loading.texts);
    return set;
}

struct rules_set *file_read_rules(const struct file_reading *reading)
{
    return load(reading, NULL);
}

struct rules_set *file_load_rules(const char *path, uint64_t seed, file_problem *problem,
                                  void *context)
{
    return load(
        &(struct file_reading){.path = path, .seed = seed, .problem = problem, .context = context},
        NULL);
}

struct rules_set *file_read_rules_and_texts(const struct file_reading *reading,
                                            struct file_texts *texts)
{
    return load(reading, texts);
}

void file_print_problem(void *context, const struct file_finding *finding)
{
    (void)context;
    fprintf(stderr, "%s\n", finding->text);
}
