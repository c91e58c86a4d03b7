/* Any bytes as a ratelimit file: either something is told to be wrong with it, or a rule file comes
 * of it, which rules_load has found right. */
#include <stdlib.h>

#include "agent/import_envoy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void count(void *context, const struct envoy_finding *finding)
{
    size_t *wrong = context;
    *wrong += finding->wrong;
    require(finding->text && strlen(finding->text) < 1024);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t wrong = 0;
    size_t written = 0;
    char *rules = envoy_convert(slice_of(data, size), "fuzzed", &written, count, &wrong);
    require((rules == NULL) == (wrong > 0));
    require(!rules || strlen(rules) == written);
    free(rules);
    return 0;
}
