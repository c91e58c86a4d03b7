/* The rule file: YAML text in, an immutable compiled rule set out; matching a request's values
 * against it; and the keys of the limits that apply.
 *
 * A set is written once by rules_load and read by any number of threads until rules_free; so is all
 * that it points to. No function here does I/O, reads a clock or keeps a pointer to its input.
 */
#pragma once

#include "base/base.h"
#include "rules/limit/limit.h"

/* Bounds of one rule file. Exceeding one is an error at load, with its line. */
#define RULES_FILE_MAX      (16u << 20) /* bytes of text */
#define RULES_MAX_RULES     100000
#define RULES_MAX_LIMITS    8      /* of one rule */
#define RULES_MAX_COUNTERS  32     /* algorithms and windows that differ, of one rule */
#define RULES_MAX_TIERS     256    /* of one rule */
#define RULES_MAX_OVERRIDES 100000 /* of one rule */
#define RULES_MAX_KEY_PARTS 8      /* of one rule */
#define RULES_MAX_SLOTS     256    /* distinct argument names of a set */
#define RULES_MAX_MESSAGES  64     /* distinct message names of a set */
#define RULES_MAX_LISTENERS 16
#define RULES_MAX_NODES     256
#define RULES_NAME_MAX      64  /* bytes of a rule's, limit's or argument's name */
#define RULES_PREFIX_MAX    64  /* bytes of store.prefix */
#define RULES_INSTANCE_MAX  253 /* bytes of store.instance_id: a Kubernetes pod's name fits */
#define RULES_PROBLEMS_MAX  100
#define RULES_MAX_FILES     1000        /* different ones that a rule file reads */
#define RULES_FILES_MAX     (64u << 20) /* bytes of all of them; of each, RULES_FILE_MAX */
#define RULES_PATH_MAX      1023        /* bytes of a file's name */
#define RULES_VALUES_MAX    1000000     /* lines of a file of values that say something */
#define RULES_VARIABLE_MAX  128         /* bytes of a variable's name */
#define RULES_EXPANDED_MAX  16384       /* bytes of a value with its variables put in */

/* Bounds of regular expressions. Matching one takes time in proportion to the steps and, at worst,
 * to the text's length: what goes past either bound doesn't hold, and is counted. */
#define RULES_MAX_REGEXES        10000 /* different ones of a set */
#define RULES_REGEX_MAX          4096  /* bytes of one */
#define RULES_REGEX_TEXT_MAX     8192  /* bytes of a text that one is looked for in */
#define RULES_REGEX_STEPS_MAX    20000 /* of one match: PCRE2's match limit */
#define RULES_REGEX_OVERRUNS_MAX 4     /* of one message: then its other regexes don't hold */

/* ---- what the file says -------------------------------------------------------------------- */

/* What answers in place of the store when it can't, or not in time. */
enum rules_fallback {
    RULES_FALLBACK_LOCAL, /* the agent's own memory store; where that is what failed, allow */
    RULES_FALLBACK_ALLOW,
    RULES_FALLBACK_DENY,
};

enum rules_store_mode {
    RULES_STORE_MEMORY,   /* the agent's own: nothing is shared */
    RULES_STORE_SINGLE,   /* one Redis server */
    RULES_STORE_SENTINEL, /* a primary that Sentinels know, and its replicas */
    RULES_STORE_KETAMA,   /* independent servers; libketama's consistent hashing places keys */
    RULES_STORE_CLUSTER,  /* Redis Cluster */
    RULES_STORE_MODES,
};

/* What a rule does where its limits refuse. */
enum rules_mode {
    RULES_ENFORCE, /* the request is refused */
    RULES_SHADOW,  /* it is counted and reported, and passes */
    RULES_DELAY, /* it is to wait for its units, rules_rule.max_delay at most; else it is refused */
};

/* How a rule's units are taken from a store that agents share. */
enum rules_consistency {
    RULES_EXACT,  /* each request is charged before it is answered */
    RULES_LEASED, /* units are taken ahead and spent without asking; those not spent go back */
};

/* The variables an answer can hold, in the order in which they are sent and in which the last give
 * way when a frame is too small. RULES_ANSWER_ALLOW and _DENY are always sent. */
