#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/endpoint.h"
#include "agent/folder.h"
#include "agent/inherited.h"
#include "main.h"

/* Where the sockets of a test stand, since 3 is check's own. */
#define FIRST 50

/* A path in the folder, unix:// before it; each call has a text of its own, up to 24. */
static const char *in_folder(const char *name)
{
    static char texts[24][128];
    static size_t next;
    char folder[64];
    char *text = texts[next++];
    ck_assert_uint_le(next, 24);
    ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
    snprintf(text, sizeof(texts[0]), "unix://%s/%s", folder, name);
    return text;
}

/* A blocking listener as systemd makes it, that becomes descriptor FIRST + index. */
static void pass(int index, const char *address)
{
    char why[SOCKET_WHY_MAX];
    struct endpoint endpoint = endpoint_of(address);
    int fd = socket_listen(&endpoint, 0, why);
    ck_assert_msg(fd >= 0, "%s: %s", address, why);
    ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
    ck_assert_int_eq(dup2(fd, FIRST + index), FIRST + index);
    close(fd);
}

static void environment(const char *sockets, const char *names)
{
    char process[16];
    snprintf(process, sizeof(process), "%d", (int)getpid());
    setenv("LISTEN_PID", process, 1);
    setenv("LISTEN_FDS", sockets, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
}

static struct rules_settings settings_of(const char *admin, const char *first, const char *second)
{
    struct rules_settings settings = {0};
    settings.listeners[settings.listener_count++].endpoint = endpoint_of(first);
    if (second)
        settings.listeners[settings.listener_count++].endpoint = endpoint_of(second);
    settings.has_admin = admin != NULL;
    if (admin)
        settings.admin = endpoint_of(admin);
    return settings;
}

static void expect_refused(const struct rules_settings *settings, const char *part)
{
    char why[SOCKET_WHY_MAX] = "";
    struct inherited inherited;
    ck_assert(!inherited_receive(&inherited, settings, FIRST, why));
    ck_assert_msg(strstr(why, part), "\"%s\" is not in: %s", part, why);
    ck_assert_ptr_null(getenv("LISTEN_FDS"));
}

static void expect(const struct rules_settings *settings, int first, int second, int admin)
{
    char why[SOCKET_WHY_MAX] = "";
    struct inherited inherited;
    ck_assert_msg(inherited_receive(&inherited, settings, FIRST, why), "%s", why);
    ck_assert_int_eq(inherited.listeners[0], first);
    ck_assert_int_eq(inherited.listeners[1], second);
    ck_assert_int_eq(inherited.admin, admin);
    for (size_t i = 2; i < RULES_MAX_LISTENERS; i++)
        ck_assert_int_eq(inherited.listeners[i], -1);
    ck_assert_ptr_null(getenv("LISTEN_PID"));
    ck_assert_ptr_null(getenv("LISTEN_FDS"));
    ck_assert_ptr_null(getenv("LISTEN_FDNAMES"));
}

START_TEST(without_any_there_is_none)
{
    struct rules_settings settings = settings_of("tcp://127.0.0.1:1", "unix:///tmp/x", NULL);
    expect(&settings, -1, -1, -1);
    environment("0", "");
    expect(&settings, -1, -1, -1);
    /* What another process was passed, this one's parent perhaps. */
    environment("2", NULL);
    setenv("LISTEN_PID", "1", 1);
    expect(&settings, -1, -1, -1);
}
END_TEST

START_TEST(sockets_are_matched_by_address_in_any_order)
{
    char why[SOCKET_WHY_MAX];
    char tcp[SOCKET_NAME_MAX];
    enter_folder();
    pass(0, in_folder("admin"));
    pass(1, "tcp://127.0.0.1:0");
    pass(2, in_folder("spop"));
    socket_own_name(FIRST + 1, tcp);
    struct rules_settings settings = settings_of(in_folder("admin"), in_folder("spop"), tcp);
    environment("3", NULL);
    expect(&settings, FIRST + 2, FIRST + 1, FIRST);
    for (int fd = FIRST; fd < FIRST + 3; fd++) {
        ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
        ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        ck_assert_int_eq(socket_accept(fd), -1);
    }
    /* Fewer than there are addresses: the others are to be opened. */
    environment("1", "sluice.socket");
    expect(&settings, -1, -1, FIRST);
    /* They listen on. */
    int client = socket_connect(&settings.listeners[0].endpoint, 1000, why);
    ck_assert_msg(client >= 0, "%s", why);
    leave_folder();
}
END_TEST

START_TEST(a_path_with_another_name_for_its_folder_is_the_same)
{
    enter_folder();
    ck_assert_int_eq(mkdir("run", 0700), 0);
    ck_assert_int_eq(symlink("run", "link"), 0);
    pass(0, in_folder("run/spop"));
    struct rules_settings settings = settings_of(NULL, in_folder("link/spop"), NULL);
    environment("1", "spop");
    expect(&settings, FIRST, -1, -1);
    leave_folder();
}
END_TEST

START_TEST(every_address_and_names_of_hosts_and_abstract_names)
{
    char port[SOCKET_NAME_MAX];
    char text[3][SOCKET_NAME_MAX];
    pass(0, "tcp://:0");
    pass(1, "tcp://127.0.0.1:0");
    socket_own_name(FIRST, port);
    snprintf(text[0], sizeof(text[0]), "tcp://%s", strrchr(port, ':'));
    socket_own_name(FIRST + 1, port);
    snprintf(text[1], sizeof(text[1]), "tcp://localhost%s", strrchr(port, ':'));
    snprintf(text[2], sizeof(text[2]), "unix://@sluice-test-%d", (int)getpid());
    pass(2, text[2]);
    struct rules_settings settings = settings_of(text[2], text[0], text[1]);
    environment("3", "spop:spop:admin");
    expect(&settings, FIRST, FIRST + 1, FIRST + 2);
    /* One address isn't every one, nor the other way round. */
    snprintf(text[0], sizeof(text[0]), "tcp://%s", strrchr(port, ':'));
    settings = settings_of(NULL, "tcp://127.0.0.1:1", text[0]);
    environment("2", NULL);
    expect_refused(&settings, "the passed socket tcp://[::]:");
}
END_TEST

START_TEST(what_matches_nothing_is_refused)
{
    enter_folder();
    pass(0, in_folder("spop"));
    struct rules_settings settings = settings_of(NULL, in_folder("other"), NULL);
    environment("1", "spop");
    expect_refused(&settings, "/spop (spop) is no address of the rule file, expected one of");
    /* A name that says another purpose. */
    settings = settings_of(NULL, in_folder("spop"), NULL);
    environment("1", "admin");
    expect_refused(&settings, "is no address of the rule file");
    settings = settings_of(in_folder("spop"), in_folder("other"), NULL);
    environment("1", "spop");
    expect_refused(&settings, "is no address of the rule file");
    environment("1", "admin");
    expect(&settings, -1, -1, FIRST);
    /* The same twice. */
    ck_assert_int_eq(dup2(FIRST, FIRST + 1), FIRST + 1);
    environment("2", "admin:admin");
    expect_refused(&settings, "was passed twice");
    leave_folder();
}
END_TEST

START_TEST(what_cannot_be_accepted_from_is_refused)
{
    int pair[2];
    struct rules_settings settings = settings_of(NULL, "unix:///tmp/x", NULL);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(dup2(pair[0], FIRST), FIRST);
    environment("1", "spop");
    expect_refused(&settings, "descriptor 50 (spop) is not a listening stream socket");
    ck_assert_int_eq(dup2(socket(AF_UNIX, SOCK_DGRAM, 0), FIRST), FIRST);
    environment("1", NULL);
    expect_refused(&settings, "is not a listening stream socket");
    environment("2", NULL); /* the second isn't open at all */
    expect_refused(&settings, "is not a listening stream socket");
}
END_TEST

START_TEST(an_environment_that_makes_no_sense_is_refused)
{
    char name[300];
    struct rules_settings settings = settings_of(NULL, "unix:///tmp/x", NULL);
    static const char *const counts[] = {"", "x", "-1", "1x", "18", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        environment(counts[i], NULL);
        expect_refused(&settings, "LISTEN_FDS is \"");
    }
    environment("1", NULL);
    setenv("LISTEN_PID", "me", 1);
    expect_refused(&settings, "LISTEN_PID is not a number");
    environment("2", "spop");
    expect_refused(&settings, "LISTEN_FDNAMES has 1 names, expected 2");
    environment("2", "spop:admin:");
    expect_refused(&settings, "LISTEN_FDNAMES has 3 names, expected 2");
    memset(name, 'a', 256);
    name[256] = 0;
    environment("1", name);
    expect_refused(&settings, "is too long");
}
END_TEST

START_TEST(as_many_as_there_can_be)
{
    char number[12];
    struct rules_settings settings = {.listener_count = RULES_MAX_LISTENERS, .has_admin = true};
    char why[SOCKET_WHY_MAX] = "";
    struct inherited inherited;
    enter_folder();
    for (int i = 0; i < INHERITED_MAX; i++) {
        snprintf(number, sizeof(number), "%d", i);
        const char *address = in_folder(number);
        pass(i, address);
        if (i < RULES_MAX_LISTENERS)
            settings.listeners[i].endpoint = endpoint_of(address);
        else
            settings.admin = endpoint_of(address);
    }
    snprintf(number, sizeof(number), "%d", INHERITED_MAX);
    environment(number, NULL);
    ck_assert_msg(inherited_receive(&inherited, &settings, FIRST, why), "%s", why);
    for (int i = 0; i < RULES_MAX_LISTENERS; i++)
        ck_assert_int_eq(inherited.listeners[i], FIRST + i);
    ck_assert_int_eq(inherited.admin, FIRST + RULES_MAX_LISTENERS);
    leave_folder();
}
END_TEST

UNIT_MAIN("inherited", without_any_there_is_none, sockets_are_matched_by_address_in_any_order,
          a_path_with_another_name_for_its_folder_is_the_same,
          every_address_and_names_of_hosts_and_abstract_names, what_matches_nothing_is_refused,
          what_cannot_be_accepted_from_is_refused, an_environment_that_makes_no_sense_is_refused,
          as_many_as_there_can_be)
