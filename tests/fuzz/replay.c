/* Stands in for libFuzzer: gives a fuzzer every file named by the arguments, and every file in the
 * directories named by them. Fails when a file cannot be read or there is none at all; a fuzzer
 * that finds something ends the program itself. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files;

static void fail(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(EXIT_FAILURE);
}

static void replay_file(const char *path, size_t size)
{
    /* Of exactly this size, so that a sanitizer sees a read past the end. */
    uint8_t *data = malloc(size);
    FILE *file = fopen(path, "rb");
    if ((!data && size > 0) || !file || fread(data, 1, size, file) != size)
        fail(path);
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    files++;
}

static void replay(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        fail(path);
    if (!S_ISDIR(status.st_mode)) {
        replay_file(path, (size_t)status.st_size);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        fail(path);
    for (int i = 0; i < count; i++) {
        char inside[PATH_MAX];
        int size = snprintf(inside, sizeof(inside), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && size > 0 && (size_t)size < sizeof(inside))
            replay(inside);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    if (files == 0) {
        fprintf(stderr, "usage: %s FILE|DIRECTORY...: there was no file\n", argv[0]);
        return EXIT_FAILURE;
    }
    printf("%u files\n", files);
    return EXIT_SUCCESS;
}
