#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/admin/page.h"

/* Bounds for all clients together: they share one thread and can hold no more than this. */
#define ADMIN_CONNECTIONS      64
#define ADMIN_TIMEOUT          10 /* seconds */
#define ADMIN_CONNECTION_BYTES 32768
#define ADMIN_BODY_MAX         4096

/* How long it waits at most for something to do (milliseconds). */
#define ADMIN_WAIT_MAX 1000

struct admin {
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int end;  /* an eventfd: readable when the thread is to end */
    int wake; /* one that is readable when a suspended request goes on */
    const struct control *control;
    struct slice token_file;
};

static const struct page pages[] = {
    {"/", true, page_status, NULL},
    {"/metrics", false, page_metrics, NULL},
    {"/health", true, page_health, NULL},
    {"/ready", true, page_ready, NULL},
    {"/health/distributed", false, page_health_distributed, NULL},
    {"/stats/distributed", false, page_stats, NULL},
    {"/rules", false, page_rules, NULL},
    {"/top", false, page_top, NULL},
    {"/explain", false, page_explain, NULL},
    {"/key", false, page_key, page_key_reset},
};

#define PAGES (sizeof(pages) / sizeof(pages[0]))

/* ---- the token ------------------------------------------------------------------------------- */

/* Takes as long for every wrong token of a length. */
static bool same_token(const char *a, const char *b)
{
    size_t size = strlen(a);
    unsigned char difference = 0;
    if (strlen(b) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static bool knows_token(const struct admin *admin, struct admin_request *request)
{
    static struct log_limiter limiter;
    char token[ADMIN_TOKEN_MAX + 1];
    const char *header = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_AUTHORIZATION);
    const char *why = admin_read_token(admin->token_file, token);
    if (why) {
        log_limited(&limiter, LOG_ERROR, "the admin server's token can't be read",
                    LOG_SLICE("file", admin->token_file), LOG_STRING("error", why));
        return false;
    }
    return header && strncasecmp(header, "Bearer ", 7) == 0 && same_token(header + 7, token);
}

/* Answers whoever may not have the page. */
static bool is_allowed(const struct admin *admin, struct admin_request *request)
{
    bool has_token = admin->token_file.size > 0;
    if (!has_token && request->removes)
        admin_reply_error(request, MHD_HTTP_FORBIDDEN, "nothing can be changed here",
                          "admin.token_file in the rule file, and that token");
    else if (has_token && (!request->page->is_open || request->removes) &&
             !knows_token(admin, request)) {
        admin_reply_error(request, MHD_HTTP_UNAUTHORIZED, "the token is missing or wrong",
                          "the header 'Authorization: Bearer TOKEN'");
        if (request->response)
            MHD_add_response_header(request->response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    } else {
        return true;
    }
    return false;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void find_page(struct admin_request *request, const char *url)
{
    for (size_t i = 0; i < PAGES; i++)
        if (strcmp(url, pages[i].path) == 0)
            request->page = &pages[i];
}

static void reply_not_found(struct admin_request *request)
{
    json_t *paths = json_array();
    for (size_t i = 0; i < PAGES; i++)
        json_array_append_new(paths, json_string(pages[i].path));
    admin_reply_json(request, MHD_HTTP_NOT_FOUND,
                     json_pack("{s:s, s:o}", "error", "there is no such page", "expected", paths));
}

static void reply_wrong_method(struct admin_request *request)
{
    bool removes = request->page->remove != NULL;
    admin_reply_error(request, MHD_HTTP_METHOD_NOT_ALLOWED, "the page has no such method",
                      removes ? "GET, HEAD or DELETE" : "GET or HEAD");
    if (request->response)
        MHD_add_response_header(request->response, MHD_HTTP_HEADER_ALLOW,
                                removes ? "GET, HEAD, DELETE" : "GET, HEAD");
}

static void decide(const struct admin *admin, struct admin_request *request, const char *method)
{
    bool reads =
        strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    request->removes = strcmp(method, MHD_HTTP_METHOD_DELETE) == 0;
    request->status = MHD_HTTP_OK;
    if (!request->page)
        reply_not_found(request);
    else if (!reads && !(request->removes && request->page->remove))
        reply_wrong_method(request);
    else if (request->question || is_allowed(admin, request))
        (request->removes ? request->page->remove : request->page->make)(request);
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **context_of_request)
{
    const struct admin *admin = context;
    struct admin_request *request = *context_of_request;
    (void)version;
    (void)upload;
    if (!request) { /* the head alone has been read */
        request = calloc(1, sizeof(*request));
        *context_of_request = request;
        if (!request)
            return MHD_NO;
        request->control = admin->control;
        request->wake = admin->wake;
        request->connection = connection;
        find_page(request, url);
        return MHD_YES;
    }
    request->uploaded += *upload_size;
    if (*upload_size) {
        *upload_size = 0;
        return request->uploaded <= ADMIN_BODY_MAX ? MHD_YES : MHD_NO;
    }
    bool was_asked = request->question != NULL;
    decide(admin, request, method);
    if (!request->response) /* suspended until a worker answers, or lost */
        return request->question && !was_asked ? MHD_YES : MHD_NO;
    enum MHD_Result result = MHD_queue_response(connection, request->status, request->response);
    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

static void completed(void *context, struct MHD_Connection *connection, void **context_of_request,
                      enum MHD_RequestTerminationCode code)
{
    struct admin_request *request = *context_of_request;
    (void)context;
    (void)connection;
    (void)code;
    if (request)
        admin_question_free(request->question);
    free(request);
    *context_of_request = NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Not libmicrohttpd's own thread: that goes on with requests while the server is being stopped, and
 * then one that is malformed is answered without an answer, through a null pointer. */
static void *run(void *context)
{
    struct admin *admin = context;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct pollfd waiting[] = {{.fd = info->epoll_fd, .events = POLLIN},
                               {.fd = admin->end, .events = POLLIN},
                               {.fd = admin->wake, .events = POLLIN}};
    eventfd_t ignored;
    pthread_setname_np(pthread_self(), "admin");
    while (!waiting[1].revents) {
        MHD_UNSIGNED_LONG_LONG left = ADMIN_WAIT_MAX;
        MHD_get_timeout(admin->daemon, &left);
        poll(waiting, 3, left < ADMIN_WAIT_MAX ? (int)left : ADMIN_WAIT_MAX);
        eventfd_read(admin->wake, &ignored);
        MHD_run(admin->daemon);
    }
    return NULL;
}

/* What suspends ends by a message; without, by a shutdown of the listener, which would end that of
 * the next process as well where a service manager holds it. */
static struct MHD_Daemon *start_daemon(struct admin *admin, int listener)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer, admin,
                            MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
                            ADMIN_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, ADMIN_TIMEOUT,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)ADMIN_CONNECTION_BYTES,
                            MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
}

static void free_admin(struct admin *admin)
{
    if (admin->daemon)
        MHD_stop_daemon(admin->daemon); /* closes the listener */
    if (admin->end >= 0)
        close(admin->end);
    if (admin->wake >= 0)
        close(admin->wake);
    free(admin);
}

struct admin *admin_start(int listener, const struct control *control, struct slice token_file)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    if (!admin) {
        close(listener);
        return NULL;
    }
    admin->control = control;
    admin->token_file = token_file;
    admin->end = eventfd(0, EFD_CLOEXEC);
    admin->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    admin->daemon = start_daemon(admin, listener);
    if (!admin->daemon)
        close(listener);
    if (admin->end >= 0 && admin->wake >= 0 && admin->daemon &&
        pthread_create(&admin->thread, NULL, run, admin) == 0)
        return admin;
    free_admin(admin);
    return NULL;
}

void admin_stop(struct admin *admin)
{
    if (!admin)
        return;
    eventfd_write(admin->end, 1);
    pthread_join(admin->thread, NULL);
    free_admin(admin);
}
