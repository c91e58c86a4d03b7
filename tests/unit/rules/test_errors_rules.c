/* What rule files are refused for: wrong rules. Each row is a whole
 * file and everything that is said about it. */
#include "helper.h"

/* The first rule begins at line 3, column 3. */
#define RULE(text) "listen: :0\nrules:\n- " text "\n"

static const struct wrong_file wrong_files[] = {
    {RULE("x"), "3:3: a rule is \"x\", expected a mapping with keys from name, message, match, "
                "key, limits, action, on_store_error, consistency, charge_denied\n"},
    {RULE("[]"), "3:3: a rule is a list, expected a mapping with keys from name, message, match, "
                 "key, limits, action, on_store_error, consistency, charge_denied\n"},
    {RULE("{}"), "3:3: a rule has no key \"name\", expected a name, as in login\n"
                 "3:3: a rule without limits and without action, expected either key and limits, "
                 "or an action: allow or deny\n"},
    {RULE("{ name: r }"), "3:3: a rule without limits and without action, expected either key and "
                          "limits, or an action: allow or deny\n"},
    {RULE("{ name: r, key: [] }"), "3:3: a rule with a key and without limits, expected both\n"},
    {RULE("{ name: r, limits: { limit: 1, window: 1s } }"),
     "3:3: a rule with limits and without key, expected the arguments that are counted apart, as "
     "in key: [ src/64 ], or key: [] for one counter for all\n"},
    {RULE("{ name: r, acton: allow }"),
     "3:14: unknown key \"acton\" in a rule, expected one of name, message, match, key, limits, "
     "action, on_store_error, consistency, charge_denied; did you mean \"action\"?\n"},
    {RULE("{ name: r, limts: { limit: 1, window: 1s }, key: [] }"),
     "3:14: unknown key \"limts\" in a rule, expected one of name, message, match, key, limits, "
     "action, on_store_error, consistency, charge_denied; did you mean \"limits\"?\n"},
    {RULE("{ name: , action: allow }"), "3:11: name is empty, expected a name, as in login\n"},
    {RULE("{ action: allow }"), "3:3: a rule has no key \"name\", expected a name, as in login\n"},
    {RULE("{ name: two words, action: allow }"),
     "3:11: name is \"two words\", expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"},
    {RULE("{ name: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn, action: "
          "allow }"),
     "3:11: name is \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\", "
     "expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"},
    {RULE("{ name: '', action: allow }"),
     "3:11: name is \"\", expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"},
    {RULE("{ name: [ r ], action: allow }"),
     "3:11: name is a list, expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"},
    {RULE("{ name: \xc3\xa9, action: allow }"),
     "3:11: name is \"é\", expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"},
    {RULE("{ name: a:b, action: allow }"),
     "3:11: name is \"a:b\", expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"},
    {RULE("{ name: r, action: allow }\n"
          "- { name: r, action: allow }"),
     "4:11: rule \"r\" again, expected a name of its own (line 3 has it)\n"},
    {RULE("{ name: r, name: s, action: allow }"),
     "3:14: key \"name\" again in a rule, expected it once (it is on line 3)\n"},
    {RULE("{ name: r, action: alow }"),
     "3:22: action is \"alow\", expected one of allow, deny; did you mean \"allow\"?\n"},
    {RULE("{ name: r, action: block }"),
     "3:22: action is \"block\", expected one of allow, deny\n"},
    {RULE("{ name: r, action: }"), "3:22: action is empty, expected allow or deny\n"},
    {RULE("{ name: r, action: [ allow ] }"),
     "3:22: action is a list, expected one of allow, deny\n"},
    {RULE("{ name: r, action: deny, limits: { limit: 1, window: 1s } }"),
     "3:36: limits in a rule with an action, expected only in a rule that limits\n"},
    {RULE("{ name: r, action: allow, key: [], limits: [], on_store_error: deny }"),
     "3:34: key in a rule with an action, expected only in a rule that limits\n"
     "3:46: limits in a rule with an action, expected only in a rule that limits\n"
     "3:66: on_store_error in a rule with an action, expected only in a rule that limits\n"},
    {RULE("{ name: r, action: allow, consistency: leased, charge_denied: false }"),
     "3:42: consistency in a rule with an action, expected only in a rule that limits\n"
     "3:65: charge_denied in a rule with an action, expected only in a rule that limits\n"},
    {RULE("{ name: r, key: [], limits: { limit: 1, window: 1s }, consistency: strong }"),
     "3:70: consistency is \"strong\", expected one of exact, leased\n"},
    {RULE("{ name: r, key: [], limits: { limit: 1, window: 1s }, consistency: , charge_denied: }"),
     "3:70: consistency is empty, expected exact or leased\n"
     "3:87: charge_denied is empty, expected true or false\n"},
    {RULE("{ name: r, key: [], limits: { limit: 1, window: 1s }, charge_denied: yes }"),
     "3:72: charge_denied is \"yes\", expected one of false, true\n"},
    {RULE("{ name: r, action: allow, message: a b }"),
     "3:38: message is \"a b\", expected a name of 1 to 64 letters, digits, '.', '_', '-' and "
     "':'\n"},
    {RULE("{ name: r, action: allow, message: [ a ] }"),
     "3:38: message is a list, expected a name of 1 to 64 letters, digits, '.', '_', '-' and "
     "':'\n"},
    {RULE("{ name: r, action: allow, on_store_error: block }"),
     "3:45: on_store_error is \"block\", expected one of local, allow, deny\n"
     "3:45: on_store_error in a rule with an action, expected only in a rule that limits\n"},
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
     "3:46: operator of path is \"prefx\", expected one of is, in, prefix, suffix, cidr; did you "
     "mean \"prefix\"?\n"},
    {RULE("{ name: r, action: allow, match: { path: { regex: x } } }"),
     "3:46: operator of path is \"regex\", expected one of is, in, prefix, suffix, cidr\n"},
    {RULE("{ name: r, action: allow, match: { path: { [ is ]: x } } }"),
     "3:46: operator of path is a list, expected one of is, in, prefix, suffix, cidr\n"},
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
    {RULE("{ name: r, key: [], limits: [ { limit: 1, window: 1s }, *b ] }"),
     "3:59: alias of an unknown anchor \"b\", expected one that stands above it as &b\n"},
    {RULE("{ name: a, action: allow, match: &m { src: 10.0.0.0/8 } }\n"
          "- { name: b, action: allow, match: *m }"),
     "3:46: src is \"10.0.0.0/8\", expected an address; networks are matched by cidr\n"},
    {RULE("&r { name: a, action: allow }\n"
          "- *r"),
     "3:14: rule \"a\" again, expected a name of its own (line 3 has it)\n"},
};

START_TEST(every_problem_of_a_wrong_rule)
{
    expect_problems(&wrong_files[_i]);
}
END_TEST

int main(void)
{
    return run_wrong_files("errors_rules", every_problem_of_a_wrong_rule,
                           sizeof(wrong_files) / sizeof(wrong_files[0]));
}
