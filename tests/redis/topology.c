/* A topology watch and nothing else, for tests/integration/test_topology.py:
 *
 *     redis_topology RULES ID NAMES
 *
 * RULES is a rule file, whose store is watched; ID, who this is; NAMES, a file of names, one a
 * line:
 *
 *     NAME ADDRESS...   has these addresses
 *     NAME nobody       there is no such name
 *     NAME later        the name server doesn't answer
 *     NAME never        ... and keeps one waiting for as long as the file says so
 *
 * Other names are looked up as ever. The file may change at any time.
 *
 * Says "asked NAME" whenever a name is looked up. Says, one a line, whenever it changes:
 *
 *     topology version=N served=SLOTS shards=NAME@ADDRESS@PORT=FIRST-LAST,...
 *     agents N
 *     counters refreshes=N failures=N heartbeats=N heartbeat_failures=N
 *
 * SIGUSR1 asks for a look. SIGTERM ends it, and "stopped MS told N" says after how
 * many milliseconds, and of how many topologies `changed` has told. */
#include <dlfcn.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/store/topology_watch.h"
#include "server.h"

/* How often it looks whether there is something to say (nanoseconds). */
#define TICK 10000000

/* ---- names --------------------------------------------------------------------------------- */

static const char *names_path;

typedef int getaddrinfo_function(const char *, const char *, const struct addrinfo *,
                                 struct addrinfo **);

/* A chain of what the real function makes of each address. */
static int addresses_of(char *words, const char *service, const struct addrinfo *hints,
                        getaddrinfo_function *real, struct addrinfo **found)
{
    struct addrinfo numeric = *hints;
    char *rest = NULL;
    numeric.ai_flags |= AI_NUMERICHOST;
    *found = NULL;
    for (char *word = strtok_r(words, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        if (strcmp(word, "nobody") == 0)
            return EAI_NONAME;
        if (strcmp(word, "later") == 0)
            return EAI_AGAIN;
        if (real(word, service, &numeric, found) != 0)
            abort();
        found = &(*found)->ai_next;
    }
    return 0;
}

/* What the file has behind a name; NULL: the name isn't there. */
static char *words_of(const char *name, char *line, int size)
{
    size_t length = strlen(name);
    char *words = NULL;
    FILE *file = fopen(names_path, "re");
    while (file && !words && fgets(line, size, file))
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            words = line + length;
    if (file)
        fclose(file);
    return words;
}

/* In the place of the C library's. req: hints; pai: where to put what is found. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    getaddrinfo_function *real = (getaddrinfo_function *)dlsym(RTLD_NEXT, "getaddrinfo");
    const struct timespec tick = {0, TICK};
    char line[512];
    char *words;
    if (req->ai_flags & AI_NUMERICHOST)
        return real(name, service, req, pai);
    printf("asked %s\n", name);
    while ((words = words_of(name, line, sizeof(line))) && strstr(words, " never"))
        nanosleep(&tick, NULL);
    return words ? addresses_of(words, service, req, real, pai) : real(name, service, req, pai);
}

/* ---- saying -------------------------------------------------------------------------------- */

static void say_topology(const struct topology *topology)
{
    static char text[TOPOLOGY_SHARDS_MAX * (TOPOLOGY_NAME_MAX + TOPOLOGY_ADDRESS_MAX + 32)];
    size_t size = 0;
    for (size_t i = 0; i < topology->shard_count; i++) {
        const struct topology_shard *shard = &topology->shards[i];
        unsigned first = SLOTS_COUNT;
        unsigned last = 0;
        for (unsigned slot = 0; topology->slots && slot < SLOTS_COUNT; slot++) {
            if (topology->slots[slot] != i)
                continue;
            first = first < slot ? first : slot;
            last = slot;
        }
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s@%s@%u=", i ? "," : "",
                                 shard->name, shard->address, (unsigned)shard->port);
        if (first < SLOTS_COUNT)
            size += (size_t)snprintf(text + size, sizeof(text) - size, "%u-%u", first, last);
    }
    printf("topology version=%" PRIu64 " served=%u shards=%s\n", topology->version,
           topology->slots_served, text);
}

/* May come before topology_watch_start has returned. */
static void on_changed(void *context)
{
    counter_add(context, 1);
}

static void say_changes(struct topology_watch *watch)
{
    static uint64_t said;
    struct topology *topology = topology_watch_hold(watch);
    if (topology && topology->version != said) {
        say_topology(topology);
        said = topology->version;
    }
    topology_release(topology);
}

static void say_counters(const struct topology_counters *counters)
{
    static uint64_t said[5];
    const uint64_t now[5] = {counter_read(&counters->agents), counter_read(&counters->refreshes),
                             counter_read(&counters->refresh_failures),
                             counter_read(&counters->heartbeats),
                             counter_read(&counters->heartbeat_failures)};
    if (now[0] != said[0])
        printf("agents %" PRIu64 "\n", now[0]);
    if (memcmp(said + 1, now + 1, 4 * sizeof(now[0])) != 0)
        printf("counters refreshes=%" PRIu64 " failures=%" PRIu64 " heartbeats=%" PRIu64
               " heartbeat_failures=%" PRIu64 "\n",
               now[1], now[2], now[3], now[4]);
    memcpy(said, now, sizeof(said));
}

/* ---- the program --------------------------------------------------------------------------- */

static struct rules_set *load(const char *path)
{
    static char text[65536];
    struct rules_report report;
    FILE *file = fopen(path, "re");
    if (!file)
        fail("%s: can't be read", path);
    size_t size = fread(text, 1, sizeof(text), file);
    fclose(file);
    struct rules_set *set = rules_load(slice_of(text, size), 1, &report);
    if (!set)
        fail("%s:%zu: %.*s", path, report.problems[0].line, SLICE_ARGS(report.problems[0].text));
    rules_report_free(&report);
    return set;
}

static uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until SIGTERM. */
static void serve(struct topology_watch *watch, const sigset_t *signals)
{
    const struct timespec tick = {0, TICK};
    for (;;) {
        int signal = sigtimedwait(signals, NULL, &tick);
        if (signal == SIGTERM)
            return;
        if (signal == SIGUSR1)
            topology_watch_refresh(watch);
        say_changes(watch);
        say_counters(topology_watch_counters(watch));
    }
}

int main(int argc, char **argv)
{
    struct counter told = {0};
    sigset_t signals;
    char why[REDIS_WHY_MAX];
    if (argc != 4)
        fail("usage: %s RULES ID NAMES", argv[0]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGPIPE);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    sigdelset(&signals, SIGPIPE);
    names_path = argv[3];
    struct rules_set *set = load(argv[1]);
    const struct topology_watch_options options = {&set->settings.store, argv[2], on_changed,
                                                   &told};
    struct topology_watch *watch = topology_watch_start(&options, why);
    if (!watch)
        fail("%s", why);
    rules_free(set); /* the watch has a copy */
    serve(watch, &signals);
    uint64_t begun = milliseconds();
    topology_watch_stop(watch);
    printf("stopped %" PRIu64 " told %" PRIu64 "\n", milliseconds() - begun, counter_read(&told));
    return EXIT_SUCCESS;
}
