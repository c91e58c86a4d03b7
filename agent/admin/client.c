#include "agent/admin/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/admin/admin.h"
#include "agent/socket.h"

#define HEAD_MAX 32768

void admin_escape(struct slice text, struct writer *w)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            writer_uint8(w, c);
        } else {
            writer_uint8(w, '%');
            writer_uint8(w, (uint8_t)hex[c >> 4]);
            writer_uint8(w, (uint8_t)hex[c & 15]);
        }
    }
}

/* Until the server closes. False: with errno. */
static bool receive_all(int fd, char **text, size_t *size)
{
    size_t room = 0;
    *text = NULL;
    *size = 0;
    for (;;) {
        if (*size + 1 >= room) {
            room = room ? 2 * room : 65536;
            char *larger = room <= 2 * ADMIN_ANSWER_MAX ? realloc(*text, room) : NULL;
            if (!larger) {
                errno = EMSGSIZE;
                return false;
            }
            *text = larger;
        }
        ssize_t got = recv(fd, *text + *size, room - *size - 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        *size += (size_t)got;
    }
    (*text)[*size] = '\0';
    return true;
}

static json_t *read_answer(const char *text, size_t size, unsigned *status, char *why)
{
    const char *body = strstr(text, "\r\n\r\n");
    static const char line[] = "HTTP/1.x NNN";
    uint64_t code;
    if (size < sizeof(line) - 1 || strncmp(text, line, 7) != 0 || !body ||
        !slice_to_uint64(slice_of(text + 9, 3), &code)) {
        snprintf(why, ADMIN_WHY_MAX, "the answer isn't HTTP: is it an admin address?");
        return NULL;
    }
    body += 4;
    json_t *json = json_loadb(body, size - (size_t)(body - text), 0, NULL);
    if (status)
        *status = (unsigned)code;
    if (!json) {
        snprintf(why, ADMIN_WHY_MAX, "the answer (status %u) isn't JSON", (unsigned)code);
        return NULL;
    }
    if (code == 200 || status)
        return json;
    const char *error = json_string_value(json_object_get(json, "error"));
    const char *expected = json_string_value(json_object_get(json, "expected"));
    snprintf(why, ADMIN_WHY_MAX, "status %u: %.250s, expected %.250s", (unsigned)code,
             error ? error : "?", expected ? expected : "?");
    json_decref(json);
    return NULL;
}

static bool write_request(const char *path, const char *token_file, struct writer *w, char *why)
{
    char token[ADMIN_TOKEN_MAX + 1];
    const char *problem = token_file ? admin_read_token(slice_of_string(token_file), token) : NULL;
    if (problem) {
        snprintf(why, ADMIN_WHY_MAX, "%.200s: %s", token_file, problem);
        return false;
    }
    /* Of HTTP/1.0, so that the answer comes in one piece and the connection's end is its end. */
    writer_bytes(w, SLICE("GET "));
    writer_bytes(w, slice_of_string(path));
    writer_bytes(w, SLICE(" HTTP/1.0\r\nHost: sluice\r\n"));
    if (token_file) {
        writer_bytes(w, SLICE("Authorization: Bearer "));
        writer_bytes(w, slice_of_string(token));
        writer_bytes(w, SLICE("\r\n"));
    }
    writer_bytes(w, SLICE("\r\n"));
    if (w->error)
        snprintf(why, ADMIN_WHY_MAX, "the question is too long");
    return !w->error;
}

json_t *admin_fetch(const struct endpoint *endpoint, const char *path, const char *token_file,
                    int timeout_ms, unsigned *status, char why[ADMIN_WHY_MAX])
{
    uint8_t bytes[HEAD_MAX];
    struct writer w = writer_open(bytes, sizeof(bytes));
    char connect_why[SOCKET_WHY_MAX];
    char *text = NULL;
    size_t size;
    json_t *json = NULL;
    if (!write_request(path, token_file, &w, why))
        return NULL;
    int fd = socket_connect(endpoint, timeout_ms, connect_why);
    if (fd < 0) {
        snprintf(why, ADMIN_WHY_MAX, "%s", connect_why);
        return NULL;
    }
    if (!socket_send_all(fd, writer_slice(&w)) || !receive_all(fd, &text, &size))
        snprintf(why, ADMIN_WHY_MAX, "no answer: %s",
                 errno == EAGAIN ? "timed out" : strerror(errno));
    else
        json = read_answer(text, size, status, why);
    free(text);
    close(fd);
    return json;
}
