#include "wire.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void wire_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: this must hold: %s\n", file, line, condition);
    abort();
}

struct slice wire_copy(struct slice bytes)
{
    if (bytes.size == 0)
        return slice_of(NULL, 0);
    uint8_t *copy = malloc(bytes.size);
    require(copy);
    memcpy(copy, bytes.data, bytes.size);
    return slice_of(copy, bytes.size);
}

void wire_free(struct slice bytes)
{
    free((void *)bytes.data);
}

static uint8_t hex_digit(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit ? strchr(digits, digit) : NULL;
    require(at);
    return (uint8_t)(at - digits);
}

/* A text between two of the same quotes; *at is the first and becomes the second. */
static struct slice quoted(const char **at)
{
    const char *close = strchr(*at + 1, **at);
    require(close);
    struct slice text = slice_of(*at + 1, (size_t)(close - *at - 1));
    *at = close;
    return text;
}

struct slice wire_parse(const char *text)
{
    uint8_t buffer[8192];
    struct writer w = writer_open(buffer, sizeof(buffer));
    uint8_t *frame = NULL;
    for (const char *at = text; *at; at++) {
        if (*at == ' ')
            continue;
        if (*at == '[') {
            require(!frame);
            frame = writer_reserve(&w, 4);
        } else if (*at == ']') {
            require(frame && !w.error);
            writer_put_uint32(frame, (uint32_t)(w.position - frame - 4));
            frame = NULL;
        } else if (*at == '\'') {
            struct slice string = quoted(&at);
            require(string.size < 240);
            writer_uint8(&w, (uint8_t)string.size);
            writer_bytes(&w, string);
        } else if (*at == '/') {
            writer_bytes(&w, quoted(&at));
        } else {
            uint8_t high = hex_digit(*at++);
            writer_uint8(&w, (uint8_t)(high << 4 | hex_digit(*at)));
        }
    }
    require(!frame && !w.error);
    return wire_copy(writer_slice(&w));
}

/* ---- conversations ------------------------------------------------------------------------- */

/* A HAPROXY-HELLO and an AGENT-HELLO with nothing special in them; and what is said of them. */
#define HELLO                                                                                      \
    "[01 00000001 00 00 'supported-versions' 08'2.0' 'max-frame-size' 03 fcf006 'capabilities' "   \
    "08'']"
#define HELLO_SAID       "> AGENT-HELLO 2.0 16380 0; hello 16380 0 ; "
#define AGENT_HELLO_SAID "hello 16380 2 ; "

#define HAPROXY_HELLO_SAID                                                                         \
    "> AGENT-HELLO 2.0 65532 2; hello 65532 2 0175fb64-918b-439d-aa5c-816c85a36fff; "
#define NOTIFY_SAID                                                                                \
    "notify 0.1 m1(10: src=ipv4:127.0.0.1 path=string:/a/b b=bool:true f=bool:false n=int64:-5 "   \
    "i=int64:300 v6=ipv6:2001:db8::1 "                                                             \
    "bin=binary:\\xa5\\x14X\\xf8\\xd2\\xc1\\xfb\\xd8.A>=\\xddV\\x1e\\x94b\\xe8\\xf6\\x1b "         \
    "none=null:null =string:anonymous) m2(0:); "
#define NOTIFY_BARE_SAID "notify 5.300 m(0:); "

#define REFUSED(code)         "> AGENT-DISCONNECT " code "; close " code " refused; "
#define REFUSED_HAPROXY(code) "> HAPROXY-DISCONNECT " code "; close " code " refused; "
#define AGREED_TO_CLOSE(code) "> AGENT-DISCONNECT 0; close " code " by peer; "

#define VERSION_ITEM      "'supported-versions' 08'2.0' "
#define FRAME_SIZE_ITEM   "'max-frame-size' 03 fcf006 "
#define CAPABILITIES_ITEM "'capabilities' 08'' "