#define RULES_ANSWER_TABLE(X)                                                                      \
    X(ALLOW, "allow")                                                                              \
    X(DENY, "deny")                                                                                \
    X(RETRY_AFTER, "retry_after")                                                                  \
    X(RETRY_AT, "retry_at")                                                                        \
    X(DELAY_MS, "delay_ms")                                                                        \
    X(RULE, "rule")                                                                                \
    X(SOURCE, "source")                                                                            \
    X(LIMIT, "limit")                                                                              \
    X(REMAINING, "remaining")                                                                      \
    X(RESET, "reset")                                                                              \
    X(RATELIMIT, "ratelimit")                                                                      \
    X(RATELIMIT_POLICY, "ratelimit_policy")                                                        \
    X(SHADOW, "shadow")

enum rules_answer {
#define RULES_ANSWER_ENUM(name, text) RULES_ANSWER_##name,
    RULES_ANSWER_TABLE(RULES_ANSWER_ENUM)
#undef RULES_ANSWER_ENUM
    RULES_ANSWERS,
};

struct rules_listener {
    struct endpoint endpoint;
    uint32_t mode; /* permission bits of a unix socket; 0 when the file says nothing */
};

/* A server of store.nodes. */
struct rules_node {
    struct slice name; /* the address as it is written: ketama places a server by it */
    struct slice host; /* a name or address, without brackets; a unix socket's path if port is 0 */
    uint16_t port;
    uint32_t weight; /* 1..RULES_WEIGHT_MAX; 1 but where mode is ketama */
};

#define RULES_WEIGHT_MAX 1000000

/* Where keys are kept. Durations in microseconds. Texts that are not empty are followed by a NUL
 * and hold none. */
struct rules_store {
    enum rules_store_mode mode;

    /* The agent's own memory store, also where it stands in for another. */
    uint64_t max_keys;   /* default 1,000,000 */
    uint64_t log_memory; /* bytes that sliding logs may take in all; default 64 MiB */

    const struct rules_node *nodes; /* [node_count]; of mode sentinel, the Sentinels */
    size_t node_count;          /* memory 0, single 1, else 1..RULES_MAX_NODES; no two the same */
    struct slice master;        /* sentinel: what the Sentinels call the primary */
    struct slice prefix;        /* of every key; printable ASCII without '{' and '}', may be empty;
                                 * default "sluice:" */
    uint64_t deadline;          /* of one decision, 1ms..10s, default 10ms */
    uint64_t connect_timeout;   /* to connect and be greeted, or to be told the topology; 10ms..60s,
                                 * default 1s */
    uint64_t heartbeat;         /* an agent says this often that it lives; 100ms..60s, default 1s */
    unsigned breaker_failures;  /* so many ... 1..32, default 5 */
    uint64_t breaker_within;    /* ... within this open it; 1ms..1h, default 10s */
    uint64_t breaker_pause;     /* then it rests; 1ms..1h, default 1s */
    uint64_t breaker_max_pause; /* what pauses grow to; breaker_pause..1h, default 30s */
    /* Of the servers that keep keys; all empty: none. A user without a password there is none, and
     * of the password's two sources at most one. */
    struct slice user;          /* empty: Redis's default user */
    struct slice password_file; /* a path */
    struct slice password_env;  /* the name of an environment variable */
    /* Of the Sentinels, likewise. */
    struct slice sentinel_user;
    struct slice sentinel_password_file;
    struct slice sentinel_password_env;
    bool tls;                     /* towards all of them */
    struct slice tls_ca;          /* a file; empty: the system's */
    struct slice tls_certificate; /* a file, with tls_key; both empty: none */
    struct slice tls_key;
    struct slice tls_server_name; /* SNI; empty: the server's own name */
    struct slice instance_id;     /* at most RULES_INSTANCE_MAX bytes; empty: the agent makes one */
};

struct rules_settings {
    struct rules_listener listeners[RULES_MAX_LISTENERS];
    size_t listener_count; /* >= 1 */
    bool has_admin;
    struct endpoint admin; /* of TCP always with a host: the loopback's where none is said */
    uint32_t admin_mode;   /* as rules_listener.mode */
    struct slice admin_token_file; /* a path, followed by a NUL; empty: none */
    unsigned workers;              /* 0: one for each processor */

