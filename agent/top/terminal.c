#include "agent/top/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* Another screen, no cursor, no wrapping of lines; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static struct termios before;
static sigset_t signals_before;
static int signals = -1;

static void take(void)
{
    struct termios own = before;
    own.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    own.c_cc[VMIN] = 1;
    own.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &own);
    fputs(ENTER, stdout);
    fflush(stdout);
}

static void give_back(void)
{
    fputs(LEAVE, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

bool terminal_open(void)
{
    sigset_t set;
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGWINCH);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0)
        return false;
    sigprocmask(SIG_BLOCK, &set, &signals_before);
    take();
    return true;
}

void terminal_close(void)
{
    give_back();
    close(signals);
    sigprocmask(SIG_SETMASK, &signals_before, NULL);
}

void terminal_size(unsigned *columns, unsigned *rows)
{
    struct winsize size;
    bool is_told =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *columns = is_told ? size.ws_col : 80;
    *rows = is_told ? size.ws_row : 24;
}

static enum terminal_event take_signal(void)
{
    struct signalfd_siginfo signal;
    if (read(signals, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
        return TERMINAL_RESIZED;
    if (signal.ssi_signo == SIGTSTP) {
        give_back();
        raise(SIGSTOP);
        take();
    }
    return signal.ssi_signo == SIGWINCH || signal.ssi_signo == SIGTSTP ? TERMINAL_RESIZED
                                                                       : TERMINAL_ENDED;
}

enum terminal_event terminal_wait(int descriptor, char *key)
{
    struct pollfd polled[] = {
        {.fd = signals, .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = descriptor, .events = POLLIN},
    };
    while (poll(polled, sizeof(polled) / sizeof(polled[0]), -1) < 0)
        if (errno != EINTR)
            return TERMINAL_ENDED;
    if (polled[0].revents)
        return take_signal();
    if (polled[1].revents)
        return read(STDIN_FILENO, key, 1) == 1 ? TERMINAL_KEY : TERMINAL_ENDED;
    return TERMINAL_READABLE;
}
