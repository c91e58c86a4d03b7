/* What rule files are refused for: wrong rules. Each row is a whole
 * file and everything that is said about it. */
#include "helper.h"

/* The first rule begins at line 3, column 3. */
#define RULE(text) "listen: :0\nrules:\n- " text "\n"

static const struct wrong_file wrong_files[] = {
    {RULE("x"), "3:3: a rule is \"x\", expected a mapping with keys from " RULE_KEYS "\n"},
    {RULE("[]"), "3:3: a rule is a list, expected a mapping with keys from " RULE_KEYS "\n"},
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
     "3:14: unknown key \"acton\" in a rule, expected one of " RULE_KEYS
     "; did you mean \"action\"?\n"},
    {RULE("{ name: r, limts: { limit: 1, window: 1s }, key: [] }"),
     "3:14: unknown key \"limts\" in a rule, expected one of " RULE_KEYS
     "; did you mean \"limits\"?\n"},
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