    struct rules_store store;

    uint32_t answer; /* bit 1 << enum rules_answer for each variable to send; default all */

    uint32_t max_connections; /* of the whole agent; default 4096 */
    uint32_t max_frame_size;  /* default 65532, what HAProxy with 64 KiB buffers announces */
    uint64_t idle_timeout;    /* microseconds; 0: none; default 10m */
    uint64_t hello_timeout;   /* microseconds; default 10s */
    uint64_t drain_timeout;   /* microseconds; default 10s */

    uint32_t denial_log; /* lines a second about refused requests; 0: none, the default */
};

enum rules_action {
    RULES_ACTION_LIMIT,
    RULES_ACTION_ALLOW, /* bypass: nothing after it is consulted */
    RULES_ACTION_DENY,  /* the request is refused, and nothing after it is consulted */
};

/* What the file says, for people: as one line of YAML, cut to RULES_WORDS_MAX bytes; valid UTF-8
 * without control characters. Empty: nothing. */
#define RULES_WORDS_MAX 400
struct rules_words {
    struct slice match;
    struct slice key;
    struct slice tiers;
    struct slice overrides;
    struct slice cost;
    struct slice charge;
    struct slice penalty;
};

struct rules_rule;

struct rules_limit {
    struct limit limit;
    const struct rules_rule *rule;
    /* What it counts in has no name in common with what another limit counts in. At most
     * RULES_NAME_MAX bytes, and safe inside a quoted header value: the name given, or the rule's
     * name; where a rule has limits of several windows or algorithms, with '-' and the window
     * ("login-15m"), and with '-' and the algorithm where two have the same window. Of a penalty,
     * with "-penalty-count" and "-penalty". */
    struct slice name;
    struct slice
        policy; /* RateLimit-Policy's value: "login";q=5;w=900 (w in seconds, at least 1) */
    /* Of the rule's name, the algorithm and the window, and whether the rules are a candidate's.
     * Not of the units: a limit that is raised or lowered by a reload goes on with its counts. */
    struct hash128 identity;
    /* The same as text, for a store that others read: "login:sliding-window-15m", or
     * "login:penalty-count-1m" and "login:penalty-10m" of a penalty; of a candidate's rules with
     * "candidate:" before it. At most RULES_STORE_NAME_MAX bytes; letters, digits, '.', '_', '-'
     * and that one ':', or those two. */
    struct slice store_name;
    /* Mode delay only, whose limits are token buckets: limit.burst is the burst and what max_delay
     * refills, rounded down, so that what is granted may pass within max_delay; and this is the
     * burst alone, which may pass at once. */
    uint64_t burst_at_once;
};

#define RULES_STORE_NAME_MAX 112

/* Limits that apply together. None: what has them isn't limited. */
struct rules_limit_list {
    const struct rules_limit *limits;
    size_t count;
};

#define RULES_ENFORCE_ALL 10000
#define RULES_DELAY_MIN   UINT64_C(1000)     /* 1ms */
#define RULES_DELAY_MAX   UINT64_C(60000000) /* 1m */

struct rules_rule {
    struct slice name;
    uint32_t index; /* in rules_set.rules */
    uint32_t file;  /* where it stands: in rules_set.file_names */
    uint32_t line;
    uint32_t column;
    enum rules_action action;
    enum rules_fallback on_store_error;
    enum rules_consistency consistency; /* default exact */
    /* Whether a request that one limit denies is charged on the others that would have granted it.
     * Default: it isn't. */
    bool charge_denied;
    enum rules_mode mode;
    uint64_t max_delay; /* RULES_DELAY_MIN..RULES_DELAY_MAX, of mode delay; else 0 */
    /* Of RULES_ENFORCE_ALL: the part of the subjects for which the mode is kept; default all. For
     * the others the rule is as in mode shadow. Whom it is kept for follows from the rule's name
     * and the subject's text alone: in each agent it is the same, and who is of a part is of each
     * larger one. */
    uint32_t enforce_parts;
    /* It is checked where its message and match say, and charged at another message: by the hits of
     * kind RULES_HIT_CHARGE. */
    bool charged_later;
    /* A subject refused more often than a sliding window admits is to stay refused for the window
     * of a sliding log of 1 unit; both NULL: there is no penalty. They are none of the lists. */
    const struct rules_limit *penalty_count;
    const struct rules_limit *penalty_mark;
    /* All that can apply: its own limits or those of its tiers, and of its overrides. A hit has
     * those that do. */
    const struct rules_limit_list *lists;
    size_t list_count;
    /* The one of these that applies where no tier and no override does. */
    const struct rules_limit *limits;
    size_t limit_count;
    const struct rules_words *words;

