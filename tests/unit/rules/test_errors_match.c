/* What rule files are refused for: wrong conditions. Each row is a whole file and everything that
 * is said about it. */
#include "helper.h"

/* The first rule begins at line 3, column 3. */
#define RULE(text) "listen: :0\nrules:\n- " text "\n"

/* The match of its first rule, which begins at column 36, and operators of `a`, at column 41. */
#define MATCH(text) RULE("{ name: r, action: allow, match: " text " }")
#define A(text)     MATCH("{ a: " text " }")

/* What an operator is expected to be. */
#define OPERATORS                                                                                  \
    "one of is, in, in_file, prefix, suffix, contains, regex, lt, le, gt, ge, between, cidr, "     \
    "cidr_file, exists, not, ignore_case"

static const struct wrong_file wrong_files[] = {
    {RULE("{ name: r, action: allow, match: /x }"),
     "3:36: match is \"/x\", expected a mapping, as in { path: { prefix: /api } }\n"},
    {RULE("{ name: r, action: allow, match: [ path ] }"),
     "3:36: match is a list, expected a mapping, as in { path: { prefix: /api } }\n"},
    {RULE("{ name: r, action: allow, match: }"),
     "3:36: match is empty, expected a mapping, as in { path: { prefix: /api } }\n"},
    {RULE("{ name: r, action: allow, match: { path: } }"),
     "3:44: path is empty, expected text, a number, true, false or an address\n"},
    {RULE("{ name: r, action: allow, match: { path: ~ } }"),
     "3:44: path is null, expected text, a number, true, false or an address\n"},
    {RULE("{ name: r, action: allow, match: { path: [ /a, /b ] } }"),
     "3:44: path is a list, expected a value or a mapping, as in { in: [ ... ] }\n"},
    {RULE("{ name: r, action: allow, match: { path: {} } }"),
     "3:44: path has no operator, expected a value, or one as in { in: [ ... ] }\n"},
    {RULE("{ name: r, action: allow, match: { src/64: x } }"),
     "3:38: an argument of match is \"src/64\", expected a name of 1 to 64 letters, digits, '.', "
     "'_', '-' and ':'\n"},
    {RULE("{ name: r, action: allow, match: { 'a b': x } }"),
     "3:38: an argument of match is \"a b\", expected a name of 1 to 64 letters, digits, '.', '_', "
     "'-' and ':'\n"},
    {RULE("{ name: r, action: allow, match: { [ a ]: x } }"),
     "3:38: an argument of match is a list, expected a name of 1 to 64 letters, digits, '.', '_', "
     "'-' and ':'\n"},
    {RULE("{ name: r, action: allow, match: { a: x, a: y } }"),
     "3:44: argument a again in match, expected it once (it is on line 3)\n"},
    {RULE("{ name: r, action: allow, match: { a: { is: x, is: y } } }"),
     "3:50: operator \"is\" again for a, expected it once (it is on line 3)\n"},
    {RULE("{ name: r, action: allow, match: { path: { prefx: /x } } }"),
     "3:46: operator of path is \"prefx\", expected " OPERATORS "; did you mean \"prefix\"?\n"},
    {RULE("{ name: r, action: allow, match: { path: { matches: x } } }"),
     "3:46: operator of path is \"matches\", expected " OPERATORS "\n"},
    {RULE("{ name: r, action: allow, match: { path: { [ is ]: x } } }"),
     "3:46: operator of path is a list, expected " OPERATORS "\n"},
    {RULE("{ name: r, action: allow, match: { a: { is: [ x ] } } }"),
     "3:47: is of a is a list, expected one value; several are matched by in\n"},
    {RULE("{ name: r, action: allow, match: { a: { is: { is: x } } } }"),
     "3:47: is of a is a mapping, expected text, a number, true, false or an address\n"},
    {RULE("{ name: r, action: allow, match: { a: { is: } } }"),
     "3:47: is of a is empty, expected text, a number, true, false or an address\n"},
    {RULE("{ name: r, action: allow, match: { a: { in: x } } }"),
     "3:47: in of a is \"x\", expected a list; one value is matched by is\n"},
    {RULE("{ name: r, action: allow, match: { a: { in: [] } } }"),
     "3:47: in of a is an empty list, expected at least one value\n"},
    {RULE("{ name: r, action: allow, match: { a: { in: [ x, [ y ], ~ ] } } }"),
     "3:52: in of a is a list, expected text, a number, true, false or an address\n"
     "3:59: in of a is null, expected text, a number, true, false or an address\n"},
    {RULE("{ name: r, action: allow, match: { src: 10.0.0.0/8 } }"),
     "3:43: src is \"10.0.0.0/8\", expected an address; networks are matched by cidr\n"},
    {RULE("{ name: r, action: allow, match: { src: { in: [ 10.0.0.1, 10.0.0.0/8 ] } } }"),
     "3:61: in of src is \"10.0.0.0/8\", expected an address; networks are matched by cidr\n"},
    {RULE("{ name: r, action: allow, match: { a: { prefix: '' } } }"),
     "3:51: prefix of a is \"\", which all texts have, expected a longer one\n"},
    {RULE("{ name: r, action: allow, match: { a: { suffix: [] } } }"),
     "3:51: suffix of a is an empty list, expected at least one text\n"},
    {RULE("{ name: r, action: allow, match: { a: { prefix: { is: x }, suffix: [ [ x ] ] } } }"),
     "3:51: prefix of a is a mapping, expected a text or a list of texts\n"
     "3:72: suffix of a is a list, expected a text or a list of texts\n"},
    {RULE("{ name: r, action: allow, match: { src: { cidr: 10.0.0.1/8 } } }"),
     "3:51: cidr of src is \"10.0.0.1/8\", expected no bits behind the prefix, as in 10.0.0.0/8\n"},
    {RULE("{ name: r, action: allow, match: { src: { cidr: [ 10.0.0.0/33, '::/129', 10.0.0/8, x, "
          "10.0.0.0/ ] } } }"),
     "3:53: cidr of src is \"10.0.0.0/33\", expected a prefix length from 0 to 32 behind the '/'\n"
     "3:66: cidr of src is \"::/129\", expected a prefix length from 0 to 128 behind the '/'\n"
     "3:76: cidr of src is \"10.0.0/8\", expected an address or a network, as in 192.0.2.0/24 or "
     "2001:db8::/32\n"
     "3:86: cidr of src is \"x\", expected an address or a network, as in 192.0.2.0/24 or "
     "2001:db8::/32\n"
     "3:89: cidr of src is \"10.0.0.0/\", expected a prefix length from 0 to 32 behind the '/'\n"},
    {RULE("{ name: r, action: allow, match: { src: { cidr: '2001:db8::1/32' } } }"),
     "3:51: cidr of src is \"2001:db8::1/32\", expected no bits behind the prefix, as in "
     "2001:db8::/32\n"},
    {RULE("{ name: r, action: allow, match: { src: { cidr: '::ffff:10.0.0.0/8' } } }"),
     "3:51: cidr of src is \"::ffff:10.0.0.0/8\", expected a prefix length from 96 to 128 behind "
     "an IPv4-mapped address\n"},
    {RULE("{ name: r, action: allow, match: { src: { cidr: '::ffff:10.0.0.1/104' } } }"),
     "3:51: cidr of src is \"::ffff:10.0.0.1/104\", expected no bits behind the prefix, as in "
     "10.0.0.0/8\n"},
    {RULE("{ name: r, action: allow, match: { src: { cidr: [] } } }"),
     "3:51: cidr of src is an empty list, expected at least one network\n"},
    {RULE("{ name: r, action: allow, match: { src: { cidr: { is: 10.0.0.0/8 } } } }"),
     "3:51: cidr of src is a mapping, expected a network or a list of networks\n"},
    {A("{ contains: '' }"),
     "3:53: contains of a is \"\", which all texts have, expected a longer one\n"},
    {A("{ contains: [] }"), "3:53: contains of a is an empty list, expected at least one text\n"},
    {A("{ contains: [ x, ~, { is: x } ] }"),
     "3:58: contains of a is null, expected a text or a list of texts\n"
     "3:61: contains of a is a mapping, expected a text or a list of texts\n"},
    {A("{ regex: '(a' }"), "3:50: regex of a is \"(a\", which PCRE2 refuses at offset 2: missing "
                           "closing parenthesis, expected a regular expression\n"},
    {A("{ regex: 'a)' }"), "3:50: regex of a is \"a)\", which PCRE2 refuses at offset 1: unmatched "
                           "closing parenthesis, expected a regular expression\n"},
    {A("{ regex: '[a' }"), "3:50: regex of a is \"[a\", which PCRE2 refuses at offset 2: missing "
                           "terminating ] for character class, expected a regular expression\n"},
    {A("{ regex: 'a**' }"),
     "3:50: regex of a is \"a**\", which PCRE2 refuses at offset 2: quantifier does not follow a "
     "repeatable item, expected a regular expression\n"},
    {A("{ regex: 'a{2,1}' }"),
     "3:50: regex of a is \"a{2,1}\", which PCRE2 refuses at offset 5: numbers out of order in {} "
     "quantifier, expected a regular expression\n"},
    {A("{ regex: '\\1' }"),
     "3:50: regex of a is \"\\1\", which PCRE2 refuses at offset 1: reference to non-existent "
     "subpattern, expected a regular expression\n"},
    {A("{ regex: [ 'a', 'b)', 'c', '(?z)' ] }"),
     "3:57: regex of a is \"b)\", which PCRE2 refuses at offset 1: unmatched closing parenthesis, "
     "expected a regular expression\n"
     "3:68: regex of a is \"(?z)\", which PCRE2 refuses at offset 2: unrecognized character after "
     "(? or (?-, expected a regular expression\n"},
    {A("{ regex: \"a\\\\\" }"), "3:50: regex of a is \"a\\\", which PCRE2 refuses at offset 2: \\ "
                                "at end of pattern, expected a regular expression\n"},
    {A("{ regex: '(*UTF)a' }"),
     "3:50: regex of a has \"(*\", expected neither verbs, as in (*UTF), nor recursion into the "
     "whole pattern; a parenthesis itself is \\(\n"},
    {A("{ regex: 'a(*SKIP)b' }"),
     "3:50: regex of a has \"(*\", expected neither verbs, as in (*UTF), nor recursion into the "
     "whole pattern; a parenthesis itself is \\(\n"},
    {A("{ regex: '\\((?R)?\\)' }"),
     "3:50: regex of a has \"(?R\", expected neither verbs, as in (*UTF), nor recursion into the "
     "whole pattern; a parenthesis itself is \\(\n"},
    {A("{ regex: 'a(?0)?b' }"),
     "3:50: regex of a has \"(?0\", expected neither verbs, as in (*UTF), nor recursion into the "
     "whole pattern; a parenthesis itself is \\(\n"},
    {A("{ regex: 'a\\g<0>?b' }"),
     "3:50: regex of a has \"\\g<0\", expected neither verbs, as in (*UTF), nor recursion into the "
     "whole pattern; a parenthesis itself is \\(\n"},
    {A("{ regex: [] }"),
     "3:50: regex of a is an empty list, expected at least one regular expression\n"},
    {A("{ regex: }"),
     "3:50: regex of a is empty, expected a regular expression or a list of them\n"},
    {A("{ regex: { is: x } }"),
     "3:50: regex of a is a mapping, expected a regular expression or a list of them\n"},
    {A("{ regex: [ [ x ] ] }"),
     "3:52: regex of a is a list, expected a regular expression or a list of them\n"},
    {A("{ lt: x }"), "3:47: lt of a is \"x\", expected a whole number, as in 400 or -1\n"},
    {A("{ le: 1.5 }"), "3:47: le of a is \"1.5\", expected a whole number, as in 400 or -1\n"},
    {A("{ gt: 007 }"), "3:47: gt of a is \"007\", expected a whole number, as in 400 or -1\n"},
    {A("{ ge: 18446744073709551616 }"),
     "3:47: ge of a is \"18446744073709551616\", expected a whole number, as in 400 or -1\n"},
    {A("{ lt: -9223372036854775809 }"),
     "3:47: lt of a is \"-9223372036854775809\", expected a whole number, as in 400 or -1\n"},
    {A("{ lt: [ 5 ] }"), "3:47: lt of a is a list, expected a whole number, as in 400 or -1\n"},
    {A("{ lt: }"), "3:47: lt of a is empty, expected a whole number, as in 400 or -1\n"},
    {A("{ gt: 10k }"), "3:47: gt of a is \"10k\", expected a whole number, as in 400 or -1\n"},
    {A("{ between: 5 }"), "3:52: between of a is no list of two numbers, expected the least and "
                          "the greatest, as in [ 400, 499 ]\n"},
    {A("{ between: [ 5 ] }"), "3:52: between of a is no list of two numbers, expected the least "
                              "and the greatest, as in [ 400, 499 ]\n"},
    {A("{ between: [ 1, 2, 3 ] }"), "3:52: between of a is no list of two numbers, expected the "
                                    "least and the greatest, as in [ 400, 499 ]\n"},
    {A("{ between: [ 1, x ] }"),
     "3:57: between of a is \"x\", expected a whole number, as in 400 or -1\n"},
    {A("{ between: [ 2, 1 ] }"), "3:52: between of a has its greatest number first, expected the "
                                 "least before it, as in [ 400, 499 ]\n"},
    {A("{ between: [ x, y ] }"),
     "3:54: between of a is \"x\", expected a whole number, as in 400 or -1\n"
     "3:57: between of a is \"y\", expected a whole number, as in 400 or -1\n"},
    {A("{ between: { lt: 5 } }"), "3:52: between of a is no list of two numbers, expected the "
                                  "least and the greatest, as in [ 400, 499 ]\n"},
    {A("{ exists: yes }"), "3:51: exists of a is \"yes\", expected one of false, true\n"},
    {A("{ exists: }"), "3:51: exists of a is empty, expected one of false, true\n"},
    {A("{ exists: [ true ] }"), "3:51: exists of a is a list, expected one of false, true\n"},
    {A("{ not: [ x, y ] }"),
     "3:48: not of a is a list, expected a value or a mapping, as in { in: [ ... ] }\n"},
    {A("{ not: {} }"), "3:48: a has no operator, expected a value, or one as in { in: [ ... ] }\n"},
    {A("{ not: }"),
     "3:48: not of a is empty, expected text, a number, true, false or an address\n"},
    {A("{ not: { prefx: x } }"),
     "3:50: operator of a is \"prefx\", expected " OPERATORS "; did you mean \"prefix\"?\n"},
    {A("{ not: 10.0.0.0/8 }"),
     "3:48: not of a is \"10.0.0.0/8\", expected an address; networks are matched by cidr\n"},
    {A("{ not: { not: { in: x } } }"),
     "3:61: in of a is \"x\", expected a list; one value is matched by is\n"},
    {A("{ not: x, not: y }"),
     "3:51: operator \"not\" again for a, expected it once (it is on line 3)\n"},
    {A("{ ignore_case: true }"),
     "3:41: a has no operator, expected a value, or one as in { in: [ ... ] }\n"},
    {A("{ is: x, ignore_case: yes }"),
     "3:63: ignore_case of a is \"yes\", expected one of false, true\n"},
    {A("{ is: x, ignore_case: }"),
     "3:63: ignore_case of a is empty, expected one of false, true\n"},
    {A("{ cidr: 10.0.0.0/8, ignore_case: true }"),
     "3:61: ignore_case of a where no operator compares texts, expected it only beside one that "
     "does\n"},
    {A("{ lt: 5, ignore_case: false }"), "3:50: ignore_case of a where no operator compares texts, "
                                         "expected it only beside one that does\n"},
    {A("{ not: { exists: true }, ignore_case: true }"),
     "3:66: ignore_case of a where no operator compares texts, expected it only beside one that "
     "does\n"},
    {A("{ is: x, ignore_case: true, ignore_case: false }"),
     "3:69: operator \"ignore_case\" again for a, expected it once (it is on line 3)\n"},
    {A("{ is: x, ignorecase: true }"), "3:50: operator of a is \"ignorecase\", expected " OPERATORS
                                       "; did you mean \"ignore_case\"?\n"},
    {MATCH("{ any: x }"),
     "3:43: any is \"x\", expected a list of mappings, as in [ { path: /a }, { method: GET } ]\n"},
    {MATCH("{ any: { a: x } }"), "3:43: any is a mapping, expected a list of mappings, as in [ { "
                                 "path: /a }, { method: GET } ]\n"},
    {MATCH("{ any: [] }"), "3:43: any is an empty list, expected a list of mappings, as in [ { "
                           "path: /a }, { method: GET } ]\n"},
    {MATCH("{ any: }"),
     "3:43: any is empty, expected a list of mappings, as in [ { path: /a }, { method: GET } ]\n"},
    {MATCH("{ any: [ x ] }"),
     "3:45: an item of any is \"x\", expected a mapping, as in { path: { prefix: /api } }\n"},
    {MATCH("{ any: [ {} ] }"),
     "3:45: an item of any has no condition, expected one, as in { path: /a }\n"},
    {MATCH("{ any: [ { a: [ x ] }, { a: { in: y } } ] }"),
     "3:50: a is a list, expected a value or a mapping, as in { in: [ ... ] }\n"
     "3:70: in of a is \"y\", expected a list; one value is matched by is\n"},
    {MATCH("{ any: [ { a: x }, { a: x, a: y } ] }"),
     "3:63: argument a again in match, expected it once (it is on line 3)\n"},
    {MATCH("{ any: [ { a: x } ], any: [ { a: y } ] }"),
     "3:57: any again in match, expected it once (it is on line 3)\n"},
    {MATCH("{ all: x }"),
     "3:43: all is \"x\", expected a list of mappings, as in [ { path: /a }, { method: GET } ]\n"},
    {MATCH("{ all: [] }"), "3:43: all is an empty list, expected a list of mappings, as in [ { "
                           "path: /a }, { method: GET } ]\n"},
    {MATCH("{ all: [ [ { a: x } ] ] }"),
     "3:45: an item of all is a list, expected a mapping, as in { path: { prefix: /api } }\n"},
    {MATCH("{ not: x }"),
     "3:43: not is \"x\", expected a mapping, as in { path: { prefix: /api } }\n"},
    {MATCH("{ not: [ { a: x } ] }"),
     "3:43: not is a list, expected a mapping, as in { path: { prefix: /api } }\n"},
    {MATCH("{ not: {} }"), "3:43: not has no condition, expected one, as in { path: /a }\n"},
    {MATCH("{ not: { any: [ { all: [ { not: { a: { ni: x } } } ] } ] } }"),
     "3:75: operator of a is \"ni\", expected " OPERATORS "\n"},
};

START_TEST(every_problem_of_a_wrong_match)
{
    expect_problems(&wrong_files[_i]);
}
END_TEST

int main(void)
{
    return run_wrong_files("errors_match", every_problem_of_a_wrong_match,
                           sizeof(wrong_files) / sizeof(wrong_files[0]));
}
