#include "agent/spoe_config.h"

/* What has to be there before HAProxy can take a sample. */
enum need {
    NEED_NOTHING, /* of the connection: there in every phase */
    NEED_REQUEST,
    NEED_RESPONSE,
};

/* Well-known names. Expressions are those that HAProxy 2.6, 3.0 and 3.2 have alike. */
static const struct known {
    const char *name;
    const char *expression; /* NULL: of a rule's variable */
    enum need need;
    const char *note;
} known[] = {
    {"src", "src", NEED_NOTHING, NULL},
    {"src_port", "src_port", NEED_NOTHING, NULL},
    {"dst", "dst", NEED_NOTHING, NULL},
    {"dst_port", "dst_port", NEED_NOTHING, NULL},
    {"frontend", "fe_name", NEED_NOTHING, NULL},
    {"request_id", "unique-id", NEED_NOTHING, "what unique-id-format makes"},

    {"method", "method", NEED_REQUEST, NULL},
    {"path", "path", NEED_REQUEST,
     "as the client wrote it; path,url_dec where the application decodes"},
    {"query", "query", NEED_REQUEST, NULL},
    {"url", "url", NEED_REQUEST, NULL},
    {"http_version", "req.ver", NEED_REQUEST, NULL},
    {"host", "req.hdr(host),host_only,lower", NEED_REQUEST, "without the port, in lower case"},
    {"authority", "req.hdr(host)", NEED_REQUEST, NULL},
    {"user_agent", "req.fhdr(user-agent)", NEED_REQUEST, NULL},
    {"referer", "req.fhdr(referer)", NEED_REQUEST, NULL},
    {"origin", "req.hdr(origin)", NEED_REQUEST, NULL},
    {"accept", "req.fhdr(accept)", NEED_REQUEST, NULL},
    {"accept_language", "req.fhdr(accept-language)", NEED_REQUEST, NULL},
    {"content_type", "req.fhdr(content-type)", NEED_REQUEST, NULL},
    {"content_length", "req.hdr_val(content-length)", NEED_REQUEST, "a number"},
    {"cookie", "req.fhdr(cookie)", NEED_REQUEST, NULL},
    {"authorization", "req.fhdr(authorization)", NEED_REQUEST,
     "a secret: `hash: true` where it is part of a key"},
    {"api_key", "req.hdr(x-api-key)", NEED_REQUEST,
     "a secret: `hash: true` where it is part of a key"},
    {"bearer", "http_auth_bearer", NEED_REQUEST,
     "a secret: `hash: true` where it is part of a key"},
    {"user", "http_auth_user", NEED_REQUEST, "of basic authentication, which nobody has checked"},
    {"real_ip", "req.hdr_ip(x-real-ip)", NEED_REQUEST,
     "only if your own proxy sets it: a client can send any"},
    {"forwarded_for", "req.hdr_ip(x-forwarded-for,-1)", NEED_REQUEST,
     "the last one; only if your own proxy sets it: a client can send any"},
    {"body_size", "req.body_size", NEED_REQUEST, "a number"},

    {"status", "status", NEED_RESPONSE, "a number"},

    {"ssl", "ssl_fc", NEED_NOTHING, "true or false"},
    {"ssl_sni", "ssl_fc_sni", NEED_NOTHING, NULL},
    {"ssl_version", "ssl_fc_protocol", NEED_NOTHING, "as in TLSv1.3"},
    {"ssl_cipher", "ssl_fc_cipher", NEED_NOTHING, NULL},
    {"ssl_alpn", "ssl_fc_alpn", NEED_NOTHING, NULL},
    {"client_cert", "ssl_c_used", NEED_NOTHING, "true or false"},
    {"client_cert_dn", "ssl_c_s_dn", NEED_NOTHING, NULL},
    {"client_cert_cn", "ssl_c_s_dn(cn)", NEED_NOTHING, NULL},
    {"client_cert_issuer", "ssl_c_i_dn", NEED_NOTHING, NULL},
    {"client_cert_serial", "ssl_c_serial,hex", NEED_NOTHING, NULL},
    {"client_cert_sha1", "ssl_c_sha1,hex", NEED_NOTHING, NULL},
    {"client_cert_verify", "ssl_c_verify", NEED_NOTHING, "a number, 0 if it is good"},
};

