/* What a watch takes for a change, in a real folder. */
#include <fcntl.h>

#include "agent/file.h"
#include "agent/folder.h"
#include "agent/watch.h"

static void replace_file(const char *name, const char *text)
{
    write_file("new", text);
    ck_assert_int_eq(rename("new", name), 0);
}

/* ---- reading ------------------------------------------------------------------------------- */

static struct watch watch;

static void ignore(void *context, const struct file_finding *finding)
{
    (void)context;
    (void)finding;
}

/* Whether the files are right. */
static bool read_files(void)
{
    struct file_seen seen = {.count = 0};
    struct rules_set *set = file_read_rules(
        &(struct file_reading){.path = "rules.yml", .seen = &seen, .problem = ignore});
    bool is_right = set;
    watch_read(&watch, &seen);
    rules_free(set);
    return is_right;
}

/* A change, once it has stood still for a look. */
static void expect_change(void)
{
    ck_assert(!watch_look(&watch));
    ck_assert(watch_look(&watch));
}

static void expect_none(void)
{
    for (int i = 0; i < 3; i++)
        ck_assert(!watch_look(&watch));
}

#define RULES(name) "rules: [ { name: " name ", action: deny } ]\n"

static void begin(void)
{
    watch_open(&watch);
    enter_folder();
    write_file("rules.yml", "listen: tcp://127.0.0.1:0\ninclude: [ 'd/*.yml', one ]\n"
                            "rules: [ { name: a, match: { b: { in_file: values } }, action: deny "
                            "} ]\n");
    write_file("one", RULES("one"));
    write_file("values", "x\n");
    ck_assert_int_eq(mkdir("d", 0755), 0);
    write_file("d/two.yml", RULES("two"));
    ck_assert(read_files());
    ck_assert(watch_has_news(&watch));
}

static void end(void)
{
    watch_close(&watch);
    leave_folder();
}

START_TEST(what_stays_is_no_change)
{
    begin();
    ck_assert_uint_eq(watch.seen.count, 5); /* four files and a folder */
    expect_none();
    ck_assert(read_files());
    ck_assert(!watch_has_news(&watch));
    end();
}
END_TEST

START_TEST(each_file_that_is_read_is_watched)
{
    static const char *const files[][2] = {
        {"one", RULES("uno")}, {"values", "y\n"}, {"d/two.yml", RULES("due")}};
    begin();
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        replace_file(files[i][0], files[i][1]);
        expect_change();
        ck_assert(read_files());
        ck_assert(watch_has_news(&watch));
        expect_none();
    }
    replace_file("rules.yml", "listen: tcp://127.0.0.1:0\nrules: []\n");
    expect_change();
    ck_assert(read_files());
    ck_assert(watch_has_news(&watch));
    /* What is no longer read is no longer watched. */
    write_file("one", "");
    ck_assert_int_eq(unlink("d/two.yml"), 0);
    expect_none();
    end();
}
END_TEST

START_TEST(what_comes_into_a_folder_is_a_change_and_only_what_is_read_is_news)
{
    begin();
    write_file("d/README", "");
    expect_change();
    ck_assert(read_files());
    ck_assert(!watch_has_news(&watch));
    write_file("d/three.yml", RULES("three"));
    expect_change();
    ck_assert(read_files());
    ck_assert(watch_has_news(&watch));
    ck_assert_int_eq(unlink("d/three.yml"), 0);
    expect_change();
    ck_assert(read_files());
    ck_assert(watch_has_news(&watch));
    end();
}
END_TEST

START_TEST(the_same_text_is_no_news)
{
    begin();
    replace_file("one", RULES("one"));
    expect_change();
    ck_assert(read_files());
    ck_assert(!watch_has_news(&watch));
    ck_assert_int_eq(chmod("one", 0600), 0);
    expect_change();
    ck_assert(read_files());
    ck_assert(!watch_has_news(&watch));
    end();
}
END_TEST

