#include "spop/spop.h"

const char *spop_status_text(uint32_t status)
{
    switch (status) {
#define SPOP_STATUS_CASE(name, number, text)                                                       \
    case SPOP_##name:                                                                              \
        return (text);
        SPOP_STATUS_TABLE(SPOP_STATUS_CASE)
#undef SPOP_STATUS_CASE
    default:
        return "a status code of the peer's own";
    }
}
