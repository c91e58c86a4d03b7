/* What an input of fuzz_spop is made of. */
#pragma once

/* The first byte: what is done with the bytes after the head, and the session's frame size. */
#define FUZZ_SPOP_AGENT      0x00
#define FUZZ_SPOP_HAPROXY    0x01
#define FUZZ_SPOP_PAYLOAD    0x02 /* no session: they are given to every reader of a payload */
#define FUZZ_SPOP_WHAT       0x03
#define FUZZ_SPOP_SIZE(byte) ((byte) >> 2 & 3) /* an index into 65532, 16380, 1024, 256 */

/* The second and third byte: the seed of how the stream is cut into pieces. */
#define FUZZ_SPOP_HEAD 3
