/* What the files topology_*.c share.
 *
 * Two threads: one looks where the servers are (topology_looker.c, with one kind of look a mode),
 * the other says that this agent lives (topology_heartbeat.c), so that no node that is dead makes
 * this agent look dead to the others. And one for each name that is being looked up
 * (topology_lookup.c), so that a name server that doesn't answer holds up neither.
 */
#pragma once

#include <pthread.h>
#include <sys/socket.h>

#include "agent/store/topology_watch.h"

/* A copy of what is needed of the rule file's settings: they may go before the watch does. */
struct topology__settings {
    enum rules_store_mode mode;
    const struct rules_node *nodes; /* [node_count]; name and host are followed by a NUL */
    size_t node_count;
    const char *master; /* sentinel */
    uint64_t timeout;   /* of connecting, and of each exchange */
    uint64_t heartbeat;
    bool tls;
    struct redis_access *access;
    struct redis_access *sentinel_access;
    struct slice instance_id;
    struct slice agents_key; /* the sorted set of those who live */
};

#define TOPOLOGY__SECOND UINT64_C(1000000)

/* Microseconds, of a clock that doesn't go back. */
uint64_t topology__now(void);

/* Of the one thread that writes it; to the system's time. */
static inline void topology__set(struct counter *counter, uint64_t number)
{
    atomic_store_explicit(&counter->number, number, memory_order_relaxed);
}
void topology__set_time(struct counter *counter);

/* Anything from `from` to below `to`, at random. */
uint64_t topology__between(uint64_t from, uint64_t to);

/* The name of a server, "HOST:PORT" or "[V6]:PORT". host: at most ENDPOINT_HOST_MAX bytes. */
void topology__name(const char *host, uint16_t port, char name[TOPOLOGY_NAME_MAX + 1]);

/* ---- one look ------------------------------------------------------------------------------ */

struct topology__look {
    struct topology_watch *watch;
    const struct topology__settings *settings;
    const _Atomic bool *stopping; /* to be looked at between calls that may block */
    const struct topology *last;  /* the newest snapshot; NULL: none */
    uint64_t epoch;               /* in and out: of the cluster's configuration, as last seen */
    bool names_known;  /* addresses in use were looked up so lately that they are kept unasked */
    bool names_reused; /* out: one was */
    struct topology *found;  /* out, held; NULL: nothing to publish */
    char why[REDIS_WHY_MAX]; /* out, when it returns false */
};

/* True when all is known that is to be known; otherwise there is another look soon. */
typedef bool topology__look_function(struct topology__look *look);
topology__look_function topology__look_at_names;    /* single, ketama */
topology__look_function topology__look_at_sentinel; /* sentinel */
topology__look_function topology__look_at_cluster;  /* cluster */

/* Writes look->why; returns false. */
__attribute__((format(printf, 2, 3))) bool topology__fail(struct topology__look *look,
                                                          const char *format, ...);

/* ---- names --------------------------------------------------------------------------------- */

/* Of so many addresses of one name the first that accepts a connection is looked for. */
#define TOPOLOGY__ADDRESSES_MAX 8

struct topology__addresses {
    size_t count;
    struct {
        struct sockaddr_storage socket; /* its port is 0 */
        socklen_t size;
        char text[TOPOLOGY_ADDRESS_MAX + 1];
    } list[TOPOLOGY__ADDRESSES_MAX];
};

/* Of so many names the look-ups may be under way. */
#define TOPOLOGY__LOOKUPS_MAX 8

/* A name that is being looked up by a thread of its own, or that was and nobody took the answer. */
struct topology__lookup {
    struct topology_watch *watch;
    char host[ENDPOINT_HOST_MAX + 1]; /* empty: it is free */
    bool answered;                    /* the thread has no more to do with it */
    uint64_t answered_at;
    int error; /* getaddrinfo's */
    struct topology__addresses addresses;
};

/* What getaddrinfo makes of a name, with these flags; returns what it does. May take long. */
int topology__addresses_of(const char *host, int flags, struct topology__addresses *addresses);

/* The same, *error being what that returns, in at most a time-out, and in at most two for all names
 * that aren't answered. False, with look->why, where there is no answer yet: when it comes, it is
 * for the next look that asks. */
bool topology__look_up(struct topology__look *look, const char *host,
                       struct topology__addresses *addresses, int *error);

