#include "agent/spoe_config.h"

#include <getopt.h>
#include <stdlib.h>

#include "agent/command.h"
#include "agent/file_both.h"

static const struct spoe_version versions[] = {
    {"2.6", false, false},
    {"3.0", false, false},
    {"3.2", true, true},
};

#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

static void print_help(FILE *stream)
{
    fputs(
        "usage: sluice spoe-config FILE [--haproxy 2.6|3.0|3.2] [--only spoe|haproxy]\n"
        "                               [--remember-refusals]\n\n"
        "Prints the configuration of HAProxy that the rules of a file need ('-' is standard\n"
        "input): the file that `filter spoe` names, and behind it, as comments, the lines of\n"
        "HAProxy's own file. Its candidate's rules get what they read, too.\n\n"
        "  -H, --haproxy VERSION  2.6 (to 2.9), 3.0, or 3.2 and later (default: 3.2)\n"
        "  -o, --only PART        spoe: the SPOE file alone; haproxy: HAProxy's own lines alone,\n"
        "                         and not as comments\n"
        "  -r, --remember-refusals\n"
        "                         HAProxy refuses by itself whom the agent has refused, until\n"
        "                         the answer's retry_at: by rules that count an address alone\n"
        "  -h, --help             this text\n\n"
        "Where HAProxy finds an argument is known of the usual ones: src, src_port, dst,\n"
        "dst_port, frontend, method, path, query, url, host, user_agent, referer, origin,\n"
        "content_type, content_length, api_key, bearer, user, real_ip, forwarded_for, status,\n"
        "request_id, ssl, ssl_sni, ssl_version, ssl_cipher, ssl_alpn, ja3, client_cert,\n"
        "client_cert_dn, client_cert_cn, client_cert_sha1, country ..., and of header_NAME,\n"
        "cookie_NAME, param_NAME, jwt_CLAIM and response_header_NAME. For another there is a\n"
        "variable, and a line marked TO FILL IN that sets it; until then it isn't sent.\n\n"
        "exit status: 0, 1 when the rule file can't be used, 2 for a wrong command line\n",
        stream);
}

static int usage_error(const char *option, const char *got, const char *expected)
{
    fprintf(stderr, "sluice spoe-config: %s is \"%s\", expected %s\n", option, got, expected);
    return EXIT_USAGE;
}

const struct spoe_version *spoe_version_find(const char *name)
{
    if (!name)
        return &versions[VERSIONS - 1];
    for (size_t i = 0; i < VERSIONS; i++)
        if (strcmp(name, versions[i].name) == 0)
            return &versions[i];
    return NULL;
}

struct wanted {
    const struct spoe_version *version;
    bool spoe;
    bool haproxy;
    bool remember;
};

/* Whether refusals are remembered where they are to be; else why not is told. */
static bool remember(struct spoe_model *model, const char *path)
{
    const char *lacking = spoe_remember(model);
    if (lacking)
        fprintf(stderr, "%s: answer lacks %s, expected it with --remember-refusals\n",
                file_shown_name(path), lacking);
    return !lacking;
}

static int print(const char *path, const struct wanted *wanted)
{
    struct file_both rules;
    struct file_reading reading = {.path = path, .problem = file_print_problem};
    if (!file_both_load(&rules, &reading, NULL))
        return EXIT_FAILURE;
    struct spoe_model *model = spoe_model_create(rules.active, rules.candidate);
    if (!model)
        fprintf(stderr, "sluice spoe-config: out of memory\n");
    bool ready = model && (!wanted->remember || remember(model, path));
    if (ready && wanted->spoe)
        spoe_write_agents(model, stdout);
    if (ready && wanted->spoe && wanted->haproxy)
        puts("\n");
    if (ready && wanted->haproxy)
        spoe_write_proxies(model, wanted->version, wanted->spoe ? "# " : "", stdout);
    free(model);
    file_both_free(&rules);
    return ready ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_spoe_config(int argc, char **argv)
{
    static const struct option options[] = {
        {"haproxy", required_argument, NULL, 'H'},
        {"only", required_argument, NULL, 'o'},
        {"remember-refusals", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct wanted wanted = {spoe_version_find(NULL), true, true, false};
    for (int option; (option = getopt_long(argc, argv, "H:o:rh", options, NULL)) != -1;) {
        if (option == 'H') {
            wanted.version = spoe_version_find(optarg);
            if (!wanted.version)
                return usage_error("--haproxy", optarg, "2.6, 3.0 or 3.2");
        } else if (option == 'o') {
            wanted.spoe = strcmp(optarg, "spoe") == 0;
            wanted.haproxy = strcmp(optarg, "haproxy") == 0;
            if (!wanted.spoe && !wanted.haproxy)
                return usage_error("--only", optarg, "spoe or haproxy");
        } else if (option == 'r') {
            wanted.remember = true;
        } else {
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        }
    }
    if (argc - optind != 1) {
        fputs("sluice spoe-config: expected one rule file\n\n", stderr);
        print_help(stderr);
        return EXIT_USAGE;
    }
    return print(argv[optind], &wanted);
}