    /* For rules/ only. */
    int32_t message; /* -1: every message */
    const struct rules__condition *conditions;
    size_t condition_count;
    const struct rules__key_part *key;
    size_t key_count;
    const struct rules__charge *charge;   /* NULL, unless charged_later */
    const struct rules__cost *cost;       /* NULL: 1 */
    const struct rules__tiers *tiers;     /* NULL: none */
    const struct rules__names *overrides; /* keys to the index of a list; NULL: none */
};

struct rules_set {
    struct rules_settings settings;
    const struct rules_rule *rules;
    size_t rule_count;
    size_t limit_count; /* of all rules, with their tiers and overrides */
    size_t slot_count;
    const struct slice *slot_names; /* [slot_count] */
    const struct slice *file_names; /* [file_count]: what was read, the rule file (empty) first */
    size_t file_count;

    /* For rules/ only. */
    struct rules__index *index;
    struct arena arena;
    struct arena conditions; /* of rules, and their keys: apart, so that what is read together is
                              * together */
    uint64_t seed;
};

/* ---- loading ------------------------------------------------------------------------------- */

struct rules_problem {
    size_t line; /* from 1; 0: not of the file, but of the overrides */
    size_t column;
    struct slice text;    /* "what, expected what" */
    struct slice file;    /* one that the rule file reads, by the name that rules_path takes; empty:
                           * the rule file */
    uint32_t file_number; /* in the order in which they were read */
};

/* What is wrong with a file and those that it reads, in the order of files and lines. Freed by
 * rules_report_free. */
struct rules_report {
    struct rules_problem problems[RULES_PROBLEMS_MAX];
    size_t count;
    size_t omitted; /* found past RULES_PROBLEMS_MAX */
    struct arena arena;
    struct slice *file_names; /* by number; for rules/ only */
    /* What the rule file calls its candidate, by the name that rules_path takes, if that was wanted
     * and could be read; else empty. Also where something else is wrong. */
    struct slice candidate;
};

/* Compiles a rule file. seed makes key hashes unpredictable to those who send requests; take it
 * from the system's random source, or a constant in tests. Returns NULL with at least one problem
 * in the report when anything at all is wrong; the report is initialised here and must be freed
 * either way. */
struct rules_set *rules_load(struct slice text, uint64_t seed, struct rules_report *report);

/* What the environment says in place of the file; empty: nothing. Problems name the variables. */
struct rules_overrides {
    struct slice mode;        /* RULES_MODE_VARIABLE: store.mode */
    struct slice nodes;       /* RULES_NODES_VARIABLE: store.nodes, with ',' or blanks between */
    struct slice instance_id; /* RULES_INSTANCE_VARIABLE: store.instance_id */
};

#define RULES_MODE_VARIABLE     "DISTRIBUTED_REDIS_MODE"
#define RULES_NODES_VARIABLE    "REDIS_CLUSTER_NODES"
#define RULES_INSTANCE_VARIABLE "INSTANCE_ID"

/* Names of files, each followed by a NUL, in the order of their bytes. */
struct rules_file_names {
    const char *const *names;
    size_t count;
};