/* Finds a name's numeric address. address, in: the one in use, or empty. It is kept while it is one
 * of the name's and accepts connections, and also where the name can't be looked up now; it becomes
 * empty where there is no such name. False, with look->why, when the name wasn't found. */
bool topology__resolve(struct topology__look *look, const char *host, uint16_t port,
                       char address[TOPOLOGY_ADDRESS_MAX + 1]);

/* ---- asking -------------------------------------------------------------------------------- */

/* More than this is no answer to anything that is asked here. */
#define TOPOLOGY__ANSWER_MAX (2u << 20)

/* Sends the commands that were appended to a blocking connection and waits for `count` replies,
 * which are the caller's to free. Nothing a server does makes it wait for longer than twice
 * timeout, or keep more than TOPOLOGY__ANSWER_MAX bytes. False with why: no replies, and the
 * connection is of no more use. */
bool topology__replies(redisContext *redis, uint64_t timeout, redisReply **replies, size_t count,
                       char why[REDIS_WHY_MAX]);
void topology__free_replies(redisReply **replies, size_t count);

/* The text of a reply that is one (a string or a status); else empty. */
struct slice topology__text(const redisReply *reply);

/* An integer, or a string that says one, from 0 to maximum. */
bool topology__number(const redisReply *reply, uint64_t maximum, uint64_t *number);

/* Whether a text can be a host: a name, or an IPv4 or IPv6 address. */
bool topology__is_host(struct slice text);

/* ---- what a node of a cluster says --------------------------------------------------------- */

struct topology__server {
    char host[ENDPOINT_HOST_MAX + 1];
    uint16_t port;
};

/* The cluster, as one of its nodes sees it: its primaries, those that it holds for failed left out,
 * by host and port. */
struct topology__view {
    struct topology__server servers[TOPOLOGY_SHARDS_MAX];
    size_t count;
    uint16_t slots[SLOTS_COUNT]; /* of a server, or TOPOLOGY_NOWHERE */
    unsigned slots_served;
    uint64_t epoch; /* 0: unknown */
};

/* Read the reply to CLUSTER SHARDS, to CLUSTER SLOTS (which knows only primaries with slots). asked
 * is the host that the node was asked by: where the node names no host, it is that. tls: the port
 * for TLS is wanted, if the node says two. The epoch is left 0.
 * ERROR_MALFORMED: of another form, a host that is none, a slot of two servers, or a server said
 * twice. ERROR_RANGE: a number out of range, or more than TOPOLOGY_SHARDS_MAX servers. */
enum error topology__read_shards(const redisReply *reply, struct slice asked, bool tls,
                                 struct topology__view *view);
enum error topology__read_slots(const redisReply *reply, struct slice asked,
                                struct topology__view *view);

/* cluster_current_epoch of the reply to CLUSTER INFO; 0 when it isn't told. */
uint64_t topology__read_epoch(const redisReply *reply);

/* The reply to SENTINEL GET-MASTER-ADDR-BY-NAME. ERROR_MALFORMED, ERROR_RANGE. */
enum error topology__read_master(const redisReply *reply, struct topology__server *server);

/* ---- the watch ----------------------------------------------------------------------------- */

struct topology_watch {
    _Atomic unsigned references; /* of the caller, and of each thread that runs, look-ups too */
    struct topology__settings settings;
    struct arena arena; /* the settings' */
    _Atomic bool stopping;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* stopping, asked, newest, running or a look-up has changed */
    bool asked;          /* for a look */
    struct topology *newest;
    unsigned running; /* threads */
    struct topology__lookup lookups[TOPOLOGY__LOOKUPS_MAX];

    pthread_mutex_t telling; /* held while `changed` is called */
    void (*changed)(void *context);
    void *context;

    pthread_t threads[2];
    size_t thread_count;
    struct topology_counters counters;
};

/* Waits until `until` (by topology__now), or until a condition that the caller looks at under the
 * lock may have changed. To be called with the lock held. */
void topology__wait(struct topology_watch *watch, uint64_t until);

/* Lets go of it; the last to do so frees it. */
void topology__release(struct topology_watch *watch);

/* The two threads. Each returns when the watch stops. */
void topology__look_on(struct topology_watch *watch);
void topology__heartbeat(struct topology_watch *watch);
