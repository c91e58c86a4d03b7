#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/file_texts.h"

/* A file that the rule file reads. */
struct file_text {
    struct file_text *next;
    char *name;
    uint8_t *bytes; /* NULL: it couldn't be read */
    size_t size;
    struct stat status; /* when it was opened */
};

/* What a pattern matches. */
struct file_listing {
    struct file_listing *next;
    char *path; /* of the folder */
    struct stat status;
    char **names;
    size_t count;
};

/* ---- one file ------------------------------------------------------------------------------ */

const char *file_shown_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "<stdin>" : path;
}

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

static uint8_t *read_path(const char *path, size_t *size, struct stat *status)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *stream = standard ? stdin : fopen(path, "re");
    uint8_t *bytes = NULL;
    if (stream && fstat(fileno(stream), status) == 0)
        bytes = read_all(stream, size);
    if (stream && !standard) {
        int error = errno;
        fclose(stream);
        errno = error;
    }
    return bytes;
}

uint8_t *file_read(const char *path, size_t *size)
{
    struct stat status;
    return read_path(path, size, &status);
}

/* Nothing that could keep us waiting. NULL with what is wrong, a static string. */
static FILE *open_regular(const char *path, struct stat *status, const char **failure)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    FILE *stream = NULL;
    if (fd >= 0 && fstat(fd, status) == 0 && !S_ISREG(status->st_mode))
        *failure = "it is not a regular file";
    else if (fd < 0 || !(stream = fdopen(fd, "r")))
        *failure = strerror(errno);
    if (fd >= 0 && !stream)
        close(fd);
    return stream;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool is_unchanged(const char *path, const struct stat *status)
{
    struct stat now;
    return !S_ISREG(status->st_mode) || (stat(path, &now) == 0 && is_same(status, &now));
}

/* ---- files that are named ------------------------------------------------------------------ */

static void free_text(struct file_text *text)
{
    free(text->name);
    free(text->bytes);
    free(text);
}

/* Also of what couldn't be read, which may be there later. */
static bool keep_text(struct file_texts *texts, const char *name, const struct stat *status,
                      uint8_t *bytes, size_t size)
{
    struct file_text *file = calloc(1, sizeof(*file));
    char *copy = strdup(name);
    if (!file || !copy) {
        free(file);
        free(copy);
        free(bytes);
        return false;
    }
    *file = (struct file_text){texts->named, copy, bytes, size, *status};
    texts->named = file;
    return true;
}

const char *file_texts_read_named(void *context, const char *name, struct slice *text)
{
    struct file_texts *texts = context;
    const char *failure = NULL;
    struct stat status = {.st_ino = 0};
    char path[PATH_MAX];
    uint8_t *bytes = NULL;
    size_t size = 0;
    rules_path(texts->path, slice_of_string(name), path, sizeof(path));
    FILE *stream = open_regular(path, &status, &failure);
    if (stream) {
        bytes = read_all(stream, &size);
        failure = bytes ? NULL : strerror(errno);
        fclose(stream);
    }
    if (!keep_text(texts, name, &status, bytes, size))
        return strerror(ENOMEM);
    if (!failure)
        *text = slice_of(bytes, size);
    return failure;
}

/* ---- files that a pattern matches ---------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_listing(struct file_listing *listing)
{
    if (!listing)
        return;
    for (size_t i = 0; i < listing->count; i++)
        free(listing->names[i]);
    free(listing->names);
    free(listing->path);
    free(listing);
}

/* NULL when out of memory. */
static struct file_listing *create_listing(const char *path)
{
    struct file_listing *listing = calloc(1, sizeof(*listing));
    if (!listing)
        return NULL;
    listing->names = calloc(RULES_MAX_FILES + 1, sizeof(char *));
    listing->path = strdup(path);
    if (listing->names && listing->path)
        return listing;
    free_listing(listing);
    return NULL;
}

