/* HAProxy's configuration as a rule set needs it: which messages are sent when, and where HAProxy
 * finds each argument. Internal to the spoe_config files.
 */
#pragma once

#include <stdio.h>

#include "rules/explain.h"

/* When a message is sent: what HAProxy then knows. */
enum spoe_phase {
    SPOE_CONNECTION, /* event on-frontend-tcp-request */
    SPOE_REQUEST,    /* among the http-request rules */
    SPOE_RESPONSE,   /* among the http-response rules */
};

/* ---- spoe_config_arguments.c --------------------------------------------------------------- */

#define SPOE_EXPRESSION_MAX 512

/* Where HAProxy finds an argument of a message. */
struct spoe_source {
    char expression[SPOE_EXPRESSION_MAX]; /* empty: it can't be had in this phase */
    char rule[SPOE_EXPRESSION_MAX];       /* of HAProxy, that has to run before; empty: none */
    bool to_fill_in;                      /* the rule is for a person to write */
    const char *global;                   /* a line of `global` that it needs; NULL */
    const char *note;                     /* what to know about it; NULL */
};

/* RULES_NAME_MAX bytes of name at most. */
void spoe_source_find(struct slice name, enum spoe_phase phase, struct spoe_source *source);

/* The name by which the table knows an argument that has several; else the name itself. */
struct slice spoe_usual_name(struct slice name);

/* Whether HAProxy sends an address as the argument of this name. */
bool spoe_is_address(struct slice name);

/* Whether the name is one that only a response has. */
bool spoe_is_of_response(struct slice name);

/* ---- spoe_config_model.c ------------------------------------------------------------------- */

/* Rules whose refusals HAProxy remembers, at most: each has a place in each entry of its table. */
#define SPOE_REMEMBERED_MAX 8

/* The rules in force, and those of their candidate. */
#define SPOE_SETS 2

struct spoe_message {
    char name[RULES_NAME_MAX + 1];
    enum spoe_phase phase;
    int numbers[SPOE_SETS]; /* the sets' own, of this message; -1: no rule there names it */
    struct slice arguments[SPOE_SETS * RULES_MAX_SLOTS + 1]; /* that are sent with it, by name */
    size_t argument_count;
};

struct spoe_model {
    const struct rules_set *sets[SPOE_SETS];
    size_t set_count;
    struct spoe_message messages[SPOE_SETS * RULES_MAX_MESSAGES + 1];
    size_t message_count;
    bool remembers; /* refusals, by HAProxy itself: those by these rules */
    const struct rules_rule *remembered[SPOE_REMEMBERED_MAX];
    size_t remembered_count;
};

/* What is sent for the rules of a set, and for those of its candidate (NULL: there is none), which
 * outlive the model. NULL when out of memory; to be freed with free. */
struct spoe_model *spoe_model_create(const struct rules_set *set,
                                     const struct rules_set *candidate);

/* Whether a rule of a set reads an argument of this name from a message. */
bool spoe_model_reads(const struct spoe_model *model, size_t set, const struct rules_use *use,
                      const struct spoe_message *message, struct slice argument);

/* The name by which HAProxy tells requests apart, an argument that is sent although no rule reads
 * it: for the agent's log. */
#define SPOE_REQUEST_ID SLICE("request_id")

/* ---- spoe_config.c ------------------------------------------------------------------------- */

struct spoe_version {
    const char *name; /* as --haproxy has it */
    bool has_spop;    /* backends of mode spop, instead of tcp */
    bool has_pause;   /* http-request pause */
};

/* By its name, or the latest where that is NULL. NULL when there is no such. */
const struct spoe_version *spoe_version_find(const char *name);

/* ---- spoe_config_write.c ------------------------------------------------------------------- */

/* What HAProxy's own lines are written with. */
struct spoe_proxies {
    const struct spoe_model *model;
    const struct spoe_version *version;
    const char *prefix; /* of each line */
    FILE *out;
};

void spoe_line(const struct spoe_proxies *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void spoe_blank_line(const struct spoe_proxies *p);

/* The file that `filter spoe ... config` names. */
void spoe_write_agents(const struct spoe_model *model, FILE *out);

/* HAProxy's own: frontends with all that the messages need, and the backend of the agents. prefix:
 * of each line. */
void spoe_write_proxies(const struct spoe_model *model, const struct spoe_version *version,
                        const char *prefix, FILE *out);

/* ---- spoe_config_remember.c ---------------------------------------------------------------- */

/* Lets the model's refusals be remembered, as far as its rules allow. NULL, or the variable that
 * the answer would need and hasn't. */
const char *spoe_remember(struct spoe_model *model);

/* What is to stand before the question, behind it, and beside the frontends; nothing where nothing
 * is remembered. */
void spoe_write_remembered(const struct spoe_proxies *p);
void spoe_write_remembering(const struct spoe_proxies *p);
void spoe_write_refusals(const struct spoe_proxies *p);
