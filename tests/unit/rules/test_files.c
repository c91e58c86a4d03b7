#include "files.h"
#include "random.h"

/* A rule file with one condition on `a`, which begins at 3:41. */
#define A(text) "listen: :0\nrules:\n- { name: r, action: allow, match: { a: " text " } }\n"

static struct slice all_of(const char *text)
{
    return slice_of_string(text);
}

/* ---- what lines say ------------------------------------------------------------------------ */

START_TEST(values_are_one_a_line)
{
    static const char text[] = "# paths\n"
                               "/admin\n"
                               "\n"
                               "  /with blanks \t\n"
                               "/x#y\r\n"
                               "/z # why\n"
                               "\t# indented\n"
                               "5\n"
                               "true\n"
                               "192.0.2.1\n"
                               "\"quoted\"\n"
                               "null\n"
                               "/last";
    static const struct {
        const char *value;
        bool in;
    } rows[] = {
        {"/admin", true},
        {"/with blanks", true},
        {"  /with blanks \t", false},
        {"/x#y", true},
        {"/z", true},
        {"/z # why", false},
        {"# paths", false},
        {"", false},
        {"5", true},
        {"true", true},
        {"192.0.2.1", true},
        {"\"quoted\"", true},
        {"quoted", false},
        {"null", true},
        {"/last", true},
        {"/las", false},
        {"/ADMIN", false},
        {"/x#y\r", false},
    };
    struct named_file files[] = {{"values.txt", all_of(text)}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    struct rules_set *set = load_from(&folder, A("{ in_file: values.txt }"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(applies(set, "a", text_value(rows[i].value)) == rows[i].in, "%s",
                      rows[i].value);
    ck_assert(applies(set, "a", int_value(5)));
    ck_assert(!applies(set, "a", int_value(6)));
    ck_assert(applies(set, "a", bool_value(true)));
    ck_assert(applies(set, "a", mapped_value("192.0.2.1")));
    rules_free(set);
}
END_TEST

START_TEST(networks_are_one_a_line)
{
    static const char text[] = "\xef\xbb\xbf# a byte order mark is before this\n"
                               "10.0.0.0/8 # one\r\n"
                               "192.0.2.7\n"
                               "2001:db8::/32\r"
                               "::ffff:198.51.100.0/120\n"
                               "10.1.0.0/16\n";
    struct named_file files[] = {{"nets.txt", all_of(text)}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    struct rules_set *set = load_from(&folder, A("{ cidr_file: nets.txt }"));
    ck_assert(applies(set, "a", address_value("10.255.0.1")));
    ck_assert(applies(set, "a", address_value("192.0.2.7")));
    ck_assert(!applies(set, "a", address_value("192.0.2.8")));
    ck_assert(applies(set, "a", address_value("2001:db8:ffff::1")));
    ck_assert(applies(set, "a", text_value("198.51.100.9")));
    ck_assert(!applies(set, "a", text_value("198.51.101.9")));
    rules_free(set);
}
END_TEST

START_TEST(files_may_be_empty)
{
    static const char *const texts[] = {"", "# nothing\n", "\n\r\n  \n", "#"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct named_file files[] = {{"f", all_of(texts[i])}, {NULL, {NULL, 0}}};
        struct folder folder = {.files = files};
        struct rules_set *set = load_from(&folder, A("{ in_file: f }"));
        ck_assert(!applies(set, "a", text_value("")));
        ck_assert(!applies(set, "a", text_value("x")));
        rules_free(set);
        set = load_from(&folder, A("{ not: { cidr_file: f } }"));
        ck_assert(applies(set, "a", address_value("10.0.0.1")));
        rules_free(set);
    }
}
END_TEST

/* Whether it's asked for in one case, in the other or as networks, a file is read once. */
START_TEST(a_file_is_read_once)
{
    struct named_file files[] = {{"v/f", SLICE("Ab\n10.0.0.1\n")}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    struct rules_set *set =
        load_from(&folder, "listen: :0\n"
                           "rules:\n"
                           "- { name: a, action: allow, match: { a: { in_file: v/f } } }\n"
                           "- { name: b, key: [], limits: { limit: 1, window: 1s },\n"
                           "    match: { a: { in_file: v/f, ignore_case: true } } }\n"
                           "- { name: c, action: allow, match: { a: { in_file: v/f } } }\n"
                           "- { name: d, action: allow,\n"
                           "    match: { a: { not: { in_file: v/f, ignore_case: true } } } }\n");
    struct message message = message_of(set);
    struct rules_hit hits[4];
    ck_assert_uint_eq(folder.reads, 1);
    give(&message, "a", text_value("aB"));
    ck_assert_uint_eq(match(set, -1, message.values, hits), 1);
    ck_assert_uint_eq(hits[0].rule->index, 1);
    give(&message, "a", text_value("Ab"));
    ck_assert_uint_eq(match(set, -1, message.values, hits), 1);
    ck_assert_uint_eq(hits[0].rule->index, 0);
    give(&message, "a", text_value("c"));
    ck_assert_uint_eq(match(set, -1, message.values, hits), 1);
    ck_assert_uint_eq(hits[0].rule->index, 3);
    rules_free(set);
}
END_TEST

/* ---- what is refused ----------------------------------------------------------------------- */

START_TEST(what_is_wrong_is_told_with_its_file)
{
    static const struct {
        const char *text;
        const char *problems;
    } rows[] = {
        {A("{ in_file: lost }"), ":3:52: in_file of a is \"lost\": there is no such file, expected "
                                 "a file that can be read\n"},
        {A("{ in_file: [ words ] }"),
         ":3:52: in_file of a is a list, expected a file's name, as in blocked.txt\n"},
        {A("{ in_file: '' }"),
         ":3:52: in_file of a is \"\", expected a file's name, as in blocked.txt\n"},
        {A("{ in_file: }"),
         ":3:52: in_file of a is empty, expected a file's name, as in blocked.txt\n"},
        {A("{ in_file: \"words\\0\" }"),
         ":3:52: in_file of a is \"words?\", expected a file's name, as in blocked.txt\n"},
        {A("{ in_file: nets }"),
         "nets:1:1: a value is \"10.0.0.0/8\", expected an address; networks are matched by "
         "cidr_file\n"
         "nets:2:3: a value is \"10.0.0.1/32\", expected an address; networks are matched by "
         "cidr_file\n"},
        {A("{ cidr_file: words }"),
         "words:2:1: a network is \"one\", expected an address or a network, as in 192.0.2.0/24 or "
         "2001:db8::/32\n"
         "words:4:3: a network is \"two words\", expected an address or a network, as in "
         "192.0.2.0/24 or 2001:db8::/32\n"},
        {A("{ cidr_file: loose }"),
         "loose:1:1: a network is \"10.0.0.1/8\", expected no bits behind the prefix, as in "
         "10.0.0.0/8\n"
         "loose:2:1: a network is \"10.0.0.0/33\", expected a prefix length from 0 to 32 behind "
         "the '/'\n"},
        {A("{ in_file: latin }"), "latin:2:2: byte 0xe9 is not UTF-8, expected a file in UTF-8\n"},
        {A("{ in_file: nul }"), "nul:1:2: control character U+0000, expected text (in double "
                                "quotes, YAML writes it as \\u0000)\n"},
        /* Each once, however often the file is read; those of the rule file first. */
        {A("{ cidr_file: loose, in_file: latin, not: { cidr_file: loose, in_file: latin }, is: }"),
         ":3:124: is of a is empty, expected text, a number, true, false or an address\n"
         "loose:1:1: a network is \"10.0.0.1/8\", expected no bits behind the prefix, as in "
         "10.0.0.0/8\n"
         "loose:2:1: a network is \"10.0.0.0/33\", expected a prefix length from 0 to 32 behind "
         "the '/'\n"
         "latin:2:2: byte 0xe9 is not UTF-8, expected a file in UTF-8\n"},
    };
    static const struct named_file files[] = {
        {"words", {(const uint8_t *)"# words\none\n\n  two words\n", 25}},
        {"nets", {(const uint8_t *)"10.0.0.0/8\n  10.0.0.1/32\nx/y\n", 29}},
        {"loose", {(const uint8_t *)"10.0.0.1/8\n10.0.0.0/33\n", 23}},
        {"latin", {(const uint8_t *)"a\nr\xe9sum\xe9\n", 9}},
        {"nul", {(const uint8_t *)"a\0b\n", 4}},
        {NULL, {NULL, 0}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct folder folder = {.files = files};
        const char *problems = problems_from(&folder, rows[i].text);
        ck_assert_msg(strcmp(problems, rows[i].problems) == 0, "row %zu gives\n%sinstead of\n%s", i,
                      problems, rows[i].problems);
    }
}
END_TEST

START_TEST(without_an_environment_no_file_is_read)
{
    ck_assert_str_eq(problems_of(all_of(A("{ in_file: words }"))),
                     "3:52: in_file of a is \"words\": no other file can be read here, expected a "
                     "file that can be read\n");
}
END_TEST

/* ---- bounds -------------------------------------------------------------------------------- */

/* A rule file that reads so many, "f0" and on, of one text, which it reads as networks. */
static const char *reading(size_t count)
{
    static char text[128 * (RULES_MAX_FILES + 2)];
    int at = snprintf(text, sizeof(text), "listen: :0\nrules:\n");
    for (size_t i = 0; i < count; i++)
        at +=
            snprintf(text + at, sizeof(text) - (size_t)at,
                     "- { name: r%zu, action: allow, match: { a: { cidr_file: f%zu } } }\n", i, i);
    return text;
}

static struct named_file *files_of(size_t count, struct slice text)
{
    static struct named_file files[RULES_MAX_FILES + 2];
    static char names[RULES_MAX_FILES + 2][24];
    memset(files, 0, sizeof(files));
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "f%zu", i);
        files[i] = (struct named_file){names[i], text};
    }
    return files;
}

START_TEST(so_many_files_and_one_more)
{
    struct folder folder = {.files = files_of(RULES_MAX_FILES + 1, SLICE("10.0.0.0/8\n"))};
    rules_free(load_from(&folder, reading(RULES_MAX_FILES)));
    ck_assert_uint_eq(folder.reads, RULES_MAX_FILES);
    ck_assert_str_eq(problems_from(&folder, reading(RULES_MAX_FILES + 1)),
                     ":1003:58: one file too many, expected at most 1000\n");
}
END_TEST

START_TEST(files_have_so_many_bytes_and_not_one_more)
{
    uint8_t *text = malloc(RULES_FILE_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '#', RULES_FILE_MAX + 1);
    struct folder folder = {.files = files_of(5, slice_of(text, RULES_FILE_MAX))};
    rules_free(load_from(&folder, reading(RULES_FILES_MAX / RULES_FILE_MAX)));
    ck_assert_str_eq(problems_from(&folder, reading(RULES_FILES_MAX / RULES_FILE_MAX + 1)),
                     ":7:55: cidr_file of a is \"f4\", with which all files are larger than they "
                     "may be, expected at most 64 MiB of them\n");
    folder.files = files_of(1, slice_of(text, RULES_FILE_MAX + 1));
    ck_assert_str_eq(problems_from(&folder, reading(1)),
                     ":3:55: cidr_file of a is \"f0\", which is too large, expected at most "
                     "16777216 bytes\n");
    free(text);
}
END_TEST

START_TEST(names_are_so_long_and_not_longer)
{
    static char name[RULES_PATH_MAX + 2];
    static char text[RULES_PATH_MAX + 200];
    struct named_file files[] = {{name, SLICE("x\n")}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    memset(name, 'n', RULES_PATH_MAX);
    snprintf(text, sizeof(text), A("{ in_file: %s }"), name);
    rules_free(load_from(&folder, text));
    memset(name, 'n', RULES_PATH_MAX + 1);
    snprintf(text, sizeof(text), A("{ in_file: %s }"), name);
    ck_assert_str_eq(problems_from(&folder, text), ":3:52: in_file of a has too many bytes, "
                                                   "expected at most 1023 with its folder's\n");
}
END_TEST

START_TEST(files_have_so_many_values_and_one_more)
{
    size_t size = (size_t)3 * (RULES_VALUES_MAX + 1);
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < size; i++)
        text[i] = i % 3 ? '\n' : 'x'; /* an empty line is no value */
    struct named_file files[] = {{"f", slice_of(text, size - 3)}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    rules_free(load_from(&folder, A("{ in_file: f }")));
    files[0].text.size = size;
    ck_assert_str_eq(problems_from(&folder, A("{ in_file: f }")),
                     "f:2000001:1: one value too many, expected at most 1000000 in a file\n");
    free(text);
}
END_TEST

/* ---- large files --------------------------------------------------------------------------- */

#define NETWORKS 100000

/* So many networks of 16 addresses, every other one of a run, in no order. */
START_TEST(a_hundred_thousand_networks)
{
    static char text[NETWORKS * 20];
    static uint32_t order[NETWORKS];
    struct random random = random_open("a hundred thousand networks");
    size_t size = 0;
    for (uint32_t i = 0; i < NETWORKS; i++)
        order[i] = i;
    for (uint32_t i = NETWORKS; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(&random, i);
        uint32_t kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
    for (size_t i = 0; i < NETWORKS; i++) {
        uint32_t first = UINT32_C(0x0a000000) + order[i] * 32;
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%u.%u.%u.%u/28\n", first >> 24,
                                 first >> 16 & 255, first >> 8 & 255, first & 255);
    }
    struct named_file files[] = {{"nets.txt", slice_of(text, size)}, {NULL, {NULL, 0}}};
    struct folder folder = {.files = files};
    struct rules_set *set = load_from(&folder, A("{ cidr_file: nets.txt }"));
    struct rules_matcher *matcher = rules_matcher_create(set);
    ck_assert_ptr_nonnull(matcher);
    for (uint32_t i = 0; i < NETWORKS * 32; i += 5) {
        struct rules_hit hit;
        struct value value = {.type = VALUE_IPV4,
                              .address = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        UNIT_ASSERT((rules_match(matcher, -1, &value, &hit) == 1) == (i % 32 < 16));
    }
    rules_matcher_free(matcher);
    rules_free(set);
}
END_TEST

UNIT_MAIN("files", values_are_one_a_line, networks_are_one_a_line, files_may_be_empty,
          a_file_is_read_once, what_is_wrong_is_told_with_its_file,
          without_an_environment_no_file_is_read, so_many_files_and_one_more,
          files_have_so_many_bytes_and_not_one_more, names_are_so_long_and_not_longer,
          files_have_so_many_values_and_one_more, a_hundred_thousand_networks)
