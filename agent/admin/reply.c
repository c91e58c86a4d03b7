#include <inttypes.h>
#include <stdlib.h>

#include "agent/admin/page.h"

#define TEXT_TYPE "text/plain; charset=utf-8"
#define JSON_TYPE "application/json"

/* Bytes of a text that JSON tells of. */
#define SHOWN_MAX 1024

static void reply(struct admin_request *request, unsigned status, const char *type,
                  struct MHD_Response *response)
{
    if (!response)
        return;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    request->status = status;
    request->response = response;
}

void admin_reply_text(struct admin_request *request, unsigned status, const char *text)
{
    reply(request, status, TEXT_TYPE,
          MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT));
}

void admin_reply_static(struct admin_request *request, const char *type, struct slice text)
{
    reply(request, MHD_HTTP_OK, type,
          MHD_create_response_from_buffer(text.size, (void *)text.data, MHD_RESPMEM_PERSISTENT));
}

void admin_reply_bytes(struct admin_request *request, const char *type, char *bytes, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(bytes);
    reply(request, MHD_HTTP_OK, type, response);
}

void admin_reply_json(struct admin_request *request, unsigned status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    size_t size = text ? strlen(text) : 0;
    json_decref(json);
    if (!text)
        return;
    text[size++] = '\n'; /* in place of the NUL */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(text);
    reply(request, status, JSON_TYPE, response);
}

void admin_reply_error(struct admin_request *request, unsigned status, const char *what,
                       const char *expected)
{
    admin_reply_json(request, status, json_pack("{s:s, s:s}", "error", what, "expected", expected));
}

json_t *admin_number(uint64_t number)
{
    return number <= INT64_MAX ? json_integer((json_int_t)number) : json_real((double)number);
}

json_t *admin_seconds(uint64_t microseconds)
{
    return json_real((double)microseconds / 1e6);
}

json_t *admin_text(struct slice text)
{
    char shown[4 * SHOWN_MAX];
    struct writer w = writer_open(shown, sizeof(shown));
    struct value value = {.type = VALUE_STRING, .bytes = text};
    if (value.bytes.size > SHOWN_MAX)
        value.bytes.size = SHOWN_MAX;
    value_print(&value, &w);
    struct slice printed = writer_slice(&w);
    return json_stringn((const char *)printed.data, printed.size);
}

bool admin_read_number(struct admin_request *request, const char *name, uint64_t most,
                       uint64_t *number)
{
    char expected[96];
    const char *text =
        MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
    if (!text || (slice_to_uint64(slice_of_string(text), number) && *number <= most))
        return true;
    snprintf(expected, sizeof(expected), "%s=N, a whole number from 0 to %" PRIu64, name, most);
    admin_reply_error(request, MHD_HTTP_BAD_REQUEST, "an argument is no number in range", expected);
    return false;
}
