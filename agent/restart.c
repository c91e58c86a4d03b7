#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/restart.h"
#include "base/base.h"

/* "PID FD": the process meant, and a file with a line for each socket. */
#define VARIABLE "SLUICE_RESTART"

static const char *const kinds[] = {
    [RESTART_LISTENER] = "listener",
    [RESTART_PASSED] = "passed",
    [RESTART_CONNECTION] = "connection",
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

bool restart_add(struct restart_sockets *sockets, const struct restart_socket *socket)
{
    if (sockets->count == sockets->room) {
        size_t room = sockets->room ? 2 * sockets->room : 16;
        struct restart_socket *larger = reallocarray(sockets->all, room, sizeof(*larger));
        if (!larger)
            return false;
        sockets->all = larger;
        sockets->room = room;
    }
    sockets->all[sockets->count++] = *socket;
    return true;
}

void restart_free(struct restart_sockets *sockets)
{
    free(sockets->all);
    *sockets = (struct restart_sockets){0};
}

/* ---- the program --------------------------------------------------------------------------- */

void restart_remember(struct restart_program *program)
{
    ssize_t length = readlink("/proc/self/exe", program->path, sizeof(program->path));
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    program->size = 0;
    if (fd < 0)
        return;
    ssize_t got = read(fd, program->arguments, sizeof(program->arguments));
    close(fd);
    /* What fills its buffer may be cut off. */
    if (length <= 0 || (size_t)length == sizeof(program->path) || got <= 0 ||
        (size_t)got == sizeof(program->arguments) || program->arguments[got - 1] != 0)
        return;
    program->path[length] = 0;
    program->size = (size_t)got;
}

static void on_check_ended(struct ev_loop *loop, ev_child *watcher, int events)
{
    struct restart_program *program = watcher->data;
    int status = watcher->rstatus;
    (void)events;
    ev_child_stop(loop, watcher);
    program->checked(program->context, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

const char *restart_check(struct restart_program *program, const char *rule_file,
                          struct ev_loop *loop, void (*checked)(void *context, bool right),
                          void *context)
{
    char *const arguments[] = {"sluice", "validate", (char *)rule_file, NULL};
    pid_t child;
    if (!program->size)
        return "it isn't known how this process was started";
    if (ev_is_active(&program->check))
        return "the program is being asked about the rule file already";
    int error = posix_spawn(&child, program->path, NULL, NULL, arguments, environ);
    if (error)
        return strerror(error);
    program->checked = checked;
    program->context = context;
    ev_child_init(&program->check, on_check_ended, child, 0);
    program->check.data = program;
    ev_child_start(loop, &program->check);
    return NULL;
}

/* ---- leaving ------------------------------------------------------------------------------- */

/* A file without a name; -1 with errno. */
static int write_list(const struct restart_sockets *sockets)
{
    int fd = memfd_create("sluice-restart", 0);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        return -1;
    for (size_t i = 0; i < sockets->count; i++) {
        const struct restart_socket *socket = &sockets->all[i];
        fprintf(file, "%s %d %" PRIu32 "\n", kinds[socket->kind], socket->fd,
                socket->max_frame_size);
        fcntl(socket->fd, F_SETFD, 0);
    }
    /* The descriptor outlives the stream. */
    int kept = dup(fd);
    if (fclose(file) == 0 && kept >= 0 && lseek(kept, 0, SEEK_SET) == 0)
        return kept;
    return -1;
}

void restart_now(const struct restart_program *program, const struct restart_sockets *sockets)
{
    char value[48];
    char **arguments = calloc(program->size + 1, sizeof(*arguments));
    size_t count = 0;
    sigset_t all;
    /* One that came between the old handlers' end and the new ones' start would end the process. */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    int list = arguments ? write_list(sockets) : -1;
    snprintf(value, sizeof(value), "%d %d", (int)getpid(), list);
    setenv(VARIABLE, value, 1);
    for (size_t at = 0; arguments && at < program->size; at += strlen(program->arguments + at) + 1)
        arguments[count++] = (char *)program->arguments + at;
    if (list >= 0)
        execv(program->path, arguments);
    int error = errno;
    free(arguments);
    errno = error;
}

/* ---- arriving ------------------------------------------------------------------------------ */

static bool is_stream_socket(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* Up to the next space or line's end. */
static struct slice next_word(struct slice *rest)
{
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ' ' && rest->data[size] != '\n')
        size++;
    struct slice word = slice_of(rest->data, size);
    *rest = slice_from(*rest, size + 1);
    return word;
}

static bool next_number(struct slice *rest, uint32_t maximum, uint32_t *number)
{
    uint64_t large;
    if (!slice_to_uint64(next_word(rest), &large) || large > maximum)
        return false;
    *number = (uint32_t)large;
    return true;
}

static bool read_line(const char *line, struct restart_sockets *sockets)
{
    struct restart_socket socket = {.kind = KINDS};
    struct slice rest = slice_of_string(line);
    struct slice kind = next_word(&rest);
    uint32_t fd;
    for (size_t i = 0; i < KINDS; i++)
        if (slice_equal(kind, slice_of_string(kinds[i])))
            socket.kind = (enum restart_kind)i;
    if (socket.kind == KINDS || !next_number(&rest, INT32_MAX, &fd) ||
        !next_number(&rest, UINT32_MAX, &socket.max_frame_size))
        return false;
    socket.fd = (int)fd;
    return is_stream_socket(socket.fd) && fcntl(socket.fd, F_SETFD, FD_CLOEXEC) == 0 &&
           restart_add(sockets, &socket);
}

static bool read_list(int fd, struct restart_sockets *sockets)
{
    char line[64];
    FILE *file = fdopen(fd, "r");
    bool right = file != NULL;
    while (right && fgets(line, sizeof(line), file))
        right = read_line(line, sockets);
    if (file)
        fclose(file);
    return right;
}

bool restart_receive(struct restart_sockets *sockets)
{
    const char *value = getenv(VARIABLE);
    struct slice rest = value ? slice_of_string(value) : slice_of(NULL, 0);
    uint32_t process;
    uint32_t list;
    sigset_t none;
    *sockets = (struct restart_sockets){0};
    bool restarted = value && next_number(&rest, INT32_MAX, &process) &&
                     process == (uint32_t)getpid() && next_number(&rest, INT32_MAX, &list);
    bool right = !restarted || read_list((int)list, sockets);
    unsetenv(VARIABLE);
    sigemptyset(&none);
    if (restarted)
        sigprocmask(SIG_SETMASK, &none, NULL);
    return right;
}

/* ---- what needs one ------------------------------------------------------------------------ */

static bool same_endpoints(const struct rules_settings *a, const struct rules_settings *b)
{
    char text[2][ENDPOINT_HOST_MAX + 64];
    bool same = a->listener_count == b->listener_count && a->has_admin == b->has_admin;
    for (size_t i = 0; same && i <= a->listener_count; i++) {
        bool admin = i == a->listener_count;
        struct writer wa = writer_open(text[0], sizeof(text[0]));
        struct writer wb = writer_open(text[1], sizeof(text[1]));
        if (admin && !a->has_admin)
            break;
        endpoint_print(admin ? &a->admin : &a->listeners[i].endpoint, &wa);
        endpoint_print(admin ? &b->admin : &b->listeners[i].endpoint, &wb);
        same = slice_equal(writer_slice(&wa), writer_slice(&wb));
    }
    return same;
}

void restart_warn(const struct rules_settings *started, const struct rules_settings *now)
{
    if (!same_endpoints(started, now) || started->workers != now->workers ||
        started->max_frame_size != now->max_frame_size ||
        !rules_store_equal(&started->store, &now->store))
        log_event(LOG_WARNING, "listen, admin, workers, store and max_frame_size are as they were "
                               "at the start: restart to change them");
}
