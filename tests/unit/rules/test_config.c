#include <dirent.h>

#include "helper.h"

static char text[1 << 20];

static void read_config(const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", CONFIG_FOLDER, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    ck_assert_uint_lt(size, sizeof(text) - 1);
    ck_assert_int_eq(ferror(file), 0);
    text[size] = 0;
    ck_assert_int_eq(fclose(file), 0);
}

/* Rule files are told by their key: config/ holds files for other programs as well. */
static bool is_rule_file(void)
{
    return strncmp(text, "rules:", 6) == 0 || strstr(text, "\nrules:");
}

START_TEST(every_rule_file_of_config_loads)
{
    DIR *folder = opendir(CONFIG_FOLDER);
    ck_assert_ptr_nonnull(folder);
    size_t files = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        const char *ending = strrchr(entry->d_name, '.');
        if (!ending || strcmp(ending, ".yml") != 0)
            continue;
        read_config(entry->d_name);
        if (!is_rule_file())
            continue;
        printf("%s\n", entry->d_name);
        rules_free(load(text));
        files++;
    }
    closedir(folder);
    ck_assert_uint_ge(files, 1);
}
END_TEST

/* The names of the rules that apply, as the comments of the example say. */
static void expect_rules(const struct message *message, const char *name, const char *expected)
{
    struct rules_hit hits[16];
    char names[256];
    struct writer w = writer_open(names, sizeof(names) - 1);
    ck_assert_uint_le(message->set->rule_count, 16);
    size_t count = match(message->set, rules_message(message->set, slice_of_string(name)),
                         message->values, hits);
    for (size_t i = 0; i < count; i++) {
        if (hits[i].kind == RULES_HIT_NO_KEY)
            continue;
        writer_bytes(&w, writer_size(&w) ? SLICE(" ") : SLICE(""));
        writer_bytes(&w, hits[i].rule->name);
    }
    names[writer_size(&w)] = 0;
    ck_assert_str_eq(names, expected);
}

START_TEST(the_example_does_what_it_says)
{
    read_config("example.yml");
    struct rules_set *set = load(text);
    struct message message = message_of(set);
    give(&message, "src", address_value("203.0.113.9"));
    give(&message, "method", text_value("GET"));
    give(&message, "path", text_value("/"));
    expect_rules(&message, "sluice-request", "client site");
    give(&message, "path", text_value("/health"));
    expect_rules(&message, "sluice-request", "probes");
    give(&message, "path", text_value("/.git/config"));
    expect_rules(&message, "sluice-request", "blocked");
    give(&message, "path", text_value("/search"));
    give(&message, "query", text_value("q=x"));
    expect_rules(&message, "sluice-request", "expensive client site");
    give(&message, "path", text_value("/export"));
    give(&message, "content_length", int_value(1000001));
    expect_rules(&message, "sluice-request", "exports client site");
    give(&message, "path", text_value("/api/auth/token"));
    expect_rules(&message, "sluice-request", "tenant client site");
    give(&message, "method", text_value("POST"));
    give(&message, "api_key", text_value("k"));
    expect_rules(&message, "sluice-request", "login api-key tenant writes client site");
    give(&message, "path", text_value("/login"));
    give(&message, "user", text_value("anna"));
    expect_rules(&message, "sluice-request", "login failed-login client site");
    give(&message, "status", int_value(200));
    expect_rules(&message, "sluice-response", "");
    give(&message, "status", int_value(403));
    expect_rules(&message, "sluice-response", "failed-login");
    give(&message, "src", address_value("10.1.2.3"));
    expect_rules(&message, "sluice-request", "internal");

    message = message_of(set);
    give(&message, "src", address_value("2001:db8::1"));
    give(&message, "dst_port", int_value(5432));
    expect_rules(&message, "sluice-connection", "connections");
    give(&message, "dst_port", int_value(443));
    expect_rules(&message, "sluice-connection", "");
    rules_free(set);
}
END_TEST

UNIT_MAIN("config", every_rule_file_of_config_loads, the_example_does_what_it_says)
