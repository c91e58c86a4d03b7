#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/command.h"
#include "agent/init_setup.h"
#include "agent/spoe_config.h"

/* Of a file in a folder; folders' paths that fit are much shorter. */
#define PATH_SIZE (PATH_MAX + 32)

static void print_help(FILE *stream)
{
    fputs(
        "usage: sluice init [--production] [--haproxy 2.6|3.0|3.2] [--force] [DIRECTORY]\n\n"
        "Writes a rule file to begin with, and HAProxy's files to match, all commented, and says\n"
        "what to do next. DIRECTORY (default: this one) is made where it isn't there.\n\n"
        "  -p, --production       three agents that share a Redis Cluster, for /etc/sluice and\n"
        "                         /etc/haproxy. Without it: one agent with counters of its own\n"
        "                         and one HAProxy, for one user, in DIRECTORY\n"
        "  -H, --haproxy VERSION  2.6 (to 2.9), 3.0, or 3.2 and later (default: 3.2)\n"
        "  -f, --force            replace files that are there already; without it nothing is\n"
        "                         written where one is\n"
        "  -h, --help             this text\n\n"
        "exit status: 0 when all was written, 1 when it wasn't, 2 for a wrong command line\n",
        stream);
}

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "sluice init: %s: %s\n", path, what);
    return EXIT_FAILURE;
}

/* ---- where it goes ------------------------------------------------------------------------- */

/* The directory's absolute path, made where it wasn't there; false when it can't be used (told). */
static bool find_folder(const char *directory, char path[PATH_MAX])
{
    const char *expected;
    if (mkdir(directory, 0755) != 0 && errno != EEXIST) {
        fail(directory, strerror(errno));
        return false;
    }
    if (!realpath(directory, path)) {
        fail(directory, strerror(errno));
        return false;
    }
    if (init_folder_fits(path, &expected))
        return true;
    fprintf(stderr, "sluice init: directory is \"%s\", expected %s\n", path, expected);
    return false;
}

static const char *path_of(const char *folder, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
    return path;
}

/* False where one is there; all of them are told. */
static bool nothing_is_there(const char *folder, const struct init_file *files)
{
    char path[PATH_SIZE];
    struct stat status;
    bool none = true;
    for (size_t i = 0; i < INIT_FILE_COUNT; i++) {
        if (lstat(path_of(folder, files[i].name, path), &status) == 0) {
            fail(path, "it is there already");
            none = false;
        }
    }
    if (!none)
        fprintf(stderr, "nothing was written; --force replaces what is there\n");
    return none;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* A whole file or none: under another name first. False with errno. */
static bool write_file(const char *path, const struct init_file *file, bool force)
{
    char unfinished[PATH_SIZE + 8];
    snprintf(unfinished, sizeof(unfinished), "%s.XXXXXX", path);
    int fd = mkstemp(unfinished);
    if (fd < 0)
        return false;
    bool written = fchmod(fd, 0644) == 0;
    for (size_t at = 0; written && at < file->size;) {
        ssize_t size = write(fd, file->text + at, file->size - at);
        written = size > 0;
        at += written ? (size_t)size : 0;
    }
    written = close(fd) == 0 && written;
    /* A link, unlike a rename, replaces nothing that has come meanwhile. */
    bool moved = written && (force ? rename(unfinished, path) == 0 : link(unfinished, path) == 0);
    int error = errno;
    if (!moved || !force)
        unlink(unfinished);
    errno = error;
    return moved;
}

static bool write_all(const char *folder, const struct init_file *files, bool force)
{
    char path[PATH_SIZE];
    for (size_t i = 0; i < INIT_FILE_COUNT; i++) {
        if (!write_file(path_of(folder, files[i].name, path), &files[i], force)) {
            fail(path, strerror(errno));
            return false;
        }
        printf("wrote %s: %s\n", path, files[i].what);
    }
    return true;
}

static void print_next(const struct init_setup *setup, const char *folder)
{
    if (setup->production) {
        printf("\nnext:\n"
               "  fill in what is marked TO FILL IN, in haproxy.cfg, and `nodes` in sluice.yml\n"
               "  sluice validate %s/sluice.yml --spoe %s/spoe-sluice.conf\n"
               "  on each of the three machines with an agent:\n"
               "    install -D -m 0644 sluice.yml /etc/sluice/sluice.yml\n"
               "    sluice serve -c /etc/sluice/sluice.yml\n"
               "  on the one with HAProxy:\n"
               "    install -m 0644 haproxy.cfg spoe-sluice.conf /etc/haproxy/\n"
               "    haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy\n",
               folder, folder);
        return;
    }
    printf("\nnext:\n"
           "  sluice serve -c %s/sluice.yml\n"
           "  haproxy -f %s/haproxy.cfg          # your application: 127.0.0.1:8080\n"
           "  curl -i http://127.0.0.1:8000/api/\n",
           folder, folder);
}

static int init(struct init_setup setup, const char *directory, bool force)
{
    char folder[PATH_MAX];
    struct init_file files[INIT_FILE_COUNT];
    if (!find_folder(directory, folder))
        return EXIT_FAILURE;
    setup.folder = folder;
    bool made = true;
    for (size_t i = 0; i < INIT_FILE_COUNT; i++) {
        files[i] = init_file_make(&setup, i);
        made = made && files[i].text;
    }
    if (!made)
        fprintf(stderr, "sluice init: out of memory\n");
    bool done =
        made && (force || nothing_is_there(folder, files)) && write_all(folder, files, force);
    for (size_t i = 0; i < INIT_FILE_COUNT; i++)
        free(files[i].text);
    if (done)
        print_next(&setup, folder);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command --------------------------------------------------------------------------- */

int command_init(int argc, char **argv)
{
    static const struct option options[] = {
        {"production", no_argument, NULL, 'p'},
        {"haproxy", required_argument, NULL, 'H'},
        {"force", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const struct spoe_version *version = spoe_version_find(NULL);
    struct init_setup setup = {.production = false};
    bool force = false;
    for (int option; (option = getopt_long(argc, argv, "pH:fh", options, NULL)) != -1;) {
        if (option == 'p') {
            setup.production = true;
        } else if (option == 'f') {
            force = true;
        } else if (option != 'H') {
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        } else if (!(version = spoe_version_find(optarg))) {
            fprintf(stderr, "sluice init: --haproxy is \"%s\", expected 2.6, 3.0 or 3.2\n", optarg);
            return EXIT_USAGE;
        }
    }
    if (argc - optind > 1) {
        fputs("sluice init: more than one argument, expected a directory\n\n", stderr);
        print_help(stderr);
        return EXIT_USAGE;
    }
    setup.before_3_1 = !version->has_spop;
    return init(setup, optind < argc ? argv[optind] : ".", force);
}
