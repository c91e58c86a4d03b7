/* How a rule file is read: a tree of nodes with their positions, tables of keys that say how each
 * mapping is read, and problems in line order. Internal to rules/. */
#pragma once

#include "rules/compiled.h"

/* Bounds of what a file may make the loader do. */
#define RULES__MEMORY_MAX  ((size_t)512 << 20) /* bytes, of the tree and of the set, each */
#define RULES__NODES_MAX   (4u << 20)          /* values, those that aliases repeat included */
#define RULES__DEPTH_MAX   32
#define RULES__ANCHORS_MAX 1024

/* ---- tree.c -------------------------------------------------------------------------------- */

enum rules__kind {
    RULES__BROKEN, /* reported already: whoever meets it says nothing more */
    RULES__SCALAR,
    RULES__LIST,
    RULES__MAPPING,
};

struct rules__node {
    const struct rules__node *next; /* behind it in its list or mapping */
    const struct slice *written; /* SCALAR: the text as it stands in the file, before variables were
                                  * put in; NULL: it has none */
    union {
        struct slice text; /* SCALAR */
        struct {
            const struct rules__node *first;
            size_t count; /* a mapping's key and value count as two */
        } children;       /* LIST, MAPPING: keys and values take turns */
    };
    uint32_t line; /* from 1 */
    uint32_t column;
    uint32_t weight; /* values in it, itself included */
    uint16_t file;   /* in loader->files */
    enum rules__kind kind : 8;
    bool plain; /* a scalar without quotes */
};

struct rules__loader;

/* The tree of the file's one document, in loader->scratch; NULL when there is none to go on with,
 * which has been reported then. Its texts are copies. */
const struct rules__node *rules__tree(struct rules__loader *loader, struct slice text);

/* ---- text.c -------------------------------------------------------------------------------- */

/* YAML's characters only, in UTF-8: false, with the first that is not reported, otherwise. */
bool rules__check_text(struct rules__loader *loader, struct slice text);

/* A text of the file for a message: in quotes, cut where it is long, without line breaks. */
#define RULES__QUOTED_MAX 72
char *rules__quote(struct slice text, char quoted[RULES__QUOTED_MAX]);
#define RULES__QUOTE(text) rules__quote((text), (char[RULES__QUOTED_MAX]){0})

/* ---- variable.c ---------------------------------------------------------------------------- */

/* Puts what variables say into a scalar's text, and notes how it was written. Whatever is wrong
 * with one is reported, and the node is broken then. */
void rules__expand(struct rules__loader *loader, struct rules__node *node);

/* ---- suggest.c ----------------------------------------------------------------------------- */

/* The word that is nearest to text, counting a letter added, lost, changed or swapped with its
 * neighbour as one; -1 when none is near. word(at, context) is asked for 0 <= at < count. */
int rules__nearest(struct slice text, const char *const *words, size_t count);

/* ---- duration.c ---------------------------------------------------------------------------- */

/* "64MiB", "512KiB", "1GiB", or bytes without a unit. */
bool rules__parse_size(struct slice text, uint64_t *bytes);
void rules__print_size(uint64_t bytes, struct writer *w);

/* ---- report.c ------------------------------------------------------------------------------ */

#define RULES__PROBLEM_TEXT_MAX 640

/* Where a problem is. */
struct rules__place {
    uint32_t file;
    struct slice file_name;
    size_t line;
    size_t column;
};

struct rules__place rules__place(const struct rules_set *set, uint32_t file, size_t line,
                                 size_t column);

/* Where a rule stands, for a message about another in `file`: "line 4", with the file's name where
 * it is another. */
#define RULES__WHERE_MAX 256
const char *rules__where(const struct rules_set *set, const struct rules_rule *rule, uint32_t file,
                         char where[RULES__WHERE_MAX]);
#define RULES__WHERE(set, rule, file)                                                              \
    rules__where((set), (rule), (file), (char[RULES__WHERE_MAX]){0})

