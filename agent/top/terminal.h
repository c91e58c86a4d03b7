/* A terminal that is one's own for a while. One at a time. */
#pragma once

#include <stdbool.h>

enum terminal_event {
    TERMINAL_KEY,      /* one was pressed */
    TERMINAL_RESIZED,  /* or is to be drawn anew */
    TERMINAL_READABLE, /* the other descriptor is */
    TERMINAL_ENDED,    /* SIGINT, SIGTERM, SIGHUP, or the terminal is gone */
};

/* Takes standard input and output: another screen, no cursor, keys one by one and without an echo.
 * False, and nothing is taken, where they are no terminal. Signals come as events from then on. */
bool terminal_open(void);

/* Gives it back as it was. */
void terminal_close(void);

/* At least 1 each. */
void terminal_size(unsigned *columns, unsigned *rows);

/* Waits. SIGTSTP is obeyed, with the terminal given back until the process goes on. key: which. */
enum terminal_event terminal_wait(int descriptor, char *key);
