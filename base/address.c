#include "base/base.h"

static bool parse_path(struct slice rest, struct endpoint *endpoint, const char **expected)
{
    bool abstract = rest.size > 0 && rest.data[0] == '@';
    endpoint->kind = abstract ? ENDPOINT_ABSTRACT : ENDPOINT_UNIX;
    endpoint->path = abstract ? slice_from(rest, 1) : rest;
    if (endpoint->path.size == 0 || (!abstract && rest.data[0] != '/')) {
        *expected = "an absolute path, as in unix:///run/sluice/spop.sock, or unix://@name";
        return false;
    }
    if (endpoint->path.size > ENDPOINT_PATH_MAX ||
        memchr(endpoint->path.data, 0, endpoint->path.size)) {
        *expected = "a path of at most 107 bytes, the most a unix socket can have";
        return false;
    }
    return true;
}

/* Splits "host:port" and "[v6]:port"; a bare IPv6 address has too many colons to be told apart. */
static bool split_port(struct slice text, struct slice *host, struct slice *port)
{
    if (text.size > 0 && text.data[0] == '[') {
        const uint8_t *close = memchr(text.data, ']', text.size);
        if (!close)
            return false;
        size_t end = (size_t)(close - text.data);
        *host = slice_of(text.data + 1, end - 1);
        *port = slice_from(text, end + 1);
        if (host->size == 0 || port->size == 0 || port->data[0] != ':')
            return false;
        *port = slice_from(*port, 1);
        return true;
    }
    const uint8_t *colon = text.size ? memchr(text.data, ':', text.size) : NULL;
    if (!colon)
        return false;
    size_t at = (size_t)(colon - text.data);
    *host = slice_of(text.data, at);
    *port = slice_from(text, at + 1);
    return port->size > 0 && !memchr(port->data, ':', port->size);
}

bool endpoint_parse(struct slice text, struct endpoint *endpoint, const char **expected)
{
    *endpoint = (struct endpoint){0};
    if (slice_has_prefix(text, SLICE("unix://")))
        return parse_path(slice_from(text, 7), endpoint, expected);

    struct slice rest = slice_has_prefix(text, SLICE("tcp://")) ? slice_from(text, 6) : text;
    struct slice port;
    uint64_t number;
    *expected = "an address, as in tcp://127.0.0.1:9000, tcp://[::1]:9000 or "
                "unix:///run/sluice/spop.sock";
    if (!split_port(rest, &endpoint->host, &port) || endpoint->host.size > ENDPOINT_HOST_MAX)
        return false;
    for (size_t i = 0; i < endpoint->host.size; i++)
        if (endpoint->host.data[i] <= ' ' || endpoint->host.data[i] == '/')
            return false;
    if (!slice_to_uint64(port, &number) || number > UINT16_MAX) {
        *expected = "a port from 0 to 65535";
        return false;
    }
    endpoint->kind = ENDPOINT_TCP;
    endpoint->port = (uint16_t)number;
    return true;
}

void endpoint_print(const struct endpoint *endpoint, struct writer *w)
{
    if (endpoint->kind != ENDPOINT_TCP) {
        writer_bytes(w, SLICE("unix://"));
        if (endpoint->kind == ENDPOINT_ABSTRACT)
            writer_uint8(w, '@');
        writer_bytes(w, endpoint->path);
        return;
    }
    bool brackets = endpoint->host.size && memchr(endpoint->host.data, ':', endpoint->host.size);
    writer_bytes(w, SLICE("tcp://"));
    if (brackets)
        writer_uint8(w, '[');
    writer_bytes(w, endpoint->host);
    if (brackets)
        writer_uint8(w, ']');
    writer_uint8(w, ':');
    writer_decimal(w, endpoint->port);
}
