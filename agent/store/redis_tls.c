/* TLS by hiredis_ssl and OpenSSL. hiredis moves the bytes; that the server is who it should be is
 * set up here, on an SSL object of our own, for hiredis_ssl checks chains but no names. */
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "agent/store/redis_tls.h"

/* So much of a path is shown, and of a name in an error. */
#define SHOWN_MAX 120

struct redis__tls {
    SSL_CTX *context;
    char server_name[ENDPOINT_HOST_MAX + 1]; /* empty: each server's own */
};

const char *redis_access_lacks_tls(void)
{
    return NULL;
}

/* ---- what went wrong ----------------------------------------------------------------------- */

/* Empties the thread's queue of errors, in which a later call would find them, and writes the one
 * that says most: on_verify's, else the first. False when there is none. */
static bool take_error(char *text, size_t size)
{
    bool found = false;
    bool final = false;
    unsigned long code;
    const char *data;
    int flags;
    while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
        bool ours = ERR_GET_LIB(code) == ERR_LIB_USER;
        if (found && (final || !ours))
            continue;
        const char *reason =
            ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
        snprintf(text, size, "%s", ours ? data : reason ? reason : "unknown error");
        found = true;
        final = ours;
    }
    return found;
}

bool redis__tls_explain(char why[REDIS_WHY_MAX])
{
    char text[REDIS_WHY_MAX - sizeof("TLS: ")];
    if (!take_error(text, sizeof(text)))
        return false;
    snprintf(why, REDIS_WHY_MAX, "TLS: %s", text);
    return true;
}

/* Says which check of the certificate failed: OpenSSL itself says only that one did. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    if (!good) {
        int error = X509_STORE_CTX_get_error(store);
        const char *name = error == X509_V_ERR_HOSTNAME_MISMATCH
                               ? X509_VERIFY_PARAM_get0_host(X509_STORE_CTX_get0_param(store), 0)
                               : NULL;
        ERR_raise_data(ERR_LIB_USER, 1, "the server's certificate is refused: %s%s%.*s",
                       X509_verify_cert_error_string(error), name ? ", expected " : "", SHOWN_MAX,
                       name ? name : "");
    }
    return good;
}

/* ---- opening ------------------------------------------------------------------------------- */

static bool refuse(const char *key, struct slice path, char why[REDIS_WHY_MAX])
{
    char reason[80];
    bool cut = path.size > SHOWN_MAX;
    if (!take_error(reason, sizeof(reason)))
        snprintf(reason, sizeof(reason), "can't be used");
    if (cut)
        path.size = SHOWN_MAX;
    snprintf(why, REDIS_WHY_MAX, "tls.%s \"%.*s%s\": %s", key, SLICE_ARGS(path), cut ? "..." : "",
             reason);
    return false;
}

/* An encrypted key is an error, not a question at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static bool load(const struct rules_store *store, SSL_CTX *context, char why[REDIS_WHY_MAX])
{
    char ca[4096];
    char certificate[sizeof(ca)];
    char key[sizeof(ca)];
    snprintf(ca, sizeof(ca), "%.*s", SLICE_ARGS(store->tls_ca));
    snprintf(certificate, sizeof(certificate), "%.*s", SLICE_ARGS(store->tls_certificate));
    snprintf(key, sizeof(key), "%.*s", SLICE_ARGS(store->tls_key));
    if (!*ca && SSL_CTX_set_default_verify_paths(context) != 1) {
        snprintf(why, REDIS_WHY_MAX, "tls: the system's certificates can't be read");
        return false;
    }
    if (*ca && SSL_CTX_load_verify_file(context, ca) != 1)
        return refuse("ca", store->tls_ca, why);
    if (*certificate && SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return refuse("certificate", store->tls_certificate, why);
    if (*key && (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
                 SSL_CTX_check_private_key(context) != 1))
        return refuse("key", store->tls_key, why);
    return true;
}

struct redis__tls *redis__tls_open(const struct rules_store *store, char why[REDIS_WHY_MAX])
{
    struct redis__tls *tls = calloc(1, sizeof(*tls));
    SSL_CTX *context = tls ? SSL_CTX_new(TLS_client_method()) : NULL;
    ERR_clear_error();
    if (!context) {
        snprintf(why, REDIS_WHY_MAX, "out of memory");
        redis__tls_close(tls);
        return NULL;
    }
    tls->context = context;
    snprintf(tls->server_name, sizeof(tls->server_name), "%.*s",
             SLICE_ARGS(store->tls_server_name));
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* Replies say where they end: one that was cut off is never taken for whole. */
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    if (!load(store, context, why)) {
        redis__tls_close(tls);
        return NULL;
    }
    return tls;
}

void redis__tls_close(struct redis__tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

/* ---- a connection -------------------------------------------------------------------------- */

/* Who the server must be; names are also told to it (SNI), addresses may not be (RFC 6066). */
static bool expect(SSL *ssl, const char *host)
{
    struct value address;
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
    if (value_parse_address(slice_of_string(host), &address))
        return X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

bool redis__tls_start(const struct redis__tls *tls, redisContext *redis, const char *host,
                      char why[REDIS_WHY_MAX])
{
    SSL *ssl = SSL_new(tls->context);
    ERR_clear_error();
    if (!ssl || !expect(ssl, *tls->server_name ? tls->server_name : host)) {
        if (!redis__tls_explain(why))
            snprintf(why, REDIS_WHY_MAX, "TLS: out of memory");
        SSL_free(ssl);
        return false;
    }
    if (redisInitiateSSL(redis, ssl) == REDIS_OK)
        return true; /* now redis's */
    if (!redis__tls_explain(why)) {
        /* Only a blocking connection fails for want of bytes: when its time-out has passed. */
        int error = SSL_get_error(ssl, -1);
        bool late = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
        snprintf(why, REDIS_WHY_MAX, "%s", late ? "no answer in time" : redis->errstr);
    }
    SSL_free(ssl);
    return false;
}
