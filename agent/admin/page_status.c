/* The page for people at /. There is no data in it: it asks the other pages, with the token if
 * there is one. */
#include "agent/admin/page.h"

void page_status(struct admin_request *request)
{
    admin_reply_static(request, "text/html; charset=utf-8", status_page_text);
    if (!request->response)
        return;
    MHD_add_response_header(request->response, "Content-Security-Policy", status_page_policy);
    MHD_add_response_header(request->response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(request->response, "X-Frame-Options", "DENY");
}
