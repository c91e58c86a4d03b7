#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/file.h"
#include "agent/quote.h"

/* A path, and what is wrong. */
#define LINE_MAX_BYTES (PATH_MAX + 1024)

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

/* A file that the rule file reads. */
struct file_text {
    struct file_text *next;
    char *name;
    uint8_t *bytes;
    size_t size;
};

struct loading {
    const char *name; /* of the file, for people */
    const struct file_reading *reading;
    file_problem *problem;
    void *context;
    struct file_texts texts;
};

/* ---- files that a rule file names ---------------------------------------------------------- */

/* Nothing that could keep us waiting. NULL with what is wrong, a static string. */
static FILE *open_regular(const char *path, const char **failure)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    FILE *stream = NULL;
    if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
        *failure = "it is not a regular file";
    else if (fd < 0 || !(stream = fdopen(fd, "r")))
        *failure = strerror(errno);
    if (fd >= 0 && !stream)
        close(fd);
    return stream;
}

static void free_text(struct file_text *text)
{
    free(text->name);
    free(text->bytes);
    free(text);
}

/* Of struct rules_environment. */
static const char *read_named(void *context, const char *name, struct slice *out)
{
    struct loading *loading = context;
    const char *failure = NULL;
    char path[PATH_MAX];
    rules_path(loading->name, slice_of_string(name), path, sizeof(path));
    FILE *stream = open_regular(path, &failure);
    if (!stream)
        return failure;
    struct file_text *text = calloc(1, sizeof(*text));
    if (text) {
        text->name = strdup(name);
        text->bytes = text->name ? read_all(stream, &text->size) : NULL;
    }
    failure = text && text->bytes ? NULL : strerror(errno);
    fclose(stream);
    if (text && text->bytes) {
        text->next = loading->texts.named;
        loading->texts.named = text;
        *out = slice_of(text->bytes, text->size);
    } else if (text) {
        free_text(text);
    }
    return failure;
}

struct slice file_text_of(const struct file_texts *texts, struct slice name)
{
    if (name.size == 0)
        return texts->rule_file;
    for (const struct file_text *text = texts->named; text; text = text->next)
        if (slice_equal(slice_of_string(text->name), name))
            return slice_of(text->bytes, text->size);
    return slice_of(NULL, 0);
}

void file_texts_free(struct file_texts *texts)
{
    free((void *)texts->rule_file.data);
    while (texts->named) {
        struct file_text *text = texts->named;
        texts->named = text->next;
        free_text(text);
    }
    *texts = (struct file_texts){{NULL, 0}, NULL};
}

/* ---- a rule file --------------------------------------------------------------------------- */

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
        snprintf(line, sizeof(line), "%s: and %zu more", loading->name, report->omitted);
        say(loading->problem, loading->context, line);
    }
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
        say(loading->problem, loading->context, "out of memory");
    return *loading->reading->candidate;
}

static struct rules_set *compile(struct loading *loading, uint64_t seed)
{
    struct rules_report *report = calloc(1, sizeof(*report));
    if (!report) {
        say(loading->problem, loading->context, "out of memory");
        return NULL;
    }
    struct rules_environment environment = {
        .overrides =
            {
                .mode = variable(RULES_MODE_VARIABLE),
                .nodes = variable(RULES_NODES_VARIABLE),
                .instance_id = variable(RULES_INSTANCE_VARIABLE),
            },
        .context = loading,
        .read_file = read_named,
        .wants_candidate = loading->reading->candidate != NULL,
        .is_candidate = loading->reading->is_candidate,
    };
    struct rules_set *set = rules_load_with(loading->texts.rule_file, seed, &environment, report);
    tell(loading, report, false);
    if (!note_candidate(loading, report)) {
        rules_free(set);
        set = NULL;
    }
    rules_report_free(report);
    if (set && loading->reading->is_checked) {
        rules_warn(set, loading->reading->sent, report);
        tell(loading, report, true);
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

/* kept: where what was read goes; NULL: it isn't needed behind. */
static struct rules_set *load(const struct file_reading *reading, struct file_texts *kept)
{
    struct loading loading = {
        .name = strcmp(reading->path, "-") == 0 ? "<stdin>" : reading->path,
        .reading = reading,
        .problem = reading->problem,
        .context = reading->context,
    };
    struct rules_set *set = NULL;
    size_t size;
    uint8_t *bytes = file_read(reading->path, &size);
    if (bytes) {
        loading.texts.rule_file = slice_of(bytes, size);
        set = compile(&loading, reading->seed);
    } else {
        char line[LINE_MAX_BYTES];
        snprintf(line, sizeof(line), "%s: %s", loading.name, strerror(errno));
        say(loading.problem, loading.context, line);
    }
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

struct rules_set *file_load_rules_and_texts(const char *path, struct file_texts *texts,
                                            file_problem *problem, void *context)
{
    return load(&(struct file_reading){.path = path, .problem = problem, .context = context},
                texts);
}

void file_print_problem(void *context, const struct file_finding *finding)
{
    (void)context;
    fprintf(stderr, "%s\n", finding->text);
}