const struct conversation wire_conversations[] = {
    /* HAProxy as it is. */
    {"nothing at all", SPOP_AGENT, "", ""},
    {"health check", SPOP_AGENT, HAPROXY_CHECK, "> AGENT-HELLO 2.0 65532 0; healthcheck; "},
    {"health check with pipelining", SPOP_AGENT,
     "[01 00000001 00 00 " VERSION_ITEM FRAME_SIZE_ITEM
     "'capabilities' 08'pipelining' 'healthcheck' 11]",
     "> AGENT-HELLO 2.0 16380 2; healthcheck; "},
    {"hello and notify at once", SPOP_AGENT, HAPROXY_HELLO NOTIFY, HAPROXY_HELLO_SAID NOTIFY_SAID},
    {"idle time-out", SPOP_AGENT, HAPROXY_HELLO NOTIFY HAPROXY_IDLE,
     HAPROXY_HELLO_SAID NOTIFY_SAID AGREED_TO_CLOSE("2")},
    {"plain goodbye", SPOP_AGENT, HELLO HAPROXY_BYE, HELLO_SAID AGREED_TO_CLOSE("0")},
    {"several notifies", SPOP_AGENT, HELLO NOTIFY_BARE NOTIFY NOTIFY_BARE,
     HELLO_SAID NOTIFY_BARE_SAID NOTIFY_SAID NOTIFY_BARE_SAID},
    {"notify without messages", SPOP_AGENT, HELLO "[03 00000001 00 01]", HELLO_SAID "notify 0.1; "},
    {"half a frame at the end", SPOP_AGENT, HELLO NOTIFY_BARE "00000040 03 00000001",
     HELLO_SAID NOTIFY_BARE_SAID "9 left; "},

    /* HELLOs that can or cannot be agreed with. */
    {"healthcheck: false is a session", SPOP_AGENT,
     "[01 00000001 00 00 " VERSION_ITEM FRAME_SIZE_ITEM CAPABILITIES_ITEM "'healthcheck' 01]",
     HELLO_SAID},
    {"smallest frame size", SPOP_AGENT,
     "[01 00000001 00 00 " VERSION_ITEM "'max-frame-size' 03 f001" CAPABILITIES_ITEM
     "] 00000100 00",
     "> AGENT-HELLO 2.0 256 0; hello 256 0 ; 5 left; "},
    {"frame over the negotiated size", SPOP_AGENT,
     "[01 00000001 00 00 " VERSION_ITEM "'max-frame-size' 03 f001" CAPABILITIES_ITEM "] 00000101",
     "> AGENT-HELLO 2.0 256 0; hello 256 0 ; " REFUSED("3")},
    {"frame size too small", SPOP_AGENT,
     "[01 00000001 00 00 " VERSION_ITEM "'max-frame-size' 03 ff00" CAPABILITIES_ITEM "]",
     REFUSED("9")},
    {"no version", SPOP_AGENT, "[01 00000001 00 00]", REFUSED("5")},
    {"no frame size", SPOP_AGENT, "[01 00000001 00 00" CAPABILITIES_ITEM VERSION_ITEM "]",
     REFUSED("6")},
    {"no capabilities", SPOP_AGENT, "[01 00000001 00 00" VERSION_ITEM FRAME_SIZE_ITEM "]",
     REFUSED("7")},
    {"only version 1", SPOP_AGENT,
     "[01 00000001 00 00 'supported-versions' 08'1.0'" FRAME_SIZE_ITEM CAPABILITIES_ITEM "]",
     REFUSED("8")},
    {"unreadable hello", SPOP_AGENT, "[01 00000001 00 00" VERSION_ITEM "'max']", REFUSED("4")},
    {"hello with a stream id", SPOP_AGENT,
     "[01 00000001 01 00" VERSION_ITEM FRAME_SIZE_ITEM CAPABILITIES_ITEM "]", REFUSED("4")},
    {"hello with a frame id", SPOP_AGENT,
     "[01 00000001 00 01" VERSION_ITEM FRAME_SIZE_ITEM CAPABILITIES_ITEM "]", REFUSED("4")},

    /* Frames out of place. */
    {"empty frame, haproxy#2490", SPOP_AGENT, "00000000", REFUSED("4")},
    {"empty frame later", SPOP_AGENT, HELLO "00000000", HELLO_SAID REFUSED("4")},
    {"frame without a frame id", SPOP_AGENT, HELLO "[03 00000001 00]", HELLO_SAID REFUSED("4")},
    {"frame with half an id", SPOP_AGENT, HELLO "[03 00000001 00 f0]", HELLO_SAID REFUSED("4")},
    {"an HTTP request", SPOP_AGENT, "/GET / 2f/ HTTP/ 2f /1.1/ 0d0a", REFUSED("3")},
    {"notify before hello", SPOP_AGENT, NOTIFY HAPROXY_HELLO, REFUSED("4")},
    {"goodbye before hello", SPOP_AGENT, HAPROXY_BYE, REFUSED("4")},
    {"unknown frame before hello", SPOP_AGENT, "[2a 00000001 00 00]" HELLO, REFUSED("4")},
    {"second hello", SPOP_AGENT, HELLO HELLO, HELLO_SAID REFUSED("4")},
    {"unknown frames are skipped", SPOP_AGENT,
     HELLO "[04 00000001 00 00][64 00000001 09 09 ff][68 00000001 00 00]" NOTIFY_BARE
           "[ff 00000001 00 00]",
     HELLO_SAID NOTIFY_BARE_SAID},
    {"AGENT-HELLO from HAProxy", SPOP_AGENT, HELLO AGENT_HELLO, HELLO_SAID REFUSED("4")},
    {"AGENT-DISCONNECT from HAProxy", SPOP_AGENT, HELLO AGENT_BYE, HELLO_SAID REFUSED("4")},
    {"ACK from HAProxy", SPOP_AGENT, HELLO ACK, HELLO_SAID REFUSED("4")},
    {"nothing is read after a refusal", SPOP_AGENT, HELLO ACK NOTIFY HAPROXY_BYE,
     HELLO_SAID REFUSED("4")},
    {"nothing is read after a goodbye", SPOP_AGENT, HELLO HAPROXY_BYE NOTIFY "00000000",
     HELLO_SAID AGREED_TO_CLOSE("0")},
    {"nothing is read after a health check", SPOP_AGENT, HAPROXY_CHECK NOTIFY,
     "> AGENT-HELLO 2.0 65532 0; healthcheck; "},
    {"goodbye with a frame id", SPOP_AGENT,
     HELLO "[02 00000001 00 01 'status-code' 03 00 'message' 08'']", HELLO_SAID REFUSED("4")},
    {"unreadable goodbye", SPOP_AGENT, HELLO "[02 00000001 00 00 'status-code' 03 00]",
     HELLO_SAID REFUSED("4")},
    {"unreadable notify", SPOP_AGENT, HELLO "[03 00000001 00 01 'm' 02 'a' 11]",
     HELLO_SAID "notify 0.1 m(2: a=bool:true) malformed; > AGENT-DISCONNECT 4; "},

    /* Fragments. */
    {"fragmented hello", SPOP_AGENT,
     "[01 00000000 00 00" VERSION_ITEM FRAME_SIZE_ITEM CAPABILITIES_ITEM "]", REFUSED("10")},
    {"first fragment", SPOP_AGENT, HELLO "[03 00000000 00 01 'm' 00]", HELLO_SAID REFUSED("10")},
    {"aborted fragment", SPOP_AGENT, HELLO "[03 00000002 00 01]", HELLO_SAID REFUSED("10")},
    {"later fragment", SPOP_AGENT, HELLO "[00 00000000 00 01]", HELLO_SAID REFUSED("10")},
    {"last fragment", SPOP_AGENT, HELLO "[00 00000001 00 01]", HELLO_SAID REFUSED("10")},
    {"unknown fragment", SPOP_AGENT, HELLO "[2a 00000000 00 01]", HELLO_SAID REFUSED("10")},
    {"ABORT means nothing in a whole frame, nor do reserved flags", SPOP_AGENT,
     HELLO "[03 ffffffff 00 01 'm' 00]", HELLO_SAID "notify 0.1 m(0:); "},

    /* The other side. */
    {"acks", SPOP_HAPROXY, AGENT_HELLO ACK "[67 00000001 00 01]" ACK_EVERY_SCOPE,
     AGENT_HELLO_SAID "ack 249011.1 set txn.allowed=bool:true; ack 0.1; "
                      "ack 249011.2 set proc.a=int64:-5 set sess.b=null:null set txn.c=string:text "
                      "set req.d=ipv4:127.0.0.1 set res.e=bool:false "
                      "unset proc.a unset sess.b unset txn.c unset req.d unset res.e; "},
    {"set-var without its value, haproxy#855", SPOP_HAPROXY,
     AGENT_HELLO "[67 00000001 00 01 01 03 02 'a']",
     AGENT_HELLO_SAID "ack 0.1 malformed; > HAPROXY-DISCONNECT 4; "},
    {"agent's goodbye", SPOP_HAPROXY, AGENT_HELLO AGENT_BYE, AGENT_HELLO_SAID "close 0 by peer; "},
    {"agent refuses the handshake", SPOP_HAPROXY,
     "[66 00000001 00 00 'status-code' 03 08 'message' 08'unsupported version']",
     "close 8 by peer; "},
    {"ack before hello", SPOP_HAPROXY, ACK, REFUSED_HAPROXY("4")},
    {"unknown frame from an agent", SPOP_HAPROXY, AGENT_HELLO "[2a 00000001 00 00]" AGENT_BYE,
     AGENT_HELLO_SAID "close 0 by peer; "},
    {"second AGENT-HELLO", SPOP_HAPROXY, AGENT_HELLO AGENT_HELLO,
     AGENT_HELLO_SAID REFUSED_HAPROXY("4")},
    {"NOTIFY from an agent", SPOP_HAPROXY, AGENT_HELLO NOTIFY,
     AGENT_HELLO_SAID REFUSED_HAPROXY("4")},
    {"fragmented ack", SPOP_HAPROXY, AGENT_HELLO "[67 00000000 00 01]",
     AGENT_HELLO_SAID REFUSED_HAPROXY("10")},
    {"agent wants the largest frames", SPOP_HAPROXY,
     "[65 00000001 00 00 'version' 08'2.9' 'max-frame-size' 03 fcf01e 'capabilities' 08'']",
     "hello 65532 0 ; "},
    {"agent wants larger frames than we", SPOP_HAPROXY,
     "[65 00000001 00 00 'version' 08'2.0' 'max-frame-size' 03 fdf01e 'capabilities' 08'']",
     REFUSED_HAPROXY("9")},
    {"agent wants too small frames", SPOP_HAPROXY,
     "[65 00000001 00 00 'version' 08'2.0' 'max-frame-size' 03 ff00 'capabilities' 08'']",
     REFUSED_HAPROXY("9")},
    {"agent of version 1", SPOP_HAPROXY,
     "[65 00000001 00 00 'version' 08'1.0' 'max-frame-size' 03 fcf006 'capabilities' 08'']",
     REFUSED_HAPROXY("8")},
};

const size_t wire_conversation_count = sizeof(wire_conversations) / sizeof(wire_conversations[0]);
