/* The parts of rules_warn. Internal to rules/. */
#pragma once

#include "rules/explain.h"

/* What it says of rules and limits. */
void rules__warn_rules(const struct rules_set *set, struct rules_report *report);
