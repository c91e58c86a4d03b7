#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/endpoint.h"
#include "agent/socket.h"
#include "main.h"

static int listen_on(const char *text, uint32_t mode, char *why)
{
    struct endpoint endpoint = endpoint_of(text);
    return socket_listen(&endpoint, mode, why);
}

static int connect_to(const char *text, char *why)
{
    struct endpoint endpoint = endpoint_of(text);
    return socket_connect(&endpoint, 1000, why);
}

/* Somebody answers at the address, and it is this listener. */
static void expect_answered(int listener, const char *address)
{
    char why[SOCKET_WHY_MAX] = "";
    int client = connect_to(address, why);
    ck_assert_msg(client >= 0, "%s: %s", address, why);
    int server = socket_accept(listener);
    ck_assert_int_ge(server, 0);
    ck_assert(fcntl(server, F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(server, F_GETFD) & FD_CLOEXEC);
    close(client);
    close(server);
    ck_assert_int_eq(socket_accept(listener), -1);
}

START_TEST(tcp_listens_where_it_says)
{
    static const char *const addresses[] = {"tcp://127.0.0.1:0", "tcp://localhost:0"};
    char why[SOCKET_WHY_MAX];
    char name[SOCKET_NAME_MAX];
    for (size_t i = 0; i < 2; i++) {
        int listener = listen_on(addresses[i], 0, why);
        ck_assert_msg(listener >= 0, "%s: %s", addresses[i], why);
        socket_own_name(listener, name);
        expect_answered(listener, name);
        int second = listen_on(name, 0, why);
        ck_assert_int_eq(second, -1);
        ck_assert_str_eq(why, "bind: Address already in use");
        close(listener);
    }
}
END_TEST

START_TEST(without_a_host_every_address_is_listened_on)
{
    char why[SOCKET_WHY_MAX];
    char name[SOCKET_NAME_MAX];
    char address[SOCKET_NAME_MAX];
    int listener = listen_on("tcp://:0", 0, why);
    ck_assert_msg(listener >= 0, "%s", why);
    socket_own_name(listener, name);
    snprintf(address, sizeof(address), "tcp://127.0.0.1%s", strrchr(name, ':'));
    expect_answered(listener, address);
    close(listener);
}
END_TEST

START_TEST(what_cannot_be_listened_on_is_said)
{
    char why[SOCKET_WHY_MAX];
    ck_assert_int_eq(listen_on("tcp://192.0.2.1:0", 0, why), -1);
    ck_assert_str_eq(why, "bind: Cannot assign requested address");
    ck_assert_int_eq(listen_on("tcp://no-such-host.invalid:1", 0, why), -1);
    ck_assert_ptr_nonnull(strstr(why, "no-such-host.invalid: "));
    ck_assert_int_eq(listen_on("unix:///no/such/folder/x.sock", 0, why), -1);
    ck_assert_str_eq(why, "bind: No such file or directory");
}
END_TEST

/* ---- unix sockets ---------------------------------------------------------------------------- */

static char folder[64];
static char path[80];
static char address[96];

static void make_folder(void)
{
    snprintf(folder, sizeof(folder), "/tmp/sluice-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/x.sock", folder);
    snprintf(address, sizeof(address), "unix://%s", path);
}

static void remove_folder(void)
{
    ck_assert_int_eq(rmdir(folder), 0); /* so nothing was left in it */
}

START_TEST(a_unix_socket_has_its_mode_and_goes_with_its_listener)
{
    char why[SOCKET_WHY_MAX];
    struct stat status;
    make_folder();
    struct endpoint endpoint = endpoint_of(address);
    mode_t before = umask(0077);
    int listener = listen_on(address, 0660, why);
    ck_assert_int_ge(listener, 0);
    ck_assert_uint_eq(umask(before), 0077);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0660);
    expect_answered(listener, address);
    socket_unlink(listener, &endpoint);
    close(listener);
    remove_folder();
}
END_TEST

START_TEST(a_socket_that_is_answered_on_is_not_taken_away)
{
    char why[SOCKET_WHY_MAX];
    make_folder();
    struct endpoint endpoint = endpoint_of(address);
    int first = listen_on(address, 0, why);
    ck_assert_int_eq(listen_on(address, 0, why), -1);
    ck_assert_str_eq(why, "bind: Address already in use");
    close(socket_accept(first)); /* the question whether it is answered on */

    /* Another that has come into its place by force stays as well. */
    ck_assert_int_eq(unlink(path), 0);
    int second = listen_on(address, 0, why);
    ck_assert_int_ge(second, 0);
    socket_unlink(first, &endpoint);
    close(first);
    close(socket_accept(second));
    expect_answered(second, address);
    socket_unlink(second, &endpoint);
    close(second);
    remove_folder();
}
END_TEST

START_TEST(a_dead_socket_is_replaced_and_a_file_is_not)
{
    char why[SOCKET_WHY_MAX];
    make_folder();
    struct endpoint endpoint = endpoint_of(address);
    close(listen_on(address, 0, why)); /* as when a process was killed */
    int listener = listen_on(address, 0, why);
    ck_assert_msg(listener >= 0, "%s", why);
    socket_unlink(listener, &endpoint);
    close(listener);

    close(open(path, O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(listen_on(address, 0, why), -1);
    ck_assert_str_eq(why, "bind: what is there is no socket");
    ck_assert_int_eq(unlink(path), 0);
    remove_folder();
}
END_TEST

START_TEST(the_longest_path_and_abstract_names)
{
    char long_address[8 + ENDPOINT_PATH_MAX] = "unix://@";
    char why[SOCKET_WHY_MAX];
    char name[SOCKET_NAME_MAX];
    snprintf(long_address + 8, 16, "%d-", (int)getpid());
    size_t size = strlen(long_address);
    memset(long_address + size, 'a', sizeof(long_address) - 1 - size);
    int listener = listen_on(long_address, 0, why);
    ck_assert_msg(listener >= 0, "%s", why);
    socket_own_name(listener, name);
    ck_assert_str_eq(name, long_address);
    expect_answered(listener, long_address);
    close(listener);
}
END_TEST

/* ---- connecting ------------------------------------------------------------------------------ */

START_TEST(what_cannot_be_connected_to_is_said)
{
    char why[SOCKET_WHY_MAX];
    ck_assert_int_eq(connect_to("unix:///no/such.sock", why), -1);
    ck_assert_str_eq(why, "connect: No such file or directory");
    int listener = listen_on("tcp://127.0.0.1:0", 0, why);
    char name[SOCKET_NAME_MAX];
    socket_own_name(listener, name);
    close(listener);
    ck_assert_int_eq(connect_to(name, why), -1);
    ck_assert_str_eq(why, "connect: Connection refused");
}
END_TEST

UNIT_MAIN("socket", tcp_listens_where_it_says, without_a_host_every_address_is_listened_on,
          what_cannot_be_listened_on_is_said, a_unix_socket_has_its_mode_and_goes_with_its_listener,
          a_socket_that_is_answered_on_is_not_taken_away,
          a_dead_socket_is_replaced_and_a_file_is_not, the_longest_path_and_abstract_names,
          what_cannot_be_connected_to_is_said)
