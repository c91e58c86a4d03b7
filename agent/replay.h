/* Running an access log through the rules on the log's own clock. Internal to replay*.c. */
#pragma once

#include <stdio.h>

#include "agent/store/store.h"
#include "rules/explain.h"

struct replay_run;

/* What a line of a log can say: as many as the arguments of two rule files. */
#define REPLAY_FIELDS_MAX ((size_t)2 * RULES_MAX_SLOTS)

#define REPLAY_TABLE ((size_t)4 * REPLAY_FIELDS_MAX)

struct replay_fields {
    struct slice names[REPLAY_FIELDS_MAX]; /* arguments */
    bool seen[REPLAY_FIELDS_MAX];          /* some line has it */
    size_t count;
    uint16_t table[REPLAY_TABLE]; /* by hash: 0, or an index and 1 */
};

/* The index of a name; with `add`, of one more if there is room. -1: there is none. */
int replay_field(struct replay_fields *fields, struct slice name, bool add);

/* A request, as its line says it. Its texts are in the line. */
struct replay_request {
    uint64_t time; /* microseconds since the epoch */
    struct value values[REPLAY_FIELDS_MAX];
};

enum replay_outcome {
    REPLAY_REQUEST,
    REPLAY_NO_REQUEST, /* HAProxy could not read one: nobody was asked */
    REPLAY_UNREADABLE, /* the line isn't of the format: `why` says what was expected */
};

/* What has become of a log. */
struct replay_tally {
    uint64_t lines;
    uint64_t requests;
    uint64_t no_requests;
    uint64_t unreadable;
    uint64_t first_unreadable; /* its line */
    const char *why;           /* what was expected there */
    uint64_t late;             /* requests older by more than a minute than one before */
    uint64_t begin;            /* times of the first request and the last */
    uint64_t end;
    uint64_t refused;
    uint64_t refused_before; /* by the rules to compare with */
    uint64_t refused_by_both;
};

/* ---- replay_report.c ----------------------------------------------------------------------- */

/* against: NULL where nothing is compared. */
void replay_report(const struct replay_tally *tally, const struct replay_fields *fields,
                   const struct replay_run *run, const struct replay_run *against, FILE *out);

/* ---- replay_time.c ------------------------------------------------------------------------- */

/* "24/Nov/2026:17:17:53.123", "24/Nov/2026:17:17:53 +0100", "2026-11-24T17:17:53.123Z" or with
 * another offset, or a number of seconds (or, from 10^11 on, milliseconds) since the epoch; without
 * an offset, UTC. */
bool replay_time(struct slice text, uint64_t *time);

/* ---- replay_format.c ----------------------------------------------------------------------- */

#define REPLAY_HTTP_FORMAT                                                                         \
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq " \
    "%hr %hs %{+Q}r"

#define REPLAY_TOKENS_MAX   128
#define REPLAY_CAPTURES_MAX 16

/* What is a part of another: of a request's line, of a frontend's name. */
enum replay_part {
    REPLAY_METHOD,
    REPLAY_URL,
    REPLAY_PATH,
    REPLAY_QUERY,
    REPLAY_VERSION,
    REPLAY_SSL,
    REPLAY_PARTS,
};

struct replay_token {
    const struct replay_variable *variable; /* NULL: the text alone */
    struct slice argument;                  /* of %[NAME]; else empty */
    int field;                              /* of the fields; -1: none */
    bool quoted;                            /* in double quotes */
    struct slice text;                      /* that stands behind it */
};

/* A log-format of HAProxy's, compiled. */
struct replay_format {
    struct replay_token tokens[REPLAY_TOKENS_MAX];
    size_t count;
    struct replay_fields *fields;      /* that lines of this format have */
    int parts[REPLAY_PARTS];           /* their fields; -1: none */
    int captures[REPLAY_CAPTURES_MAX]; /* of the headers of %hr; -1: none */
    size_t capture_count;
};

/* Compiles a format, which outlives it; `captures`: the arguments of %hr, with ',' between them, or
 * NULL. False when it isn't one; *what says what was expected, *at is where. */
bool replay_format_read(struct replay_format *format, const char *text, const char *captures,
                        struct replay_fields *fields, const char **what, size_t *at);

/* A line, without what syslog writes before it or with it. */
enum replay_outcome replay_format_line(const struct replay_format *format, struct slice line,
                                       struct replay_request *request, const char **why);

/* ---- replay_json.c ------------------------------------------------------------------------- */

#define REPLAY_RENAMES_MAX 64

/* How an object of JSON becomes a request: a member of an argument's name is it. */
struct replay_json {
    struct replay_fields *fields; /* all that are wanted; sorted by replay_json_open */
    struct slice time;            /* the member that has the time; empty: one of the usual */
    struct {
        struct slice field; /* a member's name ... */
        struct slice argument;
    } renames[REPLAY_RENAMES_MAX];
    size_t rename_count;
};

/* A line with one object; escapes in it are written over. */
enum replay_outcome replay_json_line(const struct replay_json *json, uint8_t *line, size_t size,
                                     struct replay_request *request, const char **why);

/* ---- replay_run.c -------------------------------------------------------------------------- */

#define REPLAY_TOP 10

struct replay_rule {
    uint64_t applied; /* requests that it limits, allows or refuses */
    uint64_t refused; /* for which it is the rule that is reported */
    uint64_t shadow;  /* that it, in shadow mode, would have refused */
    uint64_t delayed;
    uint64_t charged; /* where it is charged later than it is checked */
};

struct replay_key {
    uint32_t rule;
    uint64_t refused;
    struct slice text; /* whom it counts */
};

/* Takes the set, also where it fails: out of memory. */
struct replay_run *replay_run_create(struct rules_set *set, const struct replay_fields *fields);
void replay_run_free(struct replay_run *run); /* accepts NULL */

enum replay_decision {
    REPLAY_ALLOWED,
    REPLAY_REFUSED,
    REPLAY_FAILED, /* out of memory, or the request is larger than a frame */
};

/* What these rules make of a request; no time may be before the last one's. */
enum replay_decision replay_run_request(struct replay_run *run,
                                        const struct replay_request *request);

const struct rules_set *replay_run_set(const struct replay_run *run);
const struct replay_rule *replay_run_rules(const struct replay_run *run); /* by index */

/* That of this name; NULL: there is none. */
const struct replay_rule *replay_run_rule(const struct replay_run *run, struct slice name);

/* The field that an argument of the rules is read from; -1: the format hasn't got it. */
int replay_run_field(const struct replay_run *run, uint32_t slot);

/* Whether the log can tell of what a rule is for: connections aren't in it. */
bool replay_run_asks(const struct replay_run *run, const struct rules_rule *rule);

/* Of all takes, those that found no room for another key. */
uint64_t replay_run_full(const struct replay_run *run);

/* Those refused most, at most REPLAY_TOP; how many there are. */
size_t replay_run_top(const struct replay_run *run, struct replay_key top[REPLAY_TOP]);
bool replay_run_keys_left_out(const struct replay_run *run); /* not all were counted */
