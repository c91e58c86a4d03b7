#include "rules/loader.h"

/* The files that a rule file names. */

static bool open_list(struct rules__loader *loader)
{
    struct rules__files *files = &loader->files;
    if (files->names)
        return true;
    struct slice *names = rules__allocate(loader, RULES_MAX_FILES + 1, sizeof(*files->names));
    files->texts = rules__allocate(loader, RULES_MAX_FILES + 1, sizeof(*files->texts));
    if (!names || !files->texts)
        return false;
    files->names = names;
    loader->set->file_names = names;
    return true;
}

/* A name as the environment wants it, of one that stands in a file: relative to that one's folder.
 * Empty when it is none (reported). */
static struct slice name_of(struct rules__loader *loader, const char *label,
                            const struct rules__node *node)
{
    static const char expected[] = "a file's name, as in blocked.txt";
    char from[RULES_PATH_MAX + 1] = "";
    char name[2 * RULES_PATH_MAX + 2];
    struct slice none = {NULL, 0};
    if (!rules__scalar(loader, label, node, expected))
        return none;
    if (node->text.size == 0 || memchr(node->text.data, 0, node->text.size)) {
        rules__wrong(loader, label, node, expected);
        return none;
    }
    if (node->file && loader->files.names[node->file].size)
        memcpy(from, loader->files.names[node->file].data, loader->files.names[node->file].size);
    rules_path(from, node->text, name,
               sizeof(name)); /* cut, but not to what is no longer too long */
    struct slice whole = slice_of_string(name);
    if (whole.size <= RULES_PATH_MAX)
        return rules__keep(loader, whole);
    rules__problem(loader, node, "%s has too many bytes, expected at most %d with its folder's",
                   label, RULES_PATH_MAX);
    return none;
}

/* The file's text is one that may be used. */
static bool check(struct rules__loader *loader, const char *label, const struct rules__node *node,
                  struct slice text)
{
    struct rules__files *files = &loader->files;
    if (text.size > RULES_FILE_MAX)
        rules__problem(loader, node, "%s is %s, which has %zu bytes, expected at most %u", label,
                       RULES__QUOTE(node->text), text.size, RULES_FILE_MAX);
    else if (text.size > RULES_FILES_MAX - files->size)
        rules__problem(loader, node,
                       "%s is %s, with which all files are larger than they may be, expected at "
                       "most %u MiB of them",
                       label, RULES__QUOTE(node->text), RULES_FILES_MAX >> 20);
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
static int read_new(struct rules__loader *loader, const char *label, const struct rules__node *node,
                    struct slice name)
{
    const struct rules_environment *environment = loader->environment;
    struct slice text = {NULL, 0};
    if (loader->files.count == RULES_MAX_FILES + 1) {
        rules__problem(loader, node, "one file too many, expected at most %d", RULES_MAX_FILES);
        return -1;
    }
    const char *failure =
        environment->read_file
            ? environment->read_file(environment->context, (const char *)name.data, &text)
            : "no other file can be read here";
    if (failure) {
        rules__problem(loader, node, "%s is %s: %s, expected a file that can be read", label,
                       RULES__QUOTE(node->text), failure);
        return -1;
    }
    return check(loader, label, node, text) ? add(loader, name, text) : -1;
}

int rules__read_file(struct rules__loader *loader, const char *label,
                     const struct rules__node *node, struct slice *text)
{
    if (!open_list(loader))
        return -1;
    struct slice name = name_of(loader, label, node);
    if (!name.size)
        return -1;
    int number = (int)rules__names_find(&loader->files.numbers, name);
    if (number < 0)
        number = read_new(loader, label, node, name);
    if (number < 0 || !loader->files.texts[number].data)
        return -1;
    *text = loader->files.texts[number];
    return number;
}
