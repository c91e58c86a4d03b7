/* What a rule set is made of, for the tools that tell people: which arguments each rule reads and
 * where it says so, and what in it is of no use. For files that are right; nothing here is needed
 * to decide. Thread-safe on a set, as rules.h has it.
 */
#pragma once

#include "rules/rules.h"

/* ---- what is read -------------------------------------------------------------------------- */

enum rules_use_kind {
    RULES_USE_ARGUMENT, /* an argument of a message */
    RULES_USE_MESSAGE,  /* a message, by its name */
};

/* A name that a rule mentions, in the order in which they were read: of one rule, its message
 * before its arguments. */
struct rules_use {
    const struct rules_use *next;
    enum rules_use_kind kind;
    uint32_t rule;   /* its index */
    uint32_t number; /* of a slot, or of a message */
    int32_t message; /* of an argument: that which is to have it; -1: every message */
    uint32_t file;   /* where it stands: in rules_set.file_names */
    uint32_t line;   /* 0: in `defaults` */
    uint32_t column;
};

/* The first; NULL: there is none. */
const struct rules_use *rules_uses(const struct rules_set *set);

/* How many messages the rules name, and what they are called. */
size_t rules_message_count(const struct rules_set *set);
struct slice rules_message_name(const struct rules_set *set, int message);

/* ---- why a rule matches or not --------------------------------------------------------------- */

/* A condition that is to blame for a rule that doesn't match. */
struct rules_failure {
    uint32_t slot;             /* of the argument it is about */
    bool absent;               /* which was not sent */
    bool unwanted;             /* it holds, and stands in a `not` */
    const char *operator_name; /* "prefix" */
    uint32_t line;             /* where the operand stands */
    uint32_t column;
};

/* The message at which a rule is charged; -1: that at which it is checked. */
int rules_charge_message(const struct rules_rule *rule);

/* Which conditions keep a rule from matching what the matcher has been given last (rules_match), as
 * this message, which is the rule's or the one at which it is charged: each that, had it alone
 * turned out otherwise, could have helped. Returns how many there are, of which the first `room`
 * are written; 0: the rule matches. */
size_t rules_failures(struct rules_matcher *matcher, const struct rules_rule *rule, int message,
                      struct rules_failure *failures, size_t room);

/* The slot of the first argument of a rule's key that keeps the rule from applying to what the
 * matcher has been given last: it was not sent, or is no address where one is needed; -1: none
 * does. */
int rules_missing_key(const struct rules_matcher *matcher, const struct rules_rule *rule);

/* ---- how far a refusal reaches --------------------------------------------------------------- */

/* A key that is an address and nothing else: of which argument, and how many of its first bits. */
struct rules_address_key {
    uint32_t slot;
    uint8_t ipv4_prefix;
    uint8_t ipv6_prefix;
};

/* Why a refusal by a rule doesn't say that it would refuse each other request of the same address
 * that it matches, for as long: a static string, as in "its cost is an argument's". NULL: it says
 * so, and *key is the address. */
const char *rules_refusal_depends(const struct rules_rule *rule, struct rules_address_key *key);

/* ---- warnings ------------------------------------------------------------------------------ */

/* What a proxy is configured to send. */
struct rules_sent {
    const char *message;
    const char *const *arguments; /* [count] */
    size_t count;
};

struct rules_sent_list {
    const char *file; /* that says so, for people */
    const struct rules_sent *messages;
    size_t count;
};

/* What is right in the file and yet of no use, as problems whose text begins with "warning: ".
 * sent: NULL where it isn't known what is sent. The report is initialised here and must be freed.
 */
void rules_warn(const struct rules_set *set, const struct rules_sent_list *sent,
                struct rules_report *report);
