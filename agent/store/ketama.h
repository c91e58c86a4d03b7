/* Consistent hashing as libketama does it: which of several independent servers a key belongs to.
 *
 * A continuum is a circle of 2^32 places with points of the servers on it; a key belongs to the
 * server of the first point at or after the key's hash. Pure; a finished continuum never changes
 * and may be read by any number of threads.
 *
 * Source: Richard Jones, libketama, ketama.c: MD5 of "NAME-I" for I from 0 gives four points each,
 * 32-bit little-endian, floorf(share * 40.0 * servers) times for a server with that share of the
 * total weight, a float: 160 points for a server of average weight. So the mapping is that of
 * clients that place a server by the same name ("host:port" in libketama's files; libmemcached
 * leaves out port 11211) with the same rounding. libmemcached and twemproxy round every product to
 * a float, which costs every server 4 of its points when 25, 47, 50 or certain higher numbers of
 * servers weigh the same; libketama, and so sluice, first at 61.
 *
 * Adding to N servers of equal weight one of that weight moves about 1 / (N + 1) of the keys, all
 * of them to the new server (where the rounding leaves the others their points). A server of
 * another weight changes the average, and with it, a little, where the others' keys are.
 */
#pragma once

#include "base/base.h"

#define KETAMA_SERVERS_MAX 1024

struct ketama_server {
    struct slice name; /* not empty */
    uint32_t weight;   /* >= 1; below 1/40 of the average it gets no point, and so no key */
};

struct ketama_point {
    uint32_t at;
    uint32_t server; /* index of the list that the continuum was made of */
};

struct ketama {
    size_t count;                 /* >= 1 */
    struct ketama_point points[]; /* ascending by `at` */
};

/* Makes a continuum of 1..KETAMA_SERVERS_MAX servers; free it with ketama_free. Neither the list
 * nor the names are kept. Where points of two servers fall on one place, that of the server whose
 * name is the lesser comes first, so that the order of the list doesn't matter (libketama leaves
 * this open).
 * ERROR_RANGE: no servers, too many, or a weight of 0. ERROR_MALFORMED: an empty name, or two of
 * the same. ERROR_NO_MEMORY. *ketama is set to NULL on error. */
enum error ketama_create(const struct ketama_server *servers, size_t count, struct ketama **ketama);

/* Accepts NULL. */
void ketama_free(struct ketama *ketama);

/* Where on the circle a key is: the first four bytes of its MD5, little-endian. */
uint32_t ketama_hash(struct slice key);

/* The first point at or after hash, around the circle. */
const struct ketama_point *ketama_at(const struct ketama *ketama, uint32_t hash);

/* The server that a key belongs to: index of the list that the continuum was made of. */
static inline size_t ketama_find(const struct ketama *ketama, struct slice key)
{
    return ketama_at(ketama, ketama_hash(key))->server;
}
