/* What rule files are refused for: wrong keys, limits and modes. Each row is a whole file and
 * everything that is said about it. */
#include "helper.h"

/* A rule whose key is at line 3, column 19. */
#define KEY(text)                                                                                  \
    "listen: :0\nrules:\n- { name: r, key: " text ", limits: { limit: 1, window: 1s } }\n"

static const struct wrong_file wrong_files[] = {
    {KEY("{}"), "3:19: a part of key has no key \"arg\", expected an argument, as in tenant or "
                "src/64\n"},
    {KEY("[ { arg: } ]"), "3:28: arg is empty, expected an argument, as in tenant or src/64\n"},
    {KEY("{ arg: [ a ] }"), "3:26: arg is a list, expected an argument, as in tenant or src/64\n"},
    {KEY("{ arg: a b }"), "3:26: an argument of key is \"a b\", expected a name of 1 to 64 "
                          "letters, digits, '.', '_', '-' and ':'\n"},
    {KEY("{ arg: src/24 }"), "3:26: arg is \"src/24\", expected an IPv6 prefix length from 33 to "
                             "128 behind the '/', or IPv4's and IPv6's, as in src/24/64\n"},
    {KEY("{ arg: a, lowr: true }"),
     "3:29: unknown key \"lowr\" in a part of key, expected one of arg, lower, segments, hash, "
     "default; did you mean \"lower\"?\n"},
    {KEY("{ arg: a, lower: yes, hash: 1 }"), "3:36: lower is \"yes\", expected one of false, true\n"
                                             "3:47: hash is \"1\", expected one of false, true\n"},
    {KEY("{ arg: a, lower: , segments: , hash: , default: }"),
     "3:36: lower is empty, expected true or false\n"
     "3:48: segments is empty, expected a whole number, as in 2\n"
     "3:56: hash is empty, expected true or false\n"
     "3:67: default is empty, expected a text of at most 64 bytes\n"},
    {KEY("{ arg: a, segments: 0 }"),
     "3:39: segments is \"0\", expected a whole number from 1 to 16\n"},
    {KEY("{ arg: a, segments: 17 }"),
     "3:39: segments is \"17\", expected a whole number from 1 to 16\n"},
    {KEY("{ arg: a, segments: two }"),
     "3:39: segments is \"two\", expected a whole number from 1 to 16\n"},
    {KEY("{ arg: a/64, segments: 2, lower: true }"),
     "3:42: segments of an argument with a prefix length, expected only of a text\n"
     "3:52: lower of an argument with a prefix length, expected only of a text\n"},
    {KEY("{ arg: a, default: [ none ] }"),
     "3:38: default is a list, expected a text of at most 64 bytes\n"},
    {KEY("{ arg: a, default: ~ }"), "3:38: default is null, expected a text of at most 64 bytes\n"},
    {KEY("{ arg: a, default: ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd }"),
     "3:38: default is \"ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\", "
     "expected a text of at most 64 bytes\n"},
    {KEY("[ a, { arg: a, hash: true } ]"), "3:24: argument a again in key, expected it once\n"},
    {KEY("[ { arg: a, arg: b } ]"),
     "3:31: key \"arg\" again in a part of key, expected it once (it is on line 3)\n"},
};

START_TEST(every_problem_of_wrong_limits)
{
    expect_problems(&wrong_files[_i]);
}
END_TEST

int main(void)
{
    return run_wrong_files("errors_limits", every_problem_of_wrong_limits,
                           sizeof(wrong_files) / sizeof(wrong_files[0]));
}
