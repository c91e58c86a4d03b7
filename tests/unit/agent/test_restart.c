#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/restart.h"
#include "base/base.h"
#include "main.h"

/* What a process finds that was started with this list. */
static bool receive(const char *list, struct restart_sockets *sockets)
{
    char value[48];
    int fd = memfd_create("list", 0);
    ck_assert_int_eq((int)write(fd, list, strlen(list)), (int)strlen(list));
    ck_assert_int_eq((int)lseek(fd, 0, SEEK_SET), 0);
    snprintf(value, sizeof(value), "%d %d", (int)getpid(), fd);
    setenv("SLUICE_RESTART", value, 1);
    bool right = restart_receive(sockets);
    ck_assert_ptr_null(getenv("SLUICE_RESTART"));
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* closed */
    return right;
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

START_TEST(what_was_left_is_received_in_order)
{
    struct restart_sockets sockets;
    char list[128];
    int fds[] = {open_socket(), open_socket(), open_socket(), open_socket()};
    snprintf(list, sizeof(list),
             "listener %d 0\npassed %d 0\nconnection %d 16380\nconnection %d 0\n", fds[0], fds[1],
             fds[2], fds[3]);
    ck_assert(receive(list, &sockets));
    ck_assert_uint_eq(sockets.count, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(sockets.all[i].fd, fds[i]);
        ck_assert(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
    }
    ck_assert_int_eq(sockets.all[0].kind, RESTART_LISTENER);
    ck_assert_int_eq(sockets.all[1].kind, RESTART_PASSED);
    ck_assert_int_eq(sockets.all[2].kind, RESTART_CONNECTION);
    ck_assert_uint_eq(sockets.all[2].max_frame_size, 16380);
    ck_assert_uint_eq(sockets.all[3].max_frame_size, 0);
    restart_free(&sockets);
    ck_assert(receive("", &sockets));
    ck_assert_uint_eq(sockets.count, 0);
}
END_TEST

START_TEST(without_a_restart_nothing_is_received)
{
    struct restart_sockets sockets;
    ck_assert(restart_receive(&sockets));
    ck_assert_uint_eq(sockets.count, 0);
    setenv("SLUICE_RESTART", "1 5", 1); /* another process's */
    ck_assert(restart_receive(&sockets));
    ck_assert_uint_eq(sockets.count, 0);
    ck_assert_ptr_null(getenv("SLUICE_RESTART"));
}
END_TEST

START_TEST(a_malformed_list_is_refused)
{
    struct restart_sockets sockets;
    char list[64];
    int fd = open_socket();
    static const char *const formats[] = {"connexion %d 0\n", "connection %d\n",
                                          "connection -1%d 0\n", "connection\n%d 0\n",
                                          "%d listener 0\n"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        snprintf(list, sizeof(list), formats[i], fd);
        ck_assert_msg(!receive(list, &sockets), "%s", list);
        restart_free(&sockets);
    }
    snprintf(list, sizeof(list), "listener %d 0\n", open("/dev/null", O_RDONLY));
    ck_assert(!receive(list, &sockets));
}
END_TEST

/* ---- the program ----------------------------------------------------------------------------- */

static int answer; /* 1: right, 0: wrong, -1: none yet */

static void on_checked(void *context, bool right)
{
    answer = right;
    ck_assert_ptr_eq(context, &answer);
}

static int ask_program(struct restart_program *program, const char *path)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    answer = -1;
    snprintf(program->path, sizeof(program->path), "%s", path);
    if (restart_check(program, "rules.yml", loop, on_checked, &answer))
        return -2;
    ck_assert(restart_check(program, "rules.yml", loop, on_checked, &answer)); /* one at a time */
    while (answer < 0)
        ev_run(loop, EVRUN_ONCE);
    return answer;
}

START_TEST(the_program_that_is_there_is_asked)
{
    struct restart_program *program = calloc(1, sizeof(*program));
    ck_assert_int_eq(ask_program(program, "/bin/true"),
                     -2); /* it isn't known how this was called */
    restart_remember(program);
    ck_assert_ptr_nonnull(strstr(program->path, "test_restart"));
    ck_assert_ptr_nonnull(strstr(program->arguments, "test_restart"));
    ck_assert_int_eq(ask_program(program, "/bin/true"), 1);
    ck_assert_int_eq(ask_program(program, "/bin/false"), 0);
    ck_assert_int_eq(ask_program(program, "/no/such/program"), -2);
    ck_assert_int_eq(ask_program(program, "/bin/true"), 1);
    free(program);
}
END_TEST

/* A shell in its place: it finds the same number and arguments, the socket and the list, and
 * signals that are blocked. */
START_TEST(the_process_becomes_the_program)
{
    static const char script[] =
        "set -- $SLUICE_RESTART \"$@\"; [ $1 = $$ ] && [ \"$3\" = 'a b' ] && [ \"$4\" = '' ] && "
        "read kind fd size <&$2 && [ \"$kind $size\" = 'connection 7' ] && [ -S /proc/$$/fd/$fd ] "
        "&&"
        " kill -TERM $$ && exit 5";
    struct restart_sockets sockets = {0};
    ck_assert(
        restart_add(&sockets, &(struct restart_socket){RESTART_CONNECTION, open_socket(), 7}));
    pid_t child = fork();
    if (child == 0) {
        struct restart_program *program = calloc(1, sizeof(*program));
        static const char rest[] = "sh\0a b\0"; /* and an empty one */
        struct writer w = writer_open(program->arguments, sizeof(program->arguments));
        writer_bytes(&w, SLICE("sh\0-c\0"));
        writer_bytes(&w, slice_of(script, sizeof(script)));
        writer_bytes(&w, slice_of(rest, sizeof(rest)));
        program->size = writer_size(&w);
        snprintf(program->path, sizeof(program->path), "/bin/sh");
        restart_now(program, &sockets);
        _exit(99);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 5);
    restart_free(&sockets);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_said)
{
    struct restart_sockets sockets = {0};
    struct restart_program *program = calloc(1, sizeof(*program));
    restart_remember(program);
    snprintf(program->path, sizeof(program->path), "/no/such/program");
    restart_now(program, &sockets);
    ck_assert_int_eq(errno, ENOENT);
    free(program);
}
END_TEST

START_TEST(there_is_room_for_all_connections_that_can_be)
{
    struct restart_sockets sockets = {0};
    for (int i = 0; i < 100000; i++)
        UNIT_ASSERT(restart_add(&sockets, &(struct restart_socket){RESTART_CONNECTION, i, 1}));
    ck_assert_uint_eq(sockets.count, 100000);
    ck_assert_int_eq(sockets.all[99999].fd, 99999);
    restart_free(&sockets);
}
END_TEST

UNIT_MAIN("restart", what_was_left_is_received_in_order, without_a_restart_nothing_is_received,
          a_malformed_list_is_refused, the_program_that_is_there_is_asked,
          the_process_becomes_the_program, a_program_that_is_not_there_is_said,
          there_is_room_for_all_connections_that_can_be)
