#include "rules/loader.h"

/* The files that a rule file names. */

static bool open_list(struct rules__loader *loader)
{
    struct rules__files *files = &loader->files;
    if (files->names)
        return true;
    struct slice *names = rules__allocate(loader, RULES_MAX_FILES + 1, sizeof(*files->names));
    files->texts = rules__allocate(loader, RULES_MAX_FILES + 1, sizeof(*files->texts));
    files->included = rules__allocate(loader, RULES_MAX_FILES + 1, sizeof(*files->included));
    if (!names || !files->texts || !files->included)
        return false;
    files->names = names;
    loader->set->file_names = names;
    return true;
}

/* ---- names --------------------------------------------------------------------------------- */

/* Messages are lines, which a name must not break. */
static bool is_printable(struct slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] < 0x20 || name.data[i] == 0x7f)
            return false;
    return name.size >= 1;
}

static struct slice keep_name(struct rules__loader *loader, const char *label,
                              const struct rules__node *node, const char *name)
{
    struct slice whole = slice_of_string(name);
    if (whole.size <= RULES_PATH_MAX)
        return rules__keep(loader, whole);
    rules__problem(loader, node, "%s has too many bytes, expected at most %d with its folder's",
                   label, RULES_PATH_MAX);
    return slice_of(NULL, 0);
}

struct slice rules__file_name(struct rules__loader *loader, const char *label,
                              const struct rules__node *node, const char *expected)
{
    char from[RULES_PATH_MAX + 1] = "";
    char name[2 * RULES_PATH_MAX + 2];
    if (!rules__scalar(loader, label, node, expected))
        return slice_of(NULL, 0);
    if (!is_printable(node->text)) {
        rules__wrong(loader, label, node, expected);
        return slice_of(NULL, 0);
    }
    if (node->file && loader->files.names[node->file].size)
        memcpy(from, loader->files.names[node->file].data, loader->files.names[node->file].size);
    rules_path(from, node->text, name,
               sizeof(name)); /* cut, but not to what is no longer too long */
    return keep_name(loader, label, node, name);
}

struct slice rules__listed_name(struct rules__loader *loader, const char *label,
                                const struct rules__node *node, const char *name)
{
    if (is_printable(slice_of_string(name)))
        return keep_name(loader, label, node, name);
    rules__problem(loader, node, "%s matches %s, expected names without control characters", label,
                   RULES__QUOTE(slice_of_string(name)));
    return slice_of(NULL, 0);
}

/* ---- texts --------------------------------------------------------------------------------- */

/* A file, and where it is named. */
struct wanted {
    const char *label;
    const struct rules__node *node;
    struct slice name;
};

/* For messages: as the node says, or as the folder does where that has a pattern. */
static const char *show(const struct wanted *wanted, char shown[RULES__SHOWN_MAX])
{
    bool is_matched = !slice_has_suffix(wanted->name, wanted->node->text);
    return is_matched ? rules__quote(wanted->name, shown) : rules__show(wanted->node, shown);
}

/* The file's text is one that may be used. */
static bool check(struct rules__loader *loader, const struct wanted *wanted, struct slice text)
{
    struct rules__files *files = &loader->files;
    char shown[RULES__SHOWN_MAX];
    if (text.size > RULES_FILE_MAX)
        rules__problem(loader, wanted->node,
                       "%s is %s, which is too large, expected at most %u bytes", wanted->label,
                       show(wanted, shown), RULES_FILE_MAX);
    else if (text.size > RULES_FILES_MAX - files->size)
        rules__problem(loader, wanted->node,
                       "%s is %s, with which all files are larger than they may be, expected at "
                       "most %u MiB of them",
                       wanted->label, show(wanted, shown), RULES_FILES_MAX >> 20);
    else
        return true;
    return false;
}

static int add(struct rules__loader *loader, struct slice name, struct slice text)
{
    struct rules__files *files = &loader->files;
    uint16_t outer = files->current;
    size_t number = files->count;
    if (!rules__names_put(&files->numbers, &loader->scratch, name, (uint32_t)number)) {
        rules__no_memory(loader);
        return -1;
    }
    files->names[number] = name;
    files->size += text.size;
    files->count++;
    loader->set->file_count = files->count;
    files->current = (uint16_t)number;
    if (slice_has_prefix(text, SLICE("\xef\xbb\xbf")))
        text = slice_from(text, 3);
    if (rules__check_text(loader, text))
        files->texts[number] = text.size ? text : SLICE(""); /* else it is known to be wrong */
    files->current = outer;
    return (int)number;
}

/* The number of a file that wasn't read before; -1 when it can't be (reported). */
static int read_new(struct rules__loader *loader, const struct wanted *wanted)
{
    const struct rules_environment *environment = loader->environment;
    struct slice text = {NULL, 0};
    char shown[RULES__SHOWN_MAX];
    if (loader->files.count == RULES_MAX_FILES + 1) {
        rules__problem(loader, wanted->node, "one file too many, expected at most %d",
                       RULES_MAX_FILES);
        return -1;
    }
    const char *failure =
        environment->read_file
            ? environment->read_file(environment->context, (const char *)wanted->name.data, &text)
            : "no other file can be read here";
    if (failure) {
        rules__problem(loader, wanted->node, "%s is %s: %s, expected a file that can be read",
                       wanted->label, show(wanted, shown), failure);
        return -1;
    }
    return check(loader, wanted, text) ? add(loader, wanted->name, text) : -1;
}

int rules__read_named(struct rules__loader *loader, const char *label,
                      const struct rules__node *node, struct slice name, struct slice *text)
{
    const struct wanted wanted = {label, node, name};
    if (!open_list(loader))
        return -1;
    int number = (int)rules__names_find(&loader->files.numbers, name);
    if (number < 0)
        number = read_new(loader, &wanted);
    if (number < 0 || !loader->files.texts[number].data)
        return -1;
    *text = loader->files.texts[number];
    return number;
}

int rules__read_file(struct rules__loader *loader, const char *label,
                     const struct rules__node *node, struct slice *text)
{
    struct slice name = rules__file_name(loader, label, node, "a file's name, as in blocked.txt");
    return name.size ? rules__read_named(loader, label, node, name, text) : -1;
}
