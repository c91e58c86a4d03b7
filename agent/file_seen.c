#include "agent/file_seen.h"

#include <stdlib.h>

/* What tells one state of a file from another. */
struct state {
    uint64_t device, inode, type, size;
    int64_t written[2], changed[2];
};

static uint64_t fold_state(uint64_t look, const struct stat *status)
{
    /* A folder's size says nothing that its times don't, and what isn't there has none. */
    struct state state = {
        .device = status->st_dev,
        .inode = status->st_ino,
        .type = status->st_mode & S_IFMT,
        .size = S_ISREG(status->st_mode) ? (uint64_t)status->st_size : 0,
        .written = {status->st_mtim.tv_sec, status->st_mtim.tv_nsec},
        .changed = {status->st_ctim.tv_sec, status->st_ctim.tv_nsec},
    };
    return hash64(slice_of(&state, sizeof(state)), look);
}

static void fold_text(struct hash128 *digest, struct slice text)
{
    struct hash128 both[] = {*digest, hash128(text, text.data != NULL)};
    *digest = hash128(slice_of(both, sizeof(both)), 0);
}

void file_seen_add(struct file_seen *seen, const char *path, const struct stat *status,
                   struct slice text)
{
    fold_text(&seen->digest, slice_of_string(path));
    fold_text(&seen->digest, text);
    seen->look = fold_state(seen->look, status);
    char **more = NULL;
    char *copy = seen->out_of_memory ? NULL : strdup(path);
    if (copy)
        more = realloc(seen->paths, (seen->count + 1) * sizeof(*more));
    if (!more) {
        free(copy);
        seen->out_of_memory = true;
        return;
    }
    seen->paths = more;
    seen->paths[seen->count++] = copy;
}

uint64_t file_seen_look(const struct file_seen *seen)
{
    uint64_t look = 0;
    for (size_t i = 0; i < seen->count; i++) {
        struct stat status;
        if (stat(seen->paths[i], &status) != 0)
            memset(&status, 0, sizeof(status));
        look = fold_state(look, &status);
    }
    return look;
}

bool file_seen_newest(const struct file_seen *seen, int64_t *seconds)
{
    bool any = false;
    for (size_t i = 0; i < seen->count; i++) {
        struct stat status;
        if (stat(seen->paths[i], &status) != 0 || S_ISDIR(status.st_mode))
            continue;
        if (!any || status.st_mtim.tv_sec > *seconds)
            *seconds = status.st_mtim.tv_sec;
        any = true;
    }
    return any;
}

void file_seen_free(struct file_seen *seen)
{
    for (size_t i = 0; i < seen->count; i++)
        free(seen->paths[i]);
    free(seen->paths);
    *seen = (struct file_seen){.count = 0};
}
