#include <errno.h>
#include <ev.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/admin/admin.h"
#include "agent/bounds.h"
#include "agent/clock.h"
#include "agent/control.h"
#include "agent/file_both.h"
#include "agent/listeners.h"
#include "agent/service.h"
#include "agent/socket.h"
#include "agent/totals.h"
#include "agent/watch.h"

struct server {
    struct control control; /* what others may read */
    const char *rule_file;
    const char *candidate_file; /* NULL: the rule file may name one */
    struct watch watch; /* of the rule files, if that is wanted; which they are in any case */
    struct bounds bounds;
    uint64_t seed;
    struct ev_loop *loop;
    struct ruleset *rules;
    struct ruleset *first_rules; /* whose listeners stay, whatever a reload says */
    struct restart_program program;
    struct restart_sockets sockets; /* from, and then for, a restart in place */
    struct listeners listeners;
    struct admin *admin;
    ev_signal terminate;
    ev_signal interrupt;
    ev_signal hangup;
    ev_signal restart;
    ev_timer upkeep;
    ev_timer drain_deadline;
    ev_async drained;
    ev_async topology;
    atomic_uint workers_drained;
    bool draining;
    bool restarting;
};

/* ---- connections --------------------------------------------------------------------------- */

static struct worker *least_loaded(const struct control *control)
{
    struct worker *best = control->workers[0];
    for (unsigned i = 1; i < control->worker_count; i++)
        if (worker_load(control->workers[i]) < worker_load(best))
            best = control->workers[i];
    return best;
}

/* Says why before it closes, so that HAProxy's log can tell. */
static void turn_away(struct server *server, int fd)
{
    static struct log_limiter limiter;
    uint8_t bytes[SPOP_FRAME_SIZE_MIN];
    struct writer w = writer_open(bytes, sizeof(bytes));
    spop_write_disconnect(&w, SPOP_FRAME_AGENT_DISCONNECT, SPOP_RESOURCES);
    ssize_t ignored = send(fd, bytes, writer_size(&w), MSG_NOSIGNAL);
    (void)ignored;
    close(fd);
    counter_add(&server->control.counters.refused_connections, 1);
    log_limited(&limiter, LOG_WARNING, "connection refused: too many are open",
                LOG_INT("max", server->rules->set->settings.max_connections));
}

static bool give(struct server *server, int fd, uint32_t agreed_frame_size)
{
    const struct control *control = &server->control;
    bool given = totals_open_connections(control) < server->rules->set->settings.max_connections &&
                 worker_give(least_loaded(control), fd, agreed_frame_size);
    if (!given)
        turn_away(server, fd);
    return given;
}

static void on_accepted(void *context, int fd)
{
    struct server *server = context;
    counter_add(&server->control.counters.accepted, 1);
    give(server, fd, 0);
}

/* ---- rules --------------------------------------------------------------------------------- */

static void log_problem(void *context, const struct file_finding *finding)
{
    (void)context;
    log_event(LOG_ERROR, "rule file refused", LOG_STRING("problem", finding->text));
}

/* What the candidate counts in, as large as the store of the rules in force. Before workers are
 * told of it; it stays, so that a candidate that comes again finds its counts. */
static bool prepare_candidate(struct server *server, const struct ruleset *rules)
{
    const struct ruleset *first = server->first_rules ? server->first_rules : rules;
    const struct rules_store *settings = &first->set->settings.store;
    struct store **store = &server->control.candidate_store;
    if (rules->candidate && !*store)
        *store = store_memory_create(settings->max_keys, settings->log_memory);
    return !rules->candidate || *store;
}

static struct ruleset *make_ruleset(struct server *server, struct file_both *loaded)
{
    struct ruleset *rules = ruleset_create(loaded->active);
    if (rules) {
        loaded->active = NULL;
        rules->candidate = loaded->candidate ? ruleset_create(loaded->candidate) : NULL;
    }
    if (rules && rules->candidate)
        loaded->candidate = NULL;
    if (rules && !loaded->candidate && prepare_candidate(server, rules))
        return rules;
    log_event(LOG_ERROR, "no memory for the rules");
    ruleset_release(rules);
    file_both_free(loaded);
    return NULL;
}

