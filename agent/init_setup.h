/* The set-ups that `sluice init` writes: the files of haproxy/ with other addresses and paths put
 * in, so that there is one copy of what they say. */
#pragma once

#include "base/base.h"

struct init_setup {
    bool production;    /* three agents that share a Redis Cluster, not one with its own memory */
    bool before_3_1;    /* HAProxy 2.6 to 3.0 */
    const char *folder; /* of a development set-up: an absolute path that init_folder_fits */
};

#define INIT_FILE_COUNT 3
#define INIT_EDITS_MAX  16

struct init_file {
    const char *name; /* without a folder */
    const char *what; /* it is, for people */
    char *text;       /* to be freed; NULL: out of memory */
    size_t size;
    /* What should have been replaced, and isn't in the shipped file any more; NULL: all was. */
    const char *missing;
};

/* Makes one of the files, by its number from 0. Ends with as many as there are. */
struct init_file init_file_make(const struct init_setup *setup, size_t number);

/* Whether a folder's absolute path can stand in the files as it is, and a socket's path in it isn't
 * too long; if not, what was expected, a static string. */
bool init_folder_fits(const char *folder, const char **expected);
