/* A line of a file as a terminal shows it, with a mark under one of its characters. */
#pragma once

#include "base/base.h"

/* The line of that number, from 1, without its end ("\n", "\r\n" or "\r"); data NULL where the text
 * has no such line. A byte order mark is not part of the first. */
struct slice quote_line(struct slice text, size_t number);

/* The line that was found last, so that one behind it in the same text is looked for from there.
 * Zeroed before, and whenever another text may be where that was. */
struct quote_place {
    const uint8_t *text;
    size_t number;
    struct slice rest; /* from the line's beginning */
};

/* The same as quote_line. */
struct slice quote_line_from(struct quote_place *place, struct slice text, size_t number);

/* How much of a line is shown, in columns of the terminal: the part around the mark. */
#define QUOTE_WIDTH 100

/* Room for what quote_write writes: up to four bytes a column, and as many marks that have no width
 * of their own as are shown. */
#define QUOTE_MAX 2048

/* Two lines, each with a newline: "  NUMBER | LINE", and below it a '^' under the character at
 * `column`, from 1; one past the end is the end. Tabs are written as the blanks that they stand
 * for, and what isn't text, or moves a terminal's cursor, as U+FFFD. Writes nothing where there is
 * no room. */
void quote_write(struct slice line, size_t number, size_t column, struct writer *w);
