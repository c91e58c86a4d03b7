/* The parts of rules_warn. Internal to rules/. */
#pragma once

#include "rules/explain.h"

/* What it says of rules and limits. */
void rules__warn_rules(const struct rules_set *set, struct rules_report *report);

/* Of rules that are charged for more than they are checked for. */
void rules__warn_charges(const struct rules_set *set, const struct rules_sent_list *sent,
                         struct rules_report *report);
