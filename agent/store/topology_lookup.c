/* Names looked up, each by a thread of its own.
 *
 * getaddrinfo can't be interrupted, and takes ten seconds and more where a name server doesn't
 * answer; that of a network of containers may do so of one name, whose container is gone, and
 * answer for the others at once. So a look waits for a name for a while only, and then goes on with
 * what else it can ask; an answer that comes later is kept for the next look.
 *
 * At most one thread is under way for a name, and TOPOLOGY__LOOKUPS_MAX for all. Each is detached
 * and holds the watch. When the watch stops, nobody waits for them: whichever lets go of the watch
 * last frees it, when its getaddrinfo returns; or the process ends, and it does with it. */
#include "agent/store/topology_parts.h"

/* An answer that nobody took is too old after this. */
#define ANSWER_LIFE (10 * TOPOLOGY__SECOND)

/* All of these are called with the watch's lock held. */

static unsigned under_way(const struct topology_watch *watch)
{
    unsigned count = 0;
    for (size_t i = 0; i < TOPOLOGY__LOOKUPS_MAX; i++)
        count += watch->lookups[i].host[0] && !watch->lookups[i].answered;
    return count;
}

static struct topology__lookup *find(struct topology_watch *watch, const char *host)
{
    uint64_t now = topology__now();
    for (size_t i = 0; i < TOPOLOGY__LOOKUPS_MAX; i++) {
        struct topology__lookup *lookup = &watch->lookups[i];
        if (lookup->answered && now - lookup->answered_at > ANSWER_LIFE)
            lookup->host[0] = '\0';
        if (lookup->host[0] && strcmp(lookup->host, host) == 0)
            return lookup;
    }
    return NULL;
}

/* One that is free, else one with an answer that nobody took; NULL: all are under way. */
static struct topology__lookup *free_one(struct topology_watch *watch)
{
    struct topology__lookup *oldest = NULL;
    for (size_t i = 0; i < TOPOLOGY__LOOKUPS_MAX; i++) {
        struct topology__lookup *lookup = &watch->lookups[i];
        if (!lookup->host[0])
            return lookup;
        if (lookup->answered && (!oldest || lookup->answered_at < oldest->answered_at))
            oldest = lookup;
    }
    return oldest;
}

static void *run(void *context)
{
    struct topology__lookup *lookup = context;
    struct topology_watch *watch = lookup->watch;
    struct topology__addresses addresses = {.count = 0};
    pthread_setname_np(pthread_self(), "resolver");
    int error = topology__addresses_of(lookup->host, 0, &addresses);
    pthread_mutex_lock(&watch->lock);
    lookup->error = error;
    lookup->addresses = addresses;
    lookup->answered = true;
    lookup->answered_at = topology__now();
    pthread_cond_broadcast(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    topology__release(watch);
    return NULL;
}

static bool start(struct topology__lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add(&lookup->watch->references, 1);
    int error = pthread_create(&thread, &attributes, run, lookup);
    pthread_attr_destroy(&attributes);
    if (error)
        atomic_fetch_sub(&lookup->watch->references, 1);
    return error == 0;
}

/* NULL where there is no thread for it. */
static struct topology__lookup *begin(struct topology_watch *watch, const char *host)
{
    struct topology__lookup *lookup = free_one(watch);
    if (!lookup)
        return NULL;
    lookup->watch = watch;
    lookup->answered = false;
    memcpy(lookup->host, host, strlen(host) + 1);
    if (start(lookup))
        return lookup;
    lookup->host[0] = '\0';
    return NULL;
}

/* The more names are under way already, the less is to be hoped for of another. */
static void wait_for(struct topology_watch *watch, const struct topology__lookup *lookup)
{
    unsigned others = under_way(watch) - 1;
    uint64_t until = topology__now() + (watch->settings.timeout >> others);
    while (!lookup->answered && !watch->stopping && topology__now() < until)
        topology__wait(watch, until);
}

/* Of a name that an earlier look waited for in vain, the answer is taken or not there: it isn't
 * waited for again. */
bool topology__look_up(struct topology__look *look, const char *host,
                       struct topology__addresses *addresses, int *error)
{
    struct topology_watch *watch = look->watch;
    bool answered = false;
    pthread_mutex_lock(&watch->lock);
    struct topology__lookup *lookup = find(watch, host);
    if (!lookup && !watch->stopping) {
        lookup = begin(watch, host);
        if (lookup)
            wait_for(watch, lookup);
    }
    if (lookup && lookup->answered) {
        answered = true;
        *error = lookup->error;
        *addresses = lookup->addresses;
        lookup->host[0] = '\0';
    }
    pthread_mutex_unlock(&watch->lock);
    if (answered)
        return true;
    return topology__fail(look,
                          lookup ? "%s: the name server hasn't answered yet"
                                 : "%s: not looked up, for there is no thread for it",
                          host);
}
