/* What is asked of an agent from a command line, and how its answer is shown. */
#pragma once

#include <stdio.h>

#include "spop/spop.h"

#define QUESTION_FRAME_MAX 16380 /* bytes; what HAProxy announces by default */
#define QUESTION_ARGUMENTS 255   /* a message's count of them is one byte */

#define QUESTION_HELP                                                                              \
    "A value's type is inferred: an address, an integer, true or false, else a string; or\n"       \
    "is given, as in src:ipv4=192.0.2.1. Types: null, bool, int32, uint32, int64, uint64,\n"       \
    "ipv4, ipv6, string, binary (as hex digits).\n"

/* "name=value" or "name:type=value". The argument points into the text, which may be changed. False
 * when it is neither, or the value isn't of the type. */
bool question_argument(char *text, struct spop_argument *argument);

/* As in NAME:TYPE=VALUE; a static string. */
const char *question_type_name(enum value_type type);

/* The variables that an ACK's payload sets, NAME=VALUE, each behind the prefix on a line of its
 * own. The error is that of the payload; what comes before is printed. */
enum error question_print_answer(struct slice payload, const char *prefix, FILE *out);
