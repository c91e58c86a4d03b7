#include "agent/init_setup.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/init_files.h"

/* What is put in place of what; FOLDER in it is the set-up's folder. */
struct edit {
    const char *from;
    const char *to;
    bool maybe; /* only one of HAProxy's two files has it */
};

#define FOLDER      "\x01"
#define SOCKET_NAME "spop.sock"

/* ---- development: everything in one folder, for one user ----------------------------------- */

static const struct edit development_rules[] = {
    {"# The rules that go with haproxy.cfg and spoe-sluice.conf: /etc/sluice/sluice.yml.\n",
     "# Rules to begin with. docs/rules.md of sluice says all that they can be.\n", false},
    {"/etc/sluice/", FOLDER "/", false},
    {"unix:///run/sluice/" SOCKET_NAME, "unix://" FOLDER "/" SOCKET_NAME, false},
    {"\nrules:\n",
     "\n"
     "# Counters are this agent's own, and gone when it ends. Several agents share theirs through\n"
     "# Redis: see `sluice init --production`.\n"
     "store: { mode: memory }\n"
     "\n"
     "rules:\n",
     false},
    {NULL, NULL, false},
};

static const struct edit development_haproxy[] = {
    {"# For 3.1 and later take haproxy.cfg: it",
     "# For 3.1 and later: sluice init --haproxy 3.2. It", true},
    {"# For 2.6 to 3.0 take haproxy-2.6.cfg: it", "# For 2.6 to 3.0: sluice init --haproxy 2.6. It",
     true},
    {"/etc/haproxy/", FOLDER "/", false},
    {"/etc/sluice/", FOLDER "/", false},
    {"    log /dev/log local0\n", "    log stdout format raw local0\n", false},
    {"    user haproxy\n    group haproxy\n", "    #   user haproxy\n    #   group haproxy\n",
     false},
    {"    bind :80\n", "    bind 127.0.0.1:8000\n", false},
    {"    server api1 127.0.0.1:8080\n",
     "    # Your application.\n    server api1 127.0.0.1:8080\n", false},
    {"unix@/run/sluice/" SOCKET_NAME, "unix@" FOLDER "/" SOCKET_NAME, false},
    {NULL, NULL, false},
};

/* ---- production: a machine with HAProxy, three with agents, a Redis Cluster ---------------- */

static const struct edit production_rules[] = {
    {"# The rules that go with haproxy.cfg and spoe-sluice.conf: /etc/sluice/sluice.yml.\n",
     "# /etc/sluice/sluice.yml, the same on each of the three agents.\n", false},
    {"  - tcp://127.0.0.1:9000\n",
     "  # SPOP knows no passwords: let nobody but the load balancers reach this port.\n"
     "  - tcp://:9000\n",
     false},
    {"\nrules:\n",
     "\n"
     "# Counters are shared: whichever agent is asked, the limits are the same. Any of the nodes "
     "are\n"
     "# enough, the others are found; REDIS_CLUSTER_NODES in the environment overrides them.\n"
     "store:\n"
     "  mode: cluster\n"
     "  nodes: [ \"redis-1:6379\", \"redis-2:6379\", \"redis-3:6379\" ]\n"
     "  deadline: 10ms                    # no decision waits longer for Redis\n"
     "  breaker: { failures: 5, within: 10s, pause: 1s, max_pause: 30s }\n"
     "  # A user of Redis with few rights: docs/redis.md of sluice says which. The file's mode is\n"
     "  # 0400, and it is the agent's user's.\n"
     "  #   auth: { user: sluice, password_file: /etc/sluice/redis-password }\n"
     "  #   tls: { ca: /etc/ssl/redis-ca.pem }\n"
     "\n"
     "defaults:\n"
     "  # While Redis can't be asked, each agent has its part of every limit.\n"
     "  on_store_error: local\n"
     "\n"
     "rules:\n",
     false},
    {NULL, NULL, false},
};

