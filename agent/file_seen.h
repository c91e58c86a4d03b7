/* Which files and folders were read for a rule file, what they said, and whether they have changed
 * since. */
#pragma once

#include <sys/stat.h>

#include "base/base.h"

/* Zero-initialised is empty and ready. */
struct file_seen {
    char **paths; /* [count] */
    size_t count;
    struct hash128 digest; /* of all names and texts, in the order of reading */
    uint64_t look;         /* of all as they were when they were opened: file_seen_look */
    bool out_of_memory;    /* not all of it is noted */
};

/* Notes one. status: when it was opened; all zero where it couldn't be. text: what was read, or of
 * a folder what it has; data NULL for none. */
void file_seen_add(struct file_seen *seen, const char *path, const struct stat *status,
                   struct slice text);

/* A number that differs where any of them has changed: another file has taken its place, also
 * behind a symbolic link, or it was written to. May block, as file systems can. */
uint64_t file_seen_look(const struct file_seen *seen);

/* When the newest of the files (a folder is none) was written to, in seconds since the epoch. False
 * where none of them is there. May block. */
bool file_seen_newest(const struct file_seen *seen, int64_t *seconds);

/* It is empty and ready again. */
void file_seen_free(struct file_seen *seen);
