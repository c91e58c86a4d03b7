/* What a page of the admin server is made of. Internal to agent/admin/. */
#pragma once

#include <jansson.h>
#include <microhttpd.h>

#include "agent/admin/admin.h"
#include "agent/engine/inquiry.h"
#include "agent/question.h"

struct admin_request;

struct page {
    const char *path;
    /* Whether a client that doesn't know the token may have it, where there is one. */
    bool is_open;
    /* Answers, or says that it will: with a response, or without one where a worker was asked and
     * `make` is called again once it has answered. No response otherwise: out of memory. */
    void (*make)(struct admin_request *request);
    /* The same for DELETE; NULL: there is no such thing. Always wants the token. */
    void (*remove)(struct admin_request *request);
};

/* What a client asks of a worker. */
struct admin_question;

struct admin_request {
    const struct page *page;
    const struct control *control;
    struct MHD_Connection *connection;
    int wake;                        /* an eventfd, to be written to once a suspended one goes on */
    bool removes;                    /* the method is DELETE */
    size_t uploaded;                 /* bytes of a body, which no page has a use for */
    struct admin_question *question; /* NULL: no worker has been asked */

    struct MHD_Response *response;
    unsigned status; /* MHD_HTTP_OK unless a page says otherwise */
};

/* ---- reply.c: what pages answer with ------------------------------------------------------- */

/* Text that lives as long as the process. */
void admin_reply_text(struct admin_request *request, unsigned status, const char *text);

/* The same of any type. */
void admin_reply_static(struct admin_request *request, const char *type, struct slice text);

/* Takes the text, which free frees. */
void admin_reply_bytes(struct admin_request *request, const char *type, char *bytes, size_t size);

/* Takes the JSON; NULL: out of memory. */
void admin_reply_json(struct admin_request *request, unsigned status, json_t *json);

/* {"error": WHAT, "expected": WHAT}. */
void admin_reply_error(struct admin_request *request, unsigned status, const char *what,
                       const char *expected);

/* A number that JSON's integers may be too small for. */
json_t *admin_number(uint64_t number);
json_t *admin_seconds(uint64_t microseconds);

/* A number of the query, which stays as it is where there is none of this name. False, and
 * answered, where it is none, or more than `most`. */
bool admin_read_number(struct admin_request *request, const char *name, uint64_t most,
                       uint64_t *number);

/* Text that may hold any bytes: what isn't printable ASCII comes as \xNN. */
json_t *admin_text(struct slice text);

/* ---- question.c: what workers are asked ------------------------------------------------------ */

/* Asks by the request's arguments: with rule=NAME, that rule alone, about the subject of key=TEXT
 * or of the other arguments; else all rules, as a message of message=NAME would be
 * (sluice-request). Answers the request itself where they are wrong. An argument that is really
 * called so is written with its type: rule:string=VALUE. */
void admin_ask(struct admin_request *request, enum inquiry_kind kind);

/* What the workers said, once request->question is there and the page is called again. Where it is
 * nothing of use, answers the request itself and returns NULL. */
const struct inquiry *admin_answer(struct admin_request *request);

/* What was asked, for the page to tell of. */
const struct spop_argument *admin_arguments(const struct admin_request *request, size_t *count);
struct slice admin_message(const struct admin_request *request);
struct slice admin_rule(const struct admin_request *request);

/* Accepts NULL. */
void admin_question_free(struct admin_question *question);

/* ---- the pages ------------------------------------------------------------------------------- */

/* Made of status/ when this was built (embed_page.cmake): HTML, and the Content-Security-Policy
 * that it is served with. */
extern const struct slice status_page_text;
extern const char status_page_policy[];

void page_status(struct admin_request *request);
void page_metrics(struct admin_request *request);
void page_health(struct admin_request *request);
void page_ready(struct admin_request *request);
void page_health_distributed(struct admin_request *request);
void page_stats(struct admin_request *request);
void page_rules(struct admin_request *request);
void page_top(struct admin_request *request);
void page_explain(struct admin_request *request);
void page_key(struct admin_request *request);
void page_key_reset(struct admin_request *request);
