/* Rule files and what they read, in a real folder. */
#include <fcntl.h>

#include "agent/file.h"
#include "agent/folder.h"
#include "main.h"
#include "nth_allocation.h"

/* Problems, as lines. */
struct told {
    char lines[4096];
    size_t count;
};

static void tell(void *context, const struct file_finding *finding)
{
    struct told *told = context;
    size_t size = strlen(told->lines);
    snprintf(told->lines + size, sizeof(told->lines) - size, "%s\n", finding->text);
    told->count++;
}

/* ---- loading ------------------------------------------------------------------------------- */

static void write_rules(void)
{
    write_file("rules.yml", "listen: tcp://127.0.0.1:${SLUICE_TEST_PORT:-0}\n"
                            "include: [ 'd/*.yml', one ]\n"
                            "rules: [ { name: own, action: allow, match: { a: own } } ]\n");
    ck_assert_int_eq(mkdir("d", 0700), 0);
    write_file("d/b.yml", "rules: [ { name: b, action: allow, match: { a: { in_file: v } } } ]\n");
    write_file("d/a.yml", "rules: [ { name: a, key: a, limits: { limit: 1, window: 1s } } ]\n");
    write_file("d/.hidden.yml", "no rules\n");
    write_file("d/v", "x\ny\n");
    write_file("one", "rules: [ { name: one, action: deny, match: { b: { regex: 'x$' } } } ]\n");
}

static void check_rules(const struct rules_set *set)
{
    static const char *const names[] = {"own", "a", "b", "one"};
    ck_assert_uint_eq(set->rule_count, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert(slice_equal(set->rules[i].name, slice_of_string(names[i])));
}

/* Whatever an allocation was for: a file that can't be loaded is refused with a word, and nothing
 * leaks. */
START_TEST(every_allocation_may_fail)
{
    size_t n = 0;
    struct rules_set *set = NULL;
    enter_folder();
    write_rules();
    for (;; n++) {
        struct told told = {.count = 0};
        left = n;
        has_failed = false;
        armed = true;
        set = file_load_rules("rules.yml", 1, tell, &told);
        armed = false;
        if (!has_failed)
            break;
        ck_assert_ptr_null(set);
        ck_assert_uint_ge(told.count, 1);
    }
    check_rules(set);
    rules_free(set);
    ck_assert_uint_gt(n, 20);
    leave_folder();
}
END_TEST

START_TEST(variables_are_the_environments)
{
    struct told told = {.count = 0};
    enter_folder();
    write_rules();
    ck_assert_int_eq(setenv("SLUICE_TEST_PORT", "9123", 1), 0);
    struct rules_set *set = file_load_rules("rules.yml", 1, tell, &told);
    ck_assert_int_eq(unsetenv("SLUICE_TEST_PORT"), 0);
    ck_assert_str_eq(told.lines, "");
    ck_assert_uint_eq(set->settings.listeners[0].endpoint.port, 9123);
    rules_free(set);
    leave_folder();
}
END_TEST

/* ---- folders that are listed --------------------------------------------------------------- */

/* "NAME NAME ...", or why not. */
static const char *list(const char *rule_file, const char *pattern)
{
    static char text[1024];
    struct file_texts texts = {.path = rule_file};
    struct rules_file_names names = {NULL, 0};
    const char *failure = file_texts_list(&texts, pattern, &names);
    int at = snprintf(text, sizeof(text), "%s", failure ? failure : "");
    for (size_t i = 0; i < names.count; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at, i ? " %s" : "%s", names.names[i]);
    file_texts_free(&texts);
    return text;
}

START_TEST(names_are_in_the_order_of_their_bytes)
{
    enter_folder();
    ck_assert_int_eq(mkdir("[d]", 0700), 0);
    for (const char *const *name =
             (const char *const[]){"b", "10", "9", "B", "a b", "\xc3\xa9", ".h", "_", NULL};
         *name; name++) {
        char path[64];
        snprintf(path, sizeof(path), "[d]/%s.yml", *name);
        write_file(path, "");
    }
    ck_assert_str_eq(list("[d]/rules.yml", "*.yml"),
                     "10.yml 9.yml B.yml _.yml a b.yml b.yml \xc3\xa9.yml");
    ck_assert_str_eq(list("rules.yml", "[d]/*.yml"),
                     "[d]/10.yml [d]/9.yml [d]/B.yml [d]/_.yml [d]/a b.yml [d]/b.yml "
                     "[d]/\xc3\xa9.yml");
    ck_assert_str_eq(list("-", "[d]/?.yml"), "[d]/9.yml [d]/B.yml [d]/_.yml [d]/b.yml");
    ck_assert_str_eq(list("[d]/rules.yml", ".*"), ".h.yml");
    ck_assert_str_eq(list("rules.yml", "*.yml"), "");
    ck_assert_str_eq(list("/none/rules.yml", "*"), "No such file or directory");
    ck_assert_str_eq(list("rules.yml", "[d]/9.yml/*"), "Not a directory");
    leave_folder();
}
END_TEST

START_TEST(of_too_many_names_one_too_many_is_enough)
{
    struct file_texts texts = {.path = "rules.yml"};
    struct rules_file_names names;
    enter_folder();
    for (int i = 0; i < RULES_MAX_FILES + 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%04d", i);
        write_file(name, "");
    }
    ck_assert_ptr_null(file_texts_list(&texts, "*", &names));
    ck_assert_uint_eq(names.count, RULES_MAX_FILES + 1);
    file_texts_free(&texts);
    leave_folder();
}
END_TEST

/* ---- what changes -------------------------------------------------------------------------- */

static void touch(const char *name)
{
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1, .tv_nsec = 1}};
    ck_assert_int_eq(utimensat(AT_FDCWD, name, times, 0), 0);
}

