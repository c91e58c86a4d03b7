/* What a test's log lines were: what is written to stderr between capture and release. */
#pragma once

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int saved;
static int file;

static inline void capture(void)
{
    char path[] = "/tmp/sluice-test.XXXXXX";
    saved = dup(STDERR_FILENO);
    file = mkstemp(path);
    ck_assert(saved >= 0 && file >= 0);
    unlink(path);
    dup2(file, STDERR_FILENO);
}

/* Empties the file, too. */
static inline const char *captured(void)
{
    static char text[1 << 20];
    ssize_t size = pread(file, text, sizeof(text) - 1, 0);
    ck_assert_int_ge(size, 0);
    text[size] = 0;
    ck_assert_int_eq(ftruncate(file, 0), 0);
    lseek(file, 0, SEEK_SET);
    return text;
}

static inline void release(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(file);
}

static inline size_t lines_of(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}
