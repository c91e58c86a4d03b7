/* Writes the seeds of fuzz_spop's corpus into a directory: some of the conversations that the unit
 * tests know, and the payload of every kind of frame. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_spop.h"
#include "spop/spop.h"
#include "tests/unit/spop/wire.h"

static void write_seed(const char *directory, const char *name, uint8_t what, struct slice bytes)
{
    const uint8_t head[FUZZ_SPOP_HEAD] = {what, 0, 9};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    for (char *at = path + strlen(directory) + 1; *at; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", *at))
            *at = '-';
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(head, 1, sizeof(head), file) != sizeof(head) ||
        fwrite(bytes.data, 1, bytes.size, file) != bytes.size || fclose(file) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
}

static bool is_seed(const char *name)
{
    static const char *const names[] = {
        "health check",
        "hello and notify at once",
        "several notifies",
        "idle time-out",
        "smallest frame size",
        "frame over the negotiated size",
        "second hello",
        "unknown frames are skipped",
        "first fragment",
        "unreadable notify",
        "acks",
        "agent refuses the handshake",
        "agent's goodbye",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void write_payload(const char *directory, const char *name, const char *text)
{
    struct slice bytes = wire_parse(text);
    struct spop_frame frame;
    require(spop_frame_decode(bytes, WIRE_FRAME_SIZE, &frame) > 0);
    write_seed(directory, name, FUZZ_SPOP_PAYLOAD, frame.payload);
    wire_free(bytes);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < wire_conversation_count; i++) {
        const struct conversation *conversation = &wire_conversations[i];
        if (!is_seed(conversation->name))
            continue;
        struct slice bytes = wire_parse(conversation->text);
        write_seed(argv[1], conversation->name,
                   conversation->role == SPOP_AGENT ? FUZZ_SPOP_AGENT : FUZZ_SPOP_HAPROXY, bytes);
        wire_free(bytes);
    }
    write_payload(argv[1], "payload of HAPROXY-HELLO", HAPROXY_HELLO);
    write_payload(argv[1], "payload of AGENT-HELLO", AGENT_HELLO);
    write_payload(argv[1], "payload of DISCONNECT", HAPROXY_IDLE);
    write_payload(argv[1], "payload of NOTIFY", NOTIFY);
    write_payload(argv[1], "payload of ACK", ACK_EVERY_SCOPE);
    return EXIT_SUCCESS;
}