START_TEST(what_is_missing_or_wrong_is_watched_too)
{
    begin();
    ck_assert_int_eq(unlink("one"), 0);
    expect_change();
    ck_assert(!read_files());
    expect_none();
    write_file("one", "rules: [ {");
    expect_change();
    ck_assert(!read_files());
    ck_assert(watch_has_news(&watch));
    expect_none();
    write_file("one", RULES("one"));
    expect_change();
    ck_assert(read_files());
    ck_assert_int_eq(rename("rules.yml", "away"), 0);
    expect_change();
    ck_assert(!read_files());
    expect_none();
    ck_assert_int_eq(rename("away", "rules.yml"), 0);
    expect_change();
    ck_assert(read_files());
    end();
}
END_TEST

START_TEST(what_goes_on_changing_is_read_in_the_end)
{
    begin();
    for (unsigned i = 0; i < WATCH_PATIENCE; i++) {
        replace_file("values", "x\n"); /* another file each time */
        ck_assert(!watch_look(&watch));
        /* Not the same inode again. */
        ck_assert_int_eq(link("values", i % 2 ? "keep1" : "keep0"), 0);
        ck_assert(i == 0 || unlink(i % 2 ? "keep0" : "keep1") == 0);
    }
    replace_file("values", "x\n");
    ck_assert(watch_look(&watch));
    end();
}
END_TEST

/* As the kubelet writes a ConfigMap: a folder for each version, and a link that is replaced. */
START_TEST(a_config_map_that_is_swapped_is_one_change)
{
    begin();
    ck_assert_int_eq(mkdir("..1", 0755), 0);
    ck_assert_int_eq(mkdir("..2", 0755), 0);
    write_file("..1/rules.yml", "listen: tcp://127.0.0.1:0\ninclude: ..data/one\nrules: []\n");
    write_file("..1/one", RULES("one"));
    write_file("..2/rules.yml", "listen: tcp://127.0.0.1:0\ninclude: ..data/one\nrules: []\n");
    write_file("..2/one", RULES("two"));
    ck_assert_int_eq(symlink("..1", "..data"), 0);
    ck_assert_int_eq(unlink("rules.yml"), 0);
    ck_assert_int_eq(symlink("..data/rules.yml", "rules.yml"), 0);
    ck_assert(read_files());
    expect_none();
    ck_assert_int_eq(symlink("..2", "..data_tmp"), 0);
    ck_assert_int_eq(rename("..data_tmp", "..data"), 0);
    expect_change();
    ck_assert(read_files());
    ck_assert(watch_has_news(&watch));
    ck_assert_int_eq(system("rm -r ..1"), 0); // NOLINT(cert-env33-c): a path of our own
    expect_none();
    end();
}
END_TEST

static void set_written_at(const char *name, time_t seconds)
{
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, name, times, 0), 0);
}

START_TEST(the_newest_is_of_all_files_that_are_read)
{
    static const char *const files[] = {"rules.yml", "one", "d/two.yml", "values"};
    int64_t newest;
    begin();
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        set_written_at(files[i], 1000);
    set_written_at("d", 9000); /* a folder */
    write_file("d/README", "");
    ck_assert(watch_newest(&watch, &newest));
    ck_assert_int_eq(newest, 1000);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        set_written_at(files[i], 2000 + (time_t)i);
        ck_assert(watch_newest(&watch, &newest));
        ck_assert_int_eq(newest, 2000 + (int64_t)i);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        ck_assert(watch_newest(&watch, &newest));
        ck_assert_int_eq(unlink(files[i]), 0);
    }
    ck_assert(!watch_newest(&watch, &newest));
    end();
}
END_TEST

UNIT_MAIN("watch", the_newest_is_of_all_files_that_are_read, what_stays_is_no_change,
          each_file_that_is_read_is_watched,
          what_comes_into_a_folder_is_a_change_and_only_what_is_read_is_news,
          the_same_text_is_no_news, what_is_missing_or_wrong_is_watched_too,
          what_goes_on_changing_is_read_in_the_end, a_config_map_that_is_swapped_is_one_change)