/* folder: what stands before the entry in its name, with the '/'. False when out of memory. */
static bool add_name(struct file_listing *listing, struct slice folder, const char *entry)
{
    char *name;
    if (asprintf(&name, "%.*s%s", SLICE_ARGS(folder), entry) < 0)
        return false;
    listing->names[listing->count++] = name;
    return true;
}

/* NULL, or what is wrong, a static string. */
static const char *read_folder(DIR *directory, struct slice folder, const char *pattern,
                               struct file_listing *listing)
{
    /* One more than may be read is enough to be told so. */
    while (listing->count <= RULES_MAX_FILES) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry)
            return errno ? strerror(errno) : NULL;
        bool is_folder = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (!is_folder && fnmatch(pattern, entry->d_name, FNM_PERIOD) == 0 &&
            !add_name(listing, folder, entry->d_name))
            return strerror(ENOMEM);
    }
    return NULL;
}

const char *file_texts_list(void *context, const char *pattern, struct rules_file_names *names)
{
    struct file_texts *texts = context;
    const char *slash = strrchr(pattern, '/');
    struct slice folder = slice_of(pattern, slash ? (size_t)(slash + 1 - pattern) : 0);
    char path[PATH_MAX];
    rules_path(texts->path, folder, path, sizeof(path));
    struct file_listing *listing = create_listing(*path ? path : ".");
    if (!listing)
        return strerror(ENOMEM);
    listing->next = texts->listings;
    texts->listings = listing;
    if (stat(listing->path, &listing->status) != 0)
        return strerror(errno);
    DIR *directory = opendir(listing->path);
    if (!directory)
        return strerror(errno);
    const char *failure = read_folder(directory, folder, pattern + folder.size, listing);
    closedir(directory);
    if (failure)
        return failure;
    qsort(listing->names, listing->count, sizeof(*listing->names), compare_names);
    *names = (struct rules_file_names){(const char *const *)listing->names, listing->count};
    return NULL;
}

/* ---- all of them --------------------------------------------------------------------------- */

static void forget_named(struct file_texts *texts)
{
    while (texts->named) {
        struct file_text *text = texts->named;
        texts->named = text->next;
        free_text(text);
    }
    while (texts->listings) {
        struct file_listing *listing = texts->listings;
        texts->listings = listing->next;
        free_listing(listing);
    }
}

bool file_texts_read(struct file_texts *texts)
{
    forget_named(texts);
    if (texts->rule_file.data && !S_ISREG(texts->rule_file_status.st_mode))
        return true;
    free((void *)texts->rule_file.data);
    texts->rule_file_status = (struct stat){.st_ino = 0};
    texts->rule_file.data =
        read_path(texts->path, &texts->rule_file.size, &texts->rule_file_status);
    return texts->rule_file.data;
}

void file_texts_free(struct file_texts *texts)
{
    forget_named(texts);
    free((void *)texts->rule_file.data);
    texts->rule_file = slice_of(NULL, 0);
}

bool file_texts_unchanged(const struct file_texts *texts)
{
    bool is_named = strcmp(texts->path, "-") != 0;
    bool unchanged = !is_named || is_unchanged(texts->path, &texts->rule_file_status);
    for (const struct file_text *text = texts->named; text && unchanged; text = text->next) {
        char path[PATH_MAX];
        rules_path(texts->path, slice_of_string(text->name), path, sizeof(path));
        unchanged = is_unchanged(path, &text->status);
    }
    return unchanged;
}

void file_texts_note(const struct file_texts *texts, struct file_seen *seen)
{
    char path[PATH_MAX];
    file_seen_add(seen, texts->path, &texts->rule_file_status, texts->rule_file);
    for (const struct file_text *text = texts->named; text; text = text->next) {
        rules_path(texts->path, slice_of_string(text->name), path, sizeof(path));
        file_seen_add(seen, path, &text->status, slice_of(text->bytes, text->size));
    }
    for (const struct file_listing *listing = texts->listings; listing; listing = listing->next)
        file_seen_add(seen, listing->path, &listing->status, slice_of(NULL, 0));
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
