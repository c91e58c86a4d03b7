#include "agent/spoe_config_read.h"

#include <stdio.h>

#include "main.h"

/* "MESSAGE(ARGUMENT,ARGUMENT) MESSAGE()" of a file. */
static const char *read_file(const char *text)
{
    static char out[4096];
    struct spoe_sent sent;
    const char *what;
    size_t size = 0;
    out[0] = 0;
    bool any = spoe_sent_read(&sent, slice_of_string(text), "f", &what);
    ck_assert(any == (sent.list.count > 0));
    for (size_t i = 0; i < sent.list.count; i++) {
        const struct rules_sent *message = &sent.list.messages[i];
        size += (size_t)snprintf(out + size, sizeof(out) - size, "%s%s(", i ? " " : "",
                                 message->message);
        for (size_t a = 0; a < message->count; a++)
            size += (size_t)snprintf(out + size, sizeof(out) - size, "%s%s", a ? "," : "",
                                     message->arguments[a]);
        size += (size_t)snprintf(out + size, sizeof(out) - size, ")");
    }
    spoe_sent_free(&sent);
    return out;
}

START_TEST(messages_and_the_names_of_their_arguments_are_read)
{
    ck_assert_str_eq(read_file("[a]\n"
                               "spoe-agent x\n"
                               "    messages m\n"
                               "    args not=this\n"
                               "spoe-message m\n"
                               "    args src=src path=path,lower\n"
                               "    event on-frontend-http-request\n"
                               "    args third=req.hdr(x-a)\n"
                               "spoe-group g\n"
                               "    args nor=this\n"
                               "[b]\n"
                               "spoe-message other\n"
                               "spoe-message last\n"
                               "\targs\tip=src   \r\n"),
                     "m(src,path,third) other() last(ip)");
}
END_TEST

START_TEST(quotes_backslashes_and_comments_are_haproxys)
{
    ck_assert_str_eq(read_file("spoe-message m # args no=src\n"
                               "# args no=src\n"
                               "  args a=str(#) b=src\n"
                               "  args c='str(x y # z)' \"d=str(\\\"q\\\" r)\" e\\=f=src # g=src\n"
                               "  args src h=src =src\n"),
                     "m(a,c,d,e,h)");
    /* A quote that isn't closed ends with its line. */
    ck_assert_str_eq(read_file("spoe-message m\nargs a='x b=src\nargs c=src"), "m(a,c)");
}
END_TEST

START_TEST(what_has_no_message_is_refused)
{
    ck_assert_str_eq(read_file(""), "");
    ck_assert_str_eq(read_file("\n\n"), "");
    ck_assert_str_eq(read_file("spoe-message\n"), "");
    ck_assert_str_eq(read_file("args a=src\nspoe-agent x\n"), "");
}
END_TEST

START_TEST(many_are_read)
{
    enum {
        MESSAGES = 100,
        ARGUMENTS = 300
    };
    static char text[MESSAGES * (40 + ARGUMENTS * 16)];
    size_t size = 0;
    for (int m = 0; m < MESSAGES; m++) {
        size += (size_t)sprintf(text + size, "spoe-message m%d\n args", m);
        for (int a = 0; a < ARGUMENTS; a++)
            size += (size_t)sprintf(text + size, " a%d=src", a);
        size += (size_t)sprintf(text + size, "\n");
    }
    struct spoe_sent sent;
    const char *what;
    ck_assert(spoe_sent_read(&sent, slice_of(text, size), "f", &what));
    ck_assert_uint_eq(sent.list.count, MESSAGES);
    for (size_t m = 0; m < MESSAGES; m++)
        ck_assert_uint_eq(sent.list.messages[m].count, ARGUMENTS);
    ck_assert_str_eq(sent.list.messages[99].message, "m99");
    ck_assert_str_eq(sent.list.messages[99].arguments[299], "a299");
    spoe_sent_free(&sent);
}
END_TEST

START_TEST(a_file_without_end_is_refused)
{
    struct spoe_sent sent;
    const char *what;
    /* Not looked at. */
    ck_assert(!spoe_sent_read(&sent, slice_of("", (size_t)SPOE_FILE_MAX + 1), "f", &what));
    ck_assert_str_eq(what, "one that is not that large");
    spoe_sent_free(&sent);
}
END_TEST

UNIT_MAIN("spoe_config_read", messages_and_the_names_of_their_arguments_are_read,
          quotes_backslashes_and_comments_are_haproxys, what_has_no_message_is_refused,
          many_are_read, a_file_without_end_is_refused)
