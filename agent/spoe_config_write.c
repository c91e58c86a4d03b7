#include <stdarg.h>

#include "agent/spoe_config.h"

#define HTTP_ENGINE "sluice"
#define TCP_ENGINE  "sluice-tcp"
#define SPOE_PATH   "/etc/haproxy/spoe-sluice.conf"

#define NAMES_SHOWN 3

static bool has_phase(const struct spoe_model *model, enum spoe_phase phase)
{
    for (size_t i = 0; i < model->message_count; i++)
        if (model->messages[i].phase == phase)
            return true;
    return false;
}

static bool answers(const struct spoe_model *model, enum rules_answer variable)
{
    return model->sets[0]->settings.answer & 1u << variable;
}

/* ---- the agents' file ---------------------------------------------------------------------- */

/* "login, client and 2 more". */
static size_t write_rules_of(const struct spoe_model *model, size_t set, size_t count,
                             const struct spoe_message *message, struct slice argument, FILE *out)
{
    const struct rules_set *rules = model->sets[set];
    uint32_t last = UINT32_MAX;
    for (const struct rules_use *use = rules_uses(rules); use; use = use->next) {
        if (use->rule == last || !spoe_model_reads(model, set, use, message, argument))
            continue;
        last = use->rule;
        if (count++ < NAMES_SHOWN)
            fprintf(out, "%s%.*s%s", count > 1 ? ", " : "",
                    SLICE_ARGS(rules->rules[use->rule].name), set ? " of the candidate" : "");
    }
    return count;
}

static void write_rules(const struct spoe_model *model, const struct spoe_message *message,
                        struct slice argument, FILE *out)
{
    size_t count = 0;
    for (size_t set = 0; set < model->set_count; set++)
        count = write_rules_of(model, set, count, message, argument, out);
    if (count > NAMES_SHOWN)
        fprintf(out, " and %zu more", count - NAMES_SHOWN);
    if (count == 0)
        fputs("the log", out);
}

static void write_argument(const struct spoe_model *model, const struct spoe_message *message,
                           struct slice name, FILE *out)
{
    struct spoe_source source;
    spoe_source_find(name, message->phase, &source);
    fprintf(out, "    # %.*s, for ", SLICE_ARGS(name));
    write_rules(model, message, name, out);
    if (source.note)
        fprintf(out, ": %s", source.note);
    if (!source.expression[0])
        fprintf(out, "; not to be had with this message\n");
    else if (source.to_fill_in)
        fprintf(out, "; to be filled in, in HAProxy's own file\n    args %.*s=%s\n",
                SLICE_ARGS(name), source.expression);
    else
        fprintf(out, "\n    args %.*s=%s\n", SLICE_ARGS(name), source.expression);
}

static void write_message(const struct spoe_model *model, size_t at, FILE *out)
{
    const struct spoe_message *message = &model->messages[at];
    fprintf(out, "\nspoe-message %s\n", message->name);
    for (size_t i = 0; i < message->argument_count; i++)
        write_argument(model, message, message->arguments[i], out);
    if (message->phase == SPOE_CONNECTION)
        fprintf(out, "    event on-frontend-tcp-request\n");
    else
        fprintf(out, "\nspoe-group %s\n    messages %s\n", message->name, message->name);
}

static void write_agent(const struct spoe_model *model, bool tcp, FILE *out)
{
    const char *engine = tcp ? TCP_ENGINE : HTTP_ENGINE;
    fprintf(out, "[%s]\n\nspoe-agent %s\n    %s", engine, engine, tcp ? "messages" : "groups");
    for (size_t i = 0; i < model->message_count; i++)
        if ((model->messages[i].phase == SPOE_CONNECTION) == tcp)
            fprintf(out, " %s", model->messages[i].name);
    fprintf(out, "\n    use-backend sluice\n"
                 "    option var-prefix sluice\n"
                 "    register-var-names");
    for (int i = 0; i < RULES_ANSWERS; i++)
        if (answers(model, (enum rules_answer)i))
            fprintf(out, " %.*s", SLICE_ARGS(rules_answer_name((enum rules_answer)i)));
    fprintf(out, "\n"
                 "    option set-on-error error\n"
                 "    option continue-on-error\n"
                 "    no option send-frag-payload\n"
                 "    timeout processing 50ms\n"
                 "    timeout hello 50ms\n"
                 "    timeout idle 2m\n"
                 "    log global\n"
                 "    option dontlog-normal\n");
    for (size_t i = 0; i < model->message_count; i++)
        if ((model->messages[i].phase == SPOE_CONNECTION) == tcp)
            write_message(model, i, out);
}

