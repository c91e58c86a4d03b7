/* Pictures of every size fit, and both tables have their share. */
#include "agent/top/screen.h"

#include <math.h>

#include "main.h"

static struct top_view view;

static void fill(size_t rules, size_t keys)
{
    view = (struct top_view){.rule_count = rules, .key_count = keys, .tells_keys = true};
    for (size_t i = 0; i < rules; i++)
        snprintf(view.rules[i].name, sizeof(view.rules[i].name), "rule-%zu-of-a-long-name", i);
    for (size_t i = 0; i < keys; i++) {
        snprintf(view.keys[i].key, sizeof(view.keys[i].key), "2001:db8:0:%zu::/64", i);
        snprintf(view.keys[i].rule, sizeof(view.keys[i].rule), "rule-%zu-of-a-long-name", i);
    }
}

struct picture {
    size_t rows;
    size_t columns; /* of the longest row */
    size_t rules;   /* that are in it */
    size_t keys;
};

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        count++;
    return count;
}

static struct picture draw(unsigned columns, unsigned rows)
{
    struct top_screen screen = {.columns = columns, .rows = rows};
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    top_screen_write(&view, &screen, stream);
    fclose(stream);
    struct picture picture = {
        .rows = 1, .rules = occurrences(text, "\nrule-"), .keys = occurrences(text, "\n2001:")};
    size_t column = 0;
    for (const char *at = text; *at; at++) {
        if (*at == '\033') { /* up to its letter */
            at += strcspn(at, "HJKm");
        } else if (*at == '\n') {
            picture.rows++;
            column = 0;
        } else if (*at != '\r' && ++column > picture.columns) {
            picture.columns = column;
        }
    }
    free(text);
    return picture;
}

START_TEST(every_size_fits)
{
    fill(40, 40);
    for (unsigned rows = 1; rows < 100; rows++)
        for (unsigned columns = 1; columns < 160; columns += 7) {
            struct picture picture = draw(columns, rows);
            UNIT_ASSERT(picture.rows <= rows && picture.columns <= columns);
        }
}
END_TEST

START_TEST(tables_share_the_rows)
{
    fill(40, 40);
    struct picture picture = draw(80, 29); /* 21 for both */
    ck_assert_uint_eq(picture.rows, 29);
    ck_assert_uint_eq(picture.rules, 11);
    ck_assert_uint_eq(picture.keys, 10);
    fill(3, 40);
    picture = draw(80, 29);
    ck_assert_uint_eq(picture.rules, 3);
    ck_assert_uint_eq(picture.keys, 18);
    fill(40, 3);
    picture = draw(80, 29);
    ck_assert_uint_eq(picture.rules, 18);
    ck_assert_uint_eq(picture.keys, 3);
    fill(2, 2);
    picture = draw(80, 29);
    ck_assert_uint_eq(picture.rules, 2);
    ck_assert_uint_eq(picture.keys, 2);
    ck_assert_uint_eq(picture.rows, 12);
}
END_TEST

START_TEST(plain_text_is_whole)
{
    fill(TOP_RULES_MAX, TOP_KEYS_MAX);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    top_screen_write(&view, &(struct top_screen){.rows = 0}, stream);
    fclose(stream);
    ck_assert_ptr_null(strchr(text, '\033'));
    ck_assert_ptr_null(strchr(text, '\r'));
    ck_assert_uint_eq(occurrences(text, "\nrule-"), TOP_RULES_MAX);
    ck_assert_uint_eq(occurrences(text, "\n2001:"), TOP_KEYS_MAX);
    free(text);
}
END_TEST

START_TEST(numbers_are_short)
{
    static const struct {
        double rate;
        const char *text;
    } cases[] = {{0, "0.0"},  {999.94, "999.9"},     {1000, "1000"},
                 {NAN, "- "}, {123456789, "123.5M"}, {0.04, "0.0"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fill(1, 0);
        view.rules[0].decisions = cases[i].rate;
        char *text = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&text, &size);
        top_screen_write(&view, &(struct top_screen){.rows = 0}, stream);
        fclose(stream);
        ck_assert_msg(strstr(strstr(text, "\nrule-"), cases[i].text) != NULL, "%s", text);
        free(text);
    }
}
END_TEST

UNIT_MAIN("top_screen", every_size_fits, tables_share_the_rows, plain_text_is_whole,
          numbers_are_short)
