/* How a server is reached, Redis or Sentinel: as which user, and whether by TLS.
 *
 * Read once from the rule file's settings, the files and the environment that they name; then
 * immutable, and thread-safe. The password is in no log, no error and no command line.
 */
#pragma once

#include <hiredis/async.h>

#include "base/base.h"
#include "rules/rules.h"

/* Room for a sentence on what went wrong, its NUL included. */
#define REDIS_WHY_MAX 256

/* Bytes of a user's name, and of a password. */
#define REDIS_USER_MAX     256
#define REDIS_PASSWORD_MAX 512

struct redis_access;

/* Reads what the store's settings name; of sentinel, what a Sentinel is told instead of a server of
 * data: its user and password; TLS is the same. A password's file or variable holds the password,
 * at most REDIS_PASSWORD_MAX bytes on one line; an end of line behind it is not of it. NULL with
 * why, which names the key, when anything can't be read, is empty or too long, or where TLS is
 * wanted and this build has none. Does not keep the store. May block on the files. */
struct redis_access *redis_access_open(const struct rules_store *store, bool sentinel,
                                       char why[REDIS_WHY_MAX]);

/* After the last of the connections that were made with it. Accepts NULL. */
void redis_access_close(struct redis_access *access);

/* A connection that is up: connected, TLS agreed, authenticated. address is numeric, or the path of
 * a unix socket with port 0. name is "HOST:PORT", as the file or the cluster calls the server: who
 * its certificate must say it is. timeout (microseconds) bounds each wait, of these steps and of
 * every command that follows. Blocks. NULL with why; freed by redisFree. */
redisContext *redis_access_connect(const struct redis_access *access, const char *address, int port,
                                   const char *name, uint64_t timeout, char why[REDIS_WHY_MAX]);

/* Starts TLS on a connection that has just been begun, before anything is sent on it. Nothing to do
 * without TLS, or on a unix socket, which never leaves the machine. name as above. False with why.
 * That the server isn't who it should be shows later, as a lost connection. */
bool redis_access_secure(const struct redis_access *access, redisAsyncContext *redis,
                         const char *name, char why[REDIS_WHY_MAX]);

/* What is to be sent first: AUTH, in Redis's protocol; empty when there is no password. */
struct slice redis_access_greeting(const struct redis_access *access);

/* What a lost connection died of. To be called once for each, by the thread that saw it die (in
 * hiredis's callback, where it has one). */
void redis_access_explain(const redisContext *redis, char why[REDIS_WHY_MAX]);

/* The text, cut to size, and before anything that could be the password: a server may answer a
 * command that it doesn't know with the command's arguments. */
void redis_access_hide(const struct redis_access *access, const char *text,
                       char why[REDIS_WHY_MAX]);

/* NULL where this build has TLS; otherwise why not, for people. */
const char *redis_access_lacks_tls(void);
