#include "agent/quote.h"
#include "main.h"

#include <stdio.h>
#include <stdlib.h>

static const char *quote(const char *line, size_t number, size_t column)
{
    static char out[QUOTE_MAX + 1];
    struct writer w = writer_open(out, QUOTE_MAX);
    quote_write(slice_of_string(line), number, column, &w);
    ck_assert(!w.error);
    *w.position = 0;
    return out;
}

static void expect_line(const char *text, size_t number, const char *expected)
{
    static struct quote_place place;
    struct slice line = quote_line(slice_of_string(text), number);
    ck_assert(slice_equal(line, slice_of_string(expected)));
    ck_assert_ptr_nonnull(line.data);
    line = quote_line_from(&place, slice_of_string(text), number);
    ck_assert(slice_equal(line, slice_of_string(expected)));
    ck_assert_ptr_nonnull(line.data);
}

START_TEST(lines_are_found_whatever_ends_them)
{
    static const char text[] = "one\ntwo\r\nthree\rfour\n\nsix";
    expect_line(text, 1, "one");
    expect_line(text, 2, "two");
    expect_line(text, 3, "three");
    expect_line(text, 4, "four");
    expect_line(text, 5, "");
    expect_line(text, 6, "six");
    expect_line(text, 6, "six");
    expect_line(text, 2, "two");
    expect_line(text, 5, "");
    ck_assert_ptr_null(quote_line(slice_of_string(text), 7).data);
    ck_assert_ptr_null(quote_line(slice_of_string(text), 0).data);
    expect_line("one\n", 2, "");
    ck_assert_ptr_null(quote_line(slice_of_string("one\n"), 3).data);
    expect_line("\xef\xbb\xbfone", 1, "one");
    ck_assert_ptr_null(quote_line(slice_of(NULL, 0), 1).data);
}
END_TEST

START_TEST(the_mark_stands_under_the_character)
{
    ck_assert_str_eq(quote("limt: 5", 9, 1), "  9 | limt: 5\n    | ^\n");
    ck_assert_str_eq(quote("a: limt", 120, 4), "  120 | a: limt\n      |    ^\n");
    /* Behind the last character, and further behind it than any. */
    ck_assert_str_eq(quote("a:", 1, 3), "  1 | a:\n    |   ^\n");
    ck_assert_str_eq(quote("a:", 1, 99), "  1 | a:\n    |   ^\n");
}
END_TEST

START_TEST(tabs_and_wide_characters_take_their_columns)
{
    ck_assert_str_eq(quote("a\tb", 1, 3), "  1 | a       b\n    |         ^\n");
    ck_assert_str_eq(quote("\xc3\xbc\xc3\xbc:x", 1, 4), "  1 | \xc3\xbc\xc3\xbc:x\n    |    ^\n");
    /* Two Chinese characters of two columns each; then a letter with a combining accent. */
    ck_assert_str_eq(quote("\xe4\xb8\xad\xe6\x96\x87x", 1, 3),
                     "  1 | \xe4\xb8\xad\xe6\x96\x87x\n    |     ^\n");
    ck_assert_str_eq(quote("e\xcc\x81x", 1, 3), "  1 | e\xcc\x81x\n    |  ^\n");
}
END_TEST

START_TEST(what_moves_the_cursor_is_not_written)
{
    ck_assert_str_eq(quote("a\x1b[2Jb", 1, 6), "  1 | a\xef\xbf\xbd[2Jb\n    |      ^\n");
    ck_assert_str_eq(quote("\xff\xc2\x9bx", 1, 3), "  1 | \xef\xbf\xbd\xef\xbf\xbdx\n    |   ^\n");
    /* U+202E, which would turn the rest of the line around. */
    static const char turned[] = {(char)0xe2, (char)0x80, (char)0xae, 'x', 0};
    ck_assert_str_eq(quote(turned, 1, 2), "  1 | \xef\xbf\xbdx\n    |  ^\n");
}
END_TEST

START_TEST(a_long_line_is_cut_around_the_mark)
{
    enum {
        LENGTH = 100000
    };
    char *line = malloc(LENGTH + 1);
    ck_assert_ptr_nonnull(line);
    memset(line, 'a', LENGTH);
    line[LENGTH] = 0;
    line[5000] = 'X';
    const char *said = quote(line, 7, 5001);
    const char *shown = strchr(said, '|') + 2;
    const char *mark = strchr(strchr(said, '\n'), '|') + 2;
    ck_assert_int_eq(strncmp(shown, "...", 3), 0);
    ck_assert_ptr_nonnull(strstr(shown, "...\n"));
    ck_assert_uint_eq(strcspn(mark, "^"), strcspn(shown, "X"));
    ck_assert_uint_eq(strcspn(shown, "\n"), 3 + QUOTE_WIDTH + 3);
    /* At its ends too. */
    said = quote(line, 7, 1);
    ck_assert_int_eq(strncmp(said, "  7 | aaa", 9), 0);
    said = quote(line, 7, LENGTH);
    ck_assert_ptr_null(strstr(strchr(said, '|') + 5, "...\n"));
    free(line);
}
END_TEST

/* The character so many times. */
static char *repeat(const char *character, size_t count)
{
    size_t size = strlen(character);
    char *line = malloc(size * count + 1);
    ck_assert_ptr_nonnull(line);
    for (size_t i = 0; i < size * count; i++)
        line[i] = character[i % size];
    line[size * count] = 0;
    return line;
}

START_TEST(any_number_of_marks_without_a_width_fits)
{
    char *bare = repeat("\xcc\x81", 20000);
    quote(bare, 4000000000, 20000);
    free(bare);
    /* What takes most bytes a column. */
    char *large = repeat("\xf0\x90\x8d\x88", 300);
    quote(large, 4000000000, 150);
    free(large);
}
END_TEST

UNIT_MAIN("quote", lines_are_found_whatever_ends_them, the_mark_stands_under_the_character,
          tabs_and_wide_characters_take_their_columns, what_moves_the_cursor_is_not_written,
          a_long_line_is_cut_around_the_mark, any_number_of_marks_without_a_width_fits)