/* The same under other names that people use. */
static const char *const also[][2] = {
    {"ip", "src"},
    {"client_ip", "src"},
    {"port", "dst_port"},
    {"sni", "ssl_sni"},
    {"tls", "ssl"},
    {"tls_sni", "ssl_sni"},
    {"tls_version", "ssl_version"},
    {"tls_cipher", "ssl_cipher"},
    {"tls_alpn", "ssl_alpn"},
    {"alpn", "ssl_alpn"},
    {"ua", "user_agent"},
    {"agent", "user_agent"},
    {"referrer", "referer"},
    {"x_forwarded_for", "forwarded_for"},
    {"x_real_ip", "real_ip"},
    {"x_api_key", "api_key"},
    {"client_dn", "client_cert_dn"},
    {"client_cn", "client_cert_cn"},
    {"tls_fingerprint", "ja3"},
    {"ssl_fingerprint", "ja3"},
    {"response_status", "status"},
    {"unique_id", "request_id"},
};

/* Names made of a word and what it is about. */
static const struct family {
    const char *prefix;
    const char *expression; /* with %s for the rest of the name */
    bool dashes;            /* "x_api_key" is about x-api-key */
    enum need need;
    const char *note;
} families[] = {
    {"header_", "req.fhdr(%s)", true, NEED_REQUEST, NULL},
    {"cookie_", "req.cook(%s)", false, NEED_REQUEST, NULL},
    {"param_", "urlp(%s)", false, NEED_REQUEST, "of the query, as the client wrote it"},
    {"jwt_", "http_auth_bearer,jwt_payload_query('$.%s')", false, NEED_REQUEST,
     "which anybody can write: check the token with jwt_verify before"},
    {"response_header_", "res.fhdr(%s)", true, NEED_RESPONSE, NULL},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define JA3_GLOBAL "tune.ssl.capture-buffer-size 192"

/* A variable for an argument; names may have characters that variables' names may not. */
static const char *variable_of(struct slice name, enum spoe_phase phase, char *buffer, size_t size)
{
    /* The event of a connection comes before the rules that a transaction's variables are set by.
     */
    int begun = snprintf(buffer, size, "%s.sluice_arg.", phase == SPOE_CONNECTION ? "sess" : "txn");
    size_t at = (size_t)begun;
    for (size_t i = 0; i < name.size && at + 1 < size; i++) {
        uint8_t c = name.data[i];
        buffer[at++] = (char)(c == '-' || c == ':' ? '_' : c);
    }
    buffer[at] = 0;
    return buffer;
}

static const char *setter_of(enum spoe_phase phase)
{
    return phase == SPOE_CONNECTION ? "tcp-request session" : "http-request";
}

/* JA3 is a digest of what the client's TLS hello offers; see HAProxy's manual,
 * ssl_fc_protocol_hello_id. */
static void set_ja3(enum spoe_phase phase, const char *variable, struct spoe_source *source)
{
    snprintf(source->expression, sizeof(source->expression), "var(%s),digest(md5),hex,lower",
             variable);
    snprintf(source->rule, sizeof(source->rule),
             "http-request set-var-fmt(%s) %%[ssl_fc_protocol_hello_id],"
             "%%[ssl_fc_cipherlist_bin(1),be2dec(-,2)],%%[ssl_fc_extlist_bin(1),be2dec(-,2)],"
             "%%[ssl_fc_eclist_bin(1),be2dec(-,2)],%%[ssl_fc_ecformats_bin,be2dec(-,1)] "
             "if { ssl_fc }",
             variable);
    source->global = JA3_GLOBAL;
    source->note = "JA3 of the client's TLS";
    if (phase == SPOE_CONNECTION) /* no session rule sets a variable by a format in 2.6 */
        source->expression[0] = source->rule[0] = 0;
}

static void fill_in(enum spoe_phase phase, const char *variable, const char *suggestion,
                    struct spoe_source *source)
{
    source->to_fill_in = true;
    snprintf(source->expression, sizeof(source->expression), "var(%s)", variable);
    snprintf(source->rule, sizeof(source->rule), "%s set-var(%s) %s", setter_of(phase), variable,
             suggestion);
}

/* What can be had now is sampled now; what only the request had is kept until the response. */
static void sample(enum need need, enum spoe_phase phase, const char *variable,
                   const char *expression, struct spoe_source *source)
{
    bool is_there = need == NEED_NOTHING || (need == NEED_REQUEST && phase == SPOE_REQUEST) ||
                    (need == NEED_RESPONSE && phase == SPOE_RESPONSE);
    if (is_there) {
        snprintf(source->expression, sizeof(source->expression), "%s", expression);
    } else if (need == NEED_REQUEST && phase == SPOE_RESPONSE) {
        snprintf(source->expression, sizeof(source->expression), "var(%s)", variable);
        snprintf(source->rule, sizeof(source->rule), "http-request set-var(%s) %s", variable,
                 expression);
    }
}

static const struct known *find_known(struct slice name)
{
    for (size_t i = 0; i < COUNT(known); i++)
        if (slice_equal(name, slice_of_string(known[i].name)))
            return &known[i];
    return NULL;
}

static const struct family *find_family(struct slice name)
{
    for (size_t i = 0; i < COUNT(families); i++) {
        struct slice prefix = slice_of_string(families[i].prefix);
        if (name.size > prefix.size && slice_has_prefix(name, prefix))
            return &families[i];
    }
    return NULL;
}

static void sample_family(const struct family *family, struct slice name, enum spoe_phase phase,
                          const char *variable, struct spoe_source *source)
{
    char rest[RULES_NAME_MAX + 1];
    char expression[SPOE_EXPRESSION_MAX];
    size_t size = 0;
    for (size_t i = strlen(family->prefix); i < name.size && size < RULES_NAME_MAX; i++)
        rest[size++] = (char)(family->dashes && name.data[i] == '_' ? '-' : name.data[i]);
    rest[size] = 0;
    const char *place = strstr(family->expression, "%s");
    snprintf(expression, sizeof(expression), "%.*s%s%s", (int)(place - family->expression),
             family->expression, rest, place + 2);
    source->note = family->note;
    sample(family->need, phase, variable, expression, source);
}

struct slice spoe_usual_name(struct slice name)
{
    for (size_t i = 0; i < COUNT(also); i++)
        if (slice_equal(name, slice_of_string(also[i][0])))
            return slice_of_string(also[i][1]);
    return name;
}

void spoe_source_find(struct slice name, enum spoe_phase phase, struct spoe_source *source)
{
    char variable[RULES_NAME_MAX + 32];
    struct slice usual = spoe_usual_name(name);
    const struct known *row = find_known(usual);
    const struct family *family = find_family(usual);
    *source = (struct spoe_source){0};
    variable_of(name, phase, variable, sizeof(variable));
    if (row) {
        source->note = row->note;
        sample(row->need, phase, variable, row->expression, source);
    } else if (slice_equal(usual, SLICE("ja3"))) {
        set_ja3(phase, variable, source);
    } else if (slice_equal(usual, SLICE("country"))) {
        source->note = "of a map of networks, a line each: 192.0.2.0/24 CH";
        fill_in(phase, variable, "src,map_ip(/etc/haproxy/country.map)", source);
    } else if (family) {
        sample_family(family, usual, phase, variable, source);
    } else {
        fill_in(phase, variable, phase == SPOE_CONNECTION ? "str(?)" : "req.hdr(?)", source);
    }
}

bool spoe_is_address(struct slice name)
{
    static const char *const names[] = {"src", "dst", "real_ip", "forwarded_for"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (slice_equal(spoe_usual_name(name), slice_of_string(names[i])))
            return true;
    return false;
}

bool spoe_is_of_response(struct slice name)
{
    struct slice usual = spoe_usual_name(name);
    const struct known *row = find_known(usual);
    const struct family *family = find_family(usual);
    return row ? row->need == NEED_RESPONSE : family && family->need == NEED_RESPONSE;
}
