/* What is read for a rule file: itself, and the files and folders that it names. Blocks. */
#pragma once

#include "agent/file_seen.h"
#include "base/base.h"
#include "rules/rules.h"

struct file_text;
struct file_listing;

struct file_texts {
    const char *path; /* of the rule file, "-" for standard input; it stays as long as this */
    struct slice rule_file;
    struct stat rule_file_status;
    struct file_text *named;
    struct file_listing *listings;
};

/* Reads the rule file, and forgets what was read before; one that isn't regular, as a pipe, is read
 * once and kept. False with errno. Free it either way. */
bool file_texts_read(struct file_texts *texts);
void file_texts_free(struct file_texts *texts);

/* Of struct rules_environment, with a struct file_texts as its context. */
const char *file_texts_read_named(void *context, const char *name, struct slice *text);
const char *file_texts_list(void *context, const char *pattern, struct rules_file_names *names);

/* Whether all that was read is still what it was when it was opened, so that it is of one time: a
 * Kubernetes ConfigMap, say, becomes another at once, and so may be read half before and half
 * behind that. */
bool file_texts_unchanged(const struct file_texts *texts);

/* Notes all that was read, and what couldn't be. */
void file_texts_note(const struct file_texts *texts, struct file_seen *seen);

/* By a name of rules_set.file_names, of which the rule file's is empty; data NULL: there is none.
 */
struct slice file_text_of(const struct file_texts *texts, struct slice name);

/* What people are told that a file is called: "<stdin>" for "-". */
const char *file_shown_name(const char *path);

/* The whole of a file ("-" is standard input) in memory of its own; of one that has more than
 * RULES_FILE_MAX bytes, so much that this shows. NULL with errno. */
uint8_t *file_read(const char *path, size_t *size);
