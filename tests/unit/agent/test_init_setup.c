#include "agent/init_setup.h"
#include "main.h"

#include <stdlib.h>

/* The files of haproxy/ change; what is replaced in them must still be there. */
START_TEST(all_that_is_replaced_is_there)
{
    for (int which = 0; which < 4; which++) {
        struct init_setup setup = {
            .production = which & 1, .before_3_1 = which & 2, .folder = "/srv/here"};
        for (size_t i = 0; i < INIT_FILE_COUNT; i++) {
            struct init_file file = init_file_make(&setup, i);
            ck_assert_ptr_nonnull(file.text);
            ck_assert_msg(!file.missing, "%s has no \"%s\"", file.name, file.missing);
            ck_assert_uint_eq(file.size, strlen(file.text));
            free(file.text);
        }
    }
}
END_TEST

START_TEST(a_development_set_up_is_all_in_its_folder)
{
    struct init_setup setup = {.folder = "/srv/here"};
    for (size_t i = 0; i < INIT_FILE_COUNT; i++) {
        struct init_file file = init_file_make(&setup, i);
        ck_assert_ptr_nonnull(file.text);
        ck_assert_msg(!strstr(file.text, "/etc/"), "%s", file.text);
        ck_assert_msg(!strstr(file.text, "/run/sluice/spop.sock\"") &&
                          !strstr(file.text, "unix@/run/sluice"),
                      "%s", file.text);
        ck_assert_ptr_null(strchr(file.text, '\x01'));
        free(file.text);
    }
}
END_TEST

START_TEST(a_folder_fits_as_long_as_a_socket_in_it_does)
{
    char path[ENDPOINT_PATH_MAX + 1] = "/";
    const char *expected;
    const size_t longest = ENDPOINT_PATH_MAX - strlen("/spop.sock");
    memset(path + 1, 'a', longest - 1);
    ck_assert(init_folder_fits(path, &expected));
    path[longest] = 'a';
    ck_assert(!init_folder_fits(path, &expected));
    ck_assert_ptr_nonnull(strstr(expected, "shorter"));
    ck_assert(init_folder_fits("/srv/a-b_c.d+e@f/0", &expected));
    for (const char *c = " \"'\\$#:;,{}[]()*&!|<>~`?%^=\t\n\x7f\xc3"; *c; c++) {
        char with[] = "/a b";
        with[2] = *c;
        ck_assert_msg(!init_folder_fits(with, &expected), "%s", with);
    }
}
END_TEST

UNIT_MAIN("init_setup", all_that_is_replaced_is_there, a_development_set_up_is_all_in_its_folder,
          a_folder_fits_as_long_as_a_socket_in_it_does)
