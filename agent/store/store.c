#include "agent/store/store.h"

struct slice store_source_name(enum store_source source)
{
    switch (source) {
#define STORE_SOURCE_CASE(name, text)                                                              \
    case STORE_SOURCE_##name:                                                                      \
        return SLICE(text);
        STORE_SOURCE_TABLE(STORE_SOURCE_CASE)
#undef STORE_SOURCE_CASE
    }
    return SLICE("");
}