static const struct edit production_haproxy[] = {
    {"# For 3.1 and later take haproxy.cfg: it",
     "# For 3.1 and later: sluice init --production --haproxy 3.2. It", true},
    {"# For 2.6 to 3.0 take haproxy-2.6.cfg: it",
     "# For 2.6 to 3.0: sluice init --production --haproxy 2.6. It", true},
    {"    # A unix socket where the agent runs on this machine: cheaper than TCP on both sides.\n"
     "    server sluice1 unix@/run/sluice/" SOCKET_NAME "\n"
     "    # An agent elsewhere, or a second one:\n"
     "    #   server sluice2 192.0.2.10:9000\n",
     "    # TO FILL IN: the agents' addresses. One that runs on this machine is asked through its "
     "unix\n"
     "    # socket, which is cheaper on both sides: unix@/run/sluice/" SOCKET_NAME "\n"
     "    server sluice1 192.0.2.11:9000\n"
     "    server sluice2 192.0.2.12:9000\n"
     "    server sluice3 192.0.2.13:9000\n",
     false},
    {"    server api1 127.0.0.1:8080\n",
     "    # TO FILL IN: your application.\n    server api1 127.0.0.1:8080\n", false},
    {NULL, NULL, false},
};

static const struct edit none[] = {{NULL, NULL, false}};

/* ---- making ---------------------------------------------------------------------------------- */

static void put(FILE *out, const char *text, const char *folder)
{
    for (; *text; text++) {
        if (*text == *FOLDER)
            fputs(folder, out);
        else
            fputc(*text, out);
    }
}

/* The number of the edit whose text is at the beginning of rest; -1: of none. */
static int edit_at(const struct edit *edits, struct slice rest)
{
    for (int i = 0; edits[i].from; i++)
        if (slice_has_prefix(rest, slice_of_string(edits[i].from)))
            return i;
    return -1;
}

static void edit(struct init_file *file, struct slice text, const struct edit *edits,
                 const char *folder)
{
    bool used[INIT_EDITS_MAX] = {false};
    FILE *out = open_memstream(&file->text, &file->size);
    if (!out)
        return;
    for (size_t at = 0; at < text.size;) {
        int i = edit_at(edits, slice_from(text, at));
        if (i >= 0) {
            put(out, edits[i].to, folder);
            used[i] = true;
            at += strlen(edits[i].from);
        } else {
            fputc(text.data[at++], out);
        }
    }
    for (int i = 0; edits[i].from && !file->missing; i++)
        if (!used[i] && !edits[i].maybe)
            file->missing = edits[i].from;
    bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(file->text);
        file->text = NULL;
    }
}

struct init_file init_file_make(const struct init_setup *setup, size_t number)
{
    struct init_file file = {.text = NULL};
    const char *folder = setup->production ? "" : setup->folder;
    if (number == 0) {
        file.name = "sluice.yml";
        file.what = "the rules";
        edit(&file, init_file_sluice_yml, setup->production ? production_rules : development_rules,
             folder);
    } else if (number == 1) {
        file.name = "haproxy.cfg";
        file.what = setup->before_3_1 ? "HAProxy 2.6 to 3.0" : "HAProxy 3.1 and later";
        edit(&file, setup->before_3_1 ? init_file_haproxy_2_6_cfg : init_file_haproxy_cfg,
             setup->production ? production_haproxy : development_haproxy, folder);
    } else {
        file.name = "spoe-sluice.conf";
        file.what = "what HAProxy asks";
        edit(&file, init_file_spoe_sluice_conf, none, folder);
    }
    return file;
}

bool init_folder_fits(const char *folder, const char **expected)
{
    static const char others[] = "/._-+@";
    *expected = "a path of letters, digits and "
                "/ . _ - + @"
                ", which need no quotes in the files";
    for (const char *c = folder; *c; c++) {
        bool is_letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (!is_letter && !(*c >= '0' && *c <= '9') && !strchr(others, *c))
            return false;
    }
    *expected = "a shorter path, so that a socket in it has at most 107 bytes";
    return strlen(folder) + strlen("/" SOCKET_NAME) <= ENDPOINT_PATH_MAX;
}
