/* A real folder for a test of files. */
#pragma once

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main.h"

/* A folder of this test's alone, in which it is from now on. */
static inline void enter_folder(void)
{
    char path[] = "/tmp/sluice-unit-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(path));
    ck_assert_int_eq(chdir(path), 0);
}

/* And what is in it. */
static inline void leave_folder(void)
{
    char path[64];
    char command[128];
    ck_assert_ptr_nonnull(getcwd(path, sizeof(path)));
    ck_assert_int_eq(strncmp(path, "/tmp/sluice-unit-", 17), 0);
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof(command), "rm -r %s", path);
    ck_assert_int_eq(system(command), 0); // NOLINT(cert-env33-c): a path of our own
}

static inline void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}
