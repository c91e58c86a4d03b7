/* What a condition can ask of an argument's value. A new operator is a row of rules__operators, a
 * `holds` and, where its operand is of a new form, a `compile`. Internal to rules/. */
#pragma once

#include "rules/loader.h"

/* rules__allocate and rules__keep, for what conditions are made of: of one rule it is together, and
 * nothing else between. */
void *rules__match_allocate(struct rules__loader *loader, size_t count, size_t size);
struct slice rules__match_keep(struct rules__loader *loader, struct slice text);

/* What stands behind an operator in the file. */
struct rules__operand {
    struct rules__loader *loader;
    const char *label; /* "prefix of path", for messages */
    const struct rules__node *node;
    const char *for_networks; /* where networks are matched, whose literals aren't addresses */
    bool ignores_case;
};

/* Fills in a condition, whose slot is set; reports what is wrong with the operand. */
typedef void rules__compile_function(const struct rules__operand *operand,
                                     struct rules__condition *condition);

struct rules__operator {
    const char *name;
    rules__compile_function *compile;
    rules__holds_function *holds;
    bool of_texts; /* ignore_case has a meaning for it */
    bool is_quick; /* to try it takes little, whatever the value is */
};

#define RULES__OPERATORS 15
extern const struct rules__operator rules__operators[RULES__OPERATORS];

/* ---- operator.c ---------------------------------------------------------------------------- */

rules__holds_function rules__holds_cidr;

/* ---- operator_text.c ----------------------------------------------------------------------- */

rules__compile_function rules__compile_is;
rules__compile_function rules__compile_in;
rules__compile_function rules__compile_prefix;
rules__compile_function rules__compile_suffix;
rules__compile_function rules__compile_contains;
rules__holds_function rules__holds_equal;
rules__holds_function rules__holds_prefix;
rules__holds_function rules__holds_suffix;
rules__holds_function rules__holds_contains;

/* Adds what a literal is compared as: one value or two, in the order of none. */
void rules__add_literal(const struct rules__operand *operand, const struct rules__node *node,
                        struct value *values, size_t *count);
void rules__sort_literals(struct value *values, size_t count);

/* Digits, with '-' before them or without, as numbers are usually written: 007 and -0 are texts. */
bool rules__number_of(struct slice text, struct value *value);

/* ---- operator_number.c --------------------------------------------------------------------- */

rules__compile_function rules__compile_number;
rules__compile_function rules__compile_between;
rules__holds_function rules__holds_lt;
rules__holds_function rules__holds_le;
rules__holds_function rules__holds_gt;
rules__holds_function rules__holds_ge;
rules__holds_function rules__holds_between;

/* ---- operator_file.c ----------------------------------------------------------------------- */

rules__compile_function rules__compile_in_file;
rules__compile_function rules__compile_cidr_file;

/* ---- operator_regex.c ---------------------------------------------------------------------- */

rules__compile_function rules__compile_regex;
rules__holds_function rules__holds_regex;
