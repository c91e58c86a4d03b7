/* The main function that every Check program of tests/unit shares. A test file defines its cases,
 * then UNIT_MAIN("name", case, case, ...). */
#pragma once

#include <check.h>
#include <stdlib.h>

/* ck_assert for what is asserted a million times: that makes a system call even where it holds. */
#define UNIT_ASSERT(condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s does not hold", #condition);                                          \
    } while (0)

/* check's own macro evaluates to a pointer comparison that -Wextra is happy with only like this. */
#define UNIT_MAIN(name, ...)                                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const cases[] = {__VA_ARGS__};                                                \
        Suite *suite = suite_create(name);                                                         \
        TCase *tcase = tcase_create(name);                                                         \
        tcase_set_timeout(tcase, 120);                                                             \
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)                              \
            tcase_add_test(tcase, cases[i]);                                                       \
        suite_add_tcase(suite, tcase);                                                             \
        SRunner *runner = srunner_create(suite);                                                   \
        srunner_run_all(runner, CK_NORMAL);                                                        \
        int failed = srunner_ntests_failed(runner);                                                \
        srunner_free(runner);                                                                      \
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                               \
    }