/* seen: to be filled in with what was read; NULL: it isn't wanted. */
static struct ruleset *read_rules(struct server *server, file_problem *problem,
                                  struct file_seen *seen)
{
    struct file_both loaded;
    struct file_reading reading = {
        .path = server->rule_file,
        .seed = server->seed,
        .seen = seen,
        .problem = problem,
    };
    bool is_right = file_both_load(&loaded, &reading, server->candidate_file);
    return is_right ? make_ruleset(server, &loaded) : NULL;
}

static struct ruleset *load(struct server *server, file_problem *problem)
{
    struct file_seen seen = {.count = 0};
    struct ruleset *rules = read_rules(server, problem, &seen);
    watch_read(&server->watch, &seen);
    return rules;
}

static void put_in_force(struct server *server, struct ruleset *rules)
{
    struct control_counters *counters = &server->control.counters;
    ruleset_release(server->rules);
    server->rules = rules;
    counter_set(&counters->rules, rules->set->rule_count);
    counter_set(&counters->candidate_rules,
                rules->candidate ? rules->candidate->set->rule_count : 0);
    counter_set(&counters->loaded_at, (uint64_t)time(NULL));
    counter_set(&counters->max_connections, rules->set->settings.max_connections);
    counter_set(&counters->least_local_limit, sharing_least_local(rules->set));
}

static void log_candidate(const struct ruleset *rules)
{
    if (rules->candidate)
        log_event(LOG_INFO, "a candidate is compared with the rules",
                  LOG_INT("rules", rules->candidate->set->rule_count),
                  LOG_INT("limits", rules->candidate->set->limit_count));
}

/* for_news: not where the files say what they said when they were last read. */
static void reload(struct server *server, bool for_news)
{
    struct control *control = &server->control;
    if (server->draining)
        return;
    service_reloading();
    struct ruleset *rules = load(server, log_problem);
    if (for_news && !watch_has_news(&server->watch)) {
        /* Touched, or the same once more. */
        if (rules)
            counter_set(&control->counters.loaded_at, (uint64_t)time(NULL));
        ruleset_release(rules);
    } else if (rules) {
        put_in_force(server, rules);
        for (unsigned i = 0; i < control->worker_count; i++)
            worker_use(control->workers[i], rules);
        counter_add(&control->counters.reloads, 1);
        counter_set(&control->counters.last_reload_failed, 0);
        restart_warn(&server->first_rules->set->settings, &rules->set->settings);
        log_event(LOG_INFO, "rules reloaded", LOG_STRING("file", server->rule_file),
                  LOG_INT("rules", rules->set->rule_count),
                  LOG_INT("limits", rules->set->limit_count));
        log_candidate(rules);
    } else {
        counter_add(&control->counters.reloads_failed, 1);
        counter_set(&control->counters.last_reload_failed, 1);
        log_event(LOG_ERROR, "reload failed: the old rules stay in force",
                  LOG_STRING("file", server->rule_file));
    }
    service_ready();
}

static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int events)
{
    (void)loop;
    (void)events;
    reload(watcher->data, false);
}

