#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/admin.h"
#include "agent/metrics.h"

/* Bounds for all clients together: they share one thread and can hold no more than this. */
#define ADMIN_CONNECTIONS      64
#define ADMIN_TIMEOUT          10 /* seconds */
#define ADMIN_CONNECTION_BYTES 32768

struct admin {
    struct MHD_Daemon *daemon;
    const struct control *control;
};

struct page {
    const char *path;
    struct MHD_Response *(*make)(const struct control *control, unsigned *status);
};

static struct MHD_Response *text(const char *body)
{
    return MHD_create_response_from_buffer(strlen(body), (void *)body, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *make_metrics(const struct control *control, unsigned *status)
{
    char *body = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&body, &size);
    (void)status;
    if (!stream)
        return NULL;
    metrics_write(control, stream);
    if (fclose(stream) != 0) {
        free(body);
        return NULL;
    }
    return MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
}

static struct MHD_Response *make_health(const struct control *control, unsigned *status)
{
    (void)control;
    (void)status;
    return text("ok\n");
}

static struct MHD_Response *make_ready(const struct control *control, unsigned *status)
{
    bool serving = atomic_load(&control->counters.serving);
    if (!serving)
        *status = MHD_HTTP_SERVICE_UNAVAILABLE;
    return text(serving ? "ready\n" : "not serving\n");
}

static const struct page pages[] = {
    {"/metrics", make_metrics},
    {"/health", make_health},
    {"/ready", make_ready},
};

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **request)
{
    const struct admin *admin = context;
    unsigned status = MHD_HTTP_NOT_FOUND;
    struct MHD_Response *response = NULL;
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)request;

    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        status = MHD_HTTP_METHOD_NOT_ALLOWED;
        response = text("only GET and HEAD\n");
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    for (size_t i = 0; !response && i < sizeof(pages) / sizeof(pages[0]); i++) {
        if (strcmp(url, pages[i].path) != 0)
            continue;
        status = MHD_HTTP_OK;
        response = pages[i].make(admin->control, &status);
        if (!response)
            return MHD_NO;
    }
    if (!response)
        response = text("not found: there are /metrics, /health and /ready\n");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            "text/plain; version=0.0.4; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

struct admin *admin_start(int listener, const struct control *control)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    if (admin) {
        admin->control = control;
        /* With ITC it ends by a message; without, by a shutdown of the listener, which would end
         * that of the next process as well where a service manager holds it. */
        admin->daemon = MHD_start_daemon(
            MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC, 0, NULL, NULL, answer,
            admin, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
            ADMIN_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, ADMIN_TIMEOUT,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)ADMIN_CONNECTION_BYTES, MHD_OPTION_END);
        if (admin->daemon)
            return admin;
    }
    close(listener);
    free(admin);
    return NULL;
}

void admin_stop(struct admin *admin)
{
    if (!admin)
        return;
    MHD_stop_daemon(admin->daemon);
    free(admin);
}