/* Adds a problem, keeping line order and the first RULES_PROBLEMS_MAX; the same one twice (an alias
 * to something wrong) is one. */
void rules__report_text(struct rules_report *report, const struct rules__place *place,
                        const char *text);
void rules__report_at(struct rules_report *report, const struct rules__place *place,
                      const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- schema.c ------------------------------------------------------------------------------ */

/* Where the keys of store stand whose meaning depends on one another; NULL: nowhere. */
struct rules__store_draft {
    const struct rules__node *store; /* the mapping */
    const struct rules__node *nodes;
    const struct rules__node *master;
    const struct rules__node *auth;
    const struct rules__node *sentinel_auth;
    const struct rules__node *tls;
    bool mode_known; /* false: it was wrong, which has been reported */
    bool intact;     /* all keys are known: one that isn't there isn't misspelt */
    /* What the environment says, as if it stood on line 0 of the file. */
    const struct rules__node *mode_override;
    const struct rules__node *nodes_override;
    const struct rules__node *instance_override;
};

/* A file may be read as values, as values in lower case, and as networks. */
#define RULES__VALUE_LISTS ((size_t)3 * RULES_MAX_FILES)

/* What was read. */
struct rules__files {
    struct slice *names; /* [RULES_MAX_FILES + 1], of the set; NULL: the rule file alone */
    struct slice *texts; /* [RULES_MAX_FILES + 1] */
    size_t count;        /* with the rule file, which is the first */
    struct rules__names numbers;
    bool *included;   /* [RULES_MAX_FILES + 1]: it is one whose rules are loaded */
    size_t size;      /* bytes of them all */
    uint16_t current; /* that which is being read: of problems that are at no node */
};

/* Lists of rules, in the order in which they are tried. */
struct rules__rule_lists {
    const struct rules__node *own;       /* the rule file's; NULL: none */
    const struct rules__node **included; /* [RULES_MAX_FILES]; NULL: none */
    size_t included_count;
};

struct rules__loader {
    struct rules_set *set;
    struct rules_report *report;
    struct arena scratch; /* what only loading needs */
    uint64_t weight;      /* of all nodes so far, aliases expanded */
    struct rules__rule_lists rules;
    struct rules__names rule_names;  /* to their index */
    struct rules__names limit_names; /* to their counter's number */
    const struct rules_environment *environment;
    struct rules__files files;
    struct rules__names value_names;       /* how a file is read, and its number; to their index */
    struct rules__value_list *value_lists; /* [RULES__VALUE_LISTS] */
    struct rules__names regex_names; /* a letter for the case, and the pattern; to their index */
    struct slice *slot_names;        /* [RULES_MAX_SLOTS] */
    int32_t message;                 /* whose arguments are being read; -1: every one's */
    struct slice default_message;    /* empty: none */
    enum limit_algorithm algorithm;  /* that of a limit that names none */
    enum rules_fallback on_store_error;
    enum rules_consistency consistency;
    struct rules__store_draft store;
    bool out_of_memory; /* reported */
};

struct rules__field;

/* Reads one key's value into object. */
typedef void rules__load_function(struct rules__loader *loader, const struct rules__field *field,
                                  const struct rules__node *node, void *object);

/* One key of a mapping: a row of a table. */
struct rules__field {
    const char *name;
    rules__load_function *load;
    const char *expected; /* what the value should be; follows "expected" */
    bool required;
    /* For the loads of schema.c that store a number: where in the object, as how many bytes (4 or
     * 8), and its range. */
    size_t offset;
    size_t size;
    uint64_t minimum;
    uint64_t maximum;
};

#define RULES__FIELDS_MAX 32
struct rules__schema {
    const char *what; /* "a limit" */
    const struct rules__field *fields;
    size_t count; /* at most RULES__FIELDS_MAX */
};

#define RULES__SCHEMA(what, fields)                                                                \
    {                                                                                              \
        (what), (fields), sizeof(fields) / sizeof((fields)[0])                                     \
    }

/* Reads a mapping by its schema: each key that is there by its load, in the schema's order, so that
 * one may rely on those above it. Reports unknown, repeated and missing keys, and a node that is no
 * mapping. True when it is one all of whose keys are known and have a value: only then may a caller
 * complain of an optional key that is missing, since it may be there misspelt. */
bool rules__walk(struct rules__loader *loader, const struct rules__schema *schema,
                 const struct rules__node *node, void *object);

/* A problem at a node, "what, expected what"; nothing for a broken one. */
void rules__problem(struct rules__loader *loader, const struct rules__node *node,
                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A scalar's text for a message, in quotes. Where it has variables, as it stands in the file: what
 * they say may be none of a log's business. */
#define RULES__SHOWN_MAX (RULES__QUOTED_MAX + 24)
const char *rules__show(const struct rules__node *node, char shown[RULES__SHOWN_MAX]);
#define RULES__SHOW(node) rules__show((node), (char[RULES__SHOWN_MAX]){0})

/* "NAME is VALUE, expected EXPECTED". */
void rules__wrong(struct rules__loader *loader, const char *name, const struct rules__node *node,
                  const char *expected);

/* A problem at a position of the file that is being read. */
void rules__problem_at(struct rules__loader *loader, size_t line, size_t column, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));

/* Reports that memory is short, once. */
void rules__no_memory(struct rules__loader *loader);

/* A scalar with a value: not null and not left out. Anything else is reported as wrong. */
bool rules__scalar(struct rules__loader *loader, const char *name, const struct rules__node *node,
                   const char *expected);

/* The items of a list, or the one value that stands in its place. Walk them by count: the last
 * one's `next` may be something else. */
const struct rules__node *rules__items(const struct rules__node *node, size_t *count);

/* The index of a scalar's word; -1, reported with the nearest word, when it is none of them. */
int rules__word(struct rules__loader *loader, const char *name, const struct rules__node *node,
                const char *const *words, size_t count);

/* A name of 1 to RULES_NAME_MAX letters, digits, '.', '_', '-', and ':' too if `colon`, which
 * HAProxy's names may have. Empty when it is not (reported). Points into the tree. */
struct slice rules__identifier(struct rules__loader *loader, const char *name,
                               const struct rules__node *node, bool colon);

/* A copy that lives as long as the set; empty when out of memory (reported). */
struct slice rules__keep(struct rules__loader *loader, struct slice text);

/* Memory that lives as long as the set; NULL when out of memory (reported). */
void *rules__allocate(struct rules__loader *loader, size_t count, size_t size);

/* Notes the node itself at field->offset of object. */
rules__load_function rules__load_node;

/* true or false, into the bool at field->offset of object. */
rules__load_function rules__load_bool;

/* Loads of one number into field->offset of object. */
rules__load_function rules__load_number;
rules__load_function rules__load_size;
rules__load_function rules__load_duration;

/* ---- words.c ------------------------------------------------------------------------------- */

/* What a node says, as struct rules_words has it; NULL is nothing. Lives as long as the set. */
struct slice rules__words(struct rules__loader *loader, const struct rules__node *node);

/* ---- load.c -------------------------------------------------------------------------------- */

/* rules_load_with, with a bound of its own on the memory of the tree and of the set, each. */
struct rules_set *rules__load_within(struct slice text, uint64_t seed,
                                     const struct rules_environment *environment,
                                     struct rules_report *report, size_t memory_max);

/* ---- load_store.c -------------------------------------------------------------------------- */

extern const struct rules_store rules__default_store;

/* The path of a file, into the slice at field->offset of object. */
rules__load_function rules__load_path;

/* Of a struct rules_settings: what the keys of store say, each for itself. */
rules__load_function rules__load_store;
/* Into a struct rules_store. */
rules__load_function rules__load_instance;

/* ---- load_mode.c --------------------------------------------------------------------------- */

/* Into a struct rules_store. */
rules__load_function rules__load_mode;

/* What the environment says is kept for rules__finish_store. */
void rules__read_overrides(struct rules__loader *loader, const struct rules_overrides *overrides);

/* What the mode, the servers and the environment say together. After the file has been read,
 * whether or not it has a store; intact: all of its keys are known. */
void rules__finish_store(struct rules__loader *loader, bool intact);

/* ---- load_node.c --------------------------------------------------------------------------- */

/* What a mode takes in the way of servers. */
struct rules__node_terms {
    const char *name;      /* what the list is called */
    uint16_t default_port; /* of an address without one */
    bool one;              /* more are too many */
    bool weights;          /* have a meaning; else they are wrong ... */
    bool lenient;          /* ... or passed over */
    bool tls;              /* by which no unix socket can be reached */
    const char *mode;      /* for messages */
};

/* The servers of a list, or of the one value in its place. */
void rules__load_nodes(struct rules__loader *loader, const struct rules__node_terms *terms,
                       const struct rules__node *node, struct rules_store *store);

/* ---- load_rule.c --------------------------------------------------------------------------- */

/* The rules of all files, once all files have been read. */
void rules__load_rules(struct rules__loader *loader);
/* Words, into the enum at field->offset of object: rules_fallback, limit_algorithm,
 * rules_consistency. */
rules__load_function rules__load_fallback;
rules__load_function rules__load_algorithm;
rules__load_function rules__load_consistency;

/* ---- load_match.c ---------------------------------------------------------------------------- */

/* The conditions of a match, all of which must hold. NULL when it was wrong (reported), or has
 * none. */
const struct rules__condition *rules__load_match(struct rules__loader *loader,
                                                 const struct rules__node *node, size_t *count);

/* ---- include.c ----------------------------------------------------------------------------- */

/* Reads the files that are included as far as their lists of rules. */
rules__load_function rules__load_include;

/* ---- files.c ------------------------------------------------------------------------------- */

/* The name of a file, as the environment wants it, which stands in a node: relative to the folder
 * of the file that the node is in. Followed by a NUL, and there as long as the set. Empty when it
 * is none (reported). */
struct slice rules__file_name(struct rules__loader *loader, const char *label,
                              const struct rules__node *node, const char *expected);

/* The same of a name that the environment gave for the node's pattern. */
struct slice rules__listed_name(struct rules__loader *loader, const char *label,
                                const struct rules__node *node, const char *name);

/* Reads the file of a name that a node gave, unless that was done before: its number and text. -1
 * when it can't be had (reported). */
int rules__read_named(struct rules__loader *loader, const char *label,
                      const struct rules__node *node, struct slice name, struct slice *text);

/* The file that a node names, by both. */
int rules__read_file(struct rules__loader *loader, const char *label,
                     const struct rules__node *node, struct slice *text);

/* ---- load_names.c -------------------------------------------------------------------------- */

/* The slot of an argument that the file names; -1, reported, when there are too many. */
int rules__slot_of(struct rules__loader *loader, const struct rules__node *node,
                   struct slice argument);

/* Notes that a slot's argument is read from loader->message too. */
void rules__use_slot(struct rules__loader *loader, const struct rules__node *node, uint32_t slot);

/* The number of a message that the file names; -1, reported, when there are too many. */
int32_t rules__message_of(struct rules__loader *loader, const struct rules__node *node,
                          struct slice message);

/* ---- load_limit.c -------------------------------------------------------------------------- */

/* The limits of a rule while it is read: where they stand, and what they are called there. */
struct rules__limit_draft {
    const struct rules__node *node;
    const struct rules__node *name_node; /* NULL: it has no name of its own */
    struct slice name;
};

struct rules__list_draft {
    struct rules_limit *limits; /* [count] */
    struct rules__limit_draft *drafts;
    size_t count;
    const struct rules__node *key; /* of an override */
};

struct rules__limits_draft {
    struct rules_rule *rule;
    struct rules__list_draft *lists; /* with room for all that the rule can have */
    size_t count;
    bool key_known;
    size_t own; /* the list that applies where no tier and no override does; SIZE_MAX: none */
};

/* Where a rule's limits stand; NULL: nowhere. */
struct rules__limit_nodes {
    const struct rules__node *limits;
    const struct rules__node *tiers;
    const struct rules__node *overrides;
    bool key_known; /* the rule's key has been read, and was right */
};

/* After the rule's key. */
void rules__load_limits(struct rules__loader *loader, struct rules_rule *rule,
                        const struct rules__limit_nodes *nodes);

/* The limits of a list, or the one in its place, as one more of the draft's; none where it is
 * unlimited. name is what messages call it. NULL when out of memory (reported). */
struct rules__list_draft *rules__load_list(struct rules__loader *loader,
                                           struct rules__limits_draft *draft, const char *name,
                                           const struct rules__node *node);

/* ---- load_tier.c, load_override.c ---------------------------------------------------------- */

void rules__load_tiers(struct rules__loader *loader, struct rules__limits_draft *limits,
                       const struct rules__node *node);
void rules__load_overrides(struct rules__loader *loader, struct rules__limits_draft *limits,
                           const struct rules__node *node);

/* ---- load_cost.c --------------------------------------------------------------------------- */

void rules__load_cost(struct rules__loader *loader, struct rules_rule *rule,
                      const struct rules__node *node);

/* Reports a cost, at its node, that is more than one of the rule's limits can ever grant. After the
 * limits have been read. */
void rules__check_cost(struct rules__loader *loader, const struct rules_rule *rule,
                       const struct rules__node *node);

/* ---- load_charge.c ------------------------------------------------------------------------- */

/* After the rule's message, key and limits. Leaves loader->message at the message of charge. */
void rules__load_charge(struct rules__loader *loader, struct rules_rule *rule,
                        const struct rules__node *node);

/* ---- load_penalty.c ------------------------------------------------------------------------ */

/* After the rule's limits, which have the first say in names. */
void rules__load_penalty(struct rules__loader *loader, struct rules_rule *rule,
                         const struct rules__node *node);

/* ---- load_enforce.c ------------------------------------------------------------------------ */

/* Where a rule says what happens when its limits refuse; NULL: nowhere. */
struct rules__enforce_nodes {
    const struct rules__node *mode;
    const struct rules__node *max_delay;
    const struct rules__node *percentage;
};

/* Before the limits, of which mode delay asks more. intact: what isn't there isn't misspelt. */
void rules__load_enforce(struct rules__loader *loader, struct rules_rule *rule,
                         const struct rules__enforce_nodes *nodes, bool intact);

/* ---- load_counter.c ------------------------------------------------------------------------ */

/* A copy of a limit's name, which is one counter's of a rule in the set: 0..RULES_MAX_COUNTERS - 1
 * and, of its penalty, RULES__PENALTY_COUNTERS more. Reported at the node when it is another's or
 * too long. */
#define RULES__PENALTY_COUNTERS 2
struct slice rules__claim_name(struct rules__loader *loader, const struct rules_rule *rule,
                               size_t counter, struct slice name, const struct rules__node *node);

/* What a limit counts under, apart from those of another kind, algorithm or window. */
struct hash128 rules__identity(const struct rules__loader *loader, const struct rules_rule *rule,
                               uint8_t kind, const struct limit *limit);

/* What a store's names for the limits of a rule begin with, as in "login:". */
void rules__begin_store_name(const struct rules__loader *loader, const struct rules_rule *rule,
                             struct writer *w);

/* What follows from its name and its limit. */
void rules__write_policy(struct rules__loader *loader, struct rules_limit *limit);

/* Gives the limits of all lists of a rule their names, and the rule its lists. */
void rules__finish_limits(struct rules__loader *loader, const struct rules__limits_draft *draft);

/* ---- load_key.c ---------------------------------------------------------------------------- */

/* False when a part of it is wrong (reported). */
bool rules__load_key(struct rules__loader *loader, struct rules_rule *rule,
                     const struct rules__node *node);
