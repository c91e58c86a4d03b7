#include "agent/import_envoy.h"

#include <stdarg.h>
#include <stdlib.h>

#include "agent/import_envoy_model.h"

/* ---- what is told -------------------------------------------------------------------------- */

const char *envoy_quote(struct slice text, char quoted[ENVOY_QUOTED_MAX])
{
    const size_t room = ENVOY_QUOTED_MAX - sizeof("\"...\"");
    struct writer w = writer_open(quoted, ENVOY_QUOTED_MAX - 1);
    writer_uint8(&w, '"');
    for (size_t i = 0; i < text.size && i < room; i++)
        writer_uint8(&w, text.data[i] >= ' ' && text.data[i] < 0x7f ? text.data[i] : '?');
    writer_bytes(&w, text.size > room ? SLICE("...\"") : SLICE("\""));
    quoted[writer_size(&w)] = 0;
    return quoted;
}

void envoy_tell(struct envoy_file *file, bool wrong, size_t line, size_t column, const char *format,
                ...)
{
    char text[ENVOY_TEXT_MAX];
    char note[ENVOY_TEXT_MAX + 48];
    va_list arguments;
    file->wrong += wrong;
    if (file->told == ENVOY_FINDINGS_MAX) {
        file->omitted++;
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    file->told++;
    file->found(file->context, &(struct envoy_finding){wrong, line, column, text});
    int size = snprintf(note, sizeof(note), "%zu:%zu: %s", line, column, text);
    if (!wrong && size > 0)
        file->notes[file->note_count++] = arena_copy(&file->arena, slice_of(note, (size_t)size));
}

static void tell_omitted(struct envoy_file *file)
{
    char text[48];
    if (file->omitted == 0)
        return;
    snprintf(text, sizeof(text), "and %zu more", file->omitted);
    file->found(file->context, &(struct envoy_finding){file->wrong > 0, 0, 0, text});
}

/* ---- the rule file ------------------------------------------------------------------------- */

static const char assumed[] =
    "#\n"
    "# Arguments are called as the descriptors' keys, and remote_address is src; a key that is "
    "twice\n"
    "# in one descriptor has a number behind it the second time. HAProxy has to send them: "
    "`sluice\n"
    "# spoe-config` prints how, with lines to fill in for those that it doesn't know.\n"
    "#\n"
    "# A rule applies to each request that has all its arguments, as if Envoy's routes sent each\n"
    "# descriptor whose entries there are. Take out what they don't send.\n";

static const char settings[] = "\n"
                               "listen: [ \"unix:///run/sluice/spop.sock\" ]\n"
                               "defaults: { algorithm: fixed-window }\n"
                               "\n";

/* On one line, whatever it is: YAML's lines end in more ways than one. */
static void write_line(FILE *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        fputc(text.data[i] >= ' ' && text.data[i] < 0x7f ? text.data[i] : '?', out);
}

static void write_file(const struct envoy_file *file, const char *name, struct slice rules,
                       FILE *out)
{
    fputs("# The domain ", out);
    write_line(out, file->domain);
    fputs(" of ", out);
    write_line(out, slice_of_string(name));
    fputs(", for envoyproxy/ratelimit, as rules of sluice.\n", out);
    fputs(assumed, out);
    if (file->note_count)
        fputs("#\n# Not converted, or not as it was (line:column of that file):\n", out);
    for (size_t i = 0; i < file->note_count; i++) {
        fputs("#   ", out);
        write_line(out, file->notes[i]);
        fputc('\n', out);
    }
    if (file->omitted)
        fprintf(out, "#   and %zu more\n", file->omitted);
    fputs(settings, out);
    fwrite(rules.data, 1, rules.size, out);
}

/* NULL when out of memory. */
static char *write_rules(struct envoy_file *file, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out)
        return NULL;
    envoy_write_rules(file, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static char *write_all(struct envoy_file *file, const char *name, size_t *size)
{
    size_t rules_size;
    char *rules = write_rules(file, &rules_size);
    char *text = NULL;
    FILE *out = rules ? open_memstream(&text, size) : NULL;
    if (out) {
        write_file(file, name, slice_of(rules, rules_size), out);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    free(rules);
    if (!text)
        envoy_tell(file, true, 0, 0, "out of memory");
    return text;
}

/* That what was written is a rule file, bounds of rules included. */
static bool is_rule_file(struct envoy_file *file, struct slice text)
{
    struct rules_report *report = calloc(1, sizeof(*report));
    if (!report) {
        envoy_tell(file, true, 0, 0, "out of memory");
        return false;
    }
    struct rules_set *set = rules_load(text, 0, report);
    for (size_t i = 0; !set && i < report->count; i++)
        envoy_tell(file, true, 0, 0, "it would not do as a rule file: %.*s",
                   SLICE_ARGS(report->problems[i].text));
    bool is_right = set;
    rules_report_free(report);
    free(report);
    rules_free(set);
    return is_right;
}

char *envoy_convert(struct slice text, const char *name, size_t *size, envoy_found *found,
                    void *context)
{
    struct envoy_file *file = calloc(1, sizeof(*file));
    if (!file) {
        found(context, &(struct envoy_finding){true, 0, 0, "out of memory"});
        return NULL;
    }
    file->found = found;
    file->context = context;
    envoy_read(file, text);
    char *converted = file->wrong ? NULL : write_all(file, name, size);
    if (converted && !is_rule_file(file, slice_of(converted, *size))) {
        free(converted);
        converted = NULL;
    }
    tell_omitted(file);
    arena_free(&file->arena);
    free(file);
    return converted;
}
