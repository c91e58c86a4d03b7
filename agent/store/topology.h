/* Which servers hold the keys, and which of them holds a given one: a snapshot.
 *
 * A snapshot never changes. It is published whole, read by any number of threads, and freed when
 * the last of them lets go of it. Where snapshots come from is topology_watch.h's business.
 *
 * Nothing here blocks, does I/O or reads a clock. Thread-safe.
 */
#pragma once

#include "agent/store/ketama.h"
#include "agent/store/slots.h"
#include "base/base.h"

#define TOPOLOGY_SHARDS_MAX 256

/* Bytes of "[HOST]:65535" or of a unix socket's address, and of a numeric address or a unix
 * socket's path; without the NUL that ends them. */
#define TOPOLOGY_NAME_MAX    (ENDPOINT_HOST_MAX + 8)
#define TOPOLOGY_ADDRESS_MAX ENDPOINT_PATH_MAX

/* In a table of slots: nobody serves the slot now. */
#define TOPOLOGY_NOWHERE UINT16_MAX

struct topology_shard {
    /* What logs, metrics and a certificate call it: as the rule file writes it, or "HOST:PORT" as
     * the cluster or Sentinel announces it, an IPv6 address in brackets. One of a kind in a
     * snapshot, but for letters' case. */
    char name[TOPOLOGY_NAME_MAX + 1];
    /* Where to connect: a numeric address, or with port 0 a unix socket's path. Empty while its
     * name doesn't resolve: the shard keeps its keys, and can't be asked. */
    char address[TOPOLOGY_ADDRESS_MAX + 1];
    uint16_t port;
    uint32_t weight; /* >= 1; ketama's */
};

enum topology_placement {
    TOPOLOGY_ONE,    /* one shard holds every key: single, sentinel */
    TOPOLOGY_KETAMA, /* by the continuum; the shards in the order of the rule file */
    TOPOLOGY_SLOTS,  /* by the table of slots; the shards in the order of host and port */
};

struct topology {
    uint64_t version; /* from 1, one more for each that is published */
    enum topology_placement placement;
    struct ketama *ketama; /* TOPOLOGY_KETAMA; else NULL */
    uint16_t *slots; /* TOPOLOGY_SLOTS: [SLOTS_COUNT], a shard or TOPOLOGY_NOWHERE; else NULL */
    unsigned slots_served; /* how many of the slots are somewhere; SLOTS_COUNT where all are */
    _Atomic unsigned references;
    size_t shard_count; /* 1..TOPOLOGY_SHARDS_MAX */
    struct topology_shard shards[];
};

/* Makes a snapshot, version 0, that the caller holds once. All is copied. slots is for
 * TOPOLOGY_SLOTS alone. *topology is set to NULL on error.
 * ERROR_RANGE: too few or too many shards (TOPOLOGY_ONE: not one), a weight of 0, or a slot of a
 * shard that there isn't. ERROR_MALFORMED: a name that is empty, or one that two shards have.
 * ERROR_NO_MEMORY. */
enum error topology_create(enum topology_placement placement, const struct topology_shard *shards,
                           size_t count, const uint16_t *slots, struct topology **topology);

/* Another hold on the same snapshot, which is returned. Each hold is released once; the last frees
 * the snapshot. NULL is accepted by both. */
struct topology *topology_hold(struct topology *topology);
void topology_release(struct topology *topology);

/* The shard that a key belongs to: an index of shards, or -1 where nobody serves it now. The whole
 * key is given; what counts is its hash tag, so that keys of one tag are on one shard. */
int topology_place(const struct topology *topology, struct slice key);

/* The shard that a redirect ("MOVED 3999 HOST:PORT", "ASK 3999 HOST:PORT") names, as HOST:PORT; an
 * IPv6 address may be without brackets, as Redis writes it. from is the shard that said so: a
 * redirect without a host (":7001") means its host; -1 when that isn't known. Found by name, or by
 * address. -1 when there is none of that name: the snapshot is too old, or the name is rubbish. */
int topology_find(const struct topology *topology, struct slice name, int from);

/* The host that a shard's name says, without brackets; empty of a unix socket. It points into the
 * shard. */
struct slice topology_host(const struct topology_shard *shard);

/* Whether two say the same in all but version. */
bool topology_equal(const struct topology *a, const struct topology *b);
