/* A build whose hiredis has no TLS. */
#include <stdio.h>

#include "agent/store/redis_tls.h"

#define TEXT(number)  #number
#define DIGITS(macro) TEXT(macro)
#define HIREDIS       DIGITS(HIREDIS_MAJOR) "." DIGITS(HIREDIS_MINOR)

const char *redis_access_lacks_tls(void)
{
    return "this sluice was built with hiredis " HIREDIS
           ", which has no TLS: build it with hiredis 1.0 or later and its hiredis_ssl";
}

struct redis__tls *redis__tls_open(const struct rules_store *store, char why[REDIS_WHY_MAX])
{
    (void)store;
    snprintf(why, REDIS_WHY_MAX, "%s", redis_access_lacks_tls());
    return NULL;
}

void redis__tls_close(struct redis__tls *tls)
{
    (void)tls;
}

bool redis__tls_start(const struct redis__tls *tls, redisContext *redis, const char *host,
                      char why[REDIS_WHY_MAX])
{
    (void)tls;
    (void)redis;
    (void)host;
    snprintf(why, REDIS_WHY_MAX, "%s", redis_access_lacks_tls());
    return false;
}

bool redis__tls_explain(char why[REDIS_WHY_MAX])
{
    (void)why;
    return false;
}
