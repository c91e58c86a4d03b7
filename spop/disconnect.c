#include "spop/kv.h"

/* Source: HAProxy's doc/SPOE.txt 3.2.8 and 3.2.9. */

#define KEY_STATUS  SLICE("status-code")
#define KEY_MESSAGE SLICE("message")

enum spop_status spop_read_disconnect(struct slice payload, struct spop_disconnect *disconnect)
{
    struct spop__item items[] = {
        {.key = KEY_STATUS, .type = VALUE_UINT32},
        {.key = KEY_MESSAGE, .type = VALUE_STRING},
    };
    if (!spop__read_items(payload, items, 2) || !items[0].found || !items[1].found)
        return SPOP_INVALID;
    disconnect->status = (uint32_t)items[0].value.natural;
    disconnect->message = items[1].value.bytes;
    return SPOP_NORMAL;
}

bool spop_write_disconnect(struct writer *w, enum spop_frame_type type, uint32_t status)
{
    uint8_t *start = spop_frame_begin(w, type, SPOP_FLAG_FIN, 0, 0);
    spop__write_uint32_item(w, KEY_STATUS, status);
    spop__write_string_item(w, KEY_MESSAGE, slice_of_string(spop_status_text(status)));
    /* It must fit whatever was negotiated. */
    return spop_frame_end(w, start, SPOP_FRAME_SIZE_MIN);
}
