/* Frames as people write them down, and conversations made of them. Nothing here uses the encoders
 * of spop/, so that an encoder and its decoder cannot be wrong together unnoticed. */
#pragma once

#include "spop/spop.h"

/* Ends the program unless the condition holds, in every kind of build. */
#define require(condition) ((condition) ? (void)0 : wire_failed(#condition, __FILE__, __LINE__))
_Noreturn void wire_failed(const char *condition, const char *file, int line);

/* Bytes on the heap with nothing after them that could be read unnoticed by a sanitizer. Freed with
 * wire_free. */
struct slice wire_copy(struct slice bytes);
void wire_free(struct slice bytes);

/* The bytes that a text describes, on the heap:
 *     0a ff 00000001   bytes in hex; spaces are free
 *     'text'           a SPOP string of less than 240 bytes: its length, then the text
 *     /text/           the text alone
 *     [ ... ]          a frame: the length of what is inside, in 4 bytes, then that */
struct slice wire_parse(const char *text);

/* ---- frames -------------------------------------------------------------------------------- */

/* As HAProxy 2.6 sent them to a listener, tune.bufsize 65536, `option pipelining`; its check. */
#define HAPROXY_HELLO                                                                              \
    "[01 00000001 00 00 'supported-versions' 08'2.0' 'max-frame-size' 03 fcf01e "                  \
    "'capabilities' 08'pipelining,async' 'engine-id' 08'0175fb64-918b-439d-aa5c-816c85a36fff']"
#define HAPROXY_CHECK                                                                              \
    "[01 00000001 00 00 'supported-versions' 08'2.0' 'max-frame-size' 03 fcf01e "                  \
    "'capabilities' 08'' 'healthcheck' 11]"
#define NOTIFY                                                                                     \
    "[03 00000001 00 01 'm1' 0a 'src' 06 7f000001 'path' 08'/a/b' 'b' 11 'f' 01 "                  \
    "'n' 04 fbf0fefefefefefefe0e 'i' 04 fc03 'v6' 07 20010db8000000000000000000000001 "            \
    "'bin' 09 14 a51458f8d2c1fbd82e413e3ddd561e9462e8f61b 'none' 00 '' 08'anonymous' 'm2' 00]"
#define HAPROXY_IDLE "[02 00000001 00 00 'status-code' 03 02 'message' 08'a timeout occurred']"

#define HAPROXY_BYE "[02 00000001 00 00 'status-code' 03 00 'message' 08'normal']"
#define NOTIFY_BARE "[03 00000001 05 fc03 'm' 00]"

#define AGENT_HELLO                                                                                \
    "[65 00000001 00 00 'version' 08'2.0' 'max-frame-size' 03 fcf006 'capabilities' "              \
    "08'pipelining']"
#define AGENT_BYE "[66 00000001 00 00 'status-code' 03 00 'message' 08'normal']"
/* As an agent sent it in haproxy#2490. */
#define ACK "[67 00000001 f3bc78 01 01 03 02 'allowed' 11]"
/* One action of each kind in each scope; haproxy#855's set-var without data is the second. */
#define ACK_EVERY_SCOPE                                                                            \
    "[67 00000001 f3bc78 02 01 03 00 'a' 04 fbf0fefefefefefefe0e 01 03 01 'b' 00 "                 \
    "01 03 02 'c' 08'text' 01 03 03 'd' 06 7f000001 01 03 04 'e' 01 "                              \
    "02 02 00 'a' 02 02 01 'b' 02 02 02 'c' 02 02 03 'd' 02 02 04 'e']"

/* ---- conversations ------------------------------------------------------------------------- */

#define WIRE_FRAME_SIZE 65532 /* HAProxy's own with tune.bufsize 65536: spoa-mirror#40 */

struct conversation {
    const char *name;
    enum spop_role role;    /* who hears it */
    const char *text;       /* for wire_parse */
    const char *transcript; /* what transcript_write makes of it */
};

extern const struct conversation wire_conversations[];
extern const size_t wire_conversation_count;
