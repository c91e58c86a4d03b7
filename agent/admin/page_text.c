#include <stdlib.h>

#include "agent/admin/page.h"
#include "agent/metrics.h"

void page_metrics(struct admin_request *request)
{
    char *body = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&body, &size);
    if (!stream)
        return;
    metrics_write(request->control, stream);
    if (fclose(stream) != 0)
        free(body);
    else
        admin_reply_bytes(request, "text/plain; version=0.0.4; charset=utf-8", body, size);
}

void page_health(struct admin_request *request)
{
    admin_reply_text(request, MHD_HTTP_OK, "ok\n");
}

void page_ready(struct admin_request *request)
{
    bool serving = atomic_load(&request->control->counters.serving);
    admin_reply_text(request, serving ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                     serving ? "ready\n" : "not serving\n");
}