/* What a rule file may ask of where it stands. What is returned stays until loading is over. */
struct rules_environment {
    struct rules_overrides overrides;
    void *context;
    /* What a variable says, of which a value in the file is made: ${NAME}, or ${NAME:-DEFAULT}
     * where it may be unset (data NULL) or empty. `name` has 1..RULES_VARIABLE_MAX letters, digits
     * and '_'. NULL itself: none is set. */
    struct slice (*variable)(void *context, const char *name);
    /* Reads a file that the rule file names: `name` is relative to the rule file's folder, or
     * begins with '/' (rules_path). Of one that has more than RULES_FILE_MAX bytes, so much that
     * this shows. NULL, or a static string that says why not. It is called once for each name that
     * can be read. NULL itself: no file can be read. */
    const char *(*read_file)(void *context, const char *name, struct slice *text);
    /* The files in a folder that a pattern matches, by names that read_file takes. `pattern` is
     * such a name with wildcards behind its last '/', as fnmatch has them; those do not match a '.'
     * that a name begins with. Of more than RULES_MAX_FILES, so many that this shows. NULL, or a
     * static string that says why the folder can't be read. NULL itself: none can. */
    const char *(*list_files)(void *context, const char *pattern, struct rules_file_names *names);
    /* Whether the file that the rule file calls its candidate is read, and told by the report; it
     * is for the caller to load. */
    bool wants_candidate;
    /* This is such a file: nothing of its limits has a name or identity in common with those of a
     * file that is none, and a candidate of its own is an error. */
    bool is_candidate;
};

/* rules_load, in an environment. File and overrides together have to be right; but where mode is
 * overridden, what the file says for the sake of another mode is passed over. */
struct rules_set *rules_load_with(struct slice text, uint64_t seed,
                                  const struct rules_environment *environment,
                                  struct rules_report *report);

/* The path of a file that the rule file at `rule_file` names, cut to size. */
void rules_path(const char *rule_file, struct slice name, char *out, size_t size);

/* Accepts NULL. */
void rules_free(struct rules_set *set);

/* "FILE:LINE:COLUMN: WHAT, expected WHAT", or "environment: WHAT, expected WHAT", without a
 * newline, NUL-terminated and cut to size. file: the rule file's path. */
void rules_problem_print(const struct rules_problem *problem, const char *file, char *out,
                         size_t size);
void rules_report_free(struct rules_report *report);

/* "250ms", "10s", "15m", "1h", "1d" into microseconds: digits and one unit. False when it is
 * anything else or overflows. And back, in the largest unit that is exact. */
bool rules_parse_duration(struct slice text, uint64_t *microseconds);
void rules_print_duration(uint64_t microseconds, struct writer *w);

/* The word of a variable of the answer. */
struct slice rules_answer_name(enum rules_answer answer);

/* "memory", "single", ...; a static string. */
const char *rules_store_mode_name(enum rules_store_mode mode);

/* Whether all settings are the same. */
bool rules_store_equal(const struct rules_store *a, const struct rules_store *b);

/* ---- matching ------------------------------------------------------------------------------ */

/* Where a message's argument goes in the values array; -1 when no rule reads it. */
int rules_slot(const struct rules_set *set, struct slice argument);

/* What rules_match wants for a message of this name; -1 when no rule names it (rules that name no
 * message still apply). */
int rules_message(const struct rules_set *set, struct slice name);

enum rules_hit_kind {
    RULES_HIT_LIMIT,  /* its limits apply, to `subject` */
    RULES_HIT_ALLOW,  /* action: allow; always the last hit */
    RULES_HIT_DENY,   /* action: deny: refused, nothing is counted; always the last hit */
    RULES_HIT_NO_KEY, /* it matched, but a key argument is absent: it doesn't apply; to be counted
                       */
    RULES_HIT_CHARGE, /* the message at which a rule with charged_later is charged: nothing is
                       * refused */
};

struct rules_hit {
    const struct rules_rule *rule;
    struct hash128 subject; /* of the key arguments' values */
    /* LIMIT and CHARGE only: what applies to this message, which is the rule's limits, or those of
     * a tier or an override. Lives as long as the set. None: it is allowed without limit. */
    const struct rules_limit *limits;
    size_t limit_count;
    uint64_t cost; /* 1..LIMIT_UNITS_MAX: the units of each limit */
    enum rules_hit_kind kind;
    /* False: mode shadow, or not of the part that is enforced. It is counted and reported and never
     * refused. */
    bool enforced;
};

/* What one thread matches with: all the room that this takes, so that matching allocates nothing.
 */
struct rules_matcher;

/* For a set, which outlives it. NULL when out of memory. */
struct rules_matcher *rules_matcher_create(const struct rules_set *set);
void rules_matcher_free(struct rules_matcher *matcher); /* accepts NULL */