static void on_changed_files(void *context)
{
    reload(context, true);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void worker_is_drained(void *context)
{
    struct server *server = context;
    atomic_fetch_add(&server->workers_drained, 1);
    ev_async_send(server->loop, &server->drained);
}

static void on_drained(struct ev_loop *loop, ev_async *watcher, int events)
{
    const struct server *server = watcher->data;
    (void)events;
    if (atomic_load(&server->workers_drained) == server->control.worker_count)
        ev_break(loop, EVBREAK_ALL);
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
    const struct server *server = watcher->data;
    (void)events;
    log_event(LOG_WARNING, "drain took too long: the rest is cut off",
              LOG_INT("connections", totals_open_connections(&server->control)));
    ev_break(loop, EVBREAK_ALL);
}

static void drain(struct server *server, const char *message, int signal,
                  void (*end)(struct worker *worker))
{
    double patience = (double)server->rules->set->settings.drain_timeout / 1e6;
    server->draining = true;
    atomic_store(&server->control.counters.serving, false);
    log_event(LOG_INFO, message, LOG_INT("signal", signal),
              LOG_INT("connections", totals_open_connections(&server->control)));
    for (unsigned i = 0; i < server->control.worker_count; i++)
        end(server->control.workers[i]);
    ev_timer_set(&server->drain_deadline, patience, 0.);
    ev_timer_start(server->loop, &server->drain_deadline);
}

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct server *server = watcher->data;
    (void)events;
    server->restarting = false;
    if (server->draining) { /* asked twice: at once, then */
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    service_stopping();
    listeners_close(&server->listeners);
    drain(server, "draining", watcher->signum, worker_drain);
}

/* ---- the restart in place ------------------------------------------------------------------ */

static void on_checked(void *context, bool right)
{
    struct server *server = context;
    if (server->draining)
        return;
    if (!right) {
        log_event(LOG_ERROR, "no restart: the program there now doesn't take the rule file",
                  LOG_STRING("program", server->program.path),
                  LOG_STRING("file", server->rule_file));
        return;
    }
    server->restarting = true;
    service_reloading();
    listeners_accept(&server->listeners, false);
    drain(server, "restarting", SIGUSR2, worker_leave);
}

/* What would end the next program at its start ends nothing here. */
static void on_restart(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct server *server = watcher->data;
    (void)events;
    const char *failure = "the agent is ending";
    if (!server->draining) {
        /* What has changed stays news, for a watch. */
        struct ruleset *rules = read_rules(server, log_problem, NULL);
        failure = "the rules can't be used";
        if (rules)
            failure = restart_check(&server->program, server->rule_file, loop, on_checked, server);
        ruleset_release(rules);
    }
    if (failure)
        log_event(LOG_ERROR, "no restart now", LOG_STRING("program", server->program.path),
                  LOG_STRING("file", server->rule_file), LOG_STRING("error", failure));
}

/* With the workers stopped: all that is to live on. */
static bool collect_sockets(struct server *server)
{
    bool all = listeners_leave(&server->listeners, &server->sockets);
    for (unsigned i = 0; all && i < server->control.worker_count; i++) {
        size_t count;
        const struct connection_left *left = worker_left(server->control.workers[i], &count);
        for (size_t j = 0; all && j < count; j++)
            all = restart_add(
                &server->sockets,
                &(struct restart_socket){RESTART_CONNECTION, left[j].fd, left[j].max_frame_size});
    }
    return all;
}

static void give_back_connections(struct server *server)
{
    size_t count = 0;
    for (size_t i = 0; i < server->sockets.count; i++) {
        const struct restart_socket *socket = &server->sockets.all[i];
        if (socket->kind == RESTART_CONNECTION && give(server, socket->fd, socket->max_frame_size))
            count++;
    }
    if (server->sockets.count)
        log_event(LOG_INFO, "restarted", LOG_INT("connections", count));
    restart_free(&server->sockets);
}

/* ---- the beginning ------------------------------------------------------------------------- */

static void on_upkeep(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct server *server = watcher->data;
    (void)loop;
    (void)events;
    bounds_look(&server->bounds, &server->control, clock_now());
    store_upkeep(server->control.store, clock_now());
    if (server->control.candidate_store)
        store_upkeep(server->control.candidate_store, clock_now());
}

/* Processors that this process may run on, which in a container may be fewer than there are. */
static unsigned processor_count(void)
{
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    return online > 0 ? (unsigned)online : 1; /* more than a cpu_set_t can tell */
}

static bool start_workers(struct server *server)
{
    struct control *control = &server->control;
    const struct rules_settings *settings = &server->first_rules->set->settings;
    unsigned count = settings->workers ? settings->workers : processor_count();
    if (count > CONTROL_MAX_WORKERS)
        count = CONTROL_MAX_WORKERS;
    for (unsigned i = 0; i < count; i++) {
        control->workers[i] = worker_start(&(struct worker_options){
            .index = i,
            .store = control->store,
            .watch = control->sharing.watch,
            .access = control->sharing.access,
            .settings = control->sharing.settings,
            .max_keys = settings->store.max_keys / count + 1,
            .workers = count,
            .rules = server->rules,
            .candidate_store = &control->candidate_store,
            .compared = &control->compared,
            .max_pending = CONTROL_MAX_PENDING,
            .max_frame_size = settings->max_frame_size,
            .drained = worker_is_drained,
            .context = server,
        });
        if (!control->workers[i]) {
            log_event(LOG_ERROR, "can't start a worker", LOG_INT("worker", i));
            return false;
        }
        control->worker_count++;
    }
    return true;
}

static bool start_admin(struct server *server)
{
    const struct rules_settings *settings = &server->first_rules->set->settings;
    char why[SOCKET_WHY_MAX];
    char name[SOCKET_NAME_MAX];
    if (!settings->has_admin)
        return true;
    char token[ADMIN_TOKEN_MAX + 1];
    const char *problem = settings->admin_token_file.size
                              ? admin_read_token(settings->admin_token_file, token)
                              : NULL;
    if (problem) {
        log_event(LOG_ERROR, "can't read the admin server's token",
                  LOG_SLICE("file", settings->admin_token_file), LOG_STRING("error", problem));
        return false;
    }
    int fd = listeners_open_admin(&server->listeners, why);
    if (fd >= 0)
        server->admin = admin_start(fd, &server->control, settings->admin_token_file);
    if (!server->admin) {
        struct writer w = writer_open(name, sizeof(name));
        endpoint_print(&settings->admin, &w);
        log_event(LOG_ERROR, "can't start the admin server", LOG_SLICE("address", writer_slice(&w)),
                  LOG_STRING("error", fd < 0 ? why : "out of memory"));
        return false;
    }
    socket_own_name(fd, name);
    log_event(LOG_INFO, "admin listening", LOG_STRING("address", name));
    return true;
}

static bool start_store(struct server *server)
{
    const struct rules_settings *settings = &server->first_rules->set->settings;
    server->control.store =
        store_memory_create(settings->store.max_keys, settings->store.log_memory);
    if (!server->control.store)
        log_event(LOG_ERROR, "no memory for the store",
                  LOG_INT("max_keys", settings->store.max_keys));
    return server->control.store != NULL;
}

static void topology_changed(void *context)
{
    struct server *server = context;
    ev_async_send(server->loop, &server->topology);
}

static void on_topology(struct ev_loop *loop, ev_async *watcher, int events)
{
    const struct server *server = watcher->data;
    (void)loop;
    (void)events;
    for (unsigned i = 0; i < server->control.worker_count; i++)
        worker_follow(server->control.workers[i]);
}

/* Threads inherit a mask in which no signal reaches them: all go to the control thread. */
static bool start_threads(struct server *server)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool started =
        sharing_start(&server->control.sharing, &server->first_rules->set->settings.store,
                      topology_changed, server) &&
        start_workers(server) && start_admin(server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void watch(struct server *server)
{
    ev_signal_init(&server->terminate, on_terminate, SIGTERM);
    ev_signal_init(&server->interrupt, on_terminate, SIGINT);
    ev_signal_init(&server->hangup, on_hangup, SIGHUP);
    ev_signal_init(&server->restart, on_restart, SIGUSR2);
    ev_timer_init(&server->upkeep, on_upkeep, STORE_UPKEEP_PERIOD / 1e6, STORE_UPKEEP_PERIOD / 1e6);
    ev_timer_init(&server->drain_deadline, on_drain_deadline, 1., 0.);
    ev_async_init(&server->drained, on_drained);
    ev_async_init(&server->topology, on_topology);
    server->terminate.data = server->interrupt.data = server->hangup.data = server;
    server->restart.data = server->upkeep.data = server;
    server->drain_deadline.data = server->drained.data = server->topology.data = server;
    ev_signal_start(server->loop, &server->terminate);
    ev_signal_start(server->loop, &server->interrupt);
    ev_signal_start(server->loop, &server->hangup);
    ev_signal_start(server->loop, &server->restart);
    ev_timer_start(server->loop, &server->upkeep);
    ev_async_start(server->loop, &server->drained);
    ev_async_start(server->loop, &server->topology);
}

/* What the administrator allows is the hard limit; the soft one is only a default. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool start(struct server *server)
{
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    server->loop = ev_default_loop(EVFLAG_AUTO);
    if (!server->loop)
        return false;
    /* A SIGHUP that comes while the rules are loaded must not end the process. */
    watch(server);
    restart_remember(&server->program);
    if (!restart_receive(&server->sockets)) {
        log_event(LOG_ERROR, "what the restart has left can't be read");
        return false;
    }
    struct ruleset *rules = load(server, file_print_problem);
    if (!rules)
        return false;
    put_in_force(server, rules);
    server->first_rules = ruleset_hold(rules);
    server->listeners.accepted = on_accepted;
    server->listeners.context = server;
    return start_store(server) &&
           listeners_open(&server->listeners, server->loop, &server->first_rules->set->settings,
                          &server->sockets) &&
           start_threads(server);
}

static void stop(struct server *server)
{
    struct control *control = &server->control;
    if (!server->restarting)
        listeners_close(&server->listeners);
    for (unsigned i = 0; i < control->worker_count; i++)
        worker_stop(control->workers[i]);
    if (server->restarting && !collect_sockets(server))
        log_event(LOG_ERROR, "no memory for all sockets: some connections end");
    /* The admin server reads the workers' counters until here. */
    admin_stop(server->admin);
    if (!server->restarting)
        listeners_close_admin(&server->listeners);
    for (unsigned i = 0; i < control->worker_count; i++)
        worker_free(control->workers[i]);
    sharing_stop(&control->sharing);
    store_free(control->store);
    store_free(control->candidate_store);
    comparison_rules_close(&control->compared);
    ruleset_release(server->rules);
    ruleset_release(server->first_rules);
    if (server->loop) {
        watch_stop(&server->watch, server->loop);
        ev_loop_destroy(server->loop);
    }
    watch_close(&server->watch);
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = clock_now() ^ (uint64_t)getpid();
    return seed;
}

int control_serve(const char *rule_file, const char *candidate_file, bool watched)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server)
        return EXIT_FAILURE;
    server->rule_file = rule_file;
    server->candidate_file = candidate_file;
    server->control.watch = &server->watch;
    watch_open(&server->watch);
    comparison_rules_open(&server->control.compared);
    server->seed = random_seed();
    bool started = start(server);
    if (started) {
        give_back_connections(server);
        listeners_accept(&server->listeners, true);
        atomic_store(&server->control.counters.serving, true);
        log_event(LOG_INFO, "ready", LOG_STRING("version", SLUICE_VERSION),
                  LOG_STRING("file", rule_file), LOG_INT("rules", server->rules->set->rule_count),
                  LOG_INT("workers", server->control.worker_count));
        log_candidate(server->rules);
        if (watched)
            watch_start(&server->watch, server->loop, on_changed_files, server);
        service_ready();
        ev_run(server->loop, 0);
    }
    stop(server);
    if (server->restarting) {
        restart_now(&server->program, &server->sockets);
        log_event(LOG_ERROR, "the restart failed", LOG_STRING("program", server->program.path),
                  LOG_STRING("error", strerror(errno)));
        started = false;
    } else if (started) {
        log_event(LOG_INFO, "stopped");
    }
    restart_free(&server->sockets);
    free(server);
    return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
