/* TLS to Redis, for redis_access.c. Built from redis_tls.c where hiredis has TLS, else from
 * redis_tls_none.c. */
#pragma once

#include "agent/store/redis_access.h"

struct redis__tls;

/* Reads the certificates and the key that the settings name. NULL with why. */
struct redis__tls *redis__tls_open(const struct rules_store *store, char why[REDIS_WHY_MAX]);

/* Accepts NULL. */
void redis__tls_close(struct redis__tls *tls);

/* Begins the handshake, and where redis is blocking ends it. host is who the server's certificate
 * must say it is, unless the settings name another. */
bool redis__tls_start(const struct redis__tls *tls, redisContext *redis, const char *host,
                      char why[REDIS_WHY_MAX]);

/* Why a connection of this thread just failed, if it was for TLS's sake. */
bool redis__tls_explain(char why[REDIS_WHY_MAX]);