void spoe_write_agents(const struct spoe_model *model, FILE *out)
{
    bool tcp = has_phase(model, SPOE_CONNECTION);
    bool http = has_phase(model, SPOE_REQUEST) || has_phase(model, SPOE_RESPONSE);
    fprintf(out, "# What HAProxy asks sluice, for these rules: " SPOE_PATH "\n"
                 "# haproxy/spoe-sluice.conf says why each line of an agent is there.\n\n");
    if (http)
        write_agent(model, false, out);
    if (tcp && http)
        fprintf(out, "\n\n");
    if (tcp)
        write_agent(model, true, out);
}

/* ---- HAProxy's own ------------------------------------------------------------------------- */

void spoe_line(const struct spoe_proxies *p, const char *format, ...)
{
    char text[2 * SPOE_EXPRESSION_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(p->out, "%s%s\n", p->prefix, text);
}

void spoe_blank_line(const struct spoe_proxies *p)
{
    fprintf(p->out, "%s\n", p->prefix[0] == '#' ? "#" : "");
}

/* Whether an earlier message has had the same rule of HAProxy written. */
static bool is_written(const struct spoe_proxies *p, size_t message, struct slice name,
                       const char *rule)
{
    struct spoe_source source;
    for (size_t i = 0; i < message; i++) {
        const struct spoe_message *other = &p->model->messages[i];
        for (size_t a = 0; a < other->argument_count; a++) {
            if (!slice_equal(other->arguments[a], name))
                continue;
            spoe_source_find(name, other->phase, &source);
            if (strcmp(source.rule, rule) == 0)
                return true;
        }
    }
    return false;
}

/* The variables that arguments of messages with this phase are read from. */
static void write_variables(const struct spoe_proxies *p, enum spoe_phase phase)
{
    for (size_t i = 0; i < p->model->message_count; i++) {
        const struct spoe_message *message = &p->model->messages[i];
        for (size_t a = 0; message->phase == phase && a < message->argument_count; a++) {
            struct spoe_source source;
            struct slice name = message->arguments[a];
            spoe_source_find(name, phase, &source);
            if (!source.rule[0] || is_written(p, i, name, source.rule))
                continue;
            if (source.to_fill_in)
                spoe_line(p, "    # TO FILL IN, where %.*s comes from:", SLICE_ARGS(name));
            spoe_line(p, "    %s%s", source.to_fill_in ? "# " : "", source.rule);
        }
    }
}

static void write_globals(const struct spoe_proxies *p)
{
    const char *written = NULL;
    for (size_t i = 0; i < p->model->message_count; i++) {
        const struct spoe_message *message = &p->model->messages[i];
        for (size_t a = 0; a < message->argument_count; a++) {
            struct spoe_source source;
            spoe_source_find(message->arguments[a], message->phase, &source);
            if (!source.global || !source.expression[0] || written)
                continue;
            spoe_line(p, "global");
            spoe_line(p, "    %s", source.global);
            spoe_blank_line(p);
            written = source.global;
        }
    }
}

static void write_pause(const struct spoe_proxies *p)
{
    bool wanted = false;
    const struct rules_set *set = p->model->sets[0];
    for (size_t i = 0; i < set->rule_count; i++)
        wanted = wanted || set->rules[i].mode == RULES_DELAY;
    if (!wanted || !answers(p->model, RULES_ANSWER_DELAY_MS))
        return;
    if (p->version->has_pause)
        spoe_line(
            p, "    http-request pause var(txn.sluice.delay_ms) if { var(txn.sluice.delay_ms) -m "
               "found }");
    else
        spoe_line(p, "    # mode: delay needs HAProxy 3.2, which can hold requests back.");
}

static void write_question(const struct spoe_proxies *p, const char *message)
{
    bool rule = answers(p->model, RULES_ANSWER_RULE);
    bool retry = answers(p->model, RULES_ANSWER_RETRY_AFTER);
    spoe_line(p, "    http-request send-spoe-group " HTTP_ENGINE " %s", message);
    spoe_write_remembering(p);
    spoe_line(p, "    # Without an answer the request passes; to refuse it:");
    spoe_line(p, "    # http-request deny deny_status 503 if { var(txn.sluice.error) -m found }");
    spoe_line(p,
              "    http-request deny deny_status 429 content-type text/plain lf-string \"Too many "
              "requests%s.\\n\"%s if { var(txn.sluice.deny) -m bool }",
              rule ? ", by the rule %[var(txn.sluice.rule)]" : "",
              retry ? " hdr Retry-After \"%[var(txn.sluice.retry_after)]\"" : "");
    write_pause(p);
}

static void write_headers(const struct spoe_proxies *p)
{
    static const struct {
        enum rules_answer variable;
        const char *header;
    } headers[] = {
        {RULES_ANSWER_RATELIMIT, "RateLimit"},
        {RULES_ANSWER_RATELIMIT_POLICY, "RateLimit-Policy"},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct slice name = rules_answer_name(headers[i].variable);
        if (answers(p->model, headers[i].variable))
            spoe_line(p,
                      "    http-after-response set-header %s \"%%[var(txn.sluice.%.*s)]\" if { "
                      "var(txn.sluice.%.*s) -m found }",
                      headers[i].header, SLICE_ARGS(name), SLICE_ARGS(name));
    }
}

/* By which a request is found in both logs, and what HAProxy's can say of it. */
static void write_names(const struct spoe_proxies *p)
{
    static const enum rules_answer logged[] = {RULES_ANSWER_RULE, RULES_ANSWER_SOURCE,
                                               RULES_ANSWER_REMAINING, RULES_ANSWER_SHADOW};
    char text[SPOE_EXPRESSION_MAX];
    struct writer w = writer_open(text, sizeof(text));
    for (size_t i = 0; i < sizeof(logged) / sizeof(logged[0]); i++) {
        struct slice name = rules_answer_name(logged[i]);
        if (!answers(p->model, logged[i]))
            continue;
        writer_bytes(&w, name);
        writer_bytes(&w, SLICE("=%[var(txn.sluice."));
        writer_bytes(&w, name);
        writer_bytes(&w, SLICE(")] "));
    }
    spoe_line(p, "    unique-id-format %%[uuid()]");
    spoe_line(p, "    # At the end of your log-format:");
    spoe_line(p, "    # %.*serror=%%[var(txn.sluice.error)] id=%%ID", SLICE_ARGS(writer_slice(&w)));
}

static void write_http(const struct spoe_proxies *p)
{
    const struct spoe_model *model = p->model;
    spoe_line(p, "# Yours, with these lines among its http-request rules.");
    spoe_line(p, "frontend www");
    spoe_line(p, "    mode http");
    spoe_line(p, "    bind :80");
    spoe_line(p, "    timeout client 30s");
    spoe_line(p, "    timeout http-request 10s");
    write_names(p);
    spoe_line(p, "    http-request del-header X-Request-ID");
    spoe_line(p, "    unique-id-header X-Request-ID");
    spoe_line(p, "    http-after-response set-header X-Request-ID %%[unique-id]");
    spoe_line(p, "    filter spoe engine " HTTP_ENGINE " config " SPOE_PATH);
    write_variables(p, SPOE_REQUEST);
    write_variables(p, SPOE_RESPONSE);
    spoe_write_remembered(p);
    for (size_t i = 0; i < model->message_count; i++)
        if (model->messages[i].phase == SPOE_REQUEST)
            write_question(p, model->messages[i].name);
    for (size_t i = 0; i < model->message_count; i++)
        if (model->messages[i].phase == SPOE_RESPONSE)
            spoe_line(p, "    http-response send-spoe-group " HTTP_ENGINE " %s",
                      model->messages[i].name);
    write_headers(p);
    spoe_line(p, "    # default_backend api");
    spoe_blank_line(p);
}

static void write_tcp(const struct spoe_proxies *p)
{
    spoe_line(p, "# Yours, for what isn't HTTP.");
    spoe_line(p, "frontend tcp");
    spoe_line(p, "    mode tcp");
    spoe_line(p, "    bind :5432");
    spoe_line(p, "    timeout client 30s");
    write_names(p);
    spoe_line(p, "    filter spoe engine " TCP_ENGINE " config " SPOE_PATH);
    write_variables(p, SPOE_CONNECTION);
    spoe_line(p, "    # Without an answer the connection passes; to refuse it:");
    spoe_line(p, "    # tcp-request content reject if { var(txn.sluice.error) -m found }");
    spoe_line(p, "    tcp-request content reject if { var(txn.sluice.deny) -m bool }");
    spoe_line(p, "    # default_backend servers");
    spoe_blank_line(p);
}

/* The first address that sluice listens on; the others are the same agent. */
static void write_server(const struct spoe_proxies *p)
{
    const struct endpoint *endpoint = &p->model->sets[0]->settings.listeners[0].endpoint;
    bool anywhere = endpoint->host.size == 0;
    bool is_ipv6 = !anywhere && memchr(endpoint->host.data, ':', endpoint->host.size);
    switch (endpoint->kind) {
    case ENDPOINT_UNIX:
        spoe_line(p, "    # HAProxy looks for it below its chroot, if it has one.");
        spoe_line(p, "    server sluice1 unix@%.*s", SLICE_ARGS(endpoint->path));
        return;
    case ENDPOINT_ABSTRACT:
        spoe_line(p, "    server sluice1 abns@%.*s", SLICE_ARGS(endpoint->path));
        return;
    case ENDPOINT_TCP:
        break;
    }
    if (anywhere)
        spoe_line(p, "    # Where the agent is, if not on this machine:");
    if (!endpoint->port)
        spoe_line(p, "    # The rule file leaves the port to the system: TO FILL IN for 9000.");
    spoe_line(p, "    server sluice1 %s%.*s%s:%u", is_ipv6 ? "[" : "",
              SLICE_ARGS(anywhere ? SLICE("127.0.0.1") : endpoint->host), is_ipv6 ? "]" : "",
              endpoint->port ? endpoint->port : 9000u);
}

void spoe_write_proxies(const struct spoe_model *model, const struct spoe_version *version,
                        const char *prefix, FILE *out)
{
    const struct spoe_proxies p = {model, version, prefix, out};
    spoe_line(&p, "# For HAProxy %s; haproxy/haproxy.cfg says why each line is there.",
              version->name);
    spoe_blank_line(&p);
    write_globals(&p);
    if (has_phase(model, SPOE_REQUEST) || has_phase(model, SPOE_RESPONSE))
        write_http(&p);
    if (has_phase(model, SPOE_CONNECTION))
        write_tcp(&p);
    spoe_write_refusals(&p);
    spoe_line(&p, "backend sluice");
    spoe_line(&p, "    mode %s", version->has_spop ? "spop" : "tcp");
    spoe_line(&p, "    option redispatch 1");
    spoe_line(&p, "    retries 2");
    spoe_line(&p, "    option spop-check");
    spoe_line(&p, "    timeout connect 20ms");
    spoe_line(&p, "    timeout server 3m");
    spoe_line(&p,
              "    default-server check inter 1s fastinter 100ms downinter 100ms fall 2 rise 1");
    spoe_line(&p, "    default-server observe layer4 error-limit 3 on-error mark-down");
    spoe_line(&p, "    default-server on-marked-down shutdown-sessions");
    write_server(&p);
}
