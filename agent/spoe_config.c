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
        "usage: sluice spoe-config FILE [--haproxy 2.6|3.0|3.2] [--only spoe|haproxy]\n\n"
        "Prints the configuration of HAProxy that the rules of a file need ('-' is standard\n"
        "input): the file that `filter spoe` names, and behind it, as comments, the lines of\n"
        "HAProxy's own file. Its candidate's rules get what they read, too.\n\n"
        "  -H, --haproxy VERSION  2.6 (to 2.9), 3.0, or 3.2 and later (default: 3.2)\n"
        "  -o, --only PART        spoe: the SPOE file alone; haproxy: HAProxy's own lines alone,\n"
        "                         and not as comments\n"
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

static const struct spoe_version *find_version(const char *name)
{
    for (size_t i = 0; i < VERSIONS; i++)
        if (strcmp(name, versions[i].name) == 0)
            return &versions[i];
    return NULL;
}

static int print(const char *path, const struct spoe_version *version, bool spoe, bool haproxy)
{
    struct file_both rules;
    struct file_reading reading = {.path = path, .problem = file_print_problem};
    if (!file_both_load(&rules, &reading, NULL))
        return EXIT_FAILURE;
    struct spoe_model *model = spoe_model_create(rules.active, rules.candidate);
    if (!model)
        fprintf(stderr, "sluice spoe-config: out of memory\n");
    if (model && spoe)
        spoe_write_agents(model, stdout);
    if (model && spoe && haproxy)
        puts("\n");
    if (model && haproxy)
        spoe_write_proxies(model, version, spoe ? "# " : "", stdout);
    bool written = model && fflush(stdout) == 0;
    free(model);
    file_both_free(&rules);
    return written ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_spoe_config(int argc, char **argv)
{
    static const struct option options[] = {
        {"haproxy", required_argument, NULL, 'H'},
        {"only", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const struct spoe_version *version = &versions[VERSIONS - 1];
    bool spoe = true;
    bool haproxy = true;
    for (int option; (option = getopt_long(argc, argv, "H:o:h", options, NULL)) != -1;) {
        if (option == 'H') {
            version = find_version(optarg);
            if (!version)
                return usage_error("--haproxy", optarg, "2.6, 3.0 or 3.2");
        } else if (option == 'o') {
            spoe = strcmp(optarg, "spoe") == 0;
            haproxy = strcmp(optarg, "haproxy") == 0;
            if (!spoe && !haproxy)
                return usage_error("--only", optarg, "spoe or haproxy");
        } else {
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        }
    }
    if (argc - optind != 1) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    return print(argv[optind], version, spoe, haproxy);
}