/* How many regular expressions it gave up, at a bound of RULES_REGEX_. */
uint64_t rules_regex_overruns(const struct rules_matcher *matcher);

/* Which rules apply to a message, in file order. values has slot_count entries, VALUE_NULL where an
 * argument was not sent; hits has room for rule_count. Returns the number of hits. Brings the
 * values into the form in which they are compared and counted; points to them until the next call.
 *
 * Numbers are compared and counted by value, whatever their width; binary as text; an IPv4-mapped
 * IPv6 address as IPv4. Text that looks like a number or an address is text, but for cidr and for
 * key arguments with a prefix length, which read addresses from it. */
size_t rules_match(struct rules_matcher *matcher, int message, struct value *values,
                   struct rules_hit *hits);

/* The name of the file that a rule stands in; empty: the rule file itself. */
static inline struct slice rules_file_of(const struct rules_set *set, const struct rules_rule *rule)
{
    return rule->file ? set->file_names[rule->file] : slice_of(NULL, 0);
}

/* The rule of this name; NULL: there is none. */
const struct rules_rule *rules_find(const struct rules_set *set, struct slice name);

/* What applying one rule to these values comes to, whether it matches them or not. Does to the
 * values what rules_match does. */
void rules_apply(struct rules_matcher *matcher, const struct rules_rule *rule, struct value *values,
                 struct rules_hit *hit);

/* The key of one limit of a subject: what a store counts under. */
static inline struct hash128 rules_key(const struct rules_limit *limit, struct hash128 subject)
{
    return (struct hash128){limit->identity.low ^ subject.low, limit->identity.high ^ subject.high};
}

/* ---- keys as text -------------------------------------------------------------------------- */

#define RULES_SUBJECT_MAX 160

/* Whom a rule counts, as text: what a store keeps under it is shared by agents that run this or
 * another version, so the format doesn't change. values are those with which the rule was hit
 * (RULES_HIT_LIMIT). Writes 1..RULES_SUBJECT_MAX bytes of visible ASCII without '{' and '}', or,
 * where the writer has no room for them, nothing. Two texts of a rule are equal exactly when the
 * subjects' hashes are. No allocation.
 *
 * The key's parts, with ',' between them; "*" for a rule with an empty key. A part is
 *     a number       7, -7
 *     a bool         true, false
 *     an address     192.0.2.1, 2001:db8::1 (RFC 5952), and behind a prefix length that cuts it
 *                    /24, /64
 *     a text         =acme: letters, digits and -._~/@+=?&; as they are, other bytes as %XX
 *     a text of more than RULES_SUBJECT_TEXT bytes when so written
 *                    =HEAD#HEX: what fits RULES_SUBJECT_HEAD bytes of it, and the first 128 bits of
 *                    the SHA-256 of its bytes
 *     with hash: true
 *                    #HEX: the first 128 bits of the SHA-256 of '=' and a text's bytes, or of what
 *                    another value would be written as
 * What is longer than RULES_SUBJECT_MAX in all is HEAD!HEX: its first bytes, and the first 128 bits
 * of the SHA-256 of all of them. (Requests choose these texts: a hash that isn't cryptographic, and
 * whose seed all agents know, would let one be counted as another.) */
void rules_subject_text(const struct rules_rule *rule, const struct value *values,
                        struct writer *w);

/* The same in two steps: of the values, those that the text is made of, a copy of one for each of
 * the rule's key_count parts, to be written later or not at all. They point to what the values
 * point to. */
void rules_subject_parts(const struct rules_rule *rule, const struct value *values,
                         struct value *parts);
void rules_subject_write(const struct rules_rule *rule, const struct value *parts,
                         struct writer *w);

/* The reverse: sets the values, of the key's arguments alone, that are counted under a text. What
 * they need is written to `room`, of which RULES_SUBJECT_MAX bytes are enough. False when it is no
 * text of the rule's, or doesn't say all, being hashed or cut. */
bool rules_subject_parse(const struct rules_rule *rule, struct slice text, struct value *values,
                         struct writer *room);

#define RULES_SUBJECT_TEXT 64
#define RULES_SUBJECT_HEAD 31