static void rewrite_rule_file(void)
{
    write_file("rules.yml", "other\n");
}

static void touch_named(void)
{
    touch("d/a.yml");
}

static void remove_named(void)
{
    ck_assert_int_eq(unlink("d/a.yml"), 0);
}

static void replace_named(void)
{
    write_file("new", "rules: []\n");
    ck_assert_int_eq(rename("new", "d/a.yml"), 0);
}

static void swap_link(void)
{
    ck_assert_int_eq(symlink("e", "new"), 0);
    ck_assert_int_eq(rename("new", "link"), 0);
}

START_TEST(what_changes_is_seen)
{
    static void (*const changes[])(void) = {
        rewrite_rule_file, touch_named, remove_named, replace_named, swap_link,
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct file_texts texts = {.path = "rules.yml"};
        struct slice text;
        enter_folder();
        write_rules();
        ck_assert_int_eq(mkdir("e", 0700), 0);
        ck_assert_int_eq(link("d/b.yml", "e/a.yml"), 0);
        ck_assert_int_eq(link("d/b.yml", "e/b.yml"), 0);
        ck_assert_int_eq(symlink("d", "link"), 0);
        ck_assert(file_texts_read(&texts));
        ck_assert_ptr_null(file_texts_read_named(&texts, "d/a.yml", &text));
        ck_assert_ptr_null(file_texts_read_named(&texts, "link/a.yml", &text));
        ck_assert(file_texts_unchanged(&texts));
        changes[i]();
        ck_assert_msg(!file_texts_unchanged(&texts), "change %zu", i);
        file_texts_free(&texts);
        leave_folder();
    }
}
END_TEST

/* What can be read only once isn't asked for again. */
START_TEST(a_pipe_is_read_once)
{
    struct file_texts texts = {.path = NULL};
    char path[32];
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(write(fds[1], "text", 4), 4);
    close(fds[1]);
    snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
    texts.path = path;
    for (int i = 0; i < 3; i++) {
        ck_assert(file_texts_read(&texts));
        ck_assert(slice_equal(file_text_of(&texts, slice_of(NULL, 0)), SLICE("text")));
        ck_assert(file_texts_unchanged(&texts));
    }
    file_texts_free(&texts);
    close(fds[0]);
}
END_TEST

UNIT_MAIN("file", every_allocation_may_fail, variables_are_the_environments,
          names_are_in_the_order_of_their_bytes, of_too_many_names_one_too_many_is_enough,
          what_changes_is_seen, a_pipe_is_read_once)
