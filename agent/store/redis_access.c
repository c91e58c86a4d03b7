#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/store/redis_access.h"
#include "agent/store/redis_reader.h"
#include "agent/store/redis_tls.h"
#include "agent/store/resp.h"

/* AUTH's answer comes in one piece, or a few. Each read waits for the time-out, but a server that
 * sends a byte at a time could make any number of them. */
#define GREETING_READS 8

/* Of a reply; CLUSTER SHARDS of the largest cluster needs 100,000. */
#define ELEMENTS_MAX 1000000

/* AUTH with a user and a password, in Redis's protocol. */
#define GREETING_MAX (REDIS_USER_MAX + REDIS_PASSWORD_MAX + 64)

/* So much of a password is looked for in what is to be shown: a server may have cut it. */
#define PASSWORD_HEAD 8

/* So much of a path or a name is shown. */
#define SHOWN_MAX 120

#define TEXT(number)  #number
#define DIGITS(macro) TEXT(macro)

struct redis_access {
    char password[REDIS_PASSWORD_MAX + 1];
    size_t password_size; /* 0: none */
    uint8_t greeting[GREETING_MAX];
    size_t greeting_size;
    struct redis__tls *tls; /* NULL: without */
};

/* The settings of one kind of server. */
struct credentials {
    const char *key; /* in the rule file */
    struct slice user;
    struct slice password_file;
    struct slice password_env;
};

/* ---- passwords ----------------------------------------------------------------------------- */

/* What the password was to be read from, and why it can't be. */
static bool refuse(const struct credentials *c, const char *problem, char why[REDIS_WHY_MAX])
{
    bool file = c->password_file.size > 0;
    struct slice name = file ? c->password_file : c->password_env;
    bool cut = name.size > SHOWN_MAX;
    if (cut)
        name.size = SHOWN_MAX;
    snprintf(why, REDIS_WHY_MAX, "%s.%s \"%.*s%s\": %s", c->key,
             file ? "password_file" : "password_env", SLICE_ARGS(name), cut ? "..." : "", problem);
    return false;
}

/* With a NUL behind it; NULL when it can't be a path or a variable's name. */
static const char *terminated(struct slice s, char *out, size_t room)
{
    if (s.size >= room || memchr(s.data, '\0', s.size))
        return NULL;
    memcpy(out, s.data, s.size);
    out[s.size] = '\0';
    return out;
}

/* Takes the password from what a file or a variable holds. */
static bool accept_password(struct redis_access *access, const struct credentials *c,
                            struct slice text, char why[REDIS_WHY_MAX])
{
    while (text.size && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r'))
        text.size--;
    if (!text.size)
        return refuse(c, "is empty, expected a password", why);
    if (text.size > REDIS_PASSWORD_MAX)
        return refuse(c, "is too long, expected at most " DIGITS(REDIS_PASSWORD_MAX) " bytes", why);
    if (memchr(text.data, '\n', text.size) || memchr(text.data, '\0', text.size))
        return refuse(c, "is more than one line of text, expected a password", why);
    memcpy(access->password, text.data, text.size);
    access->password_size = text.size;
    return true;
}

static bool read_file(struct redis_access *access, const struct credentials *c,
                      char why[REDIS_WHY_MAX])
{
    char path[PATH_MAX];
    /* Room for the end of a line behind the longest, and to see that there is too much. */
    char text[REDIS_PASSWORD_MAX + 3];
    if (!terminated(c->password_file, path, sizeof(path)))
        return refuse(c, "is no path of a file", why);
    FILE *file = fopen(path, "re");
    if (!file)
        return refuse(c, strerror(errno), why);
    setbuf(file, NULL); /* no copy that would stay in memory */
    errno = 0;
    size_t size = fread(text, 1, sizeof(text), file);
    bool good = ferror(file) ? refuse(c, strerror(errno), why)
                             : accept_password(access, c, slice_of(text, size), why);
    explicit_bzero(text, sizeof(text));
    fclose(file);
    return good;
}

static bool read_environment(struct redis_access *access, const struct credentials *c,
                             char why[REDIS_WHY_MAX])
{
    char name[256];
    const char *value =
        terminated(c->password_env, name, sizeof(name)) ? secure_getenv(name) : NULL;
    if (!value)
        return refuse(c, "is not set, expected a variable of the environment", why);
    return accept_password(access, c, slice_of_string(value), why);
}

static bool read_password(struct redis_access *access, const struct credentials *c,
                          char why[REDIS_WHY_MAX])
{
    if (c->password_file.size)
        return read_file(access, c, why);
    if (c->password_env.size)
        return read_environment(access, c, why);
    if (c->user.size) {
        snprintf(why, REDIS_WHY_MAX,
                 "%s.user: has no password, expected password_file or "
                 "password_env",
                 c->key);
        return false;
    }
    return true;
}

static bool write_greeting(struct redis_access *access, const struct credentials *c,
                           char why[REDIS_WHY_MAX])
{
    struct writer w = writer_open(access->greeting, sizeof(access->greeting));
    if (!access->password_size)
        return true;
    if (c->user.size > REDIS_USER_MAX) {
        snprintf(why, REDIS_WHY_MAX, "%s.user: is too long, expected at most %d bytes", c->key,
                 REDIS_USER_MAX);
        return false;
    }
    resp_array(&w, c->user.size ? 3 : 2);
    resp_text(&w, SLICE("AUTH"));
    if (c->user.size)
        resp_text(&w, c->user);
    resp_text(&w, slice_of(access->password, access->password_size));
    access->greeting_size = writer_size(&w);
    return true;
}

/* ---- opening ------------------------------------------------------------------------------- */

struct redis_access *redis_access_open(const struct rules_store *store, bool sentinel,
                                       char why[REDIS_WHY_MAX])
{
    struct credentials c = {"auth", store->user, store->password_file, store->password_env};
    if (sentinel)
        c = (struct credentials){"sentinel_auth", store->sentinel_user,
                                 store->sentinel_password_file, store->sentinel_password_env};
    struct redis_access *access = calloc(1, sizeof(*access));
    if (!access) {
        snprintf(why, REDIS_WHY_MAX, "out of memory");
        return NULL;
    }
    if (!read_password(access, &c, why) || !write_greeting(access, &c, why) ||
        (store->tls && !(access->tls = redis__tls_open(store, why)))) {
        redis_access_close(access);
        return NULL;
    }
    return access;
}

void redis_access_close(struct redis_access *access)
{
    if (!access)
        return;
    redis__tls_close(access->tls);
    explicit_bzero(access, sizeof(*access));
    free(access);
}

struct slice redis_access_greeting(const struct redis_access *access)
{
    return slice_of(access->greeting, access->greeting_size);
}

/* ---- what went wrong ----------------------------------------------------------------------- */

void redis_access_hide(const struct redis_access *access, const char *text, char why[REDIS_WHY_MAX])
{
    static const char echo[] = "with args beginning with";
    size_t head = access->password_size < PASSWORD_HEAD ? access->password_size : PASSWORD_HEAD;
    const char *end = text + strlen(text);
    const char *found = strstr(text, echo);
    if (found)
        end = found;
    found = head ? memmem(text, (size_t)(end - text), access->password, head) : NULL;
    if (found)
        end = found;
    bool whole = *end == '\0';
    snprintf(why, REDIS_WHY_MAX, "%.*s%s",
             (int)(end - text < REDIS_WHY_MAX ? end - text : REDIS_WHY_MAX), text,
             whole ? "" : "...");
}

void redis_access_explain(const redisContext *redis, char why[REDIS_WHY_MAX])
{
    if (redis__tls_explain(why))
        return;
    /* What a socket's time-out looks like. */
    bool late = redis->err == REDIS_ERR_IO && strcmp(redis->errstr, strerror(EAGAIN)) == 0;
    snprintf(why, REDIS_WHY_MAX, "%s", late ? "no answer in time" : redis->errstr);
}

/* ---- connecting ---------------------------------------------------------------------------- */

/* "redis-1" of "redis-1:6379", "::1" of "[::1]:6379" and of "::1:6379", as a cluster writes it. */
static const char *host_of(const char *name, char host[ENDPOINT_HOST_MAX + 1])
{
    const char *end = strrchr(name, ':');
    struct slice s = slice_of(name, end ? (size_t)(end - name) : strlen(name));
    if (s.size >= 2 && s.data[0] == '[' && s.data[s.size - 1] == ']')
        s = slice_of(s.data + 1, s.size - 2);
    return terminated(s, host, ENDPOINT_HOST_MAX + 1);
}

static bool secure(const struct redis_access *access, redisContext *redis, const char *name,
                   char why[REDIS_WHY_MAX])
{
    char host[ENDPOINT_HOST_MAX + 1];
    if (!access->tls || redis->connection_type == REDIS_CONN_UNIX)
        return true;
    if (!host_of(name, host)) {
        snprintf(why, REDIS_WHY_MAX, "the server's name is too long");
        return false;
    }
    return redis__tls_start(access->tls, redis, host, why);
}

bool redis_access_secure(const struct redis_access *access, redisAsyncContext *redis,
                         const char *name, char why[REDIS_WHY_MAX])
{
    return secure(access, &redis->c, name, why);
}

/* Connected, but no more. */
static redisContext *reach(const char *address, int port, struct timeval timeout,
                           char why[REDIS_WHY_MAX])
{
    /* Whoever blocks reads one reply at a time. */
    static _Thread_local struct redis_reader_budget budget = {.most = ELEMENTS_MAX};
    redisContext *redis = port ? redisConnectWithTimeout(address, port, timeout)
                               : redisConnectUnixWithTimeout(address, timeout);
    if (!redis) {
        snprintf(why, REDIS_WHY_MAX, "out of memory");
        return NULL;
    }
    redis_reader_bound(redis, &budget);
    if (redis->err || redisSetTimeout(redis, timeout) != REDIS_OK) {
        redis_access_explain(redis, why);
        redisFree(redis);
        return NULL;
    }
    return redis;
}

/* The answer to what has been appended; NULL when it has not come after so many reads. False for a
 * lost connection. */
static bool wait_for_answer(redisContext *redis, void **answer)
{
    int sent = 0;
    while (!sent)
        if (redisBufferWrite(redis, &sent) != REDIS_OK)
            return false;
    for (int reads = 0; !*answer && reads < GREETING_READS; reads++)
        if (redisBufferRead(redis) != REDIS_OK ||
            redisGetReplyFromReader(redis, answer) != REDIS_OK)
            return false;
    return true;
}

static bool greet(const struct redis_access *access, redisContext *redis, char why[REDIS_WHY_MAX])
{
    void *answer = NULL;
    if (!access->greeting_size)
        return true;
    if (redisAppendFormattedCommand(redis, (const char *)access->greeting, access->greeting_size) !=
            REDIS_OK ||
        !wait_for_answer(redis, &answer)) {
        redis_access_explain(redis, why);
        return false;
    }
    if (!answer) {
        snprintf(why, REDIS_WHY_MAX, "AUTH was answered by too little at a time");
        return false;
    }
    const redisReply *reply = answer;
    bool good = reply->type != REDIS_REPLY_ERROR;
    if (!good)
        redis_access_hide(access, reply->str, why);
    freeReplyObject(answer);
    return good;
}

redisContext *redis_access_connect(const struct redis_access *access, const char *address, int port,
                                   const char *name, uint64_t timeout, char why[REDIS_WHY_MAX])
{
    struct timeval wait = {(time_t)(timeout / 1000000), (suseconds_t)(timeout % 1000000)};
    redisContext *redis = reach(address, port, wait, why);
    if (redis && (!secure(access, redis, name, why) || !greet(access, redis, why))) {
        redisFree(redis);
        return NULL;
    }
    return redis;
}
